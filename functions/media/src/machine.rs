//! The function: inputs, requests that wait for the packet path, timeouts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base::census::{self, Census};
use base::log::{Event, Severity};
use base::relay::{self, PortId};
use base::time::Duration;
use base::timer::Expiries;
use base::trust::Networks;
use base::{Bytes, Deadline, Flow, FlowId, Function, Input, Instant, Output, Random, Service};
use dtls::Certificate;
use ng::{Cookies, Dict, Encoding, Message, MessageError, Request, Response, Seen};
use sdp::Session;

use crate::call::{Call, Dialogue, Who};
use crate::config::MediaConfig;
use crate::doors::{self, Doors, Form, Kind, Page};
use crate::requests::not_found;
use crate::takeover::Takeover;
use crate::totals::{Reason, Totals, transcoded};
use crate::verdict::Verdict;

/// How long answers are remembered for repeated requests, and how many.
const REMEMBERED: (usize, Duration) = (65_536, Duration::from_secs(10));
/// How long the packet path may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Media control.
#[derive(Debug)]
pub struct Media {
    pub(crate) config: MediaConfig,
    pub(crate) now: Instant,
    pub(crate) calls: BTreeMap<u64, Call>,
    pub(crate) by_id: BTreeMap<String, u64>,
    pub(crate) draining: bool,
    ports: BTreeMap<PortId, u64>,
    next: u64,
    next_port: u64,
    pub(crate) random: Random,
    pub(crate) certificate: Certificate,
    pub(crate) totals: Totals,
    pub(crate) doors: Doors,
    pub(crate) takeover: Takeover,
    cookies: Cookies,
    waiting: BTreeMap<u64, Waiting>,
    timers: Expiries<Timer>,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// A call may be silent: ask its ports.
    Idle(u64),
    /// They have had time to answer.
    Verdict(u64),
    /// What is there to be heard?
    Listen(u64),
    /// The answers to that are here.
    Conclude(u64),
    /// The call is too long.
    Final(u64),
    /// A delayed deletion.
    Delete(u64),
    /// The packet path does not answer.
    Waiting(u64),
    /// A connection says nothing.
    Silence(FlowId),
    /// Another relay is to be asked whether it lives.
    Beat(usize),
    /// Calls of another relay can be tried again.
    Resume,
}

/// Where a response goes.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) flow: Flow,
    pub(crate) cookie: String,
    pub(crate) encoding: Encoding,
    pub(crate) form: Form,
}

impl Asker {
    /// Why a call is over that this one deletes.
    pub(crate) fn reason(&self) -> Reason {
        match self.form {
            Form::Cookie | Form::Plain => Reason::Terminated,
            Form::Cli(_) | Form::Batch(_) => Reason::Forced,
        }
    }
}

/// A request that waits for the packet path.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) asker: Asker,
    pub(crate) request: Request,
    pub(crate) call: u64,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// An offer, until the dialogue's ports are open; `fresh` are those it opened itself.
    Ports { dialogue: u64, who: Who, session: Box<Session>, fresh: Vec<PortId> },
    /// A query or deletion, until these ports have reported.
    Counters(BTreeSet<PortId>),
    /// Anything, until the call is here.
    Resumed,
}

