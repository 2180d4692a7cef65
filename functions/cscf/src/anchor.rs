//! Media through a relay that speaks the NG protocol: ours, or an rtpengine.
//!
//! A message whose SDP has to be rewritten waits here for the relay. If the relay does not answer,
//! the message goes on as it came: a call without the relay is better than none.

use std::collections::{BTreeMap, VecDeque};

use base::machine::{Input, Name};
use base::{Deadline, Instant, Output, Random, Service};
use ng::client::{Client, ClientEvent, RequestId};
use ng::request::{Command, Replace, Request};
use ng::response::Outcome;
use sip::header::{HeaderName, NameAddr};
use sip::{Hop, Message, ServerId};

use super::session::{Leg, has_sdp};
use crate::proxy::{ContextId, Upstream};

/// The top byte of this client's numbers.
const ID_BASE: u8 = 0x4e;

/// Offers in responses that wait for their answer, at most.
const MAX_LATE: usize = 100_000;

/// What to do with a message once its SDP is rewritten.
#[derive(Debug)]
pub(super) enum Held {
    /// Forward copies of a request.
    Forward {
        upstream: Upstream,
        copies: Vec<(Message, Hop)>,
        leg: Leg,
        context: Option<ContextId>,
    },
    /// Pass a response upstream.
    Pass { context: ContextId, response: Message },
    /// Send an ACK on.
    Ack { ack: Message, hop: Hop },
    /// Nothing: the relay was only told.
    Nothing,
}

impl Held {
    pub(super) fn replace_sdp(&mut self, sdp: &[u8]) {
        let body = base::Bytes::copy_from_slice(sdp);
        let put = |message: &mut Message| {
            if has_sdp(message) {
                let content_type = message.get(HeaderName::ContentType).unwrap_or("").to_owned();
                message.set_body(&content_type, body.clone());
            }
        };
        match self {
            Held::Forward { copies, .. } => copies.iter_mut().for_each(|(copy, _)| put(copy)),
            Held::Pass { response, .. } => put(response),
            Held::Ack { ack, .. } => put(ack),
            Held::Nothing => {}
        }
    }
}

/// A message that may go on: with new SDP, as it is, or as it is because the relay failed.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) then: Held,
    pub(super) result: Result<Option<Vec<u8>>, String>,
}

/// What the relay is asked.
#[derive(Debug)]
pub(super) struct Step(Request);

impl Step {
    /// The SDP is an offer; `sender` is the tag of who makes it.
    pub(super) fn offer(call_id: &str, sender: &str, receiver: Option<&str>, sdp: &[u8]) -> Step {
        Step::new(Command::Offer, call_id, sender, receiver, sdp)
    }

    /// The SDP is an answer; `offerer` is the tag of who made the offer.
    pub(super) fn answer(call_id: &str, offerer: &str, sender: Option<&str>, sdp: &[u8]) -> Step {
        Step::new(Command::Answer, call_id, offerer, sender, sdp)
    }

    /// The SDP of an ACK or PRACK answers an offer that was made in a response.
    pub(super) fn late_answer(call_id: &str, request: &Message) -> Step {
        let tag = |name| request.get(name).and_then(NameAddr::parse).and_then(|a| a.tag());
        let (from, to) = (tag(HeaderName::From), tag(HeaderName::To).unwrap_or(""));
        Step::new(Command::Answer, call_id, to, from, request.body())
    }

    fn new(command: Command, call: &str, from: &str, to: Option<&str>, sdp: &[u8]) -> Step {
        let mut request = Request::about(command, call, from);
        request.to_tag = to.map(str::to_owned);
        request.sdp = Some(sdp.to_vec());
        request.replace = Replace { origin: true, session_connection: true, ..Replace::default() };
        Step(request)
    }
}

/// The relay's client and what waits for it.
#[derive(Debug)]
pub(super) struct Anchor {
    client: Option<Client>,
    /// New calls go through it.
    active: bool,
    /// What the client's first number comes from.
    seed: u64,
    waiting: BTreeMap<RequestId, Held>,
    done: VecDeque<Done>,
    /// Calls with an offer in a response, and the tag of who made it.
    late: BTreeMap<String, String>,
}

