//! `GET /metrics`: the text format of Prometheus, version 0.0.4.
//!
//! [`FAMILIES`] is the one list of names; `docs/metrics.md` holds the same table.

use std::fmt::{Display, Write};

use base::Instant;
use engine::shard::Counters;

use super::check::application;
use super::counts::Count;
use super::survey::Answers;
use crate::plan::Role;
use crate::recorder::Remembered;

/// Content-Type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a number may fall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It may.
    Gauge,
    /// It only grows while the process lives.
    Counter,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        }
    }
}

/// Numbers of one name.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The name.
    pub name: &'static str,
    /// Whether it may fall.
    pub kind: Kind,
    /// The labels of each number.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, help }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind: Kind::Counter, labels, help }
}

const BUILD: Family =
    gauge("strowger_build_info", &["version"], "Always 1; the label tells the version.");
const UP: Family = gauge("strowger_function_up", &["function"], "Whether the function answers.");
const ALIVE: Family =
    gauge("strowger_alive", &["function", "what"], "How many things are alive inside a function.");
const DONE: Family = counter(
    "strowger_done_total",
    &["function", "what"],
    "How often a function has done something.",
);
const EVENTS: Family = counter(
    "strowger_events_total",
    &["function", "event"],
    "Log events; the label is the word that stands in brackets in the log line.",
);
const APPLICATION: Family = gauge(
    "strowger_diameter_application_up",
    &["function", "application"],
    "Whether a Diameter peer is open that serves the application.",
);
const PEER: Family = gauge(
    "strowger_diameter_peer_up",
    &["function", "peer"],
    "Whether the connection to the Diameter peer is open.",
);
const MESSAGES: Family = counter(
    "strowger_messages_total",
    &["way"],
    "Messages: received from the network, sent to it, passed from function to function on a wire, or \
     refused because the queue was full.",
);
const STEPS: Family = counter("strowger_steps_total", &[], "Inputs that functions took.");
const YIELDS: Family = counter(
    "strowger_yields_total",
    &[],
    "Turns that ended with work left, for the network's sake.",
);
const PANICS: Family =
    counter("strowger_panics_total", &[], "Functions that failed and were started anew.");
const LOG_LOST: Family =
    counter("strowger_log_lost_total", &[], "Log lines that standard error was too slow for.");
const RECORDS: Family = gauge(
    "strowger_recorder_messages",
    &[],
    "Messages that the recorder remembers; one that was seen at both of its ends counts twice.",
);
const RECORD_BYTES: Family = gauge("strowger_recorder_bytes", &[], "Their length in bytes.");
const FORGOTTEN: Family =
    counter("strowger_recorder_forgotten_total", &[], "Messages that made room for younger ones.");
const RECORD_LOST: Family =
    counter("strowger_recorder_lost_total", &[], "Messages that came too fast to be recorded.");
const STORE: Family = gauge("strowger_store_bytes", &[], "The length of the store's file.");
const HEP: Family = counter(
    "strowger_hep_messages_total",
    &["fate"],
    "Messages for the HEP collector: sent, or dropped because they came too fast or are too long.",
);
const CONTACTS: Family = gauge(
    "kamailio_ims_usrloc_scscf_active_contacts",
    &[],
    "Contacts that are registered at the S-CSCF.",
);
const ACCEPTED: Family = counter(
    "kamailio_ims_registrar_scscf_accepted_regs",
    &[],
    "REGISTERs that the S-CSCF answered with 200: first ones, refreshes, deregistrations.",
);
const REJECTED: Family = counter(
    "kamailio_ims_registrar_scscf_rejected_regs",
    &[],
    "REGISTERs that the S-CSCF refused for good; a challenge is no refusal.",
);
const DIALOGS: Family = gauge(
    "kamailio_dialog_ng_active",
    &[],
    "Answered calls; this process sees those whose media its relay carries.",
);
const RTP_SESSIONS: Family = gauge(
    "rtpengine_sessions",
    &["type"],
    "Calls that the relay carries, and foreign ones, of other relays, that it knows of.",
);
const RTP_SESSIONS_TOTAL: Family =
    counter("rtpengine_sessions_total", &[], "Calls that the relay has carried.");
