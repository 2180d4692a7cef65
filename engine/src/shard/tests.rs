//! Toy functions on wires.

use std::sync::{Arc, Mutex};

use base::machine::{Name, OpenId, Order, QueryId};
use base::store::{Change, CommitId, LoadId, Table};
use base::time::Duration;
use base::{Function, Report, Service};

use super::*;
use crate::store::{DiskStore, MemoryStore, SimulatedDisk};

/// Sends `count` pings to a name; answers pings with pongs; panics on `"boom"`.
#[derive(Default)]
struct Toy {
    peer: Option<String>,
    flow: Option<Flow>,
    left: u32,
    out: VecDeque<Output>,
    deadline: Option<Instant>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Toy {
    fn hear(&mut self, text: impl Into<String>) {
        self.heard.lock().unwrap().push(text.into());
    }
}

impl Function for Toy {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start => {
                if let Some(host) = self.peer.clone() {
                    let name = Name { service: Service::Sip, host, port: None, transport: None };
                    self.out.push_back(Output::Resolve { query: QueryId(1), name });
                }
            }
            Input::Resolved { targets, .. } => self.out.push_back(Output::Open {
                open: OpenId(1),
                service: Service::Sip,
                transport: targets[0].transport,
                remote: Some(targets[0].endpoint),
                local: None,
                name: None,
            }),
            Input::Opened { flow, .. } => {
                self.flow = Some(flow);
                self.out.push_back(Output::Transmit { flow, message: Bytes::from_static(b"ping") });
            }
            Input::Received { flow, message } => {
                assert_ne!(&message[..], b"boom");
                self.hear(format!("{}", String::from_utf8_lossy(&message)));
                if &message[..] == b"ping" {
                    let message = Bytes::from_static(b"pong");
                    self.out.push_back(Output::Transmit { flow, message });
                } else if self.left > 0 {
                    self.left -= 1;
                    let message = Bytes::from_static(b"ping");
                    self.out.push_back(Output::Transmit { flow, message });
                }
            }
            Input::OpenFailed { error, .. } => self.hear(format!("failed {error}")),
            Input::Closed { error, .. } => self.hear(format!("closed {error}")),
            Input::Timeout => {
                self.deadline = None;
                self.hear(format!("timeout {now:?}"));
            }
            Input::Order(Order(order)) => {
                if let Some(message) = order.downcast_ref::<&'static str>() {
                    let flow = self.flow.expect("is open");
                    self.out.push_back(Output::Transmit { flow, message: Bytes::from(*message) });
                }
                if let Some(n) = order.downcast_ref::<u64>() {
                    self.deadline = Some(now + Duration::from_secs(*n));
                    let put =
                        Change::Put { table: T, key: Bytes::from("k"), value: Bytes::from("v") };
                    self.out.push_back(Output::Store {
                        durability: Durability::Before,
                        changes: vec![put],
                        commit: Some(CommitId(*n)),
                    });
                    let (load, key) = (LoadId(1), Bytes::from("k"));
                    self.out.push_back(Output::Load { load, table: T, key });
                    self.out.push_back(Output::Report(Report(Box::new("done"))));
                }
            }
            Input::Loaded { value, .. } => self.hear(format!("loaded {value:?}")),
            Input::Committed { commit, result } => {
                self.hear(format!("committed {} {result:?}", commit.0));
            }
            _ => {}
        }
    }
    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
    fn deadline(&self) -> Option<Deadline> {
        self.deadline.map(|at| Deadline { at, reason: "toy" })
    }
}

const T: Table = Table("toy.t");
const NOW: Instant = Instant::from_unix_micros(1_000_000);

struct NoNetwork;
impl Network for NoNetwork {
    fn transmit(&mut self, _: Instant, _: FunctionId, _: &Flow, _: Bytes) -> Result<(), FlowError> {
        Err(FlowError::Stale)
    }
    fn open(
        &mut self,
        _: Instant,
        _: FunctionId,
        _: OpenRequest,
    ) -> Option<Result<Flow, FlowError>> {
        Some(Err(FlowError::Unreachable))
    }
    fn close(&mut self, _: Instant, _: FunctionId, _: &Flow) {}
    fn resolve(&mut self, _: Instant, _: FunctionId, _: QueryId, _: base::machine::Name) {}
    fn look_up(&mut self, _: Instant, _: FunctionId, _: QueryId, _: &str) {}
    fn release(&mut self, _: Instant, _: FunctionId, _: bool) {}
}

