//! One picture of what happened: who took part, and an arrow for each message.

use std::collections::{BTreeMap, BTreeSet};

use base::time::Duration;
use base::{Endpoint, Instant, Service, Transport};

use crate::dissect::{Summary, dissect, plain};
use crate::fold::merge;
use crate::participants::{Names, Role, Who, roles};
use crate::record::{Party, Record};

/// A ladder diagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ladder {
    /// What it shows.
    pub title: String,
    /// When the first message was seen; offsets count from here.
    pub started: Instant,
    /// Who takes part, from left to right: the caller's side, the core, HSS, media, other phones.
    pub participants: Vec<Participant>,
    /// The messages in the order of their times.
    pub arrows: Vec<Arrow>,
}

/// One vertical line of a ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Participant {
    /// The configured name, if anybody knew it.
    pub name: Option<String>,
    /// An address that it was seen at.
    pub endpoint: Endpoint,
    /// What it is.
    pub role: Role,
    /// What is written on top: short, and of its own.
    pub label: String,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrow {
    /// Time since the ladder's start.
    pub offset: Duration,
    /// The sender's index among the participants.
    pub from: usize,
    /// The receiver's index among the participants.
    pub to: usize,
    /// What it says.
    pub summary: Summary,
    /// Whether the same bytes were sent over the same unreliable way before.
    pub retransmission: bool,
    /// The message itself.
    pub record: Record,
}

impl Ladder {
    /// A ladder of all these records.
    pub fn new(title: impl Into<String>, records: impl IntoIterator<Item = Record>) -> Ladder {
        let records = merge(records);
        let summaries: Vec<Summary> = records.iter().map(dissect).collect();
        let names = Names::learn(&records, &summaries);
        Ladder::of(title.into(), &names, records.iter().zip(&summaries))
    }

    /// The messages of one protocol only; participants without arrows go.
    #[must_use]
    pub fn only(&self, service: Service) -> Ladder {
        let arrows = self.arrows.iter().filter(|arrow| arrow.record.service == service);
        Ladder::new(self.title.clone(), arrows.map(|arrow| arrow.record.clone()))
    }

    pub(crate) fn of<'a>(
        title: String,
        names: &Names,
        steps: impl IntoIterator<Item = (&'a Record, &'a Summary)>,
    ) -> Ladder {
        let steps: Vec<(&Record, &Summary)> = steps.into_iter().collect();
        let roles = roles(names, steps.iter().copied());
        let (order, participants) = line_up(names, &roles, &steps);
        let started = steps.first().map_or(Instant::EPOCH, |(record, _)| record.at);
        let mut sent: BTreeSet<(&Party, &Party, &[u8])> = BTreeSet::new();
        let mut asked: BTreeMap<(usize, usize, &str), &str> = BTreeMap::new();
        let mut arrows = Vec::with_capacity(steps.len());
        for (record, summary) in steps {
            let (from, to) = (order[&names.who(&record.from)], order[&names.who(&record.to)]);
            let retransmission = record.transport == Transport::Udp
                && !sent.insert((&record.from, &record.to, &record.bytes));
            let mut shown = summary.clone();
            if record.service == Service::Ng {
                // An answer of NG does not tell what it answers; the request with its cookie does.
                let key = |a, b| (a, b, summary.transaction.as_str());
                if summary.is_request() {
                    asked.insert(key(from, to), &summary.verb);
                } else if let Some(verb) = asked.get(&key(to, from)) {
                    shown.title = format!("{} ({verb})", summary.title);
                }
            }
            let offset = record.at.since(started);
            let record = record.clone();
            arrows.push(Arrow { offset, from, to, summary: shown, retransmission, record });
        }
        Ladder { title: plain(&title), started, participants, arrows }
    }
}

