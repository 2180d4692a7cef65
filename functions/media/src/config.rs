//! What the operator decides.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base::relay::Form;
use base::time::Duration;
use base::trust::Networks;
use ng::request::AddressFamily;

use crate::playing::Sound;

/// A local address of the relay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The name that `direction` calls it by.
    pub name: String,
    /// The address that ports are bound to.
    pub local: IpAddr,
    /// The address that descriptions show; another one than `local` behind a static NAT.
    pub advertised: IpAddr,
}

impl Interface {
    /// An interface that shows the address it is bound to.
    pub fn new(name: &str, address: IpAddr) -> Interface {
        Interface { name: name.to_owned(), local: address, advertised: address }
    }

    fn is(&self, family: AddressFamily) -> bool {
        self.advertised.is_ipv4() == (family == AddressFamily::Ip4)
    }
}

/// When calls end by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// No packet of a call that should have some.
    pub timeout: Duration,
    /// No packet of a call of which all streams are held.
    pub silent: Duration,
    /// No answer to an offer, and no packet either.
    pub offer: Duration,
    /// The longest call; `None` for no limit.
    pub final_timeout: Option<Duration>,
    /// How long a deleted call stays if the request does not say.
    pub delete_delay: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            timeout: Duration::from_secs(60),
            silent: Duration::from_secs(3600),
            offer: Duration::from_secs(3600),
            final_timeout: None,
            delete_delay: Duration::ZERO,
        }
    }
}

/// A relay among others that go on with its calls if it dies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relay {
    /// Its name, which no other one has.
    pub name: String,
    /// Where the others see whether it lives: its doors for NG over TCP.
    pub doors: Vec<SocketAddr>,
}

/// What the operator decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaConfig {
    /// The addresses, the preferred one first; at least one.
    pub interfaces: Vec<Interface>,
    /// When calls end by themselves.
    pub timeouts: Timeouts,
    /// The most calls at a time.
    pub max_sessions: usize,
    /// What `play media` can play, by name.
    pub sounds: Arc<BTreeMap<String, Sound>>,
    /// What becomes of calls that are recorded; `None` if none can be.
    pub recordings: Option<Form>,
    /// Whether digits that parties say are told in the log.
    pub dtmf_log: bool,
    /// The UDP ports of the packet path, as an operator is told them.
    pub ports: std::ops::RangeInclusive<u16>,
    /// Calls have records, for another relay or for this one after a restart; `None` if not.
    pub relay: Option<Relay>,
    /// Who may ask, beside functions and programs of the same host.
    pub trusted: Networks,
}

impl MediaConfig {
    /// The usual values for these addresses; interfaces are named by their address.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> MediaConfig {
        let named = |address: IpAddr| Interface::new(&address.to_string(), address);
        MediaConfig {
            interfaces: addresses.into_iter().map(named).collect(),
            timeouts: Timeouts::default(),
            max_sessions: 100_000,
            sounds: Arc::default(),
            recordings: None,
            dtmf_log: false,
            ports: 30_000..=30_999,
            relay: None,
            trusted: Networks::default(),
        }
    }

    /// The interface of this name and family; a family that was asked for is binding, a name is a
    /// wish.
    pub(crate) fn interface(
        &self,
        name: Option<&str>,
        wanted: Option<AddressFamily>,
        usual: Option<AddressFamily>,
    ) -> Option<&Interface> {
        let all = || self.interfaces.iter();
        let fits = |i: &&Interface| wanted.is_none_or(|family| i.is(family));
        let likes = |i: &&Interface| usual.is_none_or(|family| i.is(family));
        let named = |i: &&Interface| name.is_some_and(|name| i.name == name);
        all()
            .filter(named)
            .filter(fits)
            .find(likes)
            .or_else(|| all().filter(fits).find(named))
            .or_else(|| all().filter(fits).find(likes))
            .or_else(|| all().find(fits))
    }
}
