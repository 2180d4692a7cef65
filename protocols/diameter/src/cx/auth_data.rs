//! SIP-Auth-Data-Item and SIP-Digest-Authenticate, TS 29.229 §6.3.13 and §6.3.36.

use base::redact::Secret;

use super::*;

/// SIP-Auth-Data-Item: what is asked for (in MAR) and one vector (in MAA), TS 29.228 §6.3.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuthData {
    /// SIP-Item-Number: the order of vectors.
    pub item_number: Option<u32>,
    /// SIP-Authentication-Scheme: `Digest-AKAv1-MD5`, `SIP Digest` or `Unknown`.
    pub scheme: Option<String>,
    /// SIP-Authenticate: RAND || AUTN in an answer.
    pub authenticate: Option<Vec<u8>>,
    /// SIP-Authorization: XRES in an answer; RAND || AUTS in a request after a synchronisation
    /// failure.
    pub authorization: Option<Secret<Vec<u8>>>,
    /// Confidentiality-Key: CK.
    pub confidentiality_key: Option<Secret<Vec<u8>>>,
    /// Integrity-Key: IK.
    pub integrity_key: Option<Secret<Vec<u8>>>,
    /// SIP-Digest-Authenticate.
    pub digest: Option<DigestAuthenticate>,
}

/// SIP-Digest-Authenticate: what the S-CSCF needs to challenge with SIP Digest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DigestAuthenticate {
    /// Digest-Realm.
    pub realm: String,
    /// Digest-Algorithm; absent means MD5.
    pub algorithm: Option<String>,
    /// Digest-QoP.
    pub qop: String,
    /// Digest-HA1: hexadecimal digits.
    pub ha1: Secret<String>,
}

impl AuthData {
    pub(super) fn parse(avp: &crate::avp::Avp<'_>) -> Result<AuthData, Fault> {
        let group = avp.group()?;
        let secret = |key| octets(group.clone(), key).map(Secret::new);
        let digest = group.clone().find(SIP_DIGEST_AUTHENTICATE);
        Ok(AuthData {
            item_number: number(group.clone(), SIP_ITEM_NUMBER)?,
            scheme: text(group.clone(), SIP_AUTHENTICATION_SCHEME)?,
            authenticate: octets(group.clone(), SIP_AUTHENTICATE),
            authorization: secret(SIP_AUTHORIZATION),
            confidentiality_key: secret(CONFIDENTIALITY_KEY),
            integrity_key: secret(INTEGRITY_KEY),
            digest: digest.map(|avp| DigestAuthenticate::parse(&avp)).transpose()?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.group(SIP_AUTH_DATA_ITEM, |group| {
            if let Some(number) = self.item_number {
                group.u32(SIP_ITEM_NUMBER, number);
            }
            write_text(group, SIP_AUTHENTICATION_SCHEME, &self.scheme);
            write_octets(group, SIP_AUTHENTICATE, &self.authenticate);
            for (key, secret) in [
                (SIP_AUTHORIZATION, &self.authorization),
                (CONFIDENTIALITY_KEY, &self.confidentiality_key),
                (INTEGRITY_KEY, &self.integrity_key),
            ] {
                if let Some(secret) = secret {
                    group.bytes(key, secret.reveal());
                }
            }
            if let Some(digest) = &self.digest {
                digest.write(group);
            }
        });
    }
}

impl DigestAuthenticate {
    fn parse(avp: &crate::avp::Avp<'_>) -> Result<DigestAuthenticate, Fault> {
        let group = avp.group()?;
        Ok(DigestAuthenticate {
            realm: required_text(group.clone(), DIGEST_REALM)?,
            algorithm: text(group.clone(), DIGEST_ALGORITHM)?,
            qop: required_text(group.clone(), DIGEST_QOP)?,
            ha1: Secret::new(required_text(group, DIGEST_HA1)?),
        })
    }

    fn write(&self, out: &mut Writer) {
        out.group(SIP_DIGEST_AUTHENTICATE, |group| {
            group.utf8(DIGEST_REALM, &self.realm);
            write_text(group, DIGEST_ALGORITHM, &self.algorithm);
            group.utf8(DIGEST_QOP, &self.qop).utf8(DIGEST_HA1, self.ha1.reveal());
        });
    }
}
