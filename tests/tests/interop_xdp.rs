//! Streams that the kernel relays by itself, between network namespaces: the phones' interfaces make only half of a
//! checksum, as those of containers do.
#![cfg(feature = "interop")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, sync::Arc};

use ng::{Dict, Encoding, Message, Value};
use strowger_tests::interop::{Namespace, PATIENCE, Peer, twice, until};

/// Where media control is.
const NG: &str = "127.0.0.1:2223";
/// A packet each millisecond.
const PACE: Duration = Duration::from_millis(1);

/// The program: `$STROWGER_PROGRAM`, such as the one that is shipped, else as it was just built.
fn program() -> String {
    std::env::var("STROWGER_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_shipped").to_owned())
}

/// How the kernel is to do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// In the drivers: the other ends of the cables take what is redirected to them.
    Native,
    /// In the stack.
    Generic,
    /// Not at all.
    Off,
}

/// Two phones, each with a cable of its own to the relay, and a call between them.
struct Scene {
    phones: [Phone; 2],
    relay: Namespace,
    strowger: Peer,
    control: UdpSocket,
    cookie: u32,
    ipv6: bool,
}

struct Phone {
    namespace: Namespace,
    address: IpAddr,
    socket: Arc<UdpSocket>,
    /// Where it sends to.
    towards: SocketAddr,
}

