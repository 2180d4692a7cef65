//! How the peers of a node are: for operators.
//!
//! A node takes [`Ask`] as an order, through its function, and answers with a [`Status`] as a report.

use base::machine::{Order, Report};

use super::Node;

/// The order: tell how the peers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask;

impl Ask {
    /// The order to hand to a function; one without Diameter does not answer.
    pub fn order() -> Order {
        Order(Box::new(Ask))
    }

    /// Whether an order is this one.
    pub fn is(order: &Order) -> bool {
        order.0.is::<Ask>()
    }
}

/// The report: what is up.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Status {
    /// The applications that this node asks others by, and whether a peer is open that serves it.
    /// None for a node that is not told of any peer: others come to it.
    pub applications: Vec<(u32, bool)>,
    /// All peers, the configured ones first.
    pub peers: Vec<PeerStatus>,
}

/// One peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerStatus {
    /// Its DiameterIdentity.
    pub host: String,
    /// Whether capabilities are exchanged and the connection lives.
    pub up: bool,
}

impl Node {
    /// How the peers are.
    pub fn status(&self) -> Status {
        let up = |id: u32| self.peers.values().any(|p| p.state.open().is_some() && p.supports(id));
        let asks = if self.config.peers.is_empty() { &[][..] } else { &self.config.applications };
        let status = |up: bool, host: &str| PeerStatus { host: host.to_owned(), up };
        let peers = self.peers.values().map(|p| status(p.state.open().is_some(), &p.host));
        Status {
            applications: asks.iter().map(|a| (a.id, up(a.id))).collect(),
            peers: peers.collect(),
        }
    }

    pub(super) fn report_status(&self) -> base::Output {
        base::Output::Report(Report(Box::new(self.status())))
    }
}
