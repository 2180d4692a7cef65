//! Finds key material in an encoded message, so that it can be overwritten with as many bytes before
//! anybody sees it.

use core::ops::Range;

use crate::avp::Avp;
use crate::dictionary::{
    self, CONFIDENTIALITY_KEY, DIGEST_HA1, INTEGRITY_KEY, Kind, SIP_AUTHORIZATION,
};
use crate::header::{HEADER_LEN, Header};

const DEPTH: usize = 8;

/// The byte ranges of key material in `message`, in their order: CK, IK and the Digest's H(A1), and
/// the expected response in an answer (in a request SIP-Authorization is RAND and AUTS, which are no
/// secrets). Malformed messages are looked into as far as they can be read.
pub fn secrets(message: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if let Some((header, _)) = Header::parse(message) {
        walk(message, HEADER_LEN..message.len(), !header.is_request(), DEPTH, &mut found);
    }
    found
}

/// Whether an AVP is key material.
pub(crate) fn is_secret(avp: &Avp<'_>, answer: bool) -> bool {
    let key = [CONFIDENTIALITY_KEY, INTEGRITY_KEY, DIGEST_HA1].iter().any(|key| avp.is(*key));
    key || answer && avp.is(SIP_AUTHORIZATION)
}

fn walk(
    message: &[u8],
    range: Range<usize>,
    answer: bool,
    depth: usize,
    found: &mut Vec<Range<usize>>,
) {
    let mut at = range.start;
    while let Ok(avp) = Avp::parse(&message[at..range.end]) {
        let head = if avp.flags & 0x80 == 0 { 8 } else { 12 };
        let data = at + head..at + head + avp.data.len();
        at += avp.raw.len();
        let grouped =
            || dictionary::avp(avp.vendor, avp.code).map(|e| e.kind) == Some(Kind::Grouped);
        if is_secret(&avp, answer) {
            found.push(data);
        } else if depth > 0 && grouped() {
            walk(message, data, answer, depth - 1, found);
        }
    }
}
