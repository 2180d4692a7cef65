//! The clock: registrations end by it, and traces of several processes are put in order by it.

use crate::doctor::identifiers::{CLOCK_BEHIND, CLOCK_UNSYNCHRONISED};
use crate::doctor::{Facts, Finding};

/// Files of another machine may be younger than this clock by so many seconds.
const SLACK: u64 = 86_400;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let machine = &facts.machine;
    let set = "`sudo timedatectl set-ntp true`, or run chrony";
    if let Some((written, file)) = &machine.written
        && machine.clock.saturating_add(SLACK) < *written
    {
        let days = (written - machine.clock) / 86_400;
        let evidence = format!(
            "{} was written {days} days after now, says the clock: registrations that were stored end \
             too late, and traces show wrong times",
            file.display()
        );
        return vec![CLOCK_BEHIND.found(evidence, set)];
    }
    if machine.synchronised == Some(false) {
        let evidence = "the kernel says that its clock follows no other one (adjtimex): traces of several \
                        machines cannot be put in order";
        return vec![CLOCK_UNSYNCHRONISED.found(evidence, set)];
    }
    Vec::new()
}
