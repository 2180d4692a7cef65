//! A phone's keep-alive over UDP (RFC 5626 §4.4.2), made and judged by aioice.
#![cfg(feature = "interop")]

use strowger_tests::interop::{HERE, Peer, Process, Spec, peer_file, python, scenario};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

#[test]
fn aioice_learns_its_address_from_the_sip_port() {
    scenario("aioice", |namespace| {
        let _network = Process::start(namespace, NETWORK, &Spec::default());
        let script = peer_file("stun/keep_alive.py").display().to_string();
        let said = Peer::start(namespace, &python("python3"), [&script, HERE, "5060"]).succeeds();
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        let [told, is, unknown] = lines[..] else { panic!("{said}") };
        let address = is.strip_prefix("is ").expect("the phone's address");
        assert_eq!(told, format!("RESPONSE {address}"));
        assert_eq!(unknown, "ERROR (420, 'Unknown Attribute')");
    });
}
