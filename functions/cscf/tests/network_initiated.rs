//! RTR and PPR at the S-CSCF, message by message: TS 29.228 §6.1.3 and §6.2.2. The test plays the HSS.

use base::flow::{FlowId, WireId};
use base::machine::{Function, Input, Name, Output};
use base::store::Change;
use base::time::Duration;
use base::trust::Networks;
use base::{Endpoint, Flow, Instant, Random, Service, Transport};
use cscf::scscf::config::ScscfConfig;
use cscf::scscf::{SERVES, Scscf, TABLE};
use diameter::cx::{self, Body, DeregistrationReason, Ppr, ReasonCode, Rta, Rtr};
use diameter::dictionary::*;
use diameter::header::{Flags, Header};
use diameter::{ExperimentalCode, Message, NodeConfig, Outcome, ResultCode, Writer};

const SUCCESS: Outcome = Outcome::Base(ResultCode::SUCCESS);
const UNKNOWN: Outcome = Outcome::Experimental(ExperimentalCode::ERROR_USER_UNKNOWN);

struct Server {
    scscf: Scscf,
    now: Instant,
    hop: u32,
    answers: Vec<Message>,
    changes: Vec<Change>,
}

fn flow() -> Flow {
    Flow {
        id: FlowId(1),
        service: Service::Diameter,
        transport: Transport::Wire,
        local: Endpoint::Wire(WireId(0)),
        remote: Endpoint::Wire(WireId(1)),
        proved: false,
    }
}

fn profile(name: &str, identities: &[&str]) -> String {
    let identities: String = identities
        .iter()
        .map(|uri| format!("<PublicIdentity><Identity>{uri}</Identity></PublicIdentity>"))
        .collect();
    format!(
        "<IMSSubscription><PrivateID>{name}@test</PrivateID><ServiceProfile>{identities}\
         </ServiceProfile></IMSSubscription>"
    )
}

impl Server {
    /// An S-CSCF with the registered users `alice` and `bob`, whom the HSS has connected to.
    fn new() -> Server {
        let mut diameter = NodeConfig::new("scscf.test", "test");
        diameter.applications.push(cx::application(&SERVES));
        let config = ScscfConfig {
            host: "scscf.test".to_owned(),
            port: None,
            addresses: Vec::new(),
            bgcf: None,
            dialling: None,
            enum_suffix: None,
            home_domain: "test".to_owned(),
            icscf: Name { service: Service::Sip, host: "test".into(), port: None, transport: None },
            relay: None,
            trust: Networks::default(),
            limits: cscf::LimitsConfig::default(),
            diameter,
            diameter_realm: "test".to_owned(),
            cx_timeout: Duration::from_secs(5),
            min_expires: 60,
            max_expires: 3600,
            digest: vec![auth::digest::Algorithm::Md5],
            await_auth: Duration::from_secs(240),
            restoration: false,
            max_contacts: 8,
        };
        let scscf = Scscf::new(config, Random::from_u64(1));
        let now = Instant::from_unix_micros(1_000_000);
        let (answers, changes) = (Vec::new(), Vec::new());
        let mut server = Server { scscf, now, hop: 0, answers, changes };
        for name in ["alice", "bob"] {
            let user = serde_json::json!({
                "impi": format!("{name}@test"),
                "user_data": profile(name, &[&format!("sip:{name}@test")]),
                "contacts": [{
                    "element": format!("<sip:{name}@10.0.0.9>"), "uri": format!("sip:{name}@10.0.0.9"),
                    "instance": null, "path": [], "call_id": "c", "cseq": 1, "q": 1000,
                    "lifetime": {"end": 3_000_000_000_u64, "granted": 3600},
                }],
            });
            let (key, value) = (format!("{name}@test").into(), user.to_string().into());
            server.input(Input::Restored { table: TABLE, key, value });
        }
        assert_eq!(server.scscf.registered(), 2);
        server.input(Input::Start);
        // The first start writes the key of the GRUUs down.
        server.changes.clear();
        let cea = server.ask(CMD_CAPABILITIES_EXCHANGE, 0, |out| {
            out.utf8(ORIGIN_HOST, "hss.test").utf8(ORIGIN_REALM, "test").u32(VENDOR_ID, 0);
            out.utf8(PRODUCT_NAME, "test").u32(AUTH_APPLICATION_ID, cx::APPLICATION);
        });
        assert_eq!(cea.outcome(), Some(SUCCESS));
        server
    }

    fn input(&mut self, input: Input) {
        self.scscf.handle(self.now, input);
        while let Some(output) = self.scscf.poll() {
            match output {
                Output::Transmit { message, .. } => {
                    self.answers.push(Message::parse(message).expect("the S-CSCF sends Diameter"));
                }
                Output::Store { changes, .. } => self.changes.extend(changes),
                _ => {}
            }
        }
    }

    fn ask(&mut self, command: u32, application: u32, avps: impl FnOnce(&mut Writer)) -> Message {
        self.hop += 1;
        let (hop_by_hop, end_to_end) = (self.hop, self.hop);
        let flags = Flags::REQUEST.with(Flags::PROXIABLE);
        let header = Header { flags, command, application, hop_by_hop, end_to_end };
        let message = Message::write(header, avps).bytes().clone();
        self.input(Input::Received { flow: flow(), message });
        assert_eq!(self.answers.len(), 1, "one request, one answer");
        self.answers.remove(0)
    }

