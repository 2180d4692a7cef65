//! Words, and which may stand for which.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Words of the left run and what they stand for in the right one, one to one.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    there: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
}

impl Mapping {
    pub(super) fn new(names: &[(&str, &str)]) -> Mapping {
        let mut mapping = Mapping::default();
        for (left, right) in names {
            mapping.maps(left, right);
        }
        mapping
    }

    /// Whether `left` stands for `right` and nothing else; from now on it does if both are new.
    pub(super) fn maps(&mut self, left: &str, right: &str) -> bool {
        match (self.there.get(left), self.back.get(right)) {
            (None, None) => {
                self.there.insert(left.to_owned(), right.to_owned());
                self.back.insert(right.to_owned(), left.to_owned());
                true
            }
            (Some(mine), Some(theirs)) => mine == right && theirs == left,
            _ => false,
        }
    }

    fn knows(&self, left: &str, right: &str) -> bool {
        self.there.get(left).is_some_and(|mine| mine == right)
    }

    /// Whether two texts say the same.
    pub(super) fn same_text(&mut self, left: &str, right: &str) -> bool {
        let (left, right) = (split(left), split(right));
        left.len() == right.len() && left.iter().zip(&right).all(|(a, b)| self.same_piece(a, b))
    }

    fn same_piece(&mut self, left: &Piece<'_>, right: &Piece<'_>) -> bool {
        match (left, right) {
            (Piece::Between(a), Piece::Between(b)) => a == b,
            (Piece::Word { text: a, after }, Piece::Word { text: b, .. }) => {
                if NEVER.iter().any(|name| name.eq_ignore_ascii_case(after)) || self.knows(a, b) {
                    return true;
                }
                let token = TOKENS.iter().any(|name| name.eq_ignore_ascii_case(after));
                if token || looks_random(a, b) {
                    return self.maps(a, b);
                }
                a == b
            }
            (Piece::Place(a), Piece::Place(b)) => self.same_place(a, b),
            _ => false,
        }
    }

    /// Hosts without their ports. Everybody may be on a loopback address, so these stand for nobody.
    pub(super) fn same_place(&mut self, left: &str, right: &str) -> bool {
        let anybody =
            |host: &str| address(host).is_some_and(|ip| ip.is_loopback() || ip.is_unspecified());
        if self.knows(left, right) || anybody(left) || anybody(right) {
            return address(left).is_some() == address(right).is_some() || left == right;
        }
        match (address(left), address(right)) {
            (Some(_), Some(_)) => self.maps(left, right),
            (None, None) => left.eq_ignore_ascii_case(right),
            // A function on a wire has a name where one on a socket may show its address.
            _ => true,
        }
    }
}

/// Parameters whose values are random.
const TOKENS: [&str; 13] = [
    "branch",
    "tag",
    "icid-value",
    "nonce",
    "cnonce",
    "opaque",
    "from-tag",
    "to-tag",
    "call-id",
    "inline",
    "nextnonce",
    "id",
    "callid",
];

/// Parameters whose values follow from others or from the way: not compared.
const NEVER: [&str; 12] = [
    "response", "rspauth", "rport", "received", "auts", "spi-c", "spi-s", "port-c", "port-s", "ck",
    "ik", "ice-pwd",
];

#[derive(PartialEq, Eq, Debug)]
enum Piece<'a> {
    /// Separators.
    Between(&'a str),
    /// A word, and the word before an equals sign in front of it.
    Word { text: &'a str, after: &'a str },
    /// An address or host name; a port behind it is dropped.
    Place(&'a str),
}

fn split(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut name = "";
    let mut last = "";
    while !rest.is_empty() {
        if let Some((host, after)) = bracketed(rest) {
            pieces.push(Piece::Place(host));
            rest = without_port(after);
            continue;
        }
        if let Some((host, after)) = unbracketed(rest) {
            pieces.push(Piece::Place(host));
            rest = after;
            continue;
        }
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if length > 0 {
            let (word, after) = rest.split_at(length);
            let host = word.trim_end_matches('.');
            if is_host(host) {
                pieces.push(Piece::Place(host));
                rest = without_port(&rest[host.len()..]);
            } else {
                pieces.push(Piece::Word { text: word, after: name });
                rest = after;
            }
            (last, name) = (word, "");
            continue;
        }
        let end = rest.find(is_word).unwrap_or(rest.len());
        // An opening bracket or a colon may begin an address.
        let begins = |at: usize, c| c == '[' || c == ':' && unbracketed(&rest[at..]).is_some();
        let address = rest[..end].char_indices().skip(1).find(|(at, c)| begins(*at, *c));
        // A quoted token is one word, whatever stands in it: a nonce may be base64.
        let quoted = rest.strip_prefix("=\"").filter(|_| is_opaque(last));
        if let Some((word, after)) = quoted.and_then(|text| text.split_once('"')) {
            pieces.push(Piece::Between("=\""));
            pieces.push(Piece::Word { text: word, after: last });
            (last, name, rest) = (word, "", after);
            continue;
        }
        let (between, after) = rest.split_at(address.map_or(end, |(at, _)| at));
        if matches!(between.trim(), "=" | "=\"" | ":") {
            name = last;
        }
        pieces.push(Piece::Between(between));
        rest = after;
    }
    pieces
}

/// Whether it is a parameter that is compared as a whole, or not at all.
fn is_opaque(name: &str) -> bool {
    TOKENS.iter().chain(&NEVER).any(|token| token.eq_ignore_ascii_case(name))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "-._~+%!*".contains(c)
}

/// `[2001:db8::1]` in front of something.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(']')?;
    inner[..end].parse::<std::net::Ipv6Addr>().ok()?;
    Some((&inner[..end], &inner[end + 1..]))
}

