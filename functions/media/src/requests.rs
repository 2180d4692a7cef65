//! What each command does.

use std::collections::BTreeSet;

use base::Instant;
use base::log::{Event, Severity};
use base::relay::Command as Path;
use base::time::Duration;
use ng::request::{AddressFamily, Ice};
use ng::{Command, Outcome, Request, Response, Value};
use sdp::Session;

use crate::call::{Call, Dialogue, Leg, Party, Stream, Who};
use crate::gates::{self, Change};
use crate::machine::{Asker, Media, Waiting, What};
use crate::rewrite::{self, PROTOCOLS, Treatment, treatment};
use crate::statistics::statistics;
use crate::takeover::RELAY;
use crate::totals::Reason;
use crate::words::normal;
use crate::{codecs, connectivity, crypto, handshake, origin, recording};

pub(crate) const UNKNOWN_CALL: &str = "Unknown call-id";
const SECURE: &str = "SRTP needs keys: `a=crypto` (RFC 4568) or `a=fingerprint` (RFC 5763)";
/// How many Call-IDs `list` tells if the asker does not say.
const LISTED: u64 = 32;
/// What fits into a datagram of Call-IDs, however many are asked for.
const LIST_BYTES: usize = 60_000;

impl Media {
    pub(crate) fn request(&mut self, asker: Asker, request: Request) {
        let Some((asker, request)) = self.fetch(asker, request) else { return };
        let response = match &request.command {
            Command::Ping => Ok(self.pong()),
            Command::Offer => return self.offer(asker, request),
            Command::Answer => self.answer(&request),
            Command::Delete | Command::Query => return self.count(asker, request),
            Command::List => Ok(self.list(&request)),
            Command::Unknown(name) if normal(name) == "subscribe-request" => {
                return self.subscribe(asker, request);
            }
            Command::Unknown(name) => {
                if let Some(change) = Change::of(name) {
                    self.change_gates(&request, change)
                } else if let Some(change) = recording::Change::of(name) {
                    self.change_recording(&request, change)
                } else {
                    match normal(name).as_str() {
                        "play-media" => Ok(self.play_media(&request)),
                        "play-dtmf" => self.play_dtmf(&request),
                        "stop-media" => Ok(self.stop_media(&request)),
                        "subscribe-answer" => self.subscribe_answer(&request),
                        "unsubscribe" => Ok(self.unsubscribe(&request)),
                        _ => Err("Unrecognized command"),
                    }
                }
            }
        };
        self.respond(asker, &response.unwrap_or_else(Response::error));
    }

    /// Other relays want to know who answers.
    fn pong(&self) -> Response {
        let mut response = Response::new(Outcome::Pong);
        if let Some(relay) = &self.config.relay {
            response.other.push(RELAY, relay.name.as_str());
        }
        response
    }

    fn offer(&mut self, asker: Asker, request: Request) {
        let (call, dialogue, session) = match self.place(&request) {
            Ok(found) => found,
            Err(refusal) => return self.respond(asker, &refusal),
        };
        if let Some(call) = self.calls.get_mut(&call) {
            call.proxy = Some(asker.flow.remote);
        }
        match self.open(&request, call, dialogue, &session) {
            Ok(_) if self.is_ready(call, dialogue.0) => {
                self.finish_offer(asker, &request, call, dialogue, session);
            }
            Ok(fresh) => {
                let (dialogue, who) = dialogue;
                let what = What::Ports { dialogue, who, session: Box::new(session), fresh };
                self.wait(Waiting { asker, request, call, what });
            }
            Err(reason) => {
                self.drop_if_empty(call, dialogue.0);
                self.respond(asker, &Response::error(reason));
            }
        }
    }

    /// The call and dialogue of an offer, made if they are new.
    #[allow(clippy::type_complexity, reason = "read once, one line below its only caller")]
    fn place(&mut self, request: &Request) -> Result<(u64, (u64, Who), Session), Response> {
        let session = description(request).map_err(Response::error)?;
        let call_id = request.call_id.as_deref().ok_or_else(|| missing("call-id"))?;
        let from = request.from_tag.as_deref().ok_or_else(|| missing("from-tag"))?;
        let number = match self.by_id.get(call_id) {
            Some(number) => *number,
            None => self.new_call(call_id, request)?,
        };
        let id = self.number();
        let now = self.now;
        self.keep(number);
        let call = self.calls.get_mut(&number).ok_or_else(|| Response::error(UNKNOWN_CALL))?;
        call.signalled = now;
        let found = call.of_offer(request, from);
        let (dialogue, who) = found.unwrap_or_else(|| {
            let caller = Party { tag: Some(from.to_owned()), ..Party::default() };
            call.dialogues.push(Dialogue {
                id,
                created: now,
                via_branch: request.via_branch.clone(),
                parties: [caller, Party::default()],
                streams: Vec::new(),
            });
            (id, Who::A)
        });
        if let (Some(to), Some(d)) = (&request.to_tag, call.dialogue_mut(dialogue)) {
            d.party_mut(who.other()).speaks(to);
        }
        Ok((number, (dialogue, who), session))
    }

