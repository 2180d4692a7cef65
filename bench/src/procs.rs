//! CPU time and memory of a server, all its processes together, read from /proc.
use crate::args::Args;
use std::collections::BTreeSet;
use std::fs;

#[derive(Clone, Default)]
pub struct Server {
    roots: Vec<i32>,
    name: Option<String>,
}

#[derive(Clone, Copy, Default, Debug)]
pub struct Mem {
    pub pss_kib: u64,
    pub rss_kib: u64,
    pub processes: usize,
}

fn parent_and_user(pid: i32) -> Option<(i32, u64)> {
    // returns (parent, utime in clock ticks); the command name may hold spaces
    let s = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &s[s.rfind(')')? + 2..];
    let f: Vec<&str> = rest.split(' ').collect();
    Some((f[1].parse().ok()?, f[11].parse().ok()?))
}

/// CPU time of another process with all its threads, also of those that ended.
fn process_cpu_ns(pid: i32) -> u64 {
    let mut clock = 0;
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `clock` and `ts` outlive the calls that fill them; whoever the process is, and whether it
    // still is, decides only about success, and a clock is read only after it was found.
    let read = unsafe {
        libc::clock_getcpuclockid(pid, &mut clock) == 0 && libc::clock_gettime(clock, &mut ts) == 0
    };
    if read {
        ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
    } else {
        0
    }
}

/// What the times in /proc are counted in.
fn ticks_per_second() -> u64 {
    // SAFETY: it takes an integer and gives one; no memory is shared.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as u64 }
}

fn all_pids() -> Vec<i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

impl Server {
    /// From `--pid 1,2,3` (descendants are included) or `--cmd-name NAME` (as in /proc/PID/comm).
    pub fn from_args(a: &Args) -> Server {
        let pids = a.text("pid", "");
        let name = a.text("cmd-name", "");
        Server {
            roots: pids.split(',').filter_map(|p| p.trim().parse().ok()).collect(),
            name: if name.is_empty() { None } else { Some(name) },
        }
    }

    pub fn given(&self) -> bool {
        !self.roots.is_empty() || self.name.is_some()
    }

    pub fn pids(&self) -> BTreeSet<i32> {
        let mut set: BTreeSet<i32> = self.roots.iter().copied().collect();
        let all = all_pids();
        if let Some(name) = &self.name {
            for p in &all {
                if let Ok(c) = fs::read_to_string(format!("/proc/{p}/comm")) {
                    if c.trim_end() == name {
                        set.insert(*p);
                    }
                }
            }
        }
        loop {
            let before = set.len();
            for p in &all {
                if let Some((parent, _)) = parent_and_user(*p) {
                    if set.contains(&parent) {
                        set.insert(*p);
                    }
                }
            }
            if set.len() == before {
                return set;
            }
        }
    }

    /// User and system time of all processes, in microseconds.
    pub fn cpu_us(&self) -> u64 {
        if !self.given() {
            return 0;
        }
        self.pids().iter().map(|p| process_cpu_ns(*p) / 1000).sum()
    }

    /// The user-mode part of `cpu_us`, in steps of 10 ms.
    pub fn user_us(&self) -> u64 {
        if !self.given() {
            return 0;
        }
        let hz = ticks_per_second();
        self.pids()
            .iter()
            .filter_map(|p| parent_and_user(*p))
            .map(|(_, u)| u * 1_000_000 / hz)
            .sum()
    }

    pub fn mem(&self) -> Mem {
        let mut m = Mem::default();
        if !self.given() {
            return m;
        }
        for p in self.pids() {
            if let Ok(s) = fs::read_to_string(format!("/proc/{p}/smaps_rollup")) {
                m.processes += 1;
                for l in s.lines() {
                    let v = || {
                        l.split_whitespace().nth(1).and_then(|x| x.parse::<u64>().ok()).unwrap_or(0)
                    };
                    if l.starts_with("Pss:") {
                        m.pss_kib += v();
                    } else if l.starts_with("Rss:") {
                        m.rss_kib += v();
                    }
                }
            }
        }
        m
    }
}

/// How busy the machine was with things other than the server and the generator: take one before
/// and one after. Figures measured while others were busy are not to be trusted to a few per cent.
pub struct Machine {
    busy_us: u64,
    steal_us: u64,
    at_ns: u64,
    own_ns: u64,
    server_us: u64,
}

impl Machine {
    pub fn now(s: &Server) -> Machine {
        let hz = ticks_per_second();
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let f: Vec<u64> = text
            .lines()
            .next()
            .unwrap_or("")
            .split_whitespace()
            .skip(1)
            .filter_map(|x| x.parse().ok())
            .collect();
        Machine {
            busy_us: (f[0] + f[1] + f[2] + f[5] + f[6]) * 1_000_000 / hz,
            steal_us: f[7] * 1_000_000 / hz,
            at_ns: crate::now_ns(),
            own_ns: crate::self_cpu_ns(),
            server_us: s.cpu_us(),
        }
    }

    /// (CPU used by others, time stolen by the host), both in per cent of one CPU.
    pub fn others_since(&self, s: &Server) -> (f64, f64) {
        let n = Machine::now(s);
        let wall = (n.at_ns - self.at_ns) as f64 / 1e3;
        let ours = (n.own_ns - self.own_ns) as f64 / 1e3 + (n.server_us - self.server_us) as f64;
        let others = ((n.busy_us - self.busy_us) as f64 - ours).max(0.0);
        (others / wall * 100.0, (n.steal_us - self.steal_us) as f64 / wall * 100.0)
    }
}