/// `2001:db8::1` in front of something, as it stands in a session description.
fn unbracketed(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.');
    let (host, after) = text.split_at(end.unwrap_or(text.len()));
    let colons = host.bytes().filter(|b| *b == b':').count();
    let whole = colons >= 2 && !after.starts_with(is_word);
    (whole && host.parse::<std::net::Ipv6Addr>().is_ok()).then_some((host, after))
}

fn without_port(text: &str) -> &str {
    let Some(rest) = text.strip_prefix(':') else { return text };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 { text } else { &rest[digits..] }
}

/// An IPv4 address, or a name of several labels whose last one is a word.
fn is_host(word: &str) -> bool {
    if word.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let mut labels = word.rsplit('.');
    let last = labels.next().unwrap_or("");
    let legal = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let alphabetic = last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic());
    alphabetic && word.contains('.') && word.split('.').all(legal)
}

fn address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// Whether both are long mixtures of letters and digits. Numbers of subscribers are not, nor names such
/// as `AKAv1-MD5`.
fn looks_random(left: &str, right: &str) -> bool {
    let mixed = |word: &str| {
        word.len() >= 8
            && word.bytes().filter(u8::is_ascii_digit).count() >= 3
            && word.bytes().any(|b| b.is_ascii_alphabetic())
    };
    mixed(left) && mixed(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) -> bool {
        Mapping::default().same_text(left, right)
    }

    #[test]
    fn tokens_and_addresses_may_differ() {
        assert!(same("<sip:a@10.0.0.1:5060;lr>;tag=1x", "<sip:a@10.9.0.7:40000;lr>;tag=zz"));
        assert!(same("sip:x7f31a22b9c@p.ims.net", "sip:0c99e1b2d4@p.ims.net"));
        assert!(same("<sip:a@[2001:db8::1]:5060>", "<sip:a@10.0.0.1>"));
        assert!(same("c=IN IP6 ::1", "c=IN IP6 2001:db8::1"));
        assert!(same("c=IN IP6 2001:db8::1", "c=IN IP6 2001:db8::2"));
    }

    #[test]
    fn a_quoted_token_is_one_word() {
        let nonce = |text: &str| format!("Digest realm=\"a\",nonce=\"{text}\",algorithm=AKAv1-MD5");
        assert!(same(&nonce("rjK5w/HioB4+Rm8="), &nonce("2Vngxn1uChK5TiS7")));
        assert!(same(&nonce("/R9Y=="), &nonce("2/+A=")));
        assert!(!same(&nonce("a/b="), &nonce("a/b=").replace("MD5", "SHA")));
        let mut mapping = Mapping::default();
        assert!(mapping.same_text(&nonce("a/b="), &nonce("c")));
        assert!(!mapping.same_text(&nonce("a/b="), &nonce("d")));
    }

    #[test]
    fn what_was_said_may_not() {
        assert!(!same("600000", "3600"));
        assert!(!same("<sip:alice@ims.net>", "<sip:bob@ims.net>"));
        assert!(!same("tel:+491700000001", "tel:+491700000002"));
        assert!(!same("<sip:a@ims.net>;lr", "<sip:a@ims.net>"));
        assert!(!same("<sip:a@one.net>", "<sip:a@two.net>"));
        assert!(!same("c=IN IP6 2001:db8::1", "c=IN IP6 none"));
        assert!(!same("algorithm=AKAv1-MD5", "algorithm=AKAv2-MD5"));
    }

    #[test]
    fn a_word_stands_for_one_word() {
        let mut mapping = Mapping::default();
        assert!(mapping.same_text("tag=a1", "tag=b1"));
        assert!(!mapping.same_text("tag=a1", "tag=b2"));
        assert!(!mapping.same_text("tag=a2", "tag=b1"));
        assert!(mapping.same_text("c 10.0.0.1", "c 10.1.0.1"));
        assert!(!mapping.same_text("c 10.0.0.2", "c 10.1.0.1"));
    }
}
