//! A door into a store for `redis-cli` and what else speaks RESP2: it shows records and changes none.
//!
//! A record is a string whose key is `TABLE:KEY`. What a person and his tools look around with is answered:
//! PING, ECHO, AUTH, SELECT 0, SCAN, KEYS, GET, EXISTS, TYPE, DBSIZE, INFO, QUIT, and what clients say of
//! themselves. Everything else is refused.

mod glob;
mod walk;

use std::collections::{BTreeMap, VecDeque};

use base::census::{self, Census};
use base::machine::{Function, Input};
use base::redact::Secret;
use base::store::{LoadId, StoreError, Table};
use base::{Bytes, Deadline, Flow, FlowId, Instant, Output};
use resp::{Reader, Value};
use subtle::ConstantTimeEq;
use walk::{Purpose, Walk};

/// Words and bytes of one command.
const COMMAND: (usize, usize) = (64, 16 * 1024);
/// Commands of one client that wait for those before.
const WAITING: usize = 64;
/// SCANs of one client that may be gone on with.
const CURSORS: usize = 16;

/// What a door leads to.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// The tables that are shown.
    pub tables: Vec<Table>,
    /// What clients have to say first, if anything.
    pub password: Option<Secret<String>>,
    /// A value as it may be shown: without secrets.
    pub shown: fn(Table, &Bytes) -> Bytes,
}

#[derive(Debug)]
struct Client {
    flow: Flow,
    reader: Reader,
    /// It said the password, or need not.
    admitted: bool,
    waiting: VecDeque<Vec<Bytes>>,
    /// What is being looked for; then the commands after it wait.
    at_work: Option<LoadId>,
    /// Where SCANs go on, by their cursors.
    cursors: VecDeque<(u64, Walk)>,
}

/// What a load or a scan is for.
#[derive(Debug)]
enum Job {
    Value(FlowId, Table),
    /// How many of the first keys are there, and those that were not looked at.
    Exists(FlowId, i64, Vec<Bytes>),
    Type(FlowId),
    Walk(FlowId, Walk),
}

/// A read-only door.
#[derive(Debug)]
pub struct Door {
    config: DoorConfig,
    clients: BTreeMap<FlowId, Client>,
    jobs: BTreeMap<LoadId, Job>,
    next: u64,
    outputs: VecDeque<Output>,
}

impl Door {
    /// A door that nobody came through yet.
    pub fn new(config: DoorConfig) -> Door {
        Door {
            config,
            clients: BTreeMap::new(),
            jobs: BTreeMap::new(),
            next: 0,
            outputs: VecDeque::new(),
        }
    }

    fn received(&mut self, flow: Flow, unit: &Bytes) {
        let admitted = self.config.password.is_none();
        let client = self.clients.entry(flow.id).or_insert_with(|| Client {
            flow,
            reader: Reader::bounded(COMMAND.0, COMMAND.1),
            admitted,
            waiting: VecDeque::new(),
            at_work: None,
            cursors: VecDeque::new(),
        });
        let words = match client.reader.push(unit) {
            Ok(None) => return,
            Ok(Some(value)) => value.array().and_then(|words| {
                words.iter().map(|word| word.bytes().cloned()).collect::<Option<Vec<Bytes>>>()
            }),
            Err(_) => None,
        };
        match words.filter(|words| !words.is_empty() && client.waiting.len() < WAITING) {
            Some(words) => {
                client.waiting.push_back(words);
                self.work(flow.id);
            }
            None => {
                self.say(flow.id, error("ERR Protocol error: a command is an array of strings"));
                self.close(flow.id);
            }
        }
    }

    /// Answers what waits, until something has to be looked for.
    fn work(&mut self, id: FlowId) {
        while let Some(client) = self.clients.get_mut(&id)
            && client.at_work.is_none()
            && let Some(words) = client.waiting.pop_front()
        {
            let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
            if let Some(answer) = self.answer(id, &name, &words[1..]) {
                self.say(id, answer);
            }
            if name == "QUIT" {
                self.close(id);
            }
        }
    }

