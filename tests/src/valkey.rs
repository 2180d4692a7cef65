//! A Valkey server for the simulator: the commands that nodes share their records by, and its bad days.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use base::machine::{Deadline, Function, Input, Order, Output};
use base::time::Duration;
use base::{Bytes, Flow, FlowId, Instant, Service, Transport};
use engine::{FunctionSpec, Listener};
use resp::{Reader, Value};

/// Elements of a page; few, so that there are several pages.
const PAGE: usize = 2;

/// How the server is: an order to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Day {
    /// It answers at once.
    Good,
    /// It answers after so long.
    Slow(Duration),
    /// It takes what is said and never answers.
    Silent,
    /// Its memory is full: nothing can be written.
    Full,
    /// It loses everything, once.
    Forgetful,
}

impl Day {
    /// The order to the function `valkey`.
    pub fn order(self) -> Order {
        Order(Box::new(self))
    }
}

#[derive(Debug)]
struct Client {
    flow: Flow,
    reader: Reader,
    /// Waits for changes after this one, until then.
    blocked: Option<(u64, Instant)>,
}

/// A server.
#[derive(Debug)]
pub struct Valkey {
    day: Day,
    clients: BTreeMap<FlowId, Client>,
    words: BTreeMap<Bytes, Bytes>,
    tables: BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>,
    epoch: u64,
    /// The epochs of changes and their fields.
    changes: Vec<(u64, Vec<Value>)>,
    late: VecDeque<(Instant, Flow, Value)>,
    outputs: VecDeque<Output>,
}

impl Valkey {
    /// A server as a function of a process, which listens there.
    pub fn spec(ip: IpAddr) -> FunctionSpec {
        let (service, transport) = (Service::Resp, Transport::Tcp);
        FunctionSpec {
            name: "valkey".to_owned(),
            hosts: Vec::new(),
            function: Box::new(Valkey {
                day: Day::Good,
                clients: BTreeMap::new(),
                words: BTreeMap::new(),
                tables: BTreeMap::new(),
                epoch: 0,
                changes: Vec::new(),
                late: VecDeque::new(),
                outputs: VecDeque::new(),
            }),
            listeners: vec![Listener { service, transport, addr: (ip, 6379).into() }],
            tables: &[],
        }
    }

    fn received(&mut self, now: Instant, flow: Flow, unit: &Bytes) {
        let fresh = || Client { flow, reader: Reader::default(), blocked: None };
        let client = self.clients.entry(flow.id).or_insert_with(fresh);
        let Some(command) = client.reader.push(unit).expect("RESP") else { return };
        let words = command.array().expect("a command is an array");
        let words: Vec<Bytes> = words.iter().filter_map(|word| word.bytes().cloned()).collect();
        if let Some(answer) = self.answer(now, flow.id, &words) {
            self.say(now, flow, answer);
        }
    }

    fn say(&mut self, now: Instant, flow: Flow, answer: Value) {
        match self.day {
            Day::Silent => {}
            Day::Slow(time) => self.late.push_back((now + time, flow, answer)),
            _ => self.outputs.push_back(Output::Transmit { flow, message: answer.encode() }),
        }
    }

    fn answer(&mut self, now: Instant, client: FlowId, words: &[Bytes]) -> Option<Value> {
        let text = |at: usize| std::str::from_utf8(&words[at]).expect("UTF-8");
        let number = |at: usize| text(at).parse::<u64>().expect("a number");
        Some(match text(0) {
            "SET" if self.day == Day::Full => {
                Value::Error(Bytes::from_static(b"OOM command not allowed"))
            }
            "SET" => {
                self.words.entry(words[1].clone()).or_insert_with(|| words[2].clone());
                Value::Simple(Bytes::from_static(b"OK"))
            }
            "GET" if text(1).ends_with(":epoch") => Value::bulk(self.epoch.to_string()),
            "GET" => Value::Bulk(self.words.get(&words[1]).cloned()),
            "HSCAN" => {
                let from = number(2) as usize;
                let table = self.tables.entry(words[1].clone()).or_default();
                let page = table.iter().skip(from).take(PAGE);
                let fields = page.flat_map(|(k, v)| [k.clone(), v.clone()].map(Value::bulk));
                let next = if from + PAGE < table.len() { from + PAGE } else { 0 };
                let fields = Value::Array(Some(fields.collect()));
                Value::Array(Some(vec![Value::bulk(next.to_string()), fields]))
            }
            "EVAL" => {
                assert_eq!(text(1), shared::SCRIPT, "only our script");
                self.write(now, words)
            }
            "XREAD" => {
                let after = text(7).strip_suffix("-0").and_then(|n| n.parse().ok());
                let after = after.expect("an epoch");
                let changes = self.after(after);
                if changes.is_nil() {
                    let until = now + Duration::from_millis(number(4));
                    let client = self.clients.get_mut(&client).expect("who asked");
                    client.blocked = Some((after, until));
                    return None;
                }
                changes
            }
            other => panic!("{other} is not known here"),
        })
    }

