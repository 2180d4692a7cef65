//! Who took part: names for addresses, and roles learned from what was said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use base::{Endpoint, Service};

use crate::dissect::Summary;
use crate::record::{Party, Record};

/// What a participant is in the network, TS 23.228.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// A phone.
    Ue,
    /// The phone's door.
    Pcscf,
    /// Finds the S-CSCF.
    Icscf,
    /// Registrar and service control.
    Scscf,
    /// Application server, PBX.
    As,
    /// Something that speaks SIP and did not show what it is.
    Proxy,
    /// Home Subscriber Server.
    Hss,
    /// Something that speaks Diameter and did not show what it is.
    DiameterPeer,
    /// Media relay.
    Media,
}

impl Role {
    /// The standard's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Ue => "UE",
            Role::Pcscf => "P-CSCF",
            Role::Icscf => "I-CSCF",
            Role::Scscf => "S-CSCF",
            Role::As => "AS",
            Role::Proxy => "SIP",
            Role::Hss => "HSS",
            Role::DiameterPeer => "Diameter",
            Role::Media => "media",
        }
    }

    /// The role that a configured name tells.
    fn of_name(name: &str) -> Option<Role> {
        let first = name.split('.').next().unwrap_or(name);
        let word: String = first
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        let known = [
            ("pcscf", Role::Pcscf),
            ("icscf", Role::Icscf),
            ("scscf", Role::Scscf),
            ("hss", Role::Hss),
            ("rtpengine", Role::Media),
            ("media", Role::Media),
            ("relay", Role::Media),
            ("phone", Role::Ue),
            ("handset", Role::Ue),
        ];
        let found = known.iter().find(|(text, _)| word.contains(text)).map(|(_, role)| *role);
        let bare = word.trim_end_matches(|c: char| c.is_ascii_digit());
        found.or(match bare {
            "ue" => Some(Role::Ue),
            "as" | "tas" | "pbx" => Some(Role::As),
            _ => None,
        })
    }
}

/// Who an end of a record is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Who {
    /// A function by its configured name.
    Name(String),
    /// All ports of a host.
    Host(IpAddr),
    /// One port of a host on which several live, or a wire.
    Endpoint(Endpoint),
}

/// Names of endpoints, learned from records that know them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Names {
    exact: BTreeMap<Endpoint, Arc<str>>,
    hosts: BTreeMap<IpAddr, BTreeSet<Arc<str>>>,
    /// Ends of TCP connections: a function's own have any port, while over UDP it speaks from the one
    /// that it listens on.
    connections: BTreeSet<Endpoint>,
    /// Who begins SIP requests: phones, which may live on the host of a function.
    origins: BTreeSet<Endpoint>,
}

impl Names {
    pub(crate) fn learn(records: &[Record], summaries: &[Summary]) -> Names {
        let mut names = Names::default();
        for (record, summary) in records.iter().zip(summaries) {
            if summary.protocol == Service::Sip && summary.is_request() && summary.vias == 1 {
                names.origins.insert(record.from.endpoint);
            }
            for party in [&record.from, &record.to] {
                if record.transport.is_connection() {
                    names.connections.insert(party.endpoint);
                }
                let Some(name) = &party.name else { continue };
                if names.exact.get(&party.endpoint) != Some(name) {
                    names.exact.insert(party.endpoint, name.clone());
                }
                if let Some(ip) = party.endpoint.ip() {
                    names.hosts.entry(ip).or_default().insert(name.clone());
                }
            }
        }
        names
    }

    pub(crate) fn who(&self, party: &Party) -> Who {
        let name = party.name.as_ref().or_else(|| self.exact.get(&party.endpoint));
        if let Some(name) = name {
            return Who::Name(name.to_string());
        }
        let connection =
            self.connections.contains(&party.endpoint) && !self.origins.contains(&party.endpoint);
        match party.endpoint.ip() {
            // Everybody lives on the loopback address; only a port tells them apart.
            Some(ip) if !ip.is_loopback() => match self.hosts.get(&ip) {
                Some(names) if names.len() == 1 && connection => {
                    Who::Name(names.first().map(ToString::to_string).unwrap_or_default())
                }
                Some(_) => Who::Endpoint(party.endpoint),
                None => Who::Host(ip),
            },
            _ => Who::Endpoint(party.endpoint),
        }
    }
}

/// What somebody was seen doing.
#[derive(Clone, Default, Debug)]
struct Deeds {
    sip: bool,
    /// Sent a SIP request that somebody else had sent before.
    forwards: bool,
    sends: BTreeSet<String>,
    receives: BTreeSet<(Service, String)>,
    /// Who it speaks SIP with.
    neighbours: BTreeSet<Who>,
}

/// The role of everybody who occurs.
pub(crate) fn roles<'a>(
    names: &Names,
    records: impl IntoIterator<Item = (&'a Record, &'a Summary)>,
) -> BTreeMap<Who, Role> {
    let mut deeds: BTreeMap<Who, Deeds> = BTreeMap::new();
    for (record, summary) in records {
        let (from, to) = (names.who(&record.from), names.who(&record.to));
        let request = summary.is_request();
        let sip = summary.protocol == Service::Sip;
        let sender = deeds.entry(from.clone()).or_default();
        if sip {
            sender.sip = true;
            sender.forwards |= request && summary.vias > 1;
            sender.neighbours.insert(to.clone());
        }
        if request {
            sender.sends.insert(summary.verb.clone());
        }
        let receiver = deeds.entry(to).or_default();
        if sip {
            receiver.sip = true;
            receiver.neighbours.insert(from);
        }
        if request {
            receiver.receives.insert((summary.protocol, summary.verb.clone()));
        }
    }
    let mut roles: BTreeMap<Who, Role> = BTreeMap::new();
    for (who, deeds) in &deeds {
        let told = match who {
            Who::Name(name) => Role::of_name(name),
            _ => None,
        };
        roles.insert(who.clone(), told.unwrap_or_else(|| role_of(deeds)));
    }
    // Whoever speaks with a phone and is nothing else is its P-CSCF.
    let doors: Vec<Who> = deeds
        .iter()
        .filter(|(who, deeds)| {
            roles.get(who) == Some(&Role::Proxy)
                && deeds.neighbours.iter().any(|n| roles.get(n) == Some(&Role::Ue))
        })
        .map(|(who, _)| who.clone())
        .collect();
    roles.extend(doors.into_iter().map(|who| (who, Role::Pcscf)));
    roles
}

fn role_of(deeds: &Deeds) -> Role {
    let sends = |verbs: &[&str]| verbs.iter().any(|v| deeds.sends.contains(*v));
    let receives = |service, verbs: &[&str]| {
        verbs.iter().any(|v| deeds.receives.contains(&(service, (*v).to_owned())))
    };
    if receives(Service::Diameter, &["UAR", "MAR", "SAR", "LIR"]) || sends(&["RTR", "PPR"]) {
        Role::Hss
    } else if deeds.receives.iter().any(|(service, _)| *service == Service::Ng) {
        Role::Media
    } else if sends(&["MAR", "SAR"]) {
        Role::Scscf
    } else if sends(&["UAR", "LIR"]) {
        Role::Icscf
    } else if deeds.sip && deeds.forwards {
        Role::Proxy
    } else if receives(Service::Sip, &["REGISTER"]) {
        Role::As
    } else if deeds.sip {
        Role::Ue
    } else {
        Role::DiameterPeer
    }
}
