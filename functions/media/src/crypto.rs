//! SRTP by keys in SDP, RFC 4568: the relay offers and answers keys of its own on each side, so that one end may
//! speak SRTP and the other one not, or another suite.

use base::Random;
use base::relay::{Command, Handshake, MasterKey, MasterKeys, Protection, Suite};
use ng::{Request, Value};
use sdp::{Media, Session};
use serde::{Deserialize, Serialize};
use srtp::sdes::Crypto;

use crate::call::{Dialogue, Leg, Who};
use crate::rewrite::relayed;
use crate::words::behind;

/// Lines that are looked at.
const MAX_LINES: usize = 32;

/// Octets of the longest master key and salt.
const LONGEST: usize = 46;

/// The keys of one leg.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// Our own, one for each suite, which a new offer does not change. One that was in use and is not any more goes:
    /// whoever began with it again would use its key stream twice (RFC 3711 §9.1).
    ours: Vec<MasterKey>,
    /// What we offered the party last.
    offered: Vec<Crypto>,
    /// What the party offered last.
    theirs: Vec<Crypto>,
    /// What its description shows.
    pub(crate) shown: Vec<Crypto>,
    /// What is in use.
    used: MasterKeys,
    /// What the packet path was told.
    told: Protection,
    /// An answer said how the party speaks: until the next one, whatever is offered.
    settled: bool,
}

/// Whether a protocol of an `m=` line is SRTP.
pub(crate) fn is_secure(protocol: &str) -> bool {
    protocol.contains("SAVP")
}

/// Whether a protocol has its keys by DTLS alone, RFC 5764 §8.
fn is_by_handshake(protocol: &str) -> bool {
    protocol.starts_with("UDP/TLS/")
}

/// The lines of a section that we can use.
pub(crate) fn lines(media: &Media) -> Vec<Crypto> {
    let lines = media.section().attributes("crypto").take(MAX_LINES);
    lines.filter_map(|line| Crypto::parse(line).ok()).collect()
}

/// An offer of `who`: the other party is offered keys if its side is to speak SRTP.
pub(crate) fn offer(
    session: &Session,
    request: &Request,
    who: Who,
    dialogue: &mut Dialogue,
    random: &mut Random,
) {
    for (index, stream) in relayed(session, dialogue) {
        let Some(line) = session.media()[index].line() else { continue };
        let lines = lines(&session.media()[index]);
        let own = &mut stream.legs[who as usize];
        own.keys.theirs = if is_by_keys(&line.protocol) { lines } else { Vec::new() };
        own.keys.shown.clear();
        let theirs: Vec<Suite> = own.keys.theirs.iter().map(Crypto::suite).collect();
        let far = &mut stream.legs[who.other() as usize];
        far.protocol = request.transport_protocol.clone().unwrap_or_else(|| line.protocol.clone());
        let offers = is_by_keys(&far.protocol) && !is_off(request);
        far.keys.offer(offers, &theirs, request, random);
        stream.legs[who as usize].protocol = line.protocol;
    }
}

/// An answer of `who`: what it chose of our keys; and the offerer gets an answer of ours. Where a handshake was agreed,
/// nothing is chosen. False if a stream has no key in common, and so no sound.
pub(crate) fn answer(
    session: &Session,
    who: Who,
    dialogue: &mut Dialogue,
    random: &mut Random,
) -> bool {
    let mut agreed = true;
    for (index, stream) in relayed(session, dialogue) {
        let Some(line) = session.media()[index].line() else { continue };
        let own = &mut stream.legs[who as usize];
        own.protocol = line.protocol;
        own.keys.shown.clear();
        own.keys.settled = false;
        let secure = is_secure(&own.protocol) && own.association.used.is_none();
        agreed &= own.keys.chosen(secure, &lines(&session.media()[index]));
        let suite = own.keys.used.inbound.as_ref().map(MasterKey::suite);
        let far = &mut stream.legs[who.other() as usize];
        far.keys.settled = false;
        let secure = is_secure(&far.protocol) && far.association.used.is_none();
        agreed &= far.keys.answer(secure, suite, random);
    }
    agreed
}

/// Whether a protocol may have its keys in the description.
fn is_by_keys(protocol: &str) -> bool {
    is_secure(protocol) && !is_by_handshake(protocol)
}

/// Whether no keys are to be offered: DTLS is left.
fn is_off(request: &Request) -> bool {
    let off = |word: &String| ["off", "no", "disable"].iter().any(|o| word.eq_ignore_ascii_case(o));
    wishes(request).iter().any(off)
}

/// What the asker says about keys in descriptions: words of the list `SDES`, and flags that begin so.
fn wishes(request: &Request) -> Vec<String> {
    let flags =
        request.other_flags.iter().filter_map(|flag| behind(flag, "SDES-").map(str::to_owned));
    let lists = request.other.iter().filter(|(key, _)| key.eq_ignore_ascii_case("SDES"));
    let words = lists.flat_map(|(_, list)| list.as_list()).filter_map(Value::as_str);
    flags.chain(words.map(str::to_owned)).collect()
}

