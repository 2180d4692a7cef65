//! What must hold once everything is mended.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::rc::Rc;

use base::store::Table;
use base::time::Duration;
use base::{Instant, Service};
use engine::DiskStore;
use engine::shard::Store;
use engine::sim::HostId;
use strowger::plan::Role;
use ue::UeOrder;

use super::world::{FAR_NUMBER, Standing, World, impi};
use crate::network::Phone;

/// Functions whose records outlive them, and their tables of what ends with a registration.
const TABLES: [(Role, Table); 6] = [
    (Role::Pcscf, cscf::pcscf::TABLE),
    (Role::Pcscf, cscf::pcscf::EMERGENCY_TABLE),
    (Role::Scscf, cscf::scscf::TABLE),
    (Role::Scscf, cscf::scscf::WATCHERS),
    (Role::Hss, hss::records::REGISTRATION),
    (Role::IpSmGw, ipsmgw::TABLE),
];

/// What a function may have while phones are registered and nobody does anything: sessions whose end the relay
/// was not told go when no packet comes, emergency calls whose BYE was lost after hours, texts when their time has
/// come.
const LASTING: [&str; 12] = [
    "bindings",
    "subscriptions",
    "watchers",
    "challenges",
    "users with an S-CSCF",
    "registrations",
    "sessions",
    "answered sessions",
    "ports",
    "emergency calls",
    "texts",
    "recipients",
];

/// Longer than anything that is begun lasts, and than the pause between two refreshes.
const QUIET: Duration = Duration::from_secs(120);

impl World {
    /// Before anything breaks, everybody registers.
    pub(super) fn begin(&mut self) {
        self.all_register("at the beginning");
    }

    /// Everything is mended: phones notice what was lost, and register.
    pub(super) fn recover(&mut self) {
        self.live(Duration::from_secs(320));
        let mut registered = 0;
        for phone in self.phones.clone() {
            // It may just be refreshing.
            let mut is = self.is_registered(phone);
            for _ in 0..40 {
                if is == (self.standing.get(&phone.host) == Some(&Standing::Registered)) {
                    break;
                }
                self.live(Duration::from_secs(1));
                is = self.is_registered(phone);
            }
            registered += usize::from(is);
            let says = self.standing.get(&phone.host).cloned();
            if is != (says == Some(Standing::Registered)) {
                self.fail(format!("phone {} is registered: {is}, says {says:?}", phone.number));
            }
            if is != self.wanted[&phone.host] {
                self.fail(format!("phone {} is registered: {is}, and says {says:?}", phone.number));
            }
        }
        // Those of phones that left without being heard run out later.
        self.bindings_are(registered..=self.phones.len());
        self.all_register("once all is mended");
        self.live(Duration::from_secs(5));
        self.bindings_are(self.phones.len()..=self.phones.len());
        let everybody = self.phones.iter().map(|phone| impi(*phone)).collect();
        self.nothing_stays_under_way();
        self.all_crash(Some(everybody));
    }

