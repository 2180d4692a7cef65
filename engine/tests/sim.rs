//! Whole processes on the virtual network.
#![allow(clippy::unwrap_used)]

mod toys;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use base::machine::{Order, Report};
use base::relay::{Command, Event, PortId, Side};
use base::time::Duration;
use base::{Deadline, FlowError, Function, Input, Instant, Output, Transport};
use engine::framing::length_prefixed;
use engine::relay::{Forward, Onward};
use engine::sim::{HostId, Process, Simulation, VirtualRelay, Weather};
use toys::{Caller, Echo, Said, said, spec};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(
    seed: u64,
    weather: Weather,
    transport: Transport,
    durable: bool,
) -> (Simulation, HostId, HostId) {
    let mut sim = Simulation::new(seed, weather).framing(|_| length_prefixed);
    let echo = sim.host("server", ip("10.0.0.2"), move |_| {
        spec("echo", Echo::new(durable), &["10.0.0.2:5060"]).into()
    });
    let caller = sim.host("client", ip("10.0.0.1"), move |_| {
        spec("caller", Caller::new("echo.test", transport, 50), &["10.0.0.1:5060"]).into()
    });
    (sim, caller, echo)
}

fn finished(sim: &mut Simulation) -> bool {
    sim.reports().iter().any(|r| said(&r.report) == Some(&Said::Done(50)))
}

fn within(sim: &Simulation, seconds: u64) -> base::Instant {
    sim.now() + Duration::from_secs(seconds)
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let run = |seed| {
            let (mut sim, ..) = network(seed, Weather::STORM, transport, true);
            let limit = within(&sim, 600);
            assert!(sim.run_until_true(limit, finished));
            sim.trace().text().to_owned()
        };
        let first = run(1);
        assert!(first.lines().count() > 100);
        assert_eq!(first, run(1));
        assert_ne!(first, run(2));
    }
}

#[test]
fn storms_lose_double_and_delay_datagrams() {
    let (mut sim, ..) =
        network(3, Weather { duplicate: 0.2, ..Weather::STORM }, Transport::Udp, false);
    let limit = within(&sim, 600);
    assert!(sim.run_until_true(limit, finished));
    let text = sim.trace().text().to_owned();
    let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert!(count(" lost") > 0);
    assert!(count(" => ") + count(" lost") > count(" -> ") - count(" lost"), "some came twice");
}

#[test]
fn ipv6_and_unknown_places() {
    let mut sim = Simulation::new(1, Weather::CALM).framing(|_| length_prefixed);
    sim.host("server", ip("fd00::2"), |_| spec("echo", Echo::default(), &["[::]:5060"]).into());
    sim.host("client", ip("fd00::1"), |_| -> Process {
        vec![
            spec("a", Caller::new("echo.test", Transport::Udp, 50), &[]),
            spec("b", Caller::new("echo.test", Transport::Tcp, 7), &[]),
            spec("c", Caller::new("nobody.test", Transport::Udp, 3), &[]),
            spec("d", Caller::new("[fd00::2]:9", Transport::Tcp, 3), &[]),
            spec("e", Caller::new("[fd00::2]:9", Transport::Udp, 3), &[]),
            spec("f", Caller::new("[fd00::9]:9", Transport::Tcp, 3), &[]),
            spec("g", Caller::new("f.test", Transport::Tcp, 3), &[]),
        ]
        .into()
    });
    let limit = within(&sim, 1);
    sim.run_until(limit);
    let said: Vec<_> = sim
        .reports()
        .iter()
        .filter_map(|r| Some((r.name.clone(), said(&r.report)?.clone())))
        .collect();
    let of = |name: &str| said.iter().find(|(n, _)| n == name).map(|(_, s)| s.clone());
    assert_eq!(of("a"), Some(Said::Done(50)));
    assert_eq!(of("b"), Some(Said::Done(7)));
    assert_eq!(of("c"), Some(Said::Failed(FlowError::Unreachable)));
    assert_eq!(of("d"), Some(Said::Failed(FlowError::Refused)));
    assert_eq!(of("e"), Some(Said::Closed(FlowError::Unreachable)));
    assert_eq!(of("f"), Some(Said::Failed(FlowError::Unreachable)));
    assert_eq!(of("g"), None, "on a wire to somebody who does not answer");
}

