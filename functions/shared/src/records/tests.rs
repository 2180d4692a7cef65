//! Each way in which two nodes can meet at one record.

use super::*;

const T: Table = Table("t");

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn id(key: &'static str) -> Id {
    (T, bytes(key))
}

fn put(key: &'static str, value: &'static str) -> Change {
    Change::Put { table: T, key: bytes(key), value: bytes(value) }
}

fn held(epoch: u64, node: &str, value: &'static str) -> Held {
    Held { epoch, node: node.to_owned(), value: bytes(value) }
}

fn news(key: &'static str, value: Option<&'static str>) -> Option<News> {
    Some(News { id: id(key), value: value.map(bytes) })
}

fn sent(records: &mut Records) -> Write {
    records.send(10).expect("something to send")
}

#[test]
fn a_change_is_sent_once_and_again_if_it_changed_meanwhile() {
    let mut records = Records::default();
    records.change(put("a", "1"));
    let first = sent(&mut records);
    assert_eq!((first.epoch, first.value.clone()), (0, Some(bytes("1"))));
    records.change(put("a", "2"));
    records.change(put("a", "3"));
    assert_eq!(records.send(10), None, "one write of a record at a time");
    records.accepted(&first.id, first.attempt, 5);
    let second = sent(&mut records);
    assert_eq!((second.epoch, second.value.clone()), (5, Some(bytes("3"))));
    records.accepted(&second.id, second.attempt, 6);
    assert_eq!((records.waiting(), records.len()), (0, 1));
}

#[test]
fn what_came_and_went_before_it_was_sent_is_nobodys_business() {
    let mut records = Records::default();
    records.change(put("a", "1"));
    records.change(Change::Delete { table: T, key: bytes("a") });
    assert_eq!(records.send(10), None);
    assert_eq!((records.waiting(), records.len()), (0, 0));
}

#[test]
fn whoever_wrote_first_owns_it() {
    let mut records = Records::default();
    records.change(put("a", "ours"));
    let write = sent(&mut records);
    let told = records.lost(&write.id, write.attempt, Some(held(7, "b", "theirs")));
    assert_eq!(told, news("a", Some("theirs")));
    records.change(put("a", "ours again"));
    assert_eq!(sent(&mut records).epoch, 7, "and we may write after them");
}

#[test]
fn an_answer_that_was_overtaken_says_nothing() {
    let mut records = Records::default();
    records.change(put("a", "ours"));
    let old = sent(&mut records);
    assert_eq!(records.changed(&id("a"), 7, Some(bytes("theirs"))), news("a", Some("theirs")));
    records.change(put("a", "newer"));
    let new = sent(&mut records);
    assert_eq!(records.lost(&old.id, old.attempt, Some(held(7, "b", "theirs"))), None);
    records.accepted(&new.id, new.attempt, 8);
    assert_eq!(records.waiting(), 0);
    assert_eq!(records.of(T).next(), news("a", Some("newer")));
}

#[test]
fn a_deletion_of_an_earlier_life_is_ignored() {
    let mut records = Records::default();
    records.change(put("a", "new"));
    let write = sent(&mut records);
    assert_eq!(records.changed(&id("a"), 8, None), None);
    records.accepted(&write.id, write.attempt, 9);
    assert_eq!(records.changed(&id("a"), 8, None), None);
    assert_eq!(records.changed(&id("a"), 10, None), news("a", None));
    assert_eq!(records.len(), 0);
}

fn synchronised() -> Records {
    let mut records = Records::default();
    records.read_anew(false);
    for (key, epoch) in [("a", 1), ("b", 2), ("c", 3)] {
        assert!(records.seen(id(key), held(epoch, "b", "old"), "us").is_some());
    }
    assert!(records.all_seen().is_empty());
    records
}

