//! TLS on loopback, with certificates of a hundred years (`tls/make.sh`).
#![allow(clippy::unwrap_used)]

mod toys;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant as Wall};

use base::machine::{OpenId, Report};
use base::{
    Bytes, Deadline, Endpoint, Event, FlowError, Function, Input, Instant, Output, Service,
    Transport,
};
use engine::framing::length_prefixed;
use engine::net::tls::{Fault, Tls, TlsConfig, TlsError, inspect};
use engine::net::{Change, DnsConfig, Handle, Live, LiveConfig};
use engine::shard::{Console, Crossing, FunctionId, FunctionSpec, Listener};
use toys::{Caller, Said, said};

/// Longer than anything takes unless it is broken.
const GENEROUS: Duration = Duration::from_secs(30);

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("tls/", $name)).to_vec()
    };
}

fn proxy() -> (Vec<u8>, Vec<u8>) {
    (pem!("proxy.pem"), pem!("proxy.key"))
}

fn core() -> (Vec<u8>, Vec<u8>) {
    (pem!("core.pem"), pem!("core.key"))
}

fn phone() -> (Vec<u8>, Vec<u8>) {
    (pem!("phone.pem"), pem!("phone.key"))
}

fn foreign() -> (Vec<u8>, Vec<u8>) {
    (pem!("foreign.pem"), pem!("foreign.key"))
}

fn tls(own: Option<(Vec<u8>, Vec<u8>)>) -> Tls {
    let functions = ["ims.test", "scscf.IMS.test"].map(str::to_owned).to_vec();
    Tls::new(&TlsConfig { own, authorities: Some(pem!("authority.pem")), functions }).unwrap()
}

fn config(own: Option<(Vec<u8>, Vec<u8>)>) -> LiveConfig {
    LiveConfig {
        framings: |_| length_prefixed,
        dns: DnsConfig::default(),
        tls: Some(tls(own)),
        ..LiveConfig::default()
    }
}

struct Channel(Sender<Report>);

impl Console for Channel {
    fn log(&mut self, _: Instant, _: &str, event: Event) {
        let _ = self.0.send(Report(Box::new(event)));
    }
    fn report(&mut self, _: Instant, _: FunctionId, _: &str, report: Report) {
        let _ = self.0.send(report);
    }
}

/// A loop on a thread of its own; it is stopped when this is dropped.
struct Running {
    handle: Handle,
    heard: Receiver<Report>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(live: Live) -> Running {
        let handle = live.handle();
        let (sender, heard) = channel();
        let tap = |_: Instant, _: &Crossing<'_>| {};
        let run = move || live.run(tap, Channel(sender)).unwrap();
        Running { handle, heard, thread: Some(std::thread::spawn(run)) }
    }

    fn wait<T>(&self, mut found: impl FnMut(&Report) -> Option<T>) -> T {
        let end = Wall::now() + GENEROUS;
        loop {
            let left = end.saturating_duration_since(Wall::now());
            let report = self.heard.recv_timeout(left).expect("it is reported in time");
            if let Some(found) = found(&report) {
                return found;
            }
        }
    }

    fn said(&self) -> Said {
        self.wait(|report| said(report).cloned())
    }

    /// Whether the other end was taken for a network function.
    fn proved(&self) -> bool {
        self.wait(|report| report.0.downcast_ref::<bool>().copied())
    }

