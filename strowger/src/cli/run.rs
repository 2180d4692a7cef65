//! `strowger run`: runs any subset of the functions.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Event, Service, Severity, Transport};
use engine::net::HandleError;
use ladder::text::span;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Failure, Place, print};
use crate::api::ApiError;
use crate::config::{loopback, role_help};
use crate::log::{Format, Log};
use crate::observe::{Observe, ShowError};
use crate::plan::{Plan, Role};
use crate::reload::{Reload, Source};
use crate::run::{Process, StartError};

/// Run the network, or some of its functions
///
/// Without a file all functions run on loopback: SIP on port 5060, Diameter on 3868, the media
/// relay's NG protocol on 2223. Functions of one process speak to each other without the network.
/// A function that is neither here nor in the configuration is looked up in DNS.
///
/// SIGTERM or SIGINT ends it gently, a second one at once; SIGHUP, like `strowger reload`, has it take
/// over its changed configuration.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger run\n  \
    strowger run -c strowger.toml\n  \
    strowger run --role scscf,icscf --state /var/lib/strowger-s")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The functions to run: hss, media, scscf, icscf, pcscf, ecscf, bgcf, ipsmgw [default:
    /// `roles` of the configuration, else all but ipsmgw whose place is not given there; ecscf if there
    /// is a centre, bgcf if there are routes]
    #[arg(short, long = "role", value_name = "ROLE", value_delimiter = ',', value_parser = role)]
    roles: Vec<Role>,
    /// How log lines on standard error look
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    log: Format,
    /// Log what is of interest to those who look closely
    #[arg(short, long)]
    verbose: bool,
    /// How many seconds running work gets to finish at the end
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = seconds)]
    grace: f64,
}

/// The function of a word on the command line.
pub(super) fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| role_help(word))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| (0.0..=86_400.0).contains(s));
    seconds.ok_or_else(|| "a number of seconds from 0 to 86400".to_owned())
}

pub(super) fn run(args: &Args, begin: Instant) -> Result<(), Failure> {
    // From here on a signal is heard; before, it just ends the program.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(Failure::new)?;
    let (config, file) = args.place.load()?;
    let roles: BTreeSet<Role> = args.roles.iter().copied().collect();
    let (roles, loopback) = ((!roles.is_empty()).then_some(roles), loopback());
    let plan = config.plan(roles.as_ref(), &loopback);
    let state = args.place.state(&config)?;
    let store = state.open()?;
    let least = if args.verbose { Severity::Debug } else { Severity::Info };
    let log = Log { format: args.log, least };
    let process = Process::build(&plan, store, Some(&state), log);
    let mut process = process.map_err(|error| refused(&error))?;
    let place = args.place.clone();
    let load = move || place.load().map(|(config, _)| config).map_err(|Failure(text)| text);
    let source = Source { load: Box::new(load), roles, loopback };
    let reload = Arc::new(Reload::new(source, config.clone(), process.reloadable()));
    process.door(&state.door, Some(Arc::clone(&reload))).map_err(|error| refused(&error))?;
    process.observe(&config.observe).map_err(|error| refused(&error))?;
    process.api(&config.api).map_err(|error| refused(&error))?;
    print(&overview(&plan, &process, file.as_deref(), &state.store))?;
    print(&watchers(&process, &config.observe))?;
    process.on_started(move || {
        let _ = print(&format!("ready in {} ms\n", begin.elapsed().as_millis()));
    });
    let (handle, grace) = (process.handle(), Duration::from_secs_f64(args.grace));
    let clock = process.clock();
    let listen = move || {
        let mut ends = 0;
        for signal in signals.forever() {
            if signal == SIGHUP {
                // The log tells what came of it.
                let _ = reload.reload();
                continue;
            }
            ends += 1;
            let mut asked = handle.drain(grace);
            while asked == Err(HandleError::Full) && ends == 1 {
                std::thread::sleep(Duration::from_millis(10));
                asked = handle.drain(grace);
            }
            if ends > 1 || asked.is_err() {
                std::process::exit(1);
            }
            let text = format!(
                "ends with the last call, within {}; a second signal ends it at once",
                span(grace)
            );
            log.write(clock.now(), "strowger", &Event::new(Severity::Info, "strowger.end", text));
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(Failure::new)?;
    process.run(()).map_err(Failure::new)
}

fn refused(error: &StartError) -> Failure {
    use engine::net::ListenError;
    match error {
        StartError::Api(ApiError::Listen(_)) => Failure::new(format!(
            "{error}\n  help: set another address of this machine: [api] listen = \"…\""
        )),
        StartError::Api(error) => Failure::new(error),
        StartError::Show(ShowError::Listen(_)) => Failure::new(format!(
            "{error}\n  help: set another address of this machine: [observe] metrics = \"…\""
        )),
        StartError::Listen(ListenError::InUse { name, .. }) => Failure::new(format!(
            "{error}\n  help: stop that one, or set another address: `listen…` below [{name}]; \
             `strowger doctor` shows all that is wrong"
        )),
        StartError::Listen(ListenError::Refused { name, .. }) => Failure::new(format!(
            "{error}\n  help: `listen…` below [{name}] must be addresses of this machine, and ports below \
             1024 need rights; `strowger doctor` looks further"
        )),
        error => {
            Failure::new(format!("{error}\n  help: `strowger doctor` looks for what is wrong"))
        }
    }
}

fn overview(
    plan: &Plan,
    process: &Process,
    file: Option<&std::path::Path>,
    store: &std::path::Path,
) -> String {
    let mut out = format!("domain {}\nstore {}\n", plan.domain, store.display());
    if let Some(file) = file {
        let _ = writeln!(out, "configuration {}", file.display());
    }
    for (name, listener) in process.listening() {
        let transport = match listener.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Wire => "wire",
        };
        let spoken = match listener.service {
            Service::Http => " for HTTP",
            Service::Cli => " for commands",
            _ => "",
        };
        let _ = writeln!(out, "{name} listens on {transport}:{}{spoken}", listener.addr);
    }
    let inside = plan.here.iter().filter(|(_, listen)| listen.is_empty()).map(|(role, _)| role);
    for role in inside.filter(|role| !plan.tls.here.contains_key(role)) {
        let _ = writeln!(out, "{role} is reached within this process only");
    }
    for (role, seams) in &plan.elsewhere {
        let places: Vec<String> = seams.iter().map(|seam| seam.address.to_string()).collect();
        let _ = writeln!(out, "{role} is at {}", places.join(", "));
    }
    for role in plan.needed() {
        let _ = writeln!(out, "{role} is looked up in DNS as {}", plan.host(role));
    }
    out
}

/// Where it can be seen what happens.
fn watchers(process: &Process, observe: &Observe) -> String {
    let mut out = String::new();
    for page in process.pages() {
        let _ = writeln!(out, "metrics are at http://{page}/metrics");
    }
    for page in process.api_listening() {
        let _ = writeln!(out, "the API is at http://{page}/v1/openapi.json");
    }
    if let Some(collector) = observe.hep {
        let _ = writeln!(out, "HEP goes to udp:{collector}");
    }
    out
}
