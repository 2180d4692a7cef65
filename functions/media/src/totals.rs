//! What the relay has done since it began: the numbers that dashboards made for rtpengine ask for.

use base::Instant;
use base::census::Tally;
use base::relay::Counters;
use base::time::Duration;

use crate::call::{Call, Dialogue, Leg, Stream};

/// Why a call is over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Reason {
    /// `delete` asked for it.
    Terminated,
    /// No packet came for too long.
    Timeout,
    /// None came for too long, and it was on hold.
    SilentTimeout,
    /// It reached the longest time allowed.
    FinalTimeout,
    /// Nobody answered.
    OfferTimeout,
    /// There were no ports for its first offer.
    Rejected,
    /// An operator's command.
    Forced,
    /// Another relay goes on with it.
    Takeover,
}

/// All reasons, as rtpengine's metrics name them.
const REASONS: [(Reason, &str); 8] = [
    (Reason::Terminated, "closed terminated"),
    (Reason::Timeout, "closed timeout"),
    (Reason::SilentTimeout, "closed silent_timeout"),
    (Reason::FinalTimeout, "closed final_timeout"),
    (Reason::OfferTimeout, "closed offer_timeout"),
    (Reason::Rejected, "closed rejected"),
    (Reason::Forced, "closed force_terminated"),
    (Reason::Takeover, "closed takeover"),
];

/// What was done, and how often.
#[derive(Clone, Default, Debug)]
pub(crate) struct Totals {
    pub(crate) sessions: u64,
    closed: [u64; REASONS.len()],
    /// How long the calls lasted that are over.
    pub(crate) duration: Duration,
    packets: u64,
    by_kernel: u64,
    bytes: u64,
    errors: u64,
    one_way: u64,
    zero_packet: u64,
}

impl Totals {
    /// A port has reported again.
    pub(crate) fn count(&mut self, before: &Counters, now: &Counters) {
        self.packets += now.packets.saturating_sub(before.packets);
        self.by_kernel += now.by_kernel.saturating_sub(before.by_kernel);
        self.bytes += now.bytes.saturating_sub(before.bytes);
        self.errors += now.errors.saturating_sub(before.errors);
    }

    /// A call is over.
    pub(crate) fn close(&mut self, now: Instant, call: &Call, reason: Reason) {
        self.closed[reason as usize] += 1;
        self.duration += now.since(call.created);
        let streams = call.dialogues.iter().flat_map(|dialogue| dialogue.streams.iter().flatten());
        let heard = |stream: &Stream| stream.legs.each_ref().map(|leg| leg.counters.packets > 0);
        self.zero_packet += streams.filter(|stream| heard(stream) == [false; 2]).count() as u64;
        let one_way = |dialogue: &Dialogue| {
            let sides = dialogue.streams.iter().flatten().map(heard);
            let both = sides.fold([false; 2], |all, one| [all[0] | one[0], all[1] | one[1]]);
            both[0] != both[1]
        };
        self.one_way += u64::from(call.is_answered() && call.dialogues.iter().all(one_way));
    }

    /// Calls that are over.
    pub(crate) fn over(&self) -> u64 {
        self.closed.iter().sum()
    }

    /// The same by name.
    pub(crate) fn tally(&self) -> Tally {
        let mut all = vec![
            ("sessions", self.sessions),
            ("packets", self.packets),
            ("packets by kernel", self.by_kernel),
            ("bytes", self.bytes),
            ("packet errors", self.errors),
            ("one-way sessions", self.one_way),
            ("streams without packets", self.zero_packet),
        ];
        all.extend(REASONS.iter().map(|(reason, name)| (*name, self.closed[*reason as usize])));
        Tally(all)
    }
}

/// How many streams are converted from one codec to another.
pub(crate) fn transcoded<'a>(calls: impl Iterator<Item = &'a Call>) -> usize {
    let dialogues = calls.flat_map(|call| &call.dialogues);
    let streams = dialogues.flat_map(|dialogue| dialogue.streams.iter().flatten());
    streams.filter(|stream| stream.legs.iter().any(Leg::is_converted)).count()
}
