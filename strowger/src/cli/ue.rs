//! `strowger ue`: test phones.

mod account;
mod sound;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use clap::error::ErrorKind;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use ue::Incoming;

use super::{Failure, print};
use crate::phones::outcome::Outcome;
use crate::phones::{Phones, PhonesError, Setup, Sms, Work};
use account::Account;
use sound::Sound;

/// Test phones: register, call, answer, send a text, at this or any other SIP or IMS server
///
/// What happens is told on standard error, a summary on standard output. The exit code is 0 only if
/// all went as it should, 1 if not, 2 if the command line is wrong. SIGINT or SIGTERM hangs up and
/// deregisters; a second one ends at once.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Register(Register),
    Call(Call),
    Answer(Answer),
    Message(Message),
}

/// Register, and deregister
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger ue register --imsi 001010000000001 --k HEX --opc HEX\n  \
    strowger ue register --user alice --password secret --domain example.org --server 192.0.2.1 \
    --no-ims\n  \
    strowger ue register --imsi 001010000000001 --k HEX --opc HEX --count 200 --for 60 --json -")]
struct Register {
    /// How many seconds the registration is kept
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    stay: f64,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    tell: Tell,
}

/// Call somebody, talk, and hang up
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger ue call +15550102 --imsi 001010000000001 --k HEX --opc HEX --expect bob\n  \
    strowger ue call bob{N} --count 50 --user alice{N} --password secret --for 10")]
struct Call {
    /// A sip: or tel: URI, urn:service:sos, user@host, a number or a name; {N} is the phone's number
    to: String,
    /// How many seconds the call lasts from the answer on [default: as long as --say or --expect]
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    length: Option<f64>,
    /// How many seconds an answer may take: 240 at most
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = patience)]
    patience: f64,
    /// Call without registering
    #[arg(long)]
    no_register: bool,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    sound: Sound,
    #[command(flatten)]
    tell: Tell,
}

/// Register and answer calls
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger ue answer --user bob --password secret --calls 1\n  \
    strowger ue answer --user bob --password secret --reject 486\n  \
    strowger ue answer --user bob --password - --no-register --no-ims --local 192.0.2.1:5060")]
struct Answer {
    /// How many milliseconds it rings
    #[arg(long, value_name = "MS", default_value_t = 500)]
    ring: u64,
    /// Reject calls with this status: 300 to 699
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(300..=699))]
    reject: Option<u16>,
    /// End after so many calls of all phones [default: go on]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,
    /// Hang up after so many seconds [default: the caller hangs up]
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    length: Option<f64>,
    /// Answer without registering
    #[arg(long)]
    no_register: bool,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    sound: Sound,
    #[command(flatten)]
    tell: Tell,
}

/// Send a text
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger ue message bob 'Hello Bob' --user alice --password secret\n  \
    strowger ue message +15550102 'Hello Bob' --sms --report --imsi 001010000000001 --k HEX --opc HEX")]
struct Message {
    /// A sip: or tel: URI, urn:service:sos, user@host, a number or a name; {N} is the phone's number
    to: String,
    /// The text
    text: String,
    /// Send it as SMS over IP, through the IP-SM-GW and its service centre: TO is a number
    #[arg(long)]
    sms: bool,
    /// The service centre's number [default: `service_centre` of the configuration, else 999000]
    #[arg(long, value_name = "NUMBER", requires = "sms")]
    centre: Option<String>,
    /// Ask for a status report, and wait so many seconds for it
    #[arg(long, value_name = "SECONDS", requires = "sms", value_parser = seconds)]
    #[arg(num_args = 0..=1, default_missing_value = "60")]
    report: Option<f64>,
    /// Send without registering
    #[arg(long)]
    no_register: bool,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    tell: Tell,
}

/// Who is told what.
#[derive(clap::Args)]
#[command(next_help_heading = "Report")]
struct Tell {
    /// Write a report for scripts; - is standard output, then the summary goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Do not tell what happens meanwhile
    #[arg(short, long)]
    quiet: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| (0.0..=31_536_000.0).contains(s));
    seconds.ok_or_else(|| "a number of seconds".to_owned())
}

/// No phone waits longer than a proxy does (Timer C, RFC 3261 §16.6).
fn patience(text: &str) -> Result<f64, String> {
    seconds(text).ok().filter(|s| *s <= 240.0).ok_or_else(|| "240 seconds at most".to_owned())
}

