//! What would go wrong with a certificate, without a connection.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};

use super::identity::identities;
use super::{TlsError, own};

/// What is wrong with a certificate or its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It cannot be used at all.
    Unreadable(TlsError),
    /// The key is another one's.
    OtherKey,
    /// It is no longer valid: since when, in seconds of Unix time.
    Expired(u64),
    /// It is not valid yet: from when on, in seconds of Unix time.
    NotYetValid(u64),
    /// It is good for none of these names, but for those: its SIP domain identities, RFC 5922 §7.1.
    OtherNames(Vec<String>),
}

/// Looks at a certificate and its key (PEM) as they would be used at `now`, seconds of Unix time, under
/// one of these names.
pub fn inspect(certificate: &[u8], key: &[u8], now: u64, names: &[&str]) -> Vec<Fault> {
    let (chain, key) = match own(certificate, key) {
        Ok(own) => own,
        Err(error) => return vec![Fault::Unreadable(error)],
    };
    let refused = |error: Error| vec![Fault::Unreadable(TlsError::Refused(error.to_string()))];
    let mut faults = Vec::new();
    match CertifiedKey::from_der(chain.clone(), key, &aws_lc_rs::default_provider()) {
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            faults.push(Fault::OtherKey);
        }
        Err(error) => return refused(error),
        Ok(_) => {}
    }
    let first = &chain[0];
    let parsed = match ParsedCertificate::try_from(first) {
        Ok(parsed) => parsed,
        Err(error) => return refused(error),
    };
    // Its times are looked at before who signed it.
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let nobody = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], at, algorithms) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            faults.push(Fault::Expired(not_after.as_secs()));
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before, ..
        })) => faults.push(Fault::NotYetValid(not_before.as_secs())),
        _ => {}
    }
    let known = identities(first);
    if !known.iter().any(|known| names.iter().any(|name| known.eq_ignore_ascii_case(name))) {
        faults.push(Fault::OtherNames(known));
    }
    faults
}
