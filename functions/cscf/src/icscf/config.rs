//! How an I-CSCF is set up.

use base::Flow;
use base::time::Duration;
use base::trust::Networks;
use diameter::node::NodeConfig;

use crate::limits::LimitsConfig;
use crate::own;

/// Configuration of an I-CSCF.
#[derive(Clone, Debug)]
pub struct IcscfConfig {
    /// Its configured host name.
    pub host: String,
    /// Its port in URIs; `None` leaves it out.
    pub port: Option<u16>,
    /// The home network's domain: what its users' URIs end with, and what names this I-CSCF too.
    pub home_domain: String,
    /// The S-CSCFs of the network.
    pub scscfs: Vec<Scscf>,
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
    /// How long an S-CSCF may take to answer if there is another one: longer than the HSS, which
    /// it asks.
    pub patience: Duration,
}

/// An S-CSCF that may be chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scscf {
    /// Its SIP URI.
    pub uri: String,
    /// What it can do, as numbers that the operator gives meaning to (TS 29.228 §6.7).
    pub capabilities: Vec<u32>,
}

impl IcscfConfig {
    /// `host` or `host:port`.
    pub fn sent_by(&self) -> String {
        own::sent_by(&self.host, self.port)
    }

    /// Whether a URI's host and port name this I-CSCF. The home domain alone is its entry point.
    pub(super) fn is_us(&self, host: &str, port: Option<u16>, flow: &Flow) -> bool {
        own::is_named((&self.host, self.port), host, port, flow)
    }
}
