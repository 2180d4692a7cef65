//! What a machine wants counted and written down once.

/// How much it matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Ordinary life, for those who look closely.
    Debug,
    /// Ordinary life that an operator wants to see.
    Info,
    /// Somebody else's fault, or a service that is degraded.
    Warning,
    /// Our own fault, or a service that is lost.
    Error,
}

/// One counter and one log line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// How much it matters.
    pub severity: Severity,
    /// The counter's name, such as `"sip.malformed"`: lower case, dots, no variable parts.
    pub counter: &'static str,
    /// One line for a person: what happened, where, and what to do. No secrets.
    pub text: String,
}

impl Event {
    /// An event of the given severity.
    pub fn new(severity: Severity, counter: &'static str, text: impl Into<String>) -> Event {
        Event { severity, counter, text: text.into() }
    }
}
