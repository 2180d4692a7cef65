//! Debian's Kamailio as registrar and proxy: it drives our relay with the NG protocol, and phones of
//! ours and baresip register there with passwords.
#![cfg(feature = "interop")]

use rtp::likeness::{Verdict, compare};
use strowger_tests::interop::{
    Baresip, HERE, Namespace, Peer, Process, Spec, assert_heard, peer_text, prompt, scenario,
};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

/// Kamailio, once our relay listens.
fn kamailio(namespace: &Namespace) -> Peer {
    let config = namespace.folder().join("kamailio.cfg");
    let text = peer_text("kamailio/kamailio.cfg").replace("{HERE}", HERE);
    std::fs::write(&config, text).expect("a configuration");
    let folder = namespace.folder().display().to_string();
    let config = config.display().to_string();
    let args = ["-f", &config, "-DD", "-E", "-Y", &folder, "-w", &folder];
    let kamailio = Peer::start(namespace, "/usr/sbin/kamailio", args);
    namespace.bound(5060);
    kamailio
}

/// Our relay alone, and two phones with passwords; `bob` uses TCP.
fn relay_and_phones() -> Spec {
    let spec = Spec::default().here(&[("media", Some(2223))]);
    let mut spec = spec.password_phone("alice", 6060).password_phone("bob", 6062);
    spec.phones[1].tcp = true;
    spec
}

#[test]
fn kamailio_drives_our_relay_for_two_phones() {
    scenario("kamailio", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &relay_and_phones());
        let mut kamailio = kamailio(namespace);
        network.register("alice");
        network.register("bob");
        kamailio.says("registered alice over udp");
        kamailio.says("registered bob over tcp");
        network.order("alice call sip:bob@ims.test");
        network.phone("alice", "answered");
        let media = network.phone("alice", "media");
        let text = media["text"].as_str().unwrap_or_default();
        let port = text.split_once(&format!("{HERE}:")).and_then(|(_, port)| port.get(..5));
        let port = port.and_then(|port| port.parse().ok());
        let ours = engine::RelayConfig::default().ports;
        assert!(port.is_some_and(|p| ours.contains(&p)), "the sound comes from our relay: {text}");
        network.talk();
        network.order("alice hangup");
        let mut ended = Vec::new();
        network.hears("both to hang up", |report| {
            if report["what"] == "ended" {
                ended.push(report.clone());
            }
            (ended.len() == 2).then_some(())
        });
        for report in ended {
            assert_heard(&report, if report["phone"] == "alice" { "bob" } else { "alice" });
        }
    });
}

#[test]
fn our_phone_and_baresip_call_through_kamailio() {
    scenario("kamailio and baresip", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &relay_and_phones());
        let _kamailio = kamailio(namespace);
        network.register("alice");
        let proxy = format!("sip:{HERE}:5060");
        let carol = Baresip::start(namespace, "carol", &proxy, 6200, "bob");
        network.order("alice call sip:carol@ims.test");
        network.phone("alice", "answered");
        network.talk();
        network.talk();
        network.order("alice hangup");
        assert_heard(&network.phone("alice", "ended"), "bob");
        let likeness = compare(&prompt("alice"), &carol.heard());
        assert_eq!(likeness.verdict(), Verdict::Same, "{:?}", likeness.heard);
    });
}
