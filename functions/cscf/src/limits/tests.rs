//! The buckets and tables, in virtual time.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const CONFIG: LimitsConfig = LimitsConfig { requests_per_second: 50, burst: 1000 };

fn at(millis: u64) -> Instant {
    Instant::from_unix_micros(1_700_000_000_000_000) + Duration::from_millis(millis)
}

fn source(number: u32) -> Source {
    Source::of(IpAddr::from((0x0a00_0000 + number).to_be_bytes()))
}

/// Whether a request of a source is taken.
fn asks(limits: &mut Limits, now: Instant, number: u32, standing: Standing, kind: Kind) -> bool {
    let by = Sender { source: source(number), heard_us: standing == Standing::Known };
    limits.hears(now, by, || kind == Kind::Emergency) && limits.admits(now, by, kind)
}

#[test]
fn a_burst_and_then_so_many_a_second() {
    let mut limits = Limits::new(CONFIG);
    let taken = |limits: &mut Limits, now| {
        (0..5000).filter(|_| asks(limits, now, 1, Standing::Known, Kind::Begins)).count()
    };
    assert_eq!(taken(&mut limits, at(0)), 1000);
    assert_eq!(taken(&mut limits, at(1000)), 50);
    assert_eq!(taken(&mut limits, at(3000)), 100);
    assert_eq!(taken(&mut limits, at(3_600_000)), 1000, "no more than a bucket holds");
}

#[test]
fn emergencies_have_a_bucket_of_their_own() {
    let mut limits = Limits::new(CONFIG);
    let now = at(0);
    // Far beyond what is read at all.
    for _ in 0..100_000 {
        asks(&mut limits, now, 1, Standing::Known, Kind::Begins);
    }
    assert!(!asks(&mut limits, now, 1, Standing::Known, Kind::Begins));
    let calls = (0..100).filter(|_| asks(&mut limits, now, 1, Standing::Known, Kind::Emergency));
    assert_eq!(calls.count(), 20);
}

#[test]
fn what_belongs_to_a_dialog_counts_only_among_all_messages() {
    let mut limits = Limits::new(CONFIG);
    let now = at(0);
    while asks(&mut limits, now, 1, Standing::Known, Kind::Begins) {}
    let within = (0..30_000).filter(|_| asks(&mut limits, now, 1, Standing::Known, Kind::Within));
    assert_eq!(within.count(), 20 * 1000 - 1001);
}

#[test]
fn one_source_takes_nothing_from_others() {
    let mut limits = Limits::new(CONFIG);
    for millis in 0..10_000 {
        for _ in 0..10 {
            asks(&mut limits, at(millis), 1, Standing::Stranger, Kind::Begins);
        }
        if millis % 100 == 0 {
            assert!(asks(&mut limits, at(millis), 2, Standing::Stranger, Kind::Begins));
        }
    }
}

#[test]
fn forged_sources_get_no_more_than_all_strangers_may() {
    // Always new ones, and the same ones again and again.
    for different in [u64::MAX, 10_000] {
        let mut limits = Limits::new(CONFIG);
        let (mut taken, mut sent) = (0, 0);
        for millis in 0..60_000 {
            for _ in 0..5 {
                let number = 100 + (sent % different) as u32;
                sent += 1;
                let standing = Standing::Stranger;
                taken += u64::from(asks(&mut limits, at(millis), number, standing, Kind::Begins));
            }
        }
        assert!(taken <= 10_000 + 60 * 1000 + 1, "{taken} of {sent}");
        // Whoever is registered is taken meanwhile, and so is a stranger in need.
        assert!(asks(&mut limits, at(60_000), 1, Standing::Known, Kind::Begins));
        assert!(asks(&mut limits, at(60_000), 2, Standing::Stranger, Kind::Emergency));
        assert!(limits.sources() <= SOURCES);
        let lines = std::iter::from_fn(|| limits.poll_event()).count();
        assert!(lines <= 2, "{lines} lines");
        assert_eq!(limits.dropped(), sent - taken);
    }
}

#[test]
fn a_newcomer_begins_with_little() {
    let mut limits = Limits::new(CONFIG);
    let taken = |limits: &mut Limits, millis| {
        let asks = |_: &u32| asks(limits, at(millis), 7, Standing::Stranger, Kind::Begins);
        (0..5000).filter(asks).count()
    };
    assert_eq!(taken(&mut limits, 0), 100);
    assert_eq!(taken(&mut limits, 60_000), 1000);
}

