//! What phones, calls and texts came to: the JSON report, the summary, and what to do about failures.

use std::fmt::Write;

use serde::Serialize;

/// Failures that are told one by one.
const MOST: usize = 10;

/// Everything that happened.
#[derive(Clone, PartialEq, Default, Debug, Serialize)]
pub struct Outcome {
    /// Every phone, in order.
    pub phones: Vec<PhoneResult>,
    /// Every call, in the order in which they ended.
    pub calls: Vec<CallResult>,
    /// Every text, sent or received.
    pub messages: Vec<MessageResult>,
    /// It was ended from outside before it was done.
    pub interrupted: bool,
    /// Whether all was as it should be.
    pub ok: bool,
}

/// What one phone came to.
#[derive(Clone, PartialEq, Default, Debug, Serialize)]
pub struct PhoneResult {
    /// Its public identity.
    pub identity: String,
    /// Whether it was registered.
    pub registered: bool,
    /// From the first REGISTER to the 200.
    pub registration_ms: Option<f64>,
    /// The final status of its registration.
    pub status: Option<u16>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The USIM found the sequence number stale and resynchronised, TS 33.102 §6.3.5.
    pub resynchronised: bool,
    /// Whatever else went wrong.
    pub problems: Vec<String>,
}

/// Packets of a call.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Packets {
    /// Sent by us.
    pub sent: u64,
    /// Arrived here.
    pub received: u64,
    /// Missing here.
    pub lost: u64,
}

/// What was heard in a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Heard {
    /// What was expected.
    Same,
    /// What was expected, but parts are missing.
    Damaged,
    /// Something else.
    Other,
    /// Nothing.
    Silent,
    /// Something; nothing was expected.
    Sound,
}

impl Heard {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Heard::Same => "same",
            Heard::Damaged => "damaged",
            Heard::Other => "other",
            Heard::Silent => "silent",
            Heard::Sound => "sound",
        }
    }
}

/// What one call came to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CallResult {
    /// The phone's identity.
    pub identity: String,
    /// Whether the phone called; otherwise it was called.
    pub outgoing: bool,
    /// Who called.
    pub from: String,
    /// Who was called.
    pub to: String,
    /// 200 after a regular call, else the final status.
    pub status: u16,
    /// The phrase, the Reason header field, or our own finding.
    pub reason: String,
    /// `local`, `remote` or `failure`.
    pub ended_by: &'static str,
    /// From INVITE to the first sign of the other side.
    pub pdd_ms: Option<f64>,
    /// From INVITE to the answer.
    pub setup_ms: Option<f64>,
    /// From the answer to the end.
    pub talk_s: f64,
    /// Packets of sound.
    pub packets: Packets,
    /// Interarrival jitter, RFC 3550 §6.4.1.
    pub jitter_ms: f64,
    /// Mean opinion score by the E-model, 1 to 4.5.
    pub mos: Option<f64>,
    /// What was heard; `None` if the call was not answered.
    pub heard: Option<Heard>,
    /// The codec that was sent.
    pub codec: String,
    /// Digits that came.
    pub digits: String,
    /// Where what was heard is written.
    pub recording: Option<String>,
    /// What should have been otherwise.
    pub problems: Vec<String>,
    /// Whether all was as it should be.
    pub ok: bool,
}

/// A text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MessageResult {
    /// Whether the phone sent it; otherwise it came.
    pub outgoing: bool,
    /// Who sent it.
    pub from: String,
    /// Who it was sent to.
    pub to: String,
    /// The final status; 200 of one that came.
    pub status: u16,
    /// The phrase.
    pub reason: String,
    /// The text.
    pub text: String,
}

impl Outcome {
    /// A few lines for a person.
    pub fn summary(&self, register: bool) -> String {
        let mut out = String::new();
        if register {
            let times: Vec<f64> = self.phones.iter().filter_map(|p| p.registration_ms).collect();
            let _ = write!(out, "{} of {} registered", times.len(), self.phones.len());
            if let [_, ..] = times[..] {
                let mean = times.iter().sum::<f64>() / times.len() as f64;
                let max = times.iter().copied().fold(0.0, f64::max);
                let _ = match times.len() {
                    1 => write!(out, " in {mean:.1} ms"),
                    _ => write!(out, " in {mean:.1} ms on average, {max:.1} ms at most"),
                };
            }
            out.push('\n');
        }
        if let [call] = &self.calls[..] {
            out.push_str(&call.line());
        } else if !self.calls.is_empty() {
            out.push_str(&self.totals());
        }
        let sent = self.sent().count();
        if sent > 0 {
            let delivered = self.sent().filter(|m| (200..300).contains(&m.status)).count();
            let _ = writeln!(out, "{delivered} of {sent} texts delivered");
        }
        match self.messages.len() - sent {
            0 => {}
            1 => out.push_str("1 text came\n"),
            came => {
                let _ = writeln!(out, "{came} texts came");
            }
        }
        out
    }

    /// The texts that phones sent.
    pub fn sent(&self) -> impl Iterator<Item = &MessageResult> {
        self.messages.iter().filter(|message| message.outgoing)
    }

