//! Real sockets on loopback.
#![allow(clippy::unwrap_used)]

mod toys;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Wall};

use base::machine::{OpenId, Order, Report};
use base::relay::{Command, Event as RelayEvent, PortId, Side};
use base::{
    Bytes, Deadline, Endpoint, Event, Flow, FlowError, Function, Input, Instant, Output, Service,
    Transport,
};
use engine::framing::length_prefixed;
use engine::net::{DnsConfig, Handle, ListenError, Live, LiveConfig};
use engine::relay::{Forward, Onward, RelayConfig};
use engine::shard::{Console, Crossing, FunctionId, Listener};
use engine::store::{DiskStore, StoreConfig};
use toys::{Caller, Echo, Said, said, spec};

/// Longer than anything takes unless it is broken.
const GENEROUS: Duration = Duration::from_secs(30);

fn config() -> LiveConfig {
    LiveConfig { framings: |_| length_prefixed, dns: DnsConfig::default(), ..LiveConfig::default() }
}

struct Channel(Sender<(String, Report)>);

impl Console for Channel {
    fn log(&mut self, _: Instant, from: &str, event: Event) {
        let _ = self.0.send((from.to_owned(), Report(Box::new(event))));
    }
    fn report(&mut self, _: Instant, _: FunctionId, name: &str, report: Report) {
        let _ = self.0.send((name.to_owned(), report));
    }
}

/// Runs a loop on a thread of its own; it is stopped when this is dropped.
struct Running {
    handle: Handle,
    heard: Receiver<(String, Report)>,
    crossings: Arc<Mutex<usize>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(live: Live) -> Running {
        let handle = live.handle();
        let (sender, heard) = channel();
        let crossings = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&crossings);
        let tap = move |_: Instant, _: &Crossing<'_>| *seen.lock().unwrap() += 1;
        let run = move || live.run(tap, Channel(sender)).unwrap();
        let thread = Some(std::thread::spawn(run));
        Running { handle, heard, crossings, thread }
    }

    fn wait(&self, what: &str, mut found: impl FnMut(&str, &Report) -> bool) {
        let end = Wall::now() + GENEROUS;
        loop {
            let left = end.saturating_duration_since(Wall::now());
            match self.heard.recv_timeout(left) {
                Ok((name, report)) if found(&name, &report) => return,
                Ok(_) => {}
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }

    fn wait_said(&self, expected: Said) {
        self.wait(&format!("{expected:?}"), |_, report| said(report) == Some(&expected));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

fn server(addr: &str) -> (Running, Vec<Listener>) {
    let mut live = Live::new(config()).unwrap();
    live.add(spec("echo", Echo::default(), &[addr])).unwrap();
    let listening = live.listening().iter().map(|(_, listener)| *listener).collect();
    (Running::start(live), listening)
}

#[test]
fn udp_and_tcp_over_ipv4_and_ipv6() {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let (server, listening) = server(addr);
        for listener in listening {
            let mut live = Live::new(config()).unwrap();
            let caller = Caller::new(&listener.addr.to_string(), listener.transport, 200);
            live.add(spec("caller", caller, &[])).unwrap();
            let client = Running::start(live);
            client.wait_said(Said::Done(200));
            assert!(*client.crossings.lock().unwrap() >= 400);
        }
        assert!(*server.crossings.lock().unwrap() >= 800);
    }
}

#[test]
fn a_function_of_the_same_process_is_reached_by_wire() {
    let mut live = Live::new(config()).unwrap();
    live.add(spec("echo", Echo::default(), &[])).unwrap();
    live.add(spec("caller", Caller::new("echo.test", Transport::Udp, 1000), &[])).unwrap();
    let running = Running::start(live);
    running.wait_said(Said::Done(1000));
    assert_eq!(*running.crossings.lock().unwrap(), 2000, "each once");
}

#[test]
fn nobody_there() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (transport, expected) in [
        (Transport::Udp, Said::Closed(FlowError::Unreachable)),
        (Transport::Tcp, Said::Failed(FlowError::Refused)),
    ] {
        let mut live = Live::new(config()).unwrap();
        live.add(spec("caller", Caller::new(&free.to_string(), transport, 1), &[])).unwrap();
        Running::start(live).wait_said(expected);
    }
    let mut live = Live::new(config()).unwrap();
    live.add(spec("caller", Caller::new("nobody.test", Transport::Udp, 1), &[])).unwrap();
    Running::start(live).wait_said(Said::Failed(FlowError::Unreachable));
}

#[test]
fn a_port_in_use_names_its_holder() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut live = Live::new(config()).unwrap();
    let error = live.add(spec("echo", Echo::default(), &[&addr])).unwrap_err();
    let ListenError::InUse { holder: Some(holder), .. } = &error else { panic!("{error}") };
    assert_eq!(holder.pid, std::process::id());
    assert!(error.to_string().contains(&holder.pid.to_string()), "{error}");
    assert!(live.listening().is_empty());
    live.add(spec("echo", Echo::default(), &["127.0.0.1:0"])).unwrap();
}

