//! What an HSS tells an S-CSCF of an operator's changes: TS 29.228 §6.1.3 and §6.2.2, message by
//! message.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with the tests of requests")]
mod bench;

use base::machine::{Input, Order};
use bench::*;
use diameter::cx::*;
use diameter::dictionary::*;
use diameter::{ExperimentalCode, Message, Outcome, ResultCode};
use hss::registration::Registration;
use hss::{Operation, OperationKind, Subscriber, records, removal};

const SUCCESS: Outcome = Outcome::Base(ResultCode::SUCCESS);
const UNKNOWN: Outcome = Outcome::Experimental(ExperimentalCode::ERROR_USER_UNKNOWN);

fn registered() -> Bench {
    let mut bench = Bench::new(&[sim()]);
    assert_eq!(bench.outcome(&sar(Assignment::Registration)), SUCCESS);
    bench.counters.clear();
    bench
}

fn sar(assignment: Assignment) -> Sar {
    Sar {
        user_name: Some(IMPI.to_owned()),
        public_identities: vec![IMPU.to_owned()],
        server_name: SCSCF.to_owned(),
        assignment,
        has_user_data: false,
        features: 0,
        restoration: Vec::new(),
    }
}

fn is_found(bench: &mut Bench) -> bool {
    let lir = Lir { public_identity: NUMBER.to_owned(), originating: false, authorization: None };
    bench.outcome(&lir) == SUCCESS
}

fn record(bench: &Bench) -> Registration {
    let key = base::Bytes::from_static(IMPI.as_bytes());
    let record = bench.store.get(&(records::REGISTRATION, key));
    record.map(|value| records::parse_registration(value).unwrap()).unwrap_or_default()
}

fn operate(bench: &mut Bench, kind: OperationKind) {
    let operations = vec![Operation { impi: IMPI.to_owned(), kind }];
    bench.input(Input::Order(Order(Box::new(operations))));
}

fn write(bench: &mut Bench, subscriber: &Subscriber) {
    let before = record(bench);
    bench.apply(hss::replacement(&sim(), subscriber));
    operate(bench, OperationKind::Written { before });
}

fn remove(bench: &mut Bench) {
    let before = record(bench);
    bench.apply(removal(&sim()));
    operate(bench, OperationKind::Removed { before });
}

/// The request that the S-CSCF gets; there is just one.
fn request(bench: &mut Bench) -> Message {
    assert_eq!(bench.answers.len(), 1, "{:?}", bench.answers);
    let request = bench.answers.remove(0);
    assert!(request.header().is_request());
    assert_eq!(request.require(DESTINATION_HOST).unwrap().utf8(), Ok("cscf.example"));
    request
}

fn answer(bench: &mut Bench, request: &Message, outcome: Outcome) {
    let answer = Message::write(request.header().answer(), |out| {
        out.utf8(SESSION_ID, request.session_id().unwrap());
        outcome.write(out);
        out.utf8(ORIGIN_HOST, "cscf.example").utf8(ORIGIN_REALM, "example");
    });
    bench.send(&answer);
}

#[test]
fn a_removed_subscriber_is_terminated_with_all_identities() {
    let mut bench = registered();
    remove(&mut bench);
    let rtr = request(&mut bench);
    let told = Rtr::parse(&rtr).unwrap();
    assert_eq!((told.user_name.as_str(), told.public_identities.len()), (IMPI, 1));
    assert_eq!(told.reason.code, ReasonCode::PermanentTermination);
    answer(&mut bench, &rtr, SUCCESS);
    assert!(bench.answers.is_empty() && bench.counters.contains(&"hss.told"));
    assert!(!bench.store.keys().any(|(table, _)| *table == records::REGISTRATION));
    bench.apply(hss::records(&sim()));
    assert!(!is_found(&mut bench));
}

