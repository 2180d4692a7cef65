//! baresip: registers with passwords, calls another one through our relay, and a SIM phone of ours.
#![cfg(feature = "interop")]

use rtp::likeness::{Verdict, compare};
use strowger_tests::interop::{
    Baresip, HERE, Namespace, Process, Spec, assert_heard, prompt, scenario,
};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

fn baresip(namespace: &Namespace, user: &str, port: u16, says: &str) -> Baresip {
    Baresip::start(namespace, user, &format!("sip:{HERE}:5060"), port, says)
}

fn assert_recorded(baresip: Baresip, says: &str) {
    let likeness = compare(&prompt(says), &baresip.heard());
    let numbers = (likeness.worst, likeness.heard, likeness.presence);
    assert_eq!(likeness.verdict(), Verdict::Same, "{says} is heard: {numbers:?}");
}

/// Alice calls Bob, and they hear each other; `account` is what their accounts have beside the usual.
fn call_and_hear(title: &str, account: &str) {
    scenario(title, |namespace| {
        let spec = Spec::default().password("alice", "4930100").password("bob", "4930101");
        let mut network = Process::start(namespace, NETWORK, &spec);
        let start = |user, port| {
            let proxy = format!("sip:{HERE}:5060");
            Baresip::start_with(namespace, user, &proxy, (port, user), account)
        };
        let (mut alice, mut bob) = (start("alice", 6000), start("bob", 6200));
        alice.talk_with(&mut bob, &mut network);
        assert_recorded(alice, "bob");
        assert_recorded(bob, "alice");
    });
}

#[test]
fn two_baresips_call_and_hear_each_other() {
    call_and_hear("two baresips", "");
}

/// SRTP with keys in SDP: the relay has keys of its own with each of them.
#[test]
fn two_baresips_speak_srtp() {
    call_and_hear("two baresips with SRTP", ";mediaenc=srtp-mand");
}

/// ICE says where each of them is, RTP and RTCP apart. (Its certificates for DTLS are RSA, which `dimpl` does not speak.)
#[test]
fn two_baresips_find_the_relay_by_ice() {
    call_and_hear("two baresips with ICE", ";mediaenc=srtp-mand;medianat=ice");
}

#[test]
fn a_baresip_calls_a_sim_phone() {
    scenario("baresip calls a SIM phone", |namespace| {
        let spec = Spec::default().password("bob", "4930101").sim_phone(
            "carol",
            "001010000000001",
            "4930200",
            5070,
        );
        let mut network = Process::start(namespace, NETWORK, &spec);
        network.register("carol");
        let mut bob = baresip(namespace, "bob", 6200, "bob");
        bob.command("dial", "sip:+4930200@ims.test;user=phone");
        bob.event("CALL_ESTABLISHED");
        network.phone("carol", "answered");
        network.talk();
        network.talk();
        bob.command("hangup", "");
        assert_heard(&network.phone("carol", "ended"), "bob");
        assert_recorded(bob, "alice");
    });
}

#[test]
fn a_sim_phone_calls_a_baresip() {
    scenario("a SIM phone calls baresip", |namespace| {
        let spec = Spec::default().password("bob", "4930101").sim_phone(
            "carol",
            "001010000000001",
            "4930200",
            5070,
        );
        let mut network = Process::start(namespace, NETWORK, &spec);
        network.register("carol");
        let bob = baresip(namespace, "bob", 6200, "bob");
        network.order("carol call tel:+4930101");
        network.phone("carol", "answered");
        network.talk();
        network.talk();
        network.order("carol hangup");
        assert_heard(&network.phone("carol", "ended"), "bob");
        assert_recorded(bob, "alice");
    });
}
