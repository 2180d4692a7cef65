//! Where names are looked up, and the bytes of questions and answers (RFC 1035, 2782, 3403).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use base::machine::Naptr;
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

/// Servers and fixed names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct DnsConfig {
    /// Servers, asked in this order.
    pub servers: Vec<SocketAddr>,
    /// Names with fixed addresses, in lower case.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
}

impl DnsConfig {
    /// What `/etc/resolv.conf` and `/etc/hosts` say.
    pub fn system() -> DnsConfig {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let mut config = DnsConfig::parse(&read("/etc/resolv.conf"), &read("/etc/hosts"));
        if config.servers.is_empty() {
            // resolv.conf(5): without a server, the local one is asked.
            config.servers.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        config
    }

    /// The same from the text of these files.
    pub fn parse(resolv_conf: &str, hosts: &str) -> DnsConfig {
        let mut config = DnsConfig::default();
        for line in resolv_conf.lines() {
            let mut words = line.split_whitespace();
            if words.next() == Some("nameserver")
                && let Some(ip) = words.next().and_then(|word| word.parse().ok())
            {
                config.servers.push(SocketAddr::new(ip, 53));
            }
        }
        for line in hosts.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            if let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) {
                for name in words {
                    let name = name.trim_end_matches('.').to_ascii_lowercase();
                    config.hosts.entry(name).or_default().push(ip);
                }
            }
        }
        config
    }
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Kind {
    Naptr,
    Srv,
    A,
    Aaaa,
}

/// One question; the name is in lower case without a final dot.
pub(crate) type Question = (String, Kind);

/// A record of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Record {
    Naptr(Naptr),
    Srv { priority: u16, weight: u16, port: u16, target: String },
    Ip(IpAddr),
}

/// An answer to one question.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: u16,
    pub(crate) question: Question,
    pub(crate) records: Vec<Record>,
    pub(crate) ttl: Duration,
    /// The server could not say: ask another one.
    pub(crate) failed: bool,
}

/// How long it is remembered that there is no such record, unless the answer says less (RFC 2308).
const NEGATIVE: u32 = 60;
/// The longest that anything is remembered.
const LONGEST: u32 = 86_400;

/// The bytes of a question; `None` if the name cannot be asked for.
pub(crate) fn ask(id: u16, (name, kind): &Question) -> Option<Vec<u8>> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    let mut message = Message::query();
    message.metadata.id = id;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind.record_type()));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    message.to_vec().ok()
}

/// Reads an answer; `None` if it is none, or none to one question of ours.
pub(crate) fn read(bytes: &[u8]) -> Option<Answer> {
    let message = Message::from_vec(bytes).ok()?;
    let [query] = &message.queries[..] else { return None };
    let kind = Kind::of(query.query_type())?;
    let name = text(query.name());
    if message.metadata.message_type != hickory_proto::op::MessageType::Response {
        return None;
    }
    let refused =
        !matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
    let mut wanted = name.clone();
    let mut records = Vec::new();
    let mut ttl = LONGEST;
    // Aliases come first and in order in all that servers send; a loop ends with the section.
    for record in &message.answers {
        if text(&record.name) != wanted {
            continue;
        }
        let found = match &record.data {
            RData::CNAME(alias) => {
                wanted = text(&alias.0);
                ttl = ttl.min(record.ttl);
                continue;
            }
            RData::A(a) if kind == Kind::A => Record::Ip(a.0.into()),
            RData::AAAA(a) if kind == Kind::Aaaa => Record::Ip(a.0.into()),
            RData::SRV(srv) if kind == Kind::Srv => Record::Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: text(&srv.target),
            },
            RData::NAPTR(naptr) if kind == Kind::Naptr => Record::Naptr(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: lower(&naptr.flags),
                services: lower(&naptr.services),
                regexp: String::from_utf8_lossy(&naptr.regexp).into_owned(),
                replacement: text(&naptr.replacement),
            }),
            _ => continue,
        };
        ttl = ttl.min(record.ttl);
        records.push(found);
    }
    if records.is_empty() {
        ttl = NEGATIVE;
        for record in &message.authorities {
            if let RData::SOA(soa) = &record.data {
                ttl = ttl.min(record.ttl).min(soa.minimum);
            }
        }
    }
    // Cut before the first record: somebody else may have shorter ones.
    let failed = refused || (message.metadata.truncation && records.is_empty());
    let ttl = Duration::from_secs(ttl.into());
    Some(Answer { id: message.metadata.id, question: (name, kind), records, ttl, failed })
}

impl Kind {
    fn record_type(self) -> RecordType {
        match self {
            Kind::Naptr => RecordType::NAPTR,
            Kind::Srv => RecordType::SRV,
            Kind::A => RecordType::A,
            Kind::Aaaa => RecordType::AAAA,
        }
    }

    fn of(kind: RecordType) -> Option<Kind> {
        [Kind::Naptr, Kind::Srv, Kind::A, Kind::Aaaa]
            .into_iter()
            .find(|known| known.record_type() == kind)
    }
}

fn text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}