/// Everybody's place and everybody in their places.
fn line_up(
    names: &Names,
    roles: &BTreeMap<Who, Role>,
    steps: &[(&Record, &Summary)],
) -> (BTreeMap<Who, usize>, Vec<Participant>) {
    let mut seen: Vec<(Who, &Party)> = Vec::new();
    let mut known: BTreeMap<Who, usize> = BTreeMap::new();
    for party in steps.iter().flat_map(|(record, _)| [&record.from, &record.to]) {
        let who = names.who(party);
        let at = *known.entry(who.clone()).or_insert_with(|| {
            seen.push((who.clone(), party));
            seen.len() - 1
        });
        // The phone's or function's own port is a better address than that of a connection.
        if seen[at].1.endpoint > party.endpoint {
            seen[at].1 = party;
        }
    }
    let role = |who: &Who| roles.get(who).copied().unwrap_or(Role::Proxy);
    let caller = seen.iter().map(|(who, _)| who).find(|who| role(who) == Role::Ue).cloned();
    let is_callee = |who: &Who| role(who) == Role::Ue && caller.as_ref() != Some(who);
    let neighbours = |who: &Who, wanted: &dyn Fn(&Who) -> bool| {
        steps.iter().filter(|(record, _)| record.service == Service::Sip).any(|(record, _)| {
            let (from, to) = (names.who(&record.from), names.who(&record.to));
            from == *who && wanted(&to) || to == *who && wanted(&from)
        })
    };
    let rank = |who: &Who| match role(who) {
        Role::Ue if is_callee(who) => 11,
        Role::Ue => 0,
        // A P-CSCF that only serves callees stands beside them.
        Role::Pcscf
            if neighbours(who, &is_callee) && !neighbours(who, &|w| caller.as_ref() == Some(w)) =>
        {
            10
        }
        Role::Pcscf => 1,
        Role::Proxy => 2,
        Role::Icscf => 3,
        Role::Scscf => 4,
        Role::As => 5,
        Role::Hss => 6,
        Role::DiameterPeer => 7,
        Role::Media => 8,
    };
    let mut places: Vec<(u8, usize)> =
        seen.iter().enumerate().map(|(at, (who, _))| (rank(who), at)).collect();
    places.sort_unstable();
    let mut order = BTreeMap::new();
    let mut participants: Vec<Participant> = Vec::with_capacity(places.len());
    for (place, (_, at)) in places.into_iter().enumerate() {
        let (who, party) = &seen[at];
        order.insert(who.clone(), place);
        let name = match who {
            Who::Name(name) => Some(name.clone()),
            _ => None,
        };
        let role = role(who);
        let label = label(name.as_deref(), role, party.endpoint);
        participants.push(Participant { name, endpoint: party.endpoint, role, label });
    }
    tell_apart(&mut participants);
    (order, participants)
}

/// A role's name if the configured name says no more, else the first label of the name.
fn label(name: Option<&str>, role: Role, endpoint: Endpoint) -> String {
    let Some(name) = name else {
        return match role {
            Role::Proxy | Role::DiameterPeer => endpoint.to_string(),
            role => role.as_str().to_owned(),
        };
    };
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let first = if is_address { name } else { name.split('.').next().unwrap_or(name) };
    let bare: String = first.chars().filter(char::is_ascii_alphanumeric).collect();
    let standard: String = role.as_str().chars().filter(|c| *c != '-').collect();
    match bare.get(..standard.len()) {
        Some(start) if start.eq_ignore_ascii_case(&standard) => {
            let rest = &bare[standard.len()..];
            if rest.bytes().all(|b| b.is_ascii_digit()) {
                format!("{}{rest}", role.as_str())
            } else {
                plain(first)
            }
        }
        _ => plain(first),
    }
}

/// Numbers labels that several have.
fn tell_apart(participants: &mut [Participant]) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for participant in participants.iter() {
        *count.entry(participant.label.clone()).or_default() += 1;
    }
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    for participant in participants {
        if count[&participant.label] > 1 {
            let number = next.entry(participant.label.clone()).or_default();
            *number += 1;
            participant.label = format!("{} {number}", participant.label);
        }
    }
}

/// A time as `2026-01-31 23:59:59.123456 UTC`.
pub fn utc(at: Instant) -> String {
    let (year, month, day) = at.utc_date();
    let second = at.unix_seconds() % 86_400;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let micros = at.unix_micros() % 1_000_000;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06} UTC")
}
