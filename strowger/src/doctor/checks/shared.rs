//! What nodes share registrations by: is it there, and does it let us in?

use crate::doctor::facts::{SharedAnswer, SharedServer};
use crate::doctor::identifiers::{SHARED_AWAY, SHARED_DENIES, SHARED_OTHER_PROTOCOL};
use crate::doctor::{Facts, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let finding = |SharedServer { name, answer }: &SharedServer| {
        let servers = "[shared]\nservers = \"…\"";
        let (found, key) = match answer {
            SharedAnswer::Well => return None,
            SharedAnswer::Away(why) => {
                let fix = format!("start it, or correct the address:\n{servers}");
                (SHARED_AWAY.found(format!("{name} does not serve: {why}"), fix), "shared.servers")
            }
            SharedAnswer::Denied(why) => {
                let fix =
                    "write the server's password into the file of\n[shared]\npassword = \"…\"";
                let evidence = format!("{name} does not let us in: {why}");
                (SHARED_DENIES.found(evidence, fix), "shared.password")
            }
            SharedAnswer::Foreign => {
                let evidence = format!("what answers at {name} speaks no RESP");
                let fix = format!("correct the address:\n{servers}");
                (SHARED_OTHER_PROTOCOL.found(evidence, fix), "shared.servers")
            }
        };
        Some(found.at(facts.place(key)))
    };
    facts.shared.iter().filter_map(finding).collect()
}