const RTP_CLOSED: Family = counter(
    "rtpengine_closed_sessions_total",
    &["reason"],
    "Calls that are over: terminated by delete, force_terminated by a command, gone to another relay by \
     takeover, or timeout, silent_timeout, final_timeout, offer_timeout, or rejected for want of ports.",
);
const RTP_PACKETS: Family = counter(
    "rtpengine_packets_total",
    &["type"],
    "Packets that were relayed, as the relay's ports told last.",
);
const RTP_BYTES: Family = counter("rtpengine_bytes_total", &["type"], "Their bytes.");
const RTP_ERRORS: Family = counter(
    "rtpengine_packet_errors_total",
    &["type"],
    "Packets that arrived and were not relayed.",
);
const RTP_ONE_WAY: Family = counter(
    "rtpengine_one_way_sessions_total",
    &[],
    "Answered calls of which only one end was heard.",
);
const RTP_SILENT: Family = counter(
    "rtpengine_zero_packet_streams_total",
    &[],
    "Streams of calls that are over in which no packet came from either end.",
);
const RTP_TRANSCODED: Family = gauge(
    "rtpengine_transcoded_media",
    &[],
    "Streams that are converted from one codec to another.",
);
const RTP_UPTIME: Family =
    gauge("rtpengine_uptime_seconds", &[], "How long the process has been running.");
const CPU: Family =
    counter("process_cpu_seconds_total", &[], "Processor time of all threads, in seconds.");
const MEMORY: Family = gauge("process_resident_memory_bytes", &[], "Resident memory.");
const START: Family =
    gauge("process_start_time_seconds", &[], "When the process began, in seconds since 1970.");

/// All names, in the order in which they are told.
pub const FAMILIES: &[&Family] = &[
    &BUILD,
    &UP,
    &ALIVE,
    &DONE,
    &EVENTS,
    &APPLICATION,
    &PEER,
    &MESSAGES,
    &STEPS,
    &YIELDS,
    &PANICS,
    &LOG_LOST,
    &RECORDS,
    &RECORD_BYTES,
    &FORGOTTEN,
    &RECORD_LOST,
    &STORE,
    &HEP,
    &CONTACTS,
    &ACCEPTED,
    &REJECTED,
    &DIALOGS,
    &RTP_SESSIONS,
    &RTP_SESSIONS_TOTAL,
    &RTP_CLOSED,
    &RTP_PACKETS,
    &RTP_BYTES,
    &RTP_ERRORS,
    &RTP_ONE_WAY,
    &RTP_SILENT,
    &RTP_TRANSCODED,
    &RTP_UPTIME,
    &CPU,
    &MEMORY,
    &START,
];

/// The names as a table in Markdown, as it stands in `docs/metrics.md`.
pub fn table() -> String {
    let mut out = "| name | kind | labels | what |\n|---|---|---|---|\n".to_owned();
    for Family { name, kind, labels, help } in FAMILIES {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(out, "| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(", "));
    }
    out
}

/// Everything that is told at one time.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// What the functions say.
    pub answers: &'a Answers,
    /// What the shard has done.
    pub engine: Counters,
    /// Log events.
    pub events: Vec<Count>,
    /// Log lines that were lost.
    pub unwritten: u64,
    /// What the recorder holds, if it answers.
    pub remembered: Option<Remembered>,
    /// The length of the store's file.
    pub store: Option<u64>,
    /// Messages that were sent by HEP, and that were dropped.
    pub hep: Option<(u64, u64)>,
    /// When the process began.
    pub since: Instant,
    /// The time now.
    pub now: Instant,
}