    /// The text of the next log line of this counter.
    fn logged(&self, counter: &str) -> String {
        self.wait(|report| {
            let event =
                report.0.downcast_ref::<Event>().filter(|event| event.counter == counter)?;
            Some(event.text.clone())
        })
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

/// Sends back what it gets, and reports with each message whether the sender proved what it is.
#[derive(Default)]
struct Mirror(VecDeque<Output>);

impl Function for Mirror {
    fn handle(&mut self, _: Instant, input: Input) {
        if let Input::Received { flow, message } = input {
            assert_eq!(flow.transport, Transport::Tls);
            self.0.push_back(Output::Report(Report(Box::new(flow.proved))));
            self.0.push_back(Output::Transmit { flow, message });
        }
    }
    fn poll(&mut self) -> Option<Output> {
        self.0.pop_front()
    }
    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

fn spec(function: impl Function + 'static, transports: &[Transport]) -> FunctionSpec {
    let listener = |transport: &Transport| Listener {
        service: Service::Sip,
        transport: *transport,
        addr: "127.0.0.1:0".parse().unwrap(),
    };
    FunctionSpec {
        name: "toy".to_owned(),
        hosts: Vec::new(),
        function: Box::new(function),
        listeners: transports.iter().map(listener).collect(),
        tables: &[],
    }
}

fn server_with(config: LiveConfig, closed: bool) -> (Running, SocketAddr) {
    let mut live = Live::new(config).unwrap();
    let id = live.add(spec(Mirror::default(), &[Transport::Tls])).unwrap();
    if closed {
        live.demand_certificates(id);
    }
    let at = live.listening()[0].1.addr;
    (Running::start(live), at)
}

fn server(own: (Vec<u8>, Vec<u8>)) -> (Running, SocketAddr) {
    server_with(config(Some(own)), false)
}

/// Three pings to a server that has to be `name`.
fn client(own: Option<(Vec<u8>, Vec<u8>)>, to: SocketAddr, name: Option<&str>) -> Running {
    let mut live = Live::new(config(own)).unwrap();
    let mut caller = Caller::new(&to.to_string(), Transport::Tls, 3);
    caller.name = name.map(str::to_owned);
    live.add(spec(caller, &[])).unwrap();
    Running::start(live)
}

/// RFC 5922 §7.
#[test]
fn the_certificate_has_to_name_who_was_asked_for() {
    let good = Said::Done(3);
    let bad = Said::Failed(FlowError::Untrusted);
    for (own, name, expected) in [
        (proxy(), Some("ims.test"), &good),
        (proxy(), Some("IMS.Test."), &good),
        // §7.1: with a SIP URI in it its DNS names do not count.
        (proxy(), Some("other.test"), &bad),
        (proxy(), None, &bad),
        (core(), Some("scscf.ims.test"), &good),
        (core(), Some("ims.test"), &bad),
        // §7.2: no wildcards.
        (core(), Some("a.wild.test"), &bad),
        (core(), None, &good),
        (phone(), Some("ims.test"), &bad),
        (foreign(), Some("ims.test"), &bad),
    ] {
        let (_server, at) = server(own);
        assert_eq!(client(None, at, name).said(), *expected, "{name:?}");
    }
}

#[test]
fn who_shows_the_certificate_of_a_network_function_is_one() {
    let (server, at) = server(proxy());
    // A certificate that nobody vouches for proves nothing, whatever it names.
    let owns = [None, Some(core()), Some(phone()), Some(foreign())];
    for (own, proved) in owns.into_iter().zip([false, true, false, false]) {
        let client = client(own, at, Some("ims.test"));
        assert_eq!(client.said(), Said::Done(3));
        assert_eq!([server.proved(), server.proved(), server.proved()], [proved; 3]);
    }
}

#[test]
fn a_closed_door_opens_for_certificates_only() {
    let (server, at) = server_with(config(Some(proxy())), true);
    assert!(matches!(client(None, at, Some("ims.test")).said(), Said::Closed(_) | Said::Failed(_)));
    server.logged("tls.handshake");
    let stranger = client(Some(foreign()), at, Some("ims.test"));
    assert!(matches!(stranger.said(), Said::Closed(_) | Said::Failed(_)));
    assert!(server.logged("tls.handshake").contains("UnknownIssuer"));
    assert_eq!(client(Some(phone()), at, Some("ims.test")).said(), Said::Done(3));
    // Without authorities nobody is believed.
    let nobody = TlsConfig { own: Some(proxy()), ..TlsConfig::default() };
    let nobody = LiveConfig { tls: Some(Tls::new(&nobody).unwrap()), ..config(None) };
    let (_server, at) = server_with(nobody, true);
    let client = client(Some(core()), at, Some("ims.test"));
    assert!(matches!(client.said(), Said::Closed(_) | Said::Failed(_)));
}

/// Whether the other end closes the connection.
fn closes(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(GENEROUS)).unwrap();
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn what_is_no_tls_is_closed_and_told() {
    let (server, at) = server(proxy());
    let sip = b"OPTIONS sip:ims.test SIP/2.0\r\nContent-Length: 0\r\n\r\n";
    // A record of a handshake whose inside is garbage.
    let garbage = [b"\x16\x03\x01\x00\x10".as_slice(), &[0xff; 16]].concat();
    for (bytes, why) in [
        (&sip[..], "it speaks no TLS"),
        (&garbage, "corrupt message"),
        (b"\0\0\0\x08abcd", "no TLS"),
    ] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(bytes).unwrap();
        assert!(closes(&stream), "{why}");
        let said = server.logged("tls.handshake");
        assert!(said.contains("127.0.0.1") && said.contains(why), "{said}");
    }
    drop(TcpStream::connect(at).unwrap());
    assert!(server.logged("tls.handshake").contains("ended within the handshake"));
    assert_eq!(client(None, at, Some("ims.test")).said(), Said::Done(3));
}

#[test]
fn slow_handshakes_end_and_are_few() {
    let config = LiveConfig {
        handshakes: 2,
        handshake_timeout: Duration::from_millis(300),
        ..config(Some(proxy()))
    };
    let (server, at) = server_with(config, false);
    let mut silent = TcpStream::connect(at).unwrap();
    // The beginning of a ClientHello.
    silent.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    let other = TcpStream::connect(at).unwrap();
    let third = TcpStream::connect(at).unwrap();
    assert!(closes(&third));
    assert!(server.logged("tls.refused").contains("too many"));
    assert!(closes(&silent) && closes(&other));
    assert!(server.logged("tls.handshake").contains("too long"));
    assert_eq!(client(None, at, Some("ims.test")).said(), Said::Done(3));
}

#[test]
fn new_connections_use_new_certificates() {
    let (server, at) = server(proxy());
    let old = client(None, at, Some("ims.test"));
    assert_eq!(old.said(), Said::Done(3));
    let tls = Some(tls(Some(core())));
    server.handle.change(Change { tls, ..Change::default() }).unwrap();
    let until = Wall::now() + GENEROUS;
    while client(None, at, Some("scscf.ims.test")).said() != Said::Done(3) {
        assert!(Wall::now() < until, "the new certificate is shown");
    }
    assert_eq!(client(None, at, Some("ims.test")).said(), Said::Failed(FlowError::Untrusted));
}

/// Sends messages that no buffer takes at once, hears them all again, and closes.
struct Flood {
    to: SocketAddr,
    left: u32,
    out: VecDeque<Output>,
}

const LARGE: usize = 100_000;

impl Function for Flood {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Start => self.out.push_back(Output::Open {
                open: OpenId(1),
                service: Service::Sip,
                transport: Transport::Tls,
                remote: Some(Endpoint::Ip(self.to)),
                local: None,
                name: Some("ims.test".to_owned()),
            }),
            Input::Opened { flow, .. } => {
                assert!(flow.proved, "the server is a network function");
                let text: Vec<u8> = (0..LARGE - 4).map(|at| at as u8).collect();
                let message = [&(LARGE as u32 - 4).to_be_bytes()[..], &text].concat();
                for _ in 0..self.left {
                    let message = Bytes::from(message.clone());
                    self.out.push_back(Output::Transmit { flow, message });
                }
            }
            Input::Received { flow, message } => {
                assert!(message.len() == LARGE && message[4 + 255] == 255);
                self.left -= 1;
                if self.left == 0 {
                    self.out.push_back(Output::Close { flow });
                    self.out.push_back(Output::Report(Report(Box::new(Said::Done(0)))));
                }
            }
            other => panic!("{other:?}"),
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
fn large_messages_cross_whole() {
    let (_server, at) = server(proxy());
    let mut live = Live::new(config(None)).unwrap();
    live.add(spec(Flood { to: at, left: 9, out: VecDeque::new() }, &[])).unwrap();
    assert_eq!(Running::start(live).said(), Said::Done(0));
}

#[test]
fn no_listener_without_a_certificate() {
    let mut live = Live::new(config(None)).unwrap();
    let refused = live.add(spec(Mirror::default(), &[Transport::Tls])).unwrap_err();
    assert!(refused.to_string().contains("TLS needs a certificate"), "{refused}");
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let (now, names) = (2_000_000_000, &["pcscf.ims.test", "IMS.test"]);
    let (certificate, key) = proxy();
    let look = |certificate: &[u8], key: &[u8], now| inspect(certificate, key, now, names);
    assert_eq!(look(&certificate, &key, now), []);
    assert_eq!(look(&certificate, &core().1, now), [Fault::OtherKey]);
    assert!(matches!(look(&certificate, &key, 1_000_000_000)[..], [Fault::NotYetValid(_)]));
    assert!(matches!(look(&certificate, &key, 9_000_000_000)[..], [Fault::Expired(_)]));
    let (other, other_key) = core();
    let names = ["scscf.ims.test", "icscf.ims.test"].map(str::to_owned).to_vec();
    assert_eq!(look(&other, &other_key, now), [Fault::OtherNames(names)]);
    assert_eq!(look(b"", &key, now), [Fault::Unreadable(TlsError::Certificate)]);
    assert_eq!(look(&certificate, b"", now), [Fault::Unreadable(TlsError::Key)]);
    let broken = TlsConfig { authorities: Some(Vec::new()), ..TlsConfig::default() };
    assert_eq!(Tls::new(&broken).unwrap_err(), TlsError::Authorities);
    let mixed = TlsConfig { own: Some((certificate, other_key)), ..TlsConfig::default() };
    assert!(matches!(Tls::new(&mixed), Err(TlsError::Refused(_))));
}
