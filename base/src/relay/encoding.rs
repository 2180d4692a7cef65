//! Encodings of sound, as `a=rtpmap` names them (RFC 8866 §6.6, RFC 3551, RFC 4855).

use super::amr::Amr;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// The rates of linear samples, RFC 3551 §4.1. (Others would cost much to convert.)
pub const LINEAR_RATES: [u32; 8] = [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// An encoding of sound and what two ends have agreed on about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Encoding {
    /// µ-law.
    Pcmu,
    /// A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// GSM full rate.
    Gsm,
    /// G.729 with Annex A; pauses (Annex B) are understood and not made.
    G729,
    /// AMR or AMR-WB.
    Amr(Amr),
    /// Opus: its sound as one channel of 16,000 Hz.
    Opus,
    /// Linear samples.
    L16 {
        /// Samples a second of each channel: one of [`LINEAR_RATES`].
        rate: u32,
        /// Channels, 1 or 2.
        channels: u8,
    },
}

impl Encoding {
    /// All encodings that can be converted into each other; of linear samples the usual kinds.
    pub const ALL: [Encoding; 11] = [
        Encoding::Pcmu,
        Encoding::Pcma,
        Encoding::G722,
        Encoding::G729,
        Encoding::Gsm,
        Encoding::Amr(Amr { wide: false, octet_aligned: false, modes: 0 }),
        Encoding::Amr(Amr { wide: true, octet_aligned: false, modes: 0 }),
        Encoding::Opus,
        Encoding::L16 { rate: 8000, channels: 1 },
        Encoding::L16 { rate: 16_000, channels: 1 },
        Encoding::L16 { rate: 48_000, channels: 2 },
    ];

    /// The encoding of a name (in any case), an RTP clock, a number of channels and the parameters of `a=fmtp`; `None`
    /// if it is none of ours.
    pub fn named(encoding: &str, clock: u32, channels: u8, fmtp: Option<&str>) -> Option<Encoding> {
        let is = |name: &str, of: (u32, u8)| {
            encoding.eq_ignore_ascii_case(name) && of == (clock, channels)
        };
        let linear = LINEAR_RATES.contains(&clock) && (1..=2).contains(&channels);
        Some(match () {
            () if is("PCMU", (8000, 1)) => Encoding::Pcmu,
            () if is("PCMA", (8000, 1)) => Encoding::Pcma,
            () if is("G722", (8000, 1)) => Encoding::G722,
            () if is("G729", (8000, 1)) => Encoding::G729,
            () if is("GSM", (8000, 1)) => Encoding::Gsm,
            () if is("AMR", (8000, 1)) => Encoding::Amr(Amr::described(false, fmtp)?),
            () if is("AMR-WB", (16_000, 1)) => Encoding::Amr(Amr::described(true, fmtp)?),
            () if is("opus", (48_000, 2)) => Encoding::Opus,
            () if linear && is("L16", (clock, channels)) => Encoding::L16 { rate: clock, channels },
            () => return None,
        })
    }

    /// The encoding that is meant by a name alone: that with the clock and the channels that are usual.
    pub fn usual(name: &str) -> Option<Encoding> {
        Encoding::ALL.into_iter().find(|encoding| encoding.name().eq_ignore_ascii_case(name))
    }

    /// The encoding of a payload type that needs no `a=rtpmap` (RFC 3551 §6).
    pub fn of_payload_type(payload_type: u8) -> Option<Encoding> {
        Some(match payload_type {
            0 => Encoding::Pcmu,
            3 => Encoding::Gsm,
            8 => Encoding::Pcma,
            9 => Encoding::G722,
            10 => Encoding::L16 { rate: 44_100, channels: 2 },
            11 => Encoding::L16 { rate: 44_100, channels: 1 },
            18 => Encoding::G729,
            _ => return None,
        })
    }

    /// The payload type that means this without `a=rtpmap`.
    pub fn payload_type(self) -> Option<u8> {
        (0..=34).find(|payload_type| Encoding::of_payload_type(*payload_type) == Some(self))
    }

    /// Its name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Pcmu => "PCMU",
            Encoding::Pcma => "PCMA",
            Encoding::G722 => "G722",
            Encoding::Gsm => "GSM",
            Encoding::G729 => "G729",
            Encoding::Amr(Amr { wide: false, .. }) => "AMR",
            Encoding::Amr(Amr { wide: true, .. }) => "AMR-WB",
            Encoding::Opus => "opus",
            Encoding::L16 { .. } => "L16",
        }
    }

    /// The value of `a=fmtp`, if there is anything to say.
    pub fn fmtp(self) -> Option<String> {
        match self {
            Encoding::Amr(amr) => amr.fmtp(),
            _ => None,
        }
    }

    /// The same, whichever of its modes may be sent.
    pub fn of_any_mode(self) -> Encoding {
        match self {
            Encoding::Amr(amr) => Encoding::Amr(Amr { modes: 0, ..amr }),
            other => other,
        }
    }

    /// Units of its RTP timestamps in a second.
    pub fn clock(self) -> u32 {
        match self {
            // RFC 3551 §4.5.2: an error that has become the standard.
            Encoding::G722 => 8000,
            // RFC 7587 §4.1: whatever it samples with.
            Encoding::Opus => 48_000,
            _ => self.rate(),
        }
    }

    /// Samples a second of each channel.
    pub fn rate(self) -> u32 {
        match self {
            Encoding::Pcmu
            | Encoding::Pcma
            | Encoding::Gsm
            | Encoding::G729
            | Encoding::Amr(Amr { wide: false, .. }) => 8000,
            Encoding::G722 | Encoding::Opus | Encoding::Amr(Amr { wide: true, .. }) => 16_000,
            Encoding::L16 { rate, .. } => rate,
        }
    }

    /// Channels of its samples.
    pub fn channels(self) -> u8 {
        match self {
            Encoding::L16 { channels, .. } => channels,
            _ => 1,
        }
    }

    /// Channels that `a=rtpmap` has.
    pub fn described_channels(self) -> u8 {
        match self {
            // RFC 7587 §7: however many there are.
            Encoding::Opus => 2,
            _ => self.channels(),
        }
    }

    /// Samples of each channel that cannot be sent but together.
    pub fn frame(self) -> usize {
        match self {
            Encoding::Pcmu | Encoding::Pcma | Encoding::L16 { .. } => 1,
            Encoding::G722 => 2,
            Encoding::G729 => 80,
            Encoding::Gsm | Encoding::Amr(Amr { wide: false, .. }) => 160,
            Encoding::Opus | Encoding::Amr(Amr { wide: true, .. }) => 320,
        }
    }

    /// Samples of each channel in a packet of this length: whole frames, at least one, and no more than it can carry.
    pub fn packet(self, length: Duration) -> usize {
        let samples = length.as_micros() as usize * self.rate() as usize / 1_000_000;
        let most = match self {
            // RFC 6716 §3.2: 120 ms.
            Encoding::Opus => 1920,
            _ => usize::MAX,
        };
        (samples.min(most) / self.frame()).max(1) * self.frame()
    }
}
