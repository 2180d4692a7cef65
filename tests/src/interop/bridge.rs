//! Several hosts on one network: a namespace for each, joined by a bridge in one more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Namespace;

/// Hosts and the bridge between them; all of it goes with this.
#[derive(Debug)]
pub struct Bridge {
    middle: Namespace,
    hosts: Vec<(&'static str, IpAddr, Namespace)>,
}

/// The bridge's interface, which sees what all hosts send.
pub(super) const WIRE: &str = "br0";

impl Bridge {
    /// Hosts with the addresses 10.8.0.1, 10.8.0.2 … or fd00:8::1, fd00:8::2 …
    ///
    /// # Panics
    /// If the system refuses: this needs root.
    pub fn new(names: &[&'static str], ipv6: bool) -> Bridge {
        let middle = Namespace::bare();
        middle.ip(&["link", "add", WIRE, "type", "bridge", "mcast_snooping", "0"]);
        middle.ip(&["link", "set", WIRE, "up"]);
        let host = |(number, name): (u8, &&'static str)| {
            let host = Namespace::bare();
            let peer = ["peer", "name", "eth0", "netns", host.name()];
            middle.ip(&[&["link", "add", name, "type", "veth"][..], &peer].concat());
            middle.ip(&["link", "set", name, "master", WIRE, "up"]);
            let (address, bits): (IpAddr, u8) = match ipv6 {
                false => (Ipv4Addr::new(10, 8, 0, number).into(), 24),
                true => (Ipv6Addr::new(0xfd00, 8, 0, 0, 0, 0, 0, number.into()).into(), 64),
            };
            let prefix = format!("{address}/{bits}");
            // Duplicate address detection would keep it from being used at once.
            let own: &[&str] = if ipv6 { &["nodad"] } else { &[] };
            host.ip(&[&["addr", "add", &prefix, "dev", "eth0"], own].concat());
            host.ip(&["link", "set", "eth0", "up"]);
            (*name, address, host)
        };
        let hosts = (1..).zip(names).map(host).collect();
        Bridge { middle, hosts }
    }

    /// The bridge's own namespace.
    pub fn middle(&self) -> &Namespace {
        &self.middle
    }

    /// A host's namespace.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn host(&self, name: &str) -> &Namespace {
        &self.find(name).2
    }

    /// A host's address.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn address(&self, name: &str) -> IpAddr {
        self.find(name).1
    }

    /// Whose address it is.
    pub fn name_of(&self, address: IpAddr) -> Option<&'static str> {
        self.hosts.iter().find(|(_, own, _)| *own == address).map(|(name, ..)| *name)
    }

    fn find(&self, name: &str) -> &(&'static str, IpAddr, Namespace) {
        let found = self.hosts.iter().find(|(own, ..)| *own == name);
        found.unwrap_or_else(|| panic!("no host is called {name}"))
    }
}