impl Media {
    /// Media control with this configuration. The random numbers keep the names of ports apart from
    /// those of an earlier life. The certificate is the one that the packet path shows.
    pub fn new(config: MediaConfig, certificate: Certificate, mut random: Random) -> Media {
        Media {
            config,
            now: Instant::EPOCH,
            calls: BTreeMap::new(),
            by_id: BTreeMap::new(),
            draining: false,
            ports: BTreeMap::new(),
            next: 0,
            next_port: random.u64() >> 2,
            random,
            certificate,
            totals: Totals::default(),
            doors: Doors::default(),
            takeover: Takeover::default(),
            cookies: Cookies::new(REMEMBERED.0, REMEMBERED.1),
            waiting: BTreeMap::new(),
            timers: Expiries::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes over another configuration, which is also the order that a relay's control takes. Calls
    /// keep the ports that they have.
    pub fn configure(&mut self, config: MediaConfig) {
        self.doors.reconfigured();
        self.config = config;
    }

    /// How many calls there are.
    pub fn sessions(&self) -> usize {
        self.calls.len()
    }

    /// How many things are alive.
    pub fn census(&self) -> Census {
        Census(vec![
            ("sessions", self.calls.len()),
            ("answered sessions", self.calls.values().filter(|call| call.is_answered()).count()),
            ("foreign sessions", self.foreign()),
            ("ports", self.ports.len()),
            ("waiting requests", self.waiting.len()),
            ("transcoded streams", transcoded(self.calls.values())),
        ])
    }

    /// A request came in with its cookie.
    pub(crate) fn received(&mut self, flow: Flow, form: Form, message: &Bytes) {
        if !self.config.trusted.admits(&flow) {
            let text = Networks::refusal(&flow);
            self.log(Severity::Warning, "ng.untrusted", text);
            return self.refuse(flow);
        }
        let message = match Message::parse(message) {
            Ok(message) => message,
            Err(MessageError::NoCookie) => {
                let text = format!("a message of {} without a cookie was dropped", flow.remote);
                self.log(Severity::Warning, "ng.malformed", text);
                return self.refuse(flow);
            }
            Err(MessageError::Body { cookie, encoding, error }) => {
                let text = format!("a request of {} cannot be read: {error}", flow.remote);
                self.log(Severity::Warning, "ng.malformed", text);
                let response = Response::error("Could not decode dictionary");
                self.respond(Asker { flow, cookie, encoding, form }, &response);
                // Nobody knows where on a stream the next one begins.
                if doors::is_stream(&flow) {
                    self.refuse(flow);
                }
                return;
            }
        };
        match self.cookies.begin(self.now, doors::source(&flow), &message.cookie) {
            Seen::New => {}
            Seen::Pending => return self.twin(flow, message.cookie),
            Seen::Answered(message) => return self.hand_out(flow, Kind::Ng, message),
        }
        let Message { cookie, encoding, dict } = message;
        self.ask(Asker { flow, cookie, encoding, form }, &dict);
    }

    pub(crate) fn ask(&mut self, asker: Asker, dict: &Dict) {
        match Request::from_dict(dict) {
            Some(request) => self.request(asker, request),
            None => self.respond(asker, &Response::error("Dictionary contains no key \"command\"")),
        }
    }

    /// Sends a response, and remembers it for a repeated request.
    pub(crate) fn respond(&mut self, asker: Asker, response: &Response) {
        let Asker { flow, cookie, encoding, form } = asker;
        let emit = |cookie| Message { cookie, encoding, dict: response.to_dict() }.emit().into();
        match &form {
            Form::Cookie => {
                let message: Bytes = emit(cookie.clone());
                let from = doors::source(&flow);
                self.cookies.finish(from, &cookie, message.clone());
                self.hand_out(flow, Kind::Ng, message.clone());
                self.answer_twins(from, &cookie, &message);
            }
            Form::Plain => {
                // An empty cookie leaves its space.
                let message: Bytes = emit(String::new());
                self.hand_out(flow, Kind::of(encoding), message.slice(1..));
            }
            Form::Cli(view) => {
                let text = self.view(view, response);
                self.hand_out(flow, Kind::Text, text.into());
            }
            Form::Batch(id) => self.batch_answered(*id),
        }
    }

    /// Remembers a request until the packet path has answered.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        let id = self.number();
        self.waiting.insert(id, waiting);
        self.timers.set(self.now + PATIENCE, Timer::Waiting(id));
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn out(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn tell(&mut self, command: relay::Command) {
        self.outputs.push_back(Output::Relay(command));
    }

    pub(crate) fn log(&mut self, severity: Severity, counter: &'static str, text: String) {
        self.note(Event::new(severity, counter, text));
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.outputs.push_back(Output::Log(event));
    }

    /// The name of a new port of a call.
    pub(crate) fn port(&mut self, call: u64) -> PortId {
        self.next_port += 1;
        let port = PortId(self.next_port);
        self.own(port, call);
        port
    }

    /// A port belongs to a call.
    pub(crate) fn own(&mut self, port: PortId, call: u64) {
        self.ports.insert(port, call);
    }

    pub(crate) fn close_port(&mut self, port: PortId) {
        if self.ports.remove(&port).is_some() {
            self.tell(relay::Command::Close { port });
        }
    }

    /// Arms the timer of a new call's longest life.
    pub(crate) fn arm_final(&mut self, number: u64) {
        if let Some(longest) = self.config.timeouts.final_timeout {
            self.timers.set(self.now + longest, Timer::Final(number));
        }
    }

    /// Arms the timer that looks whether the call is silent.
    pub(crate) fn arm_idle(&mut self, number: u64) {
        let (limit, _) = self.silence(number);
        let Some(call) = self.calls.get(&number) else { return };
        self.timers.set(call.active() + limit, Timer::Idle(number));
        self.timers.remove(&Timer::Verdict(number));
    }

    pub(crate) fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.set(at, timer);
    }

    pub(crate) fn unset_timer(&mut self, timer: &Timer) {
        self.timers.remove(timer);
    }

    /// Arms the timers of all calls anew, for other timeouts.
    pub(crate) fn arm_all(&mut self) {
        let numbers: Vec<u64> = self.calls.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.arm_idle(number));
    }

    pub(crate) fn arm_delete(&mut self, number: u64, at: Instant) {
        self.calls.entry(number).and_modify(|call| call.deleting = true);
        self.timers.set(at, Timer::Delete(number));
    }

    /// Takes a delayed deletion back.
    pub(crate) fn keep(&mut self, number: u64) {
        self.calls.entry(number).and_modify(|call| call.deleting = false);
        self.timers.remove(&Timer::Delete(number));
    }

    /// How long the call may be silent, and what it is when it was for longer.
    fn silence(&self, number: u64) -> (Duration, Reason) {
        let timeouts = &self.config.timeouts;
        match self.calls.get(&number) {
            Some(call) if !call.is_answered() => (timeouts.offer, Reason::OfferTimeout),
            Some(call) if call.is_held() => (timeouts.silent, Reason::SilentTimeout),
            _ => (timeouts.timeout, Reason::Timeout),
        }
    }

    /// Ends a call: its ports go back, whoever waits for it is told.
    pub(crate) fn close_call(&mut self, number: u64, reason: Reason) {
        let Some(call) = self.calls.remove(&number) else { return };
        self.totals.close(self.now, &call, reason);
        self.by_id.remove(&call.call_id);
        self.takeover.ended(number);
        if reason != Reason::Takeover {
            self.erase(&call.call_id);
        }
        let timers = [
            Timer::Idle,
            Timer::Verdict,
            Timer::Listen,
            Timer::Conclude,
            Timer::Final,
            Timer::Delete,
        ];
        for timer in timers {
            self.timers.remove(&timer(number));
        }
        call.legs().for_each(|leg| self.close_port(leg.port));
        for Waiting { asker, request, .. } in self.take_waiting(|w| w.call == number) {
            self.respond(asker, &not_found(&request));
        }
    }

    /// The requests that wait like that; they do no more.
    pub(crate) fn take_waiting(&mut self, is: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let ids: Vec<u64> = self.waiting.iter().filter(|(_, w)| is(w)).map(|(id, _)| *id).collect();
        ids.iter().filter_map(|id| self.waiting.remove(id)).collect()
    }

    fn relay(&mut self, event: relay::Event) {
        let (relay::Event::Opened { port, .. }
        | relay::Event::NoPort { port }
        | relay::Event::Learned { port, .. }
        | relay::Event::Standing { port, .. }
        | relay::Event::Digit { port, .. }
        | relay::Event::Kernel { port, .. }
        | relay::Event::Failed { port, .. }
        | relay::Event::Counters { port, .. }) = event;
        if let relay::Event::Kernel { way, .. } = event {
            return self.kernel(way);
        }
        let number = self.ports.get(&port).copied();
        let Some(number) = number else { return };
        let Some(call) = self.calls.get_mut(&number) else { return };
        let resuming = call.resuming.is_some();
        let Some(leg) = call.leg_mut(port) else { return };
        match event {
            relay::Event::Opened { rtp, .. } => {
                leg.opened = Some(rtp);
                if self.config.relay.is_some() {
                    self.tell(relay::Command::Track { port });
                }
                self.take_ready(number);
                self.resumed(number);
            }
            relay::Event::NoPort { .. } if resuming => {
                // The path has closed this one already.
                self.ports.remove(&port);
                self.give_up(number, true);
            }
            relay::Event::NoPort { .. } => self.no_port(port),
            relay::Event::Learned { address, .. } => {
                let said = leg.rtp;
                leg.learned = Some(address);
                leg.listening.failure = None;
                if let Some(said) = said.filter(|said| *said != address) {
                    let call_id = &call.call_id;
                    let text =
                        format!("{call_id}: SDP said {said}, packets come from {address}, latched");
                    let event = Event::new(Severity::Debug, "media.learned", text).call_id(call_id);
                    self.note(event);
                }
            }
            relay::Event::Standing { standing, .. } => {
                leg.standing = Some(standing);
                self.changed(number);
            }
            relay::Event::Kernel { .. } => {}
            relay::Event::Digit { payload_type, event, duration, volume, .. } => {
                let told = call.digit((port, payload_type), event, duration, volume);
                told.into_iter().for_each(|event| self.note(event));
            }
            relay::Event::Failed { failure, .. } => {
                leg.listening.failure = Some(failure.clone());
                leg.listening.verdict = Verdict::NoWay(failure.clone());
                let call_id = call.call_id.clone();
                self.failed(&call_id, failure);
            }
            relay::Event::Counters { counters, .. } => {
                self.totals.count(&leg.counters, &counters);
                leg.counters = counters;
                self.take_counted(port);
            }
        }
    }

    /// The packet path says whether the kernel moves packets by itself.
    fn kernel(&mut self, way: Result<relay::KernelWay, String>) {
        let text = match way {
            Ok(relay::KernelWay { interfaces, native }) => format!(
                "streams that nobody needs to see are relayed by the kernel: XDP ({}) on {}",
                if native { "native" } else { "generic" },
                interfaces.join(", ")
            ),
            Err(why) => format!("all streams are relayed in user space: {why}"),
        };
        self.log(Severity::Info, "media.xdp", text);
    }

    /// Goes on with the offers of a call whose ports are all open now.
    fn take_ready(&mut self, number: u64) {
        let Some(call) = self.calls.get(&number) else { return };
        let ready = |w: &Waiting| match &w.what {
            What::Ports { dialogue, .. } if w.call == number => {
                call.dialogue(*dialogue).is_some_and(|d| d.is_ready())
            }
            _ => false,
        };
        let ids: Vec<u64> =
            self.waiting.iter().filter(|(_, w)| ready(w)).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(Waiting {
                asker,
                request,
                call,
                what: What::Ports { dialogue, who, session, .. },
            }) = self.waiting.remove(&id)
            {
                self.finish_offer(asker, &request, call, (dialogue, who), *session);
            }
        }
    }