#[test]
fn who_was_away_learns_what_changed() {
    let mut records = synchronised();
    records.disconnected();
    records.change(put("b", "ours"));
    records.read_anew(false);
    assert_eq!(records.seen(id("a"), held(1, "b", "old"), "us"), None);
    // Another node wrote it meanwhile: its epoch is over for us.
    let told = records.seen(id("b"), held(4, "b", "theirs"), "us");
    assert_eq!(told, news("b", Some("theirs")));
    assert_eq!(records.all_seen(), [News { id: id("c"), value: None }]);
    assert_eq!(records.waiting(), 0);
}

#[test]
fn a_write_whose_answer_was_lost_is_ours() {
    let mut records = synchronised();
    records.change(put("a", "ours"));
    sent(&mut records);
    records.disconnected();
    records.change(put("a", "newer"));
    records.read_anew(false);
    assert_eq!(records.seen(id("a"), held(9, "us", "ours"), "us"), None);
    assert_eq!(sent(&mut records).epoch, 9);
}

#[test]
fn a_server_that_forgot_is_told() {
    let mut records = synchronised();
    records.disconnected();
    records.read_anew(true);
    assert_eq!(records.seen(id("a"), held(1, "b", "older"), "us"), None);
    assert!(records.all_seen().is_empty());
    let mut told = Vec::new();
    while let Some(write) = records.send(10) {
        told.push((write.id.1, write.epoch, write.value));
    }
    let old = Some(bytes("old"));
    let expected =
        [(bytes("a"), 1, old.clone()), (bytes("b"), 0, old.clone()), (bytes("c"), 0, old)];
    assert_eq!(told, expected);
}

#[test]
fn what_was_written_alone_is_newer_than_what_was_left() {
    let mut records = Records::default();
    records.change(put("a", "fresh"));
    records.read_anew(false);
    assert_eq!(records.seen(id("a"), held(3, "b", "stale"), "us"), None);
    assert_eq!(sent(&mut records).epoch, 3);
}

#[test]
fn not_more_than_a_window_is_on_its_way() {
    let mut records = Records::default();
    for key in ["a", "b", "c"] {
        records.change(put(key, "1"));
    }
    let first = records.send(2).expect("a write");
    assert!(records.send(2).is_some() && records.send(2).is_none());
    records.failed(&first.id, first.attempt);
    assert_eq!(records.send(2).map(|write| write.id), Some(id("a")), "it is tried again");
    assert_eq!(records.waiting(), 3);
}

/// The stream of changes comes later than the answers: what it tells of before our own deletion is gone.
#[test]
fn what_we_deleted_does_not_come_back_with_an_older_change() {
    let mut records = Records::default();
    // Another node's, which we read and delete before its change is told.
    assert_eq!(records.seen(id("a"), held(3, "other", "1"), "us"), news("a", Some("1")));
    records.change(Change::Delete { table: T, key: bytes("a") });
    let write = sent(&mut records);
    assert_eq!((write.epoch, write.value.clone()), (3, None));
    records.accepted(&write.id, write.attempt, 12);
    assert_eq!(records.changed(&id("a"), 3, Some(bytes("1"))), None);
    assert_eq!(records.len(), 0);
    // What comes after it is news.
    assert_eq!(records.changed(&id("a"), 13, Some(bytes("2"))), news("a", Some("2")));
    records.told_until(13);
    assert!(records.buried.is_empty());
}

/// The stream may also be ahead of the answers: another node saw our record, and deleted it, before we hear that it
/// was written.
#[test]
fn what_another_node_deleted_before_we_were_answered_does_not_stay() {
    let mut records = Records::default();
    records.change(put("a", "1"));
    let write = sent(&mut records);
    assert_eq!(records.changed(&id("a"), 6, None), None);
    assert_eq!(records.accepted(&write.id, write.attempt, 5), news("a", None));
    assert_eq!((records.len(), records.waiting()), (0, 0));
    // A deletion of what was there before is none of ours.
    records.change(put("b", "1"));
    let write = sent(&mut records);
    assert_eq!(records.changed(&id("b"), 7, None), None);
    assert_eq!(records.accepted(&write.id, write.attempt, 8), None);
    assert_eq!((records.len(), records.waiting()), (1, 0));
}
