//! How a P-CSCF is set up.

use std::net::SocketAddr;

use base::Flow;
use base::machine::Name;
use base::trust::Networks;
use sip::transaction::TimerValues;

use crate::emergency::EmergencyNumbers;
use crate::limits::LimitsConfig;
use crate::own;

/// Configuration of a P-CSCF.
#[derive(Clone, Debug)]
pub struct PcscfConfig {
    /// Its configured host name: what other functions know it by.
    pub host: String,
    /// Its port in URIs towards other functions; `None` leaves it out (5060 or by SRV).
    pub port: Option<u16>,
    /// Where it listens: what phones, which need not know its name, find in URIs.
    pub addresses: Vec<SocketAddr>,
    /// The visited network's name for P-Visited-Network-ID, RFC 7315 §4.3.
    pub network: String,
    /// Where REGISTER goes: the I-CSCF of the home network.
    pub icscf: Name,
    /// Whose assertions are believed.
    pub trust: Networks,
    /// How much one source may ask that is no network function.
    pub limits: LimitsConfig,
    /// Timer values; towards phones on a radio network [`TimerValues::TS24229_AIR`].
    pub timers: TimerValues,
    /// Registered phones at most; beyond it REGISTER gets a 503.
    pub max_bindings: usize,
    /// Transactions at most; beyond it new requests get a 503, emergency calls only later.
    pub max_transactions: usize,
    /// The E-CSCF's URI; without one emergency calls are sent to another network.
    pub ecscf: Option<String>,
    /// What a person here dials in an emergency.
    pub emergency_numbers: EmergencyNumbers,
    /// Emergency calls at a time.
    pub max_emergency_calls: usize,
}

impl PcscfConfig {
    /// A P-CSCF of this host name that sends REGISTER to this I-CSCF.
    pub fn new(host: impl Into<String>, icscf: Name) -> PcscfConfig {
        let host = host.into();
        PcscfConfig {
            network: host.clone(),
            host,
            port: None,
            addresses: Vec::new(),
            icscf,
            trust: Networks::default(),
            limits: LimitsConfig::default(),
            timers: TimerValues::RFC3261,
            max_bindings: 100_000,
            max_transactions: 200_000,
            ecscf: None,
            emergency_numbers: EmergencyNumbers::default(),
            max_emergency_calls: 10_000,
        }
    }

    /// `host` or `host:port`.
    pub fn sent_by(&self) -> String {
        own::sent_by(&self.host, self.port)
    }

    /// Whether a URI's host and port name this P-CSCF: by its name, or by the local address that the
    /// message came in at.
    pub(super) fn is_us(&self, host: &str, port: Option<u16>, flow: &Flow) -> bool {
        own::is_named((&self.host, self.port), host, port, flow)
    }

    /// The same for a phone at this address whose flow is gone.
    pub(super) fn address_towards(&self, phone: &str) -> String {
        let address = own::address_like(&self.addresses, sip::uri::literal(phone));
        address.map_or_else(|| self.sent_by(), |address| address.to_string())
    }

    /// The `host[:port]` that a phone on this flow reaches us by: the address that it already uses,
    /// since a phone need not have our DNS.
    pub(super) fn address_for(&self, flow: &Flow) -> String {
        match flow.local.socket_addr() {
            Some(local) if !local.ip().is_unspecified() => local.to_string(),
            _ => self.sent_by(),
        }
    }
}
