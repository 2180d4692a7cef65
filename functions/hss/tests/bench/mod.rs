//! An HSS on a fake wire, with a store in memory that can fail.

use std::collections::BTreeMap;

use base::machine::{Function, Input, Output};
use base::redact::Secret;
use base::store::{Change, Durability, StoreError, Table};
use base::{Bytes, Endpoint, Flow, FlowId, Instant, Random, Service, Transport, WireId};
use diameter::cx::{self, Body};
use diameter::dictionary::*;
use diameter::header::{Flags, Header};
use diameter::{Message, NodeConfig, Outcome, Writer};
use hss::profile::FilterCriteria;
use hss::subscriber::OperatorKey;
use hss::{Hss, HssConfig, Subscriber};

pub(crate) const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";
pub(crate) const IMPI: &str = "001010000000001@ims.mnc001.mcc001.3gppnetwork.org";
pub(crate) const IMPU: &str = "sip:001010000000001@ims.mnc001.mcc001.3gppnetwork.org";
pub(crate) const NUMBER: &str = "tel:+491701";
pub(crate) const SCSCF: &str = "sip:scscf.ims.mnc001.mcc001.3gppnetwork.org";
pub(crate) const NOW: Instant = Instant::from_unix_micros(1_700_000_000_000_000);

pub(crate) struct Bench {
    pub(crate) hss: Hss,
    pub(crate) store: BTreeMap<(Table, Bytes), Bytes>,
    /// Set: loads of this table fail.
    pub(crate) broken_loads: Option<Table>,
    /// Set: commits fail.
    pub(crate) broken_commits: Option<StoreError>,
    /// Commits that somebody waited for.
    pub(crate) waited: usize,
    pub(crate) counters: Vec<&'static str>,
    pub(crate) answers: Vec<Message>,
    hop: u32,
}

pub(crate) fn k() -> auth::milenage::Key {
    Secret::new([0x11; 16])
}

pub(crate) fn opc() -> auth::milenage::Key {
    Secret::new([0x22; 16])
}

pub(crate) fn sim() -> Subscriber {
    let operator = OperatorKey::Opc(opc());
    let numbers = ["491701".to_owned()];
    Subscriber::from_sim("001010000000001", &numbers, k(), operator, [0x80, 0], DOMAIN).unwrap()
}

pub(crate) fn flow() -> Flow {
    Flow {
        id: FlowId(1),
        service: Service::Diameter,
        transport: Transport::Wire,
        local: Endpoint::Wire(WireId(1)),
        remote: Endpoint::Wire(WireId(2)),
        proved: false,
    }
}

pub(crate) fn config(criteria: Vec<FilterCriteria>) -> HssConfig {
    HssConfig {
        node: NodeConfig::new("hss.example", "example"),
        scscfs: vec![SCSCF.to_owned()],
        criteria,
        psis: Vec::new(),
    }
}

fn hss(seed: u64) -> Hss {
    Hss::new(config(Vec::new()), Random::from_u64(seed))
}

impl Bench {
    /// An HSS with these subscribers and one open peer.
    pub(crate) fn new(subscribers: &[Subscriber]) -> Bench {
        let mut bench = Bench {
            hss: hss(1),
            store: BTreeMap::new(),
            broken_loads: None,
            broken_commits: None,
            waited: 0,
            counters: Vec::new(),
            answers: Vec::new(),
            hop: 100,
        };
        for subscriber in subscribers {
            bench.apply(hss::records(subscriber));
        }
        bench.connect();
        bench
    }

