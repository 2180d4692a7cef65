//! Codecs that are taken out of descriptions, added to them, and converted into each other: the key `codec` of NG.
//!
//! | File | What |
//! |---|---|
//! | `mod` | offers and answers |
//! | `wishes` | what a request wants |
//! | `section` | the formats of a media section |
//! | `agreement` | what the offerer is told, and what is converted |

mod agreement;
mod section;
mod wishes;

use base::relay::{Command, Conversion, Encoding, Format};
use ng::Request;
use sdp::{Codec, Media, Session};
use serde::{Deserialize, Serialize};

use crate::call::{Dialogue, Leg, Who};
use crate::listening;
use crate::rewrite::relayed;

use agreement::{Facts, agree};
use section::{Entry, entries, write};
use wishes::{Name, Wishes};

/// The first payload type that has no meaning of its own, and the last one (RFC 3551 §6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// An offer of a stream that wants something of its codecs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Offer {
    who: Who,
    wishes: Wishes,
    /// As the offerer wrote them.
    offered: Vec<Entry>,
    /// As the other one answered.
    answered: Vec<Entry>,
    ptime: Option<u32>,
}

impl Offer {
    /// What a party said that it takes.
    fn taken(self, who: Who) -> Vec<Entry> {
        if self.who == who { self.offered } else { self.answered }
    }
}

/// What is wanted of the packet path for one leg, and what it knows.
#[derive(Default, Debug, Serialize, Deserialize)]
pub(crate) struct Converted {
    wanted: Vec<Conversion>,
    told: Vec<Conversion>,
}

impl Leg {
    /// What the packet path was told of conversions, for another one.
    pub(crate) fn conversions(&self) -> Option<Command> {
        let conversions = self.converted.told.clone();
        (!conversions.is_empty()).then_some(Command::Convert { port: self.port, conversions })
    }

    /// What the packet path is to be told of conversions, if it does not know.
    pub(crate) fn convert(&mut self) -> Option<Command> {
        let Converted { wanted, told } = &mut self.converted;
        if wanted == told {
            return None;
        }
        told.clone_from(wanted);
        Some(Command::Convert { port: self.port, conversions: wanted.clone() })
    }

    /// Whether its party's sound becomes another.
    pub(crate) fn is_converted(&self) -> bool {
        self.converted.wanted.iter().any(|conversion| !conversion.is_renumbering())
    }
}

/// What of a section's formats is speech that we can make, with the payload types that mean it there.
pub(crate) fn speech(media: &Media) -> impl Iterator<Item = (u8, Encoding)> {
    entries(media).into_iter().filter_map(|e| Some((e.codec.payload_type, e.encoding()?)))
}

/// What the formats of a section mean.
pub(crate) fn formats(media: &Media) -> impl Iterator<Item = Format> {
    entries(media).into_iter().map(|entry| agreement::format(&entry))
}

/// An offer of `who`: the other party is shown the codecs that are wanted.
pub(crate) fn offer(session: &mut Session, request: &Request, who: Who, dialogue: &mut Dialogue) {
    let wishes = Wishes::of(request);
    let mut shown: Vec<(usize, Vec<Entry>)> = Vec::new();
    for (index, stream) in relayed(session, dialogue) {
        let before = stream.codecs.take();
        if wishes.is_empty() {
            continue;
        }
        let taken = before.map(|offer| offer.taken(who.other())).unwrap_or_default();
        let media = &session.media()[index];
        let offered = entries(media);
        let mut list: Vec<Entry> =
            offered.iter().filter(|entry| !wishes.hides(entry)).cloned().collect();
        list.sort_by_key(|entry| wishes.rank(entry));
        if stream.kind == "audio" {
            add(&mut list, &offered, &wishes.transcode);
            // Whoever was converted for goes on so in a new offer of the other one.
            if wishes.converts() {
                let ours = |entry: &&Entry| entry.encoding().is_some();
                taken.iter().filter(ours).for_each(|entry| insert(&mut list, &offered, entry));
            }
        }
        // A section without formats would be no section.
        if list.is_empty() {
            list.clone_from(&offered);
        }
        let wishes = wishes.clone();
        stream.codecs =
            Some(Offer { who, wishes, offered, answered: Vec::new(), ptime: media.ptime() });
        shown.push((index, list));
    }
    for (index, list) in shown {
        show((session, index), (&list, wishes.ptime[0]), who.other(), dialogue);
    }
}

