//! Telephone events, RFC 4733 §2.3: digits as payloads of four bytes.

/// One payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelephoneEvent {
    /// The event: 0-9, 10 `*`, 11 `#`, 12-15 `A`-`D`.
    pub event: u8,
    /// Whether the event has ended; sent three times (§2.5.1.4).
    pub end: bool,
    /// The power level, 0 to 63, in dBm0 below zero.
    pub volume: u8,
    /// How long it has lasted, in units of the clock.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads a payload; `None` if it is too short. Further events of the payload are ignored.
    pub fn parse(payload: &[u8]) -> Option<TelephoneEvent> {
        let [event, flags, high, low, ..] = *payload else { return None };
        let duration = u16::from_be_bytes([high, low]);
        Some(TelephoneEvent { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }

    /// The payload.
    pub fn build(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume.min(63), high, low]
    }

    /// The digit that the event stands for.
    pub fn digit(self) -> Option<char> {
        DIGITS.chars().nth(usize::from(self.event))
    }

    /// The event that stands for a digit.
    pub fn of_digit(digit: char) -> Option<u8> {
        DIGITS.chars().position(|d| d == digit.to_ascii_uppercase()).map(|event| event as u8)
    }
}

const DIGITS: &str = "0123456789*#ABCD";

/// The payloads of one digit in sending order: one each packet duration while the tone lasts, the
/// end three times. The packets share the timestamp of the start; the first one has the marker bit
/// (§2.5.1). `step` and `duration` are in units of the clock; `step` is at least 1.
pub fn payloads(event: u8, step: u16, duration: u16) -> impl Iterator<Item = TelephoneEvent> {
    let step = step.max(1);
    let volume = 10;
    let running = (1..).map(move |n: u32| n * u32::from(step));
    let running = running.take_while(move |passed| *passed < u32::from(duration));
    running
        .map(move |passed| TelephoneEvent { event, end: false, volume, duration: passed as u16 })
        .chain((0..3).map(move |_| TelephoneEvent { event, end: true, volume, duration }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4733 §5.1's example: digit 9, volume 7, 1600 units, ended.
    #[test]
    fn the_standards_digit() {
        let event = TelephoneEvent { event: 9, end: true, volume: 7, duration: 1600 };
        assert_eq!(event.build(), [9, 0x87, 0x06, 0x40]);
        assert_eq!(TelephoneEvent::parse(&event.build()), Some(event));
        assert_eq!(event.digit(), Some('9'));
        assert_eq!(TelephoneEvent::of_digit('#'), Some(11));
        assert_eq!(TelephoneEvent::of_digit('x'), None);
        assert_eq!(TelephoneEvent::parse(&[1, 2, 3]), None);
    }

    #[test]
    fn a_digit_ends_three_times() {
        let sent: Vec<_> = payloads(5, 160, 800).collect();
        assert_eq!(sent.len(), 4 + 3);
        assert!(sent[4..].iter().all(|e| e.end && e.duration == 800));
        assert_eq!(sent[3].duration, 640);
    }
}
