//! What an answer says about codecs: what the offerer is told, and what becomes of what each one sends.

use base::relay::{Conversion, Format, Sound};
use base::time::Duration;

use super::section::Entry;
use super::wishes::Wishes;

/// What comes of an offer and its answer.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Agreement {
    /// The formats of the answer that the offerer gets, in its numbers; without any, the answer stays as it is.
    pub(super) answer: Vec<Entry>,
    /// What becomes of what the offerer sends, and of what the answerer sends.
    pub(super) conversions: [Vec<Conversion>; 2],
}

/// What each party said, and what is wanted.
pub(super) struct Facts<'a> {
    pub(super) offered: &'a [Entry],
    pub(super) answered: &'a [Entry],
    pub(super) wishes: &'a Wishes,
    /// The answer keeps one codec.
    pub(super) single: bool,
    /// Packets to the answerer and to the offerer: what they said themselves.
    pub(super) ptime: [Option<u32>; 2],
}

pub(super) fn agree(facts: &Facts<'_>) -> Agreement {
    let answer = answer(facts);
    let Facts { answered, wishes, ptime, .. } = facts;
    let hears = |list: &[Entry]| {
        wishes.transcode.iter().any(|name| name.digits().is_some())
            && !list.iter().any(|entry| entry.codec.is_telephone_event())
    };
    let packet = |n: usize| (wishes.ptime[n].map(length), ptime[n].map(length));
    let there = conversions(&answer, answered, packet(0), hears(&answer));
    let back = conversions(answered, &answer, packet(1), hears(answered));
    Agreement { answer, conversions: [there, back] }
}

fn length(milliseconds: u32) -> Duration {
    Duration::from_millis(milliseconds.into())
}

/// What the offerer is told: what the answerer took of its formats, and what we convert for it.
fn answer(Facts { offered, answered, wishes, single, .. }: &Facts<'_>) -> Vec<Entry> {
    let mut answer: Vec<Entry> = Vec::new();
    for theirs in *answered {
        // What was taken out of the offer was not offered, whatever the answer says.
        let like = |entry: &&Entry| entry.is_like(theirs) && !wishes.strips(entry);
        if let Some(ours) = offered.iter().find(like) {
            let mut entry = theirs.clone();
            entry.codec.payload_type = ours.codec.payload_type;
            answer.push(entry);
        }
    }
    let converts = wishes.converts() && answered.iter().any(|entry| entry.encoding().is_some());
    if converts {
        let agreed = answer.iter().any(Entry::is_speech);
        for entry in *offered {
            let known = entry.encoding().is_some();
            let wanted = wishes.accepts(entry) || !agreed;
            let speech = known && wanted && !wishes.strips(entry);
            if (speech || entry.codec.is_telephone_event())
                && !answer.contains(entry)
                && !answer.iter().any(|other| other.is_like(entry))
            {
                answer.push(entry.clone());
            }
        }
        // Speech comes first: that is what is spoken.
        answer.sort_by_key(|entry| !entry.is_speech());
    }
    if *single && let Some(first) = answer.iter().find(|entry| entry.is_speech()).cloned() {
        answer.retain(|entry| !entry.is_speech() || *entry == first);
    }
    answer
}

/// What becomes of each format of `from`, for whoever takes those of `to`; nothing if all pass as they are.
fn conversions(
    from: &[Entry],
    to: &[Entry],
    (wanted, said): (Option<Duration>, Option<Duration>),
    hears: bool,
) -> Vec<Conversion> {
    let speech = to.iter().find(|entry| entry.encoding().is_some());
    let heard = to.iter().filter(|entry| hears && entry.codec.is_telephone_event());
    let conversion = |entry: &Entry| {
        let like = to.iter().find(|other| other.is_like(entry));
        let digits = to.iter().find(|other| other.codec.is_telephone_event());
        let other = match () {
            () if like.is_some() => like,
            () if entry.codec.is_telephone_event() => digits.or(speech),
            () if entry.encoding().is_some() => speech,
            () => None,
        }?;
        let spoken = entry.encoding().is_some();
        let packet =
            wanted.or(said.filter(|_| like.is_none())).filter(|_| other.encoding().is_some());
        let clock = |digits: &&Entry| digits.codec.rate == other.codec.rate;
        let digits = heard.clone().find(clock).map(format).filter(|_| spoken);
        Some(Conversion { from: format(entry), to: format(other), packet, digits })
    };
    let all: Vec<Conversion> = from.iter().filter_map(conversion).collect();
    let same = |c: &Conversion| c.is_renumbering() && c.from.payload_type == c.to.payload_type;
    if all.iter().all(same) { Vec::new() } else { all }
}

pub(super) fn format(entry: &Entry) -> Format {
    let clock = entry.codec.rate;
    let sound = match entry.encoding() {
        Some(encoding) => Sound::Speech(encoding),
        None if entry.codec.is_telephone_event() => Sound::Digits { clock },
        None if entry.is_noise() => Sound::Noise { clock },
        None => Sound::Opaque { clock },
    };
    Format { payload_type: entry.codec.payload_type, sound }
}