    /// The answer to a command, unless it has to be looked for.
    fn answer(&mut self, id: FlowId, name: &str, words: &[Bytes]) -> Option<Value> {
        let client = self.clients.get_mut(&id)?;
        if !client.admitted && !matches!(name, "AUTH" | "QUIT" | "HELLO") {
            return Some(error("NOAUTH Authentication required."));
        }
        Some(match (name, words) {
            ("AUTH", [.., said]) => match &self.config.password {
                None => error("ERR there is no password: AUTH is not needed"),
                Some(password) if bool::from(password.reveal().as_bytes().ct_eq(said)) => {
                    client.admitted = true;
                    ok()
                }
                Some(_) => error("WRONGPASS invalid username-password pair or user is disabled."),
            },
            ("PING", []) => Value::Simple(Bytes::from_static(b"PONG")),
            ("PING" | "ECHO", [said]) => Value::bulk(said.clone()),
            ("QUIT", _) | ("CLIENT", _) => ok(),
            ("SELECT", [number]) if number == "0" => ok(),
            ("SELECT", _) => error("ERR DB index is out of range: there is 0 alone"),
            ("HELLO", _) => error("NOPROTO this is RESP2"),
            ("COMMAND", _) => Value::Array(Some(Vec::new())),
            ("INFO", _) => Value::bulk(self.info()),
            ("GET", [key]) => return self.look(id, key, |table| Job::Value(id, table)),
            ("TYPE", [key]) => return self.look(id, key, |_| Job::Type(id)),
            ("EXISTS", [_, ..]) => return self.exists(id, 0, words.to_vec()),
            ("DBSIZE", []) => return self.walk(id, Walk::new(Purpose::Count, None, 1000)),
            ("KEYS", [pattern]) => {
                return self.walk(id, Walk::new(Purpose::Keys, Some(pattern.clone()), 1000));
            }
            ("SCAN", [cursor, options @ ..]) => return self.scan(id, cursor, options),
            (
                "GET" | "TYPE" | "EXISTS" | "DBSIZE" | "KEYS" | "SCAN" | "ECHO" | "PING" | "AUTH",
                _,
            ) => error("ERR wrong number of arguments"),
            _ => error("ERR not here: this door shows a store and changes nothing"),
        })
    }

    fn info(&self) -> String {
        let tables: Vec<&str> = self.config.tables.iter().map(|table| table.0).collect();
        format!(
            "# Server\r\nredis_version:6.0.0\r\nserver_name:strowger\r\nredis_mode:standalone\r\n\
             # Clients\r\nconnected_clients:{}\r\n# Tables\r\ntables:{}\r\n",
            self.clients.len(),
            tables.join(",")
        )
    }

    /// The table and key of a key of ours.
    fn split(&self, key: &Bytes) -> Option<(Table, Bytes)> {
        let end = key.iter().position(|byte| *byte == b':')?;
        let table = self.config.tables.iter().find(|table| table.0.as_bytes() == &key[..end])?;
        Some((*table, key.slice(end + 1..)))
    }

    fn look(&mut self, id: FlowId, key: &Bytes, job: impl Fn(Table) -> Job) -> Option<Value> {
        let Some((table, key)) = self.split(key) else {
            return Some(match job(Table("")) {
                Job::Value(..) => Value::Bulk(None),
                _ => Value::Simple(Bytes::from_static(b"none")),
            });
        };
        let load = self.begin(id, job(table));
        self.outputs.push_back(Output::Load { load, table, key });
        None
    }

    fn exists(&mut self, id: FlowId, count: i64, mut keys: Vec<Bytes>) -> Option<Value> {
        while let Some(key) = keys.pop() {
            if let Some((table, key)) = self.split(&key) {
                let load = self.begin(id, Job::Exists(id, count, keys));
                self.outputs.push_back(Output::Load { load, table, key });
                return None;
            }
        }
        Some(Value::Integer(count))
    }

    fn scan(&mut self, id: FlowId, cursor: &Bytes, options: &[Bytes]) -> Option<Value> {
        let number = |bytes: &Bytes| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok();
        let Some(cursor) = number(cursor) else { return Some(error("ERR invalid cursor")) };
        let (mut pattern, mut count) = (None, 10);
        for option in options.chunks(2) {
            match (option[0].to_ascii_uppercase().as_slice(), option.get(1)) {
                (b"MATCH", Some(of)) => pattern = Some(of.clone()),
                (b"COUNT", Some(of)) => count = number(of).unwrap_or(0),
                (b"TYPE", Some(_)) => {}
                _ => return Some(error("ERR syntax error")),
            }
        }
        if !(1..=10_000).contains(&count) {
            return Some(error("ERR COUNT is 1 to 10000"));
        }
        let walk = Walk::new(Purpose::Page, pattern, count as usize);
        if cursor == 0 {
            return self.walk(id, walk);
        }
        let client = self.clients.get_mut(&id)?;
        let at = client.cursors.iter().position(|(known, _)| *known == cursor);
        match at.and_then(|at| client.cursors.remove(at)) {
            Some((_, before)) => self.walk(id, walk.from(&before)),
            // As Redis has it, a cursor that nobody gave may end anything.
            None => Some(page(0, Vec::new())),
        }
    }

