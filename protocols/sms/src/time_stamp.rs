//! Points in time as TPDUs write them, TS 23.040 §9.2.3.11: seven octets of swapped digits, local
//! time and the time zone.

use std::fmt;

use base::Instant;
use base::time::Duration;

/// TP-Service-Centre-Time-Stamp, TP-Discharge-Time, and the absolute TP-Validity-Period: seven octets
/// that should be a time. Those that are none are kept, because networks send them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeStamp(pub [u8; 7]);

/// Local time less UTC, in quarters of an hour, at most 79 either way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Zone(i8);

/// A local time; whoever reads one from a [`TimeStamp`] gets one that is.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocalTime {
    /// The year; of the two digits on the wire, 90 to 99 are in the 20th century.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// What clocks show there.
    pub zone: Zone,
}

const QUARTER: Duration = Duration::from_secs(15 * 60);
const MOST_QUARTERS: i8 = 79;

impl Zone {
    /// Universal time.
    pub const UTC: Zone = Zone(0);

    /// So many quarters of an hour east of Greenwich; `None` beyond 79 either way.
    pub fn quarters(quarters: i8) -> Option<Zone> {
        (-MOST_QUARTERS..=MOST_QUARTERS).contains(&quarters).then_some(Zone(quarters))
    }

    /// Quarters of an hour east of Greenwich.
    pub fn as_quarters(self) -> i8 {
        self.0
    }

    fn away(self) -> Duration {
        QUARTER * u32::from(self.0.unsigned_abs())
    }
}

impl TimeStamp {
    /// A point in time as a clock of that zone shows it, cut to whole seconds.
    pub fn new(at: Instant, zone: Zone) -> TimeStamp {
        let shown = if zone.0 < 0 { at - zone.away() } else { at + zone.away() };
        let (year, month, day) = shown.utc_date();
        let second = shown.unix_seconds() % 86_400;
        let numbers = [year % 100, month, day, second / 3600, second / 60 % 60, second % 60];
        let mut octets = [0; 7];
        for (octet, number) in octets.iter_mut().zip(numbers) {
            *octet = swapped(number as u8);
        }
        let sign = if zone.0 < 0 { 0x08 } else { 0 };
        octets[6] = swapped(zone.0.unsigned_abs()) | sign;
        TimeStamp(octets)
    }

    /// What is written, if it is a time at all.
    pub fn read(self) -> Option<LocalTime> {
        let [year, month, day, hour, minute, second, zone] = self.0;
        let year = u16::from(digits(year)?);
        let quarters = i8::try_from(digits(zone & !0x08)?).ok()?;
        let quarters = if zone & 0x08 == 0 { quarters } else { -quarters };
        let time = LocalTime {
            year: if year < 90 { 2000 + year } else { 1900 + year },
            month: digits(month)?,
            day: digits(day)?,
            hour: digits(hour)?,
            minute: digits(minute)?,
            second: digits(second)?,
            zone: Zone::quarters(quarters)?,
        };
        time.is_legal().then_some(time)
    }

    /// The point in time, if it is one.
    pub fn instant(self) -> Option<Instant> {
        self.read().map(LocalTime::instant)
    }
}

impl LocalTime {
    fn is_legal(self) -> bool {
        // No year from 1990 to 2089 is an exception.
        let leap = self.year.is_multiple_of(4);
        let days = match self.month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&self.day) && self.hour < 24 && self.minute < 60 && self.second < 60
    }

    /// The point in time.
    pub fn instant(self) -> Instant {
        // Hinnant's days_from_civil, with years that begin in March.
        let (month, year) = (u64::from(self.month), u64::from(self.year));
        let (year, month) =
            if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400;
        let days = days + (153 * month + 2) / 5 + u64::from(self.day);
        let days = days.saturating_sub(719_469);
        let [hour, minute, second] = [self.hour, self.minute, self.second].map(u64::from);
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        let shown = Instant::EPOCH + Duration::from_secs(seconds);
        if self.zone.0 < 0 { shown + self.zone.away() } else { shown - self.zone.away() }
    }
}

/// A number below 100 as two digits, the tens in the lower half.
pub(crate) fn swapped(number: u8) -> u8 {
    (number / 10) | ((number % 10) << 4)
}

/// Two swapped digits as a number.
pub(crate) fn digits(octet: u8) -> Option<u8> {
    let (tens, ones) = (octet & 15, octet >> 4);
    (tens < 10 && ones < 10).then_some(10 * tens + ones)
}

impl fmt::Debug for TimeStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.read() {
            Some(time) => time.fmt(f),
            None => self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}")),
        }
    }
}

/// As ISO 8601 writes it.
impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalTime { year, month, day, hour, minute, second, zone } = self;
        let sign = if zone.0 < 0 { '-' } else { '+' };
        let away = zone.away().as_secs() / 60;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        write!(f, "{sign}{:02}:{:02}", away / 60, away % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time stamp of the best known SMS-DELIVER: 1999-03-29 15:16:59 +02:00.
    const KNOWN: TimeStamp = TimeStamp([0x99, 0x30, 0x92, 0x51, 0x61, 0x95, 0x80]);

    #[test]
    fn a_known_time_stamp_is_read() {
        let time = KNOWN.read().unwrap();
        assert_eq!(time.to_string(), "1999-03-29T15:16:59+02:00");
        assert_eq!(time.instant().unix_seconds(), 922_713_419);
        assert_eq!(TimeStamp::new(time.instant(), time.zone), KNOWN);
    }

    #[test]
    fn west_of_greenwich_has_a_sign() {
        // 28 quarters west: the sign is the lower half's highest bit.
        let west = TimeStamp([0x11, 0x10, 0x10, 0x00, 0x00, 0x00, 0x8a]);
        assert_eq!(west.read().unwrap().to_string(), "2011-01-01T00:00:00-07:00");
        assert_eq!(west.instant().unwrap().unix_seconds(), 1_293_865_200);
        assert_eq!(TimeStamp::new(west.instant().unwrap(), Zone::quarters(-28).unwrap()), west);
        assert_eq!((Zone::quarters(79).is_some(), Zone::quarters(80)), (true, None));
    }

    #[test]
    fn what_is_no_time_is_kept_but_not_read() {
        for octets in [
            [0; 7],
            [0xff; 7],
            [0x11, 0x31, 0x10, 0x00, 0x00, 0x00, 0x00],
            [0x11, 0x20, 0x92, 0x00, 0x00, 0x00, 0x00],
            [0x11, 0x10, 0x10, 0x42, 0x00, 0x00, 0x00],
            [0x11, 0x10, 0x10, 0x00, 0x06, 0x00, 0x00],
            [0x11, 0x10, 0x10, 0x00, 0x00, 0xa0, 0x00],
        ] {
            assert_eq!(TimeStamp(octets).read(), None, "{octets:02x?}");
        }
        let leap = [0x42, 0x20, 0x92, 0x00, 0x00, 0x00, 0x00];
        assert_eq!(TimeStamp(leap).read().unwrap().to_string(), "2024-02-29T00:00:00+00:00");
    }
}
