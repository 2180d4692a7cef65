//! What commands show: the lines that rtpengine writes, as far as there is something to be said in them.

use std::fmt::Write as _;
use std::net::IpAddr;

use base::census::Tally;
use ng::{Dict, Value};

use super::params::ALL;
use crate::call::{Call, Leg};
use crate::config::MediaConfig;
use crate::machine::Media;
use crate::totals::transcoded;

/// The longest list in bytes; it waits in memory until the asker has read it.
const LONGEST: usize = 512 << 10;

/// `list numsessions`.
pub(super) fn counts(media: &Media) -> String {
    let mut families = [0; 3];
    for call in media.calls.values() {
        let of = |v4: bool| call.legs().any(|leg| leg.local.is_ipv4() == v4);
        match (of(true), of(false)) {
            (true, false) => families[0] += 1,
            (false, true) => families[1] += 1,
            (true, true) => families[2] += 1,
            (false, false) => {}
        }
    }
    let [v4, v6, mixed] = families;
    let (own, foreign) = (media.calls.len(), media.foreign());
    let (all, transcoded) = (own + foreign, transcoded(media.calls.values()));
    format!(
        "Current sessions own: {own}\nCurrent sessions foreign: {foreign}\nCurrent sessions total: {all}\n\
         Current transcoded media: {transcoded}\nCurrent sessions ipv4 only media: {v4}\n\
         Current sessions ipv6 only media: {v6}\nCurrent sessions ip mixed  media: {mixed}\n"
    )
}

/// `list sessions all`.
pub(super) fn sessions(media: &Media, none: &str) -> String {
    let mut out = String::new();
    for (shown, call) in media.calls.values().enumerate() {
        if out.len() > LONGEST {
            let _ = writeln!(out, "and {} more", media.calls.len() - shown);
            break;
        }
        let Call { call_id, deleting, created, .. } = call;
        let (deleting, created) = (yes(*deleting), created.unix_seconds());
        let _ = writeln!(
            out,
            "callid: {call_id:>60} | deletionmark:{deleting:>4} | created:{created:>12} | proxy:{} | \
             redis_keyspace:0 | foreign:no",
            proxy(call)
        );
    }
    if out.is_empty() { none.to_owned() } else { out }
}

fn yes(it: bool) -> &'static str {
    if it { "yes" } else { "no" }
}

fn proxy(call: &Call) -> String {
    call.proxy.map_or("-".to_owned(), |proxy| proxy.to_string())
}

/// `list sessions ID`, of the answer to `query`.
pub(super) fn session(media: &Media, id: &str, told: &Dict) -> String {
    let mut out = String::new();
    let number = |dict: &Dict, key: &str| dict.get(key).and_then(Value::as_int).unwrap_or(0);
    let call = media.by_id.get(id).and_then(|number| media.calls.get(number));
    let (deleting, proxy) = call.map_or(("no", "-".to_owned()), |c| (yes(c.deleting), proxy(c)));
    let _ = writeln!(
        out,
        "\ncallid: {id}\ndeletionmark: {deleting}\ncreated: {}\nproxy: {proxy}\nlast_signal: {}\n\
         redis_keyspace: 0\nforeign: no\n",
        number(told, "created"),
        number(told, "last signal")
    );
    let now = i64::try_from(media.now.unix_seconds()).unwrap_or(0);
    let tags = told.get("tags").and_then(Value::as_dict);
    for (at, (tag, party)) in tags.iter().flat_map(|tags| tags.iter()).enumerate() {
        let Some(party) = party.as_dict() else { continue };
        let text = |key| party.text(key).unwrap_or_default();
        let kind = if at == 0 { "FROM_TAG" } else { "TO_TAG" };
        let _ = writeln!(
            out,
            "--- Tag '{tag}', type: {kind}, label '{}', branch '{}', callduration {}.000000",
            text("label"),
            text("via-branch"),
            (now - number(party, "created")).max(0)
        );
        for (key, word) in [("subscriptions", "subscribed to"), ("subscribers", "subscription of")]
        {
            for other in dicts(party, key) {
                let _ = writeln!(out, "---     {word} '{}'", other.text("tag").unwrap_or_default());
            }
        }
        for media in dicts(party, "medias") {
            let text = |key| media.text(key).unwrap_or_default();
            let _ = writeln!(
                out,
                "------ Media #{} ({} over {}) using unknown codec",
                number(media, "index"),
                text("type"),
                text("protocol")
            );
            dicts(media, "streams").for_each(|stream| port(&mut out, stream));
        }
    }
    out += "\n";
    out
}

