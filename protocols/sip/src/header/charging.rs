//! P-Charging-Vector, RFC 7315 §4.6.

use crate::lex::{Params, unquote};

/// What ties the charging records, and our ladders, of one session together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChargingVector<'a>(Params<'a>);

impl<'a> ChargingVector<'a> {
    /// Reads the value; `None` without an icid-value.
    pub fn parse(value: &'a str) -> Option<ChargingVector<'a>> {
        // The first parameter has no semicolon in front; `Params` does not mind.
        let params = Params::new(value);
        params.has("icid-value").then_some(ChargingVector(params))
    }

    /// The IMS charging identity.
    pub fn icid(&self) -> String {
        unquote(self.0.get("icid-value").unwrap_or("")).into_owned()
    }

    /// The other parameters: `icid-generated-at`, `orig-ioi`, `term-ioi` …
    pub fn params(&self) -> Params<'a> {
        self.0
    }
}