/// TS 29.228 §6.1.1.1 and §6.1.2.1, S-CSCF reassignment pending: another S-CSCF may take over once the I-CSCF
/// asked for capabilities, and the one before is told.
#[test]
fn another_s_cscf_takes_over_when_the_first_is_away() {
    let mut bench = registered();
    // It has another Diameter identity than the one that takes over.
    let key = (records::REGISTRATION, base::Bytes::from_static(IMPI.as_bytes()));
    let stored = String::from_utf8(bench.store[&key].to_vec()).unwrap();
    bench.store.insert(key, stored.replace("cscf.example", "away.example").into());
    bench.restart();
    let other = "sip:other.example".to_owned();
    let theirs = Sar { server_name: other.clone(), ..sar(Assignment::Registration) };
    assert_eq!(bench.outcome(&theirs), Outcome::Base(ResultCode::UNABLE_TO_COMPLY));
    let uar = Uar {
        user_name: IMPI.to_owned(),
        public_identity: IMPU.to_owned(),
        visited_network: DOMAIN.into(),
        authorization: Authorization::RegistrationAndCapabilities,
        flags: 0,
    };
    let said = bench.ask(&uar);
    assert_eq!(said.outcome(), Some(SUCCESS));
    let uaa = Uaa::parse(&said).unwrap();
    assert!(uaa.server_name.is_none() && uaa.capabilities.is_some(), "{uaa:?}");
    bench.restart();
    let request = bench.request(&theirs);
    bench.send(&request);
    assert_eq!(bench.answers.remove(0).outcome(), Some(SUCCESS));
    let rtr = bench.answers.remove(0);
    assert_eq!(rtr.require(DESTINATION_HOST).unwrap().utf8(), Ok("away.example"));
    let told = Rtr::parse(&rtr).unwrap();
    assert_eq!(told.reason.code, ReasonCode::NewServerAssigned);
    answer(&mut bench, &rtr, ResultCode::UNABLE_TO_DELIVER.into());
    let after = record(&bench);
    assert_eq!((after.scscf, after.reassignment, after.former), (Some(other), false, None));
    // The one before is not there: it is told when it is.
    assert!(bench.counters.contains(&"hss.not_told"), "{:?}", bench.counters);
    // Only once.
    assert_eq!(
        bench.outcome(&sar(Assignment::Registration)),
        Outcome::Base(ResultCode::UNABLE_TO_COMPLY)
    );
}

/// The MAR of another S-CSCF alone takes the user from nobody.
#[test]
fn who_fails_to_authenticate_keeps_his_s_cscf() {
    let mut bench = registered();
    let mar = Mar {
        user_name: IMPI.to_owned(),
        public_identity: IMPU.to_owned(),
        items: 1,
        auth_data: AuthData { scheme: Some("Digest-AKAv1-MD5".to_owned()), ..AuthData::default() },
        server_name: "sip:other.example".to_owned(),
    };
    assert_eq!(bench.outcome(&mar), SUCCESS);
    assert_eq!(record(&bench).former.map(|former| former.scscf).as_deref(), Some(SCSCF));
    let failed = sar(Assignment::AuthenticationFailure);
    let failed = Sar { server_name: mar.server_name, ..failed };
    assert_eq!(bench.outcome(&failed), SUCCESS);
    assert_eq!((record(&bench).scscf.as_deref(), record(&bench).former), (Some(SCSCF), None));
}

#[test]
fn a_new_profile_is_pushed_once() {
    let mut bench = registered();
    let mut changed = sim();
    changed.sets[0].identities.pop();
    changed.charging.cdf = Some("aaa://cdf.example".to_owned());
    write(&mut bench, &changed);
    let ppr = request(&mut bench);
    let told = Ppr::parse(&ppr).unwrap();
    let xml = String::from_utf8(told.user_data.unwrap()).unwrap();
    assert!(xml.contains("sip:+491701@") && !xml.contains(NUMBER), "{xml}");
    assert_eq!(told.charging.unwrap().primary_ccf.as_deref(), Some("aaa://cdf.example"));
    answer(&mut bench, &ppr, SUCCESS);
    write(&mut bench, &changed);
    assert!(bench.answers.is_empty(), "it has that already");
    // Another process knows too what the S-CSCF has.
    bench.restart();
    write(&mut bench, &changed);
    assert!(bench.answers.is_empty());
    write(&mut bench, &sim());
    assert_eq!(request(&mut bench).header().command, Ppr::COMMAND);
}

#[test]
fn another_key_is_nobodys_business() {
    let mut bench = registered();
    let mut changed = sim();
    changed.credential = hss::Credential::Aka { k: opc(), opc: k(), amf: [0x80, 0] };
    write(&mut bench, &changed);
    assert!(bench.answers.is_empty() && bench.counters.is_empty());
}

