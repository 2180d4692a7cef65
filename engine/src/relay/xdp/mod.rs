//! RTP that the kernel moves by itself, by XDP: the program, its maps, and the interfaces whose packets it sees.
//!
//! | File | What |
//! |---|---|
//! | `mod` | flows: begun, read, ended |
//! | `relay.bpf.c` | the program; `relay.bpf.o` is what `cargo xtask bpf` makes of it |
//! | `tables` | what lies in its maps |
//! | `object` | reading the object |
//! | `bpf` | bpf(2) |
//! | `interfaces` | which interface has an address |
//! | `features` | what an interface can do |
//!
//! Nothing outlives the process: programs, maps and links are descriptors.

mod bpf;
mod features;
mod interfaces;
mod object;
mod tables;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use base::Instant;
use base::relay::{KernelWay, PortId, Shortcut, Tracking};
use base::time::Duration;

use crate::net::Clock;
use bpf::{Kind, Map, Shape};
use interfaces::Interface;
use tables::{Key, Route};

/// What `cargo xtask bpf` made.
const OBJECT: &[u8] = include_bytes!("relay.bpf.o");
/// What it says of its license.
const LICENSE: &std::ffi::CStr = c"Dual MIT/GPL";
/// Flows at a time; their room is taken when they are there.
const FLOWS: u32 = 65_536;
/// Interfaces at a time.
const EXITS: u32 = 256;
/// A flow that is over stays, closed, for so long: no program that has just found it sees another one in its place.
const REST: Duration = Duration::from_secs(1);
/// How long a flow may pass by user space. Then it comes up for a moment, and who sends from there asks for a neighbour
/// that may have moved: nobody does for what a program redirects.
const LONGEST: Duration = Duration::from_secs(60);
/// How often it is looked which interface has an address.
const LOOK: Duration = Duration::from_secs(1);

/// The program and its flows.
pub(super) struct Xdp {
    clock: Clock,
    tos: u8,
    flows: Map,
    exits: Map,
    settings: Map,
    relay: OwnedFd,
    end: OwnedFd,
    native: bool,
    links: Vec<(Interface, OwnedFd)>,
    /// Addresses of ours, when they were looked for, and where they are.
    covered: BTreeMap<IpAddr, (Instant, Option<u32>)>,
    away: BTreeMap<PortId, Key>,
    over: BTreeMap<Key, Instant>,
    resting: VecDeque<(Instant, Key)>,
    generation: u32,
}

impl Xdp {
    /// Loads the program.
    ///
    /// # Errors
    /// What the kernel refuses: it may be too old, or the process may lack CAP_BPF or CAP_NET_ADMIN.
    pub(super) fn load(clock: Clock, tos: u8) -> io::Result<Xdp> {
        let types = bpf::load_types(&tables::types())?;
        let types = Some((&types, tables::KEY_TYPE, tables::FLOW_TYPE));
        let (key, value) = (tables::KEY, tables::FLOW);
        let flows = Map::new(&Shape { kind: Kind::Hash, key, value, entries: FLOWS, types })?;
        let small =
            |kind, value, entries| Map::new(&Shape { kind, key: 4, value, entries, types: None });
        let (exits, settings) = (small(Kind::Hash, 4, EXITS)?, small(Kind::Array, 8, 1)?);
        let map = |name: &str| match name {
            "flows" => Some(flows.number()),
            "exits" => Some(exits.number()),
            "settings" => Some(settings.number()),
            _ => None,
        };
        let object = object::Object::parse(OBJECT);
        let program = |name| {
            let instructions = object.as_ref().and_then(|object| object.program(name, map));
            bpf::load_program(&instructions.ok_or(io::ErrorKind::InvalidData)?, LICENSE)
        };
        let (relay, end) = (program("xdp/relay")?, program("xdp/end")?);
        Ok(Xdp {
            clock,
            tos,
            flows,
            exits,
            settings,
            relay,
            end,
            native: true,
            links: Vec::new(),
            covered: BTreeMap::new(),
            away: BTreeMap::new(),
            over: BTreeMap::new(),
            resting: VecDeque::new(),
            generation: 0,
        })
    }

    /// An address of ours is used: its interface is to be one whose packets the program sees. What became of that, if
    /// anything changed. `Err` says why an address is not covered.
    pub(super) fn cover(&mut self, now: Instant, ip: IpAddr) -> Option<Result<KernelWay, String>> {
        let before = self.covered.get(&ip).copied();
        if before.is_some_and(|(looked, _)| now.since(looked) < LOOK) {
            return None;
        }
        if let Some((_, Some(index))) = before
            && self.native
            && !features::takes_redirected(index)
        {
            self.descend();
            self.covered.insert(ip, (now, Some(index)));
            return Some(Ok(self.way()));
        }
        let found = interfaces::with_address(ip);
        let index = found.as_ref().map(|interface| interface.index);
        self.covered.insert(ip, (now, index));
        if before.is_some_and(|(_, before)| before == index) {
            return None;
        }
        let Some(interface) = found else {
            return Some(Err(format!("{ip} is on no interface but the loopback")));
        };
        let outcome = routes_itself(ip).and_then(|()| self.see(interface));
        if outcome.is_err() {
            self.covered.insert(ip, (now, None));
        }
        Some(outcome.map(|()| self.way()))
    }

