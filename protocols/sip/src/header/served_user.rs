//! P-Served-User, RFC 5502.

use core::fmt;

use super::NameAddr;

/// The session case, RFC 5502 §6: which half of the call an application server is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SessionCase {
    /// The served user calls.
    Originating,
    /// The served user is called.
    Terminating,
}

/// The user whom a request serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServedUser {
    /// The public identity.
    pub uri: String,
    /// Which half of the call.
    pub case: SessionCase,
    /// Whether the user is registered.
    pub registered: bool,
}

impl ServedUser {
    /// Reads the value; without parameters the case is terminating and registered.
    pub fn parse(value: &str) -> Option<ServedUser> {
        let address = NameAddr::parse(value)?;
        let case = match address.params.get("sescase") {
            Some(case) if case.eq_ignore_ascii_case("orig") => SessionCase::Originating,
            _ => SessionCase::Terminating,
        };
        let registered =
            !address.params.get("regstate").is_some_and(|s| s.eq_ignore_ascii_case("unreg"));
        Some(ServedUser { uri: address.uri.to_owned(), case, registered })
    }
}

impl fmt::Display for ServedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = match self.case {
            SessionCase::Originating => "orig",
            SessionCase::Terminating => "term",
        };
        let state = if self.registered { "reg" } else { "unreg" };
        write!(f, "<{}>;sescase={case};regstate={state}", self.uri)
    }
}
