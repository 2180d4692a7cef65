//! Via, RFC 3261 §20.42, with `rport` (RFC 3581).

use core::fmt::{self, Write};
use std::net::IpAddr;

use crate::lex::{self, Params};
use crate::uri::{literal, split_host_port};

/// One Via element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via<'a> {
    /// The transport, such as `UDP`.
    pub transport: &'a str,
    /// The host of sent-by.
    pub host: &'a str,
    /// The port of sent-by.
    pub port: Option<u16>,
    /// All parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one element. Empty parameters are refused.
    pub fn parse(element: &'a str) -> Option<Via<'a>> {
        let (protocol, rest) = split_protocol(element)?;
        let end = lex::find(rest, b';').unwrap_or(rest.len());
        let (host, port) = split_host_port(&rest[..end])?;
        let mut semicolons = memchr::memchr_iter(b';', rest.as_bytes());
        if semicolons.any(|at| rest.as_bytes().get(at + 1) == Some(&b';')) {
            return None;
        }
        Some(Via { transport: protocol, host, port, params: Params::new(&rest[end..]) })
    }

    /// The branch; empty if there is none.
    pub fn branch(&self) -> &'a str {
        self.params.get("branch").unwrap_or("")
    }

    /// The address that the next hop saw, §18.2.1.
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// `rport`: `None` if absent, `Some(None)` if it asks, `Some(Some(port))` if filled in.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|value| value.parse().ok())
    }

    /// What the server transport notes in it, RFC 3261 §18.2.1 and RFC 3581 §4.
    pub fn seen_from(&self, source: std::net::SocketAddr) -> Seen {
        // Written for every request of a phone behind a NAT, or that asks: once, and in one piece.
        let params = self.params.as_str();
        let mut out = String::with_capacity(self.host.len() + params.len() + 80);
        for part in ["SIP/2.0/", self.transport, " ", self.host] {
            out.push_str(part);
        }
        if let Some(port) = self.port {
            out.push(':');
            push_number(&mut out, port);
        }
        let (mut asks, mut says) = (false, false);
        for (name, value) in self.params.iter() {
            if name.eq_ignore_ascii_case("received") {
                says |= value.is_some_and(|value| !value.is_empty());
                continue;
            }
            if name.eq_ignore_ascii_case("rport") {
                asks = true;
                continue;
            }
            lex::push_param(&mut out, name, value);
        }
        if !asks && !says && literal(self.host) == Some(source.ip()) {
            return Seen { asks, element: None };
        }
        out.push_str(";received=");
        push_address(&mut out, source.ip());
        if asks {
            out.push_str(";rport=");
            push_number(&mut out, source.port());
        }
        Seen { asks, element: Some(out) }
    }
}

/// A Via with the source of its request noted in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Whether it has `rport`: then responses go where the request came from.
    pub asks: bool,
    /// The element with `received` and `rport` filled in; `None` if it is right as it is.
    pub element: Option<String>,
}

fn push_number(out: &mut String, number: u16) {
    let mut digits = [0; 5];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push_str(str::from_utf8(&digits[at..]).unwrap_or_default());
}

fn push_address(out: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        let _ = write!(out, "{address}");
        return;
    };
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            out.push('.');
        }
        push_number(out, octet.into());
    }
}

/// Splits `SIP / 2.0 / UDP sent-by` into transport and the rest; blanks around slashes are legal.
fn split_protocol(element: &str) -> Option<(&str, &str)> {
    let (name, rest) = lex::split(element, b'/')?;
    let (version, rest) = lex::split(rest, b'/')?;
    if !name.trim_ascii().eq_ignore_ascii_case("SIP") || version.trim_ascii() != "2.0" {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let end = rest.bytes().position(|byte| matches!(byte, b' ' | b'\t'))?;
    let transport = &rest[..end];
    lex::is_token(transport).then(|| (transport, rest[end..].trim_ascii_start()))
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.params.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_spacing_is_read() {
        let via =
            Via::parse("SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;branch=z9hG4bKa").unwrap();
        assert_eq!((via.transport, via.host, via.port), ("UDP", "first.example.com", Some(4000)));
        assert_eq!(via.branch(), "z9hG4bKa");
    }

    #[test]
    fn source_is_noted_when_it_differs_or_is_asked_for() {
        let source = "192.0.2.7:6000".parse().unwrap();
        let via = Via::parse("SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKa").unwrap();
        assert_eq!(via.seen_from(source), Seen { asks: false, element: None });
        let via = Via::parse("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKa").unwrap();
        let Seen { asks: true, element: Some(noted) } = via.seen_from(source) else {
            panic!("{via}")
        };
        assert_eq!(
            noted,
            "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa;received=192.0.2.7;rport=6000"
        );
        let noted = Via::parse(&noted).unwrap();
        assert_eq!((noted.received(), noted.rport()), (Some(source.ip()), Some(Some(6000))));
    }
}
