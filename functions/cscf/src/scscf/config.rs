//! How an S-CSCF is set up.

use std::net::SocketAddr;

use auth::digest::Algorithm;
use base::Flow;
use base::dialling::Dialling;
use base::machine::Name;
use base::time::Duration;
use base::trust::Networks;
use diameter::node::NodeConfig;

use crate::limits::LimitsConfig;
use crate::own;

/// Configuration of an S-CSCF.
#[derive(Clone, Debug)]
pub struct ScscfConfig {
    /// Its configured host name.
    pub host: String,
    /// Its port in URIs; `None` leaves it out.
    pub port: Option<u16>,
    /// Where it listens: what application servers, which may not know its name, find in URIs.
    pub addresses: Vec<SocketAddr>,
    /// The home network's domain.
    pub home_domain: String,
    /// The I-CSCF that requests to users of the home network go to.
    pub icscf: Name,
    /// The media relay that calls go through; `None` leaves media alone.
    pub relay: Option<Name>,
    /// The BGCF's URI, for numbers of other networks; without one they are unknown.
    pub bgcf: Option<String>,
    /// The domain below which ENUM finds numbers, such as `e164.arpa`; without one nobody is asked.
    pub enum_suffix: Option<String>,
    /// What people dial before a number.
    pub dialling: Option<Dialling>,
    /// Whose assertions are believed.
    pub trust: Networks,
    /// How much one source may ask that is no network function.
    pub limits: LimitsConfig,
    /// The Diameter side.
    pub diameter: NodeConfig,
    /// The HSS's realm.
    pub diameter_realm: String,
    /// How long the HSS may take.
    pub cx_timeout: Duration,
    /// Shortest registration in seconds; shorter ones get a 423.
    pub min_expires: u32,
    /// Longest registration in seconds; longer ones are cut (TS 24.229 §5.4.1.2.2).
    pub max_expires: u32,
    /// The algorithms of SIP Digest, the most preferred first: a phone is offered all that the HSS has
    /// H(A1) for, and no other is accepted (RFC 8760 §2.4).
    pub digest: Vec<Algorithm>,
    /// How long a challenge may stay unanswered: reg-await-auth, TS 24.229 Table 7.8, 4 minutes.
    pub await_auth: Duration,
    /// Whether the HSS is left what another S-CSCF needs to go on: TS 23.380.
    pub restoration: bool,
    /// Contacts of one user at most; the one that was refreshed longest ago goes.
    pub max_contacts: usize,
}

impl ScscfConfig {
    /// `host` or `host:port`.
    pub fn sent_by(&self) -> String {
        own::sent_by(&self.host, self.port)
    }

    /// The SIP URI that the HSS stores as Server-Name.
    pub fn server_name(&self) -> String {
        format!("sip:{}", self.sent_by())
    }

    pub(super) fn is_us(&self, host: &str, port: Option<u16>, flow: &Flow) -> bool {
        own::is_named((&self.host, self.port), host, port, flow) || self.is_address(host, port)
    }

    /// Whether a URI's host and port are where it listens.
    pub(super) fn is_address(&self, host: &str, port: Option<u16>) -> bool {
        own::is_address(&self.addresses, host, port)
    }

    /// What to call itself towards an application server: an address, or the name if it listens
    /// nowhere.
    pub(super) fn sent_by_towards(&self, server: &str) -> String {
        let address = own::address_towards(&self.addresses, server);
        address.map_or_else(|| self.sent_by(), |address| address.to_string())
    }
}
