//! SIPp: registers with passwords and with a SIM, calls a phone of ours and is called by one.
#![cfg(feature = "interop")]

use std::path::{Path, PathBuf};

use rtp::likeness::{Verdict, compare};
use strowger_tests::interop::peer_file;
use strowger_tests::interop::{
    Baresip, HERE, Namespace, Peer, Process, Spec, assert_heard, prompt, scenario,
};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

/// One run of a scenario, from the port that the registration names.
fn sipp(namespace: &Namespace, file: &str, more: &[&str]) -> Peer {
    run(namespace, &peer_file(&format!("sipp/{file}.xml")), more)
}

fn run(namespace: &Namespace, file: &Path, more: &[&str]) -> Peer {
    let fixed = ["-sf", file.to_str().expect("UTF-8"), "-m", "1", "-i", HERE, "-p", "5070"];
    let media = ["-mi", HERE, "-mp", "7000", "-nostdin", "-trace_err", "-timeout", "20"];
    let target = format!("{HERE}:5060");
    let all = fixed.iter().chain(&media).chain(more).copied().chain([target.as_str()]);
    Peer::start(namespace, "/usr/bin/sipp", all)
}

#[test]
fn sipp_registers_with_a_password_over_udp_and_tcp() {
    scenario("sipp digest", |namespace| {
        let spec = Spec::default().password("alice", "4930100");
        let _network = Process::start(namespace, NETWORK, &spec);
        sipp(namespace, "register-digest", &[]).succeeds();
        sipp(namespace, "register-digest", &["-t", "t1"]).succeeds();
    });
}

#[test]
fn sipp_registers_with_a_sim() {
    scenario("sipp AKA", |namespace| {
        let mut spec = Spec::default();
        spec.sims.push(("001010000000001".to_owned(), "4930200".to_owned()));
        let _network = Process::start(namespace, NETWORK, &spec);
        sipp(namespace, "register-aka", &[]).succeeds();
        sipp(namespace, "register-aka", &["-t", "t1"]).succeeds();
    });
}

/// The registration with another password, whose end is another response.
fn registration(namespace: &Namespace, password: &str, response: &str) -> PathBuf {
    let file =
        std::fs::read_to_string(peer_file("sipp/register-digest.xml")).expect("the scenario");
    let (head, _) = file.split_once("<recv response=\"200\">").expect("its last response");
    let head = head.replace("password=secret", &format!("password={password}"));
    let path = namespace.folder().join(format!("{password}-{response}.xml"));
    let text = format!("{head}<recv response=\"{response}\"/>\n</scenario>\n");
    std::fs::write(&path, text).expect("a file");
    path
}

#[test]
fn sipp_is_refused_with_a_wrong_password() {
    scenario("sipp wrong password", |namespace| {
        let spec = Spec::default().password("alice", "4930100");
        let _network = Process::start(namespace, NETWORK, &spec);
        run(namespace, &registration(namespace, "wrong", "403"), &[]).succeeds();
        run(namespace, &registration(namespace, "secret", "200"), &[]).succeeds();
        // SIPp does tell one response from another.
        assert!(!run(namespace, &registration(namespace, "wrong", "200"), &[]).ends().success());
    });
}

fn with_carol() -> Spec {
    Spec::default().password("alice", "4930100").sim_phone(
        "carol",
        "001010000000001",
        "4930200",
        6060,
    )
}

#[test]
fn sipp_calls_a_sim_phone_with_preconditions() {
    scenario("sipp calls", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &with_carol());
        network.register("carol");
        sipp(namespace, "register-digest", &[]).succeeds();
        let sipp = sipp(namespace, "uac", &["-rtp_echo", "-key", "callee", "4930200"]);
        network.phone("carol", "answered");
        network.phone("carol", "media");
        network.talk();
        network.order("carol hangup");
        // SIPp gives every word back.
        assert_heard(&network.phone("carol", "ended"), "alice");
        sipp.succeeds();
    });
}

#[test]
fn sipp_is_called_by_a_sim_phone_with_preconditions() {
    scenario("sipp is called", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &with_carol());
        network.register("carol");
        sipp(namespace, "register-digest", &[]).succeeds();
        let sipp = sipp(namespace, "uas", &["-rtp_echo"]);
        namespace.bound(5070);
        network.order("carol call tel:+4930100");
        network.phone("carol", "answered");
        network.phone("carol", "media");
        network.talk();
        network.order("carol hangup");
        assert_heard(&network.phone("carol", "ended"), "alice");
        sipp.succeeds();
    });
}

/// Alice is SIPp, which gives every word back; bob is a baresip.
fn with_bob(namespace: &Namespace) -> (Process, Baresip) {
    let spec = Spec::default().password("alice", "4930100").password("bob", "4930101");
    let network = Process::start(namespace, NETWORK, &spec);
    sipp(namespace, "register-digest", &[]).succeeds();
    (network, Baresip::start(namespace, "bob", &format!("sip:{HERE}:5060"), 6200, "bob"))
}

/// They talk, bob hangs up, and has heard himself.
fn bob_hears_himself(mut network: Process, mut bob: Baresip, sipp: Peer) {
    bob.event("CALL_ESTABLISHED");
    // A second of silence comes before the words.
    network.talk();
    network.talk();
    bob.command("hangup", "");
    sipp.succeeds();
    let likeness = compare(&prompt("bob"), &bob.heard());
    assert_eq!(likeness.verdict(), Verdict::Same, "{:?}", likeness.heard);
}

#[test]
fn sipp_calls_baresip() {
    scenario("sipp calls baresip", |namespace| {
        let (network, bob) = with_bob(namespace);
        let sipp = sipp(namespace, "uac-plain", &["-rtp_echo"]);
        bob_hears_himself(network, bob, sipp);
    });
}

#[test]
fn baresip_calls_sipp() {
    scenario("baresip calls sipp", |namespace| {
        let (network, mut bob) = with_bob(namespace);
        let sipp = sipp(namespace, "uas-plain", &["-rtp_echo"]);
        namespace.bound(5070);
        bob.command("dial", "sip:alice@ims.test");
        bob_hears_himself(network, bob, sipp);
    });
}
