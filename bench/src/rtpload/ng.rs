//! The relay's control: rtpengine's NG protocol in bencode over UDP, as little of it as a load needs.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

pub struct Ng {
    pub sock: UdpSocket,
    pub n: u64,
}

fn bstr(out: &mut Vec<u8>, s: &str) {
    out.extend_from_slice(format!("{}:", s.len()).as_bytes());
    out.extend_from_slice(s.as_bytes());
}

/// Value of a string key in the outermost bencoded dictionary.
fn bget<'a>(b: &'a [u8], key: &str) -> Option<&'a [u8]> {
    fn string(b: &[u8], at: usize) -> Option<(usize, usize)> {
        let c = at + b[at..].iter().position(|x| *x == b':')?;
        let n: usize = std::str::from_utf8(&b[at..c]).ok()?.parse().ok()?;
        Some((c + 1, c + 1 + n))
    }
    fn skip(b: &[u8], at: usize) -> Option<usize> {
        match *b.get(at)? {
            b'i' => Some(at + b[at..].iter().position(|x| *x == b'e')? + 1),
            b'l' | b'd' => {
                let mut p = at + 1;
                while *b.get(p)? != b'e' {
                    p = skip(b, p)?;
                }
                Some(p + 1)
            }
            _ => string(b, at).map(|x| x.1),
        }
    }
    let mut p = 1;
    while *b.get(p)? != b'e' {
        let (ks, ke) = string(b, p)?;
        let vs = ke;
        let ve = skip(b, vs)?;
        if &b[ks..ke] == key.as_bytes() {
            return if b[vs].is_ascii_digit() {
                let (s, e) = string(b, vs)?;
                Some(&b[s..e])
            } else {
                Some(&b[vs..ve])
            };
        }
        p = ve;
    }
    None
}

impl Ng {
    /// One command; `items` are string pairs, `lists` are lists of strings. Gives the answer's SDP.
    pub fn ask(&mut self, items: &[(&str, &str)], lists: &[(&str, &[&str])]) -> String {
        let mut d = b"d".to_vec();
        for (k, v) in items {
            bstr(&mut d, k);
            bstr(&mut d, v);
        }
        for (k, l) in lists {
            bstr(&mut d, k);
            d.push(b'l');
            for v in *l {
                bstr(&mut d, v);
            }
            d.push(b'e');
        }
        d.push(b'e');
        self.n += 1;
        let cookie = format!("{}_{} ", std::process::id(), self.n);
        let mut pkt = cookie.clone().into_bytes();
        pkt.extend_from_slice(&d);
        let mut buf = vec![0u8; 65536];
        for _ in 0..5 {
            self.sock.send(&pkt).ok();
            while let Ok(n) = self.sock.recv(&mut buf) {
                if !buf[..n].starts_with(cookie.as_bytes()) {
                    continue;
                }
                let b = &buf[cookie.len()..n];
                let result = bget(b, "result").unwrap_or(b"?");
                if result != b"ok" && result != b"pong" {
                    eprintln!("{} -> {}", items[0].1, String::from_utf8_lossy(b));
                    std::process::exit(1);
                }
                return String::from_utf8_lossy(bget(b, "sdp").unwrap_or(b"")).into_owned();
            }
        }
        eprintln!("no answer from the NG port to {}", items[0].1);
        std::process::exit(1)
    }
}

pub fn sdp(a: SocketAddrV4) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {p} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n",
        ip = a.ip(),
        p = a.port()
    )
}

pub fn media_address(sdp: &str) -> SocketAddrV4 {
    let mut ip = Ipv4Addr::UNSPECIFIED;
    let mut port = 0;
    for l in sdp.lines() {
        if let Some(x) = l.strip_prefix("c=IN IP4 ") {
            ip = x.trim().parse().unwrap_or(ip);
        } else if let Some(x) = l.strip_prefix("m=audio ") {
            port = x.split(' ').next().and_then(|p| p.parse().ok()).unwrap_or(0);
        }
    }
    if port == 0 {
        eprintln!("no audio port in the answer:\n{sdp}");
        std::process::exit(1);
    }
    SocketAddrV4::new(ip, port)
}

/// Leaves only one crypto suite in an SDP.
pub fn keep_suite(sdp: &str, suite: &str) -> String {
    sdp.split_inclusive("\r\n")
        .filter(|l| !l.starts_with("a=crypto:") || l.split(' ').nth(1) == Some(suite))
        .collect()
}

pub fn flags() -> [(&'static str, &'static [&'static str]); 2] {
    [("replace", &["origin"]), ("rtcp-mux", &["demux"])]
}
