//! Encodings of sound, as `a=rtpmap` names them (RFC 8866 §6.6, RFC 3551, RFC 4855).

/// The rates of linear samples, RFC 3551 §4.1. (Others would cost much to convert.)
pub const LINEAR_RATES: [u32; 8] = [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// An encoding of sound and what two ends have agreed on about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encoding {
    /// µ-law.
    Pcmu,
    /// A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// GSM full rate.
    Gsm,
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
    pub const ALL: [Encoding; 7] = [
        Encoding::Pcmu,
        Encoding::Pcma,
        Encoding::G722,
        Encoding::Gsm,
        Encoding::L16 { rate: 8000, channels: 1 },
        Encoding::L16 { rate: 16_000, channels: 1 },
        Encoding::L16 { rate: 48_000, channels: 2 },
    ];

    /// The encoding of a name (in any case), an RTP clock and a number of channels; `None` if it is none of
    /// ours.
    pub fn named(encoding: &str, clock: u32, channels: u8) -> Option<Encoding> {
        let is = |name: &str| encoding.eq_ignore_ascii_case(name);
        let (narrow, mono) = (clock == 8000, channels == 1);
        Some(match () {
            () if is("PCMU") && narrow && mono => Encoding::Pcmu,
            () if is("PCMA") && narrow && mono => Encoding::Pcma,
            () if is("G722") && narrow && mono => Encoding::G722,
            () if is("GSM") && narrow && mono => Encoding::Gsm,
            () if is("L16") && LINEAR_RATES.contains(&clock) && (1..=2).contains(&channels) => {
                Encoding::L16 { rate: clock, channels }
            }
            () => return None,
        })
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
            Encoding::L16 { .. } => "L16",
        }
    }

    /// Units of its RTP timestamps in a second.
    pub fn clock(self) -> u32 {
        match self {
            // RFC 3551 §4.5.2: an error that has become the standard.
            Encoding::G722 => 8000,
            _ => self.rate(),
        }
    }

    /// Samples a second of each channel.
    pub fn rate(self) -> u32 {
        match self {
            Encoding::Pcmu | Encoding::Pcma | Encoding::Gsm => 8000,
            Encoding::G722 => 16_000,
            Encoding::L16 { rate, .. } => rate,
        }
    }

    /// Channels.
    pub fn channels(self) -> u8 {
        match self {
            Encoding::L16 { channels, .. } => channels,
            _ => 1,
        }
    }

    /// Samples of each channel that cannot be sent but together.
    pub fn frame(self) -> usize {
        match self {
            Encoding::Pcmu | Encoding::Pcma | Encoding::L16 { .. } => 1,
            Encoding::G722 => 2,
            Encoding::Gsm => 160,
        }
    }
}
