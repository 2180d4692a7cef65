//! Security-Client, Security-Server and Security-Verify, RFC 3329 §2.2 with the parameters of
//! TS 33.203 Annex H.

use core::fmt;

use crate::lex::Params;

/// One mechanism, such as `ipsec-3gpp` or `tls`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SecurityMechanism<'a> {
    /// The mechanism's name.
    pub name: &'a str,
    /// Its parameters: `q`, `alg`, `ealg`, `prot`, `mod`, `spi-c`, `spi-s`, `port-c`, `port-s`.
    pub params: Params<'a>,
}

impl<'a> SecurityMechanism<'a> {
    /// Reads one element.
    pub fn parse(element: &'a str) -> Option<SecurityMechanism<'a>> {
        let end = element.find(';').unwrap_or(element.len());
        let name = element[..end].trim();
        let params = Params::new(&element[end..]);
        crate::lex::is_token(name).then_some(SecurityMechanism { name, params })
    }
}

impl fmt::Display for SecurityMechanism<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.params.as_str())
    }
}
