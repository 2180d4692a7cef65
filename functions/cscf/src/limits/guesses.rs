//! Who answers challenges wrongly too often. What counts is source and identity together, so that a stranger
//! does not lock the subscriber out; and the source with whatever identities it tries.

use std::hash::BuildHasher;

use base::source::Source;
use base::time::Duration;
use base::{Flow, Instant};
use sip::Message;
use sip::header::{Challenge, Credentials, HeaderName};

use super::bucket::{Bucket, Rate};
use super::table::Table;
use crate::cx::private_identity;

/// Wrong answers for one identity from one source: ten, then one in half a minute.
const IDENTITY: Rate = Rate::one_in(Duration::from_secs(30), 10);
/// Wrong answers from one source: a hundred, then one in three seconds.
const SOURCE: Rate = Rate::one_in(Duration::from_secs(3), 100);
/// Pairs, and sources, that are remembered.
const PAIRS: usize = 16_384;

/// Who says in a REGISTER that he is whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Claim {
    source: Source,
    /// The private identity, hashed: it may be long.
    identity: u64,
    /// Whether a challenge is answered.
    answered: bool,
}

impl Claim {
    /// The claim of a REGISTER for this public identity; `None` from a wire.
    pub(crate) fn of(request: &Message, aor: &str, flow: &Flow) -> Option<Claim> {
        let credentials = request.get(HeaderName::Authorization).and_then(Credentials::parse);
        let domain = aor.rsplit_once('@').map_or("", |(_, domain)| domain);
        let identity = private_identity(credentials.as_ref(), aor, domain);
        // A resynchronisation is no guess, TS 33.203 §6.1.3.
        let answered = credentials.is_some_and(|c| !c.response.is_empty() && c.auts.is_none());
        // Nobody gains by two identities that are counted as one.
        let identity = foldhash::quality::FixedState::default().hash_one(identity);
        Some(Claim { source: Source::of_flow(flow)?, identity, answered })
    }

    #[cfg(test)]
    pub(super) fn test(source: Source, identity: u64) -> Claim {
        Claim { source, identity, answered: true }
    }

    /// Whether a response says that the claim is wrong.
    pub(crate) fn is_refuted_by(&self, response: &Message) -> bool {
        let challenge = || response.get(HeaderName::WwwAuthenticate).and_then(Challenge::parse);
        match response.status() {
            403 => true,
            401 => self.answered && !challenge().is_some_and(|challenge| challenge.stale),
            _ => false,
        }
    }
}

/// Wrong answers.
#[derive(Debug)]
pub(super) struct Guesses {
    pairs: Table<(Source, u64), Bucket>,
    sources: Table<Source, (Bucket, Option<Instant>)>,
}

impl Default for Guesses {
    fn default() -> Guesses {
        Guesses { pairs: Table::new(PAIRS), sources: Table::new(PAIRS) }
    }
}

impl Guesses {
    pub(super) fn wrong(&mut self, now: Instant, claim: &Claim) {
        let key = (claim.source, claim.identity);
        self.pairs.touch(now, key, || Bucket::FULL).take(now, IDENTITY);
        self.sources.touch(now, claim.source, || (Bucket::FULL, None)).0.take(now, SOURCE);
    }

    pub(super) fn right(&mut self, claim: &Claim) {
        if claim.answered {
            self.pairs.remove(&(claim.source, claim.identity));
        }
    }

    pub(super) fn is_over(&self, now: Instant, claim: &Claim, registered: bool) -> bool {
        let pair = self.pairs.get(&(claim.source, claim.identity));
        let source = self.sources.get(&claim.source).filter(|_| !registered);
        pair.is_some_and(|bucket| bucket.is_empty(now, IDENTITY))
            || source.is_some_and(|(bucket, _)| bucket.is_empty(now, SOURCE))
    }

    /// Whom to name in the log, unless that was done a moment ago.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        claim: &Claim,
        silence: Duration,
    ) -> Option<Source> {
        let (_, named) = self.sources.get_mut(&claim.source)?;
        if named.is_some_and(|named| now.since(named) < silence) {
            return None;
        }
        *named = Some(now);
        Some(claim.source)
    }
}
