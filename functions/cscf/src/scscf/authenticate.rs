//! The challenge to a REGISTER and the check of its answer: TS 24.229 §5.4.1.2, RFC 3310, RFC 7616.

use std::collections::BTreeMap;

use auth::digest::{Algorithm, Covered, Qop, ha1, verify};
use base::redact::Secret;
use base::timer::Expiries;
use base::{Instant, Random};
use diameter::cx::AuthData;
use sip::header::{Challenge, Credentials};
use sip::{Message, Method};

/// What a user has to answer with.
#[derive(Clone, Debug)]
enum Expected {
    /// RES of AKA; used once.
    Aka { xres: Secret<Vec<u8>> },
    /// The hash of name, realm and password; good for further challenges without the HSS.
    Digest {
        realm: String,
        algorithm: Algorithm,
        qop: String,
        /// Over the private identity.
        ha1: Secret<String>,
        /// Over the user name without its domain, if the HSS gave it as well.
        name_ha1: Option<Secret<String>>,
    },
}

/// The challenge that a user has to answer.
#[derive(Clone, Debug)]
struct Pending {
    expected: Expected,
    /// The nonce that was given; empty when it was used up and only H(A1) is still of use.
    nonce: String,
    /// The nonce count that was last accepted.
    count: u32,
}

/// Challenges of one private identity at most: its phones may register at the same time, and a
/// stranger who asks in its name does not take a phone's own challenge away.
const MAX_PENDING: usize = 8;

/// What one private identity was asked.
#[derive(Debug, Default)]
struct User {
    /// The newest last.
    pending: Vec<Pending>,
    /// An answer was wrong: what the HSS gave may be outdated.
    doubtful: bool,
}

/// All challenges, by private identity.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    by_impi: BTreeMap<String, User>,
    expiries: Expiries<String>,
}

/// What an answer to a challenge is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is right.
    Authenticated,
    /// It is wrong: 403.
    Wrong,
    /// It answers a challenge that we do not know (any more): challenge again, `stale`.
    Stale,
    /// The SIM says that our sequence number is off: ask the HSS with RAND and AUTS.
    Resynchronise([u8; 30]),
}

impl Challenges {
    pub(super) fn len(&self) -> usize {
        self.by_impi.len()
    }

    /// The challenge from what the HSS sent. `None` if it lacks something, or speaks of a scheme or
    /// algorithm that we do not know.
    pub(super) fn issue(
        &mut self,
        until: Instant,
        impi: &str,
        realm: &str,
        items: &[AuthData],
        random: &mut Random,
    ) -> Option<Challenge> {
        let data = items.first()?;
        let (expected, challenge) = match data.scheme.as_deref() {
            Some("SIP Digest") => {
                let digest = data.digest.as_ref()?;
                let algorithm = Algorithm::parse(digest.algorithm.as_deref().unwrap_or("MD5"))?;
                let qop = digest.qop.clone();
                let expected = Expected::Digest {
                    realm: digest.realm.clone(),
                    algorithm,
                    qop: qop.clone(),
                    ha1: digest.ha1.clone(),
                    name_ha1: items.get(1).and_then(|i| Some(i.digest.as_ref()?.ha1.clone())),
                };
                (expected, digest_challenge(&digest.realm, algorithm, &qop, random))
            }
            Some("Digest-AKAv1-MD5") => {
                let authenticate = data.authenticate.as_ref()?;
                let (rand, autn) = authenticate.split_first_chunk::<16>()?;
                let autn: &[u8; 16] = autn.try_into().ok()?;
                let keys = |key: &Option<Secret<Vec<u8>>>| {
                    key.as_ref().map(|key| auth::hex::encode(key.reveal()))
                };
                let challenge = Challenge {
                    realm: realm.to_owned(),
                    nonce: auth::digest_aka::nonce(rand, autn, &[]),
                    algorithm: Algorithm::AkaV1Md5.name().to_owned(),
                    qop: "auth".to_owned(),
                    ck: keys(&data.confidentiality_key),
                    ik: keys(&data.integrity_key),
                    ..Challenge::default()
                };
                (Expected::Aka { xres: data.authorization.clone()? }, challenge)
            }
            _ => return None,
        };
        self.remember(until, impi, expected, &challenge);
        Some(challenge)
    }

