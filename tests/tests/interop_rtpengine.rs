//! Debian's rtpengine in place of our relay, where the S-CSCF drives it with the NG protocol, and beside it, where both get
//! the same offers.
#![cfg(feature = "interop")]

use std::collections::BTreeSet;
use std::net::UdpSocket;

use ng::{Dict, Value};
use strowger_tests::interop::differential::{Relay, cases, compare, explain};
use strowger_tests::interop::{HERE, Namespace, PATIENCE, Peer, Process, Spec, scenario, until};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

fn rtpengine(namespace: &Namespace) -> Peer {
    let listen = format!("--listen-ng={HERE}:2223");
    let interface = format!("--interface={HERE}");
    let args = [
        "--config-file=none",
        "--table=-1",
        "--foreground",
        "--log-stderr",
        "--log-level=7",
        "--port-min=40000",
        "--port-max=49998",
        "--delete-delay=0",
        &interface,
        &listen,
    ];
    let peer = Peer::start(namespace, "/usr/bin/rtpengine", args);
    namespace.bound(2223);
    peer
}

#[test]
fn rtpengine_relays_a_call() {
    scenario("rtpengine", |namespace| {
        let mut rtpengine = rtpengine(namespace);
        let mut spec = Spec::default();
        let ng = format!("{HERE}:2223").parse().expect("an address");
        spec.elsewhere.insert("media".to_owned(), ng);
        let spec = spec.sim_phone("carol", "001010000000001", "4930200", 6060);
        let spec = spec.sim_phone("dave", "001010000000002", "4930201", 6062);
        let mut network = Process::start(namespace, NETWORK, &spec);
        network.register("carol");
        network.register("dave");
        network.order("carol call tel:+4930201");
        network.phone("carol", "answered");
        let media = network.phone("carol", "media");
        let text = media["text"].as_str().unwrap_or_default();
        assert!(text.contains(&format!("{HERE}:40")), "the sound comes from rtpengine: {text}");
        network.talk();
        network.part("carol");
        rtpengine.says("'delete'");
    });
}

/// Whatever a description has that the other relay's has not is one of the differences that docs/ng.md lists.
#[test]
fn both_relays_rewrite_descriptions_alike() {
    scenario("differential", |namespace| {
        let _rtpengine = rtpengine(namespace);
        let spec = Spec::default().here(&[("media", Some(2224))]);
        let _network = Process::start(namespace, NETWORK, &spec);
        let all = cases();
        let differences = namespace.inside(|| {
            let at = |port| format!("{HERE}:{port}").parse().expect("an address");
            let (mut theirs, mut ours) = (Relay::new(HERE, at(2223)), Relay::new(HERE, at(2224)));
            let differ = all
                .iter()
                .enumerate()
                .flat_map(|(number, case)| compare(&mut theirs, &mut ours, number, case));
            differ.collect::<Vec<_>>()
        });
        let (counts, rest) = explain(differences);
        eprintln!("{} calls, lines that differ for a reason: {counts:?}", all.len());
        let unexplained: Vec<String> = rest.iter().map(ToString::to_string).collect();
        assert!(unexplained.is_empty(), "no reason for:\n{}", unexplained.join("\n"));
        let document = include_str!("../../docs/ng.md");
        for (reason, count) in counts {
            assert!(count > 0, "{reason}: nothing differs any more");
            assert!(document.contains(&format!("| {reason} |")), "docs/ng.md lacks {reason}");
        }
    });
}

/// A party's socket, and how it describes itself.
struct Party {
    socket: UdpSocket,
    sdp: String,
}