    /// Everybody can do everything.
    pub(super) fn go_on(&mut self) {
        let phones = self.phones.clone();
        let by = 1 + self.below(phones.len() - 1);
        for (number, phone) in phones.iter().enumerate() {
            let callee = phones[(number + by) % phones.len()];
            self.call(*phone, callee.tel(), true);
        }
        let one = self.anybody();
        self.call(one, "112".to_owned(), true);
        let one = self.anybody();
        self.call(one, FAR_NUMBER.to_owned(), true);
        self.call(self.trunk, one.tel(), true);
        let other = self.anybody();
        self.text(one, other);
        let ends = 2 * (phones.len() + 3);
        let stand = |world: &World| {
            world.calls.len() == ends && world.calls.values().all(|known| known.answered)
        };
        if !self.until(Duration::from_secs(60), stand) {
            let calls = format!("{:?}, not begun {:?}", self.calls, self.dialling);
            return self.fail(format!("not all calls stand: {calls}"));
        }
        // ACKs are through, too.
        self.live(Duration::from_secs(8));
        for resume in [false, true] {
            for (host, call) in self.calls.keys().copied().collect::<Vec<_>>() {
                // One side of each call, and no outsider: nobody asks for the same at a time.
                if self.calls[&(host, call)].must_succeed && host != self.trunk.host {
                    let order = if resume { UeOrder::Resume(call) } else { UeOrder::Hold(call) };
                    self.network.order(Phone { host, number: 0 }, order);
                }
            }
            self.live(Duration::from_secs(8));
        }
        let mut ends: Vec<(HostId, ue::CallId)> = self.calls.keys().copied().collect();
        while !ends.is_empty() {
            let (host, call) = ends.swap_remove(self.below(ends.len()));
            if self.calls.contains_key(&(host, call)) {
                self.network.order(Phone { host, number: 0 }, UeOrder::Hangup(call));
                self.live(Duration::from_millis(500));
            }
        }
        self.live(Duration::from_secs(40));
        for (host, call) in self.calls.keys().copied().collect::<Vec<_>>() {
            let who = self.who(host);
            self.fail(format!("{call:?} of {who} has not ended"));
        }
        self.nothing_stays_under_way();
    }

    /// Everybody leaves, and nothing is left.
    pub(super) fn leave(&mut self) {
        if !self.until(Duration::from_secs(600), |world| world.texts.is_empty()) {
            let texts = format!("{:?}", self.texts);
            self.fail(format!("texts that were taken are not delivered: {texts}"));
        }
        for phone in self.phones.clone() {
            self.deregister(phone);
        }
        self.live(Duration::from_secs(300));
        self.nothing_is_left(&["sessions", "answered sessions", "ports", "emergency calls"]);
        self.all_crash(Some(BTreeSet::new()));
        // Whose BYE was lost is forgotten after six hours at the latest.
        self.network.sim.run_for(Duration::from_secs(6 * 3600));
        let said = Rc::new(Cell::new(None));
        let tap = Rc::clone(&said);
        self.network.sim.tap(move |now, _, crossing| {
            if matches!(crossing.service, Service::Sip | Service::Ng | Service::Rtp) {
                tap.set(Some((now, crossing.service)));
            }
        });
        self.network.sim.run_for(Duration::from_secs(3600));
        if let Some((at, service)) = said.get() {
            self.fail(format!("somebody still says something in {service:?} at {at:?}"));
        }
        self.nothing_is_left(&[]);
        for (role, table) in TABLES {
            self.crash(role);
            let left = self.stored(role, table);
            if table == hss::records::REGISTRATION {
                continue;
            }
            if !left.is_empty() {
                self.fail(format!("table {} has {} records left", table.0, left.len()));
            }
        }
    }

    /// Everybody is told to register, and does.
    fn all_register(&mut self, when: &str) {
        for phone in self.phones.clone() {
            self.standing.remove(&phone.host);
            self.register(phone);
        }
        let count = self.phones.len();
        let done = move |world: &World| {
            let is = |standing: &&Standing| **standing == Standing::Registered;
            world.standing.values().filter(is).count() == count
        };
        if !self.until(Duration::from_secs(60), done) {
            for phone in self.phones.clone() {
                let says = self.standing.get(&phone.host).cloned();
                if says != Some(Standing::Registered) {
                    self.fail(format!("phone {} does not register {when}: {says:?}", phone.number));
                }
            }
        }
    }

    fn is_registered(&mut self, phone: Phone) -> bool {
        self.network.census(phone.host, "ue").count("registrations") == 1
    }

    /// P-CSCF and S-CSCF have so many bindings.
    fn bindings_are(&mut self, count: RangeInclusive<usize>) {
        for role in [Role::Pcscf, Role::Scscf] {
            let census = self.network.census(self.host(role), role.as_str());
            let has = census.count("bindings");
            if !count.contains(&has) {
                self.fail(format!("{count:?} phones are registered, {role} has {has} bindings"));
            }
        }
    }