    fn tell<B: Body>(&mut self, body: &B) -> Message {
        self.ask(B::COMMAND, cx::APPLICATION, |out| {
            out.utf8(SESSION_ID, "hss.test;1;1").utf8(ORIGIN_HOST, "hss.test");
            out.utf8(ORIGIN_REALM, "test").utf8(DESTINATION_REALM, "test");
            out.utf8(DESTINATION_HOST, "scscf.test").raw(cx::answer(body).as_slice());
        })
    }
}

fn rtr(name: &str, identities: &[&str]) -> Rtr {
    Rtr {
        user_name: format!("{name}@test"),
        associated_identities: Vec::new(),
        public_identities: identities.iter().map(|&uri| uri.to_owned()).collect(),
        reason: DeregistrationReason { code: ReasonCode::PermanentTermination, info: None },
    }
}

fn ppr(name: &str, user_data: Option<String>) -> Ppr {
    let user_data = user_data.map(String::into_bytes);
    Ppr { user_name: format!("{name}@test"), user_data, charging: None }
}

#[test]
fn an_rtr_ends_registrations() {
    let mut server = Server::new();
    assert_eq!(server.tell(&rtr("nobody", &[])).outcome(), Some(UNKNOWN));
    assert_eq!(server.tell(&rtr("alice", &["sip:bob@test"])).outcome(), Some(UNKNOWN));
    assert_eq!(server.scscf.registered(), 2);
    let answer = server.tell(&rtr("alice", &["sip:other@test", "SIP:alice@TEST"]));
    assert_eq!(answer.outcome(), Some(SUCCESS));
    assert_eq!(Rta::parse(&answer), Ok(Rta::default()));
    assert_eq!(server.scscf.registered(), 1);
    assert!(matches!(server.changes[..], [Change::Delete { .. }]), "{:?}", server.changes);
    assert_eq!(server.tell(&rtr("alice", &[])).outcome(), Some(UNKNOWN));
}

/// TS 29.228 §6.1.3: another S-CSCF has him, his registration goes on, and nobody is told of anything.
#[test]
fn who_has_another_server_is_forgotten() {
    let mut server = Server::new();
    let reason = DeregistrationReason { code: ReasonCode::NewServerAssigned, info: None };
    let answer = server.tell(&Rtr { reason, ..rtr("alice", &[]) });
    assert_eq!((answer.outcome(), server.scscf.registered()), (Some(SUCCESS), 1));
    assert!(matches!(server.changes[..], [Change::Delete { .. }]), "{:?}", server.changes);
}

#[test]
fn an_rtr_names_the_private_identities_that_went_too() {
    let mut server = Server::new();
    let associated_identities = vec!["bob@test".to_owned(), "carol@test".to_owned()];
    let answer = server.tell(&Rtr { associated_identities, ..rtr("alice", &[]) });
    assert_eq!(answer.outcome(), Some(SUCCESS));
    assert_eq!(
        Rta::parse(&answer).map(|rta| rta.associated_identities),
        Ok(vec!["bob@test".into()])
    );
    assert_eq!(server.scscf.registered(), 0);
}

#[test]
fn a_ppr_changes_the_profile_and_keeps_the_contacts() {
    let mut server = Server::new();
    let new = profile("alice", &["tel:+491701"]);
    assert_eq!(server.tell(&ppr("nobody", Some(new.clone()))).outcome(), Some(UNKNOWN));
    assert_eq!(server.tell(&ppr("alice", None)).outcome(), Some(SUCCESS));
    let unreadable = server.tell(&ppr("alice", Some("<what>".to_owned())));
    let refused = ExperimentalCode::ERROR_NOT_SUPPORTED_USER_DATA.into();
    assert_eq!(unreadable.outcome(), Some(refused));
    assert!(server.changes.is_empty());
    assert_eq!(server.tell(&ppr("alice", Some(new))).outcome(), Some(SUCCESS));
    assert_eq!(server.scscf.registered(), 2);
    let [Change::Put { value, .. }] = &server.changes[..] else { panic!("{:?}", server.changes) };
    let stored = String::from_utf8_lossy(value);
    assert!(stored.contains("tel:+491701") && stored.contains("10.0.0.9"), "{stored}");
    // The old identity is his no longer.
    assert_eq!(server.tell(&rtr("alice", &["sip:alice@test"])).outcome(), Some(UNKNOWN));
    assert_eq!(server.tell(&rtr("alice", &["tel:+491701"])).outcome(), Some(SUCCESS));
}

#[test]
fn a_request_that_lacks_something_is_refused() {
    let mut server = Server::new();
    let answer = server.ask(Rtr::COMMAND, cx::APPLICATION, |out| {
        out.utf8(SESSION_ID, "hss.test;1;1").utf8(ORIGIN_HOST, "hss.test");
        out.utf8(ORIGIN_REALM, "test").utf8(DESTINATION_REALM, "test");
        out.utf8(USER_NAME, "alice@test");
    });
    assert_eq!(answer.outcome(), Some(ResultCode::MISSING_AVP.into()));
    assert_eq!(server.scscf.registered(), 2);
}
