//! A registration and a call as they cross the seams of an IMS: phones on UDP, functions on wires.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses its part, and may fail"
)]

use base::time::Duration;
use base::{Bytes, Endpoint, Instant, Service, Transport, WireId};
use diameter::dictionary::*;
use diameter::header::{Flags, Header};
use diameter::{Message, ResultCode, Writer};
use ladder::{Party, Record};
use ng::{Dict, Encoding, Value};

/// 2026-01-02 03:04:05.678901 UTC.
pub const START: Instant = Instant::from_unix_micros(1_767_323_045_678_901);

pub const HOME: &str = "ims.mnc001.mcc001.3gppnetwork.org";
pub const CX: u32 = 16_777_216;

/// Where everybody lives, and what a second run of the same network calls things.
#[derive(Clone, Debug)]
pub struct Place {
    /// Functions on sockets of hosts of their own, over UDP and TCP, instead of on wires.
    pub hosts: bool,
    /// What makes random tokens of one run differ from those of another.
    pub seed: u32,
}

impl Place {
    pub const PROCESS: Place = Place { hosts: false, seed: 0x1d4e };
    pub const HOSTS: Place = Place { hosts: true, seed: 0x9a2b7 };
}

pub const PHONES: [(&str, &str, &str); 2] =
    [("alice", "001010000000001", "+491700000001"), ("bob", "001010000000002", "+491700000002")];

pub struct Net {
    pub place: Place,
    pub now: Instant,
    pub records: Vec<Record>,
    exchanges: u32,
}

impl Net {
    pub fn new(place: Place) -> Net {
        Net { place, now: START, records: Vec::new(), exchanges: 0 }
    }

    pub fn wait(&mut self, micros: u64) {
        self.now += Duration::from_micros(micros);
    }

    /// A random token of this run.
    pub fn token(&self, what: &str) -> String {
        let hash = what.bytes().fold(self.place.seed, |h, b| {
            (h ^ u32::from(b)).wrapping_mul(0x0100_0193).rotate_left(7)
        });
        format!("{hash:08x}{:08x}", hash.wrapping_mul(0x9e37_79b9))
    }

    pub fn ip(&self, who: &str) -> String {
        let net = if self.place.hosts { "10.77.3" } else { "10.0.0" };
        let host = match who {
            "pcscf" => 1,
            "icscf" => 2,
            "scscf" => 3,
            "hss" => 4,
            "media" => 5,
            "alice" => 11,
            "bob" => 12,
            other => panic!("nobody is {other}"),
        };
        format!("{net}.{host}")
    }

    fn endpoint(&self, who: &str, service: Service, wire: bool) -> Endpoint {
        if wire {
            let number = ["pcscf", "icscf", "scscf", "hss", "media"].iter().position(|w| *w == who);
            return Endpoint::Wire(WireId(number.unwrap() as u16 + 1));
        }
        let port = match service {
            Service::Diameter => 3868,
            Service::Ng => 2223,
            _ => 5060,
        };
        Endpoint::Ip(format!("{}:{port}", self.ip(who)).parse().unwrap())
    }

    /// One message; what others than phones exchange is on a wire, or seen at both ends.
    pub fn send(&mut self, service: Service, from: &str, to: &str, bytes: impl Into<Bytes>) {
        let phone = |who: &str| who == "alice" || who == "bob";
        let outside = phone(from) || phone(to);
        let wire = !outside && !self.place.hosts;
        let transport = match (wire, service) {
            (true, _) => Transport::Wire,
            (false, Service::Diameter) => Transport::Tcp,
            (false, _) => Transport::Udp,
        };
        let party = |who: &str, known: bool| Party {
            endpoint: self.endpoint(who, service, wire),
            name: (known && !phone(who)).then(|| who.into()),
        };
        let record = Record {
            at: self.now,
            service,
            transport,
            from: party(from, true),
            to: party(to, true),
            bytes: bytes.into(),
            flow: 7,
        };
        if self.place.hosts && !outside {
            let sent = Record { to: party(to, false), ..record.clone() };
            let at = self.now + Duration::from_micros(40);
            let received = Record { at, from: party(from, false), flow: 9, ..record };
            self.records.extend([sent, received]);
        } else {
            self.records.push(record);
        }
        self.wait(137);
    }

