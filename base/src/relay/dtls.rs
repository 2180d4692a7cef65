//! Keys by DTLS: who begins, and whose certificate is right (RFC 5763, RFC 8122).

use core::fmt;
use serde::{Deserialize, Serialize};

/// A hash function of RFC 8122 §5; MD2 and MD5 are not used (§5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the standards'")]
pub enum HashFunction {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl HashFunction {
    /// All of them.
    pub const ALL: [HashFunction; 5] = [
        HashFunction::Sha1,
        HashFunction::Sha224,
        HashFunction::Sha256,
        HashFunction::Sha384,
        HashFunction::Sha512,
    ];

    /// Its name in `a=fingerprint`.
    pub fn name(self) -> &'static str {
        match self {
            HashFunction::Sha1 => "sha-1",
            HashFunction::Sha224 => "sha-224",
            HashFunction::Sha256 => "sha-256",
            HashFunction::Sha384 => "sha-384",
            HashFunction::Sha512 => "sha-512",
        }
    }

    /// The hash function of a name, in whatever case.
    pub fn parse(name: &str) -> Option<HashFunction> {
        HashFunction::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    /// Octets of its digests.
    pub fn length(self) -> usize {
        match self {
            HashFunction::Sha1 => 20,
            HashFunction::Sha224 => 28,
            HashFunction::Sha256 => 32,
            HashFunction::Sha384 => 48,
            HashFunction::Sha512 => 64,
        }
    }
}

/// The digest of a certificate, RFC 8122 §5.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fingerprint {
    hash: HashFunction,
    digest: Vec<u8>,
}

impl Fingerprint {
    /// `None` if the digest has not the length that the function gives.
    pub fn new(hash: HashFunction, digest: Vec<u8>) -> Option<Fingerprint> {
        (digest.len() == hash.length()).then_some(Fingerprint { hash, digest })
    }

    /// Reads what stands behind `a=fingerprint:`, such as `sha-256 4A:AD:…`.
    pub fn parse(value: &str) -> Option<Fingerprint> {
        let (name, digest) = value.trim().split_once(' ')?;
        let octets = digest.trim().split(':').map(|octet| {
            let hexadecimal = octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit());
            hexadecimal.then(|| u8::from_str_radix(octet, 16).ok()).flatten()
        });
        Fingerprint::new(HashFunction::parse(name)?, octets.collect::<Option<Vec<u8>>>()?)
    }

    /// The function that it was made with.
    pub fn hash(&self) -> HashFunction {
        self.hash
    }

    /// Its octets.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.hash.name())?;
        for (octet, separator) in
            self.digest.iter().zip([' '].into_iter().chain([':'].into_iter().cycle()))
        {
            write!(f, "{separator}{octet:02X}")?;
        }
        Ok(())
    }
}

/// The handshake with the peer of a port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Handshake {
    /// Whether we begin: `setup:active` was ours, RFC 5763 §5.
    pub active: bool,
    /// The digests of which one has to be that of the peer's certificate. Without any the peer has not answered yet:
    /// its first flight waits.
    pub fingerprints: Vec<Fingerprint>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_and_written() {
        for hash in HashFunction::ALL {
            let digest: Vec<u8> = (0..hash.length() as u8).map(|n| n.wrapping_mul(37)).collect();
            let fingerprint = Fingerprint::new(hash, digest).unwrap();
            assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint.clone()));
            let lower = fingerprint.to_string().to_lowercase();
            assert_eq!(Fingerprint::parse(&lower), Some(fingerprint));
        }
        let short = "sha-1 ".to_owned() + &"AB:".repeat(18) + "AB";
        let signed = "sha-1 ".to_owned() + &"AB:".repeat(19) + "+1";
        for bad in ["", "sha-1", "md5 00:11", "sha-256 4A:AD", &short, &signed] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad}");
        }
        let right = "sha-1 ".to_owned() + &"ab:".repeat(19) + "01";
        assert_eq!(
            Fingerprint::parse(&right).unwrap().to_string(),
            right.to_uppercase().replace("SHA", "sha")
        );
    }
}
