//! The configuration file itself.

use crate::doctor::identifiers::{
    CONFIG_UNREADABLE, CONFIG_WRONG, MAX_EXPIRES_SHORT, MIN_EXPIRES_LONG,
};
use crate::doctor::{Facts, Finding};

/// What phones ask for at least: softphones an hour, IR.92 handsets a week.
const USUAL: u32 = 3600;
/// Below this, phones do little else than register.
const SHORT: u32 = 120;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let configuration = &facts.configuration;
    if let Some(text) = &configuration.unreadable {
        let file = configuration.file.as_ref().map_or(String::new(), |f| f.display().to_string());
        let fix = format!(
            "name a text file that this user may read with -c, or write one: `strowger config init {file}`"
        );
        found.push(CONFIG_UNREADABLE.found(text, fix));
    }
    for text in &configuration.wrong {
        let fix = "correct the line; `strowger config check` reads the file again";
        found.push(CONFIG_WRONG.found(text.trim_end(), fix));
    }
    let (min, max) = (facts.plan.min_expires, facts.plan.max_expires);
    if min > USUAL {
        let evidence = format!(
            "min_expires is {min} s: a phone that asks for less is told so (423) and must ask again, which \
             not all do"
        );
        let finding = MIN_EXPIRES_LONG.found(evidence, "[registration]\nmin_expires = 60");
        found.push(finding.at(facts.place("registration.min_expires")));
    }
    if max < SHORT {
        let evidence = format!("max_expires is {max} s");
        let finding = MAX_EXPIRES_SHORT.found(evidence, "[registration]\nmax_expires = 600000");
        found.push(finding.at(facts.place("registration.max_expires")));
    }
    found
}
