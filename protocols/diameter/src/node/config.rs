//! What a node is told at its start.

use std::net::IpAddr;

use base::machine::Name;
use base::time::Duration;
use base::trust::Networks;

use crate::avp::Writer;
use crate::dictionary::*;

/// The application id of a relay, RFC 6733 §2.4.
pub const RELAY: u32 = 0xffff_ffff;

/// An application that a node announces and, perhaps, serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Application {
    /// The application id.
    pub id: u32,
    /// The vendor, if it is announced as a Vendor-Specific-Application-Id.
    pub vendor: Option<u32>,
    /// The commands whose requests this function takes; others are answered 3001.
    pub serves: Vec<u32>,
}

impl Application {
    /// What every message of a vendor's application says: which one it is, and that no state is
    /// maintained (RFC 6733 §8.11).
    pub(crate) fn write(&self, out: &mut Writer) {
        let Some(vendor) = self.vendor else { return };
        out.group(VENDOR_SPECIFIC_APPLICATION_ID, |group| {
            group.u32(VENDOR_ID, vendor).u32(AUTH_APPLICATION_ID, self.id);
        });
        out.u32(AUTH_SESSION_STATE, 1);
    }
}

/// A peer to connect to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerConfig {
    /// Where to find it.
    pub name: Name,
    /// Its DiameterIdentity: what its Origin-Host must be.
    pub host: String,
    /// The realm that is reached through it.
    pub realm: String,
}

/// The configuration of a [`Node`](super::Node).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeConfig {
    /// Our DiameterIdentity.
    pub origin_host: String,
    /// Our realm.
    pub origin_realm: String,
    /// Product-Name.
    pub product_name: String,
    /// Our Vendor-Id; 0 is none.
    pub vendor_id: u32,
    /// Supported-Vendor-Id.
    pub supported_vendors: Vec<u32>,
    /// What we announce and serve.
    pub applications: Vec<Application>,
    /// Whom to connect to, best first.
    pub peers: Vec<PeerConfig>,
    /// Who may connect, beside functions and programs of the same host.
    pub trusted: Networks,
    /// Host-IP-Address where the connection has no IP address of its own.
    pub addresses: Vec<IpAddr>,
    /// Tw, the watchdog's interval, at least 6 s (RFC 3539 §3.4.1).
    pub tw: Duration,
    /// Tc, the longest wait before another attempt to connect (RFC 6733 §2.1). The first waits are
    /// shorter: 1 s, doubled each time.
    pub tc: Duration,
    /// The top byte of every `OpenId` and `QueryId` that the node mints.
    pub id_base: u64,
    /// Requests of our own that may wait for answers at a time, and of others.
    pub max_pending: usize,
}

impl NodeConfig {
    /// A node that announces nothing yet, with the standards' timers.
    pub fn new(origin_host: impl Into<String>, origin_realm: impl Into<String>) -> NodeConfig {
        NodeConfig {
            origin_host: origin_host.into(),
            origin_realm: origin_realm.into(),
            product_name: "Strowger".to_owned(),
            vendor_id: 0,
            supported_vendors: vec![crate::dictionary::VENDOR_3GPP],
            applications: Vec::new(),
            peers: Vec::new(),
            trusted: Networks::default(),
            addresses: Vec::new(),
            tw: Duration::from_secs(30),
            tc: Duration::from_secs(30),
            id_base: 0xd1 << 56,
            max_pending: 65_536,
        }
    }
}
