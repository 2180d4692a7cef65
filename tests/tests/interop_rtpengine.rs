//! Debian's rtpengine in place of our relay: the S-CSCF drives it with the NG protocol.
#![cfg(feature = "interop")]

use strowger_tests::interop::{HERE, Peer, Process, Spec, scenario};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

#[test]
fn rtpengine_relays_a_call() {
    scenario("rtpengine", |namespace| {
        let listen = format!("--listen-ng={HERE}:2223");
        let interface = format!("--interface={HERE}");
        let args = [
            "--config-file=none",
            "--table=-1",
            "--foreground",
            "--log-stderr",
            "--log-level=7",
            "--port-min=40000",
            "--port-max=40100",
            &interface,
            &listen,
        ];
        let mut rtpengine = Peer::start(namespace, "/usr/bin/rtpengine", args);
        namespace.bound(2223);
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
