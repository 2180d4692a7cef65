//! What was received of one source, RFC 3550 Appendix A.1, A.3 and A.8.

use base::Instant;
use base::relay::Tracking;
use base::time::Duration;

use crate::rtcp::ReportBlock;

/// The largest jump ahead that is loss and no restart, Appendix A.1.
const MAX_DROPOUT: u16 = 3000;
/// The largest step back that is reordering and no restart, Appendix A.1.
const MAX_MISORDER: u16 = 100;

/// Whether a sequence number is neither a jump nor a restart, seen from the highest one.
pub(crate) fn is_near(sequence: u16, highest: u32) -> bool {
    let ahead = sequence.wrapping_sub(highest as u16);
    !(MAX_DROPOUT..=u16::MAX - MAX_MISORDER).contains(&ahead)
}

/// What happened to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It carries on, perhaps after a gap.
    Fresh,
    /// It is older than the newest one.
    Late,
    /// It was here before.
    Duplicate,
    /// It lies so far off that it is not counted until the next one confirms it.
    Suspect,
    /// The sequence or source starts anew with it.
    Restart,
}

/// Reception statistics of one source; of constant size.
#[derive(Clone, Debug)]
pub struct Reception {
    rate: u32,
    started: bool,
    ssrc: u32,
    base: u32,
    highest: u32,
    suspect: Option<u16>,
    received: u64,
    duplicates: u64,
    /// Losses of earlier sequences, before a restart.
    lost_before: u64,
    /// The 128 packets up to `highest`, newest in bit 0: more than may be out of order.
    window: u128,
    transit: Option<i64>,
    /// In 1/16 of a timestamp unit, as Appendix A.8 keeps it.
    jitter: u64,
    expected_prior: u64,
    received_prior: u64,
}

impl Reception {
    /// Statistics for a codec clock of `rate` Hz.
    pub fn new(rate: u32) -> Reception {
        Reception {
            rate: rate.max(1),
            started: false,
            ssrc: 0,
            base: 0,
            highest: 0,
            suspect: None,
            received: 0,
            duplicates: 0,
            lost_before: 0,
            window: 0,
            transit: None,
            jitter: 0,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    /// The codec's clock is another one from here on, in Hz.
    pub fn set_rate(&mut self, rate: u32) {
        let rate = rate.max(1);
        if rate != self.rate {
            (self.rate, self.transit, self.jitter) = (rate, None, 0);
        }
    }

    /// Counts a packet that arrived at `now`.
    pub fn packet(&mut self, now: Instant, ssrc: u32, sequence: u16, timestamp: u32) -> Arrival {
        if !self.started || ssrc != self.ssrc {
            let first = !self.started;
            self.restart(ssrc, sequence);
            self.measure(now, timestamp);
            return if first { Arrival::Fresh } else { Arrival::Restart };
        }
        let ahead = sequence.wrapping_sub(self.highest as u16);
        let arrival = if ahead == 0 {
            Arrival::Duplicate
        } else if ahead < MAX_DROPOUT {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
            self.window = self.window.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            Arrival::Fresh
        } else if ahead > u16::MAX - MAX_MISORDER {
            self.late(ahead.wrapping_neg())
        } else if self.suspect == Some(sequence) {
            self.restart(ssrc, sequence);
            Arrival::Restart
        } else {
            Arrival::Suspect
        };
        match arrival {
            Arrival::Suspect => {
                self.suspect = Some(sequence.wrapping_add(1));
                return arrival;
            }
            Arrival::Duplicate => {
                self.duplicates += 1;
                return arrival;
            }
            Arrival::Fresh | Arrival::Late => self.received += 1,
            Arrival::Restart => {}
        }
        self.suspect = None;
        self.measure(now, timestamp);
        arrival
    }

    /// Somebody else counts the next packets, from here on.
    pub fn hand_over(&self, to: &mut Tracking) {
        *to = Tracking {
            rate: self.rate,
            ssrc: self.ssrc,
            base: self.base,
            highest: self.highest,
            received: self.received,
            duplicates: self.duplicates,
            window: self.window,
            transit: self.transit,
            jitter: self.jitter,
            ..*to
        };
    }

    /// What he has counted, and how many packets of the same sequence he has not seen.
    pub fn take_back(&mut self, from: &Tracking, beside: u64) {
        (self.base, self.highest, self.window) = (from.base, from.highest, from.window);
        self.received = from.received + beside;
        self.duplicates = from.duplicates;
        self.suspect = None;
        // The clock may have become another one meanwhile.
        if from.rate == self.rate {
            (self.transit, self.jitter) = (from.transit, from.jitter);
        }
    }

    fn late(&mut self, behind: u16) -> Arrival {
        let bit = 1u128 << behind.min(127);
        if self.window & bit != 0 {
            return Arrival::Duplicate;
        }
        self.window |= bit;
        // Something from before the first packet: the sequence began there.
        let began = self.highest.wrapping_sub(u32::from(behind));
        if began.wrapping_sub(self.base) > u32::MAX / 2 {
            self.base = began;
        }
        Arrival::Late
    }

    fn restart(&mut self, ssrc: u32, sequence: u16) {
        self.lost_before = self.lost();
        self.started = true;
        self.ssrc = ssrc;
        // One cycle up, so that a late first packet has room below.
        self.base = 0x1_0000 | u32::from(sequence);
        self.highest = self.base;
        self.window = 1;
        self.suspect = None;
        self.received = 1;
        self.transit = None;
        self.expected_prior = 0;
        self.received_prior = 0;
    }

    fn measure(&mut self, now: Instant, timestamp: u32) {
        let arrived = (u128::from(now.unix_micros()) * u128::from(self.rate) / 1_000_000) as u32;
        let transit = i64::from(arrived.wrapping_sub(timestamp) as i32);
        if let Some(before) = self.transit.replace(transit) {
            let difference = u64::from(((transit - before) as i32).unsigned_abs());
            // A new talk spurt with a new timestamp base is no jitter.
            if difference < u64::from(self.rate) * 2 {
                self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
            }
        }
    }

    /// The source heard last; `None` before the first packet.
    pub fn ssrc(&self) -> Option<u32> {
        self.started.then_some(self.ssrc)
    }

    /// The extended highest sequence number, Appendix A.1.
    pub fn highest(&self) -> u32 {
        self.highest.wrapping_sub(0x1_0000)
    }

    /// Packets expected of the present sequence, Appendix A.3.
    pub fn expected(&self) -> u64 {
        if self.started { u64::from(self.highest.wrapping_sub(self.base)) + 1 } else { 0 }
    }

    /// Packets of the present sequence that arrived, duplicates not counted.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that arrived twice.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets that are missing, those of earlier sequences included.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.expected().saturating_sub(self.received)
    }

    /// The interarrival jitter in units of the codec's clock, §6.4.1.
    pub fn jitter(&self) -> u32 {
        u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX)
    }