/// Whether a suite is offered that the other side did not offer: one that encrypts, and that is not forgotten, unless
/// the asker says otherwise.
fn is_wanted(request: &Request, suite: Suite) -> bool {
    if matches!(suite, Suite::F8128HmacSha1_80 | Suite::NullHmacSha1_80 | Suite::NullHmacSha1_32) {
        return false;
    }
    let wishes = wishes(request);
    let says = |word: &str| wishes.iter().any(|wish| wish.eq_ignore_ascii_case(word));
    let has = |prefix: &str| says(&format!("{prefix}{}", suite.name()));
    let only = wishes.iter().any(|wish| wish.to_ascii_lowercase().starts_with("only-"));
    let none = says("nonew");
    !none && !has("no-") && (!only || has("only-"))
}

impl Keys {
    /// Whether SRTP is spoken with them.
    pub(crate) fn is_used(&self) -> bool {
        self.used != MasterKeys::default()
    }

    /// Our own key of a suite.
    fn ours(&mut self, suite: Suite, random: &mut Random) -> Option<MasterKey> {
        if let Some(key) = self.ours.iter().find(|key| key.suite() == suite) {
            return Some(key.clone());
        }
        let octets = random.bytes::<LONGEST>();
        let key = MasterKey::new(suite, octets.get(..MasterKey::length(suite))?).ok()?;
        self.ours.push(key.clone());
        Some(key)
    }

    /// A key of ours is used no longer, and never again.
    fn retire(&mut self, key: &MasterKey) {
        self.ours.retain(|ours| ours != key);
        self.offered.retain(|line| line.key != *key);
    }

    /// Offers the suites of the other side, and then others.
    fn offer(&mut self, secure: bool, theirs: &[Suite], request: &Request, random: &mut Random) {
        self.offered.clear();
        if !secure {
            self.used = MasterKeys::default();
        }
        let others = Suite::ALL.into_iter().filter(|suite| is_wanted(request, *suite));
        let mut suites: Vec<Suite> = Vec::new();
        for suite in theirs.iter().copied().chain(others).filter(|_| secure) {
            if !suites.contains(&suite) {
                suites.push(suite);
            }
        }
        for (suite, tag) in suites.into_iter().zip(1..) {
            let key = self.ours(suite, random);
            self.offered.extend(key.map(|key| Crypto::new(tag, key)));
        }
        self.shown.clone_from(&self.offered);
    }

    /// The party chose one of our lines, §5.1.2.
    fn chosen(&mut self, secure: bool, lines: &[Crypto]) -> bool {
        let is =
            |ours: &Crypto, line: &Crypto| (ours.tag, ours.suite()) == (line.tag, line.suite());
        let pair = lines
            .iter()
            .find_map(|line| Some((line, self.offered.iter().find(|ours| is(ours, line))?)));
        let used = pair.filter(|_| secure).map(|(line, ours)| MasterKeys {
            inbound: Some(line.key.clone()),
            outbound: Some(ours.key.clone()),
        });
        let agreed = used.is_some() || !secure;
        self.used = used.unwrap_or_default();
        agreed
    }

    /// We choose one of the party's lines: that of this suite, else the first.
    fn answer(&mut self, secure: bool, suite: Option<Suite>, random: &mut Random) -> bool {
        self.shown.clear();
        self.used = MasterKeys::default();
        if !secure {
            return true;
        }
        let same = self.theirs.iter().find(|line| Some(line.suite()) == suite);
        let Some(line) = same.or(self.theirs.first()).cloned() else { return false };
        let Some(ours) = self.ours(line.suite(), random) else { return false };
        self.shown.push(Crypto::new(line.tag, ours.clone()));
        self.used = MasterKeys { inbound: Some(line.key), outbound: Some(ours) };
        true
    }
}

impl Leg {
    /// As far as it was agreed. A party that was offered a handshake may begin it before its answer is here.
    fn protection(&self) -> Protection {
        let Leg { protocol, association, keys, .. } = self;
        match &association.used {
            _ if !is_secure(protocol) => Protection::None,
            Some(handshake) => Protection::Handshake(handshake.clone()),
            None if association.offered && !keys.is_used() => {
                Protection::Handshake(Handshake { active: false, fingerprints: Vec::new() })
            }
            None => Protection::Keys(keys.used.clone()),
        }
    }

    /// What the packet path was told of its keys, for another one.
    pub(crate) fn protected(&self) -> Option<Command> {
        let protection = self.keys.told.clone();
        (protection != Protection::None).then_some(Command::Protect { port: self.port, protection })
    }

    /// What the packet path is to be told of its keys, if it does not know it. After an answer that lasts until the next
    /// one: an offer may be refused.
    pub(crate) fn protect(&mut self, answered: bool) -> Option<Command> {
        if self.keys.settled {
            return None;
        }
        self.keys.settled = answered;
        let protection = self.protection();
        if self.keys.told == protection {
            return None;
        }
        let before = std::mem::replace(&mut self.keys.told, protection.clone());
        if let Protection::Keys(MasterKeys { outbound: Some(old), .. }) = before
            && !matches!(&protection, Protection::Keys(now) if now.outbound.as_ref() == Some(&old))
        {
            self.keys.retire(&old);
        }
        // What was is nothing to go on with.
        self.standing = None;
        Some(Command::Protect { port: self.port, protection })
    }
}