/// Ends the program as for every wrong command line.
fn wrong(text: &str) -> ! {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{text}\n")).exit()
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Register(args) => {
            let phones = args.account.phones()?;
            let work = Work::Register(Duration::from_secs_f64(args.stay));
            play(
                Setup {
                    phones,
                    register: true,
                    work,
                    rate: args.account.rate,
                    tls: args.account.tls()?,
                },
                &args.tell,
            )
        }
        Command::Call(args) => {
            let mut phones = args.account.phones()?;
            let talk = args.sound.apply(&mut phones, rtp::prompts::ALICE, args.length, true)?;
            let patience = Duration::from_secs_f64(args.patience);
            let to = args.account.each(&args.to);
            let work = Work::Call { to, patience, talk };
            let register = !args.no_register;
            play(
                Setup { phones, register, work, rate: args.account.rate, tls: args.account.tls()? },
                &args.tell,
            )
        }
        Command::Answer(args) => {
            let mut phones = args.account.phones()?;
            let talk = args.sound.apply(&mut phones, rtp::prompts::BOB, args.length, false)?;
            let ring = Duration::from_millis(args.ring);
            let incoming = args.reject.map_or(Incoming::Answer { ring }, Incoming::Reject);
            phones.iter_mut().for_each(|phone| phone.config.incoming = incoming);
            let work = Work::Answer { calls: args.calls, talk };
            let register = !args.no_register;
            play(
                Setup { phones, register, work, rate: args.account.rate, tls: args.account.tls()? },
                &args.tell,
            )
        }
        Command::Message(args) => {
            let phones = args.account.phones()?;
            let report = args.report.map(Duration::from_secs_f64);
            let sms = match (args.sms, args.centre) {
                (false, _) => None,
                (true, Some(centre)) => Some(Sms { centre, report }),
                (true, None) => Some(Sms { centre: account::service_centre()?, report }),
            };
            let work = Work::Message { to: args.account.each(&args.to), text: args.text, sms };
            let register = !args.no_register;
            play(
                Setup { phones, register, work, rate: args.account.rate, tls: args.account.tls()? },
                &args.tell,
            )
        }
    }
}

fn play(setup: Setup, tell: &Tell) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Failure::new)?;
    let register = setup.register;
    let phones = Phones::build(setup).map_err(|error| refused(&error))?;
    let stop = phones.stop();
    let listen = move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(1);
            }
            stop.stop();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(Failure::new)?;
    let mut progress = |line: &str| {
        if !tell.quiet {
            let seconds = begun.elapsed().as_secs_f32();
            let _ = writeln!(std::io::stderr().lock(), "{seconds:>8.3} s  {line}");
        }
    };
    let outcome = phones.run(&mut progress).map_err(|error| refused(&error))?;
    report(&outcome, register, tell)?;
    if outcome.ok { Ok(()) } else { Err(Failure::new(outcome.complaint())) }
}

fn report(outcome: &Outcome, register: bool, tell: &Tell) -> Result<(), Failure> {
    let summary = outcome.summary(register);
    let Some(file) = &tell.json else { return print(&summary) };
    let json = serde_json::to_string_pretty(outcome).map_err(Failure::new)? + "\n";
    if file.as_os_str() == "-" {
        let _ = std::io::stderr().lock().write_all(summary.as_bytes());
        return print(&json);
    }
    let failed = |error| Failure::new(format!("{}: {error}", file.display()));
    std::fs::write(file, json).map_err(failed)?;
    print(&summary)
}

fn refused(error: &PhonesError) -> Failure {
    use engine::net::ListenError;
    let help = match error {
        PhonesError::Listen(ListenError::InUse { .. }) => {
            "give another --local IP:PORT, or no port"
        }
        PhonesError::Listen(ListenError::Refused { error, .. })
            if error.raw_os_error() == Some(24) =>
        {
            "too many sockets for one process: `ulimit -n 65536`, or fewer phones"
        }
        PhonesError::Listen(ListenError::Refused { .. }) => {
            "--local must be an address of this machine, and ports below 1024 need rights"
        }
        PhonesError::System(_) => return Failure::new(error),
    };
    Failure::new(format!("{error}\n  help: {help}"))
}