    fn new_call(&mut self, call_id: &str, request: &Request) -> Result<u64, Response> {
        if self.draining || self.calls.len() >= self.config.max_sessions {
            let text = format!("{call_id} was refused: {} calls are enough", self.calls.len());
            self.note(Event::new(Severity::Warning, "media.limit", text).call_id(call_id));
            return Err(match request.supports_load_limit {
                true => Response::new(Outcome::LoadLimit),
                false => Response::error("Parallel session limit reached"),
            });
        }
        let number = self.number();
        self.totals.sessions += 1;
        self.calls.insert(number, Call::new(call_id, self.now));
        self.by_id.insert(call_id.to_owned(), number);
        self.arm_final(number);
        Ok(number)
    }

    /// Opens the ports that the description needs and the dialogue has not.
    pub(crate) fn open(
        &mut self,
        request: &Request,
        number: u64,
        (dialogue, who): (u64, Who),
        session: &Session,
    ) -> Result<Vec<base::relay::PortId>, &'static str> {
        let mut fresh = Vec::new();
        for index in 0..session.media().len() {
            if treatment(session, index) != Treatment::Relayed {
                continue;
            }
            let Some(place) = self.calls.get(&number).and_then(|c| c.dialogue(dialogue)) else {
                break;
            };
            if place.streams.get(index).is_some_and(Option::is_some) {
                continue;
            }
            // Another stream of this dialogue has chosen already.
            let model = place.streams.iter().flatten().next();
            let model = model.map(|s| {
                [Who::A, Who::B].map(|w| (s.legs[w as usize].local, s.legs[w as usize].advertised))
            });
            let [a, b] = match model {
                Some(addresses) => addresses,
                None => self.addresses(request, who, session, index)?,
            };
            let legs = [a, b].map(|(local, shown)| Leg::new(self.port(number), local, shown));
            for leg in &legs {
                fresh.push(leg.port);
                self.tell(Path::Open { port: leg.port, address: leg.local, rtp: None });
            }
            let line = session.media()[index].line();
            let (kind, protocol) = line.map(|l| (l.kind, l.protocol)).unwrap_or_default();
            let stream = Stream { kind, protocol, held: false, codecs: None, legs };
            let call = self.calls.get_mut(&number);
            let Some(place) = call.and_then(|c| c.dialogue_mut(dialogue)) else { break };
            if place.streams.len() <= index {
                place.streams.resize_with(index + 1, || None);
            }
            place.streams[index] = Some(stream);
        }
        Ok(fresh)
    }

    /// The local and shown addresses of both parties' legs.
    fn addresses(
        &self,
        request: &Request,
        who: Who,
        session: &Session,
        index: usize,
    ) -> Result<[(std::net::IpAddr, std::net::IpAddr); 2], &'static str> {
        let said = session.address_of(index).map(|address| match address.is_ipv4() {
            true => AddressFamily::Ip4,
            false => AddressFamily::Ip6,
        });
        let name = |n: usize| request.direction.get(n).map(String::as_str);
        let near = self.config.interface(name(0), None, said);
        let far = self.config.interface(name(1), request.address_family, said);
        let (Some(near), Some(far)) = (near, far) else {
            return Err("No interface of the wanted address family");
        };
        let pair = [near, far].map(|i| (i.local, i.advertised));
        Ok(if who == Who::A { pair } else { [pair[1], pair[0]] })
    }

    /// The ports of an offer are open.
    pub(crate) fn finish_offer(
        &mut self,
        asker: Asker,
        request: &Request,
        number: u64,
        (dialogue, who): (u64, Who),
        mut session: Session,
    ) {
        let call = self.calls.get(&number);
        if call.is_some_and(|call| call.subscription(dialogue).is_some()) {
            return self.finish_subscription(asker, request, (number, dialogue), session);
        }
        if let Some(call) = self.calls.get_mut(&number) {
            gates::drop_traffic(request, call);
        }
        let proposed = self.propose(request, number, (dialogue, who), &mut session);
        let response = proposed.unwrap_or_else(|| Response::error(UNKNOWN_CALL));
        self.respond(asker, &response);
    }

    /// An offer of `who` becomes the one that the other party gets; `None` if there is no such dialogue.
    pub(crate) fn propose(
        &mut self,
        request: &Request,
        number: u64,
        (dialogue, who): (u64, Who),
        session: &mut Session,
    ) -> Option<Response> {
        let now = self.now;
        let call = self.calls.get_mut(&number)?;
        let inner = call.subscription(dialogue).is_some();
        let dialogue = call.dialogue_mut(dialogue)?;
        rewrite::hear(session, request, who, dialogue);
        if inner {
            // Nobody is there: what a subscriber sends goes nowhere.
            let legs = dialogue.streams.iter_mut().flatten().map(|s| &mut s.legs[who as usize]);
            legs.for_each(|leg| (leg.rtp, leg.rtcp) = (None, None));
        }
        codecs::offer(session, request, who, dialogue);
        rewrite::mux_of_offer(session, request, who, dialogue);
        crypto::offer(session, request, who, dialogue, &mut self.random);
        handshake::offer(session, request, who, dialogue, &self.certificate);
        connectivity::offer(session, request, who, dialogue, &mut self.random);
        let facing = who.other() as usize;
        let mux = |stream: &Stream| stream.legs[facing].mux_offered;
        rewrite::rewrite(session, request, who, dialogue, mux);
        origin::control(session, request, dialogue.party_mut(who.other()));
        let mut commands = commands(now, dialogue, false, self.config.dtmf_log);
        commands.extend(self.record_as_wished(number, request));
        commands.into_iter().for_each(|command| self.tell(command));
        self.arm_idle(number);
        self.changed(number);
        Some(described(request, session))
    }

    fn answer(&mut self, request: &Request) -> Result<Response, &'static str> {
        let session = description(request)?;
        let call_id = request.call_id.as_deref().ok_or("No call-id in message")?;
        let from = request.from_tag.as_deref().ok_or("No from-tag in message")?;
        let to = request.to_tag.as_deref().ok_or("No to-tag in message")?;
        let number = *self.by_id.get(call_id).ok_or(UNKNOWN_CALL)?;
        let call = self.calls.get_mut(&number).ok_or(UNKNOWN_CALL)?;
        let (id, who) = call.of_answer(request, from, to).ok_or("Unknown from-tag")?;
        gates::drop_traffic(request, call);
        call.dialogue_mut(id).ok_or(UNKNOWN_CALL)?.party_mut(who).speaks(to);
        self.settle(request, number, (id, who), session)
    }

    /// An answer of `who` becomes the one that the offerer gets.
    pub(crate) fn settle(
        &mut self,
        request: &Request,
        number: u64,
        (id, who): (u64, Who),
        mut session: Session,
    ) -> Result<Response, &'static str> {
        let now = self.now;
        let call = self.calls.get_mut(&number).ok_or(UNKNOWN_CALL)?;
        call.signalled = now;
        let dialogue = call.dialogue_mut(id).ok_or(UNKNOWN_CALL)?;
        rewrite::hear(&session, request, who, dialogue);
        codecs::answer(&mut session, request, who, dialogue);
        rewrite::mux_of_answer(&session, who, dialogue);
        handshake::answer(&session, request, who, dialogue, &self.certificate);
        connectivity::answer(&session, request, who, dialogue, &mut self.random);
        let agreed = crypto::answer(&session, who, dialogue, &mut self.random);
        let facing = who.other() as usize;
        let mux = |stream: &Stream| stream.legs[facing].mux;
        // What the answer rejects needs no ports; the relay must be asked before they are gone.
        let rejected = |index: usize| treatment(&session, index) == Treatment::Rejected;
        let mut closed = Vec::new();
        for (index, stream) in dialogue.streams.iter_mut().enumerate() {
            if index < session.media().len() && rejected(index) {
                closed.extend(stream.take().into_iter().flat_map(|s| s.legs).map(|leg| leg.port));
            }
        }
        rewrite::rewrite(&mut session, request, who, dialogue, mux);
        origin::control(&mut session, request, dialogue.party_mut(who.other()));
        let mut commands = commands(now, dialogue, true, self.config.dtmf_log);
        commands.extend(self.record_as_wished(number, request));
        commands.into_iter().for_each(|command| self.tell(command));
        if !agreed {
            let call_id = request.call_id.as_deref().unwrap_or_default();
            let text = format!(
                "{call_id}: the answer takes no key that was offered, so there is no sound; compare `a=crypto` in \
                 both of them: `strowger trace`"
            );
            self.note(Event::new(Severity::Warning, "media.no_key", text).call_id(call_id));
        }
        closed.into_iter().for_each(|port| self.close_port(port));
        self.arm_idle(number);
        self.changed(number);
        self.arm_listening(number);
        Ok(described(request, &session))
    }

    /// `query` and `delete`: asks the ports for their counters first.
    fn count(&mut self, asker: Asker, request: Request) {
        let found = request.call_id.as_ref().and_then(|call_id| self.by_id.get(call_id));
        let number = found.copied().filter(|number| {
            request.command == Command::Query
                || self
                    .calls
                    .get(number)
                    .is_some_and(|call| call.dialogues.iter().any(|d| call.deletes(&request, d)))
        });
        let Some(call) = number else { return self.respond(asker, &not_found(&request)) };
        let open = self.calls.get(&call).into_iter().flat_map(Call::legs);
        let ports: BTreeSet<_> = open.filter(|l| l.opened.is_some()).map(|l| l.port).collect();
        if ports.is_empty() {
            return self.finish_counted(asker, &request, call);
        }
        ports.iter().for_each(|port| self.tell(Path::Query { port: *port }));
        self.wait(Waiting { asker, request, call, what: What::Counters(ports) });
    }

    /// The counters are there.
    pub(crate) fn finish_counted(&mut self, asker: Asker, request: &Request, number: u64) {
        let Some(call) = self.calls.get(&number) else {
            return self.respond(asker, &not_found(request));
        };
        let response = Response { other: statistics(call), ..Response::new(Outcome::Ok) };
        if request.command == Command::Delete {
            self.delete(request, number, asker.reason());
        }
        self.respond(asker, &response);
    }

    fn delete(&mut self, request: &Request, number: u64, reason: Reason) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(&number) else { return };
        let ends: Vec<u64> =
            call.dialogues.iter().filter(|d| call.deletes(request, d)).map(|d| d.id).collect();
        if ends.len() < call.dialogues.len() {
            let (gone, left) =
                std::mem::take(&mut call.dialogues).into_iter().partition(|d| ends.contains(&d.id));
            call.dialogues = left;
            let gone: Vec<Dialogue> = gone;
            gone.iter().flat_map(Dialogue::legs).for_each(|leg| self.close_port(leg.port));
            return self.changed(number);
        }
        let delay = request.delete_delay.map(Duration::from_secs);
        let delay = delay.unwrap_or(self.config.timeouts.delete_delay);
        if delay.is_zero() {
            return self.close_call(number, reason);
        }
        self.arm_delete(number, now + delay);
    }

    fn list(&self, request: &Request) -> Response {
        let limit = usize::try_from(request.limit.unwrap_or(LISTED)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |id: &&String| {
            // Each string with its length and a colon before it.
            bytes += id.len() + 8;
            bytes <= LIST_BYTES
        };
        let calls =
            self.by_id.keys().take(limit).take_while(fits).map(|id| Value::from(id.as_str()));
        let mut response = Response::new(Outcome::Ok);
        response.other.push("calls", Value::from_iter(calls));
        response
    }
}