#[test]
fn a_source_is_named_once_a_minute() {
    let mut limits = Limits::new(CONFIG);
    let mut lines = Vec::new();
    for millis in 0..120_000 {
        asks(&mut limits, at(millis), 1, Standing::Known, Kind::Begins);
        lines.extend(limits.poll_event());
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].text.contains("10.0.0.1"), "{lines:?}");
}

#[test]
fn who_is_idle_longest_makes_room() {
    let mut table = Table::new(3);
    for (seconds, key) in [(0, 'a'), (1, 'b'), (2, 'c'), (3, 'a'), (4, 'd')] {
        table.touch(at(seconds * 1000), key, || key);
    }
    assert_eq!(
        ['a', 'b', 'c', 'd'].map(|key| table.get(&key).is_some()),
        [true, false, true, true]
    );
    table.remove(&'a');
    assert_eq!(table.len(), 2);
}

proptest! {
    /// In no stretch of time is more taken than a bucket holds and what comes back within it; and what
    /// comes slower than that is always taken.
    #[test]
    fn a_bucket_keeps_its_promise(
        rate in 1u32..1000,
        burst in 1u32..100,
        gaps in prop::collection::vec(0u64..200_000, 1..300),
    ) {
        let limit = Rate::per_second(rate, burst);
        let mut bucket = Bucket::FULL;
        let (mut now, mut taken) = (at(0), Vec::new());
        for gap in gaps {
            now += Duration::from_micros(gap);
            let empty = bucket.is_empty(now, limit);
            prop_assert_eq!(bucket.take(now, limit), !empty);
            if !empty {
                taken.push(now);
            } else {
                let last = *taken.last().expect("a full bucket has one");
                prop_assert!(now.since(last) < Duration::from_micros(1_000_000 / u64::from(rate)));
            }
        }
        let each = 1_000_000 / u64::from(rate);
        for (first, from) in taken.iter().enumerate() {
            for (count, to) in taken[first..].iter().enumerate() {
                let passed = to.since(*from).as_micros() as u64;
                prop_assert!(count as u64 <= u64::from(burst) + passed / each);
            }
        }
    }

    /// The table holds no more than it may, and forgets nobody while there is room.
    #[test]
    fn a_table_is_bounded(uses in prop::collection::vec((0u64..3000, 0u8..20), 0..200)) {
        let mut table = Table::new(8);
        let (mut now, mut known) = (at(0), BTreeSet::new());
        for (gap, key) in uses {
            now += Duration::from_millis(gap);
            known.insert(key);
            prop_assert_eq!(*table.touch(now, key, || key), key);
            prop_assert!(table.len() == known.len().min(8) || known.len() > 8);
            prop_assert!(table.len() <= 8);
        }
    }
}

mod guesses {
    use super::*;

    fn claim(number: u32, identity: u64) -> Claim {
        Claim::test(source(number), identity)
    }

    #[test]
    fn a_guesser_locks_nobody_else_out() {
        let mut limits = Limits::new(CONFIG);
        let (guesser, subscriber) = (claim(1, 7), claim(2, 7));
        let mut tried = 0;
        for seconds in 0..600 {
            let now = at(seconds * 1000);
            if !limits.is_guessing(now, &guesser, false) {
                tried += 1;
                limits.guessed(now, &guesser);
            }
            assert!(!limits.is_guessing(now, &subscriber, false));
        }
        assert!((29..=31).contains(&tried), "ten, and one each half minute: {tried}");
        let lines = std::iter::from_fn(|| limits.poll_event()).count();
        assert!((9..=10).contains(&lines), "{lines} lines in ten minutes");
    }

    #[test]
    fn many_identities_from_one_source() {
        let mut limits = Limits::new(CONFIG);
        let now = at(0);
        let tried = (0..1000).filter(|identity| {
            let claim = claim(1, *identity);
            let asked = !limits.is_guessing(now, &claim, false);
            limits.guessed(now, &claim);
            asked
        });
        assert_eq!(tried.count(), 100);
        assert!(!limits.is_guessing(now, &claim(1, 5000), true), "who is registered there stays");
        assert!(limits.is_guessing(now, &claim(1, 5000), false));
    }

    #[test]
    fn the_right_answer_forgives() {
        let mut limits = Limits::new(CONFIG);
        for _ in 0..9 {
            limits.guessed(at(0), &claim(1, 7));
        }
        limits.proved(&claim(1, 7));
        for _ in 0..9 {
            limits.guessed(at(0), &claim(1, 7));
        }
        assert!(!limits.is_guessing(at(0), &claim(1, 7), false));
    }
}