#[derive(Default)]
struct Heard(Vec<String>);
impl Console for Heard {
    fn log(&mut self, _: Instant, from: &str, event: Event) {
        self.0.push(format!("{from} {}", event.counter));
    }
    fn report(&mut self, _: Instant, _: FunctionId, name: &str, _: Report) {
        self.0.push(format!("{name} reports"));
    }
}

struct World {
    store: Box<dyn Store>,
    console: Heard,
    tapped: Vec<String>,
}

impl Default for World {
    fn default() -> World {
        World {
            store: Box::<MemoryStore>::default(),
            console: Heard::default(),
            tapped: Vec::new(),
        }
    }
}

impl World {
    fn run(&mut self, shard: &mut Shard, now: Instant, start: bool) -> Progress {
        let tapped = &mut self.tapped;
        let mut tap = |_: Instant, c: &Crossing<'_>| {
            tapped.push(format!("{}>{}", c.from.name.unwrap(), c.to.name.unwrap()));
        };
        let mut outside = Outside {
            network: &mut NoNetwork,
            packets: &mut NoRelay::default(),
            store: &mut *self.store,
            console: &mut self.console,
            tap: &mut tap,
        };
        if start {
            shard.start(now, &mut outside);
        }
        shard.run(now, &mut outside)
    }
}

type Ears = Arc<Mutex<Vec<String>>>;

fn pair(limits: Limits, left: u32) -> (Shard, FunctionId, FunctionId, Ears, Ears) {
    let mut shard = Shard::new(limits);
    let (a, b) = (Ears::default(), Ears::default());
    let spec = |name: &str, toy: Toy| FunctionSpec {
        name: name.into(),
        hosts: vec![format!("{name}.test")],
        function: Box::new(toy),
        listeners: vec![],
        tables: &[],
    };
    let peer = Some("B.test".to_owned());
    let ia = shard.add(spec("a", Toy { peer, left, heard: a.clone(), ..Toy::default() }));
    let ib = shard.add(spec("b", Toy { heard: b.clone(), ..Toy::default() }));
    (shard, ia, ib, a, b)
}

#[test]
fn a_chain_runs_to_completion() {
    let (mut shard, _, _, a, b) = pair(Limits::default(), 2);
    let mut world = World::default();
    assert_eq!(world.run(&mut shard, NOW, true), Progress::Idle);
    assert_eq!(*a.lock().unwrap(), ["pong"; 3]);
    assert_eq!(*b.lock().unwrap(), ["ping"; 3]);
    assert_eq!(world.tapped, ["a>b", "b>a", "a>b", "b>a", "a>b", "b>a"], "each once");
}

#[test]
fn an_endless_chain_yields() {
    let (mut shard, ..) = pair(Limits { steps: 100, ..Limits::default() }, u32::MAX);
    assert_eq!(World::default().run(&mut shard, NOW, true), Progress::More);
    assert_eq!(shard.counters().yields, 1);
}

#[test]
fn a_panic_costs_only_its_function() {
    let (mut shard, ia, ib, a, _) = pair(Limits::default(), 0);
    let mut world = World::default();
    world.run(&mut shard, NOW, true);
    shard.input(ia, Input::Order(Order(Box::new("boom"))));
    world.run(&mut shard, NOW, false);
    assert!(!shard.is_running(ib) && shard.is_running(ia));
    assert_eq!(world.console.0, ["engine engine.panic"]);
    assert_eq!(*a.lock().unwrap(), ["pong", "closed closed by the peer"]);
    shard.input(ia, Input::Order(Order(Box::new("more"))));
    world.run(&mut shard, NOW, false);
    assert_eq!(a.lock().unwrap()[2], "closed stale flow");
    shard.input(ia, Input::Start);
    world.run(&mut shard, NOW, false);
    assert_eq!(a.lock().unwrap()[3], "failed connection refused");
}

#[test]
fn a_full_queue_refuses() {
    let (mut shard, ia, ib, a, _) = pair(Limits { queue: 4, ..Limits::default() }, 0);
    let mut world = World::default();
    world.run(&mut shard, NOW, true);
    shard.input(ia, Input::Order(Order(Box::new("x"))));
    for _ in 0..4 {
        shard.input(ib, Input::Drain);
    }
    world.run(&mut shard, NOW, false);
    assert_eq!(a.lock().unwrap()[1], "closed queue full");
    assert_eq!(shard.counters().refused, 1);
}

