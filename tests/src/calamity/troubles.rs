//! What breaks, and how it is mended.

use base::time::Duration;
use engine::sim::{HostId, Weather};
use strowger::plan::Role;

use super::world::World;
use crate::scenario::WEATHER;

/// What ends a trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Remedy {
    Start(Role),
    Heal(HostId, HostId),
    Disk(Role),
    Rest(Role),
}

impl World {
    /// A minute or so in which things break, and people go on as if they did not.
    pub(super) fn suffer(&mut self) {
        let end = self.now() + self.between(40_000, 80_000);
        let (mut trouble, mut deed) = (self.now(), self.now());
        while self.now() < end {
            if self.now() >= trouble {
                self.trouble();
                trouble = self.now() + self.between(200, 5000);
            }
            if self.now() >= deed {
                self.deed();
                deed = self.now() + self.between(100, 2500);
            }
            self.live(Duration::from_millis(100));
        }
        self.statistics.seconds = end.since(engine::sim::BEGINNING).as_secs();
    }

    fn trouble(&mut self) {
        let role = Role::ALL[self.below(Role::ALL.len())];
        let host = self.host(role);
        match self.below(13) {
            0..=3 => self.crash(role),
            4 => {
                // In the middle of a commit: somebody notices when it has happened.
                self.wire.borrow_mut().crash(self.now());
                let operations = self.random.below(8);
                self.network.sim.crash_at_write(host, operations);
            }
            5..=7 => {
                let other = Role::ALL[self.below(Role::ALL.len())];
                self.cut(host, self.host(other));
            }
            8 => {
                let phone = self.anybody();
                self.cut(phone.host, self.host(Role::Pcscf));
            }
            9 => {
                let outside = [self.centre, self.trunk][self.below(2)];
                let door = [Role::Ecscf, Role::Bgcf, Role::Media][self.below(3)];
                self.cut(outside.host, self.host(door));
            }
            10 => {
                let stores = [Role::Hss, Role::Scscf, Role::Pcscf, Role::IpSmGw];
                let role = stores[self.below(stores.len())];
                let disk = self.network.sim.disk(self.host(role)).clone();
                match self.below(3) {
                    0 => disk.limit(Some(0)),
                    1 => disk.read_only(true),
                    _ => disk.slow(self.between(1, 400)),
                }
                self.statistics.disks += 1;
                self.later(500, 15_000, Remedy::Disk(role));
            }
            11 => {
                let percent = [20, 60, 100][self.below(3)];
                self.network.sim.overload(host, percent);
                self.statistics.overloads += 1;
                self.later(500, 15_000, Remedy::Rest(role));
            }
            _ => {
                let weathers = [Weather::CALM, WEATHER, Weather::STORM];
                let weather = weathers[self.below(3)];
                self.network.sim.weather(weather);
            }
        }
    }

    fn later(&mut self, least: u64, most: u64, remedy: Remedy) {
        let at = self.now() + self.between(least, most);
        self.remedies.insert((at, remedy));
    }

    fn cut(&mut self, a: HostId, b: HostId) {
        if a == b {
            return;
        }
        self.statistics.partitions += 1;
        self.wire.borrow_mut().crash(self.now());
        self.network.sim.partition(a, b);
        // Most are short, some outlast every timer of SIP.
        let most = if self.below(4) == 0 { 45_000 } else { 8000 };
        self.later(300, most, Remedy::Heal(a, b));
    }

    /// A function dies. It starts again after a while.
    pub(super) fn crash(&mut self, role: Role) {
        let host = self.host(role);
        if self.network.sim.is_up(host) {
            self.wire.borrow_mut().crash(self.now());
            self.network.sim.crash(host);
        }
    }

    fn start(&mut self, role: Role) {
        let host = self.host(role);
        if !self.network.sim.is_up(host) {
            self.wire.borrow_mut().crash(self.now());
            self.network.sim.restart(host);
        }
    }

    /// Mends what is due, and sees to it that who died starts again.
    pub(super) fn remedy(&mut self) {
        for role in Role::ALL {
            let starts = self.remedies.iter().any(|(_, remedy)| *remedy == Remedy::Start(role));
            if !self.network.sim.is_up(self.host(role)) && !starts {
                self.statistics.crashes += 1;
                self.wire.borrow_mut().crash(self.now());
                let most = if self.below(4) == 0 { 20_000 } else { 3000 };
                self.later(100, most, Remedy::Start(role));
            }
        }
        while let Some((_, remedy)) = self.remedies.pop_first_due(self.now()) {
            match remedy {
                Remedy::Start(role) => self.start(role),
                Remedy::Heal(a, b) => self.network.sim.heal(a, b),
                Remedy::Disk(role) => self.mend_disk(role),
                Remedy::Rest(role) => self.network.sim.overload(self.host(role), 0),
            }
        }
    }

    fn mend_disk(&mut self, role: Role) {
        let disk = self.network.sim.disk(self.host(role)).clone();
        disk.limit(None);
        disk.read_only(false);
        disk.slow(Duration::ZERO);
    }

    /// All is well from now on, and every call is hung up.
    pub(super) fn mend(&mut self) {
        self.wire.borrow_mut().crash(self.now());
        self.remedies.clear();
        let mut hosts: Vec<HostId> = self.network.hosts.values().copied().collect();
        hosts.extend(self.phones.iter().chain([&self.centre, &self.trunk]).map(|p| p.host));
        for a in &hosts {
            hosts.iter().for_each(|b| self.network.sim.heal(*a, *b));
        }
        for role in Role::ALL {
            self.mend_disk(role);
            self.network.sim.crash_at_write(self.host(role), u64::MAX);
            self.network.sim.overload(self.host(role), 0);
            self.start(role);
        }
        // Where a twentieth is lost, one answer of the HSS in ten million comes after five seconds, and a call fails.
        let gentle = Weather { loss: 0.02, ..WEATHER };
        let weather = if self.below(2) == 0 { gentle } else { Weather::CALM };
        self.network.sim.weather(weather);
        self.hang_up_all();
    }
}

/// Takes what is due.
trait Due {
    fn pop_first_due(&mut self, now: base::Instant) -> Option<(base::Instant, Remedy)>;
}

impl Due for std::collections::BTreeSet<(base::Instant, Remedy)> {
    fn pop_first_due(&mut self, now: base::Instant) -> Option<(base::Instant, Remedy)> {
        let due = self.first().is_some_and(|(at, _)| *at <= now);
        if due { self.pop_first() } else { None }
    }
}
