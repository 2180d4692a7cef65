//! What the packets of a stream carry, as far as it can be told without decoding them.

use base::relay::Tracking;

use crate::packet::Packet;

/// Of one direction of a stream; of constant size.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sound {
    /// Of the newest packet: payload type, sequence number and timestamp.
    last: Option<(u8, u16, u32)>,
    step: u32,
    quiet: u64,
}

impl Sound {
    /// Takes the next packet in.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let (kind, sequence, timestamp) =
            (packet.payload_type(), packet.sequence(), packet.timestamp());
        if let Some((before, number, time)) = self.last
            && (before, number.wrapping_add(1)) == (kind, sequence)
        {
            let step = timestamp.wrapping_sub(time);
            // The packets of a digit have one timestamp; a pause of the speaker is no packet's length.
            if step != 0 && !packet.marker() {
                self.step = step;
            }
        }
        self.last = Some((kind, sequence, timestamp));
        let payload = packet.payload();
        match payload.split_first() {
            Some((first, rest)) if rest.iter().all(|octet| octet == first) => self.quiet += 1,
            _ => self.quiet = 0,
        }
    }

    /// Somebody else sees the next packets, from here on.
    pub fn hand_over(&self, to: &mut Tracking) {
        (to.payload_type, to.sequence, to.timestamp) = self.last.unwrap_or_default();
        (to.step, to.quiet) = (self.step, self.quiet);
    }

    /// What he has seen.
    pub fn take_back(&mut self, from: &Tracking) {
        self.last = Some((from.payload_type, from.sequence, from.timestamp));
        (self.step, self.quiet) = (from.step, from.quiet);
    }

    /// The payload type of the newest packet.
    pub fn payload_type(&self) -> Option<u8> {
        self.last.map(|(kind, ..)| kind)
    }

    /// Units of the codec's clock from one packet to the next; 0 as long as no two follow each other.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// How many packets in a row had nothing but one octet again and again: silence, where a codec is PCM.
    pub fn quiet(&self) -> u64 {
        self.quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;

    fn take(sound: &mut Sound, payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) {
        let bytes =
            Builder { payload_type, sequence, timestamp, payload, ..Default::default() }.build();
        sound.packet(&Packet::parse(&bytes).unwrap());
    }

    #[test]
    fn length_and_silence_are_told() {
        let mut sound = Sound::default();
        assert_eq!((sound.payload_type(), sound.step(), sound.quiet()), (None, 0, 0));
        take(&mut sound, 8, 65_535, u32::MAX - 79, &[1, 2, 3]);
        take(&mut sound, 8, 0, 80, &[0xd5; 160]);
        take(&mut sound, 8, 1, 240, &[0xd5; 160]);
        assert_eq!((sound.payload_type(), sound.step(), sound.quiet()), (Some(8), 160, 2));
        // A digit, what follows it, and a gap.
        take(&mut sound, 101, 2, 400, &[1, 2]);
        take(&mut sound, 101, 3, 400, &[1, 2]);
        take(&mut sound, 8, 4, 1200, &[1, 2]);
        take(&mut sound, 8, 9, 2000, &[1, 2]);
        assert_eq!((sound.step(), sound.quiet()), (160, 0));
        take(&mut sound, 8, 10, 2240, &[]);
        assert_eq!((sound.step(), sound.quiet()), (240, 0));
    }
}
