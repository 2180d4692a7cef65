//! Overhears the SIP messages that reach or leave the hosts of a network.

use std::cell::RefCell;
use std::rc::Rc;

use base::{Bytes, Service};
use engine::shard::Direction;
use engine::sim::HostId;
use sip::Message;

use crate::Network;

/// What was overheard since the last time.
#[derive(Clone, Default)]
pub struct Ear(Rc<RefCell<Vec<(HostId, bool, Message)>>>);

impl Ear {
    /// Listens from now on.
    pub fn at(network: &mut Network) -> Ear {
        let ear = Ear::default();
        let heard = Rc::clone(&ear.0);
        network.sim.tap(move |_, host, crossing| {
            let sent = match crossing.direction {
                Direction::Sent => true,
                Direction::Received => false,
                Direction::Between => return,
            };
            if crossing.service == Service::Sip
                && let Ok(message) = Message::parse(Bytes::copy_from_slice(crossing.bytes))
            {
                heard.borrow_mut().push((host, sent, message));
            }
        });
        ear
    }

    /// Requests of a method that reached a host, repetitions and all.
    pub fn reached(&self, host: HostId, method: &str) -> Vec<Message> {
        self.requests(host, method, false)
    }

    /// Requests of a method that a host sent.
    pub fn sent(&self, host: HostId, method: &str) -> Vec<Message> {
        self.requests(host, method, true)
    }

    /// Responses to a method that reached a host.
    pub fn answers(&self, host: HostId, method: &str) -> Vec<Message> {
        let of = |m: &Message| {
            let cseq = m.get(sip::HeaderName::CSeq).unwrap_or("");
            !m.is_request() && cseq.ends_with(method)
        };
        self.filtered(host, false, of)
    }

    /// What was heard so far is forgotten.
    pub fn forget(&self) {
        self.0.borrow_mut().clear();
    }

    fn requests(&self, host: HostId, method: &str, sent: bool) -> Vec<Message> {
        self.filtered(host, sent, |m| m.method().is_some_and(|m| m.as_str() == method))
    }

    fn filtered(&self, host: HostId, sent: bool, of: impl Fn(&Message) -> bool) -> Vec<Message> {
        let heard = self.0.borrow();
        let of =
            |entry: &&(HostId, bool, Message)| entry.0 == host && entry.1 == sent && of(&entry.2);
        heard.iter().filter(of).map(|(_, _, message)| message.clone()).collect()
    }
}
