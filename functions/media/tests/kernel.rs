//! Which packets the kernel may move by itself, and that nobody can tell from the counters.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::net::SocketAddr;

use base::Instant;
use base::relay::{
    Command, Counters, Digit, Encoding, Event, Form, Format, Gate, Offload, Onward, Playing,
    PortId, Protection, Recording, Shortcut, Side, Tap, Tracking,
};
use base::time::Duration;
use dtls::Certificate;
use media::Path;
use rtp::reception::Arrival;
use rtp::sound::Sound;
use rtp::{Packet, Reception};

const A: PortId = PortId(1);
const B: PortId = PortId(2);
const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn side(port: PortId, peer: &str) -> Side {
    let rtp = Some(addr(peer));
    Side { port, rtp, rtcp: None, host: None, mux: false, learn: true, clock: 8000 }
}

/// What the program does, with the parts that it was written after.
struct Kernel {
    shortcut: Shortcut,
    reception: Reception,
    sound: Sound,
    tracking: Tracking,
}

impl Kernel {
    fn new(shortcut: Shortcut) -> Kernel {
        let tracking = shortcut.tracking;
        let mut reception = Reception::new(8000);
        // The first packet makes a source known.
        reception.packet(Instant::EPOCH, tracking.ssrc, tracking.sequence, tracking.timestamp);
        reception.take_back(&tracking, 0);
        let mut sound = Sound::default();
        sound.take_back(&tracking);
        Kernel { shortcut, reception, sound, tracking }
    }

    /// Whether it moves a packet.
    fn packet(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(bytes) else { return false };
        if from != self.shortcut.from || packet.ssrc() != self.tracking.ssrc || packet.has_padding()
        {
            return false;
        }
        let mut reception = self.reception.clone();
        let arrival = reception.packet(now, packet.ssrc(), packet.sequence(), packet.timestamp());
        if arrival == Arrival::Suspect {
            return false;
        }
        self.reception = reception;
        self.sound.packet(&packet);
        self.reception.hand_over(&mut self.tracking);
        self.sound.hand_over(&mut self.tracking);
        self.tracking.packets += 1;
        self.tracking.bytes += bytes.len() as u64;
        self.tracking.last = Some(now);
        true
    }
}

/// A path, with a kernel that moves what it is told to, or none.
struct Rig {
    path: Path,
    now: Instant,
    kernels: Vec<Kernel>,
    /// How many packets user space saw, and the kernel.
    seen: [u64; 2],
}

impl Rig {
    fn new(kernel: bool) -> Rig {
        let mut path = Path::new(Certificate::generate().unwrap());
        path.trust_kernel(kernel);
        let now = Instant::from_unix_micros(1_700_000_000_000_000);
        path.open(A, addr("198.51.100.1:30000"));
        path.open(B, addr("198.51.100.1:30002"));
        let mut rig = Rig { path, now, kernels: Vec::new(), seen: [0; 2] };
        rig.path.command(now, Command::Join { a: side(A, ALICE), b: side(B, BOB) });
        rig
    }

    /// Does what the path wants of the kernel; the ports that came back.
    fn turn(&mut self) -> Vec<PortId> {
        let mut back = Vec::new();
        while let Some(offload) = self.path.poll_offload() {
            match offload {
                Offload::Begin(shortcut) => self.kernels.push(Kernel::new(shortcut)),
                Offload::Read(port) => {
                    let kernel = self.kernels.iter().find(|k| k.shortcut.port == port);
                    self.path.moved(port, kernel.map(|k| &k.tracking), false);
                }
                Offload::End(port) => {
                    let at = self.kernels.iter().position(|k| k.shortcut.port == port);
                    let kernel = at.map(|at| self.kernels.remove(at));
                    self.path.moved(port, kernel.as_ref().map(|k| &k.tracking), true);
                    back.push(port);
                }
            }
        }
        back
    }

    fn send(&mut self, from: &str, at: PortId, bytes: &[u8]) -> Option<(PortId, SocketAddr)> {
        let from = addr(from);
        for kernel in self.kernels.iter_mut().filter(|k| k.shortcut.port == at) {
            if kernel.packet(self.now, from, bytes) {
                self.seen[1] += 1;
                return Some((kernel.shortcut.by, kernel.shortcut.to));
            }
            self.path.moved(at, Some(&kernel.tracking), false);
        }
        self.seen[0] += 1;
        let mut buffer = [bytes, &[0; 64]].concat();
        let out = self.path.packet(self.now, (at, false), from, &mut buffer, bytes.len());
        self.turn();
        out.map(|Onward { port, to, .. }| (port, to))
    }

