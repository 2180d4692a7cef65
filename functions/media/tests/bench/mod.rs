//! Media control with a packet path: the relay's real core, its ports just numbers.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part")]

pub(crate) mod browser;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use base::log::Event as Log;
use base::machine::OpenId;
use base::relay::{Command, Event, Onward, PortId};
use base::store::{Change, Table};
use base::time::Duration;
use base::{
    Bytes, Endpoint, Flow, FlowId, Function, Input, Instant, Output, Random, Service, Transport,
    WireId,
};
use dtls::Certificate;
use media::{Media, MediaConfig, Path, Relay};
use ng::{Encoding, Message, Request, Response};

pub(crate) struct Bench {
    pub(crate) media: Media,
    pub(crate) now: Instant,
    pub(crate) path: Path,
    /// RTP ports by name, with the address that they are bound to.
    pub(crate) ports: BTreeMap<PortId, SocketAddr>,
    pub(crate) most: usize,
    /// Another process has the ports that are wanted.
    pub(crate) taken: bool,
    /// A packet path that does not answer.
    pub(crate) deaf: bool,
    pub(crate) logs: Vec<Log>,
    pub(crate) replies: Vec<Bytes>,
    /// The same with the flow, and flows that were closed.
    pub(crate) sent: Vec<(FlowId, Option<Bytes>)>,
    /// What the program is told.
    pub(crate) reports: Vec<base::Report>,
    /// What its store has.
    pub(crate) records: BTreeMap<(Table, Bytes), Bytes>,
    /// Connections that it wants.
    pub(crate) opening: Vec<OpenId>,
    failed: BTreeSet<PortId>,
    next_port: u16,
    cookie: u64,
}

pub(crate) fn v4() -> IpAddr {
    "198.51.100.1".parse().unwrap()
}

