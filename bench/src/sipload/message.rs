//! The few parts of SIP that a phone needs.
use bench::md5;

/// The parts of a message the generator looks at.
#[derive(Default)]
pub struct Msg<'a> {
    pub status: u16, // 0 for a request
    pub uri: &'a str,
    pub method: &'a str,    // of the request, or from CSeq
    pub vias: Vec<&'a str>, // whole lines
    pub record_routes: Vec<&'a str>,
    pub service_routes: Vec<&'a str>,
    pub associated: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub call_id: &'a str,
    pub cseq: &'a str,
    pub contact: &'a str,
    pub challenge: &'a str,
}

pub fn parse(b: &[u8]) -> Option<Msg<'_>> {
    let text = std::str::from_utf8(b).ok()?;
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    let mut m = Msg::default();
    if let Some(rest) = first.strip_prefix("SIP/2.0 ") {
        m.status = rest.get(..3)?.parse().ok()?;
    }
    for l in lines {
        if l.is_empty() {
            break;
        }
        let (n, v) = l.split_once(':')?;
        let n = n.trim_end();
        let v = v.trim();
        match n.len() {
            3 if n.eq_ignore_ascii_case("via") => m.vias.push(v),
            1 if n.eq_ignore_ascii_case("v") => m.vias.push(v),
            2 if n.eq_ignore_ascii_case("to") => m.to = v,
            1 if n.eq_ignore_ascii_case("t") => m.to = v,
            4 if n.eq_ignore_ascii_case("from") => m.from = v,
            1 if n.eq_ignore_ascii_case("f") => m.from = v,
            4 if n.eq_ignore_ascii_case("cseq") => m.cseq = v,
            7 if n.eq_ignore_ascii_case("call-id") => m.call_id = v,
            1 if n.eq_ignore_ascii_case("i") => m.call_id = v,
            7 if n.eq_ignore_ascii_case("contact") => m.contact = v,
            1 if n.eq_ignore_ascii_case("m") => m.contact = v,
            12 if n.eq_ignore_ascii_case("record-route") => m.record_routes.push(v),
            13 if n.eq_ignore_ascii_case("service-route") => m.service_routes.push(v),
            16 if n.eq_ignore_ascii_case("p-associated-uri") && m.associated.is_empty() => {
                m.associated = v.split(',').next().unwrap_or("").trim()
            }
            16 if n.eq_ignore_ascii_case("www-authenticate") => m.challenge = v,
            _ => {}
        }
    }
    if m.status == 0 {
        let mut words = first.split(' ');
        m.method = words.next()?;
        m.uri = words.next()?;
    } else {
        m.method = m.cseq.split(' ').nth(1)?;
    }
    Some(m)
}

fn param(challenge: &str, name: &str) -> Option<String> {
    for part in challenge.trim_start_matches("Digest").split(',') {
        let (n, v) = part.split_once('=')?;
        if n.trim().eq_ignore_ascii_case(name) {
            return Some(v.trim().trim_matches('"').to_string());
        }
    }
    None
}

/// Answer to a digest challenge (RFC 2617, MD5, with or without qop=auth).
pub fn credentials(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> String {
    let realm = param(challenge, "realm").unwrap_or_default();
    let nonce = param(challenge, "nonce").unwrap_or_default();
    let ha1 = md5::hex(format!("{user}:{realm}:{password}").as_bytes());
    let ha2 = md5::hex(format!("{method}:{uri}").as_bytes());
    let mut s = format!("Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",algorithm=MD5,");
    if param(challenge, "qop").is_some() {
        let r = md5::hex(format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}").as_bytes());
        s += &format!("qop=auth,nc=00000001,cnonce=\"0a4f113b\",response=\"{r}\"");
    } else {
        let r = md5::hex(format!("{ha1}:{nonce}:{ha2}").as_bytes());
        s += &format!("response=\"{r}\"");
    }
    if let Some(o) = param(challenge, "opaque") {
        s += &format!(",opaque=\"{o}\"");
    }
    s
}

pub fn sdp(ip: std::net::Ipv4Addr, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
    )
}

/// The URI of a name-addr.
pub fn uri_of(address: &str) -> &str {
    match (address.find('<'), address.find('>')) {
        (Some(a), Some(b)) if a < b => &address[a + 1..b],
        _ => address,
    }
}

/// What the called phone answers to a request.
pub fn reply(m: &Msg<'_>, status: &str, contact: Option<&str>, body: &str) -> Vec<u8> {
    let mut out = format!("SIP/2.0 {status}\r\n");
    let mut line = |n: &str, v: &str| {
        for part in [n, ": ", v, "\r\n"] {
            out.push_str(part);
        }
    };
    for v in &m.vias {
        line("Via", v);
    }
    for v in &m.record_routes {
        line("Record-Route", v);
    }
    line("From", m.from);
    if m.to.contains("tag=") {
        line("To", m.to);
    } else {
        line("To", &format!("{};tag=callee", m.to));
    }
    line("Call-ID", m.call_id);
    line("CSeq", m.cseq);
    if let Some(c) = contact {
        line("Contact", c);
    }
    if !body.is_empty() {
        line("Content-Type", "application/sdp");
    }
    line("Content-Length", &body.len().to_string());
    out.push_str("\r\n");
    out.push_str(body);
    out.into_bytes()
}
