//! Two S-CSCFs and two P-CSCFs share what they know by a real Redis server. One is killed in mid-call: the
//! other serves its users before any phone has registered again, calls keep their media, and can be changed
//! and ended from either side.
#![cfg(feature = "interop")]

use strowger::plan::Role;
use strowger_tests::interop::{Pair, twice};

fn pair() -> Pair {
    let program = std::env::var("STROWGER_PROGRAM");
    let program = program.unwrap_or(env!("CARGO_BIN_EXE_shipped").to_owned());
    let mut pair = Pair::start(&program, env!("CARGO_BIN_EXE_network"));
    pair.phones.register("alice");
    pair.phones.register("bob");
    pair.records("scscf.user", 2);
    pair.records("pcscf.binding", 2);
    pair
}

fn call(pair: &mut Pair, from: &str, number: &str) {
    pair.phones.order(&format!("{from} call tel:+{number}"));
    for phone in ["alice", "bob"] {
        pair.phones.phone(phone, "answered");
    }
    // Words, so that also the ACK is through.
    for phone in ["alice", "bob"] {
        pair.phones.phone(phone, "media");
    }
    pair.phones.talk();
}

/// One side holds the other, and takes it back: two re-INVITEs.
fn hold_and_resume(pair: &mut Pair, by: &str, other: &str) {
    pair.phones.order(&format!("{by} hold"));
    pair.phones.phone(other, "held");
    pair.phones.order(&format!("{by} resume"));
    pair.phones.phone(other, "taken back");
}

fn hang_up(pair: &mut Pair, by: &str) {
    pair.phones.order(&format!("{by} hangup"));
    for report in pair.phones.both_end() {
        assert_ne!(report["by"], "Failure", "{report}");
    }
}

#[test]
fn an_s_cscf_is_killed_in_mid_call() {
    twice("an S-CSCF is killed", || {
        let mut pair = pair();
        call(&mut pair, "alice", "4930102");
        pair.kill("scscf-a");
        hold_and_resume(&mut pair, "alice", "bob");
        pair.phones.talk();
        hold_and_resume(&mut pair, "bob", "alice");
        pair.phones.part("alice");
        call(&mut pair, "bob", "4930101");
        hang_up(&mut pair, "bob");
        // It comes back with nothing, and takes over from the one that had everything.
        pair.start_again("scscf-a", Role::Scscf);
        pair.says("scscf-a", "records are shared");
        pair.kill("scscf-b");
        call(&mut pair, "alice", "4930102");
        hang_up(&mut pair, "alice");
    });
}

#[test]
fn a_p_cscf_is_killed_in_mid_call_and_its_address_moves() {
    twice("a P-CSCF is killed", || {
        let mut pair = pair();
        call(&mut pair, "alice", "4930102");
        pair.kill("pcscf-a");
        pair.move_access();
        pair.phones.talk();
        hold_and_resume(&mut pair, "bob", "alice");
        hold_and_resume(&mut pair, "alice", "bob");
        hang_up(&mut pair, "alice");
        call(&mut pair, "bob", "4930101");
        hang_up(&mut pair, "bob");
        // What the dead one asked the S-CSCF for, the living one is told.
        pair.phones.order("bob deregister");
        pair.phones.phone("bob", "deregistered");
        pair.records("pcscf.binding", 1);
        // Alice and her P-CSCF watch her registration.
        pair.records("scscf.watcher", 2);
    });
}

#[test]
fn the_server_is_killed_and_comes_back_empty() {
    twice("the server is killed", || {
        let mut pair = pair();
        pair.kill_redis();
        pair.says("scscf-a", "shared store");
        call(&mut pair, "alice", "4930102");
        hang_up(&mut pair, "bob");
        pair.start_redis();
        pair.records("scscf.user", 2);
        pair.records("pcscf.binding", 2);
        pair.kill("scscf-a");
        call(&mut pair, "bob", "4930101");
        hang_up(&mut pair, "alice");
    });
}
