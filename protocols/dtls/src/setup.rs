//! `a=setup`: which end begins the handshake, RFC 4145 §4, RFC 5763 §5 and RFC 8842 §5.

use serde::{Deserialize, Serialize};

/// A value of `a=setup`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Setup {
    /// This end begins.
    Active,
    /// The other end begins.
    Passive,
    /// In an offer: as the other end likes.
    Actpass,
    /// Nobody begins for now.
    Holdconn,
}

impl Setup {
    /// Reads the attribute's value.
    pub fn parse(value: &str) -> Option<Setup> {
        [Setup::Active, Setup::Passive, Setup::Actpass, Setup::Holdconn]
            .into_iter()
            .find(|setup| setup.as_str().eq_ignore_ascii_case(value.trim()))
    }

    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::Actpass => "actpass",
            Setup::Holdconn => "holdconn",
        }
    }

    /// What answers it, RFC 4145 §4.1: an offer that leaves it open is answered as `active` says.
    #[must_use]
    pub fn answered(self, active: bool) -> Setup {
        match self {
            Setup::Active => Setup::Passive,
            Setup::Passive => Setup::Active,
            Setup::Holdconn => Setup::Holdconn,
            Setup::Actpass if active => Setup::Active,
            Setup::Actpass => Setup::Passive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_end_begins() {
        for (offer, active, answer) in [
            ("active", true, Setup::Passive),
            ("passive", false, Setup::Active),
            ("actpass", true, Setup::Active),
            ("ActPass ", false, Setup::Passive),
            ("holdconn", true, Setup::Holdconn),
        ] {
            assert_eq!(Setup::parse(offer).unwrap().answered(active), answer, "{offer}");
        }
        assert_eq!(Setup::parse("both"), None);
    }
}
