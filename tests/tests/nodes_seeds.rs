//! Nodes that share registrations over many seeds: nodes, the server, the HSS and the relay die, start, are slow,
//! full, cut off, in any order, while phones register, call and leave. When all is well again, all nodes know the same,
//! and everybody can be called through either of them.
//!
//! `STROWGER_SEED=17` runs that seed alone, `STROWGER_SEEDS=1000` so many; `STROWGER_TRACE` is a file for the trace of
//! one that fails.

use std::sync::atomic::{AtomicU64, Ordering};

use base::Random;
use base::time::Duration;
use engine::sim::{HostId, Weather};
use strowger::plan::Role;
use strowger_tests::Phone;
use strowger_tests::nodes::Nodes;
use strowger_tests::scenario::WEATHER;
use strowger_tests::valkey::Day;
use ue::{UeOrder, What};

/// How many seeds are run.
const SEEDS: u64 = 40;
/// What happens in each.
const TROUBLES: u32 = 12;
const PHONES: u32 = 3;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// All hosts but the phones'.
fn everybody(nodes: &Nodes) -> [HostId; 6] {
    let [a, b] = nodes.scscf;
    let [hss, media] = [Role::Hss, Role::Media].map(|role| nodes.network.hosts[&role]);
    [a, b, nodes.pcscf, nodes.valkey, hss, media]
}

/// Something bad, or the end of something bad.
fn trouble(nodes: &mut Nodes, random: &mut Random) {
    let hosts = everybody(nodes);
    let host = hosts[random.below(6) as usize];
    let sim = &mut nodes.network.sim;
    match random.below(6) {
        0 => sim.crash(host),
        1 => sim.restart(host),
        2 => sim.partition(host, hosts[random.below(6) as usize]),
        3 => {
            let days = [Day::Slow(Duration::from_millis(900)), Day::Silent, Day::Full];
            if sim.is_up(nodes.valkey) {
                nodes.server(days[random.below(3) as usize]);
            }
        }
        4 if sim.is_up(nodes.valkey) => nodes.server(Day::Forgetful),
        _ => {
            for other in hosts {
                sim.heal(host, other);
            }
            if sim.is_up(nodes.valkey) {
                nodes.server(Day::Good);
            }
        }
    }
}

fn act(nodes: &mut Nodes, phones: &[Phone], random: &mut Random) {
    let one = phones[random.below(phones.len() as u64) as usize];
    let other = phones[random.below(phones.len() as u64) as usize];
    let order = match random.below(3) {
        0 => UeOrder::Register,
        1 => UeOrder::Deregister,
        _ => UeOrder::Call { to: other.tel(), token: 1 },
    };
    nodes.network.order(one, order);
}

/// All is well from now on.
fn mend(nodes: &mut Nodes) {
    let hosts = everybody(nodes);
    for host in hosts {
        hosts.into_iter().for_each(|other| nodes.network.sim.heal(host, other));
        if !nodes.network.sim.is_up(host) {
            nodes.network.sim.restart(host);
        }
    }
    nodes.server(Day::Good);
}

fn call(nodes: &mut Nodes, from: Phone, to: Phone) -> Result<(), String> {
    nodes.network.order(from, UeOrder::Call { to: to.tel(), token: 7 });
    let mut id = None;
    let answered =
        nodes.network.until(Duration::from_secs(100), |host, report| match &report.what {
            What::Calling { call, token: 7 } if host == from.host => {
                id = Some(*call);
                None
            }
            What::Answered { call, .. } if Some(*call) == id => Some(Ok(())),
            What::Ended { call, status, reason, .. } if host == from.host && Some(*call) == id => {
                Some(Err(format!("{status} {reason}")))
            }
            _ => None,
        });
    answered.unwrap_or(Err("nobody answers".to_owned()))?;
    nodes.network.run(Duration::from_secs(8));
    nodes.network.order(from, UeOrder::Hangup(id.expect("it was answered")));
    nodes.network.run(Duration::from_secs(8));
    Ok(())
}

/// Lines of the trace that are shown of a seed that fails: the last ones.
const LINES: usize = 100;

fn one(seed: u64) -> Result<(), String> {
    let weather = if seed.is_multiple_of(2) { Weather::CALM } else { WEATHER };
    let mut nodes = Nodes::new(seed, weather);
    day(seed, &mut nodes).map_err(|why| {
        let lines: Vec<&str> = nodes.network.sim.trace().text().lines().collect();
        let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
        if let Some(path) = std::env::var_os("STROWGER_TRACE") {
            std::fs::write(path, lines.join("\n")).expect("the trace can be written");
        }
        format!("{why}\nThe end of the trace:\n{end}")
    })
}

fn day(seed: u64, nodes: &mut Nodes) -> Result<(), String> {
    let mut random = Random::from_u64(seed);
    let phones: Vec<Phone> = (1..=PHONES).map(|n| nodes.network.sim_phone(n, |_| {})).collect();
    for phone in &phones {
        nodes.network.register(*phone);
    }
    for _ in 0..TROUBLES {
        trouble(nodes, &mut random);
        act(nodes, &phones, &mut random);
        nodes.network.run(Duration::from_millis(200 + random.below(6000)));
    }
    mend(nodes);
    // Whatever was under way has failed by now, and who has to register again did.
    nodes.network.run(Duration::from_secs(400));
    for phone in &phones {
        nodes.network.order(*phone, UeOrder::Register);
        nodes.network.run(Duration::from_secs(40));
    }
    let [a, b] = nodes.scscf;
    let (here, there) = (nodes.shares(a), nodes.shares(b));
    if here != there || here.1 > 0 || here.2 {
        return Err(format!("records, changes that wait, away: {here:?} and {there:?}"));
    }
    for (dead, [from, to]) in [(a, [0, 1]), (b, [2, 0])] {
        nodes.network.sim.crash(dead);
        nodes.network.heard();
        call(nodes, phones[from], phones[to]).map_err(|why| format!("{dead:?} dead: {why}"))?;
        nodes.network.sim.restart(dead);
        nodes.network.run(Duration::from_secs(40));
    }
    Ok(())
}

#[test]
fn nodes_agree_after_all_troubles() {
    let last = variable("STROWGER_SEEDS").unwrap_or(SEEDS);
    let seeds = variable("STROWGER_SEED").map_or(1..=last, |seed| seed..=seed);
    let (next, last) = (AtomicU64::new(*seeds.start()), *seeds.end());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > last {
                break;
            }
            if let Err(why) = one(seed) {
                panic!(
                    "seed {seed}: {why}\nTo see it again: STROWGER_SEED={seed} cargo test -p \
                     strowger-tests --test nodes_seeds"
                );
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
}
