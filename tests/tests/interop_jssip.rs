//! JsSIP with libwebrtc, as it is in Chrome, registered at Kamailio over WebSocket; Kamailio drives our relay, and what
//! browser and plain phone say is compared with what the other one hears.
#![cfg(feature = "interop")]

use rtp::likeness::compare;
use strowger_tests::interop::{
    HERE, Namespace, Peer, Process, Spec, assert_heard, node, peer_file, peer_text, prompt,
    scenario,
};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

fn kamailio(namespace: &Namespace) -> Peer {
    let text = peer_text("kamailio/websocket.cfg").replace("{HERE}", HERE);
    let config = namespace.folder().join("websocket.cfg");
    std::fs::write(&config, text).expect("a configuration");
    let folder = namespace.folder().display().to_string();
    let config = config.display().to_string();
    let args = ["-f", &config, "-DD", "-E", "-Y", &folder, "-w", &folder];
    let kamailio = Peer::start(namespace, "/usr/sbin/kamailio", args);
    namespace.bound(5060);
    kamailio
}

/// A browser that says the prompt `bob`; it calls somebody, or answers.
fn browser(namespace: &Namespace, user: &str, callee: Option<&str>) -> Peer {
    let file = |name: String| namespace.folder().join(name);
    let says = file(format!("{user}-says.wav"));
    std::fs::write(&says, rtp::wav::write(8000, &prompt("bob")).expect("a WAV file"))
        .expect("a file");
    let script = peer_file("jssip/phone.js").display().to_string();
    let url = format!("ws://{HERE}:5080");
    let heard = file(format!("{user}-heard.wav")).display().to_string();
    let says = says.display().to_string();
    let modules = format!("NODE_PATH={}", node());
    let mut args =
        vec![&*modules, "node", &*script, &*url, "ims.test", user, "secret", &*says, &*heard];
    args.extend(callee);
    Peer::start(namespace, "/usr/bin/env", args)
}

/// What it heard is what our phone said.
fn assert_browser_heard(namespace: &Namespace, user: &str) {
    let bytes =
        std::fs::read(namespace.folder().join(format!("{user}-heard.wav"))).expect("a recording");
    let samples = rtp::wav::read(&bytes).expect("a WAV file").samples;
    let likeness = compare(&prompt("alice"), &samples);
    let numbers = (likeness.worst, likeness.heard, likeness.presence);
    // libwebrtc stretches and squeezes what it plays: no sample stays where it was.
    assert!(likeness.heard > 0.5, "alice is heard: {numbers:?}, {} samples", samples.len());
}

/// Our relay alone, and a plain phone of ours.
fn relay_and_phone() -> Spec {
    Spec::default().here(&[("media", Some(2223))]).password_phone("alice", 6060)
}

#[test]
fn a_browser_calls_a_plain_phone() {
    scenario("JsSIP calls", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &relay_and_phone());
        let _kamailio = kamailio(namespace);
        network.register("alice");
        let mut browser = browser(namespace, "dora", Some("sip:alice@ims.test"));
        browser.says("answered");
        browser.says("ended");
        assert_heard(&network.phone("alice", "ended"), "bob");
        assert!(browser.ends().success());
        assert_browser_heard(namespace, "dora");
    });
}

#[test]
fn a_plain_phone_calls_a_browser() {
    scenario("JsSIP is called", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &relay_and_phone());
        let _kamailio = kamailio(namespace);
        network.register("alice");
        let mut browser = browser(namespace, "dora", None);
        browser.says("registered");
        network.order("alice call sip:dora@ims.test");
        network.phone("alice", "answered");
        browser.says("ended");
        assert_heard(&network.phone("alice", "ended"), "bob");
        assert!(browser.ends().success());
        assert_browser_heard(namespace, "dora");
    });
}
