//! Media through a relay that speaks the NG protocol: ours, or an rtpengine. S-CSCF and E-CSCF ask it.
//!
//! A message whose SDP has to be rewritten waits here for the relay. If the relay does not answer,
//! the message goes on as it came: a call without the relay is better than none; and for a while nobody waits for
//! it. What is asked for which message is in `media`.

mod media;

use std::collections::{BTreeMap, VecDeque};

use base::machine::{Input, Name};
use base::time::Duration;
use base::{Deadline, Instant, Output, Random, Service};
use ng::client::{Client, ClientEvent, RequestId};
use ng::request::{Command, Request};
use ng::response::Outcome;
use sip::{Hop, Message, ServerId};

use crate::proxy::{ContextId, Proxy, Upstream};
use media::SDP;
pub(crate) use media::{Anchored, Step};

/// The top byte of this client's numbers.
const ID_BASE: u8 = 0x4e;

/// How long a relay that did not answer is not waited for.
const AWAY: Duration = Duration::from_secs(10);

/// Offers in responses that wait for their answer, at most.
const MAX_LATE: usize = 100_000;

/// What to do with a message once its SDP is rewritten. `L` is what is kept of a request until it is answered.
#[derive(Debug)]
pub(crate) enum Held<L> {
    /// Forward copies of a request: in a context of its own, or as further ones in this one.
    Forward { upstream: Upstream, copies: Vec<(Message, Hop)>, leg: L, context: Option<ContextId> },
    /// Pass a response upstream.
    Pass { context: ContextId, response: Message },
    /// Send an ACK on.
    Ack { ack: Message, hop: Hop },
    /// Nothing: the relay was only told.
    Nothing,
}

impl<L> Held<L> {
    /// Does it.
    pub(crate) fn carry_out(self, now: Instant, proxy: &mut Proxy<L>) {
        match self {
            Held::Forward { upstream, copies, leg, context: None } => {
                proxy.forward(now, upstream, copies, leg);
            }
            Held::Forward { copies, leg, context: Some(context), .. } => {
                if let Some(kept) = proxy.kept(context) {
                    *kept = leg;
                }
                proxy.again(now, context, copies);
            }
            Held::Pass { context, response } => proxy.pass(now, context, response),
            Held::Ack { ack, hop } => proxy.stack.send_ack(now, ack, hop),
            Held::Nothing => {}
        }
    }

    fn replace_sdp(&mut self, sdp: &[u8]) {
        let body = base::Bytes::copy_from_slice(sdp);
        let put = |message: &mut Message| message.set_part(SDP, body.clone());
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
pub(crate) struct Done<L> {
    pub(crate) then: Held<L>,
    /// Why the relay has no part in it.
    pub(crate) failed: Option<String>,
}

/// The relay's client and what waits for it.
#[derive(Debug)]
pub(crate) struct Anchor<L> {
    client: Option<Client>,
    /// New calls go through it.
    active: bool,
    /// What the client's first number comes from.
    seed: u64,
    /// Until when nobody waits for it: it did not answer.
    away: Option<Instant>,
    waiting: BTreeMap<RequestId, Held<L>>,
    done: VecDeque<Done<L>>,
    /// Calls with an offer in a response, and the tag of who made it.
    late: BTreeMap<String, String>,
}

impl<L> Anchor<L> {
    pub(crate) fn new(relay: Option<Name>, mut random: Random) -> Anchor<L> {
        let mut anchor = Anchor {
            client: None,
            active: false,
            seed: random.u64(),
            away: None,
            waiting: BTreeMap::new(),
            done: VecDeque::new(),
            late: BTreeMap::new(),
        };
        anchor.configure(relay);
        anchor
    }

    /// Where new calls go through from now on; those that are under way keep the relay that they have.
    pub(crate) fn configure(&mut self, relay: Option<Name>) {
        self.active = relay.is_some();
        if let (None, Some(name)) = (&self.client, relay) {
            self.client = Some(Client::new(name, ID_BASE, self.seed));
        }
    }

    /// Messages that wait for the relay, and offers that wait for their answer.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.late.len()
    }

    /// Whether new calls go through a relay.
    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// Whether there is a relay for calls that go through it already.
    pub(crate) fn is_there(&self) -> bool {
        self.client.is_some()
    }

    /// Has a message wait until the relay has answered.
    pub(crate) fn ask(&mut self, now: Instant, step: Step, then: Held<L>) {
        if self.away.is_some_and(|until| now < until) {
            let failed = Some("the relay did not answer a moment ago".to_owned());
            return self.done.push_back(Done { then, failed });
        }
        match &mut self.client {
            Some(client) => {
                let id = client.request(now, &step.0);
                self.waiting.insert(id, then);
            }
            None => self.done.push_back(Done { then, failed: None }),
        }
    }

    /// The session is over.
    fn delete(&mut self, now: Instant, call_id: &str, from_tag: &str) {
        self.late.remove(call_id);
        if let Some(client) = &mut self.client {
            let id = client.request(now, &Request::about(Command::Delete, call_id, from_tag));
            self.waiting.insert(id, Held::Nothing);
        }
    }

    /// A response made an offer: the answer will come in an ACK or PRACK.
    fn offered(&mut self, call_id: &str, by: &str) {
        if self.late.len() < MAX_LATE {
            self.late.insert(call_id.to_owned(), by.to_owned());
        }
    }

    /// The ACK came: whatever was offered in a response is answered by now.
    fn confirmed(&mut self, call_id: &str) {
        self.late.remove(call_id);
    }

    /// Whether SDP in a PRACK to this tag answers an offer; asked once.
    fn awaits_answer(&mut self, call_id: &str, to_tag: Option<&str>) -> bool {
        let awaited = self.late.get(call_id).is_some_and(|by| Some(by.as_str()) == to_tag);
        if awaited {
            self.late.remove(call_id);
        }
        awaited
    }

    /// The INVITE was cancelled before the relay answered: it must not be forwarded any more.
    pub(crate) fn cancel(&mut self, cancelled: ServerId) -> Option<Upstream> {
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
    pub(crate) fn handle(&mut self, now: Instant, input: Input) -> Option<Input> {
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
                ClientEvent::Answered { id, response } => {
                    self.away = None;
                    match response.outcome {
                        Outcome::Ok | Outcome::Pong => (id, Ok(response.sdp)),
                        _ => (id, Err(response.error_reason.unwrap_or_default())),
                    }
                }
                ClientEvent::Failed { id, error } => {
                    self.away = Some(now + AWAY);
                    (id, Err(error.to_string()))
                }
            };
            let Some(mut then) = self.waiting.remove(&id) else { continue };
            let failed = match result {
                Ok(sdp) => {
                    sdp.into_iter().for_each(|sdp| then.replace_sdp(&sdp));
                    None
                }
                Err(why) => Some(why),
            };
            self.done.push_back(Done { then, failed });
        }
        (!ours).then_some(input)
    }

    /// The next message that may go on.
    pub(crate) fn poll(&mut self) -> Option<Done<L>> {
        self.done.pop_front()
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.client.as_mut()?.poll_output()
    }

    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.client.as_ref()?.deadline()
    }
}
