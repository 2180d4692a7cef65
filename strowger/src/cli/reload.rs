//! `strowger reload`: a running process takes over its changed configuration.

use super::{Failure, Place, print};
use crate::control::{Client, ClientError};

/// Have the running process take over its changed configuration
///
/// The process reads the file that it was started with. If anything in it is wrong, or an address is
/// taken, everything stays as it was and this command tells why. What cannot change while calls go on
/// is named: it takes effect with the next start. SIGHUP does the same, and tells the log.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  strowger reload\n  strowger reload -c strowger.toml")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (config, _) = args.place.load()?;
    let state = args.place.state(&config)?;
    let client = Client::connect(&state.door).map_err(Failure::new)?;
    let mut client = client.ok_or_else(|| {
        Failure::new(format!(
            "no strowger runs with the state in {}\n  help: `strowger run` starts one; --state DIR or \
             -c FILE names another; if `store` has changed, restart it",
            state.folder().display()
        ))
    })?;
    let changes = client.reload().map_err(|error| match error {
        // It is written for a person already.
        ClientError::Refused(text) if text.starts_with("error: ") => {
            Failure(format!("{text}nothing was changed\n"))
        }
        error => Failure::new(error),
    })?;
    let mut out = String::new();
    let mut list = |what: &str, keys: &[String]| {
        if !keys.is_empty() {
            out += &format!("{what}: {}\n", keys.join(", "));
        }
    };
    list("taken over", &changes.live);
    list("waits for a restart", &changes.restart);
    print(if out.is_empty() {
        "no key has changed; the files that keys name are read anew\n"
    } else {
        &out
    })
}
