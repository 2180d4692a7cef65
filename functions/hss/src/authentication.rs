//! What an S-CSCF is given to challenge with, TS 29.228 §6.3 and TS 33.203 §6.1.

use auth::aka::{Auts, Rand, Vector, check_auts, vector};
use auth::milenage::Milenage;
use auth::sqn::Sqn;
use base::Random;
use base::redact::Secret;
use diameter::cx::{AuthData, DigestAuthenticate, Mar};
use diameter::dictionary::SIP_AUTHORIZATION;
use diameter::{ExperimentalCode, Fault, Outcome, ResultCode, Writer};

use crate::password::by_algorithm;
use crate::subscriber::Credential;

pub(crate) const AKA: &str = "Digest-AKAv1-MD5";
pub(crate) const SIP_DIGEST: &str = "SIP Digest";
const UNKNOWN: &str = "Unknown";

/// Vectors that are made for one request at most.
const MAX_VECTORS: u32 = 5;

/// What a MAR asks for.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// This many AKA vectors, perhaps after a synchronisation failure.
    Aka { count: u32, resync: Option<(Rand, Auts)> },
    /// What SIP Digest needs; it is ready.
    Digest(Vec<AuthData>),
}

/// Why a MAR is refused.
pub(crate) enum Refusal {
    Outcome(Outcome),
    Fault(Fault),
}

/// What a MAR asks of this credential.
pub(crate) fn wanted(mar: &Mar, credential: &Credential) -> Result<Wanted, Refusal> {
    let scheme = mar.auth_data.scheme.as_deref().unwrap_or(UNKNOWN);
    let asks = |name: &str| scheme.eq_ignore_ascii_case(name);
    match credential {
        Credential::Aka { .. } if asks(AKA) || asks(UNKNOWN) => {
            let resync = match &mar.auth_data.authorization {
                Some(bytes) => Some(rand_and_auts(bytes.reveal()).ok_or_else(|| {
                    // The value, not the command, is at fault.
                    let mut avp = Writer::new();
                    avp.bytes(SIP_AUTHORIZATION, bytes.reveal());
                    let code = ResultCode::INVALID_AVP_VALUE;
                    Refusal::Fault(Fault { code, failed: avp.finish() })
                })?),
                None => None,
            };
            Ok(Wanted::Aka { count: mar.items.clamp(1, MAX_VECTORS), resync })
        }
        Credential::Digest { realm, md5, sha256 } if asks(SIP_DIGEST) || asks(UNKNOWN) => {
            // TS 29.228 knows one item, and other S-CSCFs read only the first: it is MD5 over the
            // IMPI. The second one of an algorithm serves phones whose user name has no domain.
            let hashes = by_algorithm(md5, sha256.as_ref())
                .flat_map(|(algorithm, hashes)| hashes.iter().map(move |ha1| (algorithm, ha1)));
            let items = hashes.zip(1..).map(|((algorithm, ha1), number)| AuthData {
                item_number: Some(number),
                scheme: Some(SIP_DIGEST.to_owned()),
                digest: Some(DigestAuthenticate {
                    realm: realm.clone(),
                    algorithm: Some(algorithm.name().to_owned()),
                    qop: "auth".to_owned(),
                    ha1: ha1.clone(),
                }),
                ..AuthData::default()
            });
            Ok(Wanted::Digest(items.collect()))
        }
        _ => Err(Refusal::Outcome(ExperimentalCode::ERROR_AUTH_SCHEME_NOT_SUPPORTED.into())),
    }
}

/// SQN_MS of a synchronisation failure, if the subscriber's SIM made it.
pub(crate) fn sqn_ms(credential: &Credential, rand: &Rand, auts: &Auts) -> Option<Sqn> {
    let Credential::Aka { k, opc, .. } = credential else {
        return None;
    };
    check_auts(&Milenage::new(k, opc), rand, auts).ok()
}

/// One vector as an AVP.
pub(crate) fn item(
    credential: &Credential,
    sqn: Sqn,
    number: u32,
    random: &mut Random,
) -> Option<AuthData> {
    let Credential::Aka { k, opc, amf } = credential else {
        return None;
    };
    // The AMF as provisioned, as Open5GS' Cx does too. TS 33.102 Annex H wants its separation bit in EPS
    // vectors only; but only a terminal on E-UTRAN looks at it.
    let Vector { rand, autn, xres, ck, ik } =
        vector(&Milenage::new(k, opc), random.bytes(), sqn, *amf);
    Some(AuthData {
        item_number: Some(number),
        scheme: Some(AKA.to_owned()),
        authenticate: Some([rand, autn].concat()),
        authorization: Some(Secret::new(xres.reveal().to_vec())),
        confidentiality_key: Some(Secret::new(ck.reveal().to_vec())),
        integrity_key: Some(Secret::new(ik.reveal().to_vec())),
        digest: None,
    })
}

/// RAND || AUTS, TS 29.228 §6.3.1.
fn rand_and_auts(bytes: &[u8]) -> Option<(Rand, Auts)> {
    let (rand, auts) = bytes.split_first_chunk()?;
    Some((*rand, auts.try_into().ok()?))
}