    pub(crate) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { table, key, value } => {
                    self.store.insert((table, key), value);
                }
                Change::Delete { table, key } => {
                    self.store.remove(&(table, key));
                }
            }
        }
    }

    /// Another process with the same store.
    pub(crate) fn restart(&mut self) {
        self.hss = hss(2);
        for ((table, key), value) in self.store.clone() {
            self.input(Input::Restored { table, key, value });
        }
        self.connect();
    }

    fn connect(&mut self) {
        self.input(Input::Start);
        self.greet();
    }

    /// The peer's connection is gone.
    pub(crate) fn disconnect(&mut self) {
        self.input(Input::Closed { flow: flow(), error: base::FlowError::Closed });
    }

    /// The peer connects.
    pub(crate) fn greet(&mut self) {
        let cer = self.message(CMD_CAPABILITIES_EXCHANGE, 0, |out| {
            out.utf8(ORIGIN_HOST, "cscf.example").utf8(ORIGIN_REALM, "example");
            out.u32(VENDOR_ID, 0)
                .utf8(PRODUCT_NAME, "test")
                .u32(AUTH_APPLICATION_ID, cx::APPLICATION);
        });
        self.send(&cer);
        assert!(self.answers.remove(0).outcome().unwrap().is_success());
    }

    pub(crate) fn message(
        &mut self,
        command: u32,
        app: u32,
        avps: impl FnOnce(&mut Writer),
    ) -> Message {
        self.hop += 1;
        let header = Header {
            flags: Flags::REQUEST.with(Flags::PROXIABLE),
            command,
            application: app,
            hop_by_hop: self.hop,
            end_to_end: self.hop,
        };
        Message::write(header, avps)
    }

    pub(crate) fn request<B: Body>(&mut self, body: &B) -> Message {
        self.message(B::COMMAND, cx::APPLICATION, |out| {
            out.utf8(SESSION_ID, "cscf.example;1;1");
            out.utf8(ORIGIN_HOST, "cscf.example").utf8(ORIGIN_REALM, "example");
            out.utf8(DESTINATION_REALM, "example");
            out.raw(cx::answer(body).as_slice());
        })
    }

    /// Sends a request and returns its one answer.
    pub(crate) fn ask<B: Body>(&mut self, body: &B) -> Message {
        let request = self.request(body);
        self.send(&request);
        assert_eq!(self.answers.len(), 1, "one request, one answer");
        let answer = self.answers.remove(0);
        assert_eq!(answer.header().end_to_end, request.header().end_to_end);
        assert_eq!(answer.session_id(), Some("cscf.example;1;1"));
        answer
    }

    /// The outcome of a request.
    pub(crate) fn outcome<B: Body>(&mut self, body: &B) -> Outcome {
        self.ask(body).outcome().unwrap()
    }

    pub(crate) fn send(&mut self, message: &Message) {
        self.input(Input::Received { flow: flow(), message: message.bytes().clone() });
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while !inputs.is_empty() {
            self.hss.handle(NOW, inputs.remove(0));
            while let Some(output) = self.hss.poll() {
                match output {
                    Output::Load { load, table, key } => {
                        let value = if self.broken_loads == Some(table) {
                            Err(StoreError::Failed)
                        } else {
                            Ok(self.store.get(&(table, key)).cloned())
                        };
                        inputs.push(Input::Loaded { load, value });
                    }
                    Output::Scan { load, table, after, limit } => {
                        let start = (table, after.clone().unwrap_or_default());
                        let keys = self.store.range(start..).map(|(key, _)| key.clone());
                        let keys = keys.take_while(|(of, _)| *of == table).map(|(_, key)| key);
                        let keys = keys.filter(|key| Some(key) != after.as_ref()).take(limit);
                        let keys = match self.broken_loads == Some(table) {
                            true => Err(StoreError::Failed),
                            false => Ok(keys.collect()),
                        };
                        inputs.push(Input::Scanned { load, keys });
                    }
                    Output::Store { durability, changes, commit } => {
                        assert_eq!(commit.is_some(), durability == Durability::Before);
                        let result = self.broken_commits.map_or(Ok(()), Err);
                        if result.is_ok() {
                            self.apply(changes);
                        }
                        if let Some(commit) = commit {
                            self.waited += 1;
                            inputs.push(Input::Committed { commit, result });
                        }
                    }
                    Output::Transmit { message, .. } => {
                        self.answers.push(Message::parse(message).unwrap());
                    }
                    Output::Log(event) => self.counters.push(event.counter),
                    Output::Close { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