    /// Another challenge for a user whose H(A1) we still have; `None` if the HSS has to be asked.
    pub(super) fn reissue(
        &mut self,
        until: Instant,
        impi: &str,
        stale: bool,
        random: &mut Random,
    ) -> Option<Challenge> {
        let user = self.by_impi.get(impi).filter(|user| !user.doubtful)?;
        let expected = user.pending.last()?.expected.clone();
        let Expected::Digest { realm, algorithm, qop, .. } = &expected else { return None };
        let mut challenge = digest_challenge(realm, *algorithm, qop, random);
        challenge.stale = stale;
        self.remember(until, impi, expected, &challenge);
        Some(challenge)
    }

    fn remember(&mut self, until: Instant, impi: &str, expected: Expected, challenge: &Challenge) {
        let nonce = challenge.nonce.clone();
        self.expiries.set(until, impi.to_owned());
        let user = self.by_impi.entry(impi.to_owned()).or_default();
        user.doubtful = false;
        user.pending.retain(|pending| !pending.nonce.is_empty());
        if user.pending.len() == MAX_PENDING {
            user.pending.remove(0);
        }
        user.pending.push(Pending { expected, nonce, count: 0 });
    }

    /// Checks credentials.
    pub(super) fn check(
        &mut self,
        impi: &str,
        request: &Message,
        credentials: &Credentials,
    ) -> Verdict {
        let Some(user) = self.by_impi.get_mut(impi) else { return Verdict::Stale };
        let given = |pending: &&mut Pending| {
            !pending.nonce.is_empty() && pending.nonce == credentials.nonce
        };
        let Some(pending) = user.pending.iter_mut().find(given) else { return Verdict::Stale };
        let method = request.method().map_or("", Method::as_str);
        let (ha1, algorithm) = match &pending.expected {
            Expected::Aka { xres } => {
                if let Some(auts) = &credentials.auts {
                    return resynchronise(&pending.nonce, auts).unwrap_or(Verdict::Wrong);
                }
                let user = &credentials.username;
                let a1 = ha1(auth::digest::Hash::Md5, user, &credentials.realm, xres.reveal());
                (a1, Algorithm::AkaV1Md5)
            }
            Expected::Digest { ha1, name_ha1, algorithm, realm, .. } => {
                if *realm != credentials.realm {
                    return Verdict::Wrong;
                }
                let short = name_ha1.as_ref().filter(|_| credentials.username != impi);
                (short.unwrap_or(ha1).clone(), *algorithm)
            }
        };
        let qop = match credentials.qop.to_ascii_lowercase().as_str() {
            "" => Qop::None,
            "auth" => Qop::Auth,
            "auth-int" => Qop::AuthInt(request.body()),
            _ => return Verdict::Wrong,
        };
        let covered = Covered {
            algorithm,
            nonce: &credentials.nonce,
            nc: &credentials.nc,
            cnonce: &credentials.cnonce,
            qop,
            method,
            uri: &credentials.uri,
        };
        if !verify(&ha1, &covered, &credentials.response) {
            pending.nonce.clear();
            user.doubtful = true;
            return Verdict::Wrong;
        }
        // A count that does not grow is a replay, RFC 7616 §3.4.
        let count = u32::from_str_radix(&credentials.nc, 16).unwrap_or(0);
        if qop != Qop::None && count <= pending.count {
            return Verdict::Stale;
        }
        pending.count = count;
        if qop == Qop::None || matches!(pending.expected, Expected::Aka { .. }) {
            pending.nonce.clear();
        }
        Verdict::Authenticated
    }

    /// Forgets what one private identity was asked: what the HSS gave for it is no longer good.
    pub(super) fn forget(&mut self, impi: &str) {
        self.by_impi.remove(impi);
        self.expiries.remove(&impi.to_owned());
    }

    /// Forgets challenges that nobody answered in time: the timer reg-await-auth, TS 24.229
    /// §5.4.1.2.1.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(impi) = self.expiries.due(now) {
            self.by_impi.remove(&impi);
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }
}

fn digest_challenge(
    realm: &str,
    algorithm: Algorithm,
    qop: &str,
    random: &mut Random,
) -> Challenge {
    Challenge {
        realm: realm.to_owned(),
        nonce: random.token::<16>(),
        algorithm: algorithm.name().to_owned(),
        qop: qop.to_owned(),
        ..Challenge::default()
    }
}

/// RAND of the challenge and AUTS of the answer, as the HSS wants them (TS 29.228 §6.3.1).
fn resynchronise(nonce: &str, auts: &str) -> Option<Verdict> {
    let (rand, _) = auth::digest_aka::parse_nonce(nonce).ok()?;
    let auts = auth::digest_aka::parse_auts(auts).ok()?;
    let mut out = [0; 30];
    out[..16].copy_from_slice(&rand);
    out[16..].copy_from_slice(&auts);
    Some(Verdict::Resynchronise(out))
}