#[test]
fn a_stopped_server_closes_its_connections() {
    let mut live = Live::new(config()).unwrap();
    let echo = live.add(spec("echo", Echo::default(), &["127.0.0.1:0"])).unwrap();
    let tcp = live.listening().iter().find(|(_, l)| l.transport == Transport::Tcp).unwrap().1;
    let server = Running::start(live);
    let mut live = Live::new(config()).unwrap();
    live.add(spec("caller", Caller::new(&tcp.addr.to_string(), Transport::Tcp, 3), &[])).unwrap();
    let client = Running::start(live);
    client.wait_said(Said::Done(3));
    server.handle.stop_function(echo).unwrap();
    client.wait_said(Said::Closed(FlowError::Closed));
}

/// Floods a peer that never reads.
#[derive(Default)]
struct Flood {
    to: Option<SocketAddr>,
    out: VecDeque<Output>,
    refused: bool,
}

impl Function for Flood {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Start => self.out.push_back(Output::Open {
                open: OpenId(1),
                service: Service::Sip,
                transport: Transport::Tcp,
                remote: self.to.map(Endpoint::Ip),
                local: None,
                name: None,
            }),
            Input::Opened { flow, .. } => {
                let message = Bytes::from(vec![0; 100_000]);
                for _ in 0..200 {
                    let message = message.clone();
                    self.out.push_back(Output::Transmit { flow, message });
                }
            }
            Input::Closed { error, .. } if !std::mem::replace(&mut self.refused, true) => {
                self.out.push_back(Output::Report(Report(Box::new(Said::Closed(error)))));
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

#[test]
fn a_full_queue_is_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut live = Live::new(config()).unwrap();
    let flood = Flood { to: Some(listener.local_addr().unwrap()), ..Flood::default() };
    live.add(spec("flood", flood, &[])).unwrap();
    Running::start(live).wait_said(Said::Closed(FlowError::Overloaded));
}

#[test]
fn what_is_no_message_closes_the_connection() {
    use std::io::{Read, Write};
    let (_server, listening) = server("127.0.0.1:0");
    let tcp = listening.iter().find(|l| l.transport == Transport::Tcp).unwrap();
    let mut stream = std::net::TcpStream::connect(tcp.addr).unwrap();
    stream.set_read_timeout(Some(GENEROUS)).unwrap();
    // A length far beyond the limit, and more bytes than may be buffered.
    let _ = stream.write_all(&vec![0xff; 1 << 20]);
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    assert!(read.is_err() || rest.is_empty());
}

/// As `nc -N` does: the question and the end of what is asked arrive together.
#[test]
fn whoever_closes_his_half_still_hears_the_answer() {
    use std::io::{Read, Write};
    let (_server, listening) = server("127.0.0.1:0");
    let tcp = listening.iter().find(|l| l.transport == Transport::Tcp).unwrap();
    for _ in 0..20 {
        let mut stream = std::net::TcpStream::connect(tcp.addr).unwrap();
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        stream.write_all(&[0, 0, 0, 2, b'h', b'i']).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, [0, 0, 0, 2, b'h', b'i']);
    }
}

/// Opens two pairs on order and joins them; reports their ports.
#[derive(Default)]
struct Anchor {
    ports: Vec<u16>,
    out: VecDeque<Output>,
    peers: Vec<SocketAddr>,
}

