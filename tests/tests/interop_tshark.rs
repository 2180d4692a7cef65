//! tshark decodes everything that a registration and a call send, without a malformed remark.
#![cfg(feature = "interop")]

use strowger_tests::interop::{Namespace, Peer, Process, Spec, assert_heard, scenario};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

/// The lines that tshark prints of the fields of the packets that a filter passes.
fn tshark(namespace: &Namespace, capture: &str, filter: &str, field: &str) -> Vec<String> {
    let args = ["-r", capture, "-Y", filter, "-T", "fields", "-e", field];
    let said = Peer::start(namespace, "/usr/bin/tshark", args).succeeds();
    said.lines().filter(|line| !line.starts_with("Running as user")).map(str::to_owned).collect()
}

#[test]
fn tshark_finds_nothing_malformed_in_a_call() {
    scenario("tshark", |namespace| {
        let capture = namespace.folder().join("call.pcapng").display().to_string();
        let spec = Spec { capture: Some(capture.clone()), ..Spec::default() };
        let spec = spec.sim_phone("carol", "001010000000001", "4930200", 6060);
        let spec = spec.sim_phone("dave", "001010000000002", "4930201", 6062);
        let mut network = Process::start(namespace, NETWORK, &spec);
        network.register("carol");
        network.register("dave");
        network.order("carol call tel:+4930201");
        network.phone("carol", "answered");
        network.talk();
        network.order("carol hangup");
        assert_heard(&network.phone("carol", "ended"), "bob");
        network.order("carol deregister");
        network.phone("carol", "deregistered");
        network.stop();

        // Control: tshark sees the call at all, and every message type is there.
        let methods = tshark(namespace, &capture, "sip.Method", "sip.Method");
        for method in ["REGISTER", "INVITE", "PRACK", "UPDATE", "ACK", "BYE"] {
            assert!(methods.iter().any(|m| m == method), "{method} is decoded: {methods:?}");
        }
        // UAR, SAR, LIR, MAR of TS 29.229 table 6.1.
        let commands = tshark(namespace, &capture, "diameter", "diameter.cmd.code");
        for command in ["300", "301", "302", "303"] {
            assert!(commands.iter().any(|c| c == command), "{command} is decoded: {commands:?}");
        }
        let frames = tshark(namespace, &capture, "frame", "frame.number");

        let known = tshark(namespace, &capture, "sip || diameter", "frame.number");
        assert!(known.len() > 50, "{} of {} frames", known.len(), frames.len());
        // 0x00800000 is an error, 0x00600000 a warning.
        let bad = "_ws.malformed || _ws.expert.severity == 0x00800000";
        let bad = format!("({bad}) && (sip || diameter)");
        let remarks = tshark(namespace, &capture, &bad, "_ws.expert.message");
        assert!(remarks.is_empty(), "tshark complains: {remarks:?}");
    });
}
