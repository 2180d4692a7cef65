//! Listens to calls: soon after an answer and then again and again, and says what is wrong when it begins and when it is
//! over.

use std::sync::Arc;

use base::log::{Event, Severity};
use base::relay::{Command, Counters, Failure};
use base::time::Duration;
use sdp::{Codec, Media as Section};
use serde::{Deserialize, Serialize};

use crate::call::{Leg, Stream, Who};
use crate::codecs::formats;
use crate::machine::{Media, Timer};
use crate::verdict::{Facts, Verdict, verdict};

/// After an answer there is sound within this time, or something is wrong.
const FIRST: Duration = Duration::from_secs(2);
/// From one time to the next.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the packet path may take to say what arrived.
const COUNTING: Duration = Duration::from_millis(500);

/// What is known of the sound of one leg.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listening {
    /// What the party said that it takes, and what it was told that the other one takes.
    takes: Arc<[Codec]>,
    shown: Arc<[Codec]>,
    ptime: Option<Duration>,
    /// There is no way to the party.
    #[serde(skip)]
    pub(crate) failure: Option<Failure>,
    #[serde(skip)]
    before: Counters,
    /// Times that somebody listened since the last answer.
    #[serde(skip)]
    times: u32,
    #[serde(skip)]
    pub(crate) verdict: Verdict,
}

impl Default for Listening {
    fn default() -> Listening {
        Listening {
            takes: Arc::default(),
            shown: Arc::default(),
            ptime: None,
            failure: None,
            before: Counters::default(),
            times: 0,
            verdict: Verdict::Unknown,
        }
    }
}

/// What the writer of a section takes, which the other party is shown.
pub(crate) fn hear(section: &Section, who: Who, stream: &mut Stream) {
    stream.legs[who as usize].listening.takes = codecs(section);
    show(section, who.other(), stream);
}

/// A party is shown this section.
pub(crate) fn show(section: &Section, to: Who, stream: &mut Stream) {
    stream.legs[to as usize].sends = formats(section).collect();
    let listening = &mut stream.legs[to as usize].listening;
    listening.shown = codecs(section);
    listening.ptime = section.ptime().map(|ms| Duration::from_millis(u64::from(ms)));
}

fn codecs(section: &Section) -> Arc<[Codec]> {
    section.codecs().into()
}

impl Listening {
    /// What the party was told that the other one takes.
    pub(crate) fn shown(&self) -> &[Codec] {
        &self.shown
    }

    /// What the party said that it takes, and was told that the other one has.
    pub(crate) fn agreed(&self) -> impl Iterator<Item = &Codec> {
        let like = |a: &Codec, b: &Codec| a.name.eq_ignore_ascii_case(&b.name) && a.rate == b.rate;
        self.takes.iter().filter(move |codec| self.shown.iter().any(|shown| like(shown, codec)))
    }

    /// The clock of what the party most probably sends, in Hz.
    pub(crate) fn clock(&self) -> u32 {
        let speech = self.shown.iter().find(|codec| !codec.is_telephone_event());
        speech.map_or(8000, |codec| codec.rate)
    }
}

impl Leg {
    fn judge(&self, other_is_heard: bool) -> Verdict {
        let Listening { takes, shown, ptime, failure, before, times, .. } = &self.listening;
        let found = verdict(&Facts {
            said: self.rtp,
            host: self.host,
            shown: Arc::clone(shown),
            takes: Arc::clone(takes),
            ptime: *ptime,
            failure: failure.clone(),
            before: *before,
            now: self.counters,
            other_is_heard,
        });
        match found {
            // Nobody talks yet: it may ring.
            Verdict::Nothing { .. } | Verdict::WrongAddress { .. }
                if !other_is_heard && *times == 0 =>
            {
                Verdict::Unknown
            }
            found => found,
        }
    }
}

/// Whether something arrived since somebody listened.
fn heard_of(leg: &Leg) -> bool {
    leg.counters.packets > leg.listening.before.packets
}

impl Media {
    /// A call was answered: what is there soon?
    pub(crate) fn arm_listening(&mut self, number: u64) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        for leg in call.legs_mut() {
            leg.listening.before = leg.counters;
            leg.listening.times = 0;
        }
        self.set_timer(self.now + FIRST, Timer::Listen(number));
    }

    /// Asks what arrived.
    pub(crate) fn listen(&mut self, number: u64) {
        let Some(call) = self.calls.get(&number) else { return };
        let ports: Vec<_> = call.legs().filter(|l| l.opened.is_some()).map(|l| l.port).collect();
        ports.into_iter().for_each(|port| self.tell(Command::Query { port }));
        self.set_timer(self.now + COUNTING, Timer::Conclude(number));
    }

    /// The answers are here.
    pub(crate) fn conclude(&mut self, number: u64) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let mut news = Vec::new();
        for dialogue in call.dialogues.iter_mut().filter(|d| d.party(Who::B).tag.is_some()) {
            for stream in dialogue.streams.iter_mut().flatten() {
                let heard = stream.legs.each_ref().map(heard_of);
                for (leg, (name, other)) in
                    stream.legs.iter_mut().zip([("A", heard[1]), ("B", heard[0])])
                {
                    if heard_of(leg) {
                        leg.listening.failure = None;
                    }
                    let now = if stream.held { Verdict::Unknown } else { leg.judge(other) };
                    let before = std::mem::replace(&mut leg.listening.verdict, now.clone());
                    leg.listening.before = leg.counters;
                    leg.listening.times += 1;
                    if !now.is_like(&before) && (now.is_bad() || before.is_bad()) {
                        news.push((now, format!("leg {name} ({})", stream.kind)));
                    }
                }
            }
        }
        let call_id = call.call_id.clone();
        for (verdict, leg) in news {
            let severity = if verdict.is_bad() { Severity::Warning } else { Severity::Info };
            let text = format!("{call_id}: {leg}: {verdict}");
            self.note(Event::new(severity, verdict.counter(), text).call_id(&call_id));
        }
        self.set_timer(self.now + AGAIN, Timer::Listen(number));
    }

    /// There is no way to a party: whoever looks at the call is told at once.
    pub(crate) fn failed(&mut self, call_id: &str, failure: Failure) {
        let verdict = Verdict::NoWay(failure);
        let text = format!("{call_id}: {verdict}");
        self.note(Event::new(Severity::Warning, verdict.counter(), text).call_id(call_id));
    }
}
