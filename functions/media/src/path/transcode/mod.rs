//! What a peer says in one encoding leaves in another one: its packets are put in order, decoded, and put into new packets of
//! another stream.
//!
//! | File | What |
//! |---|---|
//! | `mod` | which way a packet takes |
//! | `sequence` | packets in the order of their sequence numbers |
//! | `speech` | from samples of one encoding to payloads of another |
//! | `stream` | the stream that leaves: its numbers and its clock |
//! | `reports` | RTCP about both streams (RFC 3550 §7.2) |

mod reports;
mod sequence;
mod speech;
mod stream;

use base::Instant;
use base::relay::{Conversion, Encoding, Format, Leaving, Sound};
use base::time::Duration;
use codec::dtmf::{Detector, Heard};
use codec::tone::{Tones, digit};
use rtp::event::TelephoneEvent;
use rtp::{Builder, Packet};

use sequence::{Arrival, Sequencer};
use stream::Moment;

pub(super) use reports::report;
pub(super) use speech::Speech;
pub(super) use stream::Stream;

/// Sound is put into packets of this length if nobody says otherwise.
const PACKET: Duration = Duration::from_millis(20);
/// As many milliseconds that did not come are replaced; what is longer is a pause.
const CONCEALED: u64 = 200;
/// Decibels that a digit's tones are below full scale, beside what the event says.
pub(super) const TONE_LEVEL: u8 = 6;

/// The packets that enter at one port.
pub(crate) struct Transcoder {
    conversions: Vec<Conversion>,
    sequencer: Sequencer,
    /// The way of the last packet of speech.
    speech: Option<Speech>,
    stream: Stream,
    /// Where the stream was, and how many packets it had, when that was news for whoever could go on elsewhere.
    leaving: Option<(Leaving, u32)>,
    /// The timestamp after the last sound that came, and its clock.
    after: Option<(u32, u32)>,
    event: Option<Event>,
    detector: Option<Listener>,
}

/// A digit that comes as events, all with one timestamp.
struct Event {
    timestamp: u32,
    /// What its events that leave have, if it leaves as events.
    leaves: u32,
    /// Its tones, and samples of them that were made.
    tones: Option<(Tones, u64)>,
}

/// Hears digits in speech.
struct Listener {
    rate: u32,
    detector: Detector,
    /// The digit that sounds, and its timestamp where it leaves.
    sounding: Option<(u8, u32)>,
}

impl Transcoder {
    pub(crate) fn new(conversions: Vec<Conversion>) -> Transcoder {
        Transcoder {
            conversions,
            sequencer: Sequencer::default(),
            speech: None,
            stream: Stream::default(),
            leaving: None,
            after: None,
            event: None,
            detector: None,
        }
    }

    /// Goes on like this. Streams go on where they are.
    pub(crate) fn convert(&mut self, conversions: Vec<Conversion>) {
        self.conversions = conversions;
    }

    /// Goes on with a stream that another packet path sent.
    pub(super) fn resume(&mut self, now: Instant, leaving: &Leaving) {
        let clock = self.conversions.first().map_or(8000, |c| c.to.sound.clock());
        self.stream.resume(now, leaving, clock);
    }

    /// Whether [`Transcoder::leaving`] is another since somebody asked last.
    pub(super) fn take_news(&mut self, now: Instant) -> bool {
        let told = self.leaving.map_or(0, |(_, told)| told);
        let news = self.stream.news(now, told);
        if let Some(leaving) = news {
            self.leaving = Some((leaving, self.stream.packets));
        }
        news.is_some()
    }

    /// Where the stream was.
    pub(super) fn leaving(&self) -> Option<Leaving> {
        self.leaving.map(|(leaving, _)| leaving)
    }

    /// A packet of RTP came; what leaves waits for [`Transcoder::poll`].
    pub(crate) fn packet(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(packet) = Packet::parse(bytes) else { return };
        if self.sequencer.push(now, &packet) {
            // Another source speaks: its clock is another one.
            (self.after, self.event) = (None, None);
        }
        self.expire(now);
    }