    fn take_counted(&mut self, port: PortId) {
        let mut done = Vec::new();
        for (id, waiting) in &mut self.waiting {
            if let What::Counters(awaited) = &mut waiting.what
                && awaited.remove(&port)
                && awaited.is_empty()
            {
                done.push(*id);
            }
        }
        for id in done {
            if let Some(Waiting { asker, request, call, .. }) = self.waiting.remove(&id) {
                self.finish_counted(asker, &request, call);
            }
        }
    }

    fn no_port(&mut self, port: PortId) {
        let text = "the relay has no free port left: enlarge the port range".to_owned();
        self.log(Severity::Error, "media.no_port", text);
        let waits =
            |w: &Waiting| matches!(&w.what, What::Ports { fresh, .. } if fresh.contains(&port));
        let Some(id) = self.waiting.iter().find(|(_, w)| waits(w)).map(|(id, _)| *id) else {
            return;
        };
        // The path has closed this one already.
        self.ports.remove(&port);
        self.fail_offer(id, "Ran out of ports");
    }

    pub(crate) fn is_ready(&self, number: u64, dialogue: u64) -> bool {
        let call = self.calls.get(&number);
        call.and_then(|call| call.dialogue(dialogue)).is_some_and(|d| d.is_ready())
    }

    /// Forgets a dialogue whose first offer failed, and a call that had no other.
    pub(crate) fn drop_if_empty(&mut self, number: u64, dialogue: u64) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let lives = |d: &Dialogue| d.id != dialogue || d.legs().next().is_some();
        call.dialogues.retain(lives);
        call.subscriptions.retain(|subscription| lives(&subscription.dialogue));
        if call.dialogues.is_empty() {
            self.close_call(number, Reason::Rejected);
        }
    }

    /// Undoes what a waiting offer opened, and says why.
    fn fail_offer(&mut self, id: u64, reason: &str) {
        let Some(Waiting { asker, call: number, what, .. }) = self.waiting.remove(&id) else {
            return;
        };
        self.respond(asker, &Response::error(reason));
        let What::Ports { dialogue, fresh, .. } = what else { return };
        fresh.iter().for_each(|port| self.close_port(*port));
        let Some(call) = self.calls.get_mut(&number) else { return };
        if let Some(dialogue) = call.dialogue_mut(dialogue) {
            for stream in &mut dialogue.streams {
                if stream.as_ref().is_some_and(|s| fresh.contains(&s.legs[0].port)) {
                    *stream = None;
                }
            }
        }
        self.drop_if_empty(number, dialogue);
        // Another offer may have waited for the ports that are gone.
        self.take_ready(number);
    }

    fn timeout(&mut self) {
        while let Some(timer) = self.timers.due(self.now) {
            match timer {
                Timer::Idle(number) => self.look(number),
                Timer::Verdict(number) => self.judge(number),
                Timer::Listen(number) => self.listen(number),
                Timer::Conclude(number) => self.conclude(number),
                Timer::Final(number) => {
                    self.end(number, Reason::FinalTimeout, "it reached the longest time allowed");
                }
                Timer::Delete(number) => self.close_call(number, Reason::Terminated),
                Timer::Waiting(id) => self.lost_patience(id),
                Timer::Silence(id) => self.silent(id),
                Timer::Beat(at) => self.beat(at),
                Timer::Resume => self.resume_wanted(),
            }
        }
    }

    /// A call has been silent as far as we know: asks its ports.
    fn look(&mut self, number: u64) {
        let Some(call) = self.calls.get(&number) else { return };
        let ports: Vec<_> = call.legs().filter(|l| l.opened.is_some()).map(|l| l.port).collect();
        ports.into_iter().for_each(|port| self.tell(relay::Command::Query { port }));
        self.timers.set(self.now + PATIENCE, Timer::Verdict(number));
    }

    fn judge(&mut self, number: u64) {
        let (limit, reason) = self.silence(number);
        let Some(call) = self.calls.get(&number) else { return };
        if call.active() + limit <= self.now {
            self.end(number, reason, &format!("no packet for {} s", limit.as_secs()));
        } else {
            self.arm_idle(number);
        }
    }

    fn end(&mut self, number: u64, reason: Reason, why: &str) {
        let Some(call) = self.calls.get(&number) else { return };
        let heard: Vec<_> = call.legs().map(|leg| leg.counters.packets.to_string()).collect();
        let text = format!(
            "call {} was deleted: {why} (packets of its legs: {})",
            call.call_id,
            heard.join(", ")
        );
        let event = Event::new(Severity::Info, "media.timeout", text).call_id(&call.call_id);
        self.note(event);
        self.close_call(number, reason);
    }

    fn lost_patience(&mut self, id: u64) {
        match self.waiting.get(&id).map(|waiting| &waiting.what) {
            Some(What::Ports { .. }) => self.fail_offer(id, "The packet path does not answer"),
            Some(What::Counters(_)) => {
                if let Some(Waiting { asker, request, call, .. }) = self.waiting.remove(&id) {
                    self.finish_counted(asker, &request, call);
                }
            }
            Some(What::Resumed) => {
                if let Some(Waiting { call, .. }) = self.waiting.get(&id) {
                    self.give_up(*call, false);
                }
            }
            None => {}
        }
    }
}

