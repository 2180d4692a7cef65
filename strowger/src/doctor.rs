//! What on this machine or in this configuration would stop a call, with evidence and remedy.
//!
//! [`gather()`] observes: it is all the I/O there is, bounded in time, and fills [`Facts`]. The
//! [`checks`] are pure functions of them. [`report`] shows what they found. Everything that can be found
//! has an [`Identifier`] of [`identifiers`], which does not change.

pub mod checks;
pub mod facts;
pub mod gather;
pub mod identifiers;
pub mod report;

pub use facts::Facts;
pub use gather::gather;
pub use identifiers::{ALL, Identifier, Severity};

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is.
    pub identifier: Identifier,
    /// What was seen.
    pub evidence: String,
    /// File and line of the configuration that it is about, if one is.
    pub place: Option<String>,
    /// The command to give or the line to write.
    pub fix: String,
}

impl Identifier {
    /// It was found.
    pub fn found(self, evidence: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { identifier: self, evidence: evidence.into(), place: None, fix: fix.into() }
    }
}

impl Finding {
    /// It is about this place of the configuration.
    #[must_use]
    pub fn at(self, place: Option<String>) -> Finding {
        Finding { place, ..self }
    }

    /// Whether it stops calls.
    pub fn stops_calls(&self) -> bool {
        self.identifier.severity == Severity::StopsCalls
    }
}

/// Everything that is wrong, the worst first.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    // What a file that cannot be understood means is nobody's guess.
    let checks = if facts.configuration.is_right() { checks::ALL } else { checks::CONFIGURATION };
    let mut found: Vec<Finding> = checks.iter().flat_map(|check| check(facts)).collect();
    found.sort_by_key(|finding| finding.identifier.severity);
    found
}
