//! HTTP Digest as SIP uses it: RFC 2617, RFC 7616 and RFC 8760.

use core::fmt;

use base::redact::Secret;
use md5::Md5;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512_256};

use crate::{equal, hex};

/// The hash function under a Digest algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hash {
    /// MD5, RFC 2617.
    Md5,
    /// SHA-256, RFC 7616.
    Sha256,
    /// SHA-512/256, RFC 7616.
    Sha512_256,
}

impl Hash {
    /// The hash of the concatenated parts, in lower-case hexadecimal.
    pub fn hex(self, parts: &[&[u8]]) -> String {
        fn run<D: Digest>(parts: &[&[u8]]) -> String {
            let mut hash = D::new();
            parts.iter().for_each(|part| hash.update(part));
            hex::encode(&hash.finalize())
        }
        match self {
            Hash::Md5 => run::<Md5>(parts),
            Hash::Sha256 => run::<Sha256>(parts),
            Hash::Sha512_256 => run::<Sha512_256>(parts),
        }
    }
}

/// The `algorithm` parameter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// `MD5`, also what an absent parameter means.
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
    /// `SHA-512-256`.
    Sha512_256,
    /// `SHA-512-256-sess`.
    Sha512_256Sess,
    /// `AKAv1-MD5`, RFC 3310.
    AkaV1Md5,
    /// `AKAv1-MD5-sess`, RFC 3310.
    AkaV1Md5Sess,
    /// `AKAv2-MD5`, RFC 4169.
    AkaV2Md5,
}

impl Algorithm {
    const NAMES: [(Algorithm, &'static str); 9] = [
        (Algorithm::Md5, "MD5"),
        (Algorithm::Md5Sess, "MD5-sess"),
        (Algorithm::Sha256, "SHA-256"),
        (Algorithm::Sha256Sess, "SHA-256-sess"),
        (Algorithm::Sha512_256, "SHA-512-256"),
        (Algorithm::Sha512_256Sess, "SHA-512-256-sess"),
        (Algorithm::AkaV1Md5, "AKAv1-MD5"),
        (Algorithm::AkaV1Md5Sess, "AKAv1-MD5-sess"),
        (Algorithm::AkaV2Md5, "AKAv2-MD5"),
    ];

    /// The algorithm of that name in any case, `None` if it is unknown.
    pub fn parse(name: &str) -> Option<Algorithm> {
        Self::NAMES.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(a, _)| *a)
    }

    /// The name as the RFCs spell it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(a, _)| *a == self).expect("every algorithm is in the table").1
    }

    /// The hash function.
    pub fn hash(self) -> Hash {
        match self {
            Algorithm::Sha256 | Algorithm::Sha256Sess => Hash::Sha256,
            Algorithm::Sha512_256 | Algorithm::Sha512_256Sess => Hash::Sha512_256,
            _ => Hash::Md5,
        }
    }

    /// Whether A1 covers nonce and cnonce, RFC 7616 §3.4.2.
    pub fn is_session(self) -> bool {
        use Algorithm::*;
        matches!(self, Md5Sess | Sha256Sess | Sha512_256Sess | AkaV1Md5Sess)
    }

    /// Whether the password comes from AKA.
    pub fn is_aka(self) -> bool {
        matches!(self, Algorithm::AkaV1Md5 | Algorithm::AkaV1Md5Sess | Algorithm::AkaV2Md5)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The quality of protection that the client chose, and what it covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Qop<'a> {
    /// No `qop` parameter: RFC 2069 compatibility.
    None,
    /// `auth`.
    Auth,
    /// `auth-int`: covers this body.
    AuthInt(&'a [u8]),
}

/// The parameters that a response covers, as they stand on the wire (unquoted).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Covered<'a> {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// `nonce`.
    pub nonce: &'a str,
    /// `nc`: 8 hexadecimal digits; not used without qop.
    pub nc: &'a str,
    /// `cnonce`; not used without qop, except by the session algorithms.
    pub cnonce: &'a str,
    /// `qop`.
    pub qop: Qop<'a>,
    /// The SIP method; empty in a response's `rspauth`.
    pub method: &'a str,
    /// `uri`.
    pub uri: &'a str,
}

/// H(A1) of user, realm and password, RFC 7616 §3.4.2: what may be stored instead of a password.
///
/// For AKAv1 the password is RES as bytes (RFC 3310 §3.3), and empty in a request that carries `auts`
/// (§3.4).
pub fn ha1(hash: Hash, user: &str, realm: &str, password: &[u8]) -> Secret<String> {
    Secret::new(hash.hex(&[user.as_bytes(), b":", realm.as_bytes(), b":", password]))
}