impl Scene {
    fn new(ipv6: bool, way: Way) -> Scene {
        let relay = Namespace::bare();
        let net = |number: u8, host: u8| -> IpAddr {
            let v4 = IpAddr::from([10, 77, number, host]);
            let v6 = IpAddr::from([0xfd77, 0, 0, u16::from(number), 0, 0, 0, u16::from(host)]);
            if ipv6 { v6 } else { v4 }
        };
        let width = if ipv6 { 64 } else { 24 };
        let phones = [0, 1].map(|number| {
            let namespace = Namespace::bare();
            let (near, far) = (format!("r{number}"), format!("p{number}"));
            let other = namespace.name();
            relay.ip(&["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", other]);
            for (inside, name, host) in [(&relay, &near, 1), (&namespace, &far, 2)] {
                let address = format!("{}/{width}", net(number, host));
                let mut add = vec!["addr", "add", &address, "dev", name];
                add.extend(ipv6.then_some("nodad"));
                inside.ip(&add);
                inside.ip(&["link", "set", name, "up"]);
            }
            if way == Way::Native {
                let gro = namespace.command("ethtool").args(["-K", &far, "gro", "on"]).status();
                assert!(gro.is_ok_and(|status| status.success()), "ethtool runs");
            }
            // All of the relay is at one address, which is beyond the second cable for one of them.
            if number == 1 {
                let (there, by) = (net(0, 1).to_string(), net(1, 1).to_string());
                namespace.ip(&["route", "add", &there, "via", &by]);
            }
            let address = net(number, 2);
            let socket = namespace.inside(|| bind(address));
            let towards = SocketAddr::new(address, 0);
            Phone { namespace, address, socket, towards }
        });
        let config = relay.folder().join("strowger.toml");
        let text = format!(
            "domain = \"ims.test\"\n[media]\nlisten = \"{NG}\"\naddresses = \"{}\"\nports = \"30000-30099\"\nxdp = {}\n",
            net(0, 1),
            way != Way::Off
        );
        fs::write(&config, text).expect("a file");
        let config = config.display().to_string();
        let state = relay.folder().join("state").display().to_string();
        let mut strowger = Peer::start(
            &relay,
            &program(),
            ["run", "--role", "media", "-c", &config, "--state", &state],
        );
        strowger.says("ready in");
        let control = relay.inside(|| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        control.connect(NG).expect("an address");
        control.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut scene = Scene { phones, relay, strowger, control, cookie: 0, ipv6 };
        scene.negotiate();
        match way {
            Way::Native => scene.strowger.says("XDP (native) on r0"),
            Way::Generic => scene.strowger.says("XDP (generic) on r0"),
            Way::Off => {}
        }
        scene
    }

    fn ask(&mut self, dict: Dict) -> Dict {
        self.cookie += 1;
        let message =
            Message { cookie: self.cookie.to_string(), encoding: Encoding::Bencode, dict };
        self.control.send(&message.emit()).expect("sent");
        let mut bytes = vec![0; 65_536];
        let length = self.control.recv(&mut bytes).expect("an answer");
        let answer = Message::parse(&bytes[..length]).expect("an answer of NG").dict;
        assert_eq!(answer.text("result"), Some("ok"), "{answer:?}");
        answer
    }

    /// Something about the call, for both phones.
    fn order(&mut self, command: &str) -> Dict {
        self.ask(Dict::default().with("command", command).with("call-id", "call"))
    }

    /// The call's offer and answer, the first time or again.
    fn negotiate(&mut self) {
        let family = if self.ipv6 { "IP6" } else { "IP4" };
        for (number, command) in ["offer", "answer"].into_iter().enumerate() {
            let (host, port) = (self.phones[number].address, port_of(&self.phones[number].socket));
            let sdp = format!(
                "v=0\r\no=- 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n\
                 m=audio {port} RTP/AVP 8\r\n"
            );
            let mut dict = Dict::default().with("command", command).with("call-id", "call");
            dict.push("from-tag", "a");
            if command == "answer" {
                dict.push("to-tag", "b");
            }
            dict.push("sdp", sdp.as_str());
            let shown = self.ask(dict);
            let shown = shown.text("sdp").expect("a description");
            let word = |prefix: &str| {
                let line = shown.lines().find_map(|line| line.strip_prefix(prefix));
                line.and_then(|line| line.split(' ').next()).expect("a line").to_owned()
            };
            let host = word(&format!("c=IN {family} "));
            let port = word("m=audio ").parse().expect("a port");
            self.phones[1 - number].towards =
                SocketAddr::new(host.parse().expect("an address"), port);
        }
    }

    /// RTP packets of each phone: relayed, refused, missing.
    fn counted(&mut self) -> [(u64, u64, u64); 2] {
        let answer = self.order("query");
        ["a", "b"].map(|tag| {
            let ssrc = if tag == "a" { "1" } else { "2" };
            let dict = |within: &Dict, key: &str| -> Dict {
                within
                    .get(key)
                    .and_then(Value::as_dict)
                    .unwrap_or_else(|| panic!("no {key}"))
                    .clone()
            };
            let first = |within: &Dict, key: &str| -> Dict {
                let list = within.get(key).map(Value::as_list).unwrap_or_default();
                list.first().and_then(Value::as_dict).unwrap_or_else(|| panic!("no {key}")).clone()
            };
            let number = |within: &Dict, key: &str| {
                within.get(key).and_then(Value::as_int).unwrap_or_default() as u64
            };
            let media = first(&dict(&dict(&answer, "tags"), tag), "medias");
            let stats = dict(&first(&media, "streams"), "stats");
            let lost = number(&dict(&dict(&answer, "SSRC"), ssrc), "cumulative loss");
            (number(&stats, "packets"), number(&stats, "errors"), lost)
        })
    }

    /// Datagrams that sockets of the relay's host got, and those that were thrown away for their checksum.
    fn received(namespace: &Namespace, ipv6: bool) -> (u64, u64) {
        let file = if ipv6 { "/proc/thread-self/net/snmp6" } else { "/proc/thread-self/net/snmp" };
        let text = namespace.inside(|| fs::read_to_string(file)).expect("counters of UDP");
        if ipv6 {
            let of = |name: &str| {
                let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
                line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
            };
            return (of("Udp6InDatagrams"), of("Udp6InCsumErrors"));
        }
        let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
        let mut words = || lines.next().expect("a line").split_whitespace().collect::<Vec<_>>();
        let (names, values) = (words(), words());
        let of = |name: &str| {
            let at = names.iter().position(|word| *word == name).expect("a counter");
            values[at].parse().expect("a number")
        };
        (of("InDatagrams"), of("InCsumErrors"))
    }

    /// Waits until nothing of what the phones say comes to the relay's sockets, or all does.
    fn moves(&self, traffic: &[Traffic; 2], by_kernel: bool) {
        let what = if by_kernel { "the kernel to relay" } else { "user space to relay" };
        until(what, || {
            let look = || {
                let here = Scene::received(&self.relay, self.ipv6).0;
                (here, traffic.iter().map(Traffic::heard).sum::<u64>())
            };
            let before = look();
            thread::sleep(Duration::from_millis(150));
            let after = look();
            let (here, there) = (after.0 - before.0, after.1 - before.1);
            let moves = if by_kernel { here == 0 } else { here > 100 };
            (there > 100 && moves).then_some(())
        });
    }
}

fn bind(address: IpAddr) -> Arc<UdpSocket> {
    let socket = UdpSocket::bind((address, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a limit");
    Arc::new(socket)
}

fn port_of(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("an address").port()
}

/// What one phone says, and what the other one hears of it.
struct Traffic {
    end: Arc<AtomicBool>,
    sent: JoinHandle<u16>,
    heard: JoinHandle<()>,
    /// Who was heard, by sequence number: how often, and the payload's first octet.
    seen: Arc<std::sync::Mutex<BTreeMap<u16, (u32, u8)>>>,
}

impl Traffic {
    fn start(from: &Phone, to: &Phone, ssrc: u32, said_by: SocketAddr) -> Traffic {
        let end = Arc::new(AtomicBool::new(false));
        let (socket, towards, over) = (Arc::clone(&from.socket), from.towards, Arc::clone(&end));
        let sent = thread::spawn(move || {
            let began = Instant::now();
            let mut sequence = 0_u16;
            while !over.load(Ordering::Relaxed) {
                socket.send_to(&packet(sequence, ssrc), towards).expect("sent");
                sequence += 1;
                let next = began + PACE * u32::from(sequence);
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            sequence
        });
        let seen = Arc::<std::sync::Mutex<BTreeMap<u16, (u32, u8)>>>::default();
        let (socket, over, table) = (Arc::clone(&to.socket), Arc::clone(&end), Arc::clone(&seen));
        let heard = thread::spawn(move || {
            let mut bytes = [0; 2000];
            loop {
                let Ok((length, source)) = socket.recv_from(&mut bytes) else {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    continue;
                };
                assert_eq!(source, said_by, "it comes from the relay");
                let packet = rtp::Packet::parse(&bytes[..length]).expect("RTP");
                assert_eq!((packet.ssrc(), packet.payload().len()), (ssrc, 160));
                let mut table = table.lock().expect("nobody panics with it");
                let entry = table.entry(packet.sequence()).or_insert((0, packet.payload()[0]));
                entry.0 += 1;
            }
        });
        Traffic { end, sent, heard, seen }
    }

    fn heard(&self) -> u64 {
        self.seen.lock().expect("nobody panics with it").len() as u64
    }

    /// How many were sent; and who was heard.
    fn stop(self) -> (u16, BTreeMap<u16, (u32, u8)>) {
        self.end.store(true, Ordering::Relaxed);
        let sent = self.sent.join().expect("it could send");
        self.heard.join().expect("it heard what it should");
        (sent, self.seen.lock().expect("nobody panics with it").clone())
    }
}

fn packet(sequence: u16, ssrc: u32) -> Vec<u8> {
    // An odd octet here and there, so that checksums are not all the same.
    let mut payload = [b'x'; 160];
    payload[1..3].copy_from_slice(&sequence.to_be_bytes());
    let timestamp = u32::from(sequence) * 160;
    rtp::Builder {
        payload_type: 8,
        sequence,
        timestamp,
        ssrc,
        payload: &payload,
        ..Default::default()
    }
    .build()
}

fn talk(scene: &Scene) -> [Traffic; 2] {
    let [a, b] = &scene.phones;
    [Traffic::start(a, b, 1, b.towards), Traffic::start(b, a, 2, a.towards)]
}

/// Every packet exactly once, in either direction, while the stream goes to the kernel and comes back.
fn nothing_is_lost(ipv6: bool, way: Way) {
    let mut scene = Scene::new(ipv6, way);
    let traffic = talk(&scene);
    scene.moves(&traffic, way != Way::Off);
    if way != Way::Off {
        // What changes nothing takes it back, too: it is looked at anew.
        for _ in 0..3 {
            scene.negotiate();
            scene.moves(&traffic, true);
        }
        scene.order("silence media");
        scene.moves(&traffic, false);
        scene.order("unsilence media");
        scene.moves(&traffic, true);
        let [a, _] = scene.counted();
        assert!(a.0 > 1000 && a.2 == 0, "asked meanwhile: {a:?}");
        scene.moves(&traffic, true);
    }
    // Strangers get nowhere, and cost nobody anything.
    let stranger = scene.phones[0].namespace.inside(|| bind(scene.phones[0].address));
    for sequence in 0..100 {
        stranger.send_to(&packet(sequence, 66), scene.phones[0].towards).expect("sent");
    }
    until("the strangers to be counted", || (scene.counted()[0].1 == 100).then_some(()));
    if way != Way::Off {
        scene.moves(&traffic, true);
    }
    let [a, b] = traffic.map(Traffic::stop);
    let counted = scene.counted();
    for (number, (sent, heard)) in [a, b].into_iter().enumerate() {
        assert!(sent > 100, "{sent} packets are few");
        let once = (0..sent).filter(|sequence| heard.get(sequence).is_some_and(|(n, _)| *n == 1));
        assert_eq!(once.count(), usize::from(sent), "each exactly once, from phone {number}");
        assert_eq!(heard.len(), usize::from(sent));
        let errors = if number == 0 { 100 } else { 0 };
        assert_eq!(counted[number], (u64::from(sent), errors, 0), "the counters of phone {number}");
        let silent = heard.values().filter(|(_, octet)| *octet == 0xd5).count();
        assert_eq!(silent > 0, way != Way::Off, "{silent} packets of silence");
        assert!(silent < usize::from(sent) / 2, "{silent} of {sent} packets were silence");
    }
    for phone in &scene.phones {
        let (_, broken) = Scene::received(&phone.namespace, ipv6);
        assert_eq!(broken, 0, "checksums are right");
    }
    // Blocked is blocked.
    if way != Way::Off {
        let traffic = talk(&scene);
        scene.moves(&traffic, true);
        scene.order("block media");
        let quiet = || traffic.iter().map(Traffic::heard).sum::<u64>();
        until("nothing to pass", || {
            let before = quiet();
            thread::sleep(Duration::from_millis(100));
            (quiet() == before).then_some(())
        });
        scene.order("unblock media");
        scene.moves(&traffic, true);
        let _ = traffic.map(Traffic::stop);
    }
    scene.strowger.stop();
    let links = scene.relay.command("ip").arg("link").output().expect("ip runs");
    let links = String::from_utf8_lossy(&links.stdout).into_owned();
    assert!(!links.contains("xdp"), "no program is left: {links}");
}

#[test]
fn xdp_in_the_stack_loses_nothing_of_ipv4() {
    twice("generic, IPv4", || nothing_is_lost(false, Way::Generic));
}

#[test]
fn xdp_in_the_stack_loses_nothing_of_ipv6() {
    twice("generic, IPv6", || nothing_is_lost(true, Way::Generic));
}

#[test]
fn xdp_in_the_drivers_loses_nothing_of_ipv4() {
    twice("native, IPv4", || nothing_is_lost(false, Way::Native));
}

#[test]
fn xdp_in_the_drivers_loses_nothing_of_ipv6() {
    twice("native, IPv6", || nothing_is_lost(true, Way::Native));
}

/// Control: without it all goes through the relay's sockets, and the same holds.
#[test]
fn without_xdp_the_same_holds() {
    twice("off", || nothing_is_lost(false, Way::Off));
}