    /// What the script does.
    fn write(&mut self, now: Instant, words: &[Bytes]) -> Value {
        if self.day == Day::Full {
            return Value::Error(Bytes::from_static(b"OOM command not allowed"));
        }
        let [table, key, known, node, _, put, value, name] = &words[5..] else {
            panic!("eight more arguments")
        };
        let records = self.tables.entry(table.clone()).or_default();
        let held = records.get(key).cloned();
        let epoch = held.as_ref().and_then(shared::Held::parse).map_or(0, |held| held.epoch);
        if epoch.to_string().as_bytes() != known {
            return Value::Bulk(held);
        }
        self.epoch += 1;
        let field =
            |name: &'static str, value: &Bytes| [Value::bulk(name), Value::bulk(value.clone())];
        let mut fields: Vec<Value> = field("table", name).into();
        fields.extend(field("key", key));
        fields.extend(field("node", node));
        if put == "1" {
            let head = format!("{} {}\n", self.epoch, String::from_utf8_lossy(node));
            records.insert(key.clone(), [head.as_bytes(), value].concat().into());
            fields.extend(field("value", value));
        } else {
            records.remove(key);
        }
        self.changes.push((self.epoch, fields));
        self.wake(now);
        Value::Integer(self.epoch as i64)
    }

    /// Changes after an epoch; nil if there are none.
    fn after(&self, epoch: u64) -> Value {
        let entry = |(epoch, fields): &(u64, Vec<Value>)| {
            let id = Value::bulk(format!("{epoch}-0"));
            Value::Array(Some(vec![id, Value::Array(Some(fields.clone()))]))
        };
        let new = self.changes.iter().filter(|(of, _)| *of > epoch);
        let entries: Vec<Value> = new.map(entry).collect();
        if entries.is_empty() {
            return Value::Array(None);
        }
        let stream = vec![Value::bulk("changes"), Value::Array(Some(entries))];
        Value::Array(Some(vec![Value::Array(Some(stream))]))
    }

    /// Answers those who waited for changes that came, or for too long.
    fn wake(&mut self, now: Instant) {
        let waiting: Vec<(FlowId, u64, Instant)> = self
            .clients
            .iter()
            .filter_map(|(id, client)| client.blocked.map(|(after, until)| (*id, after, until)))
            .collect();
        for (id, after, until) in waiting {
            let changes = self.after(after);
            let Some(client) = self.clients.get_mut(&id) else { continue };
            if !changes.is_nil() || until <= now {
                client.blocked = None;
                let flow = client.flow;
                self.say(now, flow, changes);
            }
        }
    }
}

impl Function for Valkey {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Received { flow, message } => self.received(now, flow, &message),
            Input::Closed { flow, .. } => drop(self.clients.remove(&flow.id)),
            Input::Order(order) => match order.take::<Day>() {
                Ok(Day::Forgetful) => {
                    self.words.clear();
                    self.tables.clear();
                    self.changes.clear();
                    self.epoch = 0;
                    let clients = std::mem::take(&mut self.clients);
                    let close = |client: Client| Output::Close { flow: client.flow };
                    self.outputs.extend(clients.into_values().map(close));
                }
                Ok(day) => self.day = day,
                Err(_) => {}
            },
            _ => {}
        }
        while self.late.front().is_some_and(|(at, ..)| *at <= now) {
            if let Some((_, flow, answer)) = self.late.pop_front() {
                self.outputs.push_back(Output::Transmit { flow, message: answer.encode() });
            }
        }
        self.wake(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Deadline> {
        let blocked = self.clients.values().filter_map(|client| client.blocked.map(|(_, at)| at));
        let late = self.late.front().map(|(at, ..)| *at);
        let at = blocked.chain(late).min()?;
        Some(Deadline { at, reason: "valkey" })
    }
}
