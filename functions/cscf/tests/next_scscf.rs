//! The next S-CSCF when one is away, message by message: TS 24.229 §5.3.1.3. The test plays the HSS and the
//! S-CSCFs.

use base::flow::{FlowError, FlowId, WireId};
use base::machine::{Function, Input, Output, Target};
use base::time::Duration;
use base::trust::Networks;
use base::{Endpoint, Flow, Instant, Random, Service, Transport};
use cscf::icscf::Icscf;
use cscf::icscf::config::{IcscfConfig, Scscf};
use diameter::cx::{self, Authorization, Body, Lia, Lir, Uaa, Uar};
use diameter::dictionary::*;
use diameter::header::{Flags, Header};
use diameter::{ExperimentalCode, NodeConfig, Outcome, ResultCode};
use sip::{Message, Method};

const PATIENCE: Duration = Duration::from_secs(8);
const SUBSEQUENT: Outcome = Outcome::Experimental(ExperimentalCode::SUBSEQUENT_REGISTRATION);
const FIRST: Outcome = Outcome::Experimental(ExperimentalCode::FIRST_REGISTRATION);

struct Bench {
    icscf: Icscf,
    now: Instant,
    asked: Vec<diameter::Message>,
    sent: Vec<Message>,
    told: Vec<String>,
}

fn flow(service: Service, id: u64) -> Flow {
    let (local, remote) = (Endpoint::Wire(WireId(0)), Endpoint::Wire(WireId(id as u16)));
    let transport = Transport::Wire;
    Flow { id: FlowId(id), service, transport, local, remote, proved: false }
}

impl Bench {
    fn new(scscfs: &[&str]) -> Bench {
        let mut diameter = NodeConfig::new("icscf.test", "test");
        diameter.applications.push(cx::application(&[]));
        let scscf = |uri: &&str| Scscf { uri: (*uri).to_owned(), capabilities: Vec::new() };
        let config = IcscfConfig {
            host: "icscf.test".to_owned(),
            port: None,
            home_domain: "test".to_owned(),
            scscfs: scscfs.iter().map(scscf).collect(),
            trust: Networks::default(),
            limits: cscf::LimitsConfig::default(),
            diameter,
            diameter_realm: "test".to_owned(),
            cx_timeout: Duration::from_secs(5),
            patience: PATIENCE,
        };
        let mut bench = Bench {
            icscf: Icscf::new(config, Random::from_u64(1)),
            now: Instant::from_unix_micros(1_000_000),
            asked: Vec::new(),
            sent: Vec::new(),
            told: Vec::new(),
        };
        bench.input(Input::Start);
        let flags = Flags::REQUEST.with(Flags::PROXIABLE);
        let header = Header {
            flags,
            command: CMD_CAPABILITIES_EXCHANGE,
            application: 0,
            hop_by_hop: 1,
            end_to_end: 1,
        };
        let cer = diameter::Message::write(header, |out| {
            out.utf8(ORIGIN_HOST, "hss.test").utf8(ORIGIN_REALM, "test").u32(VENDOR_ID, 0);
            out.utf8(PRODUCT_NAME, "test").u32(AUTH_APPLICATION_ID, cx::APPLICATION);
        });
        bench.diameter(&cer);
        bench.asked.clear();
        bench
    }

    fn diameter(&mut self, message: &diameter::Message) {
        let flow = flow(Service::Diameter, 1);
        self.input(Input::Received { flow, message: message.bytes().clone() });
    }

    fn sip(&mut self, from: u64, message: &Message) {
        let flow = flow(Service::Sip, from);
        self.input(Input::Received { flow, message: message.to_bytes() });
    }

    fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while !inputs.is_empty() {
            self.icscf.handle(self.now, inputs.remove(0));
            while let Some(output) = self.icscf.poll() {
                match output {
                    Output::Transmit { flow, message } if flow.service == Service::Sip => {
                        self.sent.push(Message::parse(message).expect("it sends SIP"));
                    }
                    Output::Transmit { message, .. } => {
                        let message = diameter::Message::parse(message).expect("Diameter");
                        self.asked.push(message);
                    }
                    Output::Resolve { query, name } => {
                        // a.test is behind wire 10, b.test behind 11 ...
                        let wire = 10 + u16::from(name.host.as_bytes()[0] - b'a');
                        let endpoint = Endpoint::Wire(WireId(wire));
                        let targets = vec![Target { transport: Transport::Wire, endpoint }];
                        inputs.push(Input::Resolved { query, targets });
                    }
                    Output::Open { open, service, remote, .. } => {
                        let Some(Endpoint::Wire(WireId(wire))) = remote else { panic!() };
                        inputs.push(Input::Opened { open, flow: flow(service, u64::from(wire)) });
                    }
                    Output::Log(event) => self.told.push(event.counter.to_owned()),
                    _ => {}
                }
            }
        }
    }

    fn register(&mut self) {
        let register = "REGISTER sip:test SIP/2.0\r\nVia: SIP/2.0/TCP p.test;branch=z9hG4bKp\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@test>;tag=1\r\nTo: <sip:alice@test>\r\nCall-ID: c\r\n\
             CSeq: 1 REGISTER\r\nContact: <sip:alice@10.0.0.9>\r\nContent-Length: 0\r\n\r\n";
        let register = Message::parse(register.as_bytes().to_vec().into()).expect("a REGISTER");
        self.sip(2, &register);
    }

    /// The HSS answers what it was asked last.
    fn uaa(&mut self, wanted: Authorization, outcome: Outcome, server: Option<&str>) {
        let request = self.asked.pop().expect("the HSS is asked");
        assert_eq!(Uar::parse(&request).map(|uar| uar.authorization), Ok(wanted));
        let uaa = Uaa { server_name: server.map(str::to_owned), capabilities: None };
        let answer = diameter::Message::write(request.header().answer(), |out| {
            out.utf8(SESSION_ID, request.session_id().unwrap_or_default());
            outcome.write(out);
            out.utf8(ORIGIN_HOST, "hss.test").utf8(ORIGIN_REALM, "test");
            out.raw(cx::answer(&uaa).as_slice());
        });
        self.diameter(&answer);
    }

    /// A request to Alice.
    fn session(&mut self, method: &str) {
        let request = format!(
            "{method} sip:alice@test SIP/2.0\r\nVia: SIP/2.0/TCP p.test;branch=z9hG4bK{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:bob@test>;tag=1\r\nTo: <sip:alice@test>\r\nCall-ID: s\r\n\
             CSeq: 1 {method}\r\nContact: <sip:bob@10.0.0.8>\r\nContent-Length: 0\r\n\r\n"
        );
        let request = Message::parse(request.into()).expect("a request");
        self.sip(2, &request);
        self.sent.retain(|message| message.status() != 100);
    }

    /// The HSS answers an LIR.
    fn lia(&mut self, wanted: Option<Authorization>, server: Option<&str>) {
        let request = self.asked.pop().expect("the HSS is asked");
        let lir = Lir::parse(&request).expect("an LIR");
        assert_eq!((lir.public_identity.as_str(), lir.authorization), ("sip:alice@test", wanted));
        let lia = Lia { server_name: server.map(str::to_owned), capabilities: None };
        let answer = diameter::Message::write(request.header().answer(), |out| {
            out.utf8(SESSION_ID, request.session_id().unwrap_or_default());
            Outcome::from(ResultCode::SUCCESS).write(out);
            out.utf8(ORIGIN_HOST, "hss.test").utf8(ORIGIN_REALM, "test");
            out.raw(cx::answer(&lia).as_slice());
        });
        self.diameter(&answer);
    }

    /// An S-CSCF answers what it got.
    fn answers(&mut self, from: u64, copy: &Message, status: u16) {
        let mut answer = Message::answer(copy, status);
        answer.tag_to(&from.to_string());
        self.sip(from, &answer);
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.input(Input::Timeout);
    }

    /// What was sent: the Request-URI, or the status.
    fn sent(&mut self) -> Vec<String> {
        let line = |message: &Message| match message.status() {
            0 => message.uri().to_owned(),
            status => status.to_string(),
        };
        let lines = self.sent.iter().map(line).collect();
        self.sent.clear();
        lines
    }
}

#[test]
fn the_hss_is_asked_for_another_one_until_none_is_left() {
    use Authorization::{Registration, RegistrationAndCapabilities};
    let mut bench = Bench::new(&["sip:a.test", "sip:b.test", "sip:c.test"]);
    bench.register();
    bench.uaa(Registration, SUBSEQUENT, Some("sip:a.test"));
    assert_eq!(bench.sent(), ["sip:a.test"]);
    bench.wait(PATIENCE);
    assert!(bench.told.contains(&"icscf.scscf_failed".to_owned()));
    bench.uaa(RegistrationAndCapabilities, ResultCode::SUCCESS.into(), None);
    assert_eq!(bench.sent(), ["sip:b.test"]);
    // Once asked is enough.
    bench.wait(PATIENCE);
    assert_eq!(bench.sent(), ["sip:c.test"]);
    assert!(bench.asked.is_empty());
    bench.wait(Duration::from_secs(32));
    assert_eq!(bench.sent(), ["504"]);
    assert!(bench.told.contains(&"icscf.refused".to_owned()));
    assert!(!bench.icscf.is_busy());
}

#[test]
fn an_answer_of_the_s_cscf_is_an_answer() {
    use Authorization::{Registration, RegistrationAndCapabilities};
    for (status, passed) in [(401, true), (403, true), (500, true), (480, false), (503, false)] {
        let mut bench = Bench::new(&["sip:a.test", "sip:b.test"]);
        bench.register();
        bench.uaa(Registration, SUBSEQUENT, Some("sip:a.test"));
        let copy = bench.sent.pop().expect("it is forwarded");
        let mut answer = Message::answer(&copy, status);
        answer.tag_to("s");
        bench.sip(10, &answer);
        if passed {
            assert_eq!(bench.sent(), [status.to_string()]);
            continue;
        }
        bench.uaa(RegistrationAndCapabilities, ResultCode::SUCCESS.into(), None);
        assert_eq!(bench.sent(), ["sip:b.test"], "{status}");
    }
}