    /// Whatever functions and phones begin also ends: of everything there is none at some moment.
    fn nothing_stays_under_way(&mut self) {
        let end = self.now() + QUIET;
        let mut left = self.alive(&LASTING);
        while !left.is_empty() && self.now() < end {
            self.live(Duration::from_secs(3));
            let alive = self.alive(&LASTING);
            left.retain(|(who, what, _)| alive.iter().any(|(a, b, _)| (a, b) == (who, what)));
        }
        for (who, what, count) in left {
            self.fail(format!("{who} has {count} {what} that do not end"));
        }
    }

    /// No function or phone has anything but this.
    fn nothing_is_left(&mut self, but: &[&str]) {
        for (who, what, count) in self.alive(but) {
            self.fail(format!("{who} has {count} {what} left"));
        }
    }

    /// Who has what, and how much of it, but for this.
    fn alive(&mut self, but: &[&str]) -> Vec<(String, &'static str, usize)> {
        let core: Vec<_> = Role::ALL.map(|role| (self.host(role), role.as_str())).into();
        let people = self.phones.iter().chain([&self.centre, &self.trunk]);
        let people: Vec<_> = people.map(|phone| (phone.host, "ue")).collect();
        let mut found = Vec::new();
        for (host, function) in core.into_iter().chain(people) {
            let who = if function == "ue" { self.who(host) } else { function.to_owned() };
            let census = self.network.census(host, function);
            if census.0.is_empty() {
                self.fail(format!("{who} says nothing"));
            }
            let alive = census.alive().filter(|(what, _)| !but.contains(what));
            found.extend(alive.map(|(what, count)| (who.clone(), what, count)));
        }
        found
    }

    /// All functions die at a quiet moment and start again. The S-CSCF and the HSS have these users on their
    /// disks.
    fn all_crash(&mut self, users: Option<BTreeSet<String>>) {
        Role::ALL.into_iter().for_each(|role| self.crash(role));
        for (role, table) in
            [(Role::Scscf, cscf::scscf::TABLE), (Role::Hss, hss::records::REGISTRATION)]
        {
            let stored: BTreeSet<String> = self.stored(role, table).into_iter().collect();
            if users.as_ref().is_some_and(|users| *users != stored) {
                self.fail(format!("{role} has {stored:?} on its disk, not {users:?}"));
            }
        }
        self.remedies.clear();
        Role::ALL.into_iter().for_each(|role| self.network.restart(role));
        self.wire.borrow_mut().crash(self.now());
        // Diameter peers meet again.
        self.live(Duration::from_secs(40));
    }

    /// The keys of a table on the disk of a function that is down; of the HSS those of users with an S-CSCF.
    fn stored(&mut self, role: Role, table: Table) -> Vec<String> {
        let disk = self.network.sim.disk(self.host(role)).clone();
        let mut keys = Vec::new();
        let read = DiskStore::simulated(disk).restore(table, &mut |key, value| {
            let served = table != hss::records::REGISTRATION
                || hss::records::parse_registration(&value).is_ok_and(|r| r.is_served());
            if served {
                keys.push(String::from_utf8_lossy(&key).into_owned());
            }
        });
        if let Err(error) = read {
            self.fail(format!("table {} of {role} cannot be read: {error:?}", table.0));
        }
        keys
    }

    /// What the log must not have.
    pub(super) fn look_at_logs(&mut self) {
        for logged in self.network.sim.logs() {
            let event = &logged.event;
            let panicked = event.counter.contains("panic");
            let unreadable = event.counter.contains("unreadable");
            let again = event.counter == "hss.resynchronised";
            if panicked || unreadable || again {
                self.log_failure(logged.at, &format!("{}: {}", event.counter, event.text));
            }
        }
    }

    fn log_failure(&mut self, at: Instant, text: &str) {
        self.fail(format!("{at:?} {text}"));
    }
}
