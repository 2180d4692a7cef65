//! Debian's rtpengine in place of our relay, where the S-CSCF drives it with the NG protocol, and beside it, where both get
//! the same offers.
#![cfg(feature = "interop")]

use strowger_tests::interop::differential::{Relay, cases, compare, explain};
use strowger_tests::interop::{HERE, Namespace, Peer, Process, Spec, scenario};

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
