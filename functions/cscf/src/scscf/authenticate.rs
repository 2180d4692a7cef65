//! The challenge to a REGISTER and the check of its answer: TS 24.229 §5.4.1.2, RFC 3310, RFC 7616,
//! RFC 8760.

use std::collections::HashMap;
use std::sync::Arc;

use auth::digest::{Algorithm, Covered, Qop, ha1, verify};
use base::redact::Secret;
use base::timer::Expiries;
use base::{Instant, Random};
use diameter::cx::{AuthData, DigestAuthenticate};
use foldhash::fast::FixedState;
use sip::header::{Challenge, Credentials};
use sip::{Message, Method};

/// What a user has to answer with.
#[derive(Clone, Debug)]
enum Expected {
    /// RES of AKA; used once.
    Aka { xres: Secret<Vec<u8>> },
    /// The hash of name, realm and password, with each algorithm that is offered; good for further
    /// challenges without the HSS.
    Digest { realm: String, qop: String, offered: Vec<Offered> },
}

/// An algorithm of SIP Digest and what it is checked with.
#[derive(Clone, Debug)]
struct Offered {
    algorithm: Algorithm,
    /// Over the private identity.
    ha1: Secret<String>,
    /// Over the user name without its domain, if the HSS gave it as well.
    name_ha1: Option<Secret<String>>,
}

/// The challenge that a user has to answer.
#[derive(Clone, Debug)]
struct Pending {
    /// The same for all challenges with the same H(A1).
    expected: Arc<Expected>,
    /// The nonce that was given, the same with every algorithm; empty when it was used up and only H(A1) is still of use.
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
    /// Hashed with no seed: only whom the HSS knows is challenged.
    by_impi: HashMap<String, User, FixedState>,
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

    /// The challenge from what the HSS sent: one for each of the `algorithms` of SIP Digest that it
    /// gave H(A1) for, in their order (RFC 8760 §2.4). None at all if it lacks something, or speaks
    /// of a scheme or algorithm that we do not know or do not want.
    pub(super) fn issue(
        &mut self,
        until: Instant,
        impi: &str,
        realm: &str,
        items: &[AuthData],
        algorithms: &[Algorithm],
        random: &mut Random,
    ) -> Vec<Challenge> {
        let Some((expected, challenges)) = asked(realm, items, algorithms, random) else {
            return Vec::new();
        };
        self.remember(until, impi, Arc::new(expected), &challenges);
        challenges
    }

    /// Another challenge for a user whose H(A1) we still have; `None` if the HSS has to be asked.
    pub(super) fn reissue(
        &mut self,
        until: Instant,
        impi: &str,
        stale: bool,
        random: &mut Random,
    ) -> Option<Vec<Challenge>> {
        let user = self.by_impi.get(impi).filter(|user| !user.doubtful)?;
        let expected = Arc::clone(&user.pending.last()?.expected);
        let Expected::Digest { realm, qop, offered } = expected.as_ref() else { return None };
        let mut challenges = digest_challenges(realm, qop, offered, random);
        challenges.iter_mut().for_each(|challenge| challenge.stale = stale);
        self.remember(until, impi, expected, &challenges);
        Some(challenges)
    }

    fn remember(
        &mut self,
        until: Instant,
        impi: &str,
        expected: Arc<Expected>,
        challenges: &[Challenge],
    ) {
        let nonce = challenges.first().map_or_else(String::new, |first| first.nonce.clone());
        self.expiries.refresh(until, impi);
        if !self.by_impi.contains_key(impi) {
            self.by_impi.insert(impi.to_owned(), User::default());
        }
        let Some(user) = self.by_impi.get_mut(impi) else { return };
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
        let (ha1, algorithm) = match pending.expected.as_ref() {
            Expected::Aka { xres } => {
                if let Some(auts) = &credentials.auts {
                    return resynchronise(&pending.nonce, auts).unwrap_or(Verdict::Wrong);
                }
                let user = &credentials.username;
                let a1 = ha1(auth::digest::Hash::Md5, user, &credentials.realm, xres.reveal());
                (a1, Algorithm::AkaV1Md5)
            }
            Expected::Digest { realm, offered, .. } => {
                let chosen = chosen(offered, &credentials.algorithm);
                let Some(chosen) = chosen.filter(|_| *realm == credentials.realm) else {
                    return Verdict::Wrong;
                };
                let short = chosen.name_ha1.as_ref().filter(|_| credentials.username != impi);
                (short.unwrap_or(&chosen.ha1).clone(), chosen.algorithm)
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
        if qop == Qop::None || matches!(*pending.expected, Expected::Aka { .. }) {
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

/// What is expected, and the challenges that ask for it.
fn asked(
    realm: &str,
    items: &[AuthData],
    algorithms: &[Algorithm],
    random: &mut Random,
) -> Option<(Expected, Vec<Challenge>)> {
    let data = items.first()?;
    match data.scheme.as_deref() {
        Some("SIP Digest") => {
            let DigestAuthenticate { realm, qop, .. } = data.digest.as_ref()?.clone();
            let offered: Vec<_> = algorithms.iter().filter_map(|a| offer(items, *a)).collect();
            let challenges = digest_challenges(&realm, &qop, &offered, random);
            let any = !offered.is_empty();
            any.then_some((Expected::Digest { realm, qop, offered }, challenges))
        }
        Some("Digest-AKAv1-MD5") => {
            let (rand, autn) = data.authenticate.as_ref()?.split_first_chunk::<16>()?;
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
            Some((Expected::Aka { xres: data.authorization.clone()? }, vec![challenge]))
        }
        _ => None,
    }
}

/// What the HSS gave for an algorithm: H(A1) over the private identity first, then perhaps that over
/// the user name without its domain.
fn offer(items: &[AuthData], algorithm: Algorithm) -> Option<Offered> {
    let mut found = items.iter().filter_map(|item| {
        let digest = item.digest.as_ref()?;
        let of = Algorithm::parse(digest.algorithm.as_deref().unwrap_or("MD5"))?;
        (of == algorithm).then(|| digest.ha1.clone())
    });
    Some(Offered { algorithm, ha1: found.next()?, name_ha1: found.next() })
}

/// The offer that credentials with this `algorithm` answer: without one it is MD5 (RFC 7616 §3.4),
/// unless only one was offered.
fn chosen<'a>(offered: &'a [Offered], algorithm: &str) -> Option<&'a Offered> {
    match offered {
        [only] if algorithm.is_empty() => Some(only),
        _ => {
            let name = if algorithm.is_empty() { "MD5" } else { algorithm };
            offered.iter().find(|offer| offer.algorithm.name().eq_ignore_ascii_case(name))
        }
    }
}

/// One challenge for each algorithm, with the same nonce: a phone that reads the nonce of one and
/// answers with the algorithm of the other is understood.
fn digest_challenges(
    realm: &str,
    qop: &str,
    offered: &[Offered],
    random: &mut Random,
) -> Vec<Challenge> {
    let nonce = random.token::<16>();
    let challenge = |offer: &Offered| Challenge {
        realm: realm.to_owned(),
        nonce: nonce.clone(),
        algorithm: offer.algorithm.name().to_owned(),
        qop: qop.to_owned(),
        ..Challenge::default()
    };
    offered.iter().map(challenge).collect()
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

#[cfg(test)]
#[path = "authenticate/tests.rs"]
mod tests;
