//! The formats of a media section: its `m=` line, and the attributes about them (RFC 8866 §5.14, §6.6, §6.15).

use base::relay::Encoding;
use sdp::{Codec, Media};
use serde::{Deserialize, Serialize};

/// Formats that are looked at.
const MOST: usize = 64;

/// A format of a section.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) codec: Codec,
    pub(super) channels: u8,
}

impl Entry {
    /// The format of an encoding, with the number that it has without `a=rtpmap`, if there is one.
    pub(super) fn of(encoding: Encoding, otherwise: u8) -> Entry {
        let codec = Codec {
            payload_type: encoding.payload_type().unwrap_or(otherwise),
            name: encoding.name().to_owned(),
            rate: encoding.clock(),
            fmtp: encoding.fmtp(),
        };
        Entry { codec, channels: encoding.described_channels() }
    }

    /// Its encoding, if we can convert it.
    pub(super) fn encoding(&self) -> Option<Encoding> {
        let Codec { name, rate, fmtp, .. } = &self.codec;
        Encoding::named(name, *rate, self.channels, fmtp.as_deref())
    }

    /// The same, whichever of its modes may be sent.
    pub(super) fn kind(&self) -> Option<Encoding> {
        self.encoding().map(Encoding::of_any_mode)
    }

    /// Whether both are the same format, whatever number each has.
    pub(super) fn is_like(&self, other: &Entry) -> bool {
        self.codec.matches(&other.codec)
            && self.channels == other.channels
            && self.kind() == other.kind()
    }

    pub(super) fn is_noise(&self) -> bool {
        self.codec.name.eq_ignore_ascii_case("CN")
    }

    pub(super) fn is_speech(&self) -> bool {
        !self.codec.is_telephone_event() && !self.is_noise()
    }
}

/// The formats of a section that have a meaning.
pub(super) fn entries(media: &Media) -> Vec<Entry> {
    let entry = |codec: Codec| {
        let channels = media.rtpmap(codec.payload_type).map_or(1, |map| map.channels);
        Entry { codec, channels: channels.max(1) }
    };
    media.codecs().into_iter().take(MOST).map(entry).collect()
}

/// Makes these the formats of a section, in this order. Attributes of those that stay stay where they are, as do formats
/// without a meaning.
pub(super) fn write(media: &mut Media, entries: &[Entry]) {
    let Some(mut line) = media.line() else { return };
    let before = self::entries(media);
    let known = |format: &String| before.iter().any(|e| format.parse() == Ok(e.codec.payload_type));
    let strange: Vec<String> =
        line.formats.iter().filter(|format| !known(format)).cloned().collect();
    line.formats = entries.iter().map(|entry| entry.codec.payload_type.to_string()).collect();
    line.formats.extend(strange);
    let stays = |payload_type: u8| {
        let of =
            |list: &[Entry]| list.iter().find(|e| e.codec.payload_type == payload_type).cloned();
        of(&before).is_none_or(|before| of(entries) == Some(before))
    };
    media.section_mut().remove_attributes(|name, value| {
        let format = value.split([' ', '\t']).next().unwrap_or_default();
        matches!(name, "rtpmap" | "fmtp" | "rtcp-fb")
            && format.parse().is_ok_and(|payload_type| !stays(payload_type))
    });
    media.set_line(&line);
    for Entry { codec, channels } in entries.iter().filter(|entry| !before.contains(entry)) {
        let Codec { payload_type, name, rate, fmtp } = codec;
        let channels = if *channels > 1 { format!("/{channels}") } else { String::new() };
        media
            .section_mut()
            .add_attribute("rtpmap", &format!("{payload_type} {name}/{rate}{channels}"));
        if let Some(fmtp) = fmtp {
            media.section_mut().add_attribute("fmtp", &format!("{payload_type} {fmtp}"));
        }
    }
}