#[test]
fn a_partition_stops_udp_until_it_heals() {
    let (mut sim, client, server) = network(5, Weather::CALM, Transport::Udp, false);
    sim.partition(client, server);
    let limit = within(&sim, 10);
    assert!(!sim.run_until_true(limit, finished));
    sim.heal(client, server);
    let limit = within(&sim, 10);
    assert!(sim.run_until_true(limit, finished));
}

#[test]
fn a_partition_times_tcp_out() {
    let (mut sim, client, server) = network(5, Weather::CALM, Transport::Tcp, false);
    sim.partition(client, server);
    sim.run_for(Duration::from_secs(10));
    let timed_out = |sim: &mut Simulation, what: Said| {
        sim.reports().iter().any(|r| said(&r.report) == Some(&what))
    };
    assert!(timed_out(&mut sim, Said::Failed(FlowError::TimedOut)));
    sim.heal(client, server);
    sim.order(client, "caller", Order(Box::new(())));
    sim.run_for(Duration::from_millis(9));
    sim.partition(client, server);
    sim.run_for(Duration::from_secs(70));
    assert!(timed_out(&mut sim, Said::Closed(FlowError::TimedOut)));
}

/// What was acknowledged before a crash is there after it, at every moment of the crash.
#[test]
fn a_crash_keeps_what_was_acknowledged() {
    for seed in 0..30 {
        let (mut sim, _, server) = network(seed, Weather::STORM, Transport::Udp, true);
        sim.run_for(Duration::from_millis(50 + 37 * seed));
        let text = sim.trace().text().to_owned();
        let answered = text.lines().filter(|l| l.contains("server echo@10.0.0.2:5060 ->")).count();
        sim.crash(server);
        sim.reports();
        sim.run_for(Duration::from_millis(300));
        sim.restart(server);
        let restored = sim.reports();
        let restored = restored.iter().find(|r| r.name == "echo").unwrap();
        let restored = *restored.report.0.downcast_ref::<u32>().unwrap();
        assert!(restored > 0 || answered == 0, "{answered} answered, {restored} restored");
        let limit = within(&sim, 600);
        assert!(sim.run_until_true(limit, finished), "goes on after the crash");
    }
}

/// The power fails in the middle of a commit, at every possible operation.
#[test]
fn a_crash_within_a_commit_keeps_what_was_acknowledged() {
    let run = |seed| {
        let (mut sim, _, server) = network(seed, Weather::CALM, Transport::Udp, true);
        sim.crash_at_write(server, seed);
        let limit = within(&sim, 600);
        let down = |sim: &mut Simulation| !sim.is_up(server);
        if !sim.run_until_true(limit, down) {
            return (0, 0, sim.trace().hash());
        }
        let text = sim.trace().text().to_owned();
        let answered = text.lines().filter(|l| l.contains("server echo@10.0.0.2:5060 ->")).count();
        sim.reports();
        sim.restart(server);
        let restored = sim.reports();
        let restored = restored.iter().find(|r| r.name == "echo").unwrap();
        let restored = *restored.report.0.downcast_ref::<u32>().unwrap();
        let limit = within(&sim, 600);
        assert!(sim.run_until_true(limit, finished), "goes on after the crash");
        (answered as u32, restored, sim.trace().hash())
    };
    let mut crashed_after = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let (answered, restored, hash) = run(seed);
        assert!(restored == answered || restored == answered + 1, "{answered} {restored}");
        assert_eq!(run(seed), (answered, restored, hash), "crashes are repeatable, too");
        crashed_after.insert(answered);
    }
    assert!(crashed_after.len() > 3, "crashed at different moments: {crashed_after:?}");
}

#[test]
fn a_crash_closes_connections() {
    let (mut sim, client, server) = network(1, Weather::CALM, Transport::Tcp, false);
    sim.run_for(Duration::from_millis(20));
    sim.crash(server);
    sim.run_for(Duration::from_millis(5));
    let reports = sim.reports();
    assert!(reports.iter().any(|r| said(&r.report) == Some(&Said::Closed(FlowError::Closed))));
    sim.order(client, "caller", Order(Box::new(())));
    sim.run_for(Duration::from_millis(10));
    let reports = sim.reports();
    assert!(reports.iter().any(|r| said(&r.report) == Some(&Said::Failed(FlowError::Refused))));
    sim.restart(server);
    sim.order(client, "caller", Order(Box::new(())));
    let limit = within(&sim, 10);
    assert!(sim.run_until_true(limit, finished));
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let (mut sim, _, server) = network(1, Weather::CALM, Transport::Udp, true);
    sim.disk(server).read_only(true);
    sim.run_for(Duration::from_secs(2));
    assert!(!finished(&mut sim));
    let logs = sim.logs();
    assert_eq!(logs.iter().filter(|l| l.event.counter == "store.failed").count(), 1);
    sim.disk(server).read_only(false);
    let limit = within(&sim, 20);
    assert!(sim.run_until_true(limit, finished));
}