    /// Whether the interface by which a peer is reached, and by which it so reaches us, is one whose packets are seen. It
    /// need not be that which has the address that the peer sends to.
    fn reaches(&mut self, peer: SocketAddr) -> bool {
        let Some(source) = source_towards(peer) else { return false };
        // Who is on this host is reached by no interface.
        if source == peer.ip() {
            return false;
        }
        self.cover(self.clock.now(), source);
        matches!(self.covered.get(&source), Some((_, Some(_))))
    }

    /// How packets are seen now.
    pub(super) fn way(&self) -> KernelWay {
        let interfaces = self.links.iter().map(|(interface, _)| interface.name.clone()).collect();
        KernelWay { interfaces, native: self.native }
    }

    /// Attaches the program to one more interface. In the drivers only if each of them takes what the others redirect
    /// to it: a veth does so if there is a program, or GRO, at its other end.
    fn see(&mut self, interface: Interface) -> Result<(), String> {
        if self.links.iter().any(|(known, _)| *known == interface) {
            return Ok(());
        }
        // An index is another interface's if the name is another one.
        self.links.retain(|(known, _)| known.index != interface.index);
        if self.native {
            let link = bpf::attach(&self.relay, interface.index, true);
            if let Ok(link) = link
                && features::takes_redirected(interface.index)
                && self.exits.set(&interface.index.to_ne_bytes(), &[0; 4]).is_ok()
            {
                self.links.push((interface, link));
                return Ok(());
            }
            self.descend();
        }
        let link = bpf::attach(&self.relay, interface.index, false);
        let link = link.map_err(|error| format!("XDP on {}: {error}", interface.name))?;
        self.links.push((interface, link));
        Ok(())
    }

    /// From here on the stack's packets are seen on all interfaces, not those of the drivers.
    fn descend(&mut self) {
        self.native = false;
        // An array's one entry cannot be missing.
        let _ = self.settings.set(&[0; 4], &tables::setting(true));
        let before = std::mem::take(&mut self.links);
        for (interface, link) in before {
            drop(link);
            if let Ok(link) = bpf::attach(&self.relay, interface.index, false) {
                self.links.push((interface, link));
            }
        }
    }

    /// Whether the kernel moves a port's packets.
    pub(super) fn has(&self, port: PortId) -> bool {
        self.away.contains_key(&port)
    }

    /// Packets of a shortcut that arrive at `local` leave by `source` from here on. False if nobody would see them, or
    /// there is no room.
    pub(super) fn begin(
        &mut self,
        wanted: &Shortcut,
        local: SocketAddr,
        source: SocketAddr,
    ) -> bool {
        self.rest();
        if ![wanted.from, wanted.to].into_iter().all(|peer| self.reaches(peer)) {
            return false;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        let monotonic = bpf::monotonic();
        let longest = LONGEST.as_nanos() as u64;
        let route = Route {
            source,
            destination: wanted.to,
            tos: self.tos,
            generation: self.generation,
            offset: self.clock.now().unix_micros() * 1000 - monotonic,
            until: monotonic + longest,
        };
        let key = tables::key(local, wanted.from);
        let flow = tables::flow(&route, &wanted.tracking);
        let done = match self.over.remove(&key) {
            Some(_) => self.flows.change(&key, &flow),
            None => self.flows.set(&key, &flow),
        };
        if done.is_ok() {
            self.away.insert(wanted.port, key);
        }
        done.is_ok()
    }

    /// What has been counted of a port's packets so far.
    pub(super) fn read(&self, port: PortId) -> Option<Tracking> {
        let key = self.away.get(&port)?;
        tables::tracking(&self.flows.get(key).ok()?)
    }

    /// Nothing moves a port's packets by itself any more, and this was counted of them.
    pub(super) fn end(&mut self, now: Instant, port: PortId) -> Option<Tracking> {
        let key = self.away.remove(&port)?;
        let mut packet = vec![0; 16];
        packet.extend(key);
        if bpf::run(&self.end, &packet).is_err() {
            // Without the program there is no moment after which nothing is counted; but packets must not go on.
            let last = self.flows.get(&key);
            let _ = self.flows.remove(&key);
            return tables::tracking(&last.ok()?);
        }
        self.over.insert(key, now);
        self.resting.push_back((now, key));
        tables::tracking(&self.flows.get(&key).ok()?)
    }

    /// Forgets flows that have been over for long enough.
    fn rest(&mut self) {
        let now = self.clock.now();
        while let Some((since, key)) = self.resting.front().copied()
            && now.since(since) >= REST
        {
            self.resting.pop_front();
            // It may have begun again, or ended again since.
            if self.over.get(&key) == Some(&since) {
                self.over.remove(&key);
                let _ = self.flows.remove(&key);
            }
        }
    }
}

/// The address that this host would send from, which is on the interface by which it would send.
fn source_towards(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Nothing is sent.
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The kernel looks up routes for a program as for the loopback (what this host sends itself), if that may forward; nothing
/// arrives there that could be forwarded.
fn routes_itself(ip: IpAddr) -> Result<(), String> {
    let version = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
    let path = format!("/proc/sys/net/{version}/conf/lo/forwarding");
    let failed = |error: io::Error| format!("{path}: {error}");
    if std::fs::read_to_string(&path).map_err(failed)?.trim() == "0" {
        std::fs::write(&path, "1").map_err(failed)?;
    }
    Ok(())
}
