//! sngrep listens for HEP: what it decodes is what was sent, without keys; and what it sends is read.
#![cfg(feature = "interop")]

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use base::Service;
use ladder::Record;
use strowger_tests::interop::{HERE, Namespace, Peer, decode, scenario, until};

const STROWGER: &str = env!("CARGO_BIN_EXE_shipped");
const SNGREP: &str = "/usr/bin/sngrep";
const KEYS: &str = "--k 465b5ce8b199b49faa5f0a2ee238a6bc --op cdc202d5123e20f62b6d676ac72cb318";
const ALICE: &str = "--imsi 001010000000001";

/// Runs a command of ours that succeeds.
fn works(namespace: &Namespace, args: &str) -> String {
    Peer::start(namespace, STROWGER, args.split_whitespace()).succeeds()
}

/// The SIP messages of a file of JSON lines, as the process tells them.
fn told(file: &Path) -> Vec<Record> {
    let text = std::fs::read_to_string(file).expect("the trace was written");
    let records = text.lines().map(|line| ladder::json::parse(line).expect("a record"));
    records.filter(|record| record.service == Service::Sip).collect()
}

/// What must be the same of a message after its way through the collector.
fn essence(record: &Record) -> (u64, Option<u16>, Option<u16>, String) {
    let port = |end: base::Endpoint| end.socket_addr().map(|at| at.port());
    let text = String::from_utf8(record.bytes.to_vec()).expect("SIP of ours is UTF-8");
    let sip = Some(5060);
    let (from, to) = (port(record.from.endpoint), port(record.to.endpoint));
    // Functions on in-memory wires are shown with SIP's port.
    (record.at.unix_micros(), from.or(sip), to.or(sip), text)
}

#[test]
fn sngrep_shows_the_messages_of_a_registration_without_its_keys() {
    scenario("sngrep listens", |namespace| {
        let folder = namespace.folder();
        let pcap = folder.join("heard.pcap").display().to_string();
        let collector = format!("udp:{HERE}:9060");
        let config = format!(
            "store = \"s/x.redb\"\n[pcscf]\nlisten = \"{HERE}:5060\"\n[hss]\nlisten = []\n\
             [media]\nlisten = []\n[observe]\nhep = \"{collector}\"\nhep_id = 2026\n"
        );
        std::fs::write(folder.join("strowger.toml"), config).expect("a file");
        let listen = ["-N", "-q", "-F", "-L", &collector, "-O", &pcap];
        let mut sngrep = Peer::start(namespace, SNGREP, listen);
        namespace.bound(9060);
        let mut network = Peer::start(namespace, STROWGER, ["run", "--grace", "0"]);
        network.says("ready in ");
        works(namespace, &format!("sub add {ALICE} --msisdn 4930100 {KEYS}"));
        works(namespace, &format!("ue register {ALICE} {KEYS} --server {HERE}:5060"));
        works(namespace, "trace --to masked.jsonl");
        works(namespace, "trace --to open.jsonl --with-secrets");
        let sent = told(&folder.join("masked.jsonl"));
        assert!(sent.len() > 15, "a registration has more than {} messages", sent.len());
        // Each message with a record's head and an IP header at least.
        let bytes: usize = sent.iter().map(|record| record.bytes.len() + 16 + 20).sum();
        until("sngrep to write what it hears", || {
            let size = std::fs::metadata(&pcap).map_or(0, |file| file.len());
            (size > bytes as u64).then_some(())
        });
        network.stop();
        sngrep.stop();

        let heard = decode(Path::new(&pcap), |_| None);
        let heard: Vec<_> = heard.iter().map(essence).collect();
        let sent: Vec<_> = sent.iter().map(essence).collect();
        assert_eq!(heard.len(), sent.len());
        for (heard, sent) in heard.iter().zip(&sent) {
            assert_eq!(heard, sent);
        }

        // The keys are in what crossed, and in nothing that the collector has.
        let secrets: BTreeSet<String> = told(&folder.join("open.jsonl"))
            .iter()
            .flat_map(|record| {
                let text = String::from_utf8_lossy(&record.bytes).into_owned();
                let keys = text.split("k=\"").skip(1).filter_map(|rest| rest.split('"').next());
                keys.filter(|key| key.len() == 32).map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        assert!(secrets.len() >= 2, "CK and IK crossed");
        let capture = std::fs::read(&pcap).expect("the capture");
        for secret in &secrets {
            let found = capture.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "the collector has a key");
        }
        sngrep_sends(namespace, &pcap, &heard);
    });
}

/// sngrep sends a capture by HEP: the other way round.
fn sngrep_sends(
    namespace: &Namespace,
    pcap: &str,
    known: &[(u64, Option<u16>, Option<u16>, String)],
) {
    let socket = namespace.inside(|| UdpSocket::bind((HERE, 9061)).expect("a port"));
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    let collector = format!("udp:{HERE}:9061");
    let _sngrep = Peer::start(namespace, SNGREP, ["-N", "-q", "-F", "-I", pcap, "-H", &collector]);
    let mut room = vec![0; 65_536];
    for (at, from, to, text) in known {
        let length = socket.recv(&mut room).expect("sngrep sends every message");
        let packet = hep::Packet::parse(&room[..length]).expect("sngrep's HEP is read");
        assert_eq!(packet.content, hep::Content::SIP);
        assert_eq!(packet.time.unix_micros(), *at);
        assert_eq!((Some(packet.source.port()), Some(packet.destination.port())), (*from, *to));
        assert_eq!(String::from_utf8_lossy(packet.payload), *text);
    }
}