    /// Ordinary packets of Alice, 20 ms each; how many came through.
    fn talk(&mut self, sequence: std::ops::Range<u32>) -> usize {
        let heard = sequence.filter(|number| {
            self.now += Duration::from_millis(20);
            self.send(ALICE, A, &packet(*number, 7, b"speech")).is_some()
        });
        heard.count()
    }

    fn counters(&mut self, port: PortId) -> Counters {
        self.path.command(self.now, Command::Query { port });
        self.turn();
        let events = std::iter::from_fn(|| self.path.poll_event());
        let counters = events.filter_map(|event| match event {
            Event::Counters { port: of, counters } => (of == port).then_some(counters),
            _ => None,
        });
        counters.last().unwrap()
    }
}

fn packet(number: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let (sequence, timestamp) = (number as u16, number.wrapping_mul(160));
    rtp::Builder { payload_type: 8, sequence, timestamp, ssrc, payload, ..Default::default() }
        .build()
}

#[test]
fn a_steady_stream_goes_to_the_kernel_and_strangers_do_not() {
    let mut rig = Rig::new(true);
    // The first one is learned from, 25 more make it steady.
    assert_eq!(rig.talk(0..25), 25);
    assert!(rig.kernels.is_empty(), "not before it is steady");
    assert_eq!(rig.talk(25..1000), 975);
    let shortcut = &rig.kernels[0].shortcut;
    assert_eq!((shortcut.port, shortcut.by), (A, B));
    assert_eq!((shortcut.from, shortcut.to), (addr(ALICE), addr(BOB)));
    assert_eq!(rig.seen, [26, 974]);
    assert_eq!(rig.send("192.0.2.9:4000", A, &packet(1000, 7, b"noise")), None);
    let counters = rig.counters(A);
    assert_eq!((counters.packets, counters.by_kernel, counters.strangers), (1000, 974, 1));
    assert_eq!(rig.kernels.len(), 1, "a stranger moves nothing");
}

#[test]
fn without_a_kernel_nothing_is_asked_of_it() {
    let mut rig = Rig::new(false);
    rig.talk(0..100);
    assert_eq!((rig.path.poll_offload(), rig.seen), (None, [100, 0]));
}

/// Loss, duplicates, reordering, silence, a wrap, a jump, padding and another source: the same counters, whoever counts.
#[test]
fn the_counters_are_those_of_user_space() {
    let mut numbers: Vec<(u32, u32)> = (65_000..66_000).map(|n| (n, 7)).collect();
    numbers.remove(300);
    numbers.insert(400, numbers[395]);
    numbers.swap(500, 503);
    let jump = (70_000..70_400).map(|n| (n, 7));
    let other = (10..800).map(|n| (n, 8));
    numbers.extend(jump.chain(other));
    let run = |kernel| {
        let mut rig = Rig::new(kernel);
        for (turn, (number, ssrc)) in numbers.iter().enumerate() {
            rig.now += Duration::from_micros(20_000 + turn as u64 % 7 * 900);
            let payload: &[u8] = if turn > 600 && turn < 700 { &[0xd5; 160] } else { b"speech" };
            let mut bytes = packet(*number, *ssrc, payload);
            if turn == 800 {
                bytes = rtp::Builder {
                    payload_type: 8,
                    sequence: *number as u16,
                    timestamp: number.wrapping_mul(160),
                    ssrc: *ssrc,
                    payload: b"padded",
                    align: 16,
                    ..Default::default()
                }
                .build();
            }
            assert!(rig.send(ALICE, A, &bytes).is_some(), "packet {turn}");
        }
        let counters = rig.counters(A);
        (counters, rig.seen)
    };
    let (user, all) = run(false);
    let (kernel, [here, there]) = run(true);
    assert_eq!((all, here + there), ([numbers.len() as u64, 0], numbers.len() as u64));
    assert!(there > here * 5, "{there} and {here}");
    // What is exceptional is counted beside the sequence, so it has no say in how even that is.
    let even = |mut counters: Counters| {
        (counters.by_kernel, counters.jitter) = (0, Duration::ZERO);
        counters
    };
    assert_eq!(even(kernel), even(user));
    let difference = kernel.jitter.abs_diff(user.jitter);
    assert!(difference < Duration::from_micros(100), "{:?} {:?}", kernel.jitter, user.jitter);
}

