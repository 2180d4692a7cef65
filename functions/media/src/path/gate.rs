//! What of a peer's RTP does not pass, or passes as silence, and the digits that are told.

use base::relay::{Event, Gate, PortId};
use rtp::Packet;
use rtp::event::TelephoneEvent;

/// Octets of silence of the codecs that are PCM, ITU-T G.711: the smallest positive value.
const SILENCE: [(u8, u8); 2] = [(0, 0xff), (8, 0xd5)];

/// What is wanted of one peer's packets.
#[derive(Default)]
pub(super) struct Gated {
    pub(super) gate: Gate,
    /// The timestamp of the digit that was told last.
    told: Option<u32>,
}

impl Gated {
    /// The digit that ends with a packet, if that is to be told: its end comes three times (RFC 4733 §2.5.1.4).
    pub(super) fn digit(&mut self, port: PortId, bytes: &[u8]) -> Option<Event> {
        if !self.gate.notices_digits {
            return None;
        }
        let packet = Packet::parse(bytes).ok()?;
        let payload_type = packet.payload_type();
        if self.gate.digit_types >> payload_type & 1 == 0 {
            return None;
        }
        let said = TelephoneEvent::parse(packet.payload())?;
        if !said.end || said.digit().is_none() {
            return None;
        }
        let at = packet.timestamp();
        let TelephoneEvent { event, duration, volume, .. } = said;
        let digit = Event::Digit { port, payload_type, event, duration, volume };
        (self.told.replace(at) != Some(at)).then_some(digit)
    }
}

/// Whether a packet passes; what it carries may be silence then.
pub(super) fn passes(gate: &Gate, bytes: &mut [u8]) -> bool {
    let Ok(packet) = Packet::parse(bytes) else { return false };
    let (payload_type, payload) = (packet.payload_type(), packet.payload_range());
    let is_digit = gate.digit_types >> payload_type & 1 == 1;
    if is_digit {
        return !gate.blocks_digits;
    }
    if gate.blocks_media {
        return false;
    }
    if gate.silences_media {
        // Of other codecs nobody knows what silence is without an encoder: nothing is as quiet.
        let Some((_, silence)) = SILENCE.iter().find(|(pcm, _)| *pcm == payload_type) else {
            return false;
        };
        bytes[payload].fill(*silence);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload_type: u8) -> Vec<u8> {
        rtp::Builder { payload_type, payload: b"what is said", ..Default::default() }.build()
    }

    fn after(gate: Gate, payload_type: u8) -> Option<Vec<u8>> {
        let mut bytes = packet(payload_type);
        passes(&gate, &mut bytes).then_some(bytes)
    }

    #[test]
    fn each_word_does_its_own() {
        let digit_types = 1 << 101;
        let media = Gate { blocks_media: true, digit_types, ..Gate::default() };
        assert_eq!((after(media, 8), after(media, 101)), (None, Some(packet(101))));
        let digits = Gate { blocks_digits: true, digit_types, ..Gate::default() };
        assert_eq!((after(digits, 8), after(digits, 101)), (Some(packet(8)), None));
        let silence = Gate { silences_media: true, digit_types, ..Gate::default() };
        for (payload_type, octet) in SILENCE {
            let bytes = after(silence, payload_type).unwrap();
            assert_eq!(Packet::parse(&bytes).unwrap().payload(), [octet; 12]);
        }
        assert_eq!((after(silence, 9), after(silence, 101)), (None, Some(packet(101))));
    }
}
