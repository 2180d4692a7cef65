//! The function that keeps the records: it finds a server, reads all, follows the changes of others, and
//! writes its own. Whatever fails, it goes on with what it has, and begins anew.

use std::collections::VecDeque;

use base::census::{self, Census};
use base::flow::Service;
use base::machine::{Function, Input, OpenId, QueryId, Target};
use base::store::Table;
use base::time::Duration;
use base::{Bytes, Deadline, Event, Flow, Instant, Output, Random, Severity};
use resp::Value;

use crate::SharedConfig;
use crate::command::{self, Change, Held, Keys};
use crate::connection::Connection;
use crate::records::{Attempt, Id, News, Records};

/// How long the owners of the records wait for them at the start.
const PATIENCE: Duration = Duration::from_secs(2);
/// After how long a server is tried again, at first and at most.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// After how long a server that could not write is asked again.
const FULL: Duration = Duration::from_secs(1);
/// An answer that takes longer is slow.
const SLOW: Duration = Duration::from_millis(500);
/// Writes that are on their way at a time.
const WINDOW: usize = 16;

/// What was asked on the connection that reads and writes.
#[derive(Debug)]
enum Asked {
    Password,
    GiveBirth,
    Birth,
    Epoch,
    Scan(usize),
    Write(Id, Attempt),
}

/// What was asked on the connection that follows.
#[derive(Debug)]
enum Followed {
    Password,
    Changes,
}

/// How far we are.
#[derive(Debug)]
enum State {
    /// No server answers; the next attempt is then.
    Away(Instant),
    Resolving(QueryId),
    /// Connections are being opened: the one that reads and writes, then the one that follows.
    Opening(OpenId, Option<Connection<Asked>>),
    Connected(Box<Link>),
}

#[derive(Debug)]
struct Link {
    commands: Connection<Asked>,
    follower: Connection<Followed>,
    /// Everything was read: changes may be written.
    synchronised: bool,
}

/// Keeps records that several nodes share.
#[derive(Debug)]
pub struct Shared {
    config: SharedConfig,
    keys: Keys,
    random: Random,
    records: Records,
    state: State,
    /// The servers' addresses that were not tried yet, and whose they are.
    targets: VecDeque<Target>,
    server: usize,
    failures: u32,
    next: u64,
    /// The server's word of birth, and the latest change that we know of.
    birth: Bytes,
    epoch: u64,
    /// The server's word is another one than before: it lost everything.
    forgot: bool,
    /// Until when the owners wait at the start; `None` once they were told to begin.
    waited_for: Option<Instant>,
    /// What an operator was told, so that he is told once.
    told: Told,
    /// The server cannot write; the next attempt is then.
    full: Option<Instant>,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Default)]
struct Told {
    away: bool,
    slow: bool,
}

impl Shared {
    /// A keeper that knows no record.
    pub fn new(config: SharedConfig, random: Random) -> Shared {
        Shared {
            keys: Keys::of(&config),
            config,
            random,
            records: Records::default(),
            state: State::Away(Instant::EPOCH),
            targets: VecDeque::new(),
            server: 0,
            failures: 0,
            next: 0,
            birth: Bytes::new(),
            epoch: 0,
            forgot: false,
            waited_for: None,
            told: Told::default(),
            full: None,
            outputs: VecDeque::new(),
        }
    }

