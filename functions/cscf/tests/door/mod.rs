//! A P-CSCF between one phone and a network that the test plays.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use base::flow::{FlowId, WireId};
use base::machine::{Function, Name, OpenId, Target};
use base::{Endpoint, Flow, Input, Instant, Output, Random, Service, Transport};
use cscf::pcscf::Pcscf;
use cscf::pcscf::config::PcscfConfig;
use sip::Message;
use sip::header::HeaderName;

pub const PHONE: &str = "10.0.0.9:5060";

/// A P-CSCF between one phone and a network that the test plays.
pub struct Door {
    pub pcscf: Pcscf,
    pub now: Instant,
    pub to_phone: Vec<Message>,
    pub to_network: Vec<Message>,
}

pub fn access(phone: &str) -> Flow {
    Flow {
        id: FlowId(1),
        service: Service::Sip,
        transport: Transport::Udp,
        local: Endpoint::Ip("10.0.0.1:5060".parse().expect("an address")),
        remote: Endpoint::Ip(phone.parse().expect("an address")),
        proved: false,
    }
}

pub fn core() -> Flow {
    let (local, remote) = (Endpoint::Wire(WireId(0)), Endpoint::Wire(WireId(1)));
    Flow {
        id: FlowId(2),
        service: Service::Sip,
        transport: Transport::Wire,
        local,
        remote,
        proved: false,
    }
}

impl Door {
    pub fn new() -> Door {
        Door::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut PcscfConfig)) -> Door {
        let icscf =
            Name { service: Service::Sip, host: "icscf.test".into(), port: None, transport: None };
        let mut config = PcscfConfig::new("pcscf.test", icscf);
        change(&mut config);
        let pcscf = Pcscf::new(config, Random::from_u64(1));
        let now = Instant::from_unix_micros(1_000_000);
        let mut door = Door { pcscf, now, to_phone: vec![], to_network: vec![] };
        door.input(Input::Start);
        door
    }

    pub fn input(&mut self, input: Input) {
        self.pcscf.handle(self.now, input);
        while let Some(output) = self.pcscf.poll() {
            match output {
                Output::Transmit { flow, message } => {
                    let message = Message::parse(message).expect("the P-CSCF sends SIP");
                    let network = flow.transport == Transport::Wire;
                    let to = if network { &mut self.to_network } else { &mut self.to_phone };
                    to.push(message);
                }
                Output::Resolve { query, .. } => {
                    let target = Target { transport: Transport::Wire, endpoint: core().remote };
                    self.pcscf.handle(self.now, Input::Resolved { query, targets: vec![target] });
                }
                Output::Open { open: OpenId(open), .. } => {
                    let opened = Input::Opened { open: OpenId(open), flow: core() };
                    self.pcscf.handle(self.now, opened);
                }
                _ => {}
            }
        }
    }

    pub fn phone_says(&mut self, start: &str, headers: &str) {
        self.phone_says_on(access(PHONE), start, headers);
    }

    pub fn phone_says_on(&mut self, flow: Flow, start: &str, headers: &str) {
        let method = start.split(' ').next().unwrap_or_default();
        let text = format!(
            "{start} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@test>;tag=1\r\nCall-ID: c{method}\r\nCSeq: 1 {method}\r\n{headers}\r\n",
            self.to_phone.len() + self.to_network.len(),
        );
        self.input(Input::Received { flow, message: text.into() });
    }

    /// The network answers the last request that it got.
    pub fn network_answers(&mut self, status: u16, change: impl FnOnce(&mut Message)) {
        let mut answer = Message::answer(self.to_network.last().expect("a request"), status);
        answer.tag_to("n");
        change(&mut answer);
        self.input(Input::Received { flow: core(), message: answer.to_bytes() });
    }

    pub fn register(&mut self) {
        self.register_on(access(PHONE));
    }

    pub fn register_on(&mut self, flow: Flow) {
        self.phone_says_on(
            flow,
            "REGISTER sip:test",
            "To: <sip:alice@test>\r\nContact: <sip:a@10.0.0.9>\r\n",
        );
        self.network_answers(200, |ok| {
            ok.push(HeaderName::Contact, "<sip:a@10.0.0.9>;expires=600");
            ok.push(HeaderName::ServiceRoute, "<sip:orig@scscf.test;lr>");
            ok.push(HeaderName::PAssociatedUri, "<sip:alice@test>, <tel:+123456>");
        });
        assert_eq!(self.to_phone.last().map(Message::status), Some(200));
    }
}
