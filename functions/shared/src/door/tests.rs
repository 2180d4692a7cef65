//! What `redis-cli` says, and what nobody should.

use base::{Endpoint, Service, Transport};
use resp::command;

use super::*;

const T: Table = Table("t");
const U: Table = Table("u.v");

/// A door with records behind it, and what it answered.
struct World {
    door: Door,
    answers: Reader,
    closed: bool,
}

fn records(table: Table) -> Vec<(Bytes, Bytes)> {
    let count = if table == T { 25 } else { 2 };
    (0..count).map(|n| (format!("{n:02}").into(), format!("secret{n}").into())).collect()
}

fn flow() -> Flow {
    let end = |port| Endpoint::Ip(([127, 0, 0, 1], port).into());
    let (service, transport) = (Service::Resp, Transport::Tcp);
    Flow { id: FlowId(1), service, local: end(6379), remote: end(9), transport, proved: false }
}

impl World {
    fn new(password: Option<&str>) -> World {
        let config = DoorConfig {
            tables: vec![T, U],
            password: password.map(|word| Secret::new(word.to_owned())),
            shown: |_, value| value.to_ascii_uppercase().into(),
        };
        World { door: Door::new(config), answers: Reader::default(), closed: false }
    }

    fn says(&mut self, bytes: &Bytes) -> Vec<Value> {
        let mut rest = bytes.clone();
        while let Ok(Some(length)) = resp::unit(&rest) {
            let message = rest.split_to(length);
            self.door.handle(Instant::EPOCH, Input::Received { flow: flow(), message });
        }
        let mut values = Vec::new();
        while let Some(output) = self.door.poll() {
            match output {
                Output::Transmit { mut message, .. } => {
                    while let Ok(Some(length)) = resp::unit(&message) {
                        let unit = message.split_to(length);
                        values.extend(self.answers.push(&unit).expect("RESP"));
                    }
                }
                Output::Load { load, table, key } => {
                    let found = records(table).into_iter().find(|(known, _)| *known == key);
                    let value = Ok(found.map(|(_, value)| value));
                    self.door.handle(Instant::EPOCH, Input::Loaded { load, value });
                }
                Output::Scan { load, table, after, limit } => {
                    let keys = records(table).into_iter().map(|(key, _)| key);
                    let beyond = keys.filter(|key| after.as_ref().is_none_or(|after| key > after));
                    let keys = Ok(beyond.take(limit).collect());
                    self.door.handle(Instant::EPOCH, Input::Scanned { load, keys });
                }
                Output::Close { .. } => self.closed = true,
                other => panic!("{other:?}"),
            }
        }
        values
    }

    fn ask(&mut self, words: &str) -> Value {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let mut answers = self.says(&command(&words));
        assert_eq!(answers.len(), 1, "{words:?}: {answers:?}");
        answers.remove(0)
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Error(text) => String::from_utf8_lossy(text).into_owned(),
        other => other.bytes().map_or("?".to_owned(), |b| String::from_utf8_lossy(b).into_owned()),
    }
}

#[test]
fn records_are_strings_and_their_secrets_are_not_shown() {
    let mut world = World::new(None);
    assert_eq!(text(&world.ask("GET t:07")), "SECRET7");
    for nothing in ["GET t:99", "GET t", "GET x:07"] {
        assert!(world.ask(nothing).is_nil(), "{nothing}");
    }
    assert_eq!(text(&world.ask("type u.v:01")), "string");
    assert_eq!(text(&world.ask("TYPE u.v:09")), "none");
    assert_eq!(world.ask("EXISTS t:01 t:99 nothing u.v:00 t:01"), Value::Integer(3));
    assert_eq!(world.ask("DBSIZE"), Value::Integer(27));
    assert_eq!(text(&world.ask("PING")), "PONG");
    assert!(text(&world.ask("INFO")).contains("tables:t,u.v"));
}

#[test]
fn a_scan_finds_every_key_once() {
    for count in [1, 2, 5, 24, 25, 26, 1000] {
        let mut world = World::new(None);
        let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
        loop {
            let answer = world.ask(&format!("SCAN {cursor} COUNT {count}"));
            let page = answer.array().expect("cursor and keys");
            keys.extend(page[1].array().expect("keys").iter().map(text));
            cursor = text(&page[0]);
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(keys.len(), 27, "{count}: {keys:?}");
        assert!(keys.is_sorted() && keys.contains(&"u.v:01".to_owned()));
    }
    let mut world = World::new(None);
    let answer = world.ask("KEYS t:?5");
    let keys: Vec<String> = answer.array().expect("keys").iter().map(text).collect();
    assert_eq!(keys, ["t:05", "t:15"]);
    let answer = world.ask("SCAN 0 MATCH u* COUNT 1000");
    assert_eq!(answer.array().expect("a page")[1].array().map(<[Value]>::len), Some(0));
    assert_eq!(text(&world.ask("SCAN 4711").array().expect("a page")[0]), "0");
}

#[test]
fn commands_that_come_at_once_are_answered_in_their_order() {
    let mut world = World::new(None);
    let many = ["GET t:01", "PING", "DBSIZE", "GET t:02", "ECHO x"];
    let bytes: Vec<u8> = many
        .iter()
        .flat_map(|words| {
            let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
            command(&words).to_vec()
        })
        .collect();
    let answers: Vec<String> = world.says(&bytes.into()).iter().map(text).collect();
    assert_eq!(answers, ["SECRET1", "PONG", "?", "SECRET2", "x"]);
}

#[test]
fn nothing_is_changed_and_nobody_comes_in_without_the_password() {
    let mut world = World::new(Some("open"));
    assert!(text(&world.ask("GET t:01")).starts_with("NOAUTH"));
    assert!(text(&world.ask("AUTH closed")).starts_with("WRONGPASS"));
    assert!(text(&world.ask("KEYS *")).starts_with("NOAUTH"));
    assert_eq!(text(&world.ask("AUTH default open")), "OK");
    for change in
        ["SET t:01 x", "DEL t:01", "FLUSHALL", "EVAL x 0", "CONFIG GET *", "GET", "SELECT 1"]
    {
        assert!(text(&world.ask(change)).starts_with("ERR"), "{change}");
    }
    assert_eq!(text(&world.ask("GET t:01")), "SECRET1");
    assert_eq!(text(&world.ask("QUIT")), "OK");
    assert!(world.closed);
}

#[test]
fn who_does_not_speak_resp_or_says_too_much_is_sent_away() {
    let long = [b"*2\r\n$4\r\nECHO\r\n$20000\r\n".to_vec(), vec![b'x'; 20_000], b"\r\n".to_vec()];
    for bytes in [b"*1\r\n:5\r\n".to_vec(), b"*0\r\n".to_vec(), b"+x\r\n".to_vec(), long.concat()] {
        let mut world = World::new(None);
        let answers = world.says(&bytes.into());
        assert!(world.closed && text(&answers[0]).starts_with("ERR Protocol"), "{answers:?}");
        assert!(world.door.clients.is_empty() && world.door.jobs.is_empty());
    }
}