/// An answer of `who`: the offerer is told what it may send, and both are converted.
pub(crate) fn answer(session: &mut Session, request: &Request, who: Who, dialogue: &mut Dialogue) {
    let single = Wishes::of(request).single;
    let mut told: Vec<(usize, Vec<Entry>, Option<u32>)> = Vec::new();
    for (index, stream) in relayed(session, dialogue) {
        let offer = stream.codecs.as_mut().filter(|offer| offer.who == who.other());
        let Some(Offer { wishes, offered, answered: kept, ptime, .. }) = offer else {
            stream.legs.iter_mut().for_each(|leg| leg.converted.wanted.clear());
            continue;
        };
        let media = &session.media()[index];
        let answered = entries(media);
        let single = single || wishes.single;
        let ptime = [media.ptime(), *ptime];
        let found = agree(&Facts { offered, answered: &answered, wishes, single, ptime });
        let back = wishes.ptime[1];
        *kept = answered;
        let [there, here] = found.conversions;
        stream.legs[who.other() as usize].converted.wanted = there;
        stream.legs[who as usize].converted.wanted = here;
        told.push((index, found.answer, back));
    }
    for (index, list, ptime) in told {
        show((session, index), (&list, ptime), who.other(), dialogue);
    }
}

/// A section goes on to a party with these formats, unless there are none, and packets of so many milliseconds.
fn show(
    (session, index): (&mut Session, usize),
    (list, ptime): (&[Entry], Option<u32>),
    to: Who,
    dialogue: &mut Dialogue,
) {
    let Some(media) = session.media_mut(index) else { return };
    if !list.is_empty() {
        write(media, list);
    }
    if let Some(ptime) = ptime {
        media.section_mut().set_attribute("ptime", &ptime.to_string());
    }
    if let Some(stream) = dialogue.streams.get_mut(index).and_then(Option::as_mut) {
        listening::show(media, to, stream);
    }
}

/// What a request wants to be converted and cannot be, in words for who asks.
pub(crate) fn refusal(request: &Request) -> Option<String> {
    let wishes = Wishes::of(request);
    let unknown: Vec<&str> = wishes.unknown().collect();
    (!unknown.is_empty()).then(|| {
        let names = unknown.join(", ");
        format!("{names} cannot be converted and is not added; `strowger media codecs` shows what can be")
    })
}

/// Adds what is to be converted and is not there yet.
fn add(list: &mut Vec<Entry>, offered: &[Entry], names: &[Name]) {
    for name in names {
        if let Some(encoding) = name.encoding() {
            insert(list, offered, &Entry::of(encoding, *DYNAMIC.start()));
            // Digits have the clock of the speech beside them, RFC 4733 §2.1.
            if list.iter().any(|entry| entry.codec.is_telephone_event()) {
                insert(list, offered, &digits(encoding.clock()));
            }
        } else if let Some(clock) = name.digits() {
            insert(list, offered, &digits(clock));
        }
    }
}

fn digits(clock: u32) -> Entry {
    let codec = Codec { rate: clock, ..Codec::telephone_event(*DYNAMIC.start()) };
    Entry { codec, channels: 1 }
}

/// Adds a format that is not there yet, with its own number if that is free.
fn insert(list: &mut Vec<Entry>, offered: &[Entry], entry: &Entry) {
    if list.iter().any(|other| other.is_like(entry)) {
        return;
    }
    let taken =
        |number: u8| list.iter().chain(offered).any(|other| other.codec.payload_type == number);
    let mut numbers = [entry.codec.payload_type].into_iter().chain(DYNAMIC);
    let Some(payload_type) = numbers.find(|number| !taken(*number)) else { return };
    let mut entry = entry.clone();
    entry.codec.payload_type = payload_type;
    // Digits stand behind all speech.
    let digits = list.iter().position(|other| !other.is_speech()).filter(|_| entry.is_speech());
    list.insert(digits.unwrap_or(list.len()), entry);
}
