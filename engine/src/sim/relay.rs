//! The packet path over the virtual network.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use base::relay::{Command, Event, PortId};
use base::{Bytes, Input, Instant, Service};

use super::fabric::{Delivery, Fabric, Host, Owner};
use crate::relay::pool::{Pool, TRIES};
use crate::relay::{Forward, event_port};
use crate::shard::{FunctionId, Packets};

/// So many bytes a packet may grow by on its way.
const ROOM: usize = 256;

/// A host's media relay.
pub struct VirtualRelay {
    forward: Box<dyn Forward>,
    ports: RangeInclusive<u16>,
    pool: Option<Pool>,
    open: BTreeMap<PortId, (FunctionId, SocketAddr)>,
}

impl VirtualRelay {
    /// A relay whose RTP ports are the even ones of a range.
    pub fn new(ports: RangeInclusive<u16>, forward: Box<dyn Forward>) -> VirtualRelay {
        VirtualRelay { forward, ports, pool: None, open: BTreeMap::new() }
    }

    pub(super) fn command(
        &mut self,
        fabric: &mut Fabric,
        host: Host,
        function: FunctionId,
        command: Command,
    ) {
        let now = fabric.now;
        match command {
            Command::Open { port, address, rtp } => {
                let event = match self.bind(fabric, host, port, (address, rtp)) {
                    Some(rtp) => {
                        self.open.insert(port, (function, rtp));
                        self.forward.open(now, port, rtp);
                        Event::Opened { port, rtp: rtp.port() }
                    }
                    None => Event::NoPort { port },
                };
                fabric.deliveries.push_back(Delivery::Input(host, function, Input::Relay(event)));
            }
            Command::Close { port } => {
                self.forward.command(now, command);
                self.events(fabric, host);
                if let Some((_, rtp)) = self.open.remove(&port) {
                    fabric.udp.remove(&rtp);
                    fabric.udp.remove(&SocketAddr::new(rtp.ip(), rtp.port() + 1));
                    if let Some(pool) = &mut self.pool {
                        pool.give(rtp);
                    }
                }
            }
            command => self.forward.command(now, command),
        }
        self.turn(fabric, host);
    }

    /// When the packet path wants to be woken.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.forward.deadline()
    }

    pub(super) fn expire(&mut self, fabric: &mut Fabric, host: Host) {
        self.forward.expire(fabric.now);
        self.turn(fabric, host);
    }

    pub(super) fn packet(
        &mut self,
        fabric: &mut Fabric,
        host: Host,
        (port, rtcp): (PortId, bool),
        source: SocketAddr,
        bytes: Bytes,
    ) {
        let mut buffer = [&bytes[..], &[0; ROOM]].concat();
        let onward =
            self.forward.packet(fabric.now, (port, rtcp), source, &mut buffer, bytes.len());
        if let Some(onward) = onward
            && let Some((_, rtp)) = self.open.get(&onward.port)
        {
            let from = SocketAddr::new(rtp.ip(), rtp.port() + u16::from(onward.rtcp));
            buffer.truncate(onward.length);
            fabric.send(host, from, onward.to, buffer.into());
        }
        self.turn(fabric, host);
    }

    /// What the path wants after it was told something: packets of its own leave, media control hears.
    fn turn(&mut self, fabric: &mut Fabric, host: Host) {
        while let Some((onward, bytes)) = self.forward.poll_packet() {
            if let Some((_, rtp)) = self.open.get(&onward.port) {
                let from = SocketAddr::new(rtp.ip(), rtp.port() + u16::from(onward.rtcp));
                fabric.send(host, from, onward.to, bytes.into());
            }
        }
        self.events(fabric, host);
    }

    fn events(&mut self, fabric: &mut Fabric, host: Host) {
        while let Some(event) = self.forward.poll_event() {
            if let Some((function, _)) = self.open.get(&event_port(&event)) {
                let input = Input::Relay(event);
                fabric.deliveries.push_back(Delivery::Input(host, *function, input));
            }
        }
    }

    fn bind(
        &mut self,
        fabric: &mut Fabric,
        host: Host,
        port: PortId,
        (address, wanted): (IpAddr, Option<u16>),
    ) -> Option<SocketAddr> {
        let pool =
            self.pool.get_or_insert_with(|| Pool::new(self.ports.clone(), fabric.random.fork()));
        for _ in 0..wanted.map_or(TRIES, |_| 1) {
            let local = pool.lease(address, wanted)?;
            let (owner, service) = (Owner::Relay(port, false), Service::Rtp);
            if let Some((rtp, _)) = fabric.bind(host, owner, service, local, true) {
                let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
                if fabric.bind(host, Owner::Relay(port, true), service, rtcp, true).is_some() {
                    return Some(rtp);
                }
                fabric.udp.remove(&rtp);
            }
            pool.give(local);
        }
        None
    }
}

/// Commands wait here until the shard has run.
#[derive(Default)]
pub(super) struct Commands(pub(super) Vec<(FunctionId, Command)>);

impl Packets for Commands {
    fn command(&mut self, _: Instant, function: FunctionId, command: Command) {
        self.0.push((function, command));
    }
}