    /// A Cx request and its answer, and what the answerer thinks in between.
    pub fn cx(
        &mut self,
        from: &str,
        to: &str,
        command: u32,
        ask: impl FnOnce(&mut Writer),
        answer: impl FnOnce(&mut Writer),
    ) {
        self.exchanges += 1;
        let seed = self.place.seed.wrapping_mul(2_654_435_761);
        let header = Header {
            flags: Flags::REQUEST.with(Flags::PROXIABLE),
            command,
            application: CX,
            hop_by_hop: seed.wrapping_add(self.exchanges),
            end_to_end: seed.rotate_left(9).wrapping_add(self.exchanges),
        };
        let session = format!("{from}.{HOME};{seed};{}", self.exchanges);
        let common = |out: &mut Writer, host: &str| {
            out.utf8(SESSION_ID, &session);
            out.group(VENDOR_SPECIFIC_APPLICATION_ID, |group| {
                group.u32(VENDOR_ID, VENDOR_3GPP).u32(AUTH_APPLICATION_ID, CX);
            });
            out.u32(AUTH_SESSION_STATE, 1);
            out.utf8(ORIGIN_HOST, &format!("{host}.{HOME}")).utf8(ORIGIN_REALM, HOME);
        };
        let request = Message::write(header, |out| {
            common(out, from);
            out.utf8(DESTINATION_REALM, HOME);
            ask(out);
        });
        self.send(Service::Diameter, from, to, request.bytes().clone());
        self.wait(211);
        let reply = Message::write(header.answer(), |out| {
            common(out, to);
            answer(out);
        });
        self.send(Service::Diameter, to, from, reply.bytes().clone());
    }

    pub fn ng(&mut self, from: &str, command: &str, call_id: &str, description: Option<&str>) {
        let cookie = self.token(&format!("cookie{command}{call_id}"));
        let mut ask = Dict::new().with("command", command).with("call-id", call_id);
        ask.push("from-tag", self.token("alice-tag"));
        let mut reply = Dict::new();
        if let Some(description) = description {
            ask.push("sdp", description);
            let relayed = description.replace("m=audio 49170", "m=audio 30000");
            reply.push("sdp", relayed.replace(&self.ip("alice"), &self.ip("media")));
        }
        reply.push("result", Value::from("ok"));
        let message =
            |dict| ng::Message { cookie: cookie.clone(), encoding: Encoding::Bencode, dict };
        self.send(Service::Ng, from, "media", message(ask).emit());
        self.wait(90);
        self.send(Service::Ng, "media", from, message(reply).emit());
    }

    /// A SIP message: the start line, who it has passed (Via, newest first), and the rest.
    pub fn sip(&self, sip: &Sip<'_>) -> Bytes {
        let mut out = format!("{}\r\n", sip.start);
        for via in sip.vias {
            let ip = self.ip(via);
            let branch = self.token(&format!("{via}{}{}", sip.call_id, sip.cseq));
            let transport =
                if via == &"alice" || via == &"bob" || self.place.hosts { "UDP" } else { "TCP" };
            let host = if transport == "UDP" { ip } else { format!("{via}.{HOME}") };
            out += &format!("Via: SIP/2.0/{transport} {host}:5060;branch=z9hG4bK{branch}\r\n");
        }
        let call_id = self.token(sip.call_id);
        out +=
            &format!("From: <{}>;tag={}\r\n", sip.from, self.token(&format!("{}-tag", sip.from)));
        let tag = sip.to_tag.then(|| format!(";tag={}", self.token(&format!("{}-to", sip.to))));
        out += &format!("To: <{}>{}\r\n", sip.to, tag.unwrap_or_default());
        out += &format!("Call-ID: {call_id}\r\nCSeq: {}\r\n", sip.cseq);
        for line in sip.extra {
            out += &format!("{line}\r\n");
        }
        if !sip.body.is_empty() {
            out += "Content-Type: application/sdp\r\n";
        }
        out += &format!("Content-Length: {}\r\n\r\n{}", sip.body.len(), sip.body);
        out.into()
    }
}