    /// The interarrival jitter as time.
    pub fn jitter_time(&self) -> Duration {
        Duration::from_micros(self.jitter * 1_000_000 / 16 / u64::from(self.rate))
    }

    /// A report block, §6.4.1; the fraction is that since the last call. The sender report it
    /// answers is the caller's to fill in.
    pub fn report(&mut self) -> ReportBlock {
        let (expected, received) = (self.expected(), self.received);
        let interval = expected - self.expected_prior.min(expected);
        let missing = interval.saturating_sub(received - self.received_prior.min(received));
        (self.expected_prior, self.received_prior) = (expected, received);
        let fraction = (missing * 256).checked_div(interval).unwrap_or(0).min(255);
        let lost = i32::try_from(self.lost()).unwrap_or(i32::MAX).min(0x7f_ffff);
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction as u8,
            lost,
            highest: self.highest(),
            jitter: self.jitter(),
            last_sr: 0,
            delay: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_unix_micros(1_000_000_000 + ms * 1000)
    }

    /// Sends `(sequence, millisecond)` pairs whose timestamps are those of an even sender.
    fn heard(packets: &[(u16, u64)]) -> Reception {
        let mut reception = Reception::new(8000);
        for (sequence, ms) in packets {
            reception.packet(at(*ms), 7, *sequence, u32::from(*sequence) * 160);
        }
        reception
    }

    #[test]
    fn an_even_stream_has_no_loss_and_no_jitter() {
        let packets: Vec<_> = (0..500).map(|n| (n, u64::from(n) * 20)).collect();
        let mut reception = heard(&packets);
        assert_eq!((reception.lost(), reception.jitter(), reception.received()), (0, 0, 500));
        assert_eq!(reception.report().fraction_lost, 0);
    }

    #[test]
    fn loss_duplicates_and_reordering_are_told_apart() {
        let mut reception = heard(&[(10, 0), (12, 40), (11, 41), (12, 42), (15, 100)]);
        assert_eq!((reception.lost(), reception.duplicates(), reception.received()), (2, 1, 4));
        assert_eq!(reception.report().fraction_lost, (2 * 256 / 6) as u8);
        assert_eq!(reception.report().fraction_lost, 0);
        assert_eq!(heard(&[(5, 0), (4, 1), (6, 40)]).lost(), 0);
    }

    #[test]
    fn the_sequence_wraps() {
        let mut reception = Reception::new(8000);
        for n in 0..70_000u32 {
            reception.packet(at(u64::from(n) * 20), 7, (n + 65_000) as u16, n.wrapping_mul(160));
        }
        assert_eq!((reception.lost(), reception.received()), (0, 70_000));
        assert_eq!(reception.highest(), 65_000 + 69_999);
    }

    #[test]
    fn a_jump_is_a_restart_once_confirmed() {
        let mut reception = heard(&[(1, 0), (2, 20)]);
        assert_eq!(reception.packet(at(40), 7, 30_000, 0), Arrival::Suspect);
        assert_eq!(reception.packet(at(60), 7, 30_001, 0), Arrival::Restart);
        assert_eq!(reception.packet(at(80), 8, 5, 0), Arrival::Restart);
        assert_eq!((reception.lost(), reception.ssrc()), (0, Some(8)));
    }

    /// Appendix A.8 by hand: D = 80 units once gives J = 80/16 = 5, then J += (D - J)/16.
    #[test]
    fn jitter_is_that_of_the_appendix() {
        let reception = heard(&[(0, 0), (1, 30)]);
        assert_eq!(reception.jitter(), 5);
        assert_eq!(reception.jitter_time(), Duration::from_micros(625));
        let reception = heard(&[(0, 0), (1, 30), (2, 40)]);
        assert_eq!(reception.jitter(), (80 + 80 - (80 + 8) / 16) / 16);
    }
}