fn party(namespace: &Namespace, streams: usize) -> Party {
    let socket = namespace.inside(|| UdpSocket::bind((HERE, 0)).expect("a socket"));
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let port = socket.local_addr().expect("an address").port();
    let head = format!("v=0\r\no=- 1 1 IN IP4 {HERE}\r\ns=-\r\nc=IN IP4 {HERE}\r\nt=0 0\r\n");
    let section = format!("m=audio {port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    Party { socket, sdp: head + &section.repeat(streams) }
}

/// What a recorder (SIPREC) is told by a relay, and the payloads that it hears of both parties.
fn recorded(namespace: &Namespace, relay: &mut Relay) -> (BTreeSet<String>, String, BTreeSet<u8>) {
    let [alice, bob, recorder] = [1, 1, 2].map(|streams| party(namespace, streams));
    let about = |command: &str| Dict::new().with("command", command).with("call-id", "heard");
    let port = |answer: &Dict| {
        let sdp = answer.text("sdp").unwrap_or_else(|| panic!("{answer:?}"));
        sdp::Session::parse(sdp.as_bytes()).expect("SDP").media()[0].port().expect("a port")
    };
    let offer = about("offer").with("from-tag", "ft").with("sdp", alice.sdp.as_str());
    let facing_bob = port(&relay.ask(offer));
    let answer = about("answer").with("from-tag", "ft").with("to-tag", "tt");
    let facing_alice = port(&relay.ask(answer.with("sdp", bob.sdp.as_str())));
    let flags = Value::from_iter(["all", "siprec"].map(Value::from));
    let told = relay.ask(about("subscribe request").with("flags", flags));
    let to_tag = told.text("to-tag").expect("a tag").to_owned();
    let answer = about("subscribe answer").with("to-tag", to_tag.as_str());
    let answered =
        relay.ask(answer.with("sdp", recorder.sdp.replace("101\r\n", "101\r\na=recvonly\r\n")));
    assert_eq!(answered.text("result"), Some("ok"), "{answered:?}");
    let mut heard = BTreeSet::new();
    // Whoever is first may be learned first: both speak until both are heard.
    until("the recorder to hear both", || {
        for (party, to, payload) in [(&alice, facing_alice, 1), (&bob, facing_bob, 2)] {
            let sequence = heard.len() as u16;
            let rtp = rtp::Builder {
                payload_type: 8,
                sequence,
                payload: &[payload; 160],
                ..Default::default()
            };
            party.socket.send_to(&rtp.build(), (HERE, to)).expect("it is sent");
        }
        let mut buffer = [0; 2048];
        let length = recorder.socket.recv(&mut buffer).expect("a copy");
        heard.insert(rtp::Packet::parse(&buffer[..length]).expect("RTP").payload()[0]);
        (heard.len() == 2).then_some(())
    });
    let sdp = sdp::Session::parse(told.text("sdp").expect("SDP").as_bytes()).expect("SDP");
    let label =
        |media: &sdp::Media| media.section().attribute("label").expect("a label").to_owned();
    let said = |media: &sdp::Media| (media.codecs(), media.direction());
    let mut parts = Vec::new();
    for media in sdp.media() {
        let Some(Value::Dict(labels)) = told.get("media-labels") else { panic!("{told:?}") };
        let Some(Value::Dict(facts)) = labels.get(&label(media)) else { panic!("{told:?}") };
        let tag_medias =
            told.get("tag-medias").map(|medias| format!("{medias:?}")).expect("medias");
        assert!(tag_medias.contains(&label(media)), "{tag_medias}");
        let facts: Vec<String> =
            ["tag", "type", "mode"].map(|key| facts.text(key).unwrap_or("?").to_owned()).into();
        parts.push(format!("{facts:?} {:?}", said(media)));
    }
    parts.sort();
    let gone = relay.ask(about("unsubscribe").with("to-tag", to_tag.as_str()));
    assert_eq!(gone.text("result"), Some("ok"));
    relay.ask(about("delete").with("from-tag", "ft"));
    (told.iter().map(|(key, _)| key.to_owned()).collect(), parts.join("\n"), heard)
}

#[test]
fn both_relays_let_a_recorder_hear() {
    scenario("subscribe", |namespace| {
        let _rtpengine = rtpengine(namespace);
        let spec = Spec::default().here(&[("media", Some(2224))]);
        let _network = Process::start(namespace, NETWORK, &spec);
        let [theirs, ours] = [2223, 2224].map(|port| {
            let at = format!("{HERE}:{port}").parse().expect("an address");
            let mut relay = namespace.inside(|| Relay::new(HERE, at));
            recorded(namespace, &mut relay)
        });
        assert_eq!(theirs, ours);
    });
}
