//! What RFC 3261 says about time, checked on the wire of a simulation.
//!
//! - A request over UDP is repeated after T1, and then after twice as long each time: INVITE (Timer
//!   A, §17.1.1.2) until any response, others (Timer E, §17.1.2.2) up to T2 until a final one; none
//!   later than 64*T1 after the first, none too early, none left out.
//! - A phone repeats its 2xx to an INVITE after T1, doubling up to T2, until the ACK (§13.3.1.4).
//! - A SIM never sees an old sequence number (TS 33.102 §6.3.5): no REGISTER carries AUTS.

use std::collections::{BTreeMap, BTreeSet};

use base::time::Duration;
use base::{Instant, Service, Transport};
use engine::shard::{Crossing, Direction};
use engine::sim::HostId;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// Timers B, F and H: 64*T1.
const GIVE_UP: Duration = Duration::from_secs(32);
/// The simulator's clock is exact; an input of the same instant may come first.
const SLACK: Duration = Duration::from_millis(1);

/// Follows transactions on the wire.
#[derive(Debug, Default)]
pub struct Wire {
    requests: BTreeMap<(HostId, String, String), Sent>,
    successes: BTreeMap<(HostId, String, String), Sent>,
    /// The branches of INVITEs that were refused: their ACKs are no other's.
    refused: BTreeSet<(HostId, String)>,
    /// Hosts that are down, or were: nobody can be blamed for what they leave undone.
    crashes: Vec<Instant>,
    failures: Vec<String>,
    /// Messages seen, on either side.
    pub messages: u64,
    /// Requests over UDP that were sent again.
    pub repeated: u64,
}

/// One message and its repetitions.
#[derive(Debug)]
struct Sent {
    name: String,
    invite: bool,
    times: Vec<Instant>,
    provisional: Option<Instant>,
    over: Option<Instant>,
}

impl Wire {
    /// A host crashes now.
    pub fn crash(&mut self, now: Instant) {
        self.crashes.push(now);
    }

    /// A message crosses.
    pub fn message(&mut self, now: Instant, host: HostId, crossing: &Crossing<'_>) {
        if crossing.service != Service::Sip {
            return;
        }
        let Some(message) = Scanned::of(crossing.bytes) else { return };
        self.messages += 1;
        match crossing.direction {
            Direction::Sent => {
                let udp = crossing.transport == Transport::Udp;
                let phone = crossing.from.name == Some("ue");
                self.sent(now, host, &message, udp, phone);
            }
            Direction::Received => self.received(now, host, &message),
            Direction::Between => {}
        }
    }

    fn sent(&mut self, now: Instant, host: HostId, message: &Scanned<'_>, udp: bool, phone: bool) {
        let name = || format!("{host:?} {} {}", message.first, message.branch);
        let new = |invite| Sent {
            name: name(),
            invite,
            times: Vec::new(),
            provisional: None,
            over: None,
        };
        if message.auts {
            self.failures.push(format!("{} reports an old sequence number", name()));
        }
        let (times, first) = match message.status {
            None if udp && message.method != "ACK" => {
                let key = (host, message.branch.to_owned(), message.method.to_owned());
                let invite = message.method == "INVITE";
                (self.requests.entry(key).or_insert_with(|| new(invite)), Kind::Request)
            }
            Some(200..300) if phone && message.method == "INVITE" => (
                self.successes.entry(message.dialog(host)).or_insert_with(|| new(false)),
                Kind::Success,
            ),
            Some(300..) if message.method == "INVITE" => {
                self.refused.insert((host, message.branch.to_owned()));
                return;
            }
            _ => return,
        };
        if let Some(complaint) = times.again(now, first) {
            self.failures.push(complaint);
        }
        self.repeated += u64::from(first == Kind::Request && times.times.len() > 1);
    }

    fn received(&mut self, now: Instant, host: HostId, message: &Scanned<'_>) {
        match message.status {
            Some(status) => {
                let key = (host, message.branch.to_owned(), message.method.to_owned());
                let Some(sent) = self.requests.get_mut(&key) else { return };
                if status < 200 {
                    sent.provisional.get_or_insert(now);
                } else {
                    sent.over.get_or_insert(now);
                }
            }
            None if message.method == "ACK" => {
                if self.refused.contains(&(host, message.branch.to_owned())) {
                    return;
                }
                if let Some(sent) = self.successes.get_mut(&message.dialog(host)) {
                    sent.over.get_or_insert(now);
                }
            }
            // RFC 3261 §15.1.2: a BYE ends the dialog, and the waiting.
            None if message.method == "BYE" => {
                let dialog = message.dialog(host).1;
                let of = |key: &(HostId, String, String)| key.0 == host && key.1 == dialog;
                for (_, sent) in self.successes.iter_mut().filter(|(key, _)| of(key)) {
                    sent.over.get_or_insert(now);
                }
            }
            None => {}
        }
    }

