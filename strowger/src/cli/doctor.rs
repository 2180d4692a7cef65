//! `strowger doctor`: what would stop a call.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::run::role;
use super::{Failure, Place, note, print};
use crate::doctor::gather::Where;
use crate::doctor::{examine, gather, report};
use crate::plan::Role;

/// Say what on this machine or in this configuration would stop a call
///
/// It looks at the configuration, the addresses and ports, the media relay's ports, the store and its
/// subscribers, the system's limits and clock, and asks every function of another process in its own
/// protocol: Diameter CER, SIP OPTIONS, NG ping. Each finding has an identifier that never changes,
/// what was seen, and the command or line that mends it. Nothing is changed; where a process runs
/// with the same state, it is asked. Be the user who runs the network: others see less, or more.
///
/// Exit code 0: nothing stops calls. 1: something does.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger doctor\n  \
    strowger doctor -c strowger.toml --role pcscf\n  \
    strowger doctor --json | jq -r '.findings[].id'\n  \
    strowger doctor --list")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The functions that are to run: hss, media, scscf, icscf, pcscf [default: as `strowger run`]
    #[arg(short, long = "role", value_name = "ROLE", value_delimiter = ',', value_parser = role)]
    roles: Vec<Role>,
    /// One JSON document
    #[arg(long)]
    json: bool,
    /// Print everything that can be found, and look at nothing
    #[arg(long)]
    list: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.list {
        print(&report::list())?;
        return Ok(ExitCode::SUCCESS);
    }
    let roles: BTreeSet<Role> = args.roles.iter().copied().collect();
    let place = Where {
        config: args.place.config.clone(),
        state: args.place.state.clone(),
        roles: (!roles.is_empty()).then_some(roles),
    };
    let facts = gather(&place, &|step| note(&format!("{step} …\n")));
    let findings = examine(&facts);
    if args.json {
        print(&format!("{:#}\n", report::json(&facts, &findings)))?;
    } else {
        print(&report::text(&facts, &findings))?;
    }
    let stops = findings.iter().any(crate::doctor::Finding::stops_calls);
    Ok(if stops { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