/// The page.
pub fn text(scrape: &Scrape<'_>) -> String {
    let mut out = Text::default();
    let Scrape { answers, engine, events, remembered, .. } = scrape;
    out.family(&BUILD, [(vec![env!("CARGO_PKG_VERSION").to_owned()], 1)]);
    out.functions(answers);
    let event = |(from, event, count): &Count| (vec![from.clone(), (*event).to_owned()], *count);
    out.family(&EVENTS, events.iter().map(event));
    let ways = [
        ("received", engine.received),
        ("sent", engine.sent),
        ("wire", engine.wired),
        ("refused", engine.refused),
    ];
    out.family(&MESSAGES, ways.map(|(way, count)| (vec![way.to_owned()], count)));
    out.one(&STEPS, Some(engine.steps));
    out.one(&YIELDS, Some(engine.yields));
    out.one(&PANICS, Some(engine.panics));
    out.one(&LOG_LOST, Some(scrape.unwritten));
    out.one(&RECORDS, remembered.map(|r| r.records));
    out.one(&RECORD_BYTES, remembered.map(|r| r.bytes));
    out.one(&FORGOTTEN, remembered.map(|r| r.forgotten));
    out.one(&RECORD_LOST, remembered.map(|r| r.lost));
    out.one(&STORE, scrape.store);
    let fates = scrape.hep.map(|(sent, dropped)| [("sent", sent), ("dropped", dropped)]);
    let fates = fates.into_iter().flatten();
    out.family(&HEP, fates.map(|(fate, count)| (vec![fate.to_owned()], count)));
    out.kamailio(answers);
    out.rtpengine(answers, scrape.now.since(scrape.since).as_secs());
    let (cpu, memory) = usage();
    out.one(&CPU, cpu);
    out.one(&MEMORY, memory);
    out.one(&START, Some(scrape.since.unix_micros() as f64 / 1e6));
    out.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    /// All numbers of one name; nothing if there are none.
    fn family<V: Display>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = (Vec<String>, V)>,
    ) {
        let Family { name, kind, labels, help } = family;
        let mut first = true;
        for (values, number) in samples {
            if std::mem::take(&mut first) {
                let kind = kind.as_str();
                let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
            }
            self.0 += name;
            let pairs = labels.iter().zip(&values);
            let pairs: Vec<String> =
                pairs.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            if !pairs.is_empty() {
                let _ = write!(self.0, "{{{}}}", pairs.join(","));
            }
            let _ = writeln!(self.0, " {number}");
        }
    }

    fn one(&mut self, family: &Family, number: Option<impl Display>) {
        self.family(family, number.map(|number| (Vec::new(), number)));
    }

    fn functions(&mut self, answers: &Answers) {
        let up = |(role, answer): &(&'static str, super::Answer)| {
            (vec![role.to_string()], u8::from(answer.census.is_some()))
        };
        self.family(&UP, answers.iter().map(up));
        self.family(
            &ALIVE,
            answers.iter().flat_map(|(role, answer)| {
                let census = answer.census.iter().flat_map(|census| &census.0);
                census.map(|(what, count)| (vec![role.to_string(), word(what)], *count))
            }),
        );
        self.family(
            &DONE,
            answers.iter().flat_map(|(role, answer)| {
                let tally = answer.tally.0.iter();
                tally.map(|(what, count)| (vec![role.to_string(), word(what)], *count))
            }),
        );
        self.family(
            &APPLICATION,
            answers.iter().flat_map(|(role, answer)| {
                let all = answer.diameter.iter().flat_map(|status| &status.applications);
                all.map(|(id, up)| (vec![role.to_string(), application(*id)], u8::from(*up)))
            }),
        );
        self.family(
            &PEER,
            answers.iter().flat_map(|(role, answer)| {
                let all = answer.diameter.iter().flat_map(|status| &status.peers);
                all.map(|peer| (vec![role.to_string(), peer.host.clone()], u8::from(peer.up)))
            }),
        );
    }

    /// What dashboards that were made for Kamailio's IMS modules ask for.
    fn kamailio(&mut self, answers: &Answers) {
        let of =
            |role: Role| answers.iter().find(|(r, a)| *r == role.as_str() && a.census.is_some());
        let alive = |role, what| {
            of(role).and_then(|(_, a)| a.census.as_ref()).map(|census| census.count(what))
        };
        let done = |role, what| of(role).map(|(_, answer)| answer.tally.count(what));
        self.one(&CONTACTS, alive(Role::Scscf, "bindings"));
        self.one(&ACCEPTED, done(Role::Scscf, "REGISTER accepted"));
        self.one(&REJECTED, done(Role::Scscf, "REGISTER refused"));
        self.one(&DIALOGS, alive(Role::Media, "answered sessions"));
    }

    /// What dashboards that were made for rtpengine ask for.
    fn rtpengine(&mut self, answers: &Answers, uptime: u64) {
        let media = answers.iter().find(|(role, _)| *role == Role::Media.as_str());
        let Some((census, tally)) =
            media.and_then(|(_, answer)| Some((answer.census.as_ref()?, &answer.tally)))
        else {
            return;
        };
        let typed = |kind: &str, number: u64| [(vec![kind.to_owned()], number)];
        let sessions =
            [("own", census.count("sessions")), ("foreign", census.count("foreign sessions"))];
        let sessions = sessions.map(|(kind, number)| (vec![kind.to_owned()], number));
        self.family(&RTP_SESSIONS, sessions);
        self.one(&RTP_SESSIONS_TOTAL, Some(tally.count("sessions")));
        let reasons = tally.0.iter().filter_map(|(what, count)| {
            Some((vec![what.strip_prefix("closed ")?.to_owned()], *count))
        });
        self.family(&RTP_CLOSED, reasons);
        let by_kernel = tally.count("packets by kernel");
        let packets = [(USERSPACE, tally.count("packets") - by_kernel), (KERNEL, by_kernel)];
        self.family(&RTP_PACKETS, packets.map(|(kind, count)| (vec![kind.to_owned()], count)));
        self.family(&RTP_BYTES, typed(USERSPACE, tally.count("bytes")));
        self.family(&RTP_ERRORS, typed(USERSPACE, tally.count("packet errors")));
        self.one(&RTP_ONE_WAY, Some(tally.count("one-way sessions")));
        self.one(&RTP_SILENT, Some(tally.count("streams without packets")));
        self.one(&RTP_TRANSCODED, Some(census.count("transcoded streams")));
        self.one(&RTP_UPTIME, Some(uptime));
    }
}

