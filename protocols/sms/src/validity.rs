//! TP-Validity-Period, TS 23.040 §9.2.3.12: how long a message is worth trying.

use base::Instant;
use base::time::Duration;

use crate::time_stamp::{TimeStamp, digits, swapped};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// The validity period of a submitted message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ValidityPeriod {
    /// From when the centre receives it, §9.2.3.12.1.
    Relative(Relative),
    /// Until then, §9.2.3.12.2.
    Absolute(TimeStamp),
    /// §9.2.3.12.3.
    Enhanced(Enhanced),
}

/// A period in one octet; every octet is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Relative(pub u8);

/// Seven octets, the first of which says how the others are used; those of unknown use are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Enhanced(pub [u8; 7]);

impl Relative {
    /// The shortest period that is not shorter than this; at most 63 weeks.
    pub fn at_least(period: Duration) -> Relative {
        let code = (0..=u8::MAX).find(|code| Relative(*code).period() >= period);
        Relative(code.unwrap_or(u8::MAX))
    }

    /// How long it is.
    pub fn period(self) -> Duration {
        let code = u64::from(self.0);
        Duration::from_secs(match self.0 {
            0..=143 => (code + 1) * 5 * MINUTE,
            144..=167 => 12 * HOUR + (code - 143) * 30 * MINUTE,
            168..=196 => (code - 166) * DAY,
            197..=255 => (code - 192) * WEEK,
        })
    }
}

impl Enhanced {
    const SINGLE_SHOT: u8 = 0x40;
    const EXTENSION: u8 = 0x80;

    /// No period, but at most one attempt.
    pub const ONE_ATTEMPT: Enhanced = Enhanced([Enhanced::SINGLE_SHOT, 0, 0, 0, 0, 0, 0]);

    /// A period in whole seconds, rounded up: exact up to 99 h 59 min 59 s, beyond that the
    /// shortest relative one that is not shorter.
    pub fn at_least(period: Duration) -> Enhanced {
        let seconds = period.as_secs() + u64::from(period.subsec_nanos() > 0);
        let mut octets = [0; 7];
        match seconds {
            1..=255 => octets[..2].copy_from_slice(&[2, seconds as u8]),
            _ if seconds < 100 * HOUR => {
                let numbers = [seconds / HOUR, seconds / MINUTE % 60, seconds % 60];
                let [hours, minutes, seconds] = numbers.map(|number| swapped(number as u8));
                octets[..4].copy_from_slice(&[3, hours, minutes, seconds]);
            }
            _ => octets[..2].copy_from_slice(&[1, Relative::at_least(period).0]),
        }
        Enhanced(octets)
    }

    /// The same, with at most one attempt.
    #[must_use]
    pub fn single_shot(mut self) -> Enhanced {
        self.0[0] |= Enhanced::SINGLE_SHOT;
        self
    }

    /// Whether the centre is to try at most once.
    pub fn is_single_shot(self) -> bool {
        self.0[0] & Enhanced::SINGLE_SHOT != 0
    }

    /// How long it is, if a period is given in a form that is known.
    pub fn period(self) -> Option<Duration> {
        let form = self.0[0] & 7;
        let extensions = self.0.iter().take_while(|octet| **octet & Enhanced::EXTENSION != 0);
        let rest = self.0.get(extensions.count() + 1..)?;
        let seconds = match (form, rest) {
            (1, [code, ..]) => return Some(Relative(*code).period()),
            (2, [seconds, ..]) if *seconds > 0 => u64::from(*seconds),
            (3, [hours, minutes, seconds, ..]) => {
                let [hours, minutes] = [*hours, *minutes].map(|octet| digits(octet).map(u64::from));
                hours? * HOUR + minutes? * MINUTE + u64::from(digits(*seconds)?)
            }
            _ => return None,
        };
        Some(Duration::from_secs(seconds))
    }
}