#[test]
fn a_set_that_nobody_may_register_is_terminated() {
    let mut bench = registered();
    let mut barred = sim();
    barred.set_barred(true);
    write(&mut bench, &barred);
    let rtr = request(&mut bench);
    let told = Rtr::parse(&rtr).unwrap();
    assert_eq!(told.public_identities.len(), 3);
    answer(&mut bench, &rtr, SUCCESS);
    assert_eq!(record(&bench), Registration::default());

    // A set with another first identity is another set.
    let mut bench = registered();
    let mut renamed = sim();
    renamed.sets[0].identities.remove(0);
    write(&mut bench, &renamed);
    assert_eq!(Rtr::parse(&request(&mut bench)).unwrap().public_identities, [IMPU]);
}

#[test]
fn whoever_is_not_registered_is_not_told_of() {
    let mut bench = Bench::new(&[sim()]);
    bench.counters.clear();
    let mut barred = sim();
    barred.set_barred(true);
    write(&mut bench, &barred);
    operate(&mut bench, OperationKind::Deregistered { again: false, info: None });
    remove(&mut bench);
    assert!(bench.answers.is_empty() && bench.counters.is_empty());
}

#[test]
fn an_scscf_that_does_not_know_him_ends_his_registration() {
    let mut bench = registered();
    let mut changed = sim();
    changed.sets[0].identities.pop();
    write(&mut bench, &changed);
    let ppr = request(&mut bench);
    answer(&mut bench, &ppr, UNKNOWN);
    assert_eq!(record(&bench), Registration::default());

    let mut bench = registered();
    operate(&mut bench, OperationKind::Deregistered { again: true, info: Some("x".to_owned()) });
    let rtr = request(&mut bench);
    let reason = Rtr::parse(&rtr).unwrap().reason;
    assert_eq!((reason.code, reason.info.as_deref()), (ReasonCode::ServerChange, Some("x")));
    answer(&mut bench, &rtr, UNKNOWN);
    assert!(!is_found(&mut bench));
}

/// An S-CSCF that cannot read the profile keeps the old one; the next change is pushed again.
#[test]
fn a_refusal_is_told_to_the_operator() {
    let mut bench = registered();
    let mut changed = sim();
    changed.sets[0].identities.pop();
    write(&mut bench, &changed);
    let ppr = request(&mut bench);
    let refused = ExperimentalCode::ERROR_NOT_SUPPORTED_USER_DATA.into();
    answer(&mut bench, &ppr, refused);
    assert!(bench.counters.contains(&"hss.not_told"));
    assert!(bench.answers.is_empty());
    write(&mut bench, &changed);
    request(&mut bench);
}

/// A record of an older program names no Diameter host and no profile: the SIP URI's host is asked.
#[test]
fn an_old_record_is_good_enough() {
    let mut bench = Bench::new(&[sim()]);
    let old = format!(
        r#"{{"version":1,"scscf":"sip:cscf.example:5060;lr","states":{{"{IMPU}":"registered"}}}}"#
    );
    let key = base::Bytes::from_static(IMPI.as_bytes());
    bench.store.insert((records::REGISTRATION, key), old.into());
    write(&mut bench, &sim());
    assert_eq!(request(&mut bench).header().command, Ppr::COMMAND);
}

#[test]
fn requests_wait_while_the_scscf_is_told() {
    let mut bench = registered();
    operate(&mut bench, OperationKind::Deregistered { again: false, info: None });
    let rtr = request(&mut bench);
    let again = bench.request(&sar(Assignment::Registration));
    bench.send(&again);
    assert!(bench.answers.is_empty(), "it waits");
    answer(&mut bench, &rtr, SUCCESS);
    assert_eq!(bench.answers.remove(0).outcome(), Some(SUCCESS));
    assert!(is_found(&mut bench));
}

#[test]
fn an_scscf_that_is_away_is_told_when_it_connects() {
    let mut bench = registered();
    bench.disconnect();
    remove(&mut bench);
    assert!(bench.answers.is_empty() && bench.counters.contains(&"hss.not_told"));
    bench.greet();
    let rtr = request(&mut bench);
    assert_eq!(rtr.header().command, Rtr::COMMAND);
    answer(&mut bench, &rtr, SUCCESS);
}