/// What `rtpengine` calls packets that do not pass in the kernel.
const USERSPACE: &str = "userspace";
/// And those that do.
const KERNEL: &str = "kernel";

/// A thing's name as one word: `client transactions` is `client_transactions`.
fn word(what: &str) -> String {
    what.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Processor time in seconds and resident memory in bytes: proc(5).
fn usage() -> (Option<f64>, Option<u64>) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything; utime and stime are fields 14 and 15.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<u64> =
        after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse().ok()).collect();
    // USER_HZ is 100 on every architecture that we build for.
    let cpu = (ticks.len() == 2).then(|| ticks.iter().sum::<u64>() as f64 / 100.0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    (cpu, kib.map(|kib| kib * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_and_stand_once() {
        let mut names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for Family { name, kind, help, .. } in FAMILIES {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(!help.contains(['\n', '\\', '|']), "{help}");
            let total = *kind == Kind::Counter && !name.starts_with("kamailio");
            assert_eq!(name.ends_with("_total"), total, "{name}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        let values = vec!["hss".to_owned(), "a\"b\\c\nd".to_owned()];
        text.family(&PEER, [(values, 1)]);
        let line = text.0.lines().last().unwrap();
        assert_eq!(line, r#"strowger_diameter_peer_up{function="hss",peer="a\"b\\c\nd"} 1"#);
    }

    #[test]
    fn the_system_tells_what_we_use() {
        let (cpu, memory) = usage();
        assert!(cpu.is_some() && memory.is_some_and(|bytes| bytes > 1 << 20));
    }
}