    /// What was wrong, once everything has come to its end.
    pub fn verdict(&mut self, now: Instant) -> Vec<String> {
        let mut failures = std::mem::take(&mut self.failures);
        let crashes = &self.crashes;
        for (kind, sent) in self
            .requests
            .values()
            .map(|sent| (Kind::Request, sent))
            .chain(self.successes.values().map(|sent| (Kind::Success, sent)))
        {
            let first = sent.times.first().copied().unwrap_or(now);
            let end = first + GIVE_UP;
            // A peer that is down says so (ICMP), and the request goes elsewhere.
            if crashes.iter().any(|at| first <= *at + GIVE_UP && *at <= end) {
                continue;
            }
            let stop = sent.over.into_iter().chain(sent.provisional).chain([end, now]).min();
            let expected = schedule(first, kind, sent.invite)
                .take_while(|at| stop.is_some_and(|stop| *at + SLACK < stop))
                .count();
            if sent.times.len() < expected {
                let said = sent.times.len();
                failures.push(format!("{} was sent {said} times, not {expected}", sent.name));
            }
        }
        failures
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Request,
    Success,
}

/// When something is to be sent that nobody answers.
fn schedule(first: Instant, kind: Kind, invite: bool) -> impl Iterator<Item = Instant> {
    let longest = if kind == Kind::Request && invite { GIVE_UP } else { T2 };
    let mut next = (first, T1);
    std::iter::from_fn(move || {
        let (at, interval) = next;
        next = (at + interval, (interval * 2).min(longest));
        (at < first + GIVE_UP).then_some(at)
    })
}

impl Sent {
    /// It is sent, perhaps again; returns what is wrong with that.
    fn again(&mut self, now: Instant, kind: Kind) -> Option<String> {
        let index = self.times.len();
        self.times.push(now);
        let (first, last) = (self.times[0], *self.times.get(index.checked_sub(1)?)?);
        let complain = |what: &str| {
            let after = now.since(first).as_millis();
            Some(format!("{} was repeated {what}, {after} ms after the first", self.name))
        };
        if now.since(first) >= GIVE_UP {
            return complain("later than 64*T1");
        }
        if self.over.is_some_and(|over| over < now) {
            return complain("after its end");
        }
        if self.invite && self.provisional.is_some_and(|at| at < now) {
            return complain("after a provisional response");
        }
        let longest = if kind == Kind::Request && self.invite { GIVE_UP } else { T2 };
        let interval = (T1 * (1 << (index - 1).min(10))).min(longest);
        let late = self.provisional.is_some();
        let gap = now.since(last);
        if gap + SLACK < interval || (gap > interval + SLACK && !late) {
            return complain(&format!("after {} ms", gap.as_millis()));
        }
        None
    }
}

/// The few fields of a SIP message that matter here.
#[derive(Debug, Default)]
struct Scanned<'a> {
    first: &'a str,
    status: Option<u16>,
    branch: &'a str,
    call: &'a str,
    to_tag: &'a str,
    number: &'a str,
    method: &'a str,
    auts: bool,
}

impl<'a> Scanned<'a> {
    /// The callee's dialog and the transaction in it.
    fn dialog(&self, host: HostId) -> (HostId, String, String) {
        (host, format!("{} {}", self.call, self.to_tag), self.number.to_owned())
    }

    fn of(bytes: &'a [u8]) -> Option<Scanned<'a>> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?;
        let mut out = Scanned { first, ..Scanned::default() };
        out.status = first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name {
                "Via" if out.branch.is_empty() => {
                    let branch = value.split_once("branch=").map_or("", |(_, rest)| rest);
                    out.branch = branch.split([';', ',', ' ']).next().unwrap_or("");
                }
                "Call-ID" => out.call = value,
                "To" => {
                    let tag = value.split_once(";tag=").map_or("", |(_, rest)| rest);
                    out.to_tag = tag.split(';').next().unwrap_or("");
                }
                "CSeq" => (out.number, out.method) = value.split_once(' ')?,
                "Authorization" => out.auts |= value.contains("auts=\""),
                _ => {}
            }
        }
        Some(out)
    }
}
