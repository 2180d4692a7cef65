//! A relay is killed in mid-call: another one, on the same host or on another one, goes on with its calls, which it knows of by a
//! real Redis server. The phones speak SRTP by libsrtp.
#![cfg(feature = "interop")]

use std::net::{IpAddr, SocketAddr, UdpSocket};

use base::Bytes;
use base::relay::{MasterKey, Suite};
use ng::{Command, Encoding, Message, Request, Response};
use srtp::sdes::Crypto;
use strowger_tests::interop::{
    Bridge, HERE, Namespace, PATIENCE, Peer, peer_file, python, twice, until,
};

/// So long may nothing be heard, in milliseconds.
const LONGEST: u64 = 300;

/// The program: `$STROWGER_PROGRAM`, such as the one that is shipped, else as it was just built.
fn program() -> String {
    std::env::var("STROWGER_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_shipped").to_owned())
}

/// Where a relay is, and what it shares with the other one.
#[derive(Clone, Copy)]
struct Place<'a> {
    host: &'a Namespace,
    name: &'a str,
    /// Its own address, and its port for NG over UDP and TCP.
    ng: SocketAddr,
    redis: IpAddr,
    /// Where media goes.
    media: IpAddr,
}

impl Place<'_> {
    fn start(&self) -> Peer {
        let Place { host, name, ng, redis, media } = self;
        let folder = host.folder().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = format!(
            "domain = \"ims.test\"\nroles = [\"media\"]\ntrust.networks = [\"10.0.0.0/8\"]\n[shared]\n\
             servers = \"{redis}:6379\"\nnode = \"{name}\"\nfloating = \"{media}\"\n[media]\n\
             addresses = \"{media}\"\nports = \"30000-30199\"\nlisten = \"{ng}\"\nlisten_tcp_ng = \"{ng}\"\n"
        );
        let config = folder.join("strowger.toml");
        std::fs::write(&config, text).expect("a file");
        let config = config.display().to_string();
        let state = folder.join("state").display().to_string();
        let mut peer = Peer::start(host, &program(), ["run", "-c", &config, "--state", &state]);
        peer.says("ready in");
        peer
    }

    fn ask(&self, request: &Request) -> Response {
        ask(self.host, self.ng, request)
    }
}

fn redis(host: &Namespace, address: IpAddr) -> Peer {
    let address = address.to_string();
    let args = ["--bind", &address, "--protected-mode", "no", "--save", "", "--appendonly", "no"];
    let mut server = Peer::start(host, "/usr/bin/redis-server", args);
    server.says("Ready to accept connections");
    server
}

/// Asks a relay.
fn ask(from: &Namespace, ng: SocketAddr, request: &Request) -> Response {
    let socket = from.inside(|| UdpSocket::bind((ng.ip(), 0)).expect("a socket"));
    socket.connect(ng).expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let cookie = socket.local_addr().expect("an address").port().to_string();
    let message = Message { cookie, encoding: Encoding::Bencode, dict: request.to_dict() };
    socket.send(&message.emit()).expect("it is sent");
    let mut buffer = [0; 65_536];
    let length = socket.recv(&mut buffer).expect("an answer");
    let reply = Message::parse(&Bytes::copy_from_slice(&buffer[..length])).expect("NG");
    Response::from_dict(&reply.dict).expect("a response")
}

fn key(number: u8) -> MasterKey {
    let octets: Vec<u8> = (0..30).map(|at| (at * 7) ^ number).collect();
    MasterKey::new(Suite::AesCm128HmacSha1_80, &octets).expect("a key")
}

fn describe(at: (IpAddr, u16), tag: u32, key: u8) -> Vec<u8> {
    let (ip, port) = at;
    let line = Crypto::new(tag, self::key(key));
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/SAVP 8\r\na=crypto:{line}\r\n"
    )
    .into()
}

/// What a description says: the port, and the key of the suite that the phones have with its tag.
fn said(response: &Response) -> (u16, u32, String) {
    assert_eq!(response.error_reason, None);
    let text = String::from_utf8(response.sdp.clone().expect("a description")).expect("text");
    let port =
        sdp::Session::parse(text.as_bytes()).expect("SDP").media()[0].port().expect("a port");
    let lines = text.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    let mut keys = lines.filter(|line| line.contains(" AES_CM_128_HMAC_SHA1_80 "));
    let line = keys.next().expect("a key");
    let (_, inline) = line.split_once("inline:").expect("RFC 4568");
    let tag = line.split(' ').next().expect("a tag").parse().expect("a number");
    (port, tag, inline.split(['|', ' ']).next().expect("a key").to_owned())
}

/// A key as `a=crypto` has it.
fn inline(number: u8) -> String {
    let line = Crypto::new(1, key(number)).to_string();
    line.rsplit_once("inline:").expect("RFC 4568").1.to_owned()
}

/// How many packets a phone says that it heard.
fn heard(phones: &Peer, name: &str) -> u32 {
    let said = phones.said();
    let numbers = said.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(" heard "));
    numbers.filter_map(|number| number.parse().ok()).max().unwrap_or(0)
}

/// Waits until both hear each other, for a second at least.
fn they_talk(phones: &Peer) {
    for name in ["alice", "bob"] {
        let before = heard(phones, name);
        until(&format!("{name} to hear the other one"), || {
            (heard(phones, name) >= before + 50).then_some(())
        });
    }
}

