//! DTLS in descriptions, RFC 5763 and RFC 8842: the relay has an association of its own with each party, in which it
//! shows the certificate of its process.

use base::relay::{Fingerprint, Handshake, HashFunction};
use dtls::{Certificate, Setup};
use ng::Request;
use sdp::Session;
use serde::{Deserialize, Serialize};

use crate::call::{Dialogue, Leg, Who};
use crate::crypto::is_secure;
use crate::rewrite::relayed;

/// Fingerprints that are looked at.
const MAX_FINGERPRINTS: usize = 8;

/// DTLS with the party of one leg.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Association {
    /// What the party's last offer said.
    theirs: Option<(Setup, Vec<Fingerprint>)>,
    /// Whether our last offer to it had a fingerprint.
    pub(crate) offered: bool,
    /// What its description shows.
    pub(crate) shown: Option<(Setup, Fingerprint)>,
    /// What was agreed.
    pub(crate) used: Option<Handshake>,
    /// Whether the asker wants us to wait for the party to begin.
    passive: bool,
}

/// What a section says, or the session for all of them; `usual` is the role of who does not say it (RFC 4145 §4).
fn of(session: &Session, index: usize, usual: Setup) -> Option<(Setup, Vec<Fingerprint>)> {
    let sections = [session.media().get(index)?.section(), session.head()];
    let fingerprints = sections.iter().map(|section| {
        let lines = section.attributes("fingerprint").take(MAX_FINGERPRINTS);
        lines.filter_map(Fingerprint::parse).collect::<Vec<_>>()
    });
    let fingerprints = fingerprints.into_iter().find(|found| !found.is_empty())?;
    let setup = sections.iter().find_map(|section| section.attribute("setup"));
    Some((setup.map_or(Some(usual), Setup::parse)?, fingerprints))
}

/// Whether a section, or its session, has a fingerprint that we can compare.
pub(crate) fn has_fingerprint(session: &Session, index: usize) -> bool {
    of(session, index, Setup::Active).is_some()
}

/// An offer of `who`: the other party is offered DTLS if its side is to speak SRTP.
pub(crate) fn offer(
    session: &Session,
    request: &Request,
    who: Who,
    dialogue: &mut Dialogue,
    certificate: &Certificate,
) {
    let off = is_off(request);
    for (index, stream) in relayed(session, dialogue) {
        let own = &mut stream.legs[who as usize];
        let secure = is_secure(&own.protocol) && !off;
        let theirs = secure.then(|| of(session, index, Setup::Active)).flatten();
        let hash = hash_of(request, theirs.as_ref());
        let passive = wants_passive(request);
        own.association.theirs = theirs;
        own.association.passive = passive;
        own.association.offered = false;
        own.association.shown = None;
        let far = &mut stream.legs[who.other() as usize];
        far.association.offered = is_secure(&far.protocol) && !off;
        let shown =
            far.association.offered.then(|| (Setup::Actpass, certificate.fingerprint(hash)));
        far.association.shown = shown;
    }
}

/// An answer of `who`: how it took our offer, and what the offerer gets.
pub(crate) fn answer(
    session: &Session,
    request: &Request,
    who: Who,
    dialogue: &mut Dialogue,
    certificate: &Certificate,
) {
    for (index, stream) in relayed(session, dialogue) {
        let own = &mut stream.legs[who as usize];
        let offered = own.association.offered && is_secure(&own.protocol);
        own.association.shown = None;
        let theirs = offered.then(|| of(session, index, Setup::Passive)).flatten();
        own.association.agree(theirs, true);
        let far = &mut stream.legs[who.other() as usize];
        let association = &mut far.association;
        let accepted = is_secure(&far.protocol) && !is_off(request);
        let theirs = association.theirs.clone().filter(|_| accepted);
        let active = !(association.passive || wants_passive(request));
        let hash = hash_of(request, theirs.as_ref());
        let answered = theirs.as_ref().map(|(setup, _)| *setup);
        association.agree(theirs, active);
        association.shown = answered.map(|offer| {
            let setup = match &association.used {
                Some(used) if used.active => Setup::Active,
                Some(_) => Setup::Passive,
                None => offer.answered(active),
            };
            (setup, certificate.fingerprint(hash))
        });
    }
}

impl Association {
    /// How the party speaks, in rtpengine's words.
    pub(crate) fn ways(&self) -> Vec<&'static str> {
        match &self.used {
            None => Vec::new(),
            Some(Handshake { active: true, .. }) => vec!["DTLS-SRTP", "DTLS role active"],
            Some(_) => vec!["DTLS-SRTP", "DTLS role passive"],
        }
    }

    /// The party said this. An association that is there already keeps its roles (RFC 8842 §5.5); where the party leaves
    /// it open, we begin or not.
    fn agree(&mut self, theirs: Option<(Setup, Vec<Fingerprint>)>, active: bool) {
        let Some((setup, fingerprints)) = theirs.filter(|(setup, _)| *setup != Setup::Holdconn)
        else {
            self.used = None;
            return;
        };
        let goes_on = self.used.as_ref().is_some_and(|used| used.fingerprints == fingerprints);
        if !goes_on {
            let active = setup.answered(active) == Setup::Active;
            self.used = Some(Handshake { active, fingerprints });
        }
    }
}

impl Leg {
    /// The attributes that its description shows of it.
    pub(crate) fn handshake_lines(&self) -> Vec<(&'static str, String)> {
        let Some((setup, fingerprint)) = &self.association.shown else { return Vec::new() };
        vec![("fingerprint", fingerprint.to_string()), ("setup", setup.as_str().to_owned())]
    }
}

fn is_off(request: &Request) -> bool {
    let off = |word: &str| ["off", "no", "disable"].iter().any(|o| word.eq_ignore_ascii_case(o));
    request.dtls.as_deref().is_some_and(off)
}

fn wants_passive(request: &Request) -> bool {
    request.dtls.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("passive"))
}

/// The hash function that the asker wants, or the one of the other side, or SHA-256 (RFC 8122 §5).
fn hash_of(request: &Request, theirs: Option<&(Setup, Vec<Fingerprint>)>) -> HashFunction {
    let asked = request.other.text("DTLS-fingerprint").and_then(HashFunction::parse);
    let same = theirs.and_then(|(_, fingerprints)| fingerprints.first()).map(Fingerprint::hash);
    asked.or(same).unwrap_or(HashFunction::Sha256)
}
