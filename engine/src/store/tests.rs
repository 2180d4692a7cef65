//! Crashes at every write.

use std::collections::BTreeMap;

use base::store::{Change, Durability, StoreError, Table};
use base::time::Duration;
use base::{Bytes, Instant, Random};

use super::*;
use crate::shard::Store;

const A: Table = Table("test.a");
const B: Table = Table("test.b");
const NOW: Instant = Instant::from_unix_micros(1);

fn put(table: Table, key: u8, value: u64) -> Change {
    let value = Bytes::copy_from_slice(&value.to_be_bytes());
    Change::Put { table, key: Bytes::copy_from_slice(&[key]), value }
}

fn all(store: &mut DiskStore, table: Table) -> BTreeMap<u8, u64> {
    let mut records = BTreeMap::new();
    store
        .restore(table, &mut |k, v| {
            records.insert(k[0], u64::from_be_bytes(v[..].try_into().unwrap()));
        })
        .unwrap();
    records
}

/// Each transaction writes the same number to both tables, under a random key.
#[test]
fn acknowledged_commits_survive_and_commits_are_atomic() {
    let mut torn = 0;
    for seed in 0..150u64 {
        let mut random = Random::from_u64(seed);
        let disk = SimulatedDisk::new(seed);
        let mut store = DiskStore::simulated(disk.clone());
        let mut acknowledged = BTreeMap::new();
        let mut tried = BTreeMap::new();
        for life in 0..3u64 {
            disk.fail_after(random.below(60));
            for step in 1..40u64 {
                let key = random.below(8) as u8;
                let number = life * 1000 + step;
                tried.insert(key, number);
                let changes = vec![put(A, key, number), put(B, key, number)];
                store.write(NOW, Durability::Before, changes);
                if store.commit(NOW).is_err() {
                    torn += 1;
                    break;
                }
                acknowledged.insert(key, number);
            }
            disk.crash(random.u64());
            store = DiskStore::simulated(disk.clone());
            let (a, b) = (all(&mut store, A), all(&mut store, B));
            assert_eq!(a, b, "seed {seed}: all or none");
            for (key, number) in &acknowledged {
                let found = a.get(key).copied();
                assert!(
                    found == Some(*number) || found == tried.get(key).copied(),
                    "seed {seed}: {key} was acknowledged as {number}, found {found:?}"
                );
            }
            // What was not acknowledged may be there: it counts from here on.
            acknowledged = a.clone();
            tried = a;
        }
    }
    assert!(torn > 100, "crashes did happen: {torn}");
}

#[test]
fn behind_is_seen_at_once_and_written_within_50_ms() {
    let disk = SimulatedDisk::new(1);
    let mut store = DiskStore::simulated(disk.clone());
    assert_eq!(store.load(A, &[1]), Ok(None));
    store.write(NOW, Durability::Behind, vec![put(A, 1, 7)]);
    assert_eq!(store.deadline(), Some(NOW + Duration::from_millis(50)));
    assert!(store.load(A, &[1]).unwrap().is_some());
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 7)]));
    assert_eq!(disk.length(), 0, "nothing written yet");
    store.commit(NOW).unwrap();
    assert_eq!(store.deadline(), None);
    store.write(NOW, Durability::Behind, vec![Change::Delete { table: A, key: vec![1].into() }]);
    assert_eq!(store.load(A, &[1]), Ok(None));
    disk.crash(5);
    let mut store = DiskStore::simulated(disk);
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 7)]));
}

