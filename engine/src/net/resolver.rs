//! Finding servers: RFC 3263 for SIP, RFC 6733 §5.2 for Diameter, over DNS.
//!
//! Sans-I/O. The rules are one pure function over the answers that are known so far: either they
//! give the targets, or they name the question whose answer is missing. That question is asked, and
//! the rules are gone through again with its answer.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use base::machine::{Name, Naptr, QueryId, Target};
use base::time::Duration;
use base::{Bytes, Endpoint, Input, Instant, Random, Service, Transport};

use super::dns::{self, DnsConfig, Kind, Question, Record};
use crate::shard::{FunctionId, asked, default_port, default_transport};

/// How long one server may take, and how often all servers are asked.
const PATIENCE: Duration = Duration::from_secs(1);
const ROUNDS: usize = 3;
/// Answers that are remembered.
const CACHE: usize = 4096;
/// Names that are being looked up at a time; further ones find nothing.
const LOOKUPS: usize = 4096;
/// Questions for one name: no chain of records is longer in good faith.
const QUESTIONS: usize = 32;

/// What the resolver wants done.
#[derive(Debug)]
pub(super) enum Step {
    Ask { server: SocketAddr, bytes: Bytes },
    Answer { function: FunctionId, input: Input },
}

pub(super) struct Resolver {
    config: DnsConfig,
    random: Random,
    cache: BTreeMap<Question, (Instant, Vec<Record>)>,
    asked: BTreeMap<Question, Asked>,
    lookups: Vec<Lookup>,
    steps: VecDeque<Step>,
}

/// A question on its way.
struct Asked {
    id: u16,
    server: SocketAddr,
    attempt: usize,
    until: Instant,
}

/// What somebody waits for.
enum Wanted {
    /// The targets of a name.
    Targets(Name),
    /// The NAPTR records of a domain.
    Naptr(String),
}

/// Who waits for what.
struct Lookup {
    function: FunctionId,
    query: QueryId,
    wanted: Wanted,
    /// Answers so far; they hold until the lookup is done, whatever the cache forgets.
    known: BTreeMap<Question, Vec<Record>>,
    /// The question whose answer is missing.
    missing: Option<Question>,
}

impl Resolver {
    pub(super) fn new(config: DnsConfig, random: Random) -> Resolver {
        Resolver {
            config,
            random,
            cache: BTreeMap::new(),
            asked: BTreeMap::new(),
            lookups: Vec::new(),
            steps: VecDeque::new(),
        }
    }

    pub(super) fn resolve(
        &mut self,
        now: Instant,
        function: FunctionId,
        query: QueryId,
        name: Name,
    ) {
        self.want(now, function, query, Wanted::Targets(name));
    }

