//! P-Access-Network-Info, RFC 7315 §4.4.

use crate::lex::Params;

/// One access network that the phone, or the network for it, names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessNetworkInfo<'a> {
    /// The access type or class, such as `3GPP-E-UTRAN-FDD` or `IEEE-802.11`.
    pub access: &'a str,
    /// The parameters, such as `utran-cell-id-3gpp` and `network-provided`.
    pub params: Params<'a>,
}

impl<'a> AccessNetworkInfo<'a> {
    /// Reads one element.
    pub fn parse(element: &'a str) -> Option<AccessNetworkInfo<'a>> {
        let end = element.find(';').unwrap_or(element.len());
        let access = element[..end].trim();
        let params = Params::new(&element[end..]);
        crate::lex::is_token(access).then_some(AccessNetworkInfo { access, params })
    }

    /// Whether the network vouches for it; a phone must not say so (TS 24.229 §5.2.1).
    pub fn is_network_provided(&self) -> bool {
        self.params.has("network-provided") || self.params.has("np")
    }
}
