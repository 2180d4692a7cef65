//! Whether the other relays live: each is asked ten times a second, over a connection to its door for NG. One whose connection
//! ends, or that has not answered when it is to be asked again, is dead. (Who was only slow keeps its calls: see `mod`.)

use std::net::SocketAddr;

use base::log::Severity;
use base::machine::OpenId;
use base::time::Duration;
use base::{Bytes, Flow, Output, Service, Transport};
use ng::{Command, Encoding, Message, Request};

use crate::machine::{Media, Timer};

/// The key of a `pong` that says which relay it is from.
pub(crate) const RELAY: &str = "relay";
/// From one question to the next.
const BEAT: Duration = Duration::from_millis(100);
/// When one that cannot be reached is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Another relay.
#[derive(Debug)]
pub(super) struct Neighbour {
    name: String,
    doors: Vec<SocketAddr>,
    /// The door that is tried next.
    door: usize,
    link: Link,
    life: Life,
}

/// The connection to it.
#[derive(Debug)]
enum Link {
    Away,
    Opening(OpenId),
    /// Whether it was asked and has not answered.
    Up(Flow, bool),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// Nobody knows yet.
    Unknown,
    Alive,
    Dead,
}

/// The doors of a relay's record.
pub(super) fn doors(value: &[u8]) -> Option<Vec<SocketAddr>> {
    postcard::from_bytes(value).ok()
}

impl Neighbour {
    fn flow(&self) -> Option<Flow> {
        match self.link {
            Link::Up(flow, _) => Some(flow),
            _ => None,
        }
    }
}

impl Media {
    /// There is another relay, or it has other doors.
    pub(super) fn neighbour(&mut self, name: &str, value: &[u8]) {
        let Some(doors) = doors(value) else { return };
        let neighbours = &mut self.takeover.neighbours;
        if let Some(known) = neighbours.iter_mut().find(|neighbour| neighbour.name == name) {
            known.doors = doors;
            return;
        }
        let (name, link, life) = (name.to_owned(), Link::Away, Life::Unknown);
        neighbours.push(Neighbour { name, doors, door: 0, link, life });
        let at = neighbours.len() - 1;
        self.look_at(at);
    }

    /// It is to be forgotten.
    pub(super) fn no_neighbour(&mut self, name: &str) {
        if let Some(known) = self.takeover.neighbours.iter_mut().find(|n| n.name == name) {
            known.doors.clear();
        }
    }

    /// Connects to a door of another relay.
    fn look_at(&mut self, at: usize) {
        let open = OpenId(self.number());
        let Some(neighbour) = self.takeover.neighbours.get_mut(at) else { return };
        let count = neighbour.doors.len();
        let Some(door) = neighbour.doors.get(neighbour.door % count.max(1)).copied() else {
            return;
        };
        neighbour.door += 1;
        neighbour.link = Link::Opening(open);
        let (service, transport) = (Service::Ng, Transport::Tcp);
        let remote = Some(door.into());
        self.out(Output::Open { open, service, transport, remote, local: None, name: None });
    }

    fn neighbour_with(&self, is: impl Fn(&Neighbour) -> bool) -> Option<usize> {
        self.takeover.neighbours.iter().position(is)
    }

    /// A connection to another relay is there.
    pub(crate) fn connected(&mut self, open: OpenId, flow: Flow) {
        match self.neighbour_with(|n| matches!(n.link, Link::Opening(own) if own == open)) {
            Some(at) => {
                self.takeover.neighbours[at].link = Link::Up(flow, false);
                self.beat(at);
            }
            None => self.out(Output::Close { flow }),
        }
    }

    /// There is none by that door.
    pub(crate) fn not_connected(&mut self, open: OpenId, why: &str) {
        let Some(at) = self.neighbour_with(|n| matches!(n.link, Link::Opening(own) if own == open))
        else {
            return;
        };
        let neighbour = &self.takeover.neighbours[at];
        match neighbour.door % neighbour.doors.len().max(1) {
            0 => self.dead(at, why),
            _ => self.look_at(at),
        }
    }

    /// Time for the next question.
    pub(crate) fn beat(&mut self, at: usize) {
        let Some(neighbour) = self.takeover.neighbours.get_mut(at) else { return };
        let Link::Up(flow, asked) = &mut neighbour.link else { return self.look_at(at) };
        let flow = *flow;
        if std::mem::replace(asked, true) {
            self.out(Output::Close { flow });
            return self.dead(at, "it does not answer");
        }
        let dict = Request { command: Command::Ping, ..Request::default() }.to_dict();
        let cookie = self.number().to_string();
        let message = Message { cookie, encoding: Encoding::Bencode, dict }.emit().into();
        self.out(Output::Transmit { flow, message });
        self.set_timer(self.now + BEAT, Timer::Beat(at));
    }

    /// An answer of another relay; false if the flow is nobody's that is watched.
    pub(crate) fn is_answer(&mut self, flow: &Flow, message: &Bytes) -> bool {
        let Some(at) = self.neighbour_with(|n| n.flow().is_some_and(|own| own.id == flow.id))
        else {
            return false;
        };
        let neighbour = &mut self.takeover.neighbours[at];
        let dict = Message::parse(message).map(|message| message.dict);
        // The address of a dead one may be another one's by now, even ours.
        let same = dict.is_ok_and(|dict| dict.text(RELAY) == Some(&neighbour.name));
        if !same {
            self.out(Output::Close { flow: *flow });
            self.dead(at, "another relay answers at its door");
            return true;
        }
        neighbour.link = Link::Up(*flow, false);
        if std::mem::replace(&mut neighbour.life, Life::Alive) != Life::Alive {
            let name = neighbour.name.clone();
            let text = format!("the relay {name} lives: its calls go on elsewhere if it dies");
            self.log(Severity::Info, "media.neighbour", text);
            self.want_no_more(&name);
        }
        true
    }

    /// A connection is over.
    pub(crate) fn ended(&mut self, flow: &Flow, why: &str) {
        if let Some(at) = self.neighbour_with(|n| n.flow().is_some_and(|own| own.id == flow.id)) {
            self.dead(at, why);
        }
    }

    /// A relay is dead: the next living one goes on with its calls.
    fn dead(&mut self, at: usize, why: &str) {
        let neighbour = &mut self.takeover.neighbours[at];
        neighbour.link = Link::Away;
        let before = std::mem::replace(&mut neighbour.life, Life::Dead);
        let name = neighbour.name.clone();
        self.set_timer(self.now + AGAIN, Timer::Beat(at));
        if before != Life::Dead {
            self.log(Severity::Warning, "media.dead", format!("the relay {name} is dead: {why}"));
            self.inherit();
        }
    }

    /// Goes on with the calls of those dead relays that we are the heir of.
    fn inherit(&mut self) {
        let Some(ours) = self.config.relay.clone() else { return };
        let all = &self.takeover.neighbours;
        let living = || {
            let others = all.iter().filter(|n| n.life == Life::Alive).map(|n| n.name.as_str());
            others.chain([ours.name.as_str()])
        };
        let is_heir = |dead: &str| {
            let next = living().filter(|name| *name > dead).min();
            next.or(living().min()) == Some(&ours.name)
        };
        let dead = all.iter().filter(|n| n.life == Life::Dead).map(|n| n.name.clone());
        let left: Vec<String> = dead.filter(|name| is_heir(name)).collect();
        self.want(&left.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