    /// RFC 3403: the records of a domain as they are.
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        function: FunctionId,
        query: QueryId,
        domain: &str,
    ) {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        self.want(now, function, query, Wanted::Naptr(domain));
    }

    fn want(&mut self, now: Instant, function: FunctionId, query: QueryId, wanted: Wanted) {
        if self.lookups.len() >= LOOKUPS {
            let input = wanted.nothing(query);
            self.steps.push_back(Step::Answer { function, input });
            return;
        }
        let known = BTreeMap::new();
        self.lookups.push(Lookup { function, query, wanted, known, missing: None });
        self.advance(now);
    }

    /// A datagram from a server, or from somebody who pretends to be one.
    pub(super) fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Some(answer) = dns::read(bytes) else { return };
        match self.asked.get(&answer.question) {
            Some(asked) if asked.id == answer.id && asked.server == from => {}
            _ => return,
        }
        if answer.failed {
            return self.ask_again(now, &answer.question);
        }
        self.asked.remove(&answer.question);
        self.learn(now, answer.question, answer.records, answer.ttl);
        self.advance(now);
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        let late: Vec<Question> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.until <= now)
            .map(|(question, _)| question.clone())
            .collect();
        for question in late {
            self.ask_again(now, &question);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.asked.values().map(|asked| asked.until).min()
    }

    pub(super) fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Goes through the rules of all lookups with what is known now.
    fn advance(&mut self, now: Instant) {
        let mut at = 0;
        while at < self.lookups.len() {
            let Resolver { lookups, config, random, cache, .. } = self;
            let lookup = &mut lookups[at];
            let found = loop {
                let mut rules = Rules { hosts: &config.hosts, known: &lookup.known };
                match rules.answer(&lookup.wanted, lookup.query, random) {
                    Ok(input) => break Ok(input),
                    Err(question) => match cache.get(&question) {
                        Some((until, records)) if *until > now => {
                            lookup.known.insert(question, records.clone());
                        }
                        _ if lookup.known.len() >= QUESTIONS => {
                            break Ok(lookup.wanted.nothing(lookup.query));
                        }
                        _ => break Err(question),
                    },
                }
            };
            match found {
                Ok(input) => {
                    let Lookup { function, .. } = self.lookups.remove(at);
                    self.steps.push_back(Step::Answer { function, input });
                }
                Err(question) => {
                    lookup.missing = Some(question.clone());
                    at += 1;
                    if !self.asked.contains_key(&question) {
                        self.ask(now, question, 0);
                    }
                }
            }
        }
    }

    fn ask(&mut self, now: Instant, question: Question, attempt: usize) {
        let servers = &self.config.servers;
        let id = self.random.u32() as u16;
        let bytes = if attempt < servers.len() * ROUNDS { dns::ask(id, &question) } else { None };
        let Some(bytes) = bytes else {
            // Nobody knows, or nobody can be asked: for a moment there is no such record.
            self.learn(now, question, Vec::new(), Duration::from_secs(5));
            return self.advance(now);
        };
        let server = servers[attempt % servers.len()];
        let until = now + PATIENCE * (1 << (attempt / servers.len()).min(2));
        self.asked.insert(question, Asked { id, server, attempt, until });
        self.steps.push_back(Step::Ask { server, bytes: bytes.into() });
    }

    fn ask_again(&mut self, now: Instant, question: &Question) {
        if let Some(asked) = self.asked.remove(question) {
            self.ask(now, question.clone(), asked.attempt + 1);
        }
    }

    fn learn(&mut self, now: Instant, question: Question, records: Vec<Record>, ttl: Duration) {
        for lookup in &mut self.lookups {
            // Also an answer with no time to live answers those who wait.
            if lookup.missing.as_ref() == Some(&question) {
                lookup.known.insert(question.clone(), records.clone());
            }
        }
        if self.cache.len() >= CACHE {
            self.cache.retain(|_, (until, _)| *until > now);
            if self.cache.len() >= CACHE {
                self.cache.pop_first();
            }
        }
        self.cache.insert(question, (now + ttl, records));
    }
}

impl Wanted {
    /// The answer if there is none.
    fn nothing(&self, query: QueryId) -> Input {
        match self {
            Wanted::Targets(_) => Input::Resolved { query, targets: Vec::new() },
            Wanted::Naptr(_) => Input::Naptr { query, records: Vec::new() },
        }
    }
}

/// The rules, over what is known.
struct Rules<'a> {
    hosts: &'a BTreeMap<String, Vec<IpAddr>>,
    known: &'a BTreeMap<Question, Vec<Record>>,
}