/// A relay between two peers of different hosts, over a storm.
#[test]
fn packets_cross_the_virtual_relay() {
    let run = |seed| {
        let mut sim = Simulation::new(seed, Weather::STORM);
        let relay = sim.host("relay", ip("10.0.0.9"), |_| Process {
            functions: vec![spec("anchor", Anchor::new(["10.0.0.1:4000", "10.0.0.2:4000"]), &[])],
            relay: Some(VirtualRelay::new(30_001..=30_010, Box::new(Cross::default()))),
        });
        sim.run_for(Duration::from_millis(1));
        let ports: Vec<u16> =
            sim.reports().iter().filter_map(|r| r.report.0.downcast_ref().copied()).collect();
        assert!(ports.len() == 2 && ports.iter().all(|port| port % 2 == 0), "{ports:?}");
        let talker = |to: u16| {
            let mut caller = Caller::new(&format!("10.0.0.9:{to}"), Transport::Udp, 20);
            caller.local = Some("0.0.0.0:4000".parse().unwrap());
            spec("talker", caller, &[])
        };
        let echo = |_: engine::sim::Boot| {
            let mut spec = spec("echo", Echo::default(), &[]);
            let (service, transport) = (base::Service::Sip, Transport::Udp);
            let addr = "10.0.0.2:4000".parse().unwrap();
            spec.listeners = vec![engine::Listener { service, transport, addr }];
            spec.into()
        };
        sim.host("b", ip("10.0.0.2"), echo);
        sim.host("a", ip("10.0.0.1"), move |_| talker(ports[0]).into());
        let limit = within(&sim, 100);
        let done = Some(&Said::Done(20));
        assert!(sim.run_until_true(limit, |sim| {
            sim.reports().iter().any(|r| said(&r.report) == done)
        }));
        sim.crash(relay);
        sim.trace().hash()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

struct Anchor {
    peers: [SocketAddr; 2],
    opened: usize,
    out: VecDeque<Output>,
}

impl Anchor {
    fn new(peers: [&str; 2]) -> Anchor {
        Anchor { peers: peers.map(|p| p.parse().unwrap()), opened: 0, out: VecDeque::new() }
    }
}

impl Function for Anchor {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Start => {
                for port in [1, 2].map(PortId) {
                    let address = ip("10.0.0.9");
                    self.out.push_back(Output::Relay(Command::Open { port, address, rtp: None }));
                }
            }
            Input::Relay(Event::Opened { rtp, .. }) => {
                self.out.push_back(Output::Report(Report(Box::new(rtp))));
                self.opened += 1;
                if self.opened == 2 {
                    let side = |at: usize| Side {
                        port: PortId(at as u64 + 1),
                        rtp: Some(self.peers[at]),
                        rtcp: None,
                        host: None,
                        mux: false,
                        learn: false,
                        clock: 8000,
                    };
                    let (a, b) = (side(0), side(1));
                    self.out.push_back(Output::Relay(Command::Join { a, b }));
                }
            }
            _ => {}
        }
    }
    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

#[derive(Default)]
struct Cross([Option<SocketAddr>; 2]);

impl Forward for Cross {
    fn open(&mut self, _: Instant, _: PortId, _: SocketAddr) {}
    fn command(&mut self, _: Instant, command: Command) {
        if let Command::Join { a, b } = command {
            self.0 = [a.rtp, b.rtp];
        }
    }
    fn poll_packet(&mut self) -> Option<(Onward, Vec<u8>)> {
        None
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn expire(&mut self, _: Instant) {}
    fn packet(
        &mut self,
        _: Instant,
        (port, rtcp): (PortId, bool),
        _: SocketAddr,
        _: &mut [u8],
        length: usize,
    ) -> Option<Onward> {
        let other = 3 - port.0;
        Some(Onward { port: PortId(other), rtcp, to: self.0[other as usize - 1]?, length })
    }
    fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
