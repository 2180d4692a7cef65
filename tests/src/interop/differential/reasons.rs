//! The differences that are meant; docs/ng.md says of each why.

use super::{Difference, Step, Whose, Wish};

/// Why two relays differ.
pub struct Reason {
    /// Its name in docs/ng.md.
    pub name: &'static str,
    /// Whether it explains a line.
    pub explains: fn(&Difference) -> bool,
}

/// All of them; the first one that explains a line is its reason.
pub const REASONS: [Reason; 13] = [
    Reason { name: "refused section", explains: |d| d.section.starts_with("m=video 0 ") },
    Reason { name: "port of RTCP", explains: |d| d.line.starts_with("a=rtcp:") },
    Reason {
        name: "direction",
        explains: |d| {
            ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"].contains(&d.line.as_str())
        },
    },
    Reason {
        name: "static payload type",
        explains: |d| {
            let number = d.line.strip_prefix("a=rtpmap:").and_then(|map| map.split(' ').next());
            let number = number.and_then(|number| number.parse::<u8>().ok());
            d.whose == Whose::Theirs && number.is_some_and(|number| number < 35)
        },
    },
    Reason {
        name: "weak suites",
        explains: |d| {
            let weak = |name: &str| d.line.contains(&format!(" {name}_"));
            d.whose == Whose::Theirs && is_key(d) && (weak("F8_128") || weak("NULL"))
        },
    },
    Reason {
        name: "keys beside a handshake",
        explains: |d| d.whose == Whose::Theirs && is_key(d) && d.section.contains("UDP/TLS/"),
    },
    Reason {
        name: "suites of `only-`",
        explains: |d| is_key(d) && d.case.flags.iter().any(|w| matches!(w, Wish::List("SDES", _))),
    },
    Reason {
        name: "end of candidates",
        explains: |d| d.whose == Whose::Ours && d.line == "a=end-of-candidates",
    },
    Reason {
        name: "old hold",
        explains: |d| {
            let moved = d.case.flags.iter().any(|w| matches!(w, Wish::Key("media-address", _)));
            moved && d.case.name == "old hold" && d.line.starts_with("c=")
        },
    },
    Reason {
        name: "length of packets",
        explains: |d| {
            d.step == Step::Answer && d.whose == Whose::Theirs && d.line.starts_with("a=ptime:")
        },
    },
    Reason {
        name: "codecs of an answer",
        explains: |d| {
            let about = ["m=", "a=rtpmap:", "a=fmtp:"];
            let is_about = about.iter().any(|start| d.line.starts_with(start));
            d.step == Step::Answer && is_about && d.case.flags.iter().any(changes_codecs)
        },
    },
    Reason {
        name: "parameters of an answer",
        explains: |d| {
            let theirs = ["a=fmtp:", "a=rtcp-fb:"].iter().any(|start| d.line.starts_with(start));
            d.step == Step::Answer && d.whose == Whose::Theirs && theirs
        },
    },
    Reason {
        name: "order of digits",
        explains: |d| {
            d.step == Step::Offer
                && d.line.starts_with("m=")
                && d.case.name == "browser"
                && d.case.flags.iter().any(changes_codecs)
        },
    },
];

fn is_key(difference: &Difference) -> bool {
    difference.line.starts_with("a=crypto:")
}

fn changes_codecs(wish: &Wish) -> bool {
    matches!(wish, Wish::Flag(flag) if flag.starts_with("codec-"))
}