/// What the packet path is to know of a dialogue: the keys first, so that nothing passes without.
fn commands(now: Instant, dialogue: &mut Dialogue, answered: bool, log: bool) -> Vec<Path> {
    let told = |leg: &mut Leg| {
        let keys = [leg.protect(answered), leg.connect(answered)];
        keys.into_iter().chain([leg.gate(log), leg.convert(), leg.play(now)])
    };
    let mut commands: Vec<Path> = dialogue.legs_mut().flat_map(told).flatten().collect();
    commands.extend(dialogue.joins().map(|(a, b)| Path::Join { a, b }));
    commands
}

/// Reads the description of a request and refuses what we cannot relay.
pub(crate) fn description(request: &Request) -> Result<Session, &'static str> {
    let bytes = request.sdp.as_ref().ok_or("No SDP body in message")?;
    let session = Session::parse(bytes).map_err(|_| "Failed to parse SDP")?;
    let secure = (0..session.media().len()).any(|i| treatment(&session, i) == Treatment::Secure);
    let wanted = request.transport_protocol.as_deref();
    if secure || wanted.is_some_and(|protocol| !PROTOCOLS.contains(&protocol)) {
        return Err(SECURE);
    }
    Ok(session)
}

fn described(request: &Request, session: &Session) -> Response {
    let relayed = request.ice == Some(Ice::ForceRelay);
    let relayed = relayed.then(|| "ICE=force-relay is not supported and acts as force".to_owned());
    let warnings: Vec<String> = relayed.into_iter().chain(codecs::refusal(request)).collect();
    Response {
        sdp: Some(session.emit()),
        warning: (!warnings.is_empty()).then(|| warnings.join("; ")),
        ..Response::new(Outcome::Ok)
    }
}

pub(crate) fn missing(key: &str) -> Response {
    Response::error(format!("No {key} in message"))
}

/// rtpengine's way: an unknown call is an error for `query`, a warning for `delete`.
pub(crate) fn not_found(request: &Request) -> Response {
    const NOT_FOUND: &str = "Call-ID not found or tags didn't match";
    match (&request.command, &request.call_id) {
        (_, None) => missing("call-id"),
        (Command::Query | Command::Offer, _) => Response::error(UNKNOWN_CALL),
        _ if request.fatal => Response::error(NOT_FOUND),
        _ => Response { warning: Some(NOT_FOUND.to_owned()), ..Response::new(Outcome::Ok) },
    }
}