/// A call between two phones, and how it is asked for.
struct Call {
    phones: Peer,
    offer: Request,
    answer: Request,
    facing_bob: u16,
}

impl Call {
    /// Sets it up at a relay; the phones are there.
    fn new(relay: &Place<'_>, (host, own): (&Namespace, IpAddr)) -> Call {
        let about = |command, sdp, to: Option<&str>| Request {
            sdp: Some(sdp),
            to_tag: to.map(str::to_owned),
            ..Request::about(command, "call", "from")
        };
        let offer = about(Command::Offer, describe((own, 4000), 1, 1), None);
        let (facing_bob, tag, to_bob) = said(&relay.ask(&offer));
        let answer = about(Command::Answer, describe((own, 5000), tag, 2), Some("to"));
        let (facing_alice, _, to_alice) = said(&relay.ask(&answer));
        let [own, media] = [own, relay.media].map(|ip| ip.to_string());
        let [to_a, to_b] = [facing_alice, facing_bob].map(|port| port.to_string());
        let script = peer_file("srtp/phones.py").display().to_string();
        let (alice, bob) = (inline(1), inline(2));
        let args = [
            [&*script, &own, &media, "65450"].as_slice(),
            &["alice", "4000", &to_a, &alice, &to_alice],
            &["bob", "5000", &to_b, &bob, &to_bob],
        ]
        .concat();
        let mut phones = Peer::start(host, &python("python"), args);
        // From here on a packet is taken only by who knows the roll-over counter.
        phones.says("alice heard the sequence number roll over");
        phones.says("bob heard the sequence number roll over");
        Call { phones, offer, answer, facing_bob }
    }

    /// Another offer and answer, which change nothing.
    fn again(&self, relay: &Place<'_>) {
        let (port, ..) = said(&relay.ask(&self.offer));
        assert_eq!(port, self.facing_bob);
        said(&relay.ask(&self.answer));
    }

    /// Ends it there: nothing was silent for long, and every packet was taken.
    fn ends(mut self, relay: &Place<'_>) {
        let deleted = relay.ask(&Request::about(Command::Delete, "call", "from"));
        assert_eq!((deleted.error_reason, deleted.warning), (None, None));
        self.phones.stop();
        let told = self.phones.said();
        let silences = told.lines().filter_map(|line| line.split_once("longest silence "));
        let silences = silences.map(|(_, ms)| ms.trim_end_matches(" ms").parse::<u64>());
        let silences: Vec<u64> = silences.collect::<Result<_, _>>().expect("milliseconds");
        eprintln!("{}", told.lines().rev().take(2).collect::<Vec<_>>().join("\n"));
        assert!(silences.len() == 2 && silences.iter().all(|ms| *ms < LONGEST), "{told}");
        assert!(!told.contains("cannot take"), "every packet is authentic and new: {told}");
    }
}

#[test]
fn a_call_with_srtp_goes_on_when_its_relay_is_killed() {
    twice("a relay is killed in mid-call", || {
        let host = Namespace::new();
        let here: IpAddr = HERE.parse().expect("an address");
        let _redis = redis(&host, here);
        let [first, second] = [("relay-a", 2223), ("relay-b", 2224)].map(|(name, ng)| Place {
            host: &host,
            name,
            ng: (here, ng).into(),
            redis: here,
            media: here,
        });
        let a = first.start();
        let mut b = second.start();
        b.says("relay-a lives");
        let call = Call::new(&first, (&host, here));
        drop(a);
        b.says("1 calls that their relay left go on here");
        they_talk(&call.phones);
        call.again(&second);
        // The first one comes back with nothing.
        let mut a = first.start();
        a.says("relay-b lives");
        drop(b);
        a.says("1 calls that their relay left go on here");
        they_talk(&call.phones);
        call.ends(&first);
    });
}

#[test]
fn a_call_with_srtp_goes_on_at_another_host() {
    twice("the address of a relay moves", || {
        let bridge = Bridge::new(&["redis", "relay-a", "relay-b", "phones"], false);
        let media = IpAddr::from([10, 8, 0, 100]);
        let address = format!("{media}/24");
        let address = ["addr", "add", &address, "dev", "eth0"];
        let place = |name| Place {
            host: bridge.host(name),
            name,
            ng: (bridge.address(name), 2223).into(),
            redis: bridge.address("redis"),
            media,
        };
        let (first, second) = (place("relay-a"), place("relay-b"));
        first.host.ip(&address);
        let _redis = redis(bridge.host("redis"), bridge.address("redis"));
        let a = first.start();
        let mut b = second.start();
        b.says("relay-a lives");
        let call = Call::new(&first, (bridge.host("phones"), bridge.address("phones")));
        drop(a);
        // Whatever moves addresses does so after a while; the other relay waits for it, and the phones do not notice.
        first.host.ip(&["addr", "del", address[2], "dev", "eth0"]);
        second.host.ip(&address);
        bridge.host("phones").ip(&["neigh", "flush", "dev", "eth0"]);
        b.says("1 calls that their relay left go on here");
        they_talk(&call.phones);
        call.again(&second);
        call.ends(&second);
    });
}