pub(crate) fn v6() -> IpAddr {
    "2001:db8::100".parse().unwrap()
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::with(MediaConfig::new([v4(), v6()]))
    }

    pub(crate) fn with(config: MediaConfig) -> Bench {
        let certificate = Certificate::generate().unwrap();
        Bench {
            media: Media::new(config, certificate.clone(), Random::from_u64(1)),
            now: Instant::from_unix_micros(1_700_000_000_000_000),
            path: Path::new(certificate),
            ports: BTreeMap::new(),
            most: usize::MAX,
            taken: false,
            deaf: false,
            logs: Vec::new(),
            replies: Vec::new(),
            sent: Vec::new(),
            reports: Vec::new(),
            records: BTreeMap::new(),
            opening: Vec::new(),
            failed: BTreeSet::new(),
            next_port: 30_000,
            cookie: 0,
        }
    }

    /// A relay whose calls others go on with, and who knows of their records.
    pub(crate) fn relay_named(name: &str, records: &BTreeMap<(Table, Bytes), Bytes>) -> Bench {
        let doors = vec!["192.0.2.9:2223".parse().unwrap()];
        let relay = Some(Relay { name: name.to_owned(), doors });
        let config = MediaConfig { relay, ..MediaConfig::new([v4(), v6()]) };
        let mut bench = Bench::with(config.clone());
        // Its names of ports and its keys are others.
        let seed = name.bytes().map(u64::from).sum();
        let certificate = Certificate::generate().unwrap();
        bench.path = Path::new(certificate.clone());
        bench.media = Media::new(config, certificate, Random::from_u64(seed));
        bench.records.clone_from(records);
        for ((table, key), value) in records.clone() {
            bench.input(Input::Restored { table, key, value });
        }
        bench.input(Input::Start);
        bench
    }

    /// This relay dies, and another one goes on.
    pub(crate) fn heir(&self, name: &str) -> Bench {
        let mut heir = Bench::relay_named(name, &self.records);
        heir.now = self.now;
        heir.next_port = 40_000;
        heir.nobody_answers();
        heir
    }

    /// The connections that it wants cannot be had.
    pub(crate) fn nobody_answers(&mut self) {
        for open in std::mem::take(&mut self.opening) {
            self.input(Input::OpenFailed { open, error: base::FlowError::Refused });
        }
    }

    pub(crate) fn flow() -> Flow {
        let (local, remote) = (Endpoint::Wire(WireId(1)), Endpoint::Wire(WireId(2)));
        let (service, transport) = (Service::Ng, Transport::Wire);
        Flow { id: FlowId(1), service, transport, local, remote, proved: false }
    }

    /// Hands bytes in and returns all replies.
    pub(crate) fn bytes(&mut self, message: &[u8]) -> Vec<Bytes> {
        let message = Bytes::copy_from_slice(message);
        self.input(Input::Received { flow: Bench::flow(), message });
        std::mem::take(&mut self.replies)
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.media.handle(self.now, input);
        loop {
            match self.media.poll() {
                Some(Output::Relay(command)) => self.command(command),
                Some(Output::Transmit { flow, message }) => {
                    self.sent.push((flow.id, Some(message.clone())));
                    self.replies.push(message);
                }
                Some(Output::Close { flow }) => self.sent.push((flow.id, None)),
                Some(Output::Report(report)) => self.reports.push(report),
                Some(Output::Store { changes, .. }) => changes.into_iter().for_each(|change| {
                    let _ = match change {
                        Change::Put { table, key, value } => {
                            self.records.insert((table, key), value)
                        }
                        Change::Delete { table, key } => self.records.remove(&(table, key)),
                    };
                }),
                Some(Output::Open { open, .. }) => self.opening.push(open),
                Some(Output::Log(log)) => self.logs.push(log),
                Some(other) => panic!("{other:?}"),
                None => match self.path.poll_event() {
                    Some(event) => self.media.handle(self.now, Input::Relay(event)),
                    None => return,
                },
            }
        }
    }

    fn command(&mut self, command: Command) {
        if self.deaf {
            return;
        }
        match command {
            Command::Open { port, address, rtp } => {
                let taken = rtp.is_some() && self.taken;
                if self.ports.len() >= self.most || taken {
                    self.failed.insert(port);
                    return self.media.handle(self.now, Input::Relay(Event::NoPort { port }));
                }
                let local = SocketAddr::new(address, rtp.unwrap_or(self.next_port));
                self.next_port += 2 * u16::from(rtp.is_none());
                self.path.open(port, local);
                assert!(self.ports.insert(port, local).is_none(), "a name is used once");
                let event = Event::Opened { port, rtp: local.port() };
                self.media.handle(self.now, Input::Relay(event));
            }
            Command::Close { port } => {
                // Its opening may have failed while media control did not know yet.
                let open = self.ports.remove(&port).is_some();
                assert!(open || self.failed.remove(&port), "closed once");
                self.path.command(self.now, command);
            }
            command => {
                if let Command::Join { a, b } = &command {
                    let open = [a, b].iter().all(|side| self.ports.contains_key(&side.port));
                    assert!(open, "ports are open when joined");
                }
                self.path.command(self.now, command);
            }
        }
    }

    /// A request and its response.
    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        let even = self.cookie.is_multiple_of(2);
        self.ask_in(if even { Encoding::Bencode } else { Encoding::Json }, request)
    }

    /// The same in one of the encodings.
    pub(crate) fn ask_in(&mut self, encoding: Encoding, request: &Request) -> Response {
        self.cookie += 1;
        let cookie = format!("{}_x", self.cookie);
        let message = Message { cookie: cookie.clone(), encoding, dict: request.to_dict() };
        let replies = self.bytes(&message.emit());
        assert_eq!(replies.len(), 1, "{request:?}");
        let reply = Message::parse(&replies[0]).unwrap();
        assert_eq!((reply.cookie, reply.encoding), (cookie, encoding));
        Response::from_dict(&reply.dict).unwrap()
    }

    /// A request that must succeed, and its description.
    pub(crate) fn sdp(&mut self, request: &Request) -> String {
        let response = self.ask(request);
        String::from_utf8(response.sdp.unwrap_or_else(|| panic!("{:?}", response.error_reason)))
            .unwrap()
    }

    /// Sets a call up; the ports that face who calls and who is called.
    pub(crate) fn connect(&mut self, offer: &Request, answer: &Request) -> [u16; 2] {
        let at_callee = self.sdp(offer);
        let at_caller = self.sdp(answer);
        [at_caller, at_callee].map(|sdp| port_of(&sdp, 0))
    }

    /// All that is known of the call, as JSON.
    pub(crate) fn query(&mut self) -> String {
        self.cookie += 1;
        let ask = r#"{"command":"query","call-id":"call","from-tag":"ft"}"#;
        let replies = self.bytes(format!("{}_q {ask}", self.cookie).as_bytes());
        String::from_utf8(replies[0].to_vec()).unwrap()
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.media.deadline().filter(|d| d.at <= end) {
            self.now = self.now.max(deadline.at);
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    /// A packet arrives at the port of the relay with this number.
    pub(crate) fn packet(&mut self, from: &str, to: u16, sequence: u16) -> Option<Onward> {
        let bytes = rtp::Builder { sequence, payload: &[0; 160], ..Default::default() }.build();
        self.relay(from, to, &bytes).map(|(out, _)| out)
    }

    /// The same with these bytes; what leaves.
    pub(crate) fn relay(&mut self, from: &str, to: u16, bytes: &[u8]) -> Option<(Onward, Vec<u8>)> {
        let of = |local: &SocketAddr| local.port() & !1 == to & !1;
        let (port, _) = self.ports.iter().find(|(_, local)| of(local))?;
        let mut buffer = [bytes, &[0; 64]].concat();
        let (from, rtcp) = (from.parse().unwrap(), to % 2 == 1);
        let out = self.path.packet(self.now, (*port, rtcp), from, &mut buffer, bytes.len());
        while let Some(event) = self.path.poll_event() {
            self.input(Input::Relay(event));
        }
        buffer.truncate(out?.length);
        Some((out?, buffer))
    }
}

impl Bench {
    /// The address of a port, or of its RTCP.
    pub(crate) fn local(&self, port: PortId, rtcp: bool) -> SocketAddr {
        let local = self.ports[&port];
        SocketAddr::new(local.ip(), local.port() + u16::from(rtcp))
    }

    /// Packets of the relay's own: from where, to whom.
    pub(crate) fn leaving(&mut self) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        while let Some(event) = self.path.poll_event() {
            self.input(Input::Relay(event));
        }
        let packets = std::iter::from_fn(|| self.path.poll_packet()).collect::<Vec<_>>();
        // A port may be closed meanwhile.
        let open = packets.into_iter().filter(|(onward, _)| self.ports.contains_key(&onward.port));
        open.map(|(onward, bytes)| (self.local(onward.port, onward.rtcp), onward.to, bytes))
            .collect()
    }
}

/// The description of a phone.
pub(crate) fn phone(address: &str, port: u16) -> String {
    let kind = if address.contains(':') { "IP6" } else { "IP4" };
    format!(
        "v=0\r\no=- 1 1 IN {kind} {address}\r\ns=-\r\nc=IN {kind} {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=x-odd:1\r\n"
    )
}

pub(crate) fn offer(sdp: &str) -> Request {
    let sdp = Some(sdp.as_bytes().to_vec());
    Request { sdp, ..Request::about(ng::Command::Offer, "call", "ft") }
}

pub(crate) fn answer(sdp: &str) -> Request {
    let sdp = Some(sdp.as_bytes().to_vec());
    Request { sdp, to_tag: Some("tt".into()), ..Request::about(ng::Command::Answer, "call", "ft") }
}

pub(crate) fn delete() -> Request {
    Request::about(ng::Command::Delete, "call", "ft")
}

pub(crate) fn port_of(sdp: &str, index: usize) -> u16 {
    sdp::Session::parse(sdp.as_bytes()).unwrap().media()[index].port().unwrap()
}
