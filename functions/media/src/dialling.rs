//! Digits: `play DTMF`, by which one is heard as if a party had pressed its key, and the log of those that parties say.

use std::sync::Arc;

use base::log::{Event, Severity};
use base::relay::{Command as Path, Digit, Format, PortId, Sound};
use base::time::Duration;
use ng::{Outcome, Request, Response, Value};
use rtp::event::TelephoneEvent;

use crate::call::{Call, Leg, Stream};
use crate::machine::Media;
use crate::requests::UNKNOWN_CALL;
use crate::words::normal;

/// What a digit, and the pause behind it, may last, in milliseconds.
const LASTS: std::ops::RangeInclusive<i64> = 100..=5000;

impl Leg {
    /// What its party takes and was told that the other one sends, what it hears usually in front.
    fn takes(&self) -> Arc<[Format]> {
        let speech =
            |(payload_type, encoding)| Format { payload_type, sound: Sound::Speech(encoding) };
        let usual = self.heard().into_iter().chain(self.speech.iter().copied()).map(speech);
        let others = self.listening.agreed().map(|codec| {
            let clock = codec.rate;
            let digits = codec.is_telephone_event();
            let sound = if digits { Sound::Digits { clock } } else { Sound::Opaque { clock } };
            Format { payload_type: codec.payload_type, sound }
        });
        usual.chain(others).collect()
    }
}

impl Call {
    /// A line of the log for a digit that the party at a port said.
    pub(crate) fn digit(
        &self,
        (port, payload_type): (PortId, u8),
        event: u8,
        duration: u16,
        volume: u8,
    ) -> Option<Event> {
        let call_id = &self.call_id;
        let said = TelephoneEvent { event, end: true, volume, duration }.digit()?;
        let streams = self.dialogues.iter().flat_map(|d| d.streams.iter().flatten());
        let found = |Stream { legs, .. }: &Stream| {
            let leg = legs.iter().zip(["A", "B"]).find(|(leg, _)| leg.port == port)?;
            let shown = leg.0.listening.shown();
            let codec = shown.iter().find(|codec| codec.payload_type == payload_type);
            Some((leg.1, codec.map_or(8000, |codec| codec.rate)))
        };
        let (name, clock) = streams.into_iter().find_map(found)?;
        let milliseconds = u64::from(duration) * 1000 / u64::from(clock.max(1));
        let text = format!(
            "{call_id}: leg {name} said {said} for {milliseconds} ms, {volume} dB below 0 dBm0"
        );
        Some(Event::new(Severity::Info, "media.dtmf", text).call_id(call_id))
    }
}

impl Media {
    /// `play DTMF`: the party that is named by tag, label or address, or each one, says a digit that the other one hears.
    pub(crate) fn play_dtmf(&mut self, request: &Request) -> Result<Response, &'static str> {
        let (event, volume, duration, pause) = wish(request)?;
        let (calls, random) = (&mut self.calls, &mut self.random);
        let call = request.call_id.as_ref().and_then(|id| self.by_id.get(id));
        let call = call.and_then(|number| calls.get_mut(number)).ok_or(UNKNOWN_CALL)?;
        let meant: Vec<PortId> = call.meant(request).map(|leg| leg.port).collect();
        if meant.is_empty() {
            return Err("No such participant");
        }
        let mut commands = Vec::new();
        for dialogue in &call.dialogues {
            // One stream of a party has its digits.
            let audio = dialogue.streams.iter().flatten().find(|stream| stream.kind == "audio");
            let Some([a, b]) = audio.map(|stream| &stream.legs) else { continue };
            for (from, to) in [(a, b), (b, a)].into_iter().filter(|(l, _)| meant.contains(&l.port))
            {
                let formats = to.takes();
                if !formats.iter().any(|format| !matches!(format.sound, Sound::Opaque { .. })) {
                    continue;
                }
                let (ssrc, numbers) = (random.u64() as u32, random.u64());
                let begin = (ssrc, (numbers >> 32) as u16, numbers as u32);
                let digit = Digit { event, volume, duration, pause, formats, begin };
                commands.push(Path::Dial { port: from.port, digit });
            }
        }
        if commands.is_empty() {
            return Err(
                "Nobody hears it: the other party has not answered, or takes neither telephone-event nor a codec that tones can be converted to",
            );
        }
        commands.into_iter().for_each(|command| self.tell(command));
        Ok(Response::new(Outcome::Ok))
    }
}

/// The digit that is wanted, its level, how long it lasts, and the pause behind it.
fn wish(request: &Request) -> Result<(u8, u8, Duration, Duration), &'static str> {
    let value = |name: &str| {
        let found = request.other.iter().find(|(key, _)| normal(key) == name);
        found.map(|(_, value)| value)
    };
    let number = |name: &str, usual: i64| value(name).and_then(Value::as_int).unwrap_or(usual);
    let lasts = |name: &str, usual: i64| {
        let milliseconds = number(name, usual).clamp(*LASTS.start(), *LASTS.end());
        Duration::from_millis(milliseconds.unsigned_abs())
    };
    let code = value("code").or_else(|| value("digit"));
    let code = code.ok_or("No code in message: it is 0 to 15, or one of 0-9, *, #, A-D")?;
    let letter = code.as_str().filter(|text| text.len() == 1).and_then(|text| text.chars().next());
    let event = letter.and_then(TelephoneEvent::of_digit);
    let event = event.or_else(|| u8::try_from(code.as_int()?).ok()).filter(|event| *event < 16);
    let event =
        event.ok_or("Out of range 'code' specified: it is 0 to 15, or one of 0-9, *, #, A-D")?;
    let volume = number("volume", -8).unsigned_abs().min(63) as u8;
    Ok((event, volume, lasts("duration", 250), lasts("pause", 100)))
}
