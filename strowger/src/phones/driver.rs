//! Decides what each phone does next: a small state machine for each, driven by what phones report
//! and by the clock.
//!
//! ```text
//! Waiting -> Registering -> Working -> Leaving -> Done
//! ```

mod call;
mod text;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use base::machine::Order;
use engine::net::HandleError;
use engine::{FunctionId, Handle};
use ladder::text::span;
use ue::{CallId, UeOrder, What};

use super::outcome::{Outcome, PhoneResult, registration_advice};
use super::{News, Setup, Sms, Work};
use call::Ongoing;

/// How long an order waits that the loop has no room for.
const BREATH: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Its turn has not come.
    Waiting,
    Registering,
    Working,
    /// Calls are hung up, then the registration is removed.
    Leaving,
    Done,
}

/// What is due at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Begin,
    /// It stayed registered long enough.
    Enough,
    /// The status report should have come.
    NoReport,
    NoAnswer(CallId),
    Digits(CallId),
    Hold(CallId),
    Resume(CallId),
    HangUp(CallId),
}

struct Phone {
    state: State,
    result: PhoneResult,
    calls: BTreeMap<CallId, Ongoing>,
    /// Deregistering has been ordered.
    asked_to_leave: bool,
}

pub(super) struct Driver<'a> {
    setup: &'a Setup,
    handle: &'a Handle,
    progress: &'a mut dyn FnMut(&str),
    phones: Vec<Phone>,
    timers: BinaryHeap<Reverse<(Instant, usize, Timer)>>,
    outcome: Outcome,
    /// Nothing new is begun.
    stopping: bool,
    /// It was told to stop before it was done.
    cut_short: bool,
    /// The loop is gone.
    ended: bool,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        setup: &'a Setup,
        handle: &'a Handle,
        progress: &'a mut dyn FnMut(&str),
    ) -> Driver<'a> {
        let phone = |phone: &super::Phone| Phone {
            state: State::Waiting,
            result: PhoneResult { identity: phone.config.identity.clone(), ..Default::default() },
            calls: BTreeMap::new(),
            asked_to_leave: false,
        };
        let begin = Instant::now();
        let at = |number: usize| {
            begin + Duration::try_from_secs_f64(number as f64 / setup.rate).unwrap_or_default()
        };
        let timers = (0..setup.phones.len()).map(|n| Reverse((at(n), n, Timer::Begin))).collect();
        let phones = setup.phones.iter().map(phone).collect();
        let outcome = Outcome::default();
        Driver {
            setup,
            handle,
            progress,
            phones,
            timers,
            outcome,
            stopping: false,
            cut_short: false,
            ended: false,
        }
    }

    /// Until every phone is done.
    pub(super) fn run(mut self, news: &Receiver<News>) -> io::Result<Outcome> {
        while !self.ended && self.phones.iter().any(|phone| phone.state != State::Done) {
            let now = Instant::now();
            let next = match self.timers.peek() {
                Some(Reverse((at, number, timer))) if *at <= now => {
                    let (number, timer) = (*number, *timer);
                    self.timers.pop();
                    self.due(number, timer);
                    continue;
                }
                Some(Reverse((at, ..))) => news.recv_timeout(at.saturating_duration_since(now)),
                None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(News::Ended(result)) => {
                    self.ended = true;
                    result?;
                }
                Ok(News::Stop) => self.interrupt(),
                Ok(News::Log(from, event)) => {
                    self.log(&from, &event.text);
                    if event.counter == "engine.panic" {
                        self.broken(&event.text);
                    }
                }
                Ok(News::Resynchronised(number)) => {
                    if let Some(phone) = self.phones.get_mut(number) {
                        phone.result.resynchronised = true;
                    }
                }
                Ok(News::Report(number, report)) if number < self.phones.len() => {
                    self.report(number, report.what);
                }
                Ok(News::Report(..)) => {}
            }
        }
        Ok(self.sum_up())
    }

    fn sum_up(mut self) -> Outcome {
        self.outcome.phones = self.phones.into_iter().map(|phone| phone.result).collect();
        let outcome = &mut self.outcome;
        let all = outcome.phones.len();
        let registered = outcome.phones.iter().filter(|phone| phone.registered).count();
        let whole = outcome.phones.iter().all(|phone| phone.problems.is_empty());
        let worked = match &self.setup.work {
            Work::Register(_) => true,
            Work::Call { .. } => outcome.calls.iter().filter(|call| call.outgoing).count() == all,
            Work::Answer { calls, .. } => {
                calls.is_none_or(|calls| outcome.calls.len() as u64 >= calls)
            }
            Work::Message { .. } => outcome.sent().count() == all,
        };
        let calls = outcome.calls.iter().all(|call| call.ok);
        let messages = outcome.messages.iter().all(|m| (200..300).contains(&m.status));
        let registered = !self.setup.register || registered == all;
        outcome.ok = registered && whole && worked && calls && messages;
        outcome.ok &= !self.ended && !self.cut_short;
        self.outcome
    }

    fn log(&mut self, from: &str, text: &str) {
        let number = from.strip_prefix("phone-").and_then(|n| n.parse::<usize>().ok());
        let phone = number.and_then(|number| self.phones.get(number));
        let name = phone.map_or(from, |phone| &phone.result.identity);
        (self.progress)(&format!("{name}: {text}"));
    }

    /// A phone that is gone says nothing more: nobody waits for it.
    fn broken(&mut self, text: &str) {
        let name = text.split_whitespace().next().and_then(|name| name.strip_prefix("phone-"));
        let number = name.and_then(|number| number.parse::<usize>().ok());
        if let Some(phone) = number.and_then(|number| self.phones.get_mut(number)) {
            phone.result.problems.push(text.to_owned());
            phone.calls.clear();
            phone.state = State::Done;
        }
    }

    fn say(&mut self, number: usize, text: &str) {
        (self.progress)(&format!("{}: {text}", self.phones[number].result.identity));
    }

    fn order(&mut self, number: usize, order: UeOrder) {
        let Ok(id) = u16::try_from(number) else { return };
        loop {
            match self.handle.order(FunctionId(id), Order(Box::new(order.clone()))) {
                Err(HandleError::Full) => std::thread::sleep(BREATH),
                Err(HandleError::Ended) => return self.ended = true,
                Ok(()) => return,
            }
        }
    }

    fn after(&mut self, time: Duration, number: usize, timer: Timer) {
        // A time beyond the clock's end never comes.
        if let Some(at) = Instant::now().checked_add(time) {
            self.timers.push(Reverse((at, number, timer)));
        }
    }

    // ---- what is due

    fn due(&mut self, number: usize, timer: Timer) {
        match timer {
            Timer::Begin if self.phones[number].state == State::Waiting => {
                if self.setup.register {
                    self.phones[number].state = State::Registering;
                    self.order(number, UeOrder::Register);
                } else {
                    self.work(number);
                }
            }
            Timer::Enough => self.leave(number),
            Timer::NoReport => self.no_report(number),
            Timer::Begin => {}
            _ => self.call_timer(number, timer),
        }
    }

    fn work(&mut self, number: usize) {
        self.phones[number].state = State::Working;
        let (setup, token) = (self.setup, number as u64);
        match &setup.work {
            Work::Register(stay) if stay.is_zero() => self.leave(number),
            Work::Register(stay) => self.after(*stay, number, Timer::Enough),
            Work::Answer { .. } => self.say(number, "ready for calls"),
            Work::Call { to, .. } => {
                let to = to.get(number).cloned().unwrap_or_default();
                self.order(number, UeOrder::Call { to, token });
            }
            Work::Message { to, text, sms } => {
                let (to, text) = (to.get(number).cloned().unwrap_or_default(), text.clone());
                let order = match sms {
                    None => UeOrder::Message { to, text, token },
                    Some(Sms { centre, report }) => {
                        let (centre, status_report) = (centre.clone(), report.is_some());
                        UeOrder::ShortMessage { to, text, centre, status_report, token }
                    }
                };
                self.order(number, order);
            }
        }
    }

    /// Somebody wants an end.
    fn interrupt(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        (self.progress)("hangs up and deregisters");
        self.outcome.interrupted = true;
        // Ending what would not end by itself is the regular end.
        self.cut_short = !match &self.setup.work {
            Work::Register(_) => true,
            Work::Answer { calls, .. } => calls.is_none(),
            Work::Call { .. } | Work::Message { .. } => false,
        };
        for number in 0..self.phones.len() {
            self.leave(number);
        }
    }

    /// Ends what a phone does.
    fn leave(&mut self, number: usize) {
        let phone = &mut self.phones[number];
        match phone.state {
            State::Waiting => return phone.state = State::Done,
            State::Done => return,
            _ => phone.state = State::Leaving,
        }
        let calls: Vec<CallId> = phone.calls.keys().copied().collect();
        if !calls.is_empty() {
            for call in calls {
                self.order(number, UeOrder::Hangup(call));
            }
        } else if !self.setup.register {
            phone.state = State::Done;
        } else if !std::mem::replace(&mut phone.asked_to_leave, true) {
            self.order(number, UeOrder::Deregister);
        }
    }

    // ---- what phones tell

    fn report(&mut self, number: usize, what: What) {
        match what {
            What::Registered { delay, expires, .. } => {
                let phone = &mut self.phones[number];
                if !phone.result.registered {
                    phone.result.registered = true;
                    phone.result.registration_ms = Some(super::outcome::millis(delay));
                    phone.result.status = Some(200);
                    self.say(number, &format!("registered in {} for {expires} s", span(delay)));
                }
                if self.phones[number].state == State::Registering {
                    self.work(number);
                }
            }
            What::RegistrationFailed { status, reason, .. } => {
                self.registration_failed(number, status, &reason);
            }
            What::Deregistered { event } => self.deregistered(number, event),
            What::MessageResult { status, reason, .. } => self.text_sent(number, status, reason),
            What::MessageReceived { from, body, .. } => {
                self.text_came(number, from, String::from_utf8_lossy(&body).into_owned());
            }
            What::ShortMessageResult { refused, .. } => self.short_message_sent(number, refused),
            What::ShortMessageStatus { delivered, status, .. } => {
                self.status_report(number, delivered, status);
            }
            What::ShortMessageReceived { from, text } => {
                let text = text.unwrap_or_else(|| "(no text that can be read)".to_owned());
                self.text_came(number, from, text);
            }
            What::OrderRefused { call, reason } => self.refused(number, call, reason),
            What::OptionsResult { .. } => {}
            what => self.call_report(number, what),
        }
    }

    fn registration_failed(&mut self, number: usize, status: u16, reason: &str) {
        let config = &self.setup.phones[number].config;
        let server = match &config.proxy {
            Some(proxy) => match proxy.port {
                Some(port) => format!("{}:{port}", proxy.host),
                None => proxy.host.clone(),
            },
            None => config.registrar.clone(),
        };
        let text = registration_advice(status, reason, &config.registrar, &server);
        self.say(number, &text);
        let phone = &mut self.phones[number];
        if phone.result.registered {
            // A refresh failed; the phone tries again by itself.
            return phone.result.problems.push(text);
        }
        phone.result.status = Some(status);
        phone.result.reason = Some(text);
        if phone.state == State::Registering {
            // No further tries.
            self.order(number, UeOrder::Deregister);
            self.phones[number].state = State::Done;
        }
    }

    fn deregistered(&mut self, number: usize, event: Option<String>) {
        let phone = &mut self.phones[number];
        match (phone.state, event) {
            (State::Leaving, _) => {
                phone.state = State::Done;
                if phone.result.registered {
                    self.say(number, "deregistered");
                }
            }
            (State::Working, Some(event)) => {
                let text = format!("the network ended the registration: {event}");
                phone.result.problems.push(text.clone());
                self.say(number, &text);
            }
            _ => {}
        }
    }
}
