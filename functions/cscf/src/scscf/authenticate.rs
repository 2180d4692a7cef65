//! The challenge to a REGISTER and the check of its answer: TS 24.229 §5.4.1.2, RFC 3310, RFC 7616,
//! RFC 8760.

use std::sync::Arc;

use auth::digest::{Algorithm, Covered, Qop, ha1, verify};
use base::redact::Secret;
use base::slots::{Slot, Slots};
use base::timer::Expiries;
use base::{Instant, Random};
use diameter::cx::{AuthData, DigestAuthenticate};
use sip::header::{Challenge, Credentials};
use sip::{Message, Method};

use crate::index::Index;

/// What the HSS gave for SIP Digest: the hashes of name, realm and password, H(A1), good for further challenges
/// without it. That over the private identity for each algorithm that is offered, followed by that over the user
/// name without its domain, if there is one as well.
#[derive(Clone, Debug)]
struct Digest {
    terms: Arc<Terms>,
    hashes: Secret<Box<[u8]>>,
}

/// What is offered, the same to nearly all users.
#[derive(PartialEq, Eq, Debug)]
struct Terms {
    realm: String,
    qop: String,
    offers: Vec<Offer>,
}

/// An algorithm of SIP Digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Offer {
    algorithm: Algorithm,
    /// Bytes of its hash.
    size: usize,
    /// Whether there is one over the user name without its domain.
    is_named: bool,
}

impl Terms {
    /// The H(A1) that credentials with this `algorithm` and user name answer with: without an algorithm it is MD5
    /// (RFC 7616 §3.4), unless only one was offered.
    fn ha1(
        &self,
        hashes: &Secret<Box<[u8]>>,
        algorithm: &str,
        short: bool,
    ) -> Option<(Secret<String>, Algorithm)> {
        let name = match (algorithm, &self.offers[..]) {
            ("", [only]) => only.algorithm.name(),
            ("", _) => "MD5",
            _ => algorithm,
        };
        let mut at = 0;
        for offer in &self.offers {
            if offer.algorithm.name().eq_ignore_ascii_case(name) {
                let at = at + if short && offer.is_named { offer.size } else { 0 };
                let hash = hashes.reveal().get(at..at + offer.size)?;
                return Some((Secret::new(auth::hex::encode(hash)), offer.algorithm));
            }
            at += offer.size * if offer.is_named { 2 } else { 1 };
        }
        None
    }

    /// One challenge for each algorithm, with the same nonce: a phone that reads the nonce of one and
    /// answers with the algorithm of the other is understood.
    fn challenges(&self, random: &mut Random) -> Vec<Challenge> {
        let nonce = random.token::<16>();
        let challenge = |offer: &Offer| Challenge {
            realm: self.realm.clone(),
            nonce: nonce.clone(),
            algorithm: offer.algorithm.name().to_owned(),
            qop: self.qop.clone(),
            ..Challenge::default()
        };
        self.offers.iter().map(challenge).collect()
    }
}

/// A challenge that a user has to answer.
#[derive(Debug)]
struct Pending {
    /// The random bytes of the nonce that was given, the same with every algorithm.
    nonce: [u8; 16],
    /// The nonce count that was last accepted.
    count: u32,
    /// It was answered, and cannot be once more.
    is_used: bool,
    /// RES of AKA; `None` if it asks for SIP Digest.
    xres: Option<Secret<Box<[u8]>>>,
}

/// Challenges of one private identity at most: its phones may register at the same time, and a
/// stranger who asks in its name does not take a phone's own challenge away.
const MAX_PENDING: usize = 8;

/// What one private identity was asked.
#[derive(Debug)]
struct User {
    impi: Box<str>,
    digest: Option<Digest>,
    /// The newest last.
    pending: Vec<Pending>,
    /// An answer was wrong: what the HSS gave may be outdated.
    doubtful: bool,
}