impl Function for Media {
    fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Received { flow, message } if self.is_answer(&flow, &message) => {}
            Input::Received { flow, message } if flow.service == Service::Ng => {
                self.received(flow, Form::Cookie, &message);
            }
            Input::Received { flow, message } => self.at_door(flow, &message),
            Input::Closed { flow, error } => {
                self.ended(&flow, &error.to_string());
                self.door_closed(&flow, error);
            }
            Input::Opened { open, flow } => self.connected(open, flow),
            Input::OpenFailed { open, error } => self.not_connected(open, &error.to_string()),
            Input::Restored { table, key, value } => self.restored(table, &key, value),
            Input::Forgotten { table, key } => self.forgotten(table, &key),
            Input::Start => {
                self.doors.begin(now);
                self.begin_takeover();
            }
            Input::Relay(event) => self.relay(event),
            Input::Timeout => self.timeout(),
            Input::Order(order) if census::Ask::is(&order) => {
                self.outputs.push_back(self.totals.tally().into());
                self.outputs.push_back(self.census().into());
            }
            Input::Order(order) => match order.take::<Page>() {
                Ok(page) => self.page(&page),
                Err(order) => {
                    if let Ok(config) = order.take() {
                        self.configure(config);
                    }
                }
            },
            Input::Drain => self.draining = true,
            _ => {}
        }
        self.resume_doors();
        self.write_records();
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Deadline> {
        self.timers.next().map(|at| Deadline { at, reason: "media timer" })
    }

    fn is_busy(&self) -> bool {
        !self.calls.is_empty()
    }
}
