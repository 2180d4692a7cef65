//! What is measured, and the goals.
//!
//! What crosses one function here is compared with the one function that Kamailio's configuration is:
//! OPTIONS at the P-CSCF; registrations and the terminating half of a call at the S-CSCF with its HSS,
//! whose trusted neighbour the generator is. A whole call crosses P-, S-, I-, S- and P-CSCF here, and one
//! proxy there.

use crate::bench::sample;
use crate::server::{Kind, Part};

/// One kind of work.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What the generator is told.
    pub(crate) load: &'static str,
    /// Which functions of ours do it.
    pub(crate) part: Part,
    /// Its pace, if it depends on what Kamailio can do.
    pub(crate) pace: Pace,
    pub(crate) goals: &'static [Goal],
    /// Subscribers in our store.
    pub(crate) subscribers: usize,
    /// Whether both are compared.
    compared: bool,
}

/// A pace in terms of what Kamailio does at most, which is measured first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// What the load says.
    Given,
    Peak,
    HalfOfPeak,
}

/// What is to be reached.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Goal {
    /// At most so many times Kamailio's CPU.
    Cpu(f64),
    /// The 99th percentile is no worse than Kamailio's.
    Latency,
    /// At most so many times Kamailio's memory above idle.
    Memory(f64),
    /// At most so many KiB for each registered phone.
    EachPhone(f64),
    /// Ten refreshes of every registration need no more memory.
    Flat,
}

const fn row(name: &'static str, part: Part, load: &'static str, goals: &'static [Goal]) -> Row {
    Row { name, load, part, pace: Pace::Given, goals, subscribers: 10_000, compared: true }
}

use Goal::{Cpu, EachPhone, Flat, Latency, Memory};
use Part::{Relay, Scscf, Whole};

pub(crate) const ROWS: &[Row] = &[
    row("options udp", Whole, "options --count 80000", &[Cpu(0.85)]),
    row("options udp 5000/s", Whole, "options --count 50000 --rate 5000", &[Cpu(0.85)]),
    row("register udp", Scscf, "register --users 2000 --first 2000 --count 40000", &[Cpu(0.8)]),
    row(
        "register udp 2000/s",
        Scscf,
        "register --users 2000 --first 2000 --count 20000 --rate 2000",
        &[Cpu(0.8)],
    ),
    row("call udp", Scscf, "call --users 1000 --count 15000", &[Cpu(0.45)]),
    // Longer than the longest timer: its memory is that of a steady state.
    row(
        "call udp 500/s",
        Scscf,
        "call --users 1000 --count 20000 --rate 500 --window 1000",
        &[Cpu(0.45), Memory(0.3)],
    ),
    row("call tcp", Scscf, "call --transport tcp --users 500 --count 10000", &[Cpu(0.5)]),
    row("whole call udp", Whole, "call --users 1000 --count 10000", &[Cpu(1.5)]),
    row("whole call udp, media anchored", Relay, "call --users 1000 --count 10000", &[]),
    Row {
        pace: Pace::HalfOfPeak,
        ..row("latency, options udp", Whole, "options --count 80000 --window 1000", &[Latency])
    },
    Row {
        pace: Pace::HalfOfPeak,
        ..row(
            "latency, register udp",
            Scscf,
            "register --users 2000 --first 2000 --count 40000 --window 1000",
            &[Latency],
        )
    },
    Row {
        pace: Pace::HalfOfPeak,
        ..row(
            "latency, call udp",
            Scscf,
            "call --users 1000 --count 15000 --window 1000",
            &[Latency],
        )
    },
    Row {
        pace: Pace::Peak,
        ..row(
            "memory, call udp at Kamailio's peak",
            Scscf,
            "call --users 1000 --count 1000000 --seconds 36 --window 1000",
            &[Memory(0.3)],
        )
    },
    phones("memory, 100,000 phones, S-CSCF", Scscf, &[EachPhone(1.2), Flat]),
    phones("memory, 100,000 phones, P-CSCF, S-CSCF, HSS", Whole, &[EachPhone(3.0), Flat]),
];

/// Over TCP, where no transaction outlives its last response.
const fn phones(name: &'static str, part: Part, goals: &'static [Goal]) -> Row {
    let load = "register --transport tcp --sockets 64 --users 100000 --first 100000 \
                --count 1000000 --seconds 900";
    let row = row(name, part, load, goals);
    Row { subscribers: 100_000, compared: false, ..row }
}

impl Row {
    /// The servers, in the order in which they are measured.
    pub(crate) fn servers(&self) -> Vec<Kind> {
        let ours = Kind::Strowger { subscribers: self.subscribers, part: self.part };
        if self.compared && self.part != Relay { vec![self.kamailio(), ours] } else { vec![ours] }
    }

    fn kamailio(&self) -> Kind {
        Kind::Kamailio { dialogs: self.load.starts_with("call") }
    }

    /// Units a second, if that depends on Kamailio.
    pub(crate) fn rate(&self) -> Result<Option<f64>, String> {
        let share = match self.pace {
            Pace::Given => return Ok(None),
            Pace::Peak => 1.0,
            Pace::HalfOfPeak => 0.5,
        };
        let begin = self.load.split(" --count").next().unwrap_or(self.load);
        let peak = sample::run(self, self.kamailio(), &format!("{begin} --count 15000"), "0")?;
        Ok(Some((peak.per_second * share).round()))
    }

    /// What the generator waits for at the end, in milliseconds: the last timers of the server's
    /// transactions.
    pub(crate) fn settle(&self, kind: Kind) -> &'static str {
        match kind {
            // Its tm frees transactions after 5 s.
            Kind::Kamailio { .. } => "6500",
            // Timers J and L.
            Kind::Strowger { .. } if self.load.contains("tcp") => "2000",
            Kind::Strowger { .. } if self.load.starts_with("options") => "2000",
            Kind::Strowger { .. } => "34000",
        }
    }
}
