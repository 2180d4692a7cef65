//! What an S-CSCF leaves of a registration, and who gets it: TS 23.380 §4, TS 29.228 §6.1.2.1.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with the tests of other commands")]
mod bench;

use bench::*;
use diameter::cx::*;
use diameter::dictionary::*;
use diameter::header::{Flags, Header};
use diameter::{ExperimentalCode, Message, Outcome, ResultCode};

const SUCCESS: Outcome = Outcome::Base(ResultCode::SUCCESS);
const TAKEN: Outcome = Outcome::Experimental(ExperimentalCode::ERROR_IDENTITY_ALREADY_REGISTERED);
const WRONG_TYPE: Outcome = Outcome::Experimental(ExperimentalCode::ERROR_IN_ASSIGNMENT_TYPE);
const OTHER: &str = "sip:other.example";

fn left(contact: &str) -> Vec<u8> {
    let contact = RestoredContact {
        path: "<sip:term.1@pcscf.example;lr>".to_owned(),
        contact: contact.to_owned(),
        ..RestoredContact::default()
    };
    Restoration { user_name: IMPI.to_owned(), contacts: vec![contact] }.to_bytes()
}

fn sar(assignment: Assignment, server: &str) -> Sar {
    Sar {
        user_name: Some(IMPI.to_owned()),
        public_identities: vec![IMPU.to_owned()],
        server_name: server.to_owned(),
        assignment,
        has_user_data: false,
        features: IMS_RESTORATION,
        restoration: Vec::new(),
    }
}

/// A user whose S-CSCF left this.
fn registered() -> Bench {
    let mut bench = Bench::new(&[sim()]);
    let restoration = vec![left("<sip:a@10.0.0.1>")];
    let sar = Sar { restoration, ..sar(Assignment::Registration, SCSCF) };
    let answer = bench.ask(&sar);
    assert_eq!(answer.outcome(), Some(SUCCESS));
    assert_eq!(features(&answer), IMS_RESTORATION);
    assert!(Saa::parse(&answer).unwrap().restoration.is_empty(), "it knows that");
    bench
}

fn away(bench: &mut Bench) {
    let authorization = Some(Authorization::RegistrationAndCapabilities);
    let lir = Lir { public_identity: NUMBER.to_owned(), originating: false, authorization };
    let answer = bench.ask(&lir);
    assert_eq!(answer.outcome(), Some(SUCCESS));
    let lia = Lia::parse(&answer).unwrap();
    assert!(lia.server_name.is_none() && lia.capabilities.is_some(), "{lia:?}");
}

fn serving(bench: &mut Bench) -> Option<String> {
    let lir = Lir { public_identity: NUMBER.to_owned(), originating: false, authorization: None };
    Lia::parse(&bench.ask(&lir)).unwrap().server_name
}

fn terminating(server: &str) -> Sar {
    Sar { user_name: None, ..sar(Assignment::UnregisteredUser, server) }
}

#[test]
fn another_s_cscf_gets_what_the_first_left_once_that_is_away() {
    let mut bench = registered();
    assert_eq!(bench.outcome(&terminating(OTHER)), TAKEN);
    bench.restart();
    away(&mut bench);
    let saa = Saa::parse(&bench.ask(&terminating(OTHER))).unwrap();
    assert_eq!(saa.restoration, [left("<sip:a@10.0.0.1>")]);
    assert!(saa.user_data.is_some());
    assert_eq!(serving(&mut bench).as_deref(), Some(OTHER));
    // He is registered as before, and it is that one's turn to say so.
    let last = bench.ask(&sar(Assignment::NoAssignment, OTHER));
    assert_eq!(Saa::parse(&last).unwrap().restoration.len(), 1);
    assert_eq!(bench.outcome(&sar(Assignment::UserDeregistration, OTHER)), SUCCESS);
    assert_eq!(serving(&mut bench), None);
}

/// It was started anew with an empty disk.
#[test]
fn an_s_cscf_gets_what_it_left_itself() {
    let mut bench = registered();
    let saa = Saa::parse(&bench.ask(&terminating(SCSCF))).unwrap();
    assert_eq!(saa.restoration.len(), 1);
    assert_eq!(serving(&mut bench).as_deref(), Some(SCSCF));
}

#[test]
fn who_does_not_know_of_restoration_gets_nothing() {
    let mut bench = registered();
    away(&mut bench);
    let ignorant = Sar { features: 0, ..terminating(OTHER) };
    assert_eq!(bench.outcome(&ignorant), WRONG_TYPE);
    // Nor does it leave anything, and what was left is not true any more.
    let theirs = Sar { features: 0, ..sar(Assignment::Registration, OTHER) };
    assert_eq!(bench.outcome(&theirs), SUCCESS);
    bench.answers.clear();
    away(&mut bench);
    assert_eq!(bench.outcome(&terminating(SCSCF)), WRONG_TYPE);
}

#[test]
fn the_last_that_was_left_counts_until_the_registration_ends() {
    let mut bench = registered();
    let restoration = vec![left("<sip:a@10.0.0.2>")];
    let again = Sar { restoration, has_user_data: true, ..sar(Assignment::ReRegistration, SCSCF) };
    assert_eq!(bench.outcome(&again), SUCCESS);
    let bare = sar(Assignment::ReRegistration, SCSCF);
    assert_eq!(bench.outcome(&bare), SUCCESS);
    let saa = Saa::parse(&bench.ask(&terminating(SCSCF))).unwrap();
    assert_eq!(saa.restoration, [left("<sip:a@10.0.0.2>")]);
    let over = Assignment::TimeoutDeregistrationStoreServerName;
    assert_eq!(bench.outcome(&sar(over, SCSCF)), SUCCESS);
    for asked in [terminating(SCSCF), sar(Assignment::NoAssignment, SCSCF)] {
        let saa = Saa::parse(&bench.ask(&asked)).unwrap();
        assert!(saa.restoration.is_empty(), "he is not registered");
    }
}

/// A user whom nobody left anything of may be taken over as well, if he is not registered.
#[test]
fn the_unregistered_get_another_s_cscf() {
    let mut bench = Bench::new(&[sim()]);
    assert_eq!(bench.outcome(&terminating(SCSCF)), SUCCESS);
    assert_eq!(bench.outcome(&terminating(OTHER)), TAKEN);
    away(&mut bench);
    assert_eq!(bench.outcome(&terminating(OTHER)), SUCCESS);
}

/// TS 29.229 §7.2.1: restoration may be insisted on, others may not.
#[test]
fn features_are_negotiated() {
    let mut bench = Bench::new(&[sim()]);
    for (bits, outcome) in [
        (IMS_RESTORATION, SUCCESS),
        (1, Outcome::Experimental(ExperimentalCode::ERROR_FEATURE_UNSUPPORTED)),
    ] {
        let plain = bench.request(&Sar { features: 0, ..sar(Assignment::Registration, SCSCF) });
        let header = Header { flags: Flags::REQUEST, ..*plain.header() };
        let request = Message::write(header, |out| {
            for avp in plain.avps() {
                out.copy(&avp);
            }
            let key = diameter::Key { mandatory: true, ..SUPPORTED_FEATURES };
            out.group(key, |group| {
                group.u32(VENDOR_ID, VENDOR_3GPP).u32(FEATURE_LIST_ID, 1).u32(FEATURE_LIST, bits);
            });
        });
        bench.send(&request);
        let answer = bench.answers.remove(0);
        assert_eq!(answer.outcome(), Some(outcome), "{bits}");
        assert_eq!(features(&answer), IMS_RESTORATION);
    }
}