fn port(out: &mut String, stream: &Dict) {
    let none = Dict::new();
    let inner = |key| stream.get(key).and_then(Value::as_dict).unwrap_or(&none);
    let number = |dict: &Dict, key: &str| dict.get(key).and_then(Value::as_int).unwrap_or(0);
    let (far, stats) = (inner("endpoint"), inner("stats"));
    let flags = stream.get("flags").map(Value::as_list).unwrap_or_default();
    let rtcp = flags.iter().any(|flag| flag.as_str() == Some("RTCP"));
    let _ = writeln!(
        out,
        "-------- Port {:>15}:{:<5} <> {:>15}:{:<5}{}, SSRC {:x}, {} p, {} b, {} e, {} ts",
        stream.text("local address").unwrap_or_default(),
        number(stream, "local port"),
        far.text("address").unwrap_or_default(),
        number(far, "port"),
        if rtcp { " (RTCP)" } else { "" },
        number(stream, "SSRC"),
        number(stats, "packets"),
        number(stats, "bytes"),
        number(stats, "errors"),
        number(stream, "last packet")
    );
}

fn dicts<'a>(dict: &'a Dict, key: &str) -> impl Iterator<Item = &'a Dict> {
    dict.get(key).map(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_dict)
}

/// Where a number of `list totals` comes from.
#[derive(Clone, Copy)]
enum From {
    Calls,
    None,
    Transcoded,
    Streams,
    Uptime,
    /// A number of the function's own.
    Done(&'static str),
    Average,
    Duration,
}

/// The numbers of `list totals`, the first ones of what runs; each with its name in `list jsonstats`.
const LINES: [(&str, &str, From); 23] = [
    ("Owned sessions", "sessionsown", From::Calls),
    ("Foreign sessions", "sessionsforeign", From::None),
    ("Total sessions", "sessionstotal", From::Calls),
    ("Transcoded media", "transcodedmedia", From::Transcoded),
    ("Userspace-only media streams", "media_userspace", From::Streams),
    ("Kernel-only media streams", "media_kernel", From::None),
    ("Mixed kernel/userspace media streams", "media_mixed", From::None),
    ("Uptime of rtpengine", "uptime", From::Uptime),
    ("Total managed sessions", "managedsessions", From::Done("sessions")),
    ("Total rejected sessions", "rejectedsessions", From::Done("closed rejected")),
    ("Total timed-out sessions via TIMEOUT", "timeoutsessions", From::Done("closed timeout")),
    (
        "Total timed-out sessions via SILENT_TIMEOUT",
        "silenttimeoutsessions",
        From::Done("closed silent_timeout"),
    ),
    (
        "Total timed-out sessions via FINAL_TIMEOUT",
        "finaltimeoutsessions",
        From::Done("closed final_timeout"),
    ),
    (
        "Total timed-out sessions via OFFER_TIMEOUT",
        "offertimeoutsessions",
        From::Done("closed offer_timeout"),
    ),
    (
        "Total regular terminated sessions",
        "regularterminatedsessions",
        From::Done("closed terminated"),
    ),
    (
        "Total forced terminated sessions",
        "forcedterminatedsessions",
        From::Done("closed force_terminated"),
    ),
    ("Total relayed packets", "relayedpackets", From::Done("packets")),
    ("Total relayed packet errors", "relayedpacketerrors", From::Done("packet errors")),
    ("Total relayed bytes", "relayedbytes", From::Done("bytes")),
    (
        "Total number of streams with no relayed packets",
        "zerowaystreams",
        From::Done("streams without packets"),
    ),
    ("Total number of 1-way streams", "onewaystreams", From::Done("one-way sessions")),
    ("Average call duration", "avgcallduration", From::Average),
    ("Total calls duration", "totalcallsduration", From::Duration),
];
/// So many of them are of what runs.
const RUNNING: usize = 7;

fn value(media: &Media, tally: &Tally, from: From) -> String {
    let micros = media.totals.duration.as_micros();
    let count = match from {
        From::Calls => media.calls.len() as u64,
        From::None => 0,
        From::Transcoded => transcoded(media.calls.values()) as u64,
        From::Streams => {
            let dialogues = media.calls.values().flat_map(|call| &call.dialogues);
            dialogues.map(|dialogue| dialogue.streams.iter().flatten().count() as u64).sum()
        }
        From::Uptime => media.doors.since.map_or(0, |since| media.now.since(since).as_secs()),
        From::Done(what) => tally.count(what),
        From::Average => return time(micros.checked_div(media.totals.over().into()).unwrap_or(0)),
        From::Duration => return time(micros),
    };
    count.to_string()
}

fn time(micros: u128) -> String {
    let micros = u64::try_from(micros).unwrap_or(u64::MAX);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// `list totals`.
pub(super) fn totals(media: &Media) -> String {
    let tally = media.totals.tally();
    let mut out = "\nStatistics over currently running sessions:\n\n".to_owned();
    for (at, (text, _, from)) in LINES.into_iter().enumerate() {
        if at == RUNNING {
            out += "\nTotal statistics:\n\n";
        }
        let unit = match from {
            From::Uptime | From::Average | From::Duration => " seconds",
            _ => "",
        };
        let _ = writeln!(out, " {text:<48}:{}{unit}", value(media, &tally, from));
    }
    out += "\n";
    out
}

/// `list jsonstats`.
pub(super) fn json(media: &Media) -> String {
    let tally = media.totals.tally();
    let mut out = "{\"currentstatistics\":{".to_owned();
    for (at, (_, key, from)) in LINES.into_iter().enumerate() {
        out += match at {
            0 => "",
            RUNNING => "},\"totalstatistics\":{",
            _ => ",",
        };
        let _ = write!(out, "\"{key}\":{}", value(media, &tally, from));
    }
    out += "}}\n";
    out
}

/// `list interfaces`.
pub(super) fn interfaces(media: &Media) -> String {
    let mut out = String::new();
    let ports = &media.config.ports;
    let all = ports.len();
    for interface in &media.config.interfaces {
        let (name, local) = (&interface.name, interface.local);
        let mine = |leg: &&Leg| leg.local == local && leg.opened.is_some();
        let used = media.calls.values().flat_map(Call::legs).filter(mine).count() * 2;
        let tenths = (used * 1000).checked_div(all).unwrap_or(0);
        let _ = writeln!(
            out,
            "Interface '{name}' address '{local}' ({})\n Port range: {:>5} - {:>5}\n Ports used: {used:>5} / \
             {all:>5} ({:>3}.{}%)",
            family(local),
            ports.start(),
            ports.end(),
            tenths / 10,
            tenths % 10
        );
    }
    out
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// `params`.
pub(super) fn parameters(config: &mut MediaConfig, out: &mut String) {
    for parameter in &ALL {
        let _ = writeln!(out, "{} = {}", parameter.name, parameter.value(config));
    }
    let _ = writeln!(out, "port-min = {}\nport-max = {}", config.ports.start(), config.ports.end());
    for (at, interface) in config.interfaces.iter().enumerate() {
        let _ = writeln!(out, "interface[{at}] = {}\\{}", interface.name, interface.local);
    }
}
