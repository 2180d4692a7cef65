//! The certificate that we show in every handshake, and fingerprints of certificates.

use std::sync::Arc;

use aws_lc_rs::digest;
use base::redact::Secret;
use base::relay::{Fingerprint, HashFunction};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

/// What its subject and issuer are called. Nobody reads it: RFC 5763 §6.7.1 trusts the fingerprint alone.
const NAME: &str = "strowger";

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate for DTLS could be made: {0}")]
pub struct CertificateError(#[from] rcgen::Error);

/// A self-signed certificate with its key, ECDSA on P-256 (RFC 8827 §6.5).
#[derive(Clone, Debug)]
pub struct Certificate(Arc<dimpl::DtlsCertificate>);

impl Certificate {
    /// Another one each time; the system's random numbers make its key.
    ///
    /// # Errors
    /// [`CertificateError`] if the system gives no random numbers.
    pub fn generate() -> Result<Certificate, CertificateError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, NAME);
        let certificate = params.self_signed(&key)?.der().to_vec();
        let private_key = key.serialize_der();
        Ok(Certificate(Arc::new(dimpl::DtlsCertificate { certificate, private_key })))
    }

    /// One that was made before: the certificate and its key (PKCS #8), in DER.
    ///
    /// # Errors
    /// [`CertificateError`] if the key is none.
    pub fn from_der(
        certificate: &[u8],
        key: &Secret<Vec<u8>>,
    ) -> Result<Certificate, CertificateError> {
        let key = KeyPair::try_from(key.reveal().as_slice())?;
        let (certificate, private_key) = (certificate.to_vec(), key.serialize_der());
        Ok(Certificate(Arc::new(dimpl::DtlsCertificate { certificate, private_key })))
    }

    /// The certificate and its key, for [`Certificate::from_der`].
    pub fn to_der(&self) -> (Vec<u8>, Secret<Vec<u8>>) {
        (self.0.certificate.clone(), Secret::new(self.0.private_key.clone()))
    }

    /// Its fingerprint by a hash function.
    pub fn fingerprint(&self, hash: HashFunction) -> Fingerprint {
        let digest = digest_of(&self.0.certificate, hash);
        Fingerprint::new(hash, digest).expect("a digest has the length of its function")
    }

    pub(crate) fn parts(&self) -> dimpl::DtlsCertificate {
        (*self.0).clone()
    }
}

/// Whether a fingerprint is that of a certificate, in DER.
pub fn is_of(fingerprint: &Fingerprint, certificate: &[u8]) -> bool {
    digest_of(certificate, fingerprint.hash()) == fingerprint.digest()
}

fn digest_of(certificate: &[u8], hash: HashFunction) -> Vec<u8> {
    let algorithm = match hash {
        HashFunction::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        HashFunction::Sha224 => &digest::SHA224,
        HashFunction::Sha256 => &digest::SHA256,
        HashFunction::Sha384 => &digest::SHA384,
        HashFunction::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, certificate).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_certificate_has_fingerprints_of_its_own() {
        let [one, other] = [(); 2].map(|()| Certificate::generate().unwrap());
        for hash in HashFunction::ALL {
            assert!(is_of(&one.fingerprint(hash), &one.parts().certificate));
            assert!(!is_of(&one.fingerprint(hash), &other.parts().certificate));
        }
    }

    #[test]
    fn one_that_was_made_before_is_the_same() {
        let one = Certificate::generate().unwrap();
        let (certificate, key) = one.to_der();
        let again = Certificate::from_der(&certificate, &key).unwrap();
        assert_eq!(again.to_der(), one.to_der());
        assert!(Certificate::from_der(&certificate, &Secret::new(vec![0; 40])).is_err());
    }
}
