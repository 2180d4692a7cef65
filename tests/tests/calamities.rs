//! Everything that can break does, in every function of the network and between any two: see
//! [`strowger_tests::calamity`].
//!
//! `STROWGER_SEED=17` runs that seed alone and shows its ladder if it fails, `STROWGER_SEEDS=1000` runs so many;
//! `STROWGER_TRACE=FILE` writes the trace of a seed that fails there, and into `FILE.jsonl` what `strowger trace
//! --from` and `strowger explain --from` read.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use strowger_tests::Fault;
use strowger_tests::calamity::{Calamity, Statistics};

/// How many seeds are run unless others are asked for.
const SEEDS: u64 = 200;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a seed that fails once more, with evidence.
fn show(seed: u64) -> String {
    let verdict = Calamity { evidence: true, ..Calamity::new(seed) }.run();
    format!(
        "seed {seed}: {:#?}\n{}\nTo see it again: STROWGER_SEED={seed} STROWGER_TRACE=/tmp/trace cargo test \
         --release -p strowger-tests --test calamities network",
        verdict.failures, verdict.evidence
    )
}

/// What happened in all seeds.
fn add(all: &mut Statistics, one: Statistics) {
    all.crashes += one.crashes;
    all.partitions += one.partitions;
    all.disks += one.disks;
    all.overloads += one.overloads;
    all.registered += one.registered;
    all.refused += one.refused;
    all.calls += one.calls;
    all.answered += one.answered;
    all.failed += one.failed;
    all.texts += one.texts;
    all.messages += one.messages;
    all.seconds += one.seconds;
}

#[test]
fn the_network_is_well_after_all_calamities() {
    let seeds = variable("STROWGER_SEED").map(|seed| seed..=seed);
    let seeds = seeds.unwrap_or(1..=variable("STROWGER_SEEDS").unwrap_or(SEEDS));
    let alone = seeds.start() == seeds.end();
    let (next, end) = (AtomicU64::new(*seeds.start()), *seeds.end());
    let (failed, all) = (Mutex::new(Vec::new()), Mutex::new(Statistics::default()));
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > end {
                break;
            }
            let evidence = alone && std::env::var_os("STROWGER_TRACE").is_some();
            let verdict = Calamity { evidence, ..Calamity::new(seed) }.run();
            if alone {
                eprintln!("seed {seed}: {:#?}", verdict.statistics);
            }
            add(&mut all.lock().expect("nobody panics with it"), verdict.statistics);
            if !verdict.failures.is_empty() {
                eprintln!("seed {seed}: {:?}", verdict.failures);
                failed.lock().expect("nobody panics with it").push(seed);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
    let mut failed = failed.into_inner().expect("nobody panics with it");
    failed.sort_unstable();
    eprintln!("{:?}", all.into_inner().expect("nobody panics with it"));
    if let Some(seed) = failed.first() {
        panic!("{} seeds fail: {failed:?}. {}", failed.len(), show(*seed));
    }
}

/// Some seed shows a planted fault, and says so in these words.
fn is_found(fault: Fault, words: &str) {
    for seed in 1..=SEEDS {
        let verdict = Calamity { fault: Some(fault), ..Calamity::new(seed) }.run();
        if let Some(failure) = verdict.failures.iter().find(|failure| failure.contains(words)) {
            return eprintln!("{fault:?} is found by seed {seed}: {failure}");
        }
    }
    panic!("{fault:?} is not found");
}

#[test]
fn a_user_whom_the_s_cscf_never_deletes_is_found() {
    is_found(Fault::BindingSurvives, "on its disk");
}

#[test]
fn a_sequence_number_that_is_used_twice_is_found() {
    is_found(Fault::SqnNotPersisted, "hss.resynchronised");
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let trace = |seed| Calamity::new(seed).run().trace;
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5), trace(6));
}