#[test]
fn a_failing_disk_keeps_what_is_behind() {
    for (full, expected) in [(true, StoreError::Full), (false, StoreError::ReadOnly)] {
        let disk = SimulatedDisk::new(1);
        let mut store = DiskStore::simulated(disk.clone());
        if full {
            disk.limit(Some(4096))
        } else {
            disk.read_only(true)
        }
        store.write(NOW, Durability::Behind, vec![put(A, 1, 1)]);
        store.write(NOW, Durability::Before, vec![put(A, 1, 2), put(A, 2, 2)]);
        assert_eq!(store.commit(NOW), Err(expected));
        let events: Vec<_> = std::iter::from_fn(|| store.event()).collect();
        assert_eq!(events.len(), 1);
        assert_eq!(store.commit(NOW), Err(expected));
        assert_eq!(store.event(), None, "said once");
        let retry = store.deadline().unwrap();
        assert!(retry > NOW);
        disk.limit(None);
        disk.read_only(false);
        assert_eq!(store.commit(retry), Ok(()));
        assert_eq!(store.event().unwrap().counter, "store.recovered");
        assert_eq!(all(&mut store, A), BTreeMap::from([(1, 1)]), "the refused change is undone");
    }
}

/// A commit takes its time: what is written meanwhile waits for the next one, and is seen above it.
#[test]
fn what_is_written_during_a_commit_is_the_next_one() {
    let disk = SimulatedDisk::new(1);
    disk.slow(Duration::from_millis(30));
    let mut store = DiskStore::simulated(disk.clone());
    store.write(NOW, Durability::Behind, vec![put(A, 1, 1), put(A, 2, 1)]);
    store.begin(NOW);
    let end = NOW + Duration::from_millis(30);
    assert_eq!((store.deadline(), store.ended(NOW)), (Some(end), None));
    let delete = Change::Delete { table: A, key: Bytes::copy_from_slice(&[2]) };
    store.write(NOW, Durability::Behind, vec![put(A, 1, 2), delete, put(A, 3, 2)]);
    store.begin(NOW);
    assert_eq!(store.deadline(), Some(end), "one at a time");
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 2), (3, 2)]));
    assert_eq!(store.keys(A, None, 9).unwrap(), [vec![1], vec![3]]);
    assert_eq!(store.load(A, &[2]), Ok(None));
    assert_eq!(store.ended(end), Some(Ok(())));
    assert_eq!(store.deadline(), Some(NOW + Duration::from_millis(50)));
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 2), (3, 2)]));
    disk.crash(1);
    let mut store = DiskStore::simulated(disk);
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 1), (2, 1)]), "only the first is durable");
}

/// What is left of a commit that failed lies beneath what was written while it was under way.
#[test]
fn a_commit_that_fails_late_undoes_nothing_newer() {
    let disk = SimulatedDisk::new(1);
    disk.slow(Duration::from_millis(30));
    let mut store = DiskStore::simulated(disk.clone());
    disk.read_only(true);
    store.write(NOW, Durability::Behind, vec![put(A, 1, 1), put(A, 2, 1)]);
    store.write(NOW, Durability::Before, vec![put(A, 3, 1)]);
    store.begin(NOW);
    store.write(NOW, Durability::Behind, vec![put(A, 1, 2)]);
    store.write(NOW, Durability::Before, vec![put(A, 4, 2)]);
    let end = store.deadline().unwrap();
    assert_eq!(store.ended(end), Some(Err(StoreError::ReadOnly)));
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 2), (2, 1), (4, 2)]));
    disk.read_only(false);
    assert_eq!(store.commit(end), Ok(()));
    disk.crash(1);
    let mut store = DiskStore::simulated(disk);
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 2), (2, 1), (4, 2)]));
}