#[test]
fn store_answers_within_the_step_and_commits_once() {
    let (mut shard, ia, _, a, _) = pair(Limits::default(), 0);
    let mut world = World::default();
    world.run(&mut shard, NOW, true);
    shard.input(ia, Input::Order(Order(Box::new(5u64))));
    world.run(&mut shard, NOW, false);
    assert_eq!(a.lock().unwrap()[1..], ["loaded Ok(Some(b\"v\"))", "committed 5 Ok(())"]);
    assert_eq!(world.console.0, ["a reports"]);
    let at = shard.next_deadline().unwrap().at;
    assert_eq!(at, NOW + Duration::from_secs(5));
    shard.timeouts(NOW);
    world.run(&mut shard, NOW, false);
    assert_eq!(a.lock().unwrap().len(), 3, "not early");
    shard.timeouts(at);
    world.run(&mut shard, at, false);
    assert_eq!(a.lock().unwrap()[3], "timeout 6.000000");
    assert_eq!(shard.next_deadline(), None);
}

/// A commit that takes its time holds nobody up but those who wait for it.
#[test]
fn who_asks_during_a_commit_waits_for_the_next() {
    let disk = SimulatedDisk::new(1);
    disk.slow(Duration::from_millis(30));
    let store = Box::new(DiskStore::simulated(disk));
    let mut world = World { store, ..World::default() };
    let (mut shard, ia, _, a, _) = pair(Limits::default(), 0);
    world.run(&mut shard, NOW, true);
    let heard = |from: usize| a.lock().unwrap()[from..].to_vec();
    for number in [5u64, 6] {
        shard.input(ia, Input::Order(Order(Box::new(number))));
        world.run(&mut shard, NOW, false);
    }
    assert_eq!(heard(1), ["loaded Ok(Some(b\"v\"))"; 2], "reads do not wait");
    let first = world.store.deadline().unwrap();
    assert_eq!(first, NOW + Duration::from_millis(30));
    world.run(&mut shard, first, false);
    assert_eq!(heard(3), ["committed 5 Ok(())"]);
    let second = world.store.deadline().unwrap();
    assert_eq!(second, first + Duration::from_millis(30), "begun at once");
    world.run(&mut shard, second, false);
    assert_eq!(heard(4), ["committed 6 Ok(())"]);
    assert_eq!(world.store.deadline(), None);
}

#[test]
fn a_function_is_built_anew_after_a_panic_but_not_for_ever() {
    let (mut shard, ia, ib, a, b) = pair(Limits::default(), 0);
    let mut world = World::default();
    let heard = b.clone();
    shard.rebuild(ib, Box::new(move || Box::new(Toy { heard: heard.clone(), ..Toy::default() })));
    world.run(&mut shard, NOW, true);
    for round in 1..=5 {
        shard.input(ia, Input::Order(Order(Box::new("boom"))));
        world.run(&mut shard, NOW, false);
        assert_eq!(shard.counters().panics, round);
        assert_eq!(shard.is_running(ib), round < 5);
        shard.input(ia, Input::Start);
        world.run(&mut shard, NOW, false);
    }
    assert_eq!(b.lock().unwrap().iter().filter(|heard| *heard == "ping").count(), 5);
    assert_eq!(a.lock().unwrap().last().unwrap(), "failed connection refused");
}

/// Keeps the records of [`T`], never hands any out, and panics when it is told anything.
struct Keeper;

impl Function for Keeper {
    fn handle(&mut self, _: Instant, input: Input) {
        assert!(!matches!(input, Input::Order(_)), "boom");
    }
    fn poll(&mut self) -> Option<Output> {
        None
    }
    fn deadline(&self) -> Option<Deadline> {
        None
    }
    fn keeps(&self) -> &'static [Table] {
        &[T]
    }
}

#[test]
fn a_keeper_that_is_gone_leaves_its_records_to_the_store() {
    let mut shard = Shard::new(Limits::default());
    let heard = Ears::default();
    let spec = |name: &str, tables, function: Box<dyn Function>| FunctionSpec {
        name: name.into(),
        hosts: vec![],
        function,
        listeners: vec![],
        tables,
    };
    let toy = Toy { heard: heard.clone(), ..Toy::default() };
    let owner = shard.add(spec("owner", &[T], Box::new(toy)));
    let keeper = shard.add(spec("keeper", &[], Box::new(Keeper)));
    let mut world = World::default();
    world.run(&mut shard, NOW, true);
    shard.input(owner, Input::Order(Order(Box::new(5u64))));
    world.run(&mut shard, NOW, false);
    assert!(heard.lock().unwrap().is_empty(), "it waits for its records");
    shard.input(keeper, Input::Order(Order(Box::new("boom"))));
    world.run(&mut shard, NOW, false);
    assert_eq!(*heard.lock().unwrap(), ["loaded Ok(Some(b\"v\"))", "committed 5 Ok(())"]);
}