#[test]
fn what_changes_the_packets_takes_them_back() {
    let gate = Gate { blocks_media: true, ..Gate::default() };
    let recording = Recording { number: 1, name: String::new(), form: Form::Pcap, rate: 8000 };
    let tap = Tap { recording: recording.into(), side: 0, formats: [].into(), paused: false };
    let playing = Playing {
        number: 1,
        sound: vec![0; 8000].into(),
        rate: 8000,
        from: 0,
        times: None,
        longest: None,
        payload_type: 8,
        encoding: Encoding::Pcma,
        begin: (1, 2, 3),
    };
    let format = Format { payload_type: 101, sound: base::relay::Sound::Digits { clock: 8000 } };
    let digit = Digit {
        event: 1,
        volume: 8,
        duration: Duration::from_millis(100),
        pause: Duration::from_millis(100),
        formats: [format].into(),
        begin: (1, 2, 3),
    };
    let (a, b) = (side(A, ALICE), side(B, "192.0.2.2:6000"));
    let protection = Protection::Keys(Default::default());
    // How many of a hundred packets pass then, and whether the kernel moves them again.
    let changes = [
        ("a gate", Command::Gate { port: A, gate }, 0, false),
        ("a gate at the other side", Command::Gate { port: B, gate }, 100, true),
        ("SRTP without keys", Command::Protect { port: B, protection }, 0, false),
        ("another description", Command::Join { a, b }, 100, true),
        ("a recording", Command::Record { port: A, tap: Some(tap) }, 100, false),
        ("a sound for the other one", Command::Play { port: B, playing: Some(playing) }, 0, false),
        // In the place of five packets; the one behind them waits for its end.
        ("a digit", Command::Dial { port: A, digit }, 94, false),
    ];
    for (what, change, passed, goes_again) in changes {
        let mut rig = Rig::new(true);
        rig.talk(0..500);
        assert_eq!(rig.kernels.len(), 1);
        rig.path.command(rig.now, change);
        assert_eq!(rig.turn(), [A], "{what}");
        assert_eq!(rig.counters(A).packets, 500, "{what}");
        assert_eq!(rig.talk(500..600), passed, "{what}");
        assert_eq!(!rig.kernels.is_empty(), goes_again, "{what}");
        if what == "another description" {
            assert_eq!(rig.kernels[0].shortcut.to, addr("192.0.2.2:6000"));
        }
        if goes_again {
            let counters = rig.counters(A);
            assert_eq!((counters.packets, counters.lost), (600, 0), "{what}");
        }
    }
}

#[test]
fn who_is_learned_anew_is_who_the_kernel_listens_to() {
    let mut rig = Rig::new(true);
    let stranger = "192.0.2.66:4444";
    // He was there first, and the one who was described comes within three seconds.
    for number in 0..40 {
        assert!(rig.send(stranger, A, &packet(number, 66, b"noise")).is_some());
    }
    assert_eq!(rig.kernels[0].shortcut.from, addr(stranger));
    rig.talk(0..80);
    assert_eq!(rig.kernels[0].shortcut.from, addr(ALICE));
    assert_eq!(rig.send(stranger, A, &packet(40, 66, b"noise")), None);
}

#[test]
fn a_stream_whose_packets_all_come_up_is_left_alone() {
    let mut rig = Rig::new(true);
    let mut begun = 0;
    for number in 0..5000 {
        rig.now += Duration::from_millis(20);
        // The kernel is asked, and moves nothing: it knows no way.
        if let Some(kernel) = rig.kernels.pop() {
            begun += 1;
            let (tracking, ssrc) = (kernel.tracking, 7);
            rig.path.moved(A, Some(&tracking), false);
            let bytes = packet(number, ssrc, b"speech");
            rig.now += Duration::from_millis(60);
            let mut buffer = bytes.clone();
            let out = rig.path.packet(rig.now, (A, false), addr(ALICE), &mut buffer, bytes.len());
            assert!(out.is_some());
            assert_eq!(rig.path.poll_offload(), Some(Offload::End(A)));
            rig.path.moved(A, Some(&tracking), true);
            continue;
        }
        assert!(rig.send(ALICE, A, &packet(number, 7, b"speech")).is_some());
    }
    assert!((6..=9).contains(&begun), "asked {begun} times");
    let counters = rig.counters(A);
    assert_eq!((counters.packets, counters.lost, counters.by_kernel), (5000, 0, 0));
}

#[test]
fn a_port_that_closes_says_all_that_was_counted() {
    let mut rig = Rig::new(true);
    rig.talk(0..500);
    rig.path.command(rig.now, Command::Close { port: A });
    assert_eq!(rig.turn(), [A]);
    let events: Vec<Event> = std::iter::from_fn(|| rig.path.poll_event()).collect();
    let Some(Event::Counters { port: A, counters }) = events.last() else { panic!("{events:?}") };
    assert_eq!((counters.packets, counters.by_kernel), (500, 474));
    assert_eq!(rig.send(ALICE, A, &packet(500, 7, b"late")), None);
}
