//! Event and Subscription-State, RFC 6665 §8.2.

use crate::lex::Params;

/// An event package with its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// The package, such as `reg` (RFC 3680).
    pub package: &'a str,
    /// The parameters, such as `id`.
    pub params: Params<'a>,
}

impl<'a> Event<'a> {
    /// Reads the value.
    pub fn parse(value: &'a str) -> Option<Event<'a>> {
        let end = value.find(';').unwrap_or(value.len());
        let package = value[..end].trim();
        let params = Params::new(&value[end..]);
        crate::lex::is_token(package).then_some(Event { package, params })
    }
}

/// The state of a subscription as its notifier says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated` or an extension.
    pub state: &'a str,
    /// `expires`, `reason`, `retry-after`.
    pub params: Params<'a>,
}

impl<'a> SubscriptionState<'a> {
    /// Reads the value.
    pub fn parse(value: &'a str) -> Option<SubscriptionState<'a>> {
        let end = value.find(';').unwrap_or(value.len());
        let state = value[..end].trim();
        let params = Params::new(&value[end..]);
        crate::lex::is_token(state).then_some(SubscriptionState { state, params })
    }

    /// Whether the subscription has ended.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }
}