    /// How many things are alive.
    pub fn census(&self) -> Census {
        let away = !matches!(&self.state, State::Connected(link) if link.synchronised);
        Census(vec![
            ("shared records", self.records.len()),
            ("changes not shared yet", self.records.waiting()),
            ("servers away", usize::from(away)),
        ])
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Tries the next address, or the next server.
    fn connect(&mut self, now: Instant) {
        let number = self.number();
        if let Some(target) = self.targets.pop_front() {
            return self.open(target, OpenId(number), None);
        }
        let servers = &self.config.servers;
        let Some(name) = servers.get(self.server % servers.len().max(1)).cloned() else {
            self.state = State::Away(now + RETRY_MAX);
            return;
        };
        self.server += 1;
        self.state = State::Resolving(QueryId(number));
        self.outputs.push_back(Output::Resolve { query: QueryId(number), name });
    }

    fn open(&mut self, target: Target, open: OpenId, first: Option<Connection<Asked>>) {
        self.state = State::Opening(open, first);
        self.outputs.push_back(Output::Open {
            open,
            service: Service::Resp,
            transport: target.transport,
            remote: Some(target.endpoint),
            local: None,
            name: None,
        });
    }

    fn opened(&mut self, now: Instant, open: OpenId, flow: Flow) {
        match std::mem::replace(&mut self.state, State::Away(now)) {
            State::Opening(own, None) if own == open => {
                let number = OpenId(self.number());
                let target = Target { transport: flow.transport, endpoint: flow.remote };
                self.open(target, number, Some(Connection::new(flow)));
            }
            State::Opening(own, Some(commands)) if own == open => {
                let follower = Connection::new(flow);
                let link = Link { commands, follower, synchronised: false };
                self.state = State::Connected(Box::new(link));
                self.greet(now);
            }
            other => {
                self.state = other;
                self.outputs.push_back(Output::Close { flow });
            }
        }
    }

    fn greet(&mut self, now: Instant) {
        let password = self.config.password.clone();
        if let Some(password) = password {
            self.ask(now, Keys::authenticate(password.reveal()), Asked::Password);
            self.ask_follower(now, Keys::authenticate(password.reveal()), Followed::Password);
        }
        let word = self.random.token::<16>();
        self.ask(now, self.keys.give_birth(&word), Asked::GiveBirth);
        self.ask(now, self.keys.birth(), Asked::Birth);
        self.ask(now, self.keys.epoch(), Asked::Epoch);
    }

    fn ask(&mut self, now: Instant, command: Bytes, what: Asked) {
        if let State::Connected(link) = &mut self.state {
            self.outputs.push_back(link.commands.ask(now, command, what));
        }
    }

    fn ask_follower(&mut self, now: Instant, command: Bytes, what: Followed) {
        if let State::Connected(link) = &mut self.state {
            self.outputs.push_back(link.follower.ask(now, command, what));
        }
    }

    fn received(&mut self, now: Instant, flow: Flow, unit: &Bytes) {
        let State::Connected(link) = &mut self.state else { return };
        if flow.id == link.commands.flow.id {
            match link.commands.received(unit) {
                Ok(Some((asked, what, value))) => {
                    self.answered_after(now, asked);
                    self.answered(now, what, value);
                }
                Ok(None) => {}
                Err(error) => self.away(now, &format!("what it says is no RESP: {error}")),
            }
        } else if flow.id == link.follower.flow.id {
            match link.follower.received(unit) {
                Ok(Some((_, what, value))) => self.followed(now, &what, &value),
                Ok(None) => {}
                Err(error) => self.away(now, &format!("what it says is no RESP: {error}")),
            }
        }
    }

    fn answered(&mut self, now: Instant, what: Asked, value: Value) {
        if let Value::Error(text) = &value {
            let text = String::from_utf8_lossy(text).into_owned();
            return self.refused(now, &what, &text);
        }
        match what {
            Asked::Password | Asked::GiveBirth => {}
            Asked::Birth => {
                let word = value.bytes().cloned().unwrap_or_default();
                self.forgot = !self.birth.is_empty() && self.birth != word;
                self.birth = word;
            }
            Asked::Epoch => self.begin_reading(now, value.number().unwrap_or(0)),
            Asked::Scan(table) => match command::page(&value) {
                Some((cursor, page)) => self.read(now, table, cursor, page),
                None => self.away(now, "a table is none of ours: is `prefix` somebody else's?"),
            },
            Asked::Write(id, attempt) => {
                self.full = None;
                match &value {
                    Value::Integer(_) => {
                        let epoch = value.number().unwrap_or(0);
                        let news = self.records.accepted(&id, attempt, epoch);
                        self.taken_over(news);
                    }
                    _ => {
                        let held = value.bytes().and_then(Held::parse);
                        let news = self.records.lost(&id, attempt, held);
                        self.taken_over(news);
                    }
                }
                self.write(now);
            }
        }
    }

    /// The server did not do what was asked.
    fn refused(&mut self, now: Instant, what: &Asked, text: &str) {
        let kind = text.split(' ').next().unwrap_or_default();
        match (what, kind) {
            (Asked::Write(id, attempt), "OOM" | "MISCONF") => {
                self.records.failed(id, *attempt);
                if self.full.replace(now + FULL).is_none() {
                    let text = format!(
                        "the shared store cannot write ({text}): changes are kept and tried again; \
                         other nodes do not hear of them until it has room"
                    );
                    self.log(Severity::Error, "shared.full", text);
                }
            }
            _ => self.away(now, text),
        }
    }

    /// Reads all tables, then follows what changed since the epoch that the server is at.
    fn begin_reading(&mut self, now: Instant, epoch: u64) {
        // A replica that took over may not have had all of the latest changes.
        self.records.read_anew(self.forgot || epoch < self.epoch);
        self.epoch = epoch;
        self.scan(now, 0, 0);
    }

    fn scan(&mut self, now: Instant, table: usize, cursor: u64) {
        match self.config.tables.get(table) {
            Some(name) => self.ask(now, self.keys.scan(*name, cursor), Asked::Scan(table)),
            None => self.synchronised(now),
        }
    }

    fn read(&mut self, now: Instant, table: usize, cursor: u64, page: Vec<(Bytes, Held)>) {
        let Some(name) = self.config.tables.get(table).copied() else { return };
        for (key, held) in page {
            let news = self.records.seen((name, key), held, &self.config.node);
            self.tell(news);
        }
        let table = if cursor == 0 { table + 1 } else { table };
        self.scan(now, table, cursor);
    }

    fn synchronised(&mut self, now: Instant) {
        for news in self.records.all_seen() {
            self.tell(Some(news));
        }
        if let State::Connected(link) = &mut self.state {
            link.synchronised = true;
        }
        self.failures = 0;
        self.told.away = false;
        let text = format!(
            "{} records are shared, {} changes are written now",
            self.records.len(),
            self.records.waiting()
        );
        self.log(Severity::Info, "shared.together", text);
        self.let_begin();
        self.ask_follower(now, self.keys.follow(self.epoch), Followed::Changes);
        self.write(now);
    }

    fn let_begin(&mut self) {
        if self.waited_for.take().is_some() {
            self.outputs.push_back(Output::Ready);
        }
    }

    /// Writes what may be written.
    fn write(&mut self, now: Instant) {
        let ready = matches!(&self.state, State::Connected(link) if link.synchronised);
        if !ready || self.full.is_some() {
            return;
        }
        while self.write_one(now, WINDOW) {}
    }

    /// Writes the next record, unless so many are on their way; whether there was one.
    fn write_one(&mut self, now: Instant, window: usize) -> bool {
        let Some(write) = self.records.send(window) else { return false };
        let (table, key) = &write.id;
        let command = self.keys.write(*table, key, write.epoch, write.value.as_ref());
        self.ask(now, command, Asked::Write(write.id, write.attempt));
        true
    }

    fn followed(&mut self, now: Instant, what: &Followed, value: &Value) {
        if let Value::Error(text) = value {
            let text = String::from_utf8_lossy(text).into_owned();
            return self.away(now, &text);
        }
        if matches!(what, Followed::Password) {
            return;
        }
        let Some(changes) = Change::all(value) else {
            return self.away(now, "its stream of changes is none of ours");
        };
        for change in changes {
            if change.epoch != self.epoch + 1 {
                return self.away(now, "it no longer has all changes that were missed");
            }
            self.epoch = change.epoch;
            self.learn(change);
            self.records.told_until(self.epoch);
        }
        self.ask_follower(now, self.keys.follow(self.epoch), Followed::Changes);
    }

    fn learn(&mut self, change: Change) {
        let table = self.config.tables.iter().find(|table| table.0.as_bytes() == change.table);
        let ours = change.node == self.config.node.as_bytes();
        if let Some(table) = table.filter(|_| !ours) {
            let id = (*table, change.key);
            let news = self.records.changed(&id, change.epoch, change.value);
            self.taken_over(news);
        }
    }

    fn taken_over(&mut self, news: Option<News>) {
        if let Some(News { id: (table, key), .. }) = &news {
            let key = String::from_utf8_lossy(key);
            let text = format!("{} {key:?} is another node's now", table.0);
            self.log(Severity::Debug, "shared.taken_over", text);
        }
        self.tell(news);
    }

    fn tell(&mut self, news: Option<News>) {
        if let Some(News { id: (table, key), value }) = news {
            self.outputs.push_back(Output::Kept { table, key, value });
        }
    }

    /// The server cannot be used now: everybody goes on with what he has.
    fn away(&mut self, now: Instant, why: &str) {
        let state = std::mem::replace(&mut self.state, State::Away(now));
        let flows = match state {
            State::Connected(link) => vec![link.commands.flow, link.follower.flow],
            State::Opening(_, Some(commands)) => vec![commands.flow],
            _ => Vec::new(),
        };
        self.outputs.extend(flows.into_iter().map(|flow| Output::Close { flow }));
        self.records.disconnected();
        self.full = None;
        let wait = RETRY_MAX.min(RETRY * (1 << self.failures.min(6)));
        self.failures = self.failures.saturating_add(1);
        self.state = State::Away(now + wait);
        if !std::mem::replace(&mut self.told.away, true) {
            let servers: Vec<&str> = self.config.servers.iter().map(|s| s.host.as_str()).collect();
            let text = format!(
                "the shared store ({}) is away: {why}; this node goes on with the {} records that it \
                 has, and shares its changes later",
                servers.join(", "),
                self.records.len()
            );
            self.log(Severity::Warning, "shared.away", text);
        }
    }

    /// Tells an operator, once, that the server is slow.
    fn answered_after(&mut self, now: Instant, asked: Instant) {
        let took = now.since(asked);
        let slow = took > SLOW;
        if slow && !self.told.slow {
            let text = format!(
                "the shared store took {} ms to answer: other nodes hear of changes late",
                took.as_millis()
            );
            self.log(Severity::Warning, "shared.slow", text);
        }
        self.told.slow = slow;
    }

    fn log(&mut self, severity: Severity, counter: &'static str, text: String) {
        self.outputs.push_back(Output::Log(Event::new(severity, counter, text)));
    }

    fn timeout(&mut self, now: Instant) {
        if self.waited_for.is_some_and(|until| until <= now) {
            self.let_begin();
        }
        match &self.state {
            State::Away(until) if *until <= now => self.connect(now),
            State::Connected(link) => {
                let silent = [link.commands.silent_at(), link.follower.silent_at()];
                if silent.into_iter().flatten().any(|at| at <= now) {
                    return self.away(now, "it does not answer");
                }
            }
            _ => {}
        }
        if self.full.is_some_and(|until| until <= now) {
            // Still told: only a write that succeeds ends it.
            self.full = Some(now + FULL);
            self.write_one(now, 1);
        }
    }

    fn is_ours(&self, flow: &Flow) -> bool {
        match &self.state {
            State::Connected(link) => {
                [link.commands.flow.id, link.follower.flow.id].contains(&flow.id)
            }
            State::Opening(_, Some(commands)) => commands.flow.id == flow.id,
            _ => false,
        }
    }
}

impl Function for Shared {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start => {
                self.waited_for = Some(now + PATIENCE);
                self.connect(now);
            }
            Input::Timeout => self.timeout(now),
            Input::Resolved { query, targets } => {
                if matches!(self.state, State::Resolving(own) if own == query) {
                    self.targets = targets.into();
                    match self.targets.is_empty() {
                        true => self.away(now, "its name has no address"),
                        false => self.connect(now),
                    }
                }
            }
            Input::Opened { open, flow } => self.opened(now, open, flow),
            Input::OpenFailed { open, error } => {
                if matches!(self.state, State::Opening(own, _) if own == open) {
                    self.away(now, &error.to_string());
                }
            }
            Input::Closed { flow, error } if self.is_ours(&flow) => {
                self.away(now, &error.to_string());
            }
            Input::Received { flow, message } => self.received(now, flow, &message),
            Input::Keep { changes } => {
                changes.into_iter().for_each(|change| self.records.change(change));
                self.write(now);
            }
            Input::Recall { tables } => {
                let all = tables.iter().flat_map(|table| self.records.of(*table));
                let kept = |News { id: (table, key), value }| Output::Kept { table, key, value };
                self.outputs.extend(all.map(kept));
            }
            Input::Order(order) if census::Ask::is(&order) => {
                self.outputs.push_back(self.census().into());
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Deadline> {
        let (connected, away) = match &self.state {
            State::Connected(link) => {
                let silent = [link.commands.silent_at(), link.follower.silent_at()];
                (silent.into_iter().flatten().min(), None)
            }
            State::Away(until) => (None, Some(*until)),
            _ => (None, None),
        };
        let timers = [
            (connected, "shared store's answer"),
            (away, "shared store's return"),
            (self.full, "shared store's room"),
            (self.waited_for, "shared store at the start"),
        ];
        timers.into_iter().fold(None, |next, (at, reason)| {
            Deadline::earliest(next, at.map(|at| Deadline { at, reason }))
        })
    }

    fn keeps(&self) -> &[Table] {
        &self.config.tables
    }
}
