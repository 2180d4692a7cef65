//! Sealed tokens of the border.

use auth::seal::Seal;

use super::TOKEN;

/// What is sealed: one kind does not pass for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Routes, in their order.
    Routes,
    /// A URI that requests are sent to.
    Target,
    /// A Call-ID.
    CallId,
}

impl Kind {
    const fn letter(self) -> u8 {
        match self {
            Kind::Routes => b'r',
            Kind::Target => b't',
            Kind::CallId => b'c',
        }
    }
}

/// How many bytes of a token tell calls apart.
const SALT: usize = 6;

/// A token of letters, digits, `.`, `-` and `_`. The same text of another `call` is another token, so that
/// nobody sees that two calls are of one phone.
pub(super) fn seal(seal: &Seal, kind: Kind, call: &str, text: &str) -> String {
    let salt = seal.fingerprint("call", &[call.as_bytes()]);
    let plain = [&[kind.letter()], &salt[..SALT], text.as_bytes()].concat();
    format!("{TOKEN}.{}", seal.close(&plain))
}

/// What was sealed; `None` if it was not, or is of another kind.
pub(super) fn open(seal: &Seal, kind: Kind, token: &str) -> Option<String> {
    let plain = seal.open(token.strip_prefix(TOKEN)?.strip_prefix('.')?)?;
    let (letter, rest) = plain.split_first()?;
    let text = std::str::from_utf8(rest.get(SALT..)?).ok()?;
    (*letter == kind.letter()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::redact::Secret;

    #[test]
    fn a_token_is_of_one_kind_and_of_one_call() {
        let with = Seal::new(&Secret::new([1; 32]));
        let token = seal(&with, Kind::Target, "call", "sip:a@10.0.0.1");
        assert_eq!(open(&with, Kind::Target, &token).as_deref(), Some("sip:a@10.0.0.1"));
        assert_eq!(open(&with, Kind::Routes, &token), None);
        assert_ne!(token, seal(&with, Kind::Target, "other", "sip:a@10.0.0.1"));
        assert_eq!(token, seal(&with, Kind::Target, "call", "sip:a@10.0.0.1"));
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        assert!(token.bytes().all(legal), "{token}");
        for wrong in ["", "thig", "thig.", "thig.out", "thig.in.00", &token[1..], &token[..30]] {
            assert_eq!(open(&with, Kind::Target, wrong), None, "{wrong}");
        }
    }
}
