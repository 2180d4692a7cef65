//! The gateway between an S-CSCF, an I-CSCF and a store that the test plays, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, VecDeque};

use base::machine::{Function, Input, Name, Output, Target};
use base::store::{Change, Durability, StoreError};
use base::time::Duration;
use base::trust::Networks;
use base::{Bytes, Endpoint, Flow, FlowId, Instant, Random, Service, Transport, WireId};
use ipsmgw::{Dialling, IpSmGw, IpSmGwConfig, Limits, Patience, TABLE};
use sip::header::HeaderName;
use sip::{Message, Method};
use sms::rp::{Cause, Direction, Rpdu};
use sms::time_stamp::Zone;
use sms::tpdu::{Command, CommandType, DeliverReport, Parameters, Submit, SubmitReport, Tpdu};
use sms::validity::{Enhanced, Relative};
use sms::{Address, FailureCause, Number, ShortMessage, Status, ValidityPeriod};

const ALICE: &str = "tel:+4930200";
const BOB: &str = "tel:+4930201";

/// A MESSAGE of the gateway, which the test answers.
struct Got {
    flow: Flow,
    request: Message,
}

impl Got {
    fn rpdu(&self) -> Rpdu {
        Rpdu::parse(self.request.body()).unwrap()
    }

    fn tpdu(&self) -> Tpdu {
        self.rpdu().tpdu().unwrap().unwrap()
    }

    fn to(&self) -> &str {
        self.request.uri()
    }

    fn get(&self, name: HeaderName) -> &str {
        self.request.get(name).unwrap_or_default()
    }

