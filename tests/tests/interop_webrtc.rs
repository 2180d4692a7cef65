//! WebRTC: aiortc through our relay, driven by NG, with plain phones and with itself; ICE, DTLS-SRTP, and sound.
#![cfg(feature = "interop")]

use strowger_tests::interop::{HERE, Peer, Process, Spec, peer_file, python, scenario};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

const HEARD: &str = "\
browser-phone: browser heard tone, phone heard tone
browser-phone-passive: browser heard tone, phone heard tone
phone-browser: browser heard tone, phone heard tone
browser-browser: caller heard tone, callee heard tone
";

#[test]
fn aiortc_calls_and_is_called_through_our_relay() {
    scenario("aiortc", |namespace| {
        let spec = Spec::default().here(&[("media", Some(2223))]);
        let _relay = Process::start(namespace, NETWORK, &spec);
        let script = peer_file("webrtc/calls.py").display().to_string();
        let said = Peer::start(namespace, &python("python3"), [&script, HERE, "2223"]).succeeds();
        assert_eq!(said, HEARD);
    });
}
