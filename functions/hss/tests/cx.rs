//! The HSS over encoded Cx messages: TS 29.228 §6, request by request.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with the tests of operations")]
mod bench;

use auth::aka::{Usim, Verdict};
use auth::sqn::{Sqn, SqnArray};
use base::machine::Input;
use base::redact::Secret;
use base::store::StoreError;
use bench::*;
use diameter::cx::*;
use diameter::dictionary::*;
use diameter::{ExperimentalCode, Outcome, ResultCode};
use hss::profile::{ApplicationServer, DefaultHandling, FilterCriteria};
use hss::{Subscriber, records, removal};
use proptest::prelude::*;

const SUCCESS: Outcome = Outcome::Base(ResultCode::SUCCESS);
const UNABLE: Outcome = Outcome::Base(ResultCode::UNABLE_TO_COMPLY);
const OTHER: &str = "sip:other.example";

fn experimental(code: ExperimentalCode) -> Outcome {
    Outcome::Experimental(code)
}

fn uar(authorization: Authorization) -> Uar {
    Uar {
        user_name: IMPI.to_owned(),
        public_identity: IMPU.to_owned(),
        visited_network: DOMAIN.as_bytes().to_vec(),
        authorization,
        flags: 0,
    }
}

fn mar(scheme: &str) -> Mar {
    Mar {
        user_name: IMPI.to_owned(),
        public_identity: IMPU.to_owned(),
        items: 1,
        auth_data: AuthData { scheme: Some(scheme.to_owned()), ..AuthData::default() },
        server_name: SCSCF.to_owned(),
    }
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

fn lir(impu: &str) -> Lir {
    Lir { public_identity: impu.to_owned(), originating: false, authorization: None }
}

fn vector(answer: &diameter::Message) -> AuthData {
    assert_eq!(answer.outcome(), Some(SUCCESS), "{answer}");
    Maa::parse(answer).unwrap().auth_data.remove(0)
}

fn challenge(usim: &mut Usim, data: &AuthData) -> Verdict {
    let nonce = data.authenticate.as_ref().unwrap();
    let (rand, autn) = nonce.split_first_chunk().unwrap();
    usim.authenticate(rand, autn.try_into().unwrap())
}

#[test]
fn a_sim_registers_is_found_and_leaves() {
    let mut bench = Bench::new(&[sim()]);
    let answer = bench.ask(&uar(Authorization::Registration));
    let first = experimental(ExperimentalCode::FIRST_REGISTRATION);
    assert_eq!(answer.outcome(), Some(first));
    let uaa = Uaa::parse(&answer).unwrap();
    assert_eq!(uaa.capabilities.unwrap().server_names, [SCSCF]);

    let data = vector(&bench.ask(&mar("Digest-AKAv1-MD5")));
    let mut usim = Usim::new(&k(), &opc(), SqnArray::default());
    let Verdict::Success { res, ck, ik } = challenge(&mut usim, &data) else { panic!("refused") };
    assert_eq!(data.authorization.unwrap().reveal()[..], res.reveal()[..]);
    assert_eq!(data.confidentiality_key.unwrap().reveal()[..], ck.reveal()[..]);
    assert_eq!(data.integrity_key.unwrap().reveal()[..], ik.reveal()[..]);

    let answer = bench.ask(&uar(Authorization::Registration));
    let again = experimental(ExperimentalCode::SUBSEQUENT_REGISTRATION);
    assert_eq!(answer.outcome(), Some(again));
    assert_eq!(Uaa::parse(&answer).unwrap().server_name.as_deref(), Some(SCSCF));

    let not_yet = experimental(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED);
    assert_eq!(bench.outcome(&lir(NUMBER)), not_yet);
    let answer = bench.ask(&sar(Assignment::Registration));
    assert_eq!(answer.outcome(), Some(SUCCESS));
    let xml = String::from_utf8(Saa::parse(&answer).unwrap().user_data.unwrap()).unwrap();
    assert!(xml.contains(&format!("<PrivateID>{IMPI}</PrivateID>")));
    assert!(xml.contains("<BarringIndication>1</BarringIndication><Identity>sip:00101"));
    assert!(xml.contains("<BarringIndication>0</BarringIndication><Identity>tel:+491701<"));

    for impu in [NUMBER, "tel:+49-1701;x=y", "SIP:+491701@IMS.mnc001.mcc001.3gppnetwork.org"] {
        let answer = bench.ask(&lir(impu));
        assert_eq!(answer.outcome(), Some(SUCCESS));
        assert_eq!(Lia::parse(&answer).unwrap().server_name.as_deref(), Some(SCSCF));
    }
    assert_eq!(bench.outcome(&uar(Authorization::DeRegistration)), SUCCESS);
    assert_eq!(bench.outcome(&sar(Assignment::UserDeregistration)), SUCCESS);
    assert_eq!(bench.outcome(&lir(NUMBER)), not_yet);
    assert_eq!(bench.outcome(&uar(Authorization::DeRegistration)), not_yet);
    assert_eq!(bench.outcome(&uar(Authorization::Registration)), first);
    assert!(!bench.store.keys().any(|(table, _)| *table == records::REGISTRATION));
}

#[test]
fn resynchronisation_heals_in_one_round() {
    let mut bench = Bench::new(&[sim()]);
    // A USIM that is far ahead.
    let mut usim = Usim::new(&k(), &opc(), SqnArray::starting_at(Sqn::new(1 << 40, 3)));
    let data = vector(&bench.ask(&mar("Digest-AKAv1-MD5")));
    let Verdict::SynchronisationFailure(auts) = challenge(&mut usim, &data) else { panic!() };
    let rand = &data.authenticate.as_ref().unwrap()[..16];
    let mut resync = mar("Digest-AKAv1-MD5");
    resync.auth_data.authorization = Some(Secret::new([rand, &auts[..]].concat()));
    let data = vector(&bench.ask(&resync));
    assert!(matches!(challenge(&mut usim, &data), Verdict::Success { .. }));
    // The new numbers outlive a restart too.
    bench.restart();
    let data = vector(&bench.ask(&mar("Digest-AKAv1-MD5")));
    assert!(matches!(challenge(&mut usim, &data), Verdict::Success { .. }));

    let mut forged = resync.clone();
    forged.auth_data.authorization = Some(Secret::new([rand, &[7; 14][..]].concat()));
    assert_eq!(bench.outcome(&forged), UNABLE);
    assert!(bench.counters.contains(&"hss.bad_auts"));
    forged.auth_data.authorization = Some(Secret::new(vec![1; 5]));
    let answer = bench.ask(&forged);
    assert_eq!(answer.outcome(), Some(ResultCode::INVALID_AVP_VALUE.into()));
    let failed = answer.require(FAILED_AVP).unwrap().members().next().unwrap();
    assert!(failed.is(SIP_AUTHORIZATION));
    let foreign = Mar { server_name: OTHER.to_owned(), ..resync };
    assert_eq!(bench.outcome(&foreign), UNABLE);
}

#[test]
fn sequence_numbers_never_come_twice() {
    let mut bench = Bench::new(&[sim()]);
    let mut usim = Usim::new(&k(), &opc(), SqnArray::default());
    for round in 0..100 {
        if round % 7 == 6 {
            bench.restart();
        }
        let data = vector(&bench.ask(&mar("Unknown")));
        assert!(matches!(challenge(&mut usim, &data), Verdict::Success { .. }), "{round}");
    }
    // 15 processes at most one block each, and one block more whenever one was used up.
    assert!(bench.waited <= 15, "{} commits", bench.waited);
    let mut three = mar("Digest-AKAv1-MD5");
    three.items = 3;
    let answer = bench.ask(&three);
    let items = Maa::parse(&answer).unwrap().auth_data;
    assert_eq!(items.iter().map(|i| i.item_number.unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    for data in &items {
        assert!(matches!(challenge(&mut usim, data), Verdict::Success { .. }));
    }
}

#[test]
fn a_password_gives_sip_digest() {
    let password = Secret::new("secret".to_owned());
    let alice = Subscriber::with_password("alice", &password, &[], "ex.org").unwrap();
    let mut bench = Bench::new(&[alice]);
    for scheme in ["SIP Digest", "unknown"] {
        let mut mar = mar(scheme);
        mar.user_name = "alice@ex.org".to_owned();
        mar.public_identity = "sip:alice@ex.org".to_owned();
        let data = vector(&bench.ask(&mar));
        assert_eq!(data.scheme.as_deref(), Some("SIP Digest"));
        let digest = data.digest.unwrap();
        assert_eq!((digest.realm.as_str(), digest.qop.as_str()), ("ex.org", "auth"));
        let expected =
            auth::digest::ha1(auth::digest::Hash::Md5, "alice@ex.org", "ex.org", b"secret");
        assert_eq!(digest.ha1, expected);
        mar.auth_data.scheme = Some("Digest-AKAv1-MD5".to_owned());
        let refused = experimental(ExperimentalCode::ERROR_AUTH_SCHEME_NOT_SUPPORTED);
        assert_eq!(bench.outcome(&mar), refused);
    }
}

#[test]
fn who_is_unknown_does_not_match_or_may_not() {
    let mut restricted = sim();
    restricted.roaming = Some(vec![DOMAIN.to_uppercase()]);
    let password = Secret::new("x".to_owned());
    let alice = Subscriber::with_password("alice", &password, &[], "ex.org").unwrap();
    let mut barred = Subscriber::with_password("bob", &password, &[], "ex.org").unwrap();
    barred.sets[0].identities[0].barred = true;
    let mut bench = Bench::new(&[restricted, alice, barred]);
    let unknown = experimental(ExperimentalCode::ERROR_USER_UNKNOWN);
    let mismatch = experimental(ExperimentalCode::ERROR_IDENTITIES_DONT_MATCH);

    let mut nobody = uar(Authorization::Registration);
    nobody.user_name = "nobody@ex.org".to_owned();
    assert_eq!(bench.outcome(&nobody), unknown);
    for (impu, expected) in
        [("sip:nobody@ex.org", unknown), ("no identity", unknown), ("sip:alice@ex.org", mismatch)]
    {
        let impu = impu.to_owned();
        let uar = Uar { public_identity: impu.clone(), ..uar(Authorization::Registration) };
        assert_eq!(bench.outcome(&uar), expected);
        assert_eq!(
            bench.outcome(&Mar { public_identity: impu.clone(), ..mar("Unknown") }),
            expected
        );
        let sar = Sar { public_identities: vec![impu], ..sar(Assignment::Registration) };
        assert_eq!(bench.outcome(&sar), expected);
    }
    assert_eq!(bench.outcome(&lir("sip:nobody@ex.org")), unknown);

    let mut visitor = uar(Authorization::Registration);
    visitor.visited_network = b"elsewhere".to_vec();
    let roaming = experimental(ExperimentalCode::ERROR_ROAMING_NOT_ALLOWED);
    assert_eq!(bench.outcome(&visitor), roaming);
    visitor.authorization = Authorization::RegistrationAndCapabilities;
    assert_eq!(bench.outcome(&visitor), roaming);
    let answer = bench.ask(&uar(Authorization::RegistrationAndCapabilities));
    assert_eq!(answer.outcome(), Some(SUCCESS));
    assert!(Uaa::parse(&answer).unwrap().capabilities.is_some());

    let mut bob = uar(Authorization::Registration);
    bob.user_name = "bob@ex.org".to_owned();
    bob.public_identity = "sip:bob@ex.org".to_owned();
    assert_eq!(bench.outcome(&bob), ResultCode::AUTHORIZATION_REJECTED.into());
    // TS 29.228 §6.1.1.1: neither keeps anybody from an emergency registration.
    let first = experimental(ExperimentalCode::FIRST_REGISTRATION);
    assert_eq!(bench.outcome(&Uar { flags: 1, ..bob }), first);
    let visitor = Uar { flags: 1, authorization: Authorization::Registration, ..visitor };
    assert_eq!(bench.outcome(&visitor), first);
}

#[test]
fn every_assignment_type() {
    use Assignment::*;
    let not_registered = experimental(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED);
    let wrong_type = experimental(ExperimentalCode::ERROR_IN_ASSIGNMENT_TYPE);
    let taken = experimental(ExperimentalCode::ERROR_IDENTITY_ALREADY_REGISTERED);
    // Type; outcome when nothing is registered, when registered, and from another S-CSCF then; and
    // whether the identity is still served after it was registered.
    let table = [
        (NoAssignment, UNABLE, SUCCESS, UNABLE, true),
        (Registration, SUCCESS, SUCCESS, UNABLE, true),
        (ReRegistration, SUCCESS, SUCCESS, UNABLE, true),
        (UnregisteredUser, SUCCESS, wrong_type, taken, true),
        (TimeoutDeregistration, not_registered, SUCCESS, UNABLE, false),
        (UserDeregistration, not_registered, SUCCESS, UNABLE, false),
        (TimeoutDeregistrationStoreServerName, not_registered, SUCCESS, UNABLE, true),
        (UserDeregistrationStoreServerName, not_registered, SUCCESS, UNABLE, true),
        (AdministrativeDeregistration, not_registered, SUCCESS, UNABLE, false),
        (AuthenticationFailure, SUCCESS, SUCCESS, UNABLE, true),
        (AuthenticationTimeout, SUCCESS, SUCCESS, UNABLE, true),
        (DeregistrationTooMuchData, not_registered, SUCCESS, UNABLE, false),
        (AaaUserDataRequest, wrong_type, wrong_type, wrong_type, true),
        (PgwUpdate, wrong_type, wrong_type, wrong_type, true),
        (Restoration, wrong_type, wrong_type, wrong_type, true),
    ];
    assert_eq!(table.map(|row| row.0), Assignment::ALL);
    for (kind, fresh, registered, foreign, still) in table {
        let mut bench = Bench::new(&[sim()]);
        assert_eq!(bench.outcome(&sar(kind)), fresh, "{kind:?} fresh");

        let mut bench = Bench::new(&[sim()]);
        assert_eq!(bench.outcome(&sar(Registration)), SUCCESS);
        let other = Sar { server_name: OTHER.to_owned(), ..sar(kind) };
        assert_eq!(bench.outcome(&other), foreign, "{kind:?} foreign");
        assert_eq!(bench.outcome(&lir(NUMBER)), SUCCESS, "{kind:?} changed nothing");
        let answer = bench.ask(&sar(kind));
        assert_eq!(answer.outcome(), Some(registered), "{kind:?} registered");
        let has_profile = Saa::parse(&answer).unwrap().user_data.is_some();
        let gives = matches!(kind, NoAssignment | Registration | ReRegistration);
        assert_eq!(has_profile, gives, "{kind:?}");
        bench.restart();
        let located = bench.outcome(&lir(NUMBER)) == SUCCESS;
        assert_eq!(located, still, "{kind:?} after a restart");
    }
}

#[test]
fn assignments_name_the_right_number_of_identities() {
    let mut bench = Bench::new(&[sim()]);
    let two = vec![IMPU.to_owned(), NUMBER.to_owned()];
    let many = Sar { public_identities: two, ..sar(Assignment::Registration) };
    let answer = bench.ask(&many);
    assert_eq!(answer.outcome(), Some(ResultCode::AVP_OCCURS_TOO_MANY_TIMES.into()));
    let failed = answer.require(FAILED_AVP).unwrap().members().next().unwrap();
    assert_eq!((failed.is(PUBLIC_IDENTITY), failed.utf8()), (true, Ok(NUMBER)));
    let none = Sar { public_identities: vec![], ..sar(Assignment::Registration) };
    assert_eq!(bench.outcome(&none), ResultCode::MISSING_AVP.into());
    let by_impu = Sar { user_name: None, ..sar(Assignment::UnregisteredUser) };
    assert_eq!(bench.outcome(&by_impu), SUCCESS);
    let all = Sar { public_identities: vec![], ..sar(Assignment::AdministrativeDeregistration) };
    assert_eq!(bench.outcome(&all), SUCCESS);
    let cached = Sar { has_user_data: true, ..sar(Assignment::Registration) };
    assert_eq!(Saa::parse(&bench.ask(&cached)).unwrap().user_data, None);
}

#[test]
fn authentication_that_fails_leaves_nothing() {
    let mut bench = Bench::new(&[sim()]);
    vector(&bench.ask(&mar("Digest-AKAv1-MD5")));
    assert_eq!(bench.outcome(&sar(Assignment::AuthenticationFailure)), SUCCESS);
    let first = experimental(ExperimentalCode::FIRST_REGISTRATION);
    assert_eq!(bench.outcome(&uar(Authorization::Registration)), first);
}

#[test]
fn services_for_the_unregistered() {
    let mut subscriber = sim();
    subscriber.sets[0].criteria.push(FilterCriteria {
        priority: 0,
        trigger: None,
        server: ApplicationServer {
            name: "sip:voicemail.example".to_owned(),
            default_handling: DefaultHandling::Continued,
            service_info: None,
            include_register_request: false,
            include_register_response: false,
        },
        part: None,
    });
    let mut bench = Bench::new(&[subscriber]);
    let answer = bench.ask(&lir(NUMBER));
    let service = experimental(ExperimentalCode::UNREGISTERED_SERVICE);
    assert_eq!(answer.outcome(), Some(service));
    assert!(Lia::parse(&answer).unwrap().capabilities.is_some());
    let answer = bench.ask(&sar(Assignment::UnregisteredUser));
    let xml = String::from_utf8(Saa::parse(&answer).unwrap().user_data.unwrap()).unwrap();
    assert!(xml.contains("<ServerName>sip:voicemail.example</ServerName>"));
    let answer = bench.ask(&lir(NUMBER));
    assert_eq!(Lia::parse(&answer).unwrap().server_name.as_deref(), Some(SCSCF));
}

#[test]
fn a_store_that_fails_is_an_answer_a_counter_and_a_line() {
    for table in [records::SUBSCRIBER, records::SQN, records::REGISTRATION] {
        let mut bench = Bench::new(&[sim()]);
        bench.broken_loads = Some(table);
        assert_eq!(bench.outcome(&mar("Digest-AKAv1-MD5")), UNABLE, "{table:?}");
        let failures = bench.counters.iter().filter(|c| **c == "hss.store_failed").count();
        assert_eq!(failures, 1, "{table:?}");
        bench.broken_loads = None;
        vector(&bench.ask(&mar("Digest-AKAv1-MD5")));
    }
    let mut bench = Bench::new(&[sim()]);
    bench.broken_loads = Some(records::IDENTITY);
    assert_eq!(bench.outcome(&lir(NUMBER)), UNABLE);
    bench.broken_loads = None;

    bench.broken_commits = Some(StoreError::Full);
    assert_eq!(bench.outcome(&mar("Digest-AKAv1-MD5")), UNABLE, "no vector without a block");
    assert_eq!(bench.outcome(&sar(Assignment::Registration)), UNABLE);
    bench.broken_commits = None;
    let not_registered = experimental(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED);
    assert_eq!(bench.outcome(&lir(NUMBER)), not_registered, "what failed did not happen");

    let key = base::Bytes::from_static(IMPI.as_bytes());
    bench.store.insert((records::SUBSCRIBER, key), base::Bytes::from_static(b"{"));
    assert_eq!(bench.outcome(&uar(Authorization::Registration)), UNABLE);
}

#[test]
fn others_may_write_while_it_runs() {
    let mut bench = Bench::new(&[]);
    let unknown = experimental(ExperimentalCode::ERROR_USER_UNKNOWN);
    assert_eq!(bench.outcome(&uar(Authorization::Registration)), unknown);
    bench.apply(hss::records(&sim()));
    assert_eq!(bench.outcome(&sar(Assignment::Registration)), SUCCESS);
    bench.apply(removal(&sim()));
    assert_eq!(bench.outcome(&uar(Authorization::Registration)), unknown);
    bench.apply(hss::records(&sim()));
    let first = experimental(ExperimentalCode::FIRST_REGISTRATION);
    assert_eq!(bench.outcome(&uar(Authorization::Registration)), first);
}

#[test]
fn a_set_that_is_no_more_is_not_registered() {
    let mut bench = Bench::new(&[sim()]);
    assert_eq!(bench.outcome(&sar(Assignment::Registration)), SUCCESS);
    // Provisioned anew: the set has another first identity.
    let mut renamed = sim();
    renamed.sets[0].identities.remove(0);
    bench.apply(hss::records(&renamed));
    let not_registered = experimental(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED);
    assert_eq!(bench.outcome(&lir(NUMBER)), not_registered);
    let number = vec![NUMBER.to_owned()];
    let uar = Uar { public_identity: NUMBER.to_owned(), ..uar(Authorization::Registration) };
    let first = experimental(ExperimentalCode::FIRST_REGISTRATION);
    assert_eq!(bench.outcome(&uar), first, "no S-CSCF is left over");
    let again = Sar { public_identities: number, ..sar(Assignment::Registration) };
    assert_eq!(bench.outcome(&again), SUCCESS);
    assert_eq!(bench.outcome(&lir(NUMBER)), SUCCESS);
}

#[test]
fn a_name_is_stored_for_the_sets_that_were_served() {
    let mut two = sim();
    let password = Secret::new("x".to_owned());
    let other = Subscriber::with_password("second", &password, &[], DOMAIN).unwrap();
    two.sets.extend(other.sets);
    let mut bench = Bench::new(&[two]);
    assert_eq!(bench.outcome(&sar(Assignment::Registration)), SUCCESS);
    let kind = Assignment::UserDeregistrationStoreServerName;
    assert_eq!(bench.outcome(&Sar { public_identities: vec![], ..sar(kind) }), SUCCESS);
    assert_eq!(bench.outcome(&lir(NUMBER)), SUCCESS);
    let second = lir(&format!("sip:second@{DOMAIN}"));
    let not_registered = experimental(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED);
    assert_eq!(bench.outcome(&second), not_registered);
}

#[test]
fn a_deregistration_that_was_lost_on_the_way_back_succeeds_again() {
    let mut bench = Bench::new(&[sim()]);
    assert_eq!(bench.outcome(&sar(Assignment::Registration)), SUCCESS);
    let gone = sar(Assignment::UserDeregistration);
    assert_eq!(bench.outcome(&gone), SUCCESS);
    let not_registered = experimental(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED);
    assert_eq!(bench.outcome(&gone), not_registered);
    let request = bench.request(&gone);
    let header = *request.header();
    let flags = header.flags.with(diameter::header::Flags::RETRANSMITTED);
    let repeated = request.with_header(diameter::header::Header { flags, ..header });
    bench.send(&repeated);
    assert_eq!(bench.answers.remove(0).outcome(), Some(SUCCESS));
}

#[test]
fn what_cx_does_not_allow_names_its_avp() {
    let mut bench = Bench::new(&[sim()]);
    let mut message = |avps: &dyn Fn(&mut diameter::Writer)| {
        let request = bench.message(CMD_MULTIMEDIA_AUTH, APPLICATION, |out| {
            out.utf8(SESSION_ID, "s").utf8(ORIGIN_HOST, "c").utf8(ORIGIN_REALM, "example");
            out.utf8(DESTINATION_REALM, "example");
            avps(out);
        });
        bench.send(&request);
        bench.answers.remove(0)
    };
    let answer = message(&|out| {
        out.utf8(USER_NAME, IMPI);
    });
    assert_eq!(answer.outcome(), Some(ResultCode::MISSING_AVP.into()));
    let failed = answer.require(FAILED_AVP).unwrap();
    assert!(failed.members().next().unwrap().is(PUBLIC_IDENTITY));
    let answer = message(&|out| {
        out.group(diameter::Key { mandatory: true, ..SUPPORTED_FEATURES }, |group| {
            group.u32(VENDOR_ID, 10415).u32(FEATURE_LIST_ID, 1).u32(FEATURE_LIST, 1);
        });
    });
    let unsupported = experimental(ExperimentalCode::ERROR_FEATURE_UNSUPPORTED);
    assert_eq!(answer.outcome(), Some(unsupported));
    let bad = Sar { assignment: Assignment::Registration, ..sar(Assignment::Registration) };
    let request = bench.request(&bad);
    let at = request.find(SERVER_ASSIGNMENT_TYPE).unwrap();
    let at = at.data.as_ptr() as usize - request.bytes().as_ptr() as usize;
    let mut bytes = request.bytes().to_vec();
    bytes[at + 3] = 99;
    bench.input(Input::Received { flow: flow(), message: bytes.into() });
    let answer = bench.answers.remove(0);
    assert_eq!(answer.outcome(), Some(ResultCode::INVALID_AVP_VALUE.into()));
    assert!(
        answer.require(FAILED_AVP).unwrap().members().next().unwrap().is(SERVER_ASSIGNMENT_TYPE)
    );
}

/// python-diameter 0.9 sends the code that RFC 4740 gave to SIP-Number-Auth-Items.
#[test]
fn a_mar_with_the_number_of_rfc_4740_gets_one_vector() {
    let mut bench = Bench::new(&[sim()]);
    let request = bench.message(CMD_MULTIMEDIA_AUTH, APPLICATION, |out| {
        out.utf8(SESSION_ID, "s").utf8(ORIGIN_HOST, "c").utf8(ORIGIN_REALM, "example");
        out.utf8(DESTINATION_REALM, "example").utf8(USER_NAME, IMPI).utf8(PUBLIC_IDENTITY, IMPU);
        out.u32(RFC4740_SIP_NUMBER_AUTH_ITEMS, 1).utf8(SERVER_NAME, SCSCF);
        out.group(SIP_AUTH_DATA_ITEM, |group| {
            group.utf8(SIP_AUTHENTICATION_SCHEME, "Digest-AKAv1-MD5");
        });
    });
    bench.send(&request);
    let answer = bench.answers.remove(0);
    assert_eq!(Maa::parse(&answer).unwrap().auth_data.len(), 1, "{answer}");
}

#[test]
fn requests_of_one_subscriber_wait_for_each_other() {
    use base::machine::{Function, Output};
    let mut bench = Bench::new(&[sim()]);
    let requests = [bench.request(&mar("Unknown")), bench.request(&mar("Unknown"))];
    let mut loads = Vec::new();
    for request in &requests {
        bench.hss.handle(NOW, Input::Received { flow: flow(), message: request.bytes().clone() });
        while let Some(output) = bench.hss.poll() {
            if let Output::Load { load, table, key } = output {
                loads.push((load, bench.store.get(&(table, key)).cloned()));
            }
        }
    }
    assert_eq!(loads.len(), 1, "the second waits");
    let (load, value) = loads.remove(0);
    bench.input(Input::Loaded { load, value: Ok(value) });
    assert_eq!(bench.answers.len(), 2);
    let nonces: Vec<_> = bench.answers.iter().map(|a| vector(a).authenticate).collect();
    assert_ne!(nonces[0], nonces[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever arrives, the next good request is answered.
    #[test]
    fn garbage_is_survived(flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..30), raw: Vec<u8>) {
        let mut bench = Bench::new(&[sim()]);
        let request = bench.request(&mar("Digest-AKAv1-MD5"));
        for (at, byte) in flips {
            let mut bytes = request.bytes().to_vec();
            // The length and what names the connection's end are left alone.
            let at = 20 + usize::from(at) % (bytes.len() - 20);
            bytes[at] = byte;
            bench.input(Input::Received { flow: flow(), message: bytes.into() });
        }
        if raw.len() >= 20 {
            bench.input(Input::Received { flow: flow(), message: raw.into() });
        }
        bench.answers.clear();
        prop_assert!(bench.outcome(&uar(Authorization::Registration)).is_success());
    }
}