    fn text(&self) -> String {
        match self.tpdu() {
            Tpdu::Deliver(deliver) => deliver.user_data.text().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

struct Bench {
    gateway: IpSmGw,
    now: Instant,
    /// What is durable, as after a crash.
    disk: BTreeMap<Bytes, Bytes>,
    disk_fails: bool,
    /// Names that were resolved, in order.
    asked: Vec<Name>,
    got: VecDeque<Got>,
    statuses: Vec<u16>,
    logs: Vec<&'static str>,
    next: u64,
    peers: BTreeMap<String, u16>,
}

fn config() -> IpSmGwConfig {
    IpSmGwConfig {
        host: "ipsmgw.ims.test".to_owned(),
        port: None,
        icscf: name("icscf.ims.test"),
        service_centre: Number::international("+4930999").unwrap(),
        zone: Zone::UTC,
        dialling: Some(Dialling {
            country: "49".into(),
            trunk: "0".into(),
            international: "00".into(),
        }),
        trust: Networks::default(),
        limits: Limits::default(),
        patience: Patience::default(),
    }
}

fn name(host: &str) -> Name {
    Name { service: Service::Sip, host: host.to_owned(), port: None, transport: None }
}

fn flow(wire: u16, transport: Transport) -> Flow {
    let remote = Endpoint::Wire(WireId(wire));
    let local = Endpoint::Wire(WireId(0));
    Flow {
        id: FlowId(u64::from(wire)),
        service: Service::Sip,
        transport,
        local,
        remote,
        proved: false,
    }
}

impl Bench {
    fn new(config: IpSmGwConfig) -> Bench {
        let mut bench = Bench {
            gateway: IpSmGw::new(config, Random::from_u64(1)),
            now: Instant::from_unix_micros(1_700_000_000_000_000),
            disk: BTreeMap::new(),
            disk_fails: false,
            asked: Vec::new(),
            got: VecDeque::new(),
            statuses: Vec::new(),
            logs: Vec::new(),
            next: 0,
            peers: BTreeMap::new(),
        };
        bench.input(Input::Start);
        bench
    }

    /// The same disk under a new gateway.
    fn crash(&mut self, config: IpSmGwConfig) {
        self.gateway = IpSmGw::new(config, Random::from_u64(2));
        for (key, value) in self.disk.clone() {
            self.input(Input::Restored { table: TABLE, key, value });
        }
        self.got.clear();
        self.input(Input::Start);
    }

    fn input(&mut self, input: Input) {
        self.gateway.handle(self.now, input);
        while let Some(output) = self.gateway.poll() {
            let next = match output {
                Output::Transmit { flow, message } => {
                    let message = Message::parse(message).unwrap();
                    if message.is_request() {
                        self.got.push_back(Got { flow, request: message });
                    } else {
                        self.statuses.push(message.status());
                    }
                    continue;
                }
                Output::Resolve { query, name } => {
                    let wires = self.peers.len() as u16 + 10;
                    let wire = *self.peers.entry(name.host.clone()).or_insert(wires);
                    self.asked.push(name);
                    let endpoint = Endpoint::Wire(WireId(wire));
                    let targets = vec![Target { transport: Transport::Wire, endpoint }];
                    Input::Resolved { query, targets }
                }
                Output::Open { open, remote, transport, .. } => {
                    let Some(Endpoint::Wire(WireId(wire))) = remote else { panic!("{remote:?}") };
                    Input::Opened { open, flow: flow(wire, transport) }
                }
                Output::Store { durability, changes, commit } => {
                    let failed = self.disk_fails;
                    for change in changes.into_iter().filter(|_| !failed) {
                        match change {
                            Change::Put { key, value, .. } => drop(self.disk.insert(key, value)),
                            Change::Delete { key, .. } => drop(self.disk.remove(&key)),
                        }
                    }
                    let Some(commit) = commit else { continue };
                    assert_eq!(durability, Durability::Before);
                    let result = if failed { Err(StoreError::Full) } else { Ok(()) };
                    Input::Committed { commit, result }
                }
                Output::Log(event) => {
                    self.logs.push(event.counter);
                    continue;
                }
                other => panic!("{other:?}"),
            };
            self.gateway.handle(self.now, next);
        }
    }

    /// Lets time pass, with every deadline in it.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(deadline) = self.gateway.deadline().filter(|d| d.at <= end) {
            self.now = self.now.max(deadline.at);
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    /// A MESSAGE of a user, as the S-CSCF sends it; its status.
    fn send(&mut self, from: &str, body: &[u8], in_reply_to: Option<&str>) -> u16 {
        let mut request = self.message(from, body);
        if let Some(call_id) = in_reply_to {
            request.push(HeaderName::InReplyTo, call_id);
        }
        self.receive(&request)
    }

    fn message(&mut self, from: &str, body: &[u8]) -> Message {
        self.next += 1;
        let next = self.next;
        Message::request(Method::Message, "tel:+4930999")
            .with(HeaderName::Via, format!("SIP/2.0/TCP scscf.ims.test;branch=z9hG4bK{next}"))
            .with(HeaderName::MaxForwards, "66")
            .with(HeaderName::Route, "<sip:ipsmgw.ims.test;lr>, <sip:odi.1@scscf.ims.test:5070;lr>")
            .with(HeaderName::From, format!("<{from}>;tag=1"))
            .with(HeaderName::To, "<tel:+4930999>")
            .with(HeaderName::CallId, format!("call-{next}"))
            .with(HeaderName::CSeq, "1 MESSAGE")
            .with(HeaderName::PAssertedIdentity, format!("<sip:someone@ims.test>, <{from}>"))
            .with_body(sms::CONTENT_TYPE, body.to_vec())
    }

    fn receive(&mut self, request: &Message) -> u16 {
        let message = request.to_bytes();
        self.statuses.clear();
        self.input(Input::Received { flow: flow(1, Transport::Wire), message });
        self.statuses.first().copied().unwrap_or(0)
    }

    /// The next MESSAGE of the gateway, answered with a status.
    fn take(&mut self, status: u16) -> Got {
        let got = self.got.pop_front().expect("a MESSAGE of the gateway");
        let mut response = Message::answer(&got.request, status);
        response.tag_to("b");
        self.input(Input::Received { flow: got.flow, message: response.to_bytes() });
        got
    }

    fn nothing(&self) {
        let got: Vec<String> = self.got.iter().map(|got| format!("{:?}", got.rpdu())).collect();
        assert!(got.is_empty(), "{got:?}");
    }

    /// The phone's answer to a text.
    fn answer(&mut self, got: &Got, user: &str, report: &DeliverReport, cause: Cause) {
        let rpdu = Rpdu::deliver_report(got.rpdu().reference(), report, cause);
        let call_id = got.get(HeaderName::CallId).to_owned();
        assert_eq!(self.send(user, &rpdu.emit(), Some(&call_id)), 202);
    }

    fn ack(&mut self, got: &Got, user: &str) {
        let report = DeliverReport::Ack(Parameters::NONE);
        self.answer(got, user, &report, Cause::PROTOCOL_ERROR);
    }

    fn register(&mut self, to: &str, expires: u32, body: &str) {
        self.next += 1;
        let next = self.next;
        let request = Message::request(Method::Register, "sip:ipsmgw.ims.test")
            .with(HeaderName::Via, format!("SIP/2.0/TCP scscf.ims.test;branch=z9hG4bKr{next}"))
            .with(HeaderName::MaxForwards, "70")
            .with(HeaderName::From, "<sip:scscf.ims.test>;tag=1")
            .with(HeaderName::To, format!("<{to}>"))
            .with(HeaderName::CallId, format!("reg-{next}"))
            .with(HeaderName::CSeq, "1 REGISTER")
            .with(HeaderName::Contact, "<sip:scscf.ims.test>")
            .with(HeaderName::Expires, expires.to_string())
            .with_body("message/sip", body.as_bytes().to_vec());
        assert_eq!(self.receive(&request), 200);
    }

    fn count(&self, what: &str) -> usize {
        self.gateway.census().count(what)
    }
}

fn bob() -> Address {
    Number::international("4930201").unwrap().into()
}

fn submit(reference: u8, text: &str) -> Submit {
    Submit::new(reference, bob(), ShortMessage::from_text(text).unwrap())
}

/// Alice's phone submits, and it is accepted.
fn accepted(bench: &mut Bench, submit: &Submit) {
    let body = Rpdu::submit(submit.reference, None, submit).emit();
    assert_eq!(bench.send(ALICE, &body, None), 202);
    let at = bench.got.iter().position(|got| got.request.has(HeaderName::InReplyTo));
    let got = bench.got.remove(at.expect("an answer")).unwrap();
    bench.got.push_front(got);
    let got = bench.take(202);
    assert!(matches!(got.tpdu(), Tpdu::SubmitReport(SubmitReport::Ack(..))), "{:?}", got.rpdu());
    assert_eq!(got.rpdu().reference(), submit.reference);
}

/// Alice's phone submits, and it is refused.
fn refused(bench: &mut Bench, body: &[u8]) -> (Cause, Option<FailureCause>) {
    assert_eq!(bench.send(ALICE, body, None), 202);
    let got = bench.got.pop_back().expect("an answer");
    assert_eq!(got.to(), ALICE_SIP);
    let Rpdu::Error { direction, cause, .. } = got.rpdu() else { panic!("{:?}", got.rpdu()) };
    assert_eq!(direction, Direction::ToMobile);
    match got.rpdu().tpdu() {
        Some(Ok(Tpdu::SubmitReport(SubmitReport::Error(failure, ..)))) => (cause, Some(failure)),
        _ => (cause, None),
    }
}

/// The identity that is asserted first is the one that answers go to.
const ALICE_SIP: &str = "sip:someone@ims.test";

/// TS 24.341 figures B.5 and B.6: submission, its report, delivery, its report.
#[test]
fn a_text_goes_from_alice_to_bob() {
    let mut bench = Bench::new(config());
    let text = submit(7, "Watson, come here");
    let body = Rpdu::submit(0x2a, Some(Number::international("4930999").unwrap()), &text).emit();
    assert_eq!(bench.send(ALICE, &body, None), 202);

    let report = bench.take(202);
    assert_eq!(bench.asked[0], Name { port: Some(5070), ..name("scscf.ims.test") });
    assert_eq!(report.to(), ALICE_SIP);
    assert_eq!(report.get(HeaderName::Route), "<sip:scscf.ims.test:5070;lr>");
    assert_eq!(report.get(HeaderName::InReplyTo), "call-1");
    assert_eq!(report.get(HeaderName::PAssertedIdentity), "<sip:ipsmgw.ims.test>");
    assert_eq!(report.get(HeaderName::RequestDisposition), "no-fork");
    assert_eq!(report.get(HeaderName::AcceptContact), "*;+g.3gpp.smsip;require;explicit");
    assert_eq!(report.get(HeaderName::ContentType), sms::CONTENT_TYPE);
    assert!(matches!(
        report.rpdu(),
        Rpdu::Ack { direction: Direction::ToMobile, reference: 0x2a, .. }
    ));
    let Tpdu::SubmitReport(SubmitReport::Ack(stamp, _)) = report.tpdu() else { panic!() };
    assert_eq!(stamp.instant(), Some(bench.now));

    let delivery = bench.take(200);
    assert_eq!(bench.asked[1], name("icscf.ims.test"));
    assert_eq!((delivery.to(), delivery.get(HeaderName::To)), (BOB, "<tel:+4930201>"));
    assert!(
        !delivery.request.has(HeaderName::Route) && !delivery.request.has(HeaderName::InReplyTo)
    );
    assert_eq!(delivery.get(HeaderName::PAssertedIdentity), "<sip:ipsmgw.ims.test>");
    let Rpdu::Data { service_centre, .. } = delivery.rpdu() else { panic!() };
    assert_eq!(service_centre.unwrap().to_string(), "+4930999");
    let Tpdu::Deliver(deliver) = delivery.tpdu() else { panic!() };
    assert_eq!(deliver.originator.to_string(), "+4930200");
    assert_eq!(deliver.user_data.text().as_deref(), Some("Watson, come here"));
    assert_eq!((deliver.time_stamp, deliver.more_messages), (stamp, false));

    assert_eq!(bench.disk.len(), 1, "kept until the phone answers");
    bench.ack(&delivery, BOB);
    bench.nothing();
    assert!(bench.disk.is_empty());
    bench.pass(100);
    let census = bench.gateway.census();
    assert_eq!(census.alive().collect::<Vec<_>>(), vec![]);
    assert_eq!(bench.gateway.deadline(), None);
}

#[test]
fn who_asks_for_a_status_report_gets_one() {
    let mut bench = Bench::new(config());
    let mut text = submit(7, "hello");
    text.status_report = true;
    accepted(&mut bench, &text);
    let accepted_at = bench.now;
    bench.pass(3);
    let delivery = bench.take(200);
    assert!(matches!(delivery.tpdu(), Tpdu::Deliver(deliver) if deliver.status_report));
    bench.ack(&delivery, BOB);

    let report = bench.take(200);
    assert_eq!(report.to(), ALICE_SIP);
    let Tpdu::StatusReport(said) = report.tpdu() else { panic!("{:?}", report.tpdu()) };
    assert_eq!((said.reference, said.recipient.clone()), (7, bob()));
    assert_eq!((said.status, said.time_stamp.instant()), (Status::RECEIVED, Some(accepted_at)));
    assert_eq!(said.discharge.instant(), Some(bench.now));
    assert_eq!(bench.disk.len(), 1);
    // The phone's answer has no In-Reply-To: the user and the reference tell.
    let ack = Rpdu::deliver_report(
        report.rpdu().reference(),
        &DeliverReport::Ack(Parameters::NONE),
        Cause::PROTOCOL_ERROR,
    );
    assert_eq!(bench.send(ALICE, &ack.emit(), None), 202);
    assert_eq!((bench.disk.len(), bench.count("texts")), (0, 0));
}

#[test]
fn texts_keep_their_order_and_one_is_under_way_at_a_time() {
    let mut bench = Bench::new(config());
    for (reference, text) in [(1, "one"), (2, "two"), (3, "three")] {
        accepted(&mut bench, &submit(reference, text));
    }
    for (text, more) in [("one", false), ("two", true), ("three", false)] {
        assert_eq!(bench.got.len(), 1, "one at a time");
        let delivery = bench.take(200);
        assert_eq!(delivery.text(), text);
        let Tpdu::Deliver(deliver) = delivery.tpdu() else { panic!() };
        assert_eq!(deliver.more_messages, more, "{text}");
        bench.ack(&delivery, BOB);
    }
    bench.nothing();
}

#[test]
fn who_is_not_there_gets_his_text_when_he_registers() {
    let mut bench = Bench::new(config());
    accepted(&mut bench, &submit(1, "one"));
    bench.take(480);
    bench.nothing();
    // A deregistration, and somebody else's registration.
    bench.register(BOB, 0, "");
    bench.register("tel:+4930202", 3600, "");
    bench.nothing();
    // His number is among the identities that the phone was told.
    let answer = "SIP/2.0 200 OK\r\nP-Associated-URI: <sip:bob@ims.test>, <tel:+4930201>\r\n\r\n";
    bench.register("sip:bob@ims.test", 3600, answer);
    let delivery = bench.take(200);
    assert_eq!(delivery.text(), "one");
    bench.ack(&delivery, BOB);
    bench.nothing();
}

#[test]
fn attempts_are_made_after_longer_and_longer_times() {
    let mut bench = Bench::new(config());
    accepted(&mut bench, &submit(1, "one"));
    let mut waited = Vec::new();
    for _ in 0..8 {
        bench.take(480);
        let from = bench.now;
        // Another text does not make an attempt come sooner.
        while bench.got.is_empty() {
            bench.pass(1);
        }
        waited.push(bench.now.since(from).as_secs());
    }
    assert_eq!(waited, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    let delivery = bench.take(200);
    bench.ack(&delivery, BOB);
    accepted(&mut bench, &submit(2, "two"));
    bench.take(480);
    accepted(&mut bench, &submit(3, "three"));
    bench.pass(59);
    bench.nothing();
    bench.pass(1);
    assert_eq!(bench.take(480).text(), "two");
}

#[test]
fn a_phone_that_does_not_answer_gets_the_text_again() {
    let mut bench = Bench::new(config());
    accepted(&mut bench, &submit(1, "one"));
    let first = bench.take(200);
    bench.pass(39);
    bench.nothing();
    bench.pass(1 + 60);
    let second = bench.take(200);
    assert_eq!(second.text(), "one");
    assert_ne!(first.get(HeaderName::CallId), second.get(HeaderName::CallId));
    // The late answer names the first attempt, which nobody waits for.
    bench.ack(&first, BOB);
    assert_eq!((bench.count("texts"), bench.logs.last()), (1, Some(&"ipsmgw.stray_answer")));
    bench.ack(&second, BOB);
    assert_eq!(bench.count("texts"), 0);
}

/// Its answer was late, or the MESSAGE's own was lost: the phone has the text.
#[test]
fn a_late_answer_counts_until_the_next_attempt() {
    for status in [200, 408] {
        let mut bench = Bench::new(config());
        accepted(&mut bench, &submit(1, "one"));
        let delivery = bench.take(status);
        bench.pass(50);
        // No news, and no reason to try sooner.
        let report = DeliverReport::Error(FailureCause::MEMORY_CAPACITY_EXCEEDED, Parameters::NONE);
        bench.answer(&delivery, BOB, &report, Cause::MEMORY_CAPACITY_EXCEEDED);
        bench.nothing();
        bench.ack(&delivery, BOB);
        assert_eq!((bench.count("texts"), bench.disk.len()), (0, 0));
        bench.pass(4000);
        bench.nothing();
    }
}

#[test]
fn a_full_phone_says_when_it_has_memory_again() {
    let mut bench = Bench::new(config());
    accepted(&mut bench, &submit(1, "one"));
    let delivery = bench.take(200);
    let report = DeliverReport::Error(FailureCause::MEMORY_CAPACITY_EXCEEDED, Parameters::NONE);
    bench.answer(&delivery, BOB, &report, Cause::MEMORY_CAPACITY_EXCEEDED);
    bench.nothing();
    assert_eq!(bench.send(BOB, &Rpdu::Smma { reference: 9 }.emit(), None), 202);
    let answer = bench.take(202);
    assert!(matches!(answer.rpdu(), Rpdu::Ack { reference: 9, user_data: None, .. }));
    let delivery = bench.take(200);
    bench.ack(&delivery, BOB);
    assert_eq!(bench.count("texts"), 0);
}

#[test]
fn what_cannot_be_delivered_is_given_up_and_reported() {
    let cases: [(u16, Option<Cause>, Status); 5] = [
        (404, None, Status::NOT_OBTAINABLE),
        (603, None, Status::CONNECTION_REJECTED),
        (415, None, Status::INCOMPATIBLE_DESTINATION),
        (200, Some(Cause::PROTOCOL_ERROR), Status::INCOMPATIBLE_DESTINATION),
        (200, Some(Cause::from_bits(21)), Status::REMOTE_PROCEDURE_ERROR),
    ];
    for (status, cause, reported) in cases {
        let mut bench = Bench::new(config());
        let mut text = submit(7, "hello");
        text.status_report = true;
        accepted(&mut bench, &text);
        let delivery = bench.take(status);
        if let Some(cause) = cause {
            let report = DeliverReport::Error(FailureCause::UNSPECIFIED, Parameters::NONE);
            bench.answer(&delivery, BOB, &report, cause);
        }
        let report = bench.take(200);
        let Tpdu::StatusReport(said) = report.tpdu() else { panic!("{:?}", report.tpdu()) };
        assert_eq!((report.to(), said.status), (ALICE_SIP, reported), "{status} {cause:?}");
    }
}

#[test]
fn a_text_ends_with_its_validity_period() {
    let mut bench = Bench::new(config());
    let mut text = submit(7, "hello");
    text.status_report = true;
    text.validity = Some(ValidityPeriod::Relative(Relative(0)));
    accepted(&mut bench, &text);
    let begin = bench.now;
    bench.take(480);
    // After 60 s and 180 s; the next would be after 420 s.
    for _ in 0..2 {
        while bench.got.is_empty() {
            bench.pass(1);
        }
        bench.take(480);
    }
    while bench.got.is_empty() {
        bench.pass(1);
    }
    assert_eq!(bench.now.since(begin).as_secs(), 300);
    let Tpdu::StatusReport(said) = bench.take(200).tpdu() else { panic!("a status report") };
    assert_eq!(said.status, Status::VALIDITY_EXPIRED);
}

#[test]
fn a_single_shot_is_tried_once() {
    let mut bench = Bench::new(config());
    let mut text = submit(7, "hello");
    text.status_report = true;
    text.validity = Some(ValidityPeriod::Enhanced(Enhanced::ONE_ATTEMPT));
    accepted(&mut bench, &text);
    bench.take(480);
    let Tpdu::StatusReport(said) = bench.take(200).tpdu() else { panic!("a status report") };
    assert_eq!(said.status, Status::NO_RESPONSE);
}

#[test]
fn a_crash_loses_nothing_that_was_accepted() {
    let mut bench = Bench::new(config());
    for (reference, text) in [(1, "one"), (2, "two")] {
        accepted(&mut bench, &submit(reference, text));
    }
    bench.take(480);
    bench.crash(config());
    bench.pass(1);
    for text in ["one", "two"] {
        let delivery = bench.take(200);
        assert_eq!(delivery.text(), text);
        bench.ack(&delivery, BOB);
    }
    bench.nothing();
    assert!(bench.disk.is_empty());
    // A new one does not take the place of an old one.
    accepted(&mut bench, &submit(3, "three"));
    assert_eq!(bench.disk.len(), 1);
}

#[test]
fn what_cannot_be_stored_is_not_accepted() {
    let mut bench = Bench::new(config());
    bench.disk_fails = true;
    let body = Rpdu::submit(1, None, &submit(1, "one")).emit();
    let cause = (Cause::TEMPORARY_FAILURE, Some(FailureCause::SC_SYSTEM_FAILURE));
    assert_eq!(refused(&mut bench, &body), cause);
    assert_eq!((bench.count("texts"), bench.count("texts not durable yet")), (0, 0));
}

#[test]
fn a_full_store_refuses() {
    let congestion = (Cause::CONGESTION, Some(FailureCause::SC_BUSY));
    let body = Rpdu::submit(9, None, &submit(9, "no")).emit();
    for limits in [Limits { per_recipient: 2, total: 9 }, Limits { per_recipient: 9, total: 2 }] {
        let mut bench = Bench::new(IpSmGwConfig { limits, ..config() });
        accepted(&mut bench, &submit(1, "one"));
        accepted(&mut bench, &submit(2, "two"));
        assert_eq!(refused(&mut bench, &body), congestion);
        assert_eq!(bench.disk.len(), 2);
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_cause() {
    let mut bench = Bench::new(config());
    accepted(&mut bench, &submit(1, "one"));

    let mut again = submit(1, "one");
    again.reject_duplicates = true;
    let duplicate = (Cause::TRANSFER_REJECTED, Some(FailureCause::DUPLICATE));
    assert_eq!(refused(&mut bench, &Rpdu::submit(2, None, &again).emit()), duplicate);

    let mut nobody = submit(2, "one");
    nobody.destination = Address::name("nobody").unwrap();
    let unknown = (Cause::UNASSIGNED_NUMBER, Some(FailureCause::INVALID_SME_ADDRESS));
    assert_eq!(refused(&mut bench, &Rpdu::submit(2, None, &nobody).emit()), unknown);

    let command = Command::new(3, CommandType::DELETE, 1, bob());
    let unsupported = (Cause::NOT_IMPLEMENTED, Some(FailureCause::COMMAND_UNSUPPORTED));
    assert_eq!(refused(&mut bench, &Rpdu::command(2, None, &command).emit()), unsupported);

    // An SMS-SUBMIT that ends in its destination; an RP-DATA that ends in its address.
    let broken = (Cause::PROTOCOL_ERROR, Some(FailureCause::TPDU_NOT_SUPPORTED));
    assert_eq!(refused(&mut bench, &[0, 2, 0, 0, 4, 1, 0, 9, 0x91]), broken);
    let mandatory = (Cause::INVALID_MANDATORY_INFORMATION, None);
    assert_eq!(refused(&mut bench, &[0, 2, 0, 5]), mandatory);

    let stray = Rpdu::Ack { direction: Direction::ToMobile, reference: 1, user_data: None }.emit();
    assert_eq!((bench.send(ALICE, &stray, None), bench.send(ALICE, &[], None)), (400, 400));
    let plain = bench.message(ALICE, b"hello");
    let mut text = plain.clone();
    text.set_body("text/plain", b"hello".to_vec());
    assert_eq!(bench.receive(&text), 415);
    let mut nobody = plain.clone();
    nobody.remove(HeaderName::PAssertedIdentity);
    nobody.set(HeaderName::Via, "SIP/2.0/TCP scscf.ims.test;branch=z9hG4bKnobody");
    assert_eq!(bench.receive(&nobody), 403);
}

#[test]
fn only_the_network_is_believed() {
    let mut bench = Bench::new(config());
    let request = bench.message(ALICE, &Rpdu::submit(1, None, &submit(1, "one")).emit());
    let address = |text: &str| Endpoint::Ip(text.parse().unwrap());
    let stranger = Flow {
        id: FlowId(99),
        service: Service::Sip,
        transport: Transport::Tcp,
        local: address("192.0.2.1:5060"),
        remote: address("198.51.100.1:5060"),
        proved: false,
    };
    bench.input(Input::Received { flow: stranger, message: request.to_bytes() });
    assert_eq!((bench.statuses.clone(), bench.disk.len()), (vec![403], 0));
    bench.nothing();
}

#[test]
fn numbers_are_read_as_they_are_dialled() {
    let deliver_to = |bench: &mut Bench, destination: Number| {
        let mut text = submit(1, "one");
        text.destination = destination.into();
        accepted(bench, &text);
        bench.take(404).to().to_owned()
    };
    let mut bench = Bench::new(config());
    let number = |digits| Number::unknown(digits).unwrap();
    assert_eq!(deliver_to(&mut bench, number("030201")), BOB);
    assert_eq!(deliver_to(&mut bench, number("004930201")), BOB);
    assert_eq!(deliver_to(&mut bench, Number::international("4930201").unwrap()), BOB);

    let mut bench = Bench::new(IpSmGwConfig { dialling: None, ..config() });
    let mut text = submit(1, "one");
    text.destination = number("030201").into();
    let unknown = (Cause::UNASSIGNED_NUMBER, Some(FailureCause::INVALID_SME_ADDRESS));
    assert_eq!(refused(&mut bench, &Rpdu::submit(2, None, &text).emit()), unknown);
}

#[test]
fn a_drain_takes_no_new_texts_and_finishes_the_others() {
    let mut bench = Bench::new(config());
    accepted(&mut bench, &submit(1, "one"));
    bench.input(Input::Drain);
    let body = Rpdu::submit(2, None, &submit(2, "two")).emit();
    assert_eq!(bench.send(ALICE, &body, None), 503);
    assert!(bench.gateway.is_busy());
    let delivery = bench.take(200);
    bench.ack(&delivery, BOB);
    assert!(!bench.gateway.is_busy() && bench.disk.is_empty());
}

#[test]
fn an_answer_to_another_text_is_none_to_this_one() {
    let mut bench = Bench::new(config());
    accepted(&mut bench, &submit(1, "one"));
    let delivery = bench.take(200);
    let call_id = delivery.get(HeaderName::CallId).to_owned();
    let reference = delivery.rpdu().reference();
    let ack = |reference| Rpdu::Ack { direction: Direction::ToNetwork, reference, user_data: None };
    let (right, wrong) = (ack(reference).emit(), ack(reference.wrapping_add(1)).emit());
    assert_eq!(bench.send(BOB, &wrong, Some(&call_id)), 202);
    assert_eq!(bench.send(BOB, &right, Some("another")), 202);
    assert_eq!(bench.send(ALICE, &right, None), 202);
    assert_eq!(bench.count("texts"), 1);
    assert_eq!(bench.send(BOB, &right, Some(&call_id)), 202);
    assert_eq!(bench.count("texts"), 0);
}

#[test]
fn any_body_ends_in_an_answer() {
    let mut bench = Bench::new(config());
    let mut random = Random::from_u64(7);
    let good = Rpdu::submit(1, None, &submit(1, "one")).emit();
    for _ in 0..3000 {
        let mut body = good.clone();
        for _ in 0..random.below(4) {
            let at = random.below(body.len() as u64) as usize;
            body[at] = random.u32() as u8;
        }
        body.truncate(random.below(body.len() as u64 + 1) as usize);
        let status = bench.send(ALICE, &body, None);
        assert!(matches!(status, 202 | 400), "{status} to {body:02x?}");
        bench.pass(1);
        bench.got.clear();
    }
    let limits = Limits::default();
    assert!(bench.count("recipients") < bench.count("texts") + 1);
    assert!(bench.count("texts") <= limits.total);
    assert_eq!(bench.disk.len(), bench.count("texts"));
}
