//! Overload control by loss, RFC 7339: as a server we say how much less we want, as a client we send
//! so much less.
//!
//! A server has too much to do when its transactions come near their limit, or when whoever drives it does not
//! keep up and says so. It tells clients that offered to listen, and only them. Of what others send as much is
//! refused as these leave out (§5.10.2), and what there is no room for: with a 503, before anything is kept of it.
//! What comes over a wire has been let in by the function before it, in the same process.
//!
//! A client leaves out requests that begin something, more of them where part of the traffic may not
//! be left out: emergencies, those with a priority (RFC 4412), and what belongs to a dialog (§5.10.1).

use std::collections::HashMap;

use base::time::Duration;
use base::{Endpoint, Flow, Instant, Severity, Transport};
use foldhash::quality::FixedState;

use super::Stack;
use crate::header::{HeaderName, OverloadControl, ResourcePriority, Sequence, Via, overload};
use crate::message::Message;
use crate::service_urn::ServiceUrn;

/// How long what we ask for counts. It is said again with each response.
const VALIDITY: Duration = Duration::from_millis(1000);
/// Servers at most whose wishes are remembered.
const MAX_RESTRICTIONS: usize = 1024;
/// How long the log is not told of the same again.
const SILENCE: Duration = Duration::from_secs(60);
/// Requests that the share of the different kinds is learned from.
const SAMPLE: u32 = 128;

/// Both roles.
#[derive(Debug)]
pub(super) struct Overload {
    /// How many of a hundred requests are too many for whoever drives us.
    driver: u8,
    /// Requests that were refused for that.
    shed: u64,
    /// What was said last counts so long.
    said_until: Option<Instant>,
    /// When the log heard of it, and of what others want.
    told: Option<Instant>,
    told_of_others: Option<Instant>,
    restrictions: HashMap<Endpoint, Restriction, FixedState>,
}

/// What a server asked for.
#[derive(Clone, Copy, Debug)]
struct Restriction {
    reduction: u8,
    until: Instant,
    sequence: Sequence,
    /// Requests that could be left out, and others.
    droppable: u32,
    others: u32,
}

impl Restriction {
    /// How many of a hundred droppable requests are left out, so that of all requests as many are
    /// missing as was asked for, §5.10.1.
    fn share(&self) -> u64 {
        let (droppable, others) = (u64::from(self.droppable), u64::from(self.others));
        (u64::from(self.reduction) * (droppable + others) / droppable.max(1)).min(100)
    }
}

impl Overload {
    pub(super) fn new(hasher: FixedState) -> Overload {
        Overload {
            driver: 0,
            shed: 0,
            said_until: None,
            told: None,
            told_of_others: None,
            restrictions: HashMap::with_hasher(hasher),
        }
    }

    /// Whether any server asked for less.
    pub(super) fn is_asked(&self) -> bool {
        !self.restrictions.is_empty()
    }

    /// How many of a hundred requests on this flow are too many for whoever drives us.
    fn of_driver(&self, flow: Option<&Flow>) -> u8 {
        if flow.is_none_or(|flow| flow.transport == Transport::Wire) { 0 } else { self.driver }
    }

    /// A server asked for less, or for no less any more; returns what the log is to say.
    fn asked(
        &mut self,
        now: Instant,
        server: Endpoint,
        control: OverloadControl,
    ) -> Option<String> {
        let known = self.restrictions.get(&server).copied();
        if known.is_some_and(|known| known.sequence >= control.sequence && known.until > now) {
            return None;
        }
        if control.validity == Duration::ZERO || control.reduction == 0 {
            self.restrictions.remove(&server);
            return None;
        }
        if self.restrictions.len() >= MAX_RESTRICTIONS {
            self.restrictions.retain(|_, restriction| restriction.until > now);
        }
        if known.is_none() && self.restrictions.len() >= MAX_RESTRICTIONS {
            return None;
        }
        let mut restriction = Restriction {
            reduction: control.reduction,
            until: now + control.validity,
            sequence: control.sequence,
            droppable: 1,
            others: 0,
        };
        if let Some(known) = known {
            (restriction.droppable, restriction.others) = (known.droppable, known.others);
        }
        self.restrictions.insert(server, restriction);
        if self.told_of_others.is_some_and(|told| now.since(told) < SILENCE) {
            return None;
        }
        self.told_of_others = Some(now);
        Some(format!("{server} has too much to do and asks for {}% less", control.reduction))
    }

    /// Of a request to a server: how many of a hundred such are left out.
    fn share(&mut self, now: Instant, server: Endpoint, droppable: bool) -> u64 {
        let Some(restriction) = self.restrictions.get_mut(&server) else { return 0 };
        if restriction.until <= now {
            self.restrictions.remove(&server);
            return 0;
        }
        let count = if droppable { &mut restriction.droppable } else { &mut restriction.others };
        *count += 1;
        if restriction.droppable + restriction.others > SAMPLE {
            restriction.droppable = restriction.droppable.div_ceil(2);
            restriction.others /= 2;
        }
        if droppable { restriction.share() } else { 0 }
    }
}