/// What a SIP message says.
#[derive(Clone, Copy)]
pub struct Sip<'a> {
    pub start: &'a str,
    pub vias: &'a [&'a str],
    pub from: &'a str,
    pub to: &'a str,
    pub to_tag: bool,
    pub call_id: &'a str,
    pub cseq: &'a str,
    pub extra: &'a [String],
    pub body: &'a str,
}

pub fn impu(imsi: &str) -> String {
    format!("sip:{imsi}@{HOME}")
}

pub fn sdp(ip: &str) -> String {
    format!(
        "v=0\r\no=- 3 3 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio 49170 RTP/SAVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:32\r\n"
    )
}

/// A subscriber registers: two rounds of REGISTER, Cx, and the subscription to its state.
pub fn register(net: &mut Net, who: &str) {
    let (_, imsi, number) = *PHONES.iter().find(|(name, ..)| *name == who).unwrap();
    let (impi, aor) = (format!("{imsi}@{HOME}"), impu(imsi));
    let call_id = format!("reg-{who}");
    let contact = format!("Contact: <sip:{imsi}@{}:5060>;expires=600000", net.ip(who));
    let icid = format!("P-Charging-Vector: icid-value={}", net.token(&format!("icid-reg-{who}")));
    let start = format!("REGISTER sip:{HOME} SIP/2.0");
    let nonce = net.token(&format!("nonce-{who}"));
    for round in [1, 2] {
        let cseq = format!("{round} REGISTER");
        let response =
            if round == 1 { String::new() } else { "6629fae49393a05397450978507c4ef1".into() };
        let nonce_sent = if round == 1 { "" } else { &nonce };
        let authorization = format!(
            "Authorization: Digest username=\"{impi}\",realm=\"{HOME}\",nonce=\"{nonce_sent}\",\
             uri=\"sip:{HOME}\",response=\"{response}\",algorithm=AKAv1-MD5"
        );
        let extra = [authorization, contact.clone(), "Expires: 600000".into()];
        let base = Sip {
            start: &start,
            vias: &[],
            from: &aor,
            to: &aor,
            to_tag: false,
            call_id: &call_id,
            cseq: &cseq,
            extra: &extra,
            body: "",
        };
        let inside: Vec<String> = extra.iter().cloned().chain([icid.clone()]).collect();
        let inside = Sip { extra: &inside, ..base };
        let message = net.sip(&Sip { vias: &[who], ..base });
        net.send(Service::Sip, who, "pcscf", message);
        let message = net.sip(&Sip { vias: &["pcscf", who], ..inside });
        net.send(Service::Sip, "pcscf", "icscf", message);
        net.cx(
            "icscf",
            "hss",
            CMD_USER_AUTHORIZATION,
            |out| {
                out.utf8(USER_NAME, &impi).utf8(PUBLIC_IDENTITY, &aor);
                out.utf8(VISITED_NETWORK_IDENTIFIER, HOME);
            },
            |out| {
                out.u32(RESULT_CODE, ResultCode::SUCCESS.0).utf8(SERVER_NAME, "sip:scscf.ims");
            },
        );
        let message = net.sip(&Sip { vias: &["icscf", "pcscf", who], ..inside });
        net.send(Service::Sip, "icscf", "scscf", message);
        let (status, answer) = if round == 1 {
            net.cx(
                "scscf",
                "hss",
                CMD_MULTIMEDIA_AUTH,
                |out| {
                    out.utf8(USER_NAME, &impi)
                        .utf8(PUBLIC_IDENTITY, &aor)
                        .u32(SIP_NUMBER_AUTH_ITEMS, 1);
                },
                |out| {
                    out.u32(RESULT_CODE, ResultCode::SUCCESS.0);
                    out.group(SIP_AUTH_DATA_ITEM, |item| {
                        item.utf8(SIP_AUTHENTICATION_SCHEME, "Digest-AKAv1-MD5");
                        item.bytes(SIP_AUTHENTICATE, &[0x52; 32])
                            .bytes(SIP_AUTHORIZATION, &[0xa5; 8]);
                        item.bytes(CONFIDENTIALITY_KEY, &[0xc0; 16])
                            .bytes(INTEGRITY_KEY, &[0x1e; 16]);
                    });
                },
            );
            let challenge = format!(
                "WWW-Authenticate: Digest realm=\"{HOME}\",nonce=\"{nonce}\",algorithm=AKAv1-MD5"
            );
            ("SIP/2.0 401 Unauthorized", vec![challenge])
        } else {
            net.cx(
                "scscf",
                "hss",
                CMD_SERVER_ASSIGNMENT,
                |out| {
                    out.utf8(USER_NAME, &impi)
                        .utf8(PUBLIC_IDENTITY, &aor)
                        .u32(SERVER_ASSIGNMENT_TYPE, 1);
                },
                |out| {
                    out.u32(RESULT_CODE, ResultCode::SUCCESS.0)
                        .utf8(USER_DATA, "<IMSSubscription/>");
                },
            );
            let associated =
                format!("P-Associated-URI: <{aor}>, <tel:{number}>, <sip:{number}@{HOME}>");
            ("SIP/2.0 200 OK", vec![contact.clone(), associated])
        };
        let keys = format!(",ik=\"{}\",ck=\"{}\"", "1e".repeat(16), "c0".repeat(16));
        let with_keys: Vec<String> = answer
            .iter()
            .map(
                |line| if line.starts_with("WWW") { format!("{line}{keys}") } else { line.clone() },
            )
            .collect();
        let reply = Sip { start: status, to_tag: true, extra: &with_keys, ..base };
        let message = net.sip(&Sip { vias: &["icscf", "pcscf", who], ..reply });
        net.send(Service::Sip, "scscf", "icscf", message);
        let message = net.sip(&Sip { vias: &["pcscf", who], ..reply });
        net.send(Service::Sip, "icscf", "pcscf", message);
        let message = net.sip(&Sip { vias: &[who], extra: &answer, ..reply });
        net.send(Service::Sip, "pcscf", who, message);
        net.wait(23_000);
    }
    subscribe(net, who, &aor);
}