    /// When packets that wait for others have waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sequencer.deadline()
    }

    /// It is later.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(arrival) = self.sequencer.pop(now) {
            self.arrival(&arrival);
        }
    }

    /// A packet that leaves.
    pub(crate) fn poll(&mut self) -> Option<Vec<u8>> {
        self.stream.poll()
    }

    fn arrival(&mut self, arrival: &Arrival) {
        let found = self.conversions.iter().find(|c| c.from.payload_type == arrival.payload_type);
        let Some(conversion) = found.copied() else { return };
        self.stream.begin(arrival, conversion.from.sound.clock(), conversion.to.sound.clock());
        match (conversion.from.sound, conversion.to.sound) {
            (Sound::Speech(from), Sound::Speech(to)) if !conversion.is_renumbering() => {
                self.speech(arrival, &conversion, from, to);
            }
            (Sound::Digits { .. }, Sound::Digits { .. }) => self.digits(arrival, conversion.to),
            (Sound::Digits { clock }, Sound::Speech(to)) => {
                self.tones(arrival, (conversion.to.payload_type, to), conversion.packet, clock);
            }
            (Sound::Speech(_), Sound::Speech(_))
            | (Sound::Noise { .. }, Sound::Noise { .. })
            | (Sound::Opaque { .. }, Sound::Opaque { .. }) => {
                self.stream.pass(arrival, conversion.to.payload_type);
            }
            // Nobody hears a pause in another way than as a pause.
            _ => {}
        }
    }

    fn speech(&mut self, arrival: &Arrival, conversion: &Conversion, from: Encoding, to: Encoding) {
        let packet = conversion.packet.unwrap_or(PACKET);
        let out = (conversion.to.payload_type, to, packet);
        self.catch_up(arrival, from.clock(), out);
        let speech = Speech::of(&mut self.speech, Some(from), out);
        let count = speech.decode(&arrival.payload);
        let clock = u64::from(from.clock());
        let units = count as u64 * clock / u64::from(from.rate());
        self.after = Some((arrival.timestamp.wrapping_add(units as u32), from.clock()));
        match conversion.digits {
            Some(digits) => self.listen(from.rate(), digits),
            None => self.detector = None,
        }
        if let Some(speech) = &mut self.speech {
            speech.emit(&mut self.stream);
        }
    }

    /// What did not come between the last sound and this one: concealed if packets were lost, a pause if not.
    fn catch_up(&mut self, arrival: &Arrival, clock: u32, out: (u8, Encoding, Duration)) {
        let speech = Speech::of(&mut self.speech, None, out);
        let after = self.after.filter(|(_, before)| *before == clock);
        let ahead = after.map(|(after, _)| arrival.timestamp.wrapping_sub(after));
        match ahead {
            Some(0) => return,
            Some(ahead)
                if arrival.lost > 0 && u64::from(ahead) * 1000 <= CONCEALED * u64::from(clock) =>
            {
                return speech.conceal(ahead);
            }
            _ => {}
        }
        speech.flush(&mut self.stream);
        self.stream.pause(arrival.timestamp);
    }

    fn digits(&mut self, arrival: &Arrival, to: Format) {
        let Some(event) = TelephoneEvent::parse(&arrival.payload) else { return };
        let same = self.event.as_ref().filter(|event| event.timestamp == arrival.timestamp);
        let begins = same.is_none();
        let leaves = match same {
            Some(event) => event.leaves,
            None => self.stream.at(arrival.timestamp),
        };
        self.event = Some(Event { timestamp: arrival.timestamp, leaves, tones: None });
        let duration = self.stream.scaled(event.duration);
        let payload = TelephoneEvent { duration, ..event }.build();
        self.stream.put(to.payload_type, begins, leaves, &payload);
    }

    fn tones(
        &mut self,
        arrival: &Arrival,
        (payload_type, to): (u8, Encoding),
        packet: Option<Duration>,
        clock: u32,
    ) {
        let Some(event) = TelephoneEvent::parse(&arrival.payload) else { return };
        let out = (payload_type, to, packet.unwrap_or(PACKET));
        if self.event.as_ref().is_none_or(|event| event.timestamp != arrival.timestamp) {
            let Some(hertz) = digit(event.event) else { return };
            let below = event.volume.saturating_add(TONE_LEVEL);
            let tones = Some((Tones::new(&hertz, to.rate(), below), 0));
            self.catch_up(arrival, clock, out);
            self.event = Some(Event { timestamp: arrival.timestamp, leaves: 0, tones });
        }
        let Some((tones, made)) = self.event.as_mut().and_then(|event| event.tones.as_mut()) else {
            return;
        };
        let wanted = u64::from(event.duration) * u64::from(to.rate()) / u64::from(clock.max(1));
        // A digit that grows faster than time is not believed at once.
        let more = wanted.saturating_sub(*made).min(u64::from(to.rate()) * CONCEALED / 1000);
        *made += more;
        let speech = Speech::of(&mut self.speech, None, out);
        speech.add(|samples| tones.make(more as usize, samples));
        self.after = Some((arrival.timestamp.wrapping_add(event.duration.into()), clock));
        speech.emit(&mut self.stream);
    }

    /// Digits in the speech that was decoded last leave as events, and not as sound.
    fn listen(&mut self, rate: u32, to: Format) {
        let Some(speech) = &mut self.speech else { return };
        let listener = self.detector.take().filter(|listener| listener.rate == rate);
        let mut listener = listener.unwrap_or_else(|| Listener {
            rate,
            detector: Detector::new(rate),
            sounding: None,
        });
        let mut heard = Vec::new();
        listener.detector.listen(speech.decoded(), &mut heard);
        let mut begins = false;
        for Heard { event, lasted } in heard {
            if lasted.is_none() {
                listener.sounding = Some((event, self.stream.next()));
                begins = true;
            } else if let Some((event, since)) = listener.sounding.take() {
                self.stream.event(to.payload_type, event, since, Moment::End);
            }
        }
        if let Some((event, since)) = listener.sounding {
            speech.drop_sound(&mut self.stream);
            let moment = if begins { Moment::Begin } else { Moment::Middle };
            self.stream.event(to.payload_type, event, since, moment);
        }
        self.detector = Some(listener);
    }
}

/// What leaves when packets with these payloads of 20 ms each arrive: the packet path's own way from one encoding to
/// another, for whoever wants to know what it does and costs.
pub fn convert(from: Encoding, to: Encoding, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let format = |payload_type, encoding| Format { payload_type, sound: Sound::Speech(encoding) };
    // With a length of packets nothing passes as it is.
    let packet = Some(PACKET);
    let conversion =
        Conversion { from: format(96, from), to: format(97, to), packet, digits: None };
    let mut transcoder = Transcoder::new(vec![conversion]);
    let mut out = Vec::new();
    for (n, payload) in payloads.iter().enumerate() {
        let (sequence, timestamp) = (n as u16, n as u32 * from.clock() / 50);
        let packet =
            Builder { payload_type: 96, sequence, timestamp, payload, ..Builder::default() };
        transcoder.packet(Instant::EPOCH, &packet.build());
        let made = std::iter::from_fn(|| transcoder.poll());
        out.extend(made.filter_map(|bytes| Some(Packet::parse(&bytes).ok()?.payload().to_vec())));
    }
    out
}