/// Whoever leaves waits for the commit that is under way, and for what came after it.
#[test]
fn a_thread_commits_and_says_so() {
    let path = std::env::temp_dir().join(format!("strowger-aside-{}.redb", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let open = || {
        let path = path.clone();
        DiskStore::open(StoreConfig { path, cache: 1 << 20, schema: 1, migrate: None }).unwrap()
    };
    let mut store = open();
    let (woken, wakes) = std::sync::mpsc::channel();
    store.write_aside(Box::new(move || woken.send(()).unwrap_or_default())).unwrap();
    store.write(NOW, Durability::Before, vec![put(A, 1, 1)]);
    store.begin(NOW);
    assert_eq!(store.deadline(), None, "nobody has to ask");
    wakes.recv().unwrap();
    assert_eq!(store.ended(NOW), Some(Ok(())));
    assert_eq!(store.ended(NOW), None);
    for number in 2..20 {
        store.write(NOW, Durability::Behind, vec![put(A, 1, number), put(B, number as u8, number)]);
        store.begin(NOW);
    }
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 19)]), "while the thread writes");
    store.commit(NOW).unwrap();
    drop(store);
    let mut store = open();
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 19)]));
    assert_eq!(all(&mut store, B).len(), 18);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn keys_are_paged_over_what_is_written_and_what_waits() {
    let mut store = DiskStore::simulated(SimulatedDisk::new(1));
    store.write(NOW, Durability::Before, (0..6).map(|key| put(A, 2 * key, 0)).collect());
    store.commit(NOW).unwrap();
    let delete = |key: u8| Change::Delete { table: A, key: Bytes::copy_from_slice(&[key]) };
    store.write(NOW, Durability::Behind, vec![put(A, 3, 0), put(B, 5, 0), delete(4), delete(0)]);
    let mut keys = |after: Option<u8>, limit| -> Vec<u8> {
        let after = after.as_ref().map(std::slice::from_ref);
        store.keys(A, after, limit).unwrap().iter().map(|key| key[0]).collect()
    };
    assert_eq!(keys(None, 3), [2, 3, 6]);
    assert_eq!(keys(Some(3), 2), [6, 8]);
    assert_eq!(keys(Some(6), 9), [8, 10]);
    assert_eq!(keys(Some(10), 9), [0; 0]);
}

/// What was written before can be read while nothing can be written, after each failed commit.
#[test]
fn a_failing_disk_can_still_be_read() {
    for read_only in [false, true] {
        let disk = SimulatedDisk::new(1);
        let mut store = DiskStore::simulated(disk.clone());
        store.write(NOW, Durability::Before, vec![put(A, 1, 1)]);
        store.commit(NOW).unwrap();
        if read_only {
            disk.read_only(true)
        } else {
            disk.limit(Some(0))
        }
        for _ in 0..3 {
            store.write(NOW, Durability::Before, vec![put(A, 1, 2)]);
            store.commit(NOW).unwrap_err();
            assert_eq!(all(&mut store, A), BTreeMap::from([(1, 1)]));
            assert!(store.load(A, &[1]).unwrap().is_some());
        }
        disk.read_only(false);
        disk.limit(None);
        store.write(NOW, Durability::Before, vec![put(A, 1, 3)]);
        store.commit(NOW).unwrap();
        assert_eq!(all(&mut store, A), BTreeMap::from([(1, 3)]));
    }
}

#[test]
fn a_file_is_migrated_or_refused() {
    let path = std::env::temp_dir().join(format!("strowger-store-{}.redb", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let config = |schema, migrate: Option<Migrate>| StoreConfig {
        path: path.clone(),
        cache: 1 << 20,
        schema,
        migrate,
    };
    let mut store = DiskStore::open(config(2, None)).unwrap();
    store.write(NOW, Durability::Before, vec![put(A, 1, 1)]);
    store.commit(NOW).unwrap();
    assert!(matches!(DiskStore::open(config(2, None)), Err(OpenError::InUse { .. })));
    drop(store);
    let newer = DiskStore::open(config(1, None)).unwrap_err();
    assert!(matches!(newer, OpenError::Newer { found: 2, known: 1, .. }), "{newer}");
    assert!(matches!(DiskStore::open(config(3, None)), Err(OpenError::Migration { .. })));
    let double: Migrate = |from, records| {
        assert_eq!(from, 2);
        for (key, value) in records.all(A)? {
            let number = u64::from_be_bytes(value[..].try_into().unwrap());
            records.change(&[put(A, key[0], number * 2)])?;
        }
        Ok(())
    };
    let mut store = DiskStore::open(config(3, Some(double))).unwrap();
    assert_eq!(all(&mut store, A), BTreeMap::from([(1, 2)]));
    drop(store);
    DiskStore::open(config(3, None)).unwrap();
    std::fs::remove_file(&path).unwrap();
}