/// What the one that was given up says later is nobody's; and a new user gets one that answers.
#[test]
fn a_late_answer_comes_too_late() {
    let mut bench = Bench::new(&["sip:a.test", "sip:b.test"]);
    bench.register();
    bench.uaa(Authorization::Registration, FIRST, None);
    let first = bench.sent.pop().expect("it is forwarded");
    assert_eq!(first.uri(), "sip:a.test");
    bench.wait(PATIENCE);
    let second = bench.sent.pop().expect("it goes to the next one, and the HSS is not asked");
    assert_eq!(second.uri(), "sip:b.test");
    for (from, copy) in [(10, &first), (11, &second)] {
        let mut answer = Message::answer(copy, 401);
        answer.tag_to(&from.to_string());
        bench.sip(from, &answer);
    }
    let answers: Vec<_> = bench.sent.iter().filter_map(|m| m.get(sip::HeaderName::To)).collect();
    assert_eq!(answers, ["<sip:alice@test>;tag=11"]);
}

fn route(copy: &Message) -> Option<&str> {
    copy.get(sip::HeaderName::Route)
}

/// TS 23.380 §4.4.3.
#[test]
fn an_invite_that_an_s_cscf_says_nothing_to_goes_to_the_next_one() {
    let mut bench = Bench::new(&["sip:a.test", "sip:b.test"]);
    bench.session("INVITE");
    bench.lia(None, Some("sip:a.test"));
    let first = bench.sent.pop().expect("it is forwarded");
    assert_eq!(route(&first), Some("<sip:a.test;lr>"));
    bench.wait(PATIENCE);
    bench.lia(Some(Authorization::RegistrationAndCapabilities), None);
    let second = bench.sent.pop().expect("it goes on");
    assert_eq!(route(&second), Some("<sip:b.test;lr>"));
    // The first one comes to itself, and hears that it is not asked any more.
    bench.sent.clear();
    bench.answers(10, &first, 100);
    let cancel = bench.sent.pop().expect("it is told");
    assert_eq!((cancel.method(), route(&cancel)), (Some(&Method::Cancel), route(&first)));
    bench.answers(10, &first, 487);
    bench.sent.clear();
    bench.answers(11, &second, 200);
    assert_eq!(bench.sent(), ["200"]);
}

/// A phone rings for longer than an S-CSCF may be silent; and what an S-CSCF says is an answer.
#[test]
fn an_s_cscf_that_says_something_is_there() {
    for status in [180, 480, 486, 503, 504] {
        let mut bench = Bench::new(&["sip:a.test", "sip:b.test"]);
        bench.session("INVITE");
        bench.lia(None, Some("sip:a.test"));
        let copy = bench.sent.pop().expect("it is forwarded");
        bench.answers(10, &copy, 100);
        bench.wait(PATIENCE);
        assert!(bench.sent().is_empty() && bench.asked.is_empty());
        bench.answers(10, &copy, status);
        assert!(bench.asked.is_empty(), "{status}");
        assert!(bench.sent().contains(&status.to_string()), "{status}");
    }
}

/// The called phone knows of the call, and would take a second INVITE for a loop.
#[test]
fn a_call_that_an_s_cscf_had_ends_with_it() {
    let mut bench = Bench::new(&["sip:a.test", "sip:b.test"]);
    bench.session("INVITE");
    bench.lia(None, Some("sip:a.test"));
    let copy = bench.sent.pop().expect("it is forwarded");
    bench.answers(10, &copy, 180);
    bench.sent.clear();
    bench.input(Input::Closed { flow: flow(Service::Sip, 10), error: FlowError::Closed });
    assert_eq!((bench.sent(), bench.asked.len()), (vec!["504".to_owned()], 0));
}

/// RFC 4320: it waits for the phone and says nothing meanwhile.
#[test]
fn of_a_text_nobody_knows_who_is_silent() {
    let mut bench = Bench::new(&["sip:a.test", "sip:b.test"]);
    bench.session("MESSAGE");
    bench.lia(None, Some("sip:a.test"));
    assert_eq!(bench.sent().len(), 1);
    bench.wait(PATIENCE);
    bench.wait(Duration::from_secs(32));
    assert!(bench.asked.is_empty());
}

/// Where there is no other one it is tried for as long as an INVITE lasts.
#[test]
fn the_only_s_cscf_may_take_its_time() {
    let mut bench = Bench::new(&["sip:a.test"]);
    bench.session("INVITE");
    bench.lia(None, Some("sip:a.test"));
    assert_eq!(bench.sent().len(), 1);
    bench.wait(PATIENCE);
    assert!(bench.asked.is_empty() && bench.sent().is_empty());
}
