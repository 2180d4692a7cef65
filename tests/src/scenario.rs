//! A day in the life of a network, from one seed: phones register, call each other and deregister,
//! while datagrams are lost and overtake each other, S-CSCF, HSS and P-CSCF crash, and phones are cut off.
//!
//! ```text
//!   0 s  all phones register                    75 s  the HSS crashes
//!  25 s  first wave of calls                    90 s  the P-CSCF crashes, in half of the seeds
//!  50 s  second wave; the S-CSCF crashes       120 s  third wave of calls
//!                                              170 s  all phones deregister
//! ```
//!
//! Afterwards nothing may be left: see [`Scenario::run`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use base::store::Table;
use base::time::Duration;
use base::{Instant, Random};
use engine::DiskStore;
use engine::shard::Store;
use engine::sim::{BEGINNING, HostId, Weather};
use strowger::plan::Role;
use ue::{By, CallId, UeOrder, UeReport, What};

use crate::faulty::Fault;
use crate::network::{Network, Phone};
use crate::wire::Wire;

/// A twentieth lost, some doubled, some overtaken, 5 to 15 ms.
pub const WEATHER: Weather = Weather {
    loss: 0.05,
    delay: Duration::from_millis(5),
    jitter: Duration::from_millis(10),
    reorder: 0.05,
    duplicate: 0.02,
};

/// What happens.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Everything random comes from it.
    pub seed: u64,
    /// How many phones; half of them call the others.
    pub phones: u32,
    /// What the network does to datagrams.
    pub weather: Weather,
    /// Whether S-CSCF, HSS and P-CSCF crash, and phones are cut off.
    pub crash: bool,
    /// A planted fault.
    pub fault: Option<Fault>,
}

/// How it went.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// FNV-1a over the trace: every message on either side of the network, crashes and starts.
    pub trace: u64,
    /// What must not be; empty if all is well.
    pub failures: Vec<String>,
    /// What happened.
    pub statistics: Statistics,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Registrations and refreshes that succeeded.
    pub registered: u64,
    /// Calls that were ordered.
    pub calls: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that ended without an answer.
    pub failed: u64,
    /// SIP messages on either side of the network.
    pub messages: u64,
    /// Requests that were sent again.
    pub repeated: u64,
}

/// What is to be done at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Register(usize),
    Call { caller: usize, must_succeed: bool },
    Hangup(usize, CallId),
    Deregister(usize),
    Crash(Role),
    CrashAtWrite(Role, u64),
    Restart(Role),
    CutOff(usize),
    Heal(usize),
}

/// What we know of a call by its caller and the call's name there.
#[derive(Clone, Copy, Debug)]
struct Known {
    must_succeed: bool,
    answered: bool,
}

struct Run {
    scenario: Scenario,
    network: Network,
    phones: Vec<Phone>,
    by_host: BTreeMap<HostId, usize>,
    agenda: BTreeSet<(Instant, Event)>,
    random: Random,
    wire: Rc<RefCell<Wire>>,
    registered: BTreeSet<usize>,
    calls: BTreeMap<(usize, CallId), Known>,
    dialling: BTreeMap<usize, bool>,
    verdict: Verdict,
}

impl Scenario {
    /// The scenario of the seeds: with loss, reordering and crashes.
    pub fn new(seed: u64, phones: u32) -> Scenario {
        Scenario { seed, phones, weather: WEATHER, crash: true, fault: None }
    }

    /// Lets it happen. These must hold:
    ///
    /// - every phone registers; calls succeed while nothing is broken, and every call ends;
    /// - a registration outlives the crash of the S-CSCF: the third wave rings without registering
    ///   again;
    /// - five minutes later there is no transaction, proxy context, dialog of a call, binding,
    ///   subscription, or request to HSS or relay left, nor after all hosts have crashed and started
    ///   from their disks;
    /// - over an hour later there is no port open at the relay, and no binding on any disk;
    /// - no function panicked; and the rules of [`Wire`].
    pub fn run(self) -> Verdict {
        let mut run = Run::new(self);
        run.plan();
        run.live(at(230));
        run.network.sim.run_until(at(300));
        run.hear();
        run.live(at(560));
        run.nothing_is_left(false);
        for role in [Role::Pcscf, Role::Scscf, Role::Hss] {
            run.crash(role);
            run.network.restart(role);
        }
        run.network.sim.run_for(Duration::from_secs(60));
        run.nothing_is_left(false);
        run.network.sim.run_for(Duration::from_secs(3700));
        run.nothing_is_left(true);
        run.nothing_is_stored(Role::Pcscf, cscf::pcscf::TABLE);
        run.nothing_is_stored(Role::Pcscf, cscf::pcscf::EMERGENCY_TABLE);
        run.nothing_is_stored(Role::Scscf, cscf::scscf::TABLE);
        run.finish()
    }
}

fn at(seconds: u64) -> Instant {
    BEGINNING + Duration::from_secs(seconds)
}