    fn totals(&self) -> String {
        let good = self.calls.iter().filter(|call| call.ok).count();
        let mut out = format!("{good} of {} calls were good", self.calls.len());
        let mean = |values: Vec<f64>| {
            let count = values.len() as f64;
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
        };
        if let Some(pdd) = mean(self.calls.iter().filter_map(|call| call.pdd_ms).collect()) {
            let _ = write!(out, ", post-dial delay {pdd:.1} ms on average");
        }
        if let Some(mos) = mean(self.calls.iter().filter_map(|call| call.mos).collect()) {
            let _ = write!(out, ", MOS {mos:.2} on average");
        }
        let lost: u64 = self.calls.iter().map(|call| call.packets.lost).sum();
        let received: u64 = self.calls.iter().map(|call| call.packets.received).sum();
        let _ = writeln!(out, ", {lost} of {} packets lost", lost + received);
        out
    }

    /// What went wrong, one line each, for a person.
    pub fn complaint(&self) -> String {
        let failures = self.failures();
        let mut out = match &failures[..] {
            [] if self.interrupted => "ended before all was done".to_owned(),
            [] => "not all was done".to_owned(),
            [first, rest @ ..] => {
                rest.iter().take(MOST - 1).fold(first.clone(), |out, line| out + "\n  " + line)
            }
        };
        if failures.len() > MOST {
            let _ = write!(out, "\n  and {} more failures", failures.len() - MOST);
        }
        out
    }

    /// Everything that went wrong, one line each.
    pub fn failures(&self) -> Vec<String> {
        let mut out = Vec::new();
        for phone in &self.phones {
            let reason = phone.reason.iter().filter(|_| !phone.registered);
            out.extend(reason.chain(&phone.problems).map(|p| format!("{}: {p}", phone.identity)));
        }
        for call in self.calls.iter().filter(|call| !call.ok) {
            let problems = call.problems.join("; ");
            out.push(format!("call from {} to {}: {problems}", call.from, call.to));
        }
        for message in self.messages.iter().filter(|m| !(200..300).contains(&m.status)) {
            let advice = advice(message.status, &message.reason, &message.to);
            let MessageResult { from, to, status, reason, .. } = message;
            out.push(format!("text from {from} to {to}: {status} {reason}{advice}"));
        }
        out
    }
}

impl CallResult {
    /// The call in one line.
    pub fn line(&self) -> String {
        let mut out = match self.outgoing {
            true => format!("call to {}", self.to),
            false => format!("call from {}", self.from),
        };
        let Some(heard) = self.heard else {
            return out + &format!(": {} {}\n", self.status, self.reason);
        };
        out.push(':');
        if let Some(setup) = self.setup_ms {
            let _ = write!(out, " answered after {setup:.0} ms,");
        }
        let Packets { sent, received, lost } = self.packets;
        let _ = write!(out, " talked {:.1} s, {sent} packets sent,", self.talk_s);
        let _ = write!(out, " {received} received, {lost} lost, jitter {:.1} ms", self.jitter_ms);
        if let Some(mos) = self.mos {
            let _ = write!(out, ", MOS {mos:.2}");
        }
        let _ = write!(out, ", heard: {}", heard.as_str());
        if !self.digits.is_empty() {
            let _ = write!(out, ", digits {}", self.digits);
        }
        out + "\n"
    }
}

/// What a failed registration means and what to do.
pub fn registration_advice(status: u16, reason: &str, registrar: &str, server: &str) -> String {
    let what = match (status, reason) {
        (_, reason) if reason.contains("MAC") => {
            "K, OPc or OP is not the one that the network has for this IMSI".to_owned()
        }
        (401 | 403 | 407, reason) if reason.contains("no challenge") => {
            "the server asks for another kind of credential: give --k and --opc for a SIM, --user \
             and --password for a password"
                .to_owned()
        }
        (401 | 403 | 407, _) => {
            format!("wrong password or key, or the user is not known at {registrar}")
        }
        (404 | 604, _) => format!("the user is not known at {registrar}"),
        (400 | 420 | 421, _) => {
            "the server does not like how we ask: try --no-ims for a plain SIP server".to_owned()
        }
        (408, _) => {
            format!("{server} does not answer: check --server, --transport and the firewall")
        }
        (430 | 480 | 500..=599, _) => format!(
            "{server} cannot be reached, or cannot reach its HSS: check --server and --transport"
        ),
        _ => return format!("{status} {reason}"),
    };
    format!("{status} {reason}: {what}")
}

/// What to do about the final status of a call or text to `to`, and its reason.
pub fn advice(status: u16, reason: &str, to: &str) -> String {
    match status {
        _ if reason.contains("no local port") => {
            ": too many sockets? try `ulimit -n 65536`".to_owned()
        }
        401 | 403 | 407 => ": the caller is not registered, or may not call there".to_owned(),
        404 | 604 | 484 => format!(": nobody is known as {to}"),
        408 => ": no answer; the other phone may be off".to_owned(),
        480 => format!(": {to} is known but not registered"),
        486 | 600 => format!(": {to} is busy"),
        488 | 606 => ": no codec in common; ours are PCMA and PCMU".to_owned(),
        580 => ": preconditions failed; try --no-preconditions".to_owned(),
        503 => ": the server cannot be reached: check --server and --transport".to_owned(),
        _ => String::new(),
    }
}

/// Milliseconds, to a thousandth.
pub fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text that came is none that was delivered.
    #[test]
    fn texts_that_come_are_told_apart() {
        let text = |outgoing, status| MessageResult {
            outgoing,
            from: "a".into(),
            to: "b".into(),
            status,
            reason: String::new(),
            text: "hello".into(),
        };
        let messages = vec![text(false, 200), text(true, 404), text(true, 200)];
        let outcome = Outcome { messages, ..Outcome::default() };
        assert_eq!(outcome.summary(false), "1 of 2 texts delivered\n1 text came\n");
    }
}