impl Rules<'_> {
    /// The answer, or the question that must be answered before.
    fn answer(
        &mut self,
        wanted: &Wanted,
        query: QueryId,
        random: &mut Random,
    ) -> Result<Input, Question> {
        match wanted {
            Wanted::Targets(name) => {
                self.targets(name, random).map(|targets| Input::Resolved { query, targets })
            }
            Wanted::Naptr(domain) => {
                let records = self.records(domain, Kind::Naptr)?.iter();
                let records = records.filter_map(|record| match record {
                    Record::Naptr(naptr) => Some(naptr.clone()),
                    _ => None,
                });
                Ok(Input::Naptr { query, records: records.collect() })
            }
        }
    }

    /// The targets, best first, or the question that must be answered before.
    fn targets(&mut self, name: &Name, random: &mut Random) -> Result<Vec<Target>, Question> {
        let host = name.host.trim_end_matches('.').to_ascii_lowercase();
        let transport = asked(name);
        let fallback = transport.unwrap_or_else(|| default_transport(name.service));
        // RFC 3263 §4.2: a port was given, so no SRV; and a name of /etc/hosts has no records.
        if let Some(port) = name.port {
            return self.addresses(&host, port, fallback);
        }
        let service = match name.service {
            Service::Sip => "sip",
            Service::Diameter => "diameter",
            Service::Ng | Service::Rtp | Service::Resp | Service::Http | Service::Cli => "",
        };
        let port = default_port(name.service, fallback);
        if self.hosts.contains_key(&host) || service.is_empty() {
            return self.addresses(&host, port, fallback);
        }
        let mut found = Vec::new();
        let offered: &[Transport] = match (transport, name.service) {
            (Some(Transport::Tcp), _) | (None, Service::Diameter) => &[Transport::Tcp],
            (Some(Transport::Tls), _) => &[Transport::Tls],
            (Some(_), _) => &[Transport::Udp],
            (None, _) => &[Transport::Udp, Transport::Tcp],
        };
        // §4.1: the transport by NAPTR, unless it was given; TLS may be behind another name as well.
        if matches!(transport, None | Some(Transport::Tls)) {
            for (replacement, offered) in self.naptr(&host, name.service)? {
                if transport.is_none_or(|transport| transport == offered) {
                    found.extend(self.srv(&replacement, offered, random)?);
                }
            }
        }
        if found.is_empty() {
            for transport in offered {
                let label = if transport.is_connection() { "_tcp" } else { "_udp" };
                let secure = if *transport == Transport::Tls { "s" } else { "" };
                let domain = format!("_{service}{secure}.{label}.{host}");
                found.extend(self.srv(&domain, *transport, random)?);
            }
        }
        if found.is_empty() { self.addresses(&host, port, fallback) } else { Ok(found) }
    }

    /// The SRV domains and transports of a name, best first: RFC 3263 §4.1, RFC 6408 §3.
    fn naptr(
        &mut self,
        host: &str,
        service: Service,
    ) -> Result<Vec<(String, Transport)>, Question> {
        let mut found = Vec::new();
        for record in self.records(host, Kind::Naptr)? {
            let Record::Naptr(naptr) = record else { continue };
            let Naptr { order, preference, flags, services, replacement, .. } = naptr;
            let transport = match (service, services.as_str()) {
                (Service::Sip, "sip+d2u") => Transport::Udp,
                (Service::Sip, "sip+d2t") => Transport::Tcp,
                (Service::Sip, "sips+d2t") => Transport::Tls,
                (Service::Diameter, "aaa+d2t" | "aaa:diameter.tcp") => Transport::Tcp,
                _ => continue,
            };
            if flags == "s" {
                found.push((*order, *preference, replacement.clone(), transport));
            }
        }
        found.sort_by_key(|(order, preference, ..)| (*order, *preference));
        Ok(found.into_iter().map(|(_, _, replacement, t)| (replacement, t)).collect())
    }

    fn srv(
        &mut self,
        domain: &str,
        transport: Transport,
        random: &mut Random,
    ) -> Result<Vec<Target>, Question> {
        let records: Vec<_> = self
            .records(domain, Kind::Srv)?
            .iter()
            .filter_map(|record| match record {
                // RFC 2782: the root as target says that there is no such service.
                Record::Srv { priority, weight, port, target } if !target.is_empty() => {
                    Some((*priority, *weight, *port, target.clone()))
                }
                _ => None,
            })
            .collect();
        // All answers first: the order is drawn once, when nothing is missing any more.
        let mut known = Vec::new();
        for (priority, weight, port, target) in records {
            known.push((priority, weight, self.addresses(&target, port, transport)?));
        }
        Ok(ordered(known, random).into_iter().flatten().collect())
    }

    /// IPv6 and IPv4 addresses, IPv4 first: IMS cores seldom have IPv6 on all sides.
    fn addresses(
        &mut self,
        host: &str,
        port: u16,
        transport: Transport,
    ) -> Result<Vec<Target>, Question> {
        let ips: Vec<IpAddr> = match self.hosts.get(host) {
            Some(ips) => ips.clone(),
            None => {
                let v4 = self.records(host, Kind::A)?;
                let v6 = self.records(host, Kind::Aaaa)?;
                let ip = |record: &Record| match record {
                    Record::Ip(ip) => Some(*ip),
                    _ => None,
                };
                v4.iter().chain(v6).filter_map(ip).collect()
            }
        };
        let endpoint = |ip| Endpoint::Ip(SocketAddr::new(ip, port));
        Ok(ips.into_iter().map(|ip| Target { transport, endpoint: endpoint(ip) }).collect())
    }

    fn records(&self, name: &str, kind: Kind) -> Result<&Vec<Record>, Question> {
        let question = (name.to_owned(), kind);
        self.known.get(&question).ok_or(question)
    }
}

/// RFC 2782: by priority, and at random by weight within one.
fn ordered<T>(mut records: Vec<(u16, u16, T)>, random: &mut Random) -> Vec<T> {
    // Weight 0 comes first, so that it has its small chance.
    records.sort_by_key(|(priority, weight, _)| (*priority, *weight != 0));
    let mut out = Vec::new();
    while let Some((priority, ..)) = records.first() {
        let priority = *priority;
        let same = records.iter().take_while(|record| record.0 == priority);
        let sum: u64 = same.map(|record| u64::from(record.1)).sum();
        let mut draw = random.below(sum + 1);
        let mut chosen = 0;
        for (at, (of, weight, _)) in records.iter().enumerate() {
            if *of != priority {
                break;
            }
            chosen = at;
            if u64::from(*weight) >= draw {
                break;
            }
            draw -= u64::from(*weight);
        }
        out.push(records.remove(chosen).2);
    }
    out
}

#[cfg(test)]
mod tests;