impl Run {
    fn new(scenario: Scenario) -> Run {
        let Scenario { seed, phones, weather, fault, .. } = scenario;
        let mut network = Network::spread(seed, weather, fault);
        network.sim.trace().keep(std::env::var_os("STROWGER_TRACE").is_some());
        let wire = Rc::new(RefCell::new(Wire::default()));
        let tap = Rc::clone(&wire);
        network.sim.tap(move |now, host, crossing| tap.borrow_mut().message(now, host, crossing));
        // One pair in sixteen talks; the others only signal.
        let phones = network.sim_phones(1..phones + 1, |config| {
            config.expires = 3600;
            config.options.session_timer = 90;
            config.media.enabled = config.contact.ends_with("1:5060");
            config.media.talk = Some(Duration::from_secs(1));
        });
        let by_host = phones.iter().enumerate().map(|(at, phone)| (phone.host, at)).collect();
        Run {
            scenario,
            network,
            phones,
            by_host,
            agenda: BTreeSet::new(),
            random: Random::from_u64(seed ^ 0x5eed),
            wire,
            registered: BTreeSet::new(),
            calls: BTreeMap::new(),
            dialling: BTreeMap::new(),
            verdict: Verdict::default(),
        }
    }

    fn sometime(&mut self, from: u64, to: u64) -> Instant {
        at(from) + Duration::from_micros(self.random.below((to - from) * 1_000_000))
    }

    fn plan(&mut self) {
        let callers = (0..self.phones.len()).step_by(2);
        for phone in 0..self.phones.len() {
            let begin = self.sometime(0, 10);
            let end = self.sometime(170, 180);
            self.agenda.insert((begin, Event::Register(phone)));
            self.agenda.insert((end, Event::Deregister(phone)));
        }
        let broken = self.scenario.crash;
        for (from, to, must_succeed) in [(25, 30, true), (50, 70, !broken), (120, 130, true)] {
            for caller in callers.clone() {
                let begin = self.sometime(from, to);
                self.agenda.insert((begin, Event::Call { caller, must_succeed }));
            }
        }
        if !broken {
            return;
        }
        let crash = self.sometime(50, 60);
        let again = crash + Duration::from_millis(500 + self.random.below(3000));
        let in_commit = self.random.below(2) == 0;
        let event = match in_commit {
            true => Event::CrashAtWrite(Role::Scscf, self.random.below(6)),
            false => Event::Crash(Role::Scscf),
        };
        self.agenda.extend([(crash, event), (again, Event::Restart(Role::Scscf))]);
        let crash = self.sometime(75, 80);
        let again = crash + Duration::from_millis(200 + self.random.below(2000));
        self.agenda.extend([(crash, Event::Crash(Role::Hss)), (again, Event::Restart(Role::Hss))]);
        if self.random.below(2) == 0 {
            let crash = self.sometime(90, 95);
            let again = crash + Duration::from_millis(200 + self.random.below(2000));
            let events = [(crash, Event::Crash(Role::Pcscf)), (again, Event::Restart(Role::Pcscf))];
            self.agenda.extend(events);
        }
        for _ in 0..(self.phones.len() / 20).max(1) {
            let phone = self.random.below(self.phones.len() as u64) as usize;
            let begin = self.sometime(45, 52);
            let end = begin + Duration::from_secs(45);
            self.agenda.extend([(begin, Event::CutOff(phone)), (end, Event::Heal(phone))]);
        }
    }