impl Anchor {
    pub(super) fn new(relay: Option<Name>, mut random: Random) -> Anchor {
        let mut anchor = Anchor {
            client: None,
            active: false,
            seed: random.u64(),
            waiting: BTreeMap::new(),
            done: VecDeque::new(),
            late: BTreeMap::new(),
        };
        anchor.configure(relay);
        anchor
    }

    /// Where new calls go through from now on; those that are under way keep the relay that they have.
    pub(super) fn configure(&mut self, relay: Option<Name>) {
        self.active = relay.is_some();
        if let (None, Some(name)) = (&self.client, relay) {
            self.client = Some(Client::new(name, ID_BASE, self.seed));
        }
    }

    /// Messages that wait for the relay, and offers that wait for their answer.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.late.len()
    }

    /// Whether new calls go through a relay.
    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    /// Whether there is a relay for calls that go through it already.
    pub(super) fn is_there(&self) -> bool {
        self.client.is_some()
    }

    pub(super) fn ask(&mut self, now: Instant, step: Step, then: Held) {
        match &mut self.client {
            Some(client) => {
                let id = client.request(now, &step.0);
                self.waiting.insert(id, then);
            }
            None => self.done.push_back(Done { then, result: Ok(None) }),
        }
    }

    /// The session is over.
    pub(super) fn delete(&mut self, now: Instant, call_id: &str, from_tag: &str) {
        self.late.remove(call_id);
        if let Some(client) = &mut self.client {
            let id = client.request(now, &Request::about(Command::Delete, call_id, from_tag));
            self.waiting.insert(id, Held::Nothing);
        }
    }

    /// A response made an offer: the answer will come in an ACK or PRACK.
    pub(super) fn offered(&mut self, call_id: &str, by: &str) {
        if self.late.len() < MAX_LATE {
            self.late.insert(call_id.to_owned(), by.to_owned());
        }
    }

    /// The ACK came: whatever was offered in a response is answered by now.
    pub(super) fn confirmed(&mut self, call_id: &str) {
        self.late.remove(call_id);
    }

    /// Whether SDP in a PRACK to this tag answers an offer; asked once.
    pub(super) fn awaits_answer(&mut self, call_id: &str, to_tag: Option<&str>) -> bool {
        let awaited = self.late.get(call_id).is_some_and(|by| Some(by.as_str()) == to_tag);
        if awaited {
            self.late.remove(call_id);
        }
        awaited
    }

    /// The INVITE was cancelled before the relay answered: it must not be forwarded any more.
    pub(super) fn cancel(&mut self, cancelled: ServerId) -> Option<Upstream> {
        let found = self.waiting.iter_mut().find(|(_, then)| {
            matches!(then, Held::Forward { upstream, context: None, .. } if upstream.server() == cancelled)
        });
        let (_, then) = found?;
        match std::mem::replace(then, Held::Nothing) {
            Held::Forward { upstream, .. } => Some(upstream),
            _ => None,
        }
    }

    /// Takes an input if it is the client's, else hands it back.
    pub(super) fn handle(&mut self, now: Instant, input: Input) -> Option<Input> {
        let Some(client) = &mut self.client else { return Some(input) };
        let ours = match &input {
            Input::Received { flow, message } if flow.service == Service::Ng => {
                client.received(flow, message);
                true
            }
            Input::Opened { open, flow } => client.opened(*open, *flow),
            Input::OpenFailed { open, error } => client.open_failed(*open, *error),
            Input::Resolved { query, targets } => client.resolved(*query, targets),
            Input::Closed { flow, error } => client.closed(flow, *error),
            Input::Timeout => {
                client.timeout(now);
                false
            }
            _ => false,
        };
        while let Some(event) = client.poll_event() {
            let (id, result) = match event {
                ClientEvent::Answered { id, response } => match response.outcome {
                    Outcome::Ok | Outcome::Pong => (id, Ok(response.sdp)),
                    _ => (id, Err(response.error_reason.unwrap_or_default())),
                },
                ClientEvent::Failed { id, error } => (id, Err(error.to_string())),
            };
            if let Some(then) = self.waiting.remove(&id) {
                self.done.push_back(Done { then, result });
            }
        }
        (!ours).then_some(input)
    }

    /// The next message that may go on.
    pub(super) fn poll(&mut self) -> Option<Done> {
        self.done.pop_front()
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.client.as_mut()?.poll_output()
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.client.as_ref()?.deadline()
    }
}
