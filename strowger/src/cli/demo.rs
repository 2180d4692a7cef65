//! `strowger demo`.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Instant;

use super::{Failure, print};
use crate::demo::{Demo, DemoError, screen};

/// A whole IMS and two phones with SIMs on this machine: they register, one calls the other, they talk
///
/// Needs no configuration, no root and no other program: everything runs in this process, on
/// loopback, on ports that are free. What each phone hears is compared with what was said to it.
/// The exit code is 0 only if everything was as it should be.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder for recordings, capture and ladder
    #[arg(short, long, value_name = "DIR", default_value = "strowger-demo")]
    out: PathBuf,
    /// Use IPv6
    #[arg(long)]
    ipv6: bool,
    /// Go on running after the call, and say how to join
    #[arg(long)]
    stay: bool,
    /// Columns of the ladder
    #[arg(long, value_name = "COLUMNS", default_value_t = 120)]
    width: usize,
}

pub(super) fn run(args: &Args, begun: Instant) -> Result<(), Failure> {
    let mut demo = Demo::new(args.out.clone());
    demo.begun = begun;
    demo.stay = args.stay;
    demo.address = if args.ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    print("Strowger demo: a telephone network and two phones\n\n")?;
    demo.progress = Box::new(move |line| {
        let _ = print(&format!("  {:>7.3} s  {line}\n", begun.elapsed().as_secs_f32()));
    });
    let outcome = demo.run().map_err(|error| refused(&error))?;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    print(&format!("\n{}\n", screen::ladder(&outcome, args.width, colour)))?;
    print(&screen::results(&outcome))?;
    if let Some(join) = outcome.join.as_ref().filter(|_| args.stay) {
        print(&screen::join(join))?;
        wait_for_a_signal()?;
    }
    if outcome.failures.is_empty() { Ok(()) } else { Err(Failure::new("the demonstration failed")) }
}

fn refused(error: &DemoError) -> Failure {
    match error {
        DemoError::Start(_) => Failure::new(error),
        DemoError::Folder { .. } | DemoError::Write { .. } => {
            Failure::new(format!("{error}\n  help: choose another folder: --out DIR"))
        }
    }
}

/// Until somebody ends the process.
fn wait_for_a_signal() -> Result<(), Failure> {
    let kinds = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
    let mut signals = signal_hook::iterator::Signals::new(kinds).map_err(Failure::new)?;
    signals.forever().next();
    Ok(())
}