impl ValidityPeriod {
    /// When a message that was received then is worth nothing any more; `None` if no period is given,
    /// or in no form that is known.
    pub fn end(self, received: Instant) -> Option<Instant> {
        match self {
            ValidityPeriod::Relative(relative) => Some(received + relative.period()),
            ValidityPeriod::Absolute(at) => at.instant(),
            ValidityPeriod::Enhanced(enhanced) => Some(received + enhanced.period()?),
        }
    }

    /// Whether the centre is to try at most once.
    pub fn is_single_shot(self) -> bool {
        matches!(self, ValidityPeriod::Enhanced(enhanced) if enhanced.is_single_shot())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of §9.2.3.12.1 at both ends of each row.
    #[test]
    fn relative_periods_are_those_of_the_table() {
        let rows = [
            (0, 5 * MINUTE),
            (143, 12 * HOUR),
            (144, 12 * HOUR + 30 * MINUTE),
            (167, 24 * HOUR),
            (168, 2 * DAY),
            (196, 30 * DAY),
            (197, 5 * WEEK),
            (255, 63 * WEEK),
        ];
        for (code, seconds) in rows {
            let period = Duration::from_secs(seconds);
            assert_eq!(Relative(code).period(), period);
            assert_eq!(Relative::at_least(period), Relative(code));
        }
        assert_eq!(Relative::at_least(Duration::from_secs(DAY + 1)), Relative(168));
        assert_eq!(Relative::at_least(Duration::MAX), Relative(255));
    }

    #[test]
    fn enhanced_periods_of_every_form() {
        let period = |octets| Enhanced(octets).period().map(|p| p.as_secs());
        assert_eq!(period([0x00, 9, 9, 9, 0, 0, 0]), None);
        assert_eq!(period([0x01, 167, 0, 0, 0, 0, 0]), Some(DAY));
        assert_eq!(period([0x42, 30, 0, 0, 0, 0, 0]), Some(30));
        assert_eq!(period([0x02, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(period([0x03, 0x10, 0x20, 0x30, 0, 0, 0]), Some(HOUR + 2 * MINUTE + 3));
        assert_eq!(period([0x03, 0xa0, 0x20, 0x30, 0, 0, 0]), None);
        assert_eq!(period([0x04, 1, 0, 0, 0, 0, 0]), None);
        // The functionality indicator goes on in a second octet.
        assert_eq!(period([0x82, 0x00, 30, 0, 0, 0, 0]), Some(30));
        assert_eq!(period([0xff; 7]), None);

        for seconds in [1, 255, 256, 3599, 100 * HOUR - 1] {
            let exact = Enhanced::at_least(Duration::from_secs(seconds));
            assert_eq!(exact.period(), Some(Duration::from_secs(seconds)));
            assert!(!exact.is_single_shot() && exact.single_shot().is_single_shot());
            assert_eq!(exact.single_shot().period(), exact.period());
        }
        let long = Enhanced::at_least(Duration::from_secs(5 * WEEK));
        assert_eq!(long.period(), Some(Duration::from_secs(5 * WEEK)));
        assert_eq!(Enhanced::at_least(Duration::from_millis(1500)).period().unwrap().as_secs(), 2);
        assert_eq!(Enhanced::ONE_ATTEMPT.period(), None);
    }

    #[test]
    fn a_message_ends_with_its_period() {
        let now = Instant::from_unix_micros(1_000_000);
        let relative = ValidityPeriod::Relative(Relative(0));
        assert_eq!(relative.end(now), Some(now + Duration::from_secs(300)));
        let until = TimeStamp([0x99, 0x30, 0x92, 0x51, 0x61, 0x95, 0x80]);
        assert_eq!(ValidityPeriod::Absolute(until).end(now), until.instant());
        let once = ValidityPeriod::Enhanced(Enhanced::ONE_ATTEMPT);
        assert_eq!((once.end(now), once.is_single_shot()), (None, true));
    }
}