impl Function for Anchor {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Order(Order(peers)) => {
                self.peers = *peers.downcast().unwrap();
                for port in [1, 2] {
                    let address = "127.0.0.1".parse().unwrap();
                    let command = Command::Open { port: PortId(port), address, rtp: None };
                    self.out.push_back(Output::Relay(command));
                }
            }
            Input::Relay(RelayEvent::Opened { rtp, .. }) => {
                self.ports.push(rtp);
                if self.ports.len() == 2 {
                    let side = |at: usize| Side {
                        port: PortId(at as u64 + 1),
                        rtp: Some(self.peers[at]),
                        rtcp: None,
                        host: None,
                        mux: false,
                        learn: false,
                        clock: 8000,
                    };
                    let join = Command::Join { a: side(0), b: side(1) };
                    self.out.push_back(Output::Relay(join));
                    let report = Report(Box::new(self.ports.clone()));
                    self.out.push_back(Output::Report(report));
                    self.out.push_back(Output::Relay(Command::Query { port: PortId(1) }));
                }
            }
            Input::Relay(event) => self.out.push_back(Output::Report(Report(Box::new(event)))),
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

/// From port 1 to the peer of port 2 and back; RTP only.
#[derive(Default)]
struct Cross {
    peers: [Option<SocketAddr>; 2],
    packets: u64,
    events: VecDeque<RelayEvent>,
}

impl Forward for Cross {
    fn open(&mut self, _: Instant, _: PortId, rtp: SocketAddr) {
        assert_eq!(rtp.port() % 2, 0);
    }
    fn command(&mut self, _: Instant, command: Command) {
        match command {
            Command::Join { a, b } => self.peers = [a.rtp, b.rtp],
            Command::Query { port } | Command::Close { port } => {
                let counters =
                    base::relay::Counters { packets: self.packets, ..Default::default() };
                self.events.push_back(RelayEvent::Counters { port, counters });
            }
            _ => {}
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
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Onward> {
        self.packets += 1;
        let other = 3 - port.0;
        // It grows on its way.
        buffer[length] = b'!';
        let to = self.peers[other as usize - 1]?;
        Some(Onward { port: PortId(other), rtcp, to, length: length + 1 })
    }
    fn poll_event(&mut self) -> Option<RelayEvent> {
        self.events.pop_front()
    }
}

#[test]
fn packets_cross_the_relay() {
    let mut live = Live::new(config()).unwrap();
    let anchor = live.add(spec("anchor", Anchor::default(), &[])).unwrap();
    live.relay(RelayConfig { ports: 42_001..=42_999, ..RelayConfig::default() }, Cross::default())
        .unwrap();
    let running = Running::start(live);
    let ends = [0, 1].map(|_| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        socket
    });
    let peers: Vec<SocketAddr> = ends.iter().map(|e| e.local_addr().unwrap()).collect();
    running.handle.order(anchor, Order(Box::new(peers))).unwrap();
    let mut ports = Vec::new();
    running.wait("ports", |_, report| match report.0.downcast_ref::<Vec<u16>>() {
        Some(found) => {
            ports.clone_from(found);
            true
        }
        None => false,
    });
    running.wait("counters", |_, report| {
        matches!(report.0.downcast_ref(), Some(RelayEvent::Counters { .. }))
    });
    for (from, to) in [(0, 1), (1, 0)] {
        let end = Wall::now() + GENEROUS;
        let mut number = 0u32;
        let mut arrived = 0;
        let mut room = [0; 100];
        while arrived < 300 {
            assert!(Wall::now() < end, "only {arrived} arrived");
            // Bursts, so that batches are batches.
            for _ in 0..50 {
                number += 1;
                let address = ("127.0.0.1", ports[from]);
                ends[from].send_to(&number.to_be_bytes(), address).unwrap();
            }
            while let Ok((length, source)) = ends[to].recv_from(&mut room) {
                assert_eq!((length, source.port()), (5, ports[to]));
                arrived += 1;
                if arrived % 50 == 0 {
                    break;
                }
            }
        }
    }
}

/// Binds a socket of its own.
#[derive(Default)]
struct Own {
    out: VecDeque<Output>,
    flow: Option<Flow>,
}

impl Function for Own {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Start => self.out.push_back(Output::Open {
                open: OpenId(1),
                service: Service::Rtp,
                transport: Transport::Udp,
                remote: None,
                local: Some("127.0.0.1:0".parse().unwrap()),
                name: None,
            }),
            Input::Opened { flow, .. } => {
                self.flow = Some(flow);
                self.out.push_back(Output::Report(Report(Box::new(flow.local))));
            }
            Input::Received { flow, message } => {
                self.out.push_back(Output::Transmit { flow, message });
                self.out.push_back(Output::Close { flow });
                self.out.push_back(Output::Transmit { flow, message: Bytes::from("stale") });
            }
            Input::Closed { error, .. } => {
                self.out.push_back(Output::Report(Report(Box::new(Said::Closed(error)))));
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

#[test]
fn an_own_socket_within_the_range_and_stale_flows() {
    let mut live = Live::new(LiveConfig { ports: Some(41_000..=41_999), ..config() }).unwrap();
    live.add(spec("own", Own::default(), &[])).unwrap();
    let running = Running::start(live);
    let mut local = None;
    running.wait("bound", |_, report| {
        local = report.0.downcast_ref::<Endpoint>().and_then(Endpoint::socket_addr);
        local.is_some()
    });
    let local = local.unwrap();
    assert!((41_000..=41_999).contains(&local.port()));
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(GENEROUS)).unwrap();
    peer.send_to(b"hello", local).unwrap();
    let mut room = [0; 100];
    assert_eq!(peer.recv(&mut room).unwrap(), 5);
    running.wait_said(Said::Closed(FlowError::Stale));
}

#[test]
fn a_drain_ends_the_loop_once_nobody_is_busy() {
    let (running, _) = server("127.0.0.1:0");
    running.handle.drain(Duration::from_secs(3600)).unwrap();
    let end = Wall::now() + GENEROUS;
    while running.handle.order(FunctionId(0), Order(Box::new(()))).is_ok() {
        assert!(Wall::now() < end);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A DNS server of one answer: every A question is answered with the loopback address.
#[test]
fn names_are_looked_up_in_dns() {
    let dns = UdpSocket::bind("127.0.0.1:0").unwrap();
    dns.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let servers = vec![dns.local_addr().unwrap()];
    let done = Arc::new(Mutex::new(false));
    let over = Arc::clone(&done);
    let thread = std::thread::spawn(move || {
        let mut room = [0; 1500];
        while !*over.lock().unwrap() {
            let Ok((length, from)) = dns.recv_from(&mut room) else { continue };
            // The header, the question up to its end, and no additional record.
            let end = 12 + room[12..length].iter().position(|b| *b == 0).unwrap() + 5;
            let mut answer = room[..end].to_vec();
            answer[2] |= 0x80;
            answer[10..12].copy_from_slice(&[0, 0]);
            if answer[end - 4..end] == [0, 1, 0, 1] {
                answer[7] = 1;
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            dns.send_to(&answer, from).unwrap();
        }
    });
    // 5060 is only asked for by default: nobody needs to listen there.
    let hosts = std::collections::BTreeMap::new();
    let config = LiveConfig { dns: DnsConfig { servers, hosts }, ..config() };
    let mut live = Live::new(config).unwrap();
    live.add(spec("caller", Caller::new("somewhere.test", Transport::Udp, 1), &[])).unwrap();
    let handle = live.handle();
    let (sender, seen) = channel();
    let tap = move |_: Instant, crossing: &Crossing<'_>| {
        let _ = sender.send(crossing.to.endpoint);
    };
    let running = std::thread::spawn(move || live.run(tap, ()).unwrap());
    let to = seen.recv_timeout(GENEROUS).unwrap();
    assert_eq!(to, Endpoint::Ip("127.0.0.1:5060".parse().unwrap()));
    handle.stop().unwrap();
    running.join().unwrap();
    *done.lock().unwrap() = true;
    thread.join().unwrap();
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    use std::io::{Read, Write};
    let mut live = Live::new(LiveConfig { connections: 2, ..config() }).unwrap();
    live.add(spec("echo", Echo::default(), &["127.0.0.1:0"])).unwrap();
    let tcp = live.listening().iter().find(|(_, l)| l.transport == Transport::Tcp).unwrap().1;
    let running = Running::start(live);
    let connect = || {
        let mut stream = std::net::TcpStream::connect(tcp.addr).unwrap();
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        let _ = stream.write_all(&toys::message(7));
        let mut room = [0; 8];
        stream.read_exact(&mut room).map(|()| stream)
    };
    let (first, second) = (connect().unwrap(), connect().unwrap());
    assert!(connect().is_err());
    running.wait("refusal", |_, report| {
        report.0.downcast_ref::<Event>().is_some_and(|event| event.counter == "tcp.refused")
    });
    drop((first, second));
    let end = Wall::now() + GENEROUS;
    while connect().is_err() {
        assert!(Wall::now() < end, "room again after others have left");
    }
}

#[test]
fn records_outlive_the_process() {
    let path = std::env::temp_dir().join(format!("strowger-live-{}.redb", std::process::id()));
    let _ = std::fs::remove_file(&path);
    for round in 0..2 {
        let mut live = Live::new(config()).unwrap();
        let store = StoreConfig { path: path.clone(), cache: 1 << 20, schema: 1, migrate: None };
        live.store(DiskStore::open(store).unwrap()).unwrap();
        live.add(spec("echo", Echo::new(true), &[])).unwrap();
        live.add(spec("caller", Caller::new("echo.test", Transport::Udp, 30), &[])).unwrap();
        let running = Running::start(live);
        running.wait("restored", |_, report| match report.0.downcast_ref::<u32>() {
            Some(restored) => {
                assert_eq!(*restored, round * 30);
                true
            }
            None => false,
        });
        running.wait_said(Said::Done(30));
        // Counters are shown at the end of a turn, reports within it.
        let end = Wall::now() + GENEROUS;
        while running.handle.counters().wired < 59 {
            assert!(Wall::now() < end);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    std::fs::remove_file(&path).unwrap();
}