/// The P-CSCF subscribes to the registration state.
fn subscribe(net: &mut Net, who: &str, aor: &str) {
    let call_id = format!("sub-{who}");
    let subscriber = format!("sip:pcscf.{HOME}");
    let start = format!("SUBSCRIBE {aor} SIP/2.0");
    let extra = ["Event: reg".to_owned(), "Expires: 600000".to_owned()];
    let base = Sip {
        start: &start,
        vias: &["pcscf"],
        from: &subscriber,
        to: aor,
        to_tag: false,
        call_id: &call_id,
        cseq: "1 SUBSCRIBE",
        extra: &extra,
        body: "",
    };
    let message = net.sip(&base);
    net.send(Service::Sip, "pcscf", "scscf", message);
    let message = net.sip(&Sip { start: "SIP/2.0 200 OK", to_tag: true, ..base });
    net.send(Service::Sip, "scscf", "pcscf", message);
    let start = format!("NOTIFY sip:pcscf.{HOME} SIP/2.0");
    let extra = ["Event: reg".to_owned(), "Subscription-State: active;expires=600000".to_owned()];
    let base = Sip {
        start: &start,
        vias: &["scscf"],
        from: aor,
        to: &subscriber,
        to_tag: true,
        call_id: &call_id,
        cseq: "1 NOTIFY",
        extra: &extra,
        ..base
    };
    let message = net.sip(&base);
    net.send(Service::Sip, "scscf", "pcscf", message);
    let message = net.sip(&Sip { start: "SIP/2.0 200 OK", ..base });
    net.send(Service::Sip, "pcscf", "scscf", message);
}

/// The ways of a call's requests: who sends them on, and to whom.
const WAY: [&str; 7] = ["alice", "pcscf", "scscf", "icscf", "scscf", "pcscf", "bob"];

