//! Log lines on standard error: one for each event, for people or for machines.

use std::io::Write;

use base::{Event, Instant, Severity};
use ladder::dissect::plain;

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// `time severity function: text [counter]`.
    #[default]
    Human,
    /// One JSON object: `time`, `severity`, `from`, `counter`, `text`, and `call_id`, `impi`, `impu`
    /// where the line is about a call or a subscriber.
    Json,
}

/// Where lines go.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// How they look.
    pub format: Format,
    /// The least severity that is written.
    pub least: Severity,
}

impl Log {
    /// Writes one line; a standard error that cannot be written is nothing to stop for.
    pub fn write(&self, at: Instant, from: &str, event: &Event) {
        if event.severity >= self.least {
            let line = self.line(at, from, event);
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn line(&self, at: Instant, from: &str, event: &Event) -> String {
        let severity = match event.severity {
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let (time, counter, text) = (timestamp(at), event.counter, &event.text);
        match self.format {
            Format::Human => {
                // What a remote side sent must not forge lines or move the cursor.
                let text = plain(text);
                format!("{time} {severity} {from}: {text} [{counter}]\n")
            }
            Format::Json => {
                let mut line = serde_json::json!({
                    "time": time, "severity": severity, "from": from, "counter": counter, "text": text,
                });
                let about = event.about.as_deref().cloned().unwrap_or_default();
                let names =
                    [("call_id", about.call_id), ("impi", about.impi), ("impu", about.impu)];
                for (name, value) in names {
                    if let Some(value) = value {
                        line[name] = value.into();
                    }
                }
                format!("{line}\n")
            }
        }
    }
}

/// RFC 3339, UTC, milliseconds.
fn timestamp(at: Instant) -> String {
    let (seconds, millis) = (at.unix_seconds(), at.unix_micros() / 1000 % 1000);
    let ((year, month, day), rest) = (at.utc_date(), seconds % 86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps() {
        let at = |seconds: u64| timestamp(Instant::from_unix_micros(seconds * 1_000_000 + 7_000));
        assert_eq!(at(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59.007Z");
    }

    #[test]
    fn lines_cannot_be_forged() {
        let event = Event::new(Severity::Warning, "sip.malformed", "a\nb \u{1b}[2J\u{202e}");
        let log = |format| Log { format, least: Severity::Info };
        let line = log(Format::Human).line(Instant::EPOCH, "pcscf", &event);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.starts_with("1970-01-01T00:00:00.000Z warning pcscf: a?b ?[2J? "));
        let json = log(Format::Json).line(Instant::EPOCH, "pcscf", &event);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["text"], "a\nb \u{1b}[2J\u{202e}");
        assert!(json.get("call_id").is_none());
    }

    #[test]
    fn programs_read_whom_a_line_is_about() {
        let event = Event::new(Severity::Info, "scscf.refused", "no");
        let event = event.call_id("a@b").impi("u@h").impu("sip:u@h");
        let line = |format| Log { format, least: Severity::Info }.line(Instant::EPOCH, "s", &event);
        let json: serde_json::Value = serde_json::from_str(&line(Format::Json)).unwrap();
        let names = ["call_id", "impi", "impu"].map(|name| json[name].as_str());
        assert_eq!(names, [Some("a@b"), Some("u@h"), Some("sip:u@h")]);
        assert!(line(Format::Human).ends_with("s: no [scscf.refused]\n"));
    }
}
