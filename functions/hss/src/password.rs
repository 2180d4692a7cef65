//! What is kept of a password: H(A1), RFC 7616 §3.4.2, never the password.

use auth::digest::{Algorithm, Hash, ha1};
use base::redact::Secret;

/// H(A1) under one hash function: hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hashes {
    /// Over IMPI, realm and password.
    pub ha1: Secret<String>,
    /// The same over the name alone, without its domain: what most softphones send as user name.
    pub name_ha1: Option<Secret<String>>,
}

impl Hashes {
    /// The hashes of a subscriber `name` of `realm`.
    pub fn of(hash: Hash, name: &str, realm: &str, password: &Secret<String>) -> Hashes {
        let of = |user: &str| ha1(hash, user, realm, password.reveal().as_bytes());
        Hashes { ha1: of(&format!("{name}@{realm}")), name_ha1: Some(of(name)) }
    }

    /// Each of them, that over the IMPI first.
    pub fn iter(&self) -> impl Iterator<Item = &Secret<String>> {
        [Some(&self.ha1), self.name_ha1.as_ref()].into_iter().flatten()
    }

    /// Whether all have the digits of this hash function.
    pub(crate) fn are_of(&self, hash: Hash) -> bool {
        let digits = hash.hex(&[]).len();
        let legal = |text: &str| text.len() == digits && auth::hex::decode(text).is_some();
        self.iter().all(|hash| legal(hash.reveal()))
    }
}

/// The hashes that a subscriber has, with the algorithm that each serves. MD5 comes first: an S-CSCF
/// that looks only at the first SIP-Auth-Data-Item knows it.
pub fn by_algorithm<'a>(
    md5: &'a Hashes,
    sha256: Option<&'a Hashes>,
) -> impl Iterator<Item = (Algorithm, &'a Hashes)> {
    let sha256 = sha256.map(|hashes| (Algorithm::Sha256, hashes));
    std::iter::once((Algorithm::Md5, md5)).chain(sha256)
}