/// The `response` parameter, RFC 7616 §3.4.1: `ha1` as [`ha1`] made it, never the session's.
pub fn response(ha1: &Secret<String>, covered: &Covered<'_>) -> String {
    let Covered { algorithm, nonce, nc, cnonce, qop, method, uri } = *covered;
    let hash = algorithm.hash();
    let (nonce, nc, cnonce) = (nonce.as_bytes(), nc.as_bytes(), cnonce.as_bytes());
    let base = ha1.reveal().as_bytes();
    let session;
    let ha1 = if algorithm.is_session() {
        session = hash.hex(&[base, b":", nonce, b":", cnonce]);
        session.as_bytes()
    } else {
        base
    };
    let (method, uri) = (method.as_bytes(), uri.as_bytes());
    let (qop, ha2) = match qop {
        Qop::None => {
            let ha2 = hash.hex(&[method, b":", uri]);
            return hash.hex(&[ha1, b":", nonce, b":", ha2.as_bytes()]);
        }
        Qop::Auth => ("auth", hash.hex(&[method, b":", uri])),
        Qop::AuthInt(body) => {
            let body = hash.hex(&[body]);
            ("auth-int", hash.hex(&[method, b":", uri, b":", body.as_bytes()]))
        }
    };
    let (qop, ha2) = (qop.as_bytes(), ha2.as_bytes());
    hash.hex(&[ha1, b":", nonce, b":", nc, b":", cnonce, b":", qop, b":", ha2])
}

/// Whether `given` is the right response, in constant time; hexadecimal digits of either case.
pub fn verify(ha1: &Secret<String>, covered: &Covered<'_>, given: &str) -> bool {
    equal(response(ha1, covered).as_bytes(), given.to_ascii_lowercase().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2617 §3.5.
    #[test]
    fn rfc_2617_example() {
        let ha1 = ha1(Hash::Md5, "Mufasa", "testrealm@host.com", b"Circle Of Life");
        assert_eq!(ha1.reveal(), "939e7578ed9e3c518a452acee763bce9");
        let mut covered = Covered {
            algorithm: Algorithm::Md5,
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            nc: "00000001",
            cnonce: "0a4f113b",
            qop: Qop::Auth,
            method: "GET",
            uri: "/dir/index.html",
        };
        let right = "6629fae49393a05397450978507c4ef1";
        assert_eq!(response(&ha1, &covered), right);
        assert!(verify(&ha1, &covered, &right.to_uppercase()));
        covered.method = "PUT";
        assert!(!verify(&ha1, &covered, right));
    }

    /// RFC 7616 §3.9.1, both algorithms.
    #[test]
    fn rfc_7616_examples() {
        for (algorithm, right) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = ha1(algorithm.hash(), "Mufasa", "http-auth@example.org", b"Circle of Life");
            let covered = Covered {
                algorithm,
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                nc: "00000001",
                cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                qop: Qop::Auth,
                method: "GET",
                uri: "/dir/index.html",
            };
            assert_eq!(response(&ha1, &covered), right);
        }
    }

    /// RFC 2617 §3.2.2.1 and §3.2.2.3 by their formulas, put together from the hash alone.
    #[test]
    fn session_and_integrity_follow_the_formulas() {
        let md5 = |text: &str| Hash::Md5.hex(&[text.as_bytes()]);
        let covered = Covered {
            algorithm: Algorithm::Md5Sess,
            nonce: "n",
            nc: "00000002",
            cnonce: "c",
            qop: Qop::AuthInt(b"v=0\r\n"),
            method: "INVITE",
            uri: "sip:b",
        };
        let a1 = md5(&format!("{}:n:c", md5("u:r:p")));
        let a2 = md5(&format!("INVITE:sip:b:{}", md5("v=0\r\n")));
        let right = md5(&format!("{a1}:n:00000002:c:auth-int:{a2}"));
        let ha1 = ha1(Hash::Md5, "u", "r", b"p");
        assert_eq!(response(&ha1, &covered), right);
        let plain = Covered { algorithm: Algorithm::Md5, qop: Qop::None, ..covered };
        let right = md5(&format!("{}:n:{}", md5("u:r:p"), md5("INVITE:sip:b")));
        assert_eq!(response(&ha1, &plain), right);
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Algorithm::parse("akav1-md5"), Some(Algorithm::AkaV1Md5));
        assert_eq!(Algorithm::Sha512_256Sess.to_string(), "SHA-512-256-sess");
        assert_eq!(Algorithm::parse("MD4"), None);
    }
}