/// All challenges, by private identity.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    users: Slots<User>,
    by_impi: Index<Slot>,
    expiries: Expiries<Slot>,
    /// What was offered last.
    terms: Option<Arc<Terms>>,
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
        self.users.len()
    }

    fn slot_of(&self, impi: &str) -> Option<Slot> {
        let is = |slot| self.users.get(slot).is_some_and(|user| &*user.impi == impi);
        self.by_impi.find(impi, is)
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
        let issued = match items.first().map(|data| (data.scheme.as_deref(), data)) {
            Some((Some("SIP Digest"), data)) => {
                digest(data, items, algorithms).map(|digest| (self.share(digest), None))
            }
            Some((Some("Digest-AKAv1-MD5"), data)) => {
                aka(realm, data).map(|(challenge, xres)| (None, Some((challenge, xres))))
            }
            _ => None,
        };
        let (challenges, xres) = match &issued {
            Some((Some(digest), _)) => (digest.terms.challenges(random), None),
            Some((None, Some((challenge, xres)))) => (vec![challenge.clone()], Some(xres.clone())),
            _ => return Vec::new(),
        };
        let digest = issued.and_then(|(digest, _)| digest);
        self.remember(until, impi, digest, xres, &challenges);
        challenges
    }

    /// Terms that are those of the last user are kept once.
    fn share(&mut self, mut digest: Digest) -> Option<Digest> {
        match self.terms.as_ref().filter(|known| **known == digest.terms) {
            Some(known) => digest.terms = Arc::clone(known),
            None => self.terms = Some(Arc::clone(&digest.terms)),
        }
        Some(digest)
    }

    /// Another challenge for a user whose H(A1) we still have; `None` if the HSS has to be asked.
    pub(super) fn reissue(
        &mut self,
        until: Instant,
        impi: &str,
        stale: bool,
        random: &mut Random,
    ) -> Option<Vec<Challenge>> {
        let user = self.users.get(self.slot_of(impi)?).filter(|user| !user.doubtful)?;
        let mut challenges = user.digest.as_ref()?.terms.challenges(random);
        challenges.iter_mut().for_each(|challenge| challenge.stale = stale);
        self.remember(until, impi, None, None, &challenges);
        Some(challenges)
    }

    fn remember(
        &mut self,
        until: Instant,
        impi: &str,
        digest: Option<Digest>,
        xres: Option<Secret<Box<[u8]>>>,
        challenges: &[Challenge],
    ) {
        let Some(nonce) = challenges.first().and_then(|first| random_of(&first.nonce)) else {
            return;
        };
        let slot = self.slot_of(impi).unwrap_or_else(|| {
            let user =
                User { impi: impi.into(), digest: None, pending: Vec::new(), doubtful: false };
            let slot = self.users.insert(user);
            self.by_impi.add(impi, slot);
            slot
        });
        self.expiries.refresh(until, &slot);
        let Some(user) = self.users.get_mut(slot) else { return };
        user.doubtful = false;
        // Who is asked for AKA has no password.
        user.digest = digest.or(user.digest.take().filter(|_| xres.is_none()));
        user.pending.retain(|pending| !pending.is_used);
        if user.pending.len() == MAX_PENDING {
            user.pending.remove(0);
        }
        // Most users have one.
        user.pending.reserve_exact(1);
        user.pending.push(Pending { nonce, count: 0, is_used: false, xres });
    }

    /// Checks credentials.
    pub(super) fn check(
        &mut self,
        impi: &str,
        request: &Message,
        credentials: &Credentials<'_>,
    ) -> Verdict {
        let slot = self.slot_of(impi);
        let Some(user) = slot.and_then(|slot| self.users.get_mut(slot)) else {
            return Verdict::Stale;
        };
        let nonce = random_of(&credentials.nonce);
        let given = |pending: &&mut Pending| !pending.is_used && Some(pending.nonce) == nonce;
        let Some(pending) = user.pending.iter_mut().find(given) else { return Verdict::Stale };
        let method = request.method().map_or("", Method::as_str);
        let (ha1, algorithm) = match (&pending.xres, &user.digest) {
            (Some(xres), _) => {
                if let Some(auts) = &credentials.auts {
                    return resynchronise(&credentials.nonce, auts).unwrap_or(Verdict::Wrong);
                }
                let user = &credentials.username;
                let a1 = ha1(auth::digest::Hash::Md5, user, &credentials.realm, xres.reveal());
                (a1, Algorithm::AkaV1Md5)
            }
            (None, Some(Digest { terms, hashes })) => {
                let short = &*credentials.username != impi;
                let ha1 = terms.ha1(hashes, &credentials.algorithm, short);
                let Some(ha1) = ha1.filter(|_| *terms.realm == *credentials.realm) else {
                    return Verdict::Wrong;
                };
                ha1
            }
            (None, None) => return Verdict::Stale,
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
            pending.is_used = true;
            user.doubtful = true;
            return Verdict::Wrong;
        }
        // A count that does not grow is a replay, RFC 7616 §3.4.
        let count = u32::from_str_radix(&credentials.nc, 16).unwrap_or(0);
        if qop != Qop::None && count <= pending.count {
            return Verdict::Stale;
        }
        pending.count = count;
        pending.is_used = qop == Qop::None || pending.xres.is_some();
        // A phone goes on with the nonce that it was given last; another phone is asked once more.
        user.pending.retain(|pending| pending.count == 0 || Some(pending.nonce) == nonce);
        user.pending.shrink_to_fit();
        Verdict::Authenticated
    }

    /// Forgets what one private identity was asked: what the HSS gave for it is no longer good.
    pub(super) fn forget(&mut self, impi: &str) {
        if let Some(slot) = self.slot_of(impi) {
            self.expiries.remove(&slot);
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: Slot) {
        if let Some(user) = self.users.remove(slot) {
            self.by_impi.remove(&*user.impi, slot);
        }
    }

    /// Forgets challenges that nobody answered in time: the timer reg-await-auth, TS 24.229
    /// §5.4.1.2.1.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(slot) = self.expiries.due(now) {
            self.remove(slot);
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }
}

