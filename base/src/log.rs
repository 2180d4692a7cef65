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
    /// The call or the subscriber that it is about, for programs that read log lines.
    pub about: Option<Box<About>>,
}

/// Whom an event is about, as far as whoever logs it knows.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct About {
    /// The call: its Call-ID, RFC 3261 §8.1.1.4.
    pub call_id: Option<String>,
    /// The private identity, TS 23.003 §13.3.
    pub impi: Option<String>,
    /// The public identity, TS 23.003 §13.4.
    pub impu: Option<String>,
}

impl Event {
    /// An event of the given severity.
    pub fn new(severity: Severity, counter: &'static str, text: impl Into<String>) -> Event {
        Event { severity, counter, text: text.into(), about: None }
    }

    /// The same event, about a call.
    #[must_use]
    pub fn call_id(mut self, call_id: impl Into<String>) -> Event {
        self.about_mut().call_id = Some(call_id.into());
        self
    }

    /// The same event, about a private identity.
    #[must_use]
    pub fn impi(mut self, impi: impl Into<String>) -> Event {
        self.about_mut().impi = Some(impi.into());
        self
    }

    /// The same event, about a public identity.
    #[must_use]
    pub fn impu(mut self, impu: impl Into<String>) -> Event {
        self.about_mut().impu = Some(impu.into());
        self
    }

    fn about_mut(&mut self) -> &mut About {
        self.about.get_or_insert_default()
    }
}
