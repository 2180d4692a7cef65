//! Any packets through the packet path of the relay, whose sound is converted, gated and recorded: what leaves are packets.
#![no_main]

use std::sync::{Arc, LazyLock};

use base::Instant;
use base::relay::{
    Command, Conversion, Encoding, Form, Format, Gate, PortId, Recorded, Recording, Side, Sound, Tap,
};
use base::time::Duration;
use dtls::Certificate;
use libfuzzer_sys::fuzz_target;
use media::Path;
use media::recording::Mixer;

static CERTIFICATE: LazyLock<Certificate> =
    LazyLock::new(|| Certificate::generate().expect("the system gives random numbers"));

const ROOM: usize = 256;

fn side(port: u64, host: u8) -> Side {
    Side {
        port: PortId(port),
        rtp: Some(([192, 0, 2, host], 4000).into()),
        rtcp: None,
        host: None,
        mux: true,
        learn: true,
        clock: 8000,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [which, gate, rest @ ..] = bytes else { return };
    let mut rest = rest;
    let mut now = Instant::from_unix_micros(1_700_000_000_000_000);
    let mut path = Path::new(CERTIFICATE.clone());
    for port in [1, 2] {
        path.open(PortId(port), ([198, 51, 100, 1], 30_000 + 2 * port as u16).into());
    }
    path.command(now, Command::Join { a: side(1, 1), b: side(2, 2) });
    let format = |payload_type, sound| Format { payload_type, sound };
    let encoding = |n: u8| Encoding::ALL[usize::from(n) % Encoding::ALL.len()];
    let to = format(97, Sound::Speech(encoding(which >> 4)));
    let digits = format(101, Sound::Digits { clock: to.sound.clock() });
    let all = [
        (format(96, Sound::Speech(encoding(which & 15))), to),
        (digits, if gate & 8 == 0 { to } else { digits }),
    ];
    let conversion = |(from, to): (Format, Format)| {
        let hears = matches!(from.sound, Sound::Speech(_)) && gate & 16 != 0;
        let packet = (gate & 32 != 0).then_some(Duration::from_millis(30));
        Conversion { from, to, packet, digits: hears.then_some(digits) }
    };
    let conversions = all.map(conversion).to_vec();
    path.command(now, Command::Convert { port: PortId(1), conversions });
    let gate = Gate {
        blocks_media: gate & 1 != 0,
        silences_media: gate & 2 != 0,
        blocks_digits: gate & 4 != 0,
        notices_digits: gate & 64 != 0,
        digit_types: 1 << 101,
    };
    path.command(now, Command::Gate { port: PortId(1), gate });
    let recording =
        Recording { number: 1, name: String::new(), form: Form::Mono, rate: 8000 };
    let mut mixer = Mixer::new(&recording);
    let formats = all.map(|(from, _)| from).into();
    let tap = Tap { recording: Arc::new(recording), side: 0, formats, paused: false };
    path.command(now, Command::Record { port: PortId(1), tap: Some(tap) });
    // Each packet begins with its length.
    while let [length, more @ ..] = rest {
        let (packet, after) = more.split_at(more.len().min(usize::from(*length)));
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + ROOM, 0);
        let source = ([192, 0, 2, 1], 4000).into();
        path.packet(now, (PortId(1), false), source, &mut buffer, packet.len());
        now += Duration::from_millis(20);
        path.expire(now);
        while let Some((onward, bytes)) = path.poll_packet() {
            assert_eq!(onward.length, bytes.len());
            assert_ne!(rtp::demux::kind(&bytes), rtp::demux::Kind::Other);
        }
        while path.poll_event().is_some() {}
        while let Some(recorded) = path.poll_recorded() {
            if let Recorded::Packet { tap, at, bytes, .. } = recorded {
                mixer.packet(&tap, at, &bytes);
                while !mixer.take(at, false).is_empty() {}
            }
        }
        rest = after;
    }
    while !mixer.take(now, true).is_empty() {}
});