    fn walk(&mut self, id: FlowId, walk: Walk) -> Option<Value> {
        let Some(output) = walk.next(&self.config.tables) else {
            return Some(self.walked(id, walk));
        };
        let (table, after, limit) = output;
        let load = self.begin(id, Job::Walk(id, walk));
        self.outputs.push_back(Output::Scan { load, table, after, limit });
        None
    }

    /// Everything that was looked for is found.
    fn walked(&mut self, id: FlowId, walk: Walk) -> Value {
        match walk.purpose {
            Purpose::Count => Value::Integer(walk.seen as i64),
            Purpose::Keys => Value::Array(Some(walk.found.into_iter().map(Value::bulk).collect())),
            Purpose::Page => {
                let found = walk.found.clone();
                if walk.is_over(&self.config.tables) {
                    return page(0, found);
                }
                self.next += 1;
                let cursor = self.next;
                if let Some(client) = self.clients.get_mut(&id) {
                    client.cursors.truncate(CURSORS - 1);
                    client.cursors.push_front((cursor, walk));
                }
                page(cursor, found)
            }
        }
    }

    fn begin(&mut self, id: FlowId, job: Job) -> LoadId {
        self.next += 1;
        let load = LoadId(self.next);
        if let Some(client) = self.clients.get_mut(&id) {
            client.at_work = Some(load);
        }
        self.jobs.insert(load, job);
        load
    }

    fn loaded(&mut self, load: LoadId, value: Result<Option<Bytes>, StoreError>) {
        let Some(job) = self.jobs.remove(&load) else { return };
        let (Job::Value(id, _) | Job::Exists(id, ..) | Job::Type(id) | Job::Walk(id, _)) = &job;
        let id = *id;
        let answer = match (job, value) {
            (_, Err(failure)) => Some(failed(failure)),
            (Job::Value(_, table), Ok(value)) => {
                Some(Value::Bulk(value.map(|value| (self.config.shown)(table, &value))))
            }
            (Job::Exists(_, count, keys), Ok(value)) => {
                self.exists(id, count + i64::from(value.is_some()), keys)
            }
            (Job::Type(_), Ok(value)) => {
                let word: &'static [u8] = if value.is_some() { b"string" } else { b"none" };
                Some(Value::Simple(Bytes::from_static(word)))
            }
            (Job::Walk(..), Ok(_)) => None,
        };
        self.answered(id, load, answer);
    }

    fn scanned(&mut self, load: LoadId, keys: Result<Vec<Bytes>, StoreError>) {
        let Some(Job::Walk(id, mut walk)) = self.jobs.remove(&load) else { return };
        let answer = match keys {
            Err(failure) => Some(failed(failure)),
            Ok(keys) => match walk.take(&self.config.tables, keys) {
                true => self.walk(id, walk),
                false => Some(error("ERR too many keys: use SCAN")),
            },
        };
        self.answered(id, load, answer);
    }

    /// A job is done: its answer, unless another one goes on with it.
    fn answered(&mut self, id: FlowId, load: LoadId, answer: Option<Value>) {
        let Some(answer) = answer else { return };
        self.say(id, answer);
        if let Some(client) = self.clients.get_mut(&id).filter(|c| c.at_work == Some(load)) {
            client.at_work = None;
        }
        self.work(id);
    }

    fn say(&mut self, id: FlowId, value: Value) {
        if let Some(client) = self.clients.get(&id) {
            let message = value.encode();
            self.outputs.push_back(Output::Transmit { flow: client.flow, message });
        }
    }

    fn close(&mut self, id: FlowId) {
        if let Some(client) = self.clients.remove(&id) {
            self.outputs.push_back(Output::Close { flow: client.flow });
        }
    }
}

fn ok() -> Value {
    Value::Simple(Bytes::from_static(b"OK"))
}

fn error(text: &'static str) -> Value {
    Value::Error(Bytes::from_static(text.as_bytes()))
}

fn failed(failure: StoreError) -> Value {
    Value::Error(format!("ERR {failure}").into_bytes().into())
}

fn page(cursor: u64, found: Vec<Bytes>) -> Value {
    let found = found.into_iter().map(Value::bulk).collect();
    Value::Array(Some(vec![Value::bulk(cursor.to_string()), Value::Array(Some(found))]))
}

impl Function for Door {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Received { flow, message } => self.received(flow, &message),
            Input::Closed { flow, .. } => drop(self.clients.remove(&flow.id)),
            Input::Loaded { load, value } => self.loaded(load, value),
            Input::Scanned { load, keys } => self.scanned(load, keys),
            Input::Order(order) if census::Ask::is(&order) => {
                self.outputs.push_back(Census(vec![("clients", self.clients.len())]).into());
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

#[cfg(test)]
mod tests;
