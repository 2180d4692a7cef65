//! SIPp as emergency centre, as a phone without a SIM, and as the far end of a trunk; a name server for ENUM.
#![cfg(feature = "interop")]

use std::path::Path;

use strowger_tests::interop::{
    HERE, Namespace, Peer, Process, Spec, assert_heard, peer_file, peer_text, scenario,
};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

/// One run of a scenario on a port, with media on another.
fn sipp(namespace: &Namespace, file: &Path, ports: (u16, u16), to: u16, more: &[&str]) -> Peer {
    let (port, media) = (ports.0.to_string(), ports.1.to_string());
    let fixed = ["-sf", file.to_str().expect("UTF-8"), "-m", "1", "-i", HERE, "-p", &port];
    let media = ["-mi", HERE, "-mp", &media, "-nostdin", "-trace_err", "-timeout", "20"];
    let target = format!("{HERE}:{to}");
    let all = fixed.iter().chain(&media).chain(more).copied().chain([target.as_str()]);
    Peer::start(namespace, "/usr/bin/sipp", all)
}

/// The far end of a trunk, or whoever else takes a call.
fn callee(namespace: &Namespace) -> Peer {
    let peer =
        sipp(namespace, &peer_file("sipp/uas-plain.xml"), (5070, 7000), 5080, &["-rtp_echo"]);
    namespace.bound(5070);
    peer
}

/// A centre that gives up unless this stands in the INVITE.
fn centre(namespace: &Namespace, said: &str) -> Peer {
    let file = namespace.folder().join("centre.xml");
    let text = peer_text("sipp/uas-centre.xml").replace("SAID", said);
    std::fs::write(&file, text).expect("a file");
    let peer = sipp(namespace, &file, (5070, 7000), 5090, &["-rtp_echo"]);
    namespace.bound(5070);
    peer
}

fn with_carol() -> Spec {
    let at = format!("sip:{HERE}:5070");
    Spec {
        centres: vec![format!("sip:psap@{HERE}:5070")],
        routes: vec![format!("default={at}")],
        ..Spec::default().sim_phone("carol", "001010000000001", "4930200", 6060)
    }
}

/// Carol talks, hangs up, and has heard herself.
fn carol_hears_herself(network: &mut Process, peer: Peer) {
    network.phone("carol", "answered");
    network.phone("carol", "media");
    network.talk();
    network.order("carol hangup");
    assert_heard(&network.phone("carol", "ended"), "alice");
    peer.succeeds();
}

#[test]
fn a_sim_phone_calls_a_centre() {
    scenario("centre", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &with_carol());
        network.register("carol");
        let centre = centre(namespace, "P-Asserted-Identity: &lt;tel:\\+4930200&gt;");
        network.order("carol call 112");
        carol_hears_herself(&mut network, centre);
    });
}

#[test]
fn a_phone_without_a_sim_calls_a_centre_and_says_where_it_is() {
    scenario("no SIM", |namespace| {
        let _network = Process::start(namespace, NETWORK, &with_carol());
        for transport in ["u1", "t1"] {
            let centre = centre(namespace, "52.5 13.4");
            let file = peer_file("sipp/uac-emergency.xml");
            let caller = sipp(namespace, &file, (5071, 7010), 5060, &["-t", transport]);
            caller.succeeds();
            centre.succeeds();
        }
        // The centre does tell one INVITE from another.
        let mut centre = centre(namespace, "P-Asserted-Identity");
        let file = peer_file("sipp/uac-emergency.xml");
        let _caller = sipp(namespace, &file, (5071, 7010), 5060, &[]);
        assert!(!centre.ends().success());
    });
}

#[test]
fn a_sim_phone_calls_out_by_a_trunk_and_is_called_by_it() {
    scenario("trunk", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &with_carol());
        network.register("carol");
        let trunk = callee(namespace);
        network.order("carol call tel:+45301");
        carol_hears_herself(&mut network, trunk);
        let file = peer_file("sipp/uac-trunk.xml");
        let more = ["-rtp_echo", "-key", "callee", "+4930200"];
        let trunk = sipp(namespace, &file, (5070, 7000), 5080, &more);
        network.phone("carol", "answered");
        network.phone("carol", "media");
        network.talk();
        network.order("carol hangup");
        // Who answers a plain phone speaks before the relay knows of the answer: a packet may be lost.
        let ended = network.phone("carol", "ended");
        let count = |what: &str| ended["stats"][what].as_u64().expect("a number");
        assert!(count("sent") > 100 && count("sent") - count("received") < 10, "{ended}");
        trunk.succeeds();
    });
}

/// The name server knows one number: the trunk is for all others.
#[test]
fn a_name_server_says_whose_a_number_is() {
    scenario("ENUM", |namespace| {
        namespace.hosts([]);
        let rule = format!("!^\\+45(.*)$!sip:\\1@{HERE}:5070!");
        let wrong = "!^.*$!sip:nobody@192.0.2.1!";
        let script = peer_file("dns/naptr.py");
        let script = script.to_str().expect("UTF-8");
        let rules = ["1.0.3.5.4.e164.arpa", "10", "20", "u", "E2U+sip", wrong];
        let better = ["1.0.3.5.4.e164.arpa", "10", "10", "u", "E2U+sip", &rule];
        let words = [script, "127.0.0.1", "53"].into_iter().chain(rules).chain(better);
        let _server = Peer::start(namespace, "/usr/bin/python3", words);
        namespace.bound(53);
        let spec = Spec {
            enum_suffix: Some("e164.arpa".to_owned()),
            // Nobody is there.
            routes: vec![format!("default=sip:{HERE}:5079")],
            ..with_carol()
        };
        let mut network = Process::start(namespace, NETWORK, &spec);
        network.register("carol");
        let callee = callee(namespace);
        network.order("carol call tel:+45-301");
        carol_hears_herself(&mut network, callee);
        network.order("carol call tel:+45302");
        network.phone("carol", "ended");
    });
}

#[test]
fn a_name_server_that_is_silent_does_not_keep_calls() {
    scenario("silent DNS", |namespace| {
        namespace.hosts([]);
        let server = namespace.inside(|| std::net::UdpSocket::bind("127.0.0.1:53"));
        let _hears_and_says_nothing = server.expect("the port is free");
        let spec = Spec { enum_suffix: Some("e164.arpa".to_owned()), ..with_carol() };
        let mut network = Process::start(namespace, NETWORK, &spec);
        network.register("carol");
        let trunk = callee(namespace);
        network.order("carol call tel:+45301");
        network.phone("carol", "calling");
        carol_hears_herself(&mut network, trunk);
        // Who gives up meanwhile is not kept either.
        network.order("carol call tel:+45302");
        network.phone("carol", "calling");
        network.order("carol hangup");
        assert_eq!(network.phone("carol", "ended")["status"], 487);
    });
}