/// Alice calls Bob's number, talks for three seconds, and hangs up.
pub fn call(net: &mut Net) {
    let (caller, callee) = (impu(PHONES[0].1), format!("tel:{}", PHONES[1].2));
    let call_id = net.token("call");
    let icid = format!("P-Charging-Vector: icid-value={}", net.token("icid-call"));
    let offer = sdp(&net.ip("alice"));
    let start = format!("INVITE {callee} SIP/2.0");
    let contact = format!("Contact: <sip:{}@{}:5060>", PHONES[0].1, net.ip("alice"));
    let extra = [contact, icid];
    let base = Sip {
        start: &start,
        vias: &[],
        from: &caller,
        to: &callee,
        to_tag: false,
        call_id: "call",
        cseq: "1 INVITE",
        extra: &extra,
        body: &offer,
    };
    let retransmitted = net.sip(&Sip { vias: &["alice"], ..base });
    net.send(Service::Sip, "alice", "pcscf", retransmitted.clone());
    net.wait(500_000);
    net.send(Service::Sip, "alice", "pcscf", retransmitted);
    answer(net, &Sip { start: "SIP/2.0 100 Trying", body: "", ..base }, 0..1);
    for (hop, from) in WAY.iter().enumerate().take(WAY.len() - 1).skip(1) {
        if *from == "icscf" {
            net.cx(
                "icscf",
                "hss",
                CMD_LOCATION_INFO,
                |out| {
                    out.utf8(PUBLIC_IDENTITY, &callee);
                },
                |out| {
                    out.u32(RESULT_CODE, ResultCode::SUCCESS.0).utf8(SERVER_NAME, "sip:scscf.ims");
                },
            );
        }
        if hop == 4 {
            net.ng("scscf", "offer", &call_id, Some(&offer));
        }
        forward(net, &base, hop);
    }
    net.wait(40_000);
    answer(net, &Sip { start: "SIP/2.0 180 Ringing", to_tag: true, body: "", ..base }, 0..6);
    net.wait(1_800_000);
    let body = sdp(&net.ip("bob"));
    let ok = Sip { start: "SIP/2.0 200 OK", to_tag: true, body: &body, ..base };
    answer(net, &ok, 4..6);
    net.ng("scscf", "answer", &call_id, Some(&body));
    answer(net, &ok, 0..4);
    let start = format!("ACK {callee} SIP/2.0");
    let ack = Sip { start: &start, cseq: "1 ACK", to_tag: true, body: "", ..base };
    (0..WAY.len() - 1).for_each(|hop| forward(net, &ack, hop));
    net.wait(3_000_000);
    let start = format!("BYE {callee} SIP/2.0");
    let bye = Sip { start: &start, cseq: "2 BYE", ..ack };
    (0..4).for_each(|hop| forward(net, &bye, hop));
    net.ng("scscf", "delete", &call_id, None);
    (4..6).for_each(|hop| forward(net, &bye, hop));
    answer(net, &Sip { start: "SIP/2.0 200 OK", ..bye }, 0..6);
}

fn passed(hop: usize) -> Vec<&'static str> {
    WAY[..=hop].iter().rev().copied().collect()
}

fn forward(net: &mut Net, sip: &Sip<'_>, hop: usize) {
    let message = net.sip(&Sip { vias: &passed(hop), ..*sip });
    net.send(Service::Sip, WAY[hop], WAY[hop + 1], message);
}

/// An answer on its way back over these hops.
fn answer(net: &mut Net, sip: &Sip<'_>, hops: std::ops::Range<usize>) {
    for hop in hops.rev() {
        let message = net.sip(&Sip { vias: &passed(hop), ..*sip });
        net.send(Service::Sip, WAY[hop + 1], WAY[hop], message);
    }
}

/// Both register, one calls the other.
pub fn evening(place: Place) -> Vec<Record> {
    let mut net = Net::new(place);
    register(&mut net, "alice");
    net.wait(120_000);
    register(&mut net, "bob");
    net.wait(2_000_000);
    call(&mut net);
    net.records
}