    /// Lives until then: does what is on the agenda, and hears the phones.
    fn live(&mut self, until: Instant) {
        while self.network.sim.now() < until {
            let step = self.network.sim.now() + Duration::from_millis(100);
            let next = self.agenda.first().map_or(step, |(at, _)| step.min(*at));
            self.network.sim.run_until(next.min(until));
            self.hear();
            while let Some((due, event)) = self.agenda.pop_first() {
                if due > self.network.sim.now() {
                    self.agenda.insert((due, event));
                    break;
                }
                self.happen(event);
            }
            if self.agenda.is_empty() && until > at(230) {
                self.network.sim.run_until(until);
                self.hear();
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Register(phone) => self.network.order(self.phones[phone], UeOrder::Register),
            Event::Deregister(phone) => {
                if !self.registered.contains(&phone) {
                    self.fail(format!("phone {phone} never registered"));
                }
                self.network.order(self.phones[phone], UeOrder::Deregister);
            }
            Event::Call { caller, must_succeed } => {
                let Some(callee) = self.phones.get(caller + 1) else { return };
                self.verdict.statistics.calls += 1;
                self.dialling.insert(caller, must_succeed);
                let to = callee.tel();
                self.network.order(self.phones[caller], UeOrder::Call { to, token: 0 });
            }
            Event::Hangup(phone, call) => {
                if self.calls.contains_key(&(phone, call)) {
                    self.network.order(self.phones[phone], UeOrder::Hangup(call));
                }
            }
            Event::Crash(role) => self.crash(role),
            Event::CrashAtWrite(role, operations) => {
                self.wire.borrow_mut().crash(self.network.sim.now());
                self.network.sim.crash_at_write(self.network.hosts[&role], operations);
            }
            Event::Restart(role) => {
                self.wire.borrow_mut().crash(self.network.sim.now());
                self.network.restart(role);
            }
            Event::CutOff(phone) => {
                let proxy = self.network.hosts[&Role::Pcscf];
                self.network.sim.partition(self.phones[phone].host, proxy);
            }
            Event::Heal(phone) => {
                let proxy = self.network.hosts[&Role::Pcscf];
                self.network.sim.heal(self.phones[phone].host, proxy);
            }
        }
    }

    fn crash(&mut self, role: Role) {
        self.wire.borrow_mut().crash(self.network.sim.now());
        self.network.sim.crash(self.network.hosts[&role]);
    }

    fn hear(&mut self) {
        for (host, UeReport { at, what }) in self.network.heard() {
            let phone = self.by_host[&host];
            self.reported(phone, at, what);
        }
    }

    fn reported(&mut self, phone: usize, now: Instant, what: What) {
        match what {
            What::Registered { .. } => {
                self.verdict.statistics.registered += 1;
                self.registered.insert(phone);
            }
            What::Deregistered { event: Some(event) } => {
                self.fail(format!("phone {phone} was deregistered by the network: {event}"));
            }
            What::Calling { call, .. } => {
                let must_succeed = self.dialling.remove(&phone).unwrap_or(false);
                self.calls.insert((phone, call), Known { must_succeed, answered: false });
            }
            What::Incoming { call, .. } => {
                self.calls.insert((phone, call), Known { must_succeed: false, answered: false });
            }
            What::Answered { call, .. } => {
                let Some(known) = self.calls.get_mut(&(phone, call)) else { return };
                known.answered = true;
                self.verdict.statistics.answered += 1;
                let after = Duration::from_millis(3000 + self.random.below(12_000));
                self.agenda.insert((now + after, Event::Hangup(phone, call)));
            }
            What::Ended { call, by, status, reason, .. } => {
                let Some(known) = self.calls.remove(&(phone, call)) else { return };
                let bad = !known.answered || by == By::Failure;
                if known.must_succeed && bad {
                    let when = now.since(BEGINNING).as_secs();
                    let text = format!(
                        "the call of phone {phone} ended at {when} s: {by:?} {status} {reason}"
                    );
                    self.fail(text);
                }
                self.verdict.statistics.failed += u64::from(bad);
            }
            What::OrderRefused { reason, .. } => self.fail(format!("phone {phone}: {reason}")),
            _ => {}
        }
    }

    fn fail(&mut self, text: String) {
        if self.verdict.failures.len() < 50 {
            self.verdict.failures.push(text);
        }
    }

    /// Everybody is asked how much is alive. Deregistered phones may keep their numbers at the HSS.
    fn nothing_is_left(&mut self, ports_too: bool) {
        let now = self.network.sim.now().since(BEGINNING).as_secs();
        let core: Vec<_> = self.network.hosts.iter().map(|(r, h)| (*h, r.as_str())).collect();
        let phones: Vec<_> = self.phones.iter().map(|phone| (phone.host, "ue")).collect();
        for (host, function) in core.into_iter().chain(phones) {
            let census = self.network.census(host, function);
            if census.0.is_empty() {
                self.fail(format!("{function} on {host:?} says nothing"));
            }
            for (what, count) in census.alive().filter(|_| ports_too || function != "media") {
                self.fail(format!("after {now} s {function} on {host:?} has {count} {what}"));
            }
        }
        for (phone, call) in std::mem::take(&mut self.calls).into_keys() {
            self.fail(format!("after {now} s {call:?} of phone {phone} has not ended"));
        }
    }

    /// The last look: what the disk still has.
    fn nothing_is_stored(&mut self, role: Role, table: Table) {
        self.crash(role);
        let disk = self.network.sim.disk(self.network.hosts[&role]).clone();
        let mut left = 0;
        let read = DiskStore::simulated(disk).restore(table, &mut |_, _| left += 1);
        if read.is_err() || left > 0 {
            self.fail(format!("table {} has {left} records left: {read:?}", table.0));
        }
    }

    fn finish(mut self) -> Verdict {
        let now = self.network.sim.now();
        for logged in self.network.sim.logs() {
            if logged.event.severity == base::Severity::Error {
                self.fail(format!("{}: {}", logged.name, logged.event.text));
            }
        }
        let mut wire = self.wire.borrow_mut();
        self.verdict.failures.extend(wire.verdict(now).into_iter().take(50));
        self.verdict.statistics.messages = wire.messages;
        self.verdict.statistics.repeated = wire.repeated;
        drop(wire);
        self.verdict.trace = self.network.sim.trace().hash();
        if let Some(path) = std::env::var_os("STROWGER_TRACE") {
            std::fs::write(path, self.network.sim.trace().text())
                .expect("the trace can be written");
        }
        self.verdict
    }
}