/// What the HSS gave for SIP Digest, if it is of any use.
fn digest(data: &AuthData, items: &[AuthData], algorithms: &[Algorithm]) -> Option<Digest> {
    let DigestAuthenticate { realm, qop, .. } = data.digest.as_ref()?.clone();
    let (mut offers, mut hashes) = (Vec::new(), Vec::new());
    for algorithm in algorithms {
        offers.extend(offer(items, *algorithm, &mut hashes));
    }
    let hashes = Secret::new(hashes.into_boxed_slice());
    let any = !offers.is_empty();
    any.then(|| Digest { terms: Arc::new(Terms { realm, qop, offers }), hashes })
}

/// The challenge of AKA, RFC 3310, and the answer to it.
fn aka(realm: &str, data: &AuthData) -> Option<(Challenge, Secret<Box<[u8]>>)> {
    let (rand, autn) = data.authenticate.as_ref()?.split_first_chunk::<16>()?;
    let autn: &[u8; 16] = autn.try_into().ok()?;
    let keys =
        |key: &Option<Secret<Vec<u8>>>| key.as_ref().map(|key| auth::hex::encode(key.reveal()));
    let challenge = Challenge {
        realm: realm.to_owned(),
        nonce: auth::digest_aka::nonce(rand, autn, &[]),
        algorithm: Algorithm::AkaV1Md5.name().to_owned(),
        qop: "auth".to_owned(),
        ck: keys(&data.confidentiality_key),
        ik: keys(&data.integrity_key),
        ..Challenge::default()
    };
    let xres = data.authorization.as_ref()?.reveal().clone();
    Some((challenge, Secret::new(xres.into_boxed_slice())))
}

/// What a nonce of ours is told from others by: the 16 random bytes of one for SIP Digest, or RAND.
fn random_of(nonce: &str) -> Option<[u8; 16]> {
    let rand = || auth::digest_aka::parse_nonce(nonce).ok().map(|(rand, _)| rand);
    auth::hex::decode_array(nonce).or_else(rand)
}

/// What the HSS gave for an algorithm, put behind the other hashes: H(A1) over the private identity first, then
/// perhaps that over the user name without its domain. `None` if it gave none that can be read.
fn offer(items: &[AuthData], algorithm: Algorithm, hashes: &mut Vec<u8>) -> Option<Offer> {
    let mut found = items.iter().filter_map(|item| {
        let digest = item.digest.as_ref()?;
        let of = Algorithm::parse(digest.algorithm.as_deref().unwrap_or("MD5"))?;
        if of == algorithm { auth::hex::decode(digest.ha1.reveal()) } else { None }
    });
    let first = found.next().filter(|hash| !hash.is_empty())?;
    let named = found.next().filter(|hash| hash.len() == first.len());
    hashes.extend_from_slice(&first);
    hashes.extend(named.iter().flatten());
    Some(Offer { algorithm, size: first.len(), is_named: named.is_some() })
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
