//! The phones and what they send: OPTIONS, REGISTER, INVITE, and the requests of a call.
use std::net::SocketAddrV4;

use crate::message::{uri_of, Msg};
use crate::net::Net;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Work {
    Options,
    Register,
    /// A phone registers, refreshes twice, leaves, and begins again.
    Churn,
    Call,
}

impl Work {
    /// Whether a unit is a REGISTER with its challenge.
    pub fn registers(self) -> bool {
        matches!(self, Work::Register | Work::Churn)
    }
}

/// What a phone learned when it registered.
#[derive(Clone, Default)]
pub struct Registration {
    /// Route lines of its requests: the outbound proxy and the Service-Route (RFC 3608,
    /// TS 24.229 §5.1.2A.1.1). Empty at a registrar that gives no Service-Route.
    route: String,
    /// The first of P-Associated-URI.
    identity: String,
}

impl Registration {
    pub fn learn(net: &Net, m: &Msg<'_>) -> Registration {
        let entries: Vec<&str> =
            m.service_routes.iter().flat_map(|l| l.split(',')).map(str::trim).collect();
        let mut route = String::new();
        if !entries.is_empty() {
            route += &format!("Route: {}\r\n", net.outbound_proxy());
            for entry in entries {
                route += &format!("Route: {entry}\r\n");
            }
        }
        Registration { route, identity: uri_of(m.associated).to_string() }
    }
}

/// All phones. Those that are called, `u{users}` and above, come after those that call.
pub struct Phones {
    pub domain: String,
    pub password: String,
    /// Phones that work: that register, or that call.
    pub users: usize,
    /// Sockets that they share; the called ones have as many of their own.
    pub sockets: usize,
    pub registrations: Vec<Registration>,
    /// The number in the name of the first one.
    pub base: usize,
    /// Seconds that they register for.
    pub expires: u32,
    /// REGISTERs of each while it churns.
    pub rounds: Vec<u32>,
}

/// The names of one unit of work in all its messages.
pub struct Unit {
    pub slot: usize,
    pub gen: u32,
    /// Distinguishes one run of the generator from the next.
    pub run: u64,
    pub phone: usize,
}

impl Phones {
    pub fn end(&self, phone: usize) -> usize {
        if phone < self.users {
            phone % self.sockets
        } else {
            self.sockets + (phone - self.users) % self.sockets
        }
    }

    /// The user part of a phone.
    pub fn name(&self, phone: usize) -> String {
        format!("u{}", self.base + phone)
    }

    /// The lifetime that a phone asks for now.
    fn lifetime(&self, phone: usize) -> u32 {
        // The fourth REGISTER is the one that ends it.
        if self.rounds[phone] > 0 && self.rounds[phone].is_multiple_of(4) {
            0
        } else {
            self.expires
        }
    }

    /// The head of a request: start line, Via, Max-Forwards.
    fn head(&self, net: &Net, u: &Unit, method: &str, uri: &str, step: &str) -> String {
        let me: SocketAddrV4 = net.addrs[self.end(u.phone)];
        let Unit { slot, gen, run, .. } = u;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{p} {me};branch=z9hG4bK{slot}-{gen}-{step}-{run};rport\r\nMax-Forwards: 70\r\n",
            p = net.proto()
        )
    }

    /// From, To, Call-ID and CSeq of a request outside of dialogs.
    fn names(&self, u: &Unit, to: &str, cseq: u32, method: &str) -> String {
        let Unit { slot, gen, run, phone } = u;
        let user = self.name(*phone);
        format!(
            "From: <sip:{user}@{d}>;tag=f{slot}-{gen}\r\nTo: <{to}>\r\nCall-ID: {slot}-{gen}-{run}@load\r\nCSeq: {cseq} {method}\r\n",
            d = self.domain
        )
    }

    pub fn options(&self, net: &Net, u: &Unit) -> Vec<u8> {
        let uri = format!("sip:{}", net.server);
        let mut m = self.head(net, u, "OPTIONS", &uri, "o");
        m += &self.names(u, &uri, 1, "OPTIONS");
        m += "Accept: application/sdp\r\nUser-Agent: load\r\nContent-Length: 0\r\n\r\n";
        m.into_bytes()
    }

    pub fn register(&self, net: &Net, u: &Unit, auth: Option<&str>) -> Vec<u8> {
        let (cseq, step) = if auth.is_some() { (2, "r2") } else { (1, "r1") };
        let user = self.name(u.phone);
        let mut m = self.head(net, u, "REGISTER", &format!("sip:{}", self.domain), step);
        m += &self.names(u, &format!("sip:{user}@{}", self.domain), cseq, "REGISTER");
        let (contact, expires) = (net.contact(&user, self.end(u.phone)), self.lifetime(u.phone));
        m += &format!("Contact: {contact}\r\nExpires: {expires}\r\n");
        if let Some(auth) = auth {
            m += &format!("Authorization: {auth}\r\n");
        }
        m += "User-Agent: load\r\nContent-Length: 0\r\n\r\n";
        m.into_bytes()
    }

    pub fn invite(&self, net: &Net, u: &Unit) -> Vec<u8> {
        let called = format!("sip:{}@{}", self.name(self.users + u.phone), self.domain);
        let end = self.end(u.phone);
        let body = crate::message::sdp(*net.addrs[end].ip(), 20000);
        let known = &self.registrations[u.phone];
        let mut m = self.head(net, u, "INVITE", &called, "i");
        m += &known.route;
        m += &self.names(u, &called, 1, "INVITE");
        m += &format!("Contact: {}\r\n", net.contact(&self.name(u.phone), end));
        if !known.identity.is_empty() {
            m += &format!("P-Preferred-Identity: <{}>\r\n", known.identity);
        }
        m += &format!(
            "Allow: INVITE,ACK,BYE,CANCEL,OPTIONS\r\nUser-Agent: load\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        m.into_bytes()
    }

    /// ACK or BYE of an answered call, with the route set that its 200 gave (RFC 3261 §12.1.2).
    pub fn in_dialog(&self, net: &Net, u: &Unit, ok: &Msg<'_>, method: &str, cseq: u32) -> Vec<u8> {
        let mut m = self.head(net, u, method, uri_of(ok.contact), method);
        let all: Vec<&str> =
            ok.record_routes.iter().flat_map(|l| l.split(',')).map(str::trim).collect();
        for r in all.iter().rev() {
            m += &format!("Route: {r}\r\n");
        }
        m += &format!(
            "From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nUser-Agent: load\r\nContent-Length: 0\r\n\r\n",
            ok.from, ok.to, ok.call_id
        );
        m.into_bytes()
    }
}