impl Stack {
    /// Whoever drives this stack does not keep up: so many of a hundred requests from the network that begin
    /// something are too many for it. With 0 it does again.
    pub fn overloaded(&mut self, percent: u8) {
        self.overload.driver = percent.min(100);
    }

    /// Requests that were refused because whoever drives this stack does not keep up.
    pub fn shed(&self) -> u64 {
        self.overload.shed
    }

    /// Whether a request that begins something is refused at once because whoever drives us does not keep up,
    /// §5.10.2. Clients that listen have left out their share; nothing new is taken of them either once
    /// everything is too much, so that nobody gains by only saying that he listens. Nor by claiming a priority.
    pub(super) fn is_shed(&mut self, request: &Message, flow: &Flow) -> bool {
        let percent = self.overload.of_driver(Some(flow));
        if percent == 0 || self.is_urgent(request) || request.to_tag().is_some() {
            return false;
        }
        let listens = percent < 100 && Stack::is_reduced(request);
        let shed = !listens && self.random.below(100) < u64::from(percent);
        self.overload.shed += u64::from(shed);
        shed
    }

    /// How many of a hundred requests there is no room for.
    fn crowd(&self) -> u8 {
        let most = self.config.max_transactions;
        let busy = most - most / 10;
        let over = self.unanswered().saturating_sub(busy);
        (over * 100 / (most - busy).max(1)).min(100) as u8
    }

    fn is_urgent(&self, request: &Message) -> bool {
        self.config.urgent.as_ref().is_some_and(|urgent| (urgent.is)(request))
    }

    /// Tells the client that a response goes to how much less it is to send, §5.3, if it listens.
    pub(super) fn announce(&mut self, now: Instant, flow: Option<&Flow>, response: &mut Message) {
        let level = self.crowd().max(self.overload.of_driver(flow));
        let said = self.overload.said_until.is_some_and(|until| until > now);
        if level == 0 && !said {
            return;
        }
        self.tell_of_overload(now, level);
        let via = response.list(HeaderName::Via).next().and_then(Via::parse);
        let Some(via) = via.filter(overload::is_offered) else { return };
        let validity = if level == 0 { Duration::ZERO } else { VALIDITY };
        let sequence = Sequence::of_micros(now.unix_micros());
        let via = OverloadControl { reduction: level, validity, sequence }.put_into(&via);
        response.set_element(HeaderName::Via, &via);
        if level > 0 {
            self.overload.said_until = Some(now + VALIDITY);
        }
    }

    /// Whether the sender of this request does as we ask: then a 503 has no Retry-After, which would
    /// stop all that he sends (§5.9).
    pub(super) fn is_reduced(request: &Message) -> bool {
        let via = request.list(HeaderName::Via).next().and_then(Via::parse);
        via.as_ref().is_some_and(overload::is_offered)
    }

    fn tell_of_overload(&mut self, now: Instant, level: u8) {
        if level == 0 || self.overload.told.is_some_and(|told| now.since(told) < SILENCE) {
            return;
        }
        self.overload.told = Some(now);
        let text = format!(
            "{level}% of the requests are too many: {} of {} not answered, {}% too many for the processor",
            self.unanswered(),
            self.config.max_transactions,
            self.overload.driver
        );
        self.log(Severity::Warning, "sip.overloaded", text);
    }

    /// A response came whose Via may ask for less.
    pub(super) fn hear_of_overload(&mut self, now: Instant, server: Endpoint, response: &Message) {
        let via = response.list(HeaderName::Via).next().and_then(Via::parse);
        let control = via.as_ref().and_then(OverloadControl::parse);
        let news = control.and_then(|control| self.overload.asked(now, server, control));
        if let Some(text) = news {
            self.log(Severity::Warning, "sip.asked_for_less", text);
        }
    }

    /// Whether a request is left out because the server on this flow asked for less.
    pub(super) fn is_left_out(&mut self, now: Instant, request: &Message, flow: &Flow) -> bool {
        let droppable = !self.is_urgent(request) && !is_exempt(request);
        let share = self.overload.share(now, flow.remote, droppable);
        if share == 0 || self.random.below(100) >= share {
            return false;
        }
        let text = format!("not sent to {}, which asked for less", flow.remote);
        self.log_of(request, Severity::Debug, "sip.left_out", text);
        true
    }
}

/// What is sent whatever a server asks for, §5.10.1.
fn is_exempt(request: &Message) -> bool {
    request.to_tag().is_some()
        || request.list(HeaderName::ResourcePriority).any(|v| ResourcePriority::parse(v).is_some())
        || ServiceUrn::parse(request.uri()).is_some_and(|urn| urn.is_emergency())
}
