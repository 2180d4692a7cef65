//! `a=candidate`, `a=ice-ufrag` and `a=ice-pwd`, RFC 8839 §5.1 and §5.4.

use core::net::{IpAddr, SocketAddr};

use base::Random;
use base::redact::Secret;
use base::relay::{Candidate, CandidateKind, Component, Credentials};

/// `typ` and what it says, RFC 8839 §5.1.
const KINDS: [(CandidateKind, &str); 4] = [
    (CandidateKind::Host, "host"),
    (CandidateKind::ServerReflexive, "srflx"),
    (CandidateKind::PeerReflexive, "prflx"),
    (CandidateKind::Relayed, "relay"),
];

/// Characters of a foundation at most, RFC 8839 §5.1.
const LONGEST_FOUNDATION: usize = 32;

/// Characters of a password of ours: 24 of 64 each make 144 bits; RFC 8445 §5.3 wants 128.
const PASSWORD: usize = 24;
/// Characters of a name of ours: 48 bits; RFC 8445 §5.3 wants 24.
const NAME: usize = 8;

/// New credentials.
pub fn credentials(random: &mut Random) -> Credentials {
    let ufrag = ice_chars(&random.bytes::<NAME>());
    let pwd = Secret::new(ice_chars(&random.bytes::<PASSWORD>()));
    Credentials { ufrag, pwd }
}

/// Six bits of every octet as an `ice-char`.
fn ice_chars(octets: &[u8]) -> String {
    const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    octets.iter().map(|octet| char::from(CHARS[usize::from(octet & 63)])).collect()
}

/// The recommended priority of a candidate, RFC 8445 §5.1.2.1; `local` is the higher, the better an address is than
/// other ones of its kind.
pub fn priority(kind: CandidateKind, local: u16, component: Component) -> u32 {
    let preference: u32 = match kind {
        CandidateKind::Host => 126,
        CandidateKind::PeerReflexive => 110,
        CandidateKind::ServerReflexive => 100,
        CandidateKind::Relayed => 0,
    };
    (preference << 24) | (u32::from(local) << 8) | (256 - component as u32)
}

/// The value of `a=candidate`.
pub fn candidate(candidate: &Candidate) -> String {
    let Candidate { foundation, component, priority, address, kind } = candidate;
    let kind = KINDS.iter().find(|(known, _)| known == kind).map_or("host", |(_, name)| *name);
    let (ip, port) = (address.ip(), address.port());
    format!("{foundation} {} UDP {priority} {ip} {port} typ {kind}", *component as u8)
}

/// Reads the value of `a=candidate`. `None` for what is not ours to use: other transports than UDP, names in place of
/// addresses, components that RTP has not.
pub fn parse_candidate(value: &str) -> Option<Candidate> {
    let mut words = value.split_ascii_whitespace();
    let foundation = words.next().filter(|text| text.len() <= LONGEST_FOUNDATION)?.to_owned();
    let component = match words.next()? {
        "1" => Component::Rtp,
        "2" => Component::Rtcp,
        _ => return None,
    };
    words.next().filter(|transport| transport.eq_ignore_ascii_case("udp"))?;
    let priority = words.next()?.parse().ok().filter(|priority| *priority > 0)?;
    let ip: IpAddr = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok().filter(|port| *port > 0)?;
    words.next().filter(|word| *word == "typ")?;
    let kind = words.next()?;
    let (kind, _) = KINDS.iter().find(|(_, name)| *name == kind)?;
    Some(Candidate {
        foundation,
        component,
        priority,
        address: SocketAddr::new(ip.to_canonical(), port),
        kind: *kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8839 §5.1 and its Appendix A.
    #[test]
    fn candidates_are_read_and_written() {
        let host = "1 1 UDP 2130706431 203.0.113.141 8998 typ host";
        let read = parse_candidate(host).unwrap();
        assert_eq!(candidate(&read), host);
        assert_eq!(read.priority, priority(CandidateKind::Host, 65_535, Component::Rtp));
        let reflexive = "2 2 udp 1694498814 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8999";
        let read = parse_candidate(reflexive).unwrap();
        assert_eq!((read.kind, read.component), (CandidateKind::ServerReflexive, Component::Rtcp));
        let v6 = "abc 1 UDP 1 2001:db8::1 9 typ relay generation 0 ufrag x network-cost 999";
        assert_eq!(parse_candidate(v6).unwrap().kind, CandidateKind::Relayed);
        for other in [
            "",
            "1 1 TCP 2130706431 203.0.113.141 9 typ host tcptype active",
            "1 1 UDP 2130706431 4dcd-aaa.local 8998 typ host",
            "1 3 UDP 2130706431 203.0.113.141 8998 typ host",
            "1 1 UDP 0 203.0.113.141 8998 typ host",
            "1 1 UDP 99999999999 203.0.113.141 8998 typ host",
            "1 1 UDP 1 203.0.113.141 0 typ host",
            "1 1 UDP 1 203.0.113.141 8998 type host",
            "1 1 UDP 1 203.0.113.141 8998 typ wormhole",
        ] {
            assert_eq!(parse_candidate(other), None, "{other}");
        }
    }

    #[test]
    fn credentials_are_long_enough_and_never_the_same() {
        let mut random = Random::from_u64(1);
        let (one, other) = (credentials(&mut random), credentials(&mut random));
        assert_ne!(one, other);
        assert!(one.ufrag.len() >= 4 && one.pwd.reveal().len() >= 22);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".{0,120}") {
            if let Some(read) = parse_candidate(&text) {
                assert_eq!(parse_candidate(&candidate(&read)), Some(read));
            }
        }
    }
}
