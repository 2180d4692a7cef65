//! What of a party's packets does not pass: `block DTMF`, `block media`, `silence media` and their opposites, and
//! `drop-traffic` in offers and answers.

use base::relay::{Command as Path, Gate};
use ng::{Outcome, Request, Response};
use sdp::Codec;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Leg};
use crate::machine::Media;
use crate::requests::UNKNOWN_CALL;
use crate::words::normal;

/// What a command changes, and whether it begins or ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Media(bool),
    Silence(bool),
    Digits(bool),
}

/// What is wanted of a leg, and what the packet path knows of it.
#[derive(Clone, Copy, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Wanted {
    media: bool,
    silence: bool,
    digits: bool,
    told: Gate,
}

impl Change {
    /// The change that a command of NG asks for.
    pub(crate) fn of(command: &str) -> Option<Change> {
        Some(match normal(command).as_str() {
            "block-media" => Change::Media(true),
            "unblock-media" => Change::Media(false),
            "silence-media" => Change::Silence(true),
            "unsilence-media" => Change::Silence(false),
            "block-dtmf" => Change::Digits(true),
            "unblock-dtmf" => Change::Digits(false),
            _ => return None,
        })
    }
}

impl Leg {
    fn change(&mut self, change: Change) {
        match change {
            Change::Media(on) => self.gate.media = on,
            Change::Silence(on) => self.gate.silence = on,
            Change::Digits(on) => self.gate.digits = on,
        }
    }

    /// What the packet path was told of it, for another one.
    pub(crate) fn gated(&self) -> Option<Path> {
        let gate = self.gate.told;
        (gate != Gate::default()).then_some(Path::Gate { port: self.port, gate })
    }

    /// What the packet path is to be told of it, if it does not know.
    pub(crate) fn gate(&mut self, log: bool) -> Option<Path> {
        let Wanted { media, silence, digits, told } = self.gate;
        let digit_types = self.listening.shown().iter().filter(|codec| codec.is_telephone_event());
        let mask = |codec: &Codec| 1u128.checked_shl(u32::from(codec.payload_type)).unwrap_or(0);
        let digit_types = digit_types.map(mask).fold(0, |all, one| all | one);
        let notices_digits = log && digit_types != 0;
        let gate = match media || silence || digits || notices_digits {
            false => Gate::default(),
            _ => Gate {
                blocks_media: media,
                silences_media: silence,
                blocks_digits: digits,
                notices_digits,
                digit_types,
            },
        };
        self.gate.told = gate;
        (gate != told).then_some(Path::Gate { port: self.port, gate })
    }
}

impl Media {
    /// One of the commands: for the party that is named by tag, label or address, or for all.
    pub(crate) fn change_gates(
        &mut self,
        request: &Request,
        change: Change,
    ) -> Result<Response, &'static str> {
        let mode = request.other.text("DTMF-security");
        if mode.is_some_and(|mode| !mode.eq_ignore_ascii_case("drop")) {
            return Err("Of DTMF-security only `drop` is supported");
        }
        let call_id = request.call_id.as_deref().ok_or("No call-id in message")?;
        let number = *self.by_id.get(call_id).ok_or(UNKNOWN_CALL)?;
        let call = self.calls.get_mut(&number).ok_or(UNKNOWN_CALL)?;
        let (mut found, mut commands) = (false, Vec::new());
        for leg in call.meant(request) {
            found = true;
            leg.change(change);
            commands.extend(leg.gate(self.config.dtmf_log));
        }
        commands.into_iter().for_each(|command| self.tell(command));
        self.changed(number);
        if found { Ok(Response::new(Outcome::Ok)) } else { Err("No such participant") }
    }
}

/// `drop-traffic` of an offer or answer: nothing of the call passes, or all does again.
pub(crate) fn drop_traffic(request: &Request, call: &mut Call) {
    let Some(word) = request.other.text("drop-traffic") else { return };
    let on = word.eq_ignore_ascii_case("start");
    for leg in call.legs_mut() {
        leg.change(Change::Media(on));
        leg.change(Change::Digits(on));
    }
}
