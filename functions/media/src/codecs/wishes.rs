//! What a request wants of the codecs: the lists of the key `codec`, and flags such as `codec-transcode-PCMA`.

use base::relay::Encoding;
use ng::{Request, Value};
use serde::{Deserialize, Serialize};

use super::section::Entry;
use crate::words::{behind, normal};

/// How many codecs a list may name.
const MOST: usize = 64;

/// A codec as a list names it: `PCMA`, `opus/48000/2`, `AMR/8000/1///octet-align=1`, `telephone-event/8000`, `all`. Behind
/// the channels stand a bit rate and a packet's length, which are overlooked, and the parameters of `a=fmtp`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Name {
    name: String,
    clock: Option<u32>,
    channels: Option<u8>,
    fmtp: Option<String>,
}

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Wishes {
    strip: Vec<Name>,
    offer: Vec<Name>,
    except: Vec<Name>,
    mask: Vec<Name>,
    consume: Vec<Name>,
    accept: Vec<Name>,
    pub(crate) transcode: Vec<Name>,
    /// `single-codec`: an answer keeps one codec.
    pub(crate) single: bool,
    /// `ptime` and `ptime-reverse`: milliseconds of a packet to whom the description goes, and to who wrote it.
    pub(crate) ptime: [Option<u32>; 2],
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        let mut parts = text.splitn(6, '/').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
        let clock = parts.next().and_then(|clock| clock.parse().ok());
        let channels = parts.next().and_then(|channels| channels.parse().ok());
        let fmtp = parts.nth(2).filter(|fmtp| !fmtp.is_empty()).map(str::to_owned);
        Some(Name { name, clock, channels, fmtp })
    }

    fn is(&self, word: &str) -> bool {
        self.name.eq_ignore_ascii_case(word)
    }

    fn names(&self, entry: &Entry) -> bool {
        let parameters = || self.encoding().map(Encoding::of_any_mode) == entry.kind();
        self.is(&entry.codec.name)
            && self.clock.is_none_or(|clock| clock == entry.codec.rate)
            && (self.fmtp.is_none() || parameters())
    }

    /// The encoding that is meant, with the clock and the channels that are usual if none are said.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        let usual = Encoding::usual(&self.name)?;
        let clock = self.clock.unwrap_or_else(|| usual.clock());
        let channels = self.channels.unwrap_or_else(|| usual.described_channels());
        Encoding::named(&self.name, clock, channels, self.fmtp.as_deref())
    }

    /// The clock of digits, if these are meant.
    pub(crate) fn digits(&self) -> Option<u32> {
        self.is("telephone-event").then(|| self.clock.unwrap_or(8000))
    }
}

impl Wishes {
    pub(crate) fn of(request: &Request) -> Wishes {
        let mut wishes = Wishes::default();
        if let Some(lists) = request.other.get("codec").and_then(Value::as_dict) {
            for (verb, names) in lists.iter() {
                for name in names.as_list().iter().filter_map(Value::as_str) {
                    wishes.take(verb, name);
                }
            }
        }
        for flag in &request.other_flags {
            let flag = flag.trim();
            match normal(flag).as_str() {
                "single-codec" => wishes.single = true,
                "always-transcode" => wishes.take("accept", "full"),
                _ => {
                    let rest = behind(flag, "codec-").unwrap_or(flag);
                    if let Some((verb, name)) = rest.split_once(['-', '=']) {
                        wishes.take(verb, name);
                    }
                }
            }
        }
        let milliseconds = |key: &str| {
            let value = request.other.iter().find(|(name, _)| normal(name) == key)?.1;
            let number = value.as_int().or_else(|| value.as_str()?.parse().ok())?;
            u32::try_from(number).ok().filter(|ms| (1..=200).contains(ms))
        };
        wishes.ptime = [milliseconds("ptime"), milliseconds("ptime-reverse")];
        wishes
    }

    fn take(&mut self, verb: &str, name: &str) {
        let list = match normal(verb).as_str() {
            "strip" => &mut self.strip,
            "offer" => &mut self.offer,
            "except" => &mut self.except,
            "mask" => &mut self.mask,
            "consume" => &mut self.consume,
            "accept" => &mut self.accept,
            "transcode" => &mut self.transcode,
            _ => return,
        };
        list.extend(Name::parse(name).filter(|_| list.len() < MOST));
    }

    /// What is to be converted and cannot be.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &str> {
        let unknown = |name: &&Name| name.encoding().is_none() && name.digits().is_none();
        self.transcode.iter().filter(unknown).map(|name| name.name.as_str())
    }

    /// Whether sound may be converted.
    pub(crate) fn converts(&self) -> bool {
        let lists = [&self.mask, &self.consume, &self.accept, &self.transcode];
        lists.iter().any(|list| !list.is_empty()) || self.ptime != [None; 2]
    }

    /// Whether anything is wanted at all.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Wishes::default()
    }

    /// Whether a codec of a description is not shown to the other party.
    pub(crate) fn hides(&self, entry: &Entry) -> bool {
        self.strips(entry) || self.masks(entry)
    }

    /// Whether it is as if the codec had not been offered.
    pub(crate) fn strips(&self, entry: &Entry) -> bool {
        matches(&self.strip, entry) && !self.spares(entry)
    }

    fn masks(&self, entry: &Entry) -> bool {
        (matches(&self.mask, entry) || matches(&self.consume, entry)) && !self.spares(entry)
    }

    fn spares(&self, entry: &Entry) -> bool {
        [&self.offer, &self.except, &self.transcode]
            .iter()
            .any(|list| list.iter().any(|name| name.names(entry)))
    }

    /// Whether the offerer may use the codec though the answer has it not.
    pub(crate) fn accepts(&self, entry: &Entry) -> bool {
        [&self.mask, &self.consume, &self.accept].iter().any(|list| matches(list, entry))
    }

    /// Where a codec stands that `offer` names: those come first, in the list's order.
    pub(crate) fn rank(&self, entry: &Entry) -> usize {
        let named = self.offer.iter().position(|name| name.names(entry));
        named.unwrap_or(self.offer.len())
    }
}

/// Whether a list means the codec: by its name, as one of `all`, or as one of `full`, those that we can convert.
fn matches(list: &[Name], entry: &Entry) -> bool {
    let ours = || entry.encoding().is_some();
    list.iter().any(|name| name.names(entry) || name.is("all") || (name.is("full") && ours()))
}
