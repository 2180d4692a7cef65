//! What an operator does to a subscriber while the HSS runs, and what the S-CSCF that serves him is
//! told of it: RTR (TS 29.228 §6.1.3) and PPR (§6.2.2), one after the other.
//!
//! Nobody tells what exactly changed: what the store says now is compared with what the S-CSCF has,
//! of which the registration record keeps a digest. So it does not matter how often it is compared,
//! nor whether the HSS was started anew since the SAR.
//!
//! | What is found | What the S-CSCF is told |
//! |---|---|
//! | the subscriber, or an implicit set, is gone | RTR, PERMANENT_TERMINATION |
//! | all identities of a set are barred: nobody may register it | RTR, PERMANENT_TERMINATION |
//! | other identities, barring, criteria or charging functions | PPR with the whole set (§6.5.2.1) |
//! | another password | PPR with the profile that it has: it may keep H(A1), and asks for the new one |
//! | another S-CSCF took over (a SAR, not an operator) | RTR, NEW_SERVER_ASSIGNED, to the one before |
//! | another key of a SIM | nothing: it counts from the next authentication |
//!
//! An S-CSCF that is not there is told when it connects again, as long as this process remembers.

use std::collections::BTreeMap;

use base::time::Duration;
use base::{Event, Instant, Severity};
use diameter::cx::{self, DeregistrationReason, Ppr, ReasonCode, Rtr};
use diameter::node::{Failure, RequestId};
use diameter::{ExperimentalCode, Message, Outcome, ResultCode};

use super::{Command, Hss, Job, Step};
use crate::records;
use crate::registration::{Former, Registration, charging, digest};
use crate::subscriber::Subscriber;
use crate::user_data::user_data;

/// How long an S-CSCF may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Operations that are under way, and subscribers of whom an absent S-CSCF is to be told, at most.
const MAX_OPERATIONS: usize = 10_000;

/// What an operator did. The order to an [`Hss`] is a list of them, `Vec<Operation>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// The private identity.
    pub impi: String,
    /// What was done.
    pub kind: OperationKind,
}

/// What an operator did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OperationKind {
    /// The subscriber was written.
    Written {
        /// His registration as it was stored before.
        before: Registration,
    },
    /// He was removed, and his registration with him.
    Removed {
        /// His registration as it was stored before.
        before: Registration,
    },
    /// He is to be deregistered; he may register again.
    Deregistered {
        /// Whether his phones are to register again at once.
        again: bool,
        /// Why, for the subscriber: Reason-Info.
        info: Option<String>,
    },
}

/// What a job has to do for an operation.
#[derive(Debug)]
pub(super) enum Task {
    Operation(OperationKind),
    /// An RTR that its S-CSCF did not get, or that is for another than the one that serves the user.
    Again {
        host: String,
        rtr: Rtr,
    },
    /// Nothing more.
    Done,
}

/// A request to an S-CSCF, and the sets that it is about.
#[derive(Clone, Debug)]
pub(super) struct Push {
    host: String,
    /// The host of the S-CSCF's SIP URI: several nodes may stand behind it.
    server: Option<String>,
    what: What,
    attempts: u32,
}

#[derive(Clone, Debug)]
enum What {
    Termination { rtr: Rtr, sets: Vec<String> },
    Profile { ppr: Ppr, set: String, digest: u64 },
}

/// What an S-CSCF that is not there is to be told of a subscriber.
#[derive(Debug)]
enum Owed {
    Termination(Rtr),
    Profile,
}

/// What is owed, by the S-CSCF's Diameter identity and the private identity.
#[derive(Debug, Default)]
pub(super) struct Debts(BTreeMap<(String, String), Owed>);

impl Hss {
    fn note(&mut self, severity: Severity, counter: &'static str, impi: &str, text: String) {
        self.tell(Event::new(severity, counter, text).impi(impi));
    }

    /// Takes the order of an operator.
    pub(super) fn operate(&mut self, operation: Operation) {
        self.begin_task(operation.impi, Task::Operation(operation.kind));
    }

    /// Another S-CSCF has the user now: the one that had him is to forget him, TS 29.228 §6.1.3.
    pub(super) fn relieve(&mut self, impi: String, former: Former) {
        let Some(host) = former.diameter_host() else { return };
        let rtr = Rtr {
            user_name: impi.clone(),
            associated_identities: Vec::new(),
            public_identities: Vec::new(),
            reason: DeregistrationReason { code: ReasonCode::NewServerAssigned, info: None },
        };
        self.begin_task(impi, Task::Again { host, rtr });
    }

    /// Begins a job; its number, unless too much is under way.
    pub(super) fn begin_task(&mut self, impi: String, task: Task) -> Option<u64> {
        if self.jobs.len() >= MAX_OPERATIONS {
            let text = format!(
                "{impi}: too much is under way; his S-CSCF is not told of the change: repeat it"
            );
            self.note(Severity::Error, "hss.not_told", &impi, text);
            return None;
        }
        let id = self.new_job(Job::new(None, Command::Task(task), Vec::new(), Some(impi)));
        self.lock(id);
        Some(id)
    }

    /// Everything is at hand: the next request to the S-CSCF, until none is needed.
    pub(super) fn push(&mut self, now: Instant, id: u64) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Command::Task(task) = &mut job.command else { return };
        let impi = job.impi.clone().unwrap_or_default();
        let Some(registration) = self.registrations.get(&impi) else {
            return self.load(id, Step::Registration, records::REGISTRATION, &impi);
        };
        match next(task, &impi, job.subscriber.as_ref(), registration) {
            Some(push) => self.send_push(now, id, push),
            None => self.end_task(id),
        }
    }

    fn end_task(&mut self, id: u64) {
        let Some(job) = self.jobs.remove(&id) else { return };
        // What is not registered, or not even there, need not be remembered.
        if let Some(impi) = &job.impi
            && self.registrations.get(impi).is_some_and(|r| *r == Registration::default())
        {
            self.registrations.remove(impi);
        }
        self.unlock(id, &job);
    }

    fn send_push(&mut self, now: Instant, id: u64, mut push: Push) {
        let realm = self.node.config().origin_realm.clone();
        push.attempts += 1;
        if !self.node.is_open(&push.host)
            && let Some(server) = &push.server
        {
            // A node that shares the S-CSCF's records serves the user as well.
            let node = self.node.open_peers().find(|peer| is_node_of(peer, server));
            push.host = node.map_or(push.host, str::to_owned);
        }
        let request = match &push.what {
            What::Termination { rtr, .. } => cx::request(rtr, &realm, Some(&push.host)),
            What::Profile { ppr, .. } => cx::request(ppr, &realm, Some(&push.host)),
        };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.step = Step::Push(push);
        let request = self.node.request(now, request, PATIENCE);
        self.pushed.insert(request, id);
    }

    /// What became of a request to an S-CSCF.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        request: RequestId,
        answer: Result<&Message, Failure>,
    ) {
        let Some(id) = self.pushed.remove(&request) else { return };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Step::Push(push) = core::mem::replace(&mut job.step, Step::Turn) else { return };
        let impi = job.impi.clone().unwrap_or_default();
        let host = push.host.clone();
        let outcome = answer.map(|message| message.outcome());
        let told = match outcome {
            Ok(Some(outcome)) if outcome.is_success() => {
                let text = format!("{impi}: {host} was told of {}", push.what);
                self.note(Severity::Info, "hss.told", &impi, text);
                Told::Yes
            }
            Ok(Some(outcome)) if outcome == ExperimentalCode::ERROR_USER_UNKNOWN.into() => {
                let text = format!("{impi}: {host} does not know him; he is not registered");
                self.note(Severity::Info, "hss.told", &impi, text);
                Told::Unknown
            }
            // Somebody else answered, or nobody.
            Ok(Some(Outcome::Base(
                ResultCode::UNABLE_TO_DELIVER
                | ResultCode::COMMAND_UNSUPPORTED
                | ResultCode::TOO_BUSY,
            )))
            | Err(_) => {
                if push.attempts == 1 && self.node.is_open(&host) {
                    return self.send_push(now, id, push);
                }
                let reason = outcome.map_or_else(|e| e.to_string(), |_| "it is away".to_owned());
                self.owe(&impi, &push, &reason);
                Told::No
            }
            Ok(outcome) => {
                let said = outcome.map_or("nothing that is known".to_owned(), |o| o.to_string());
                let advice = match push.what {
                    What::Termination { .. } => "it may keep his registration until that runs out",
                    What::Profile { .. } => {
                        "it keeps the old one until he registers anew: deregister him"
                    }
                };
                let text = format!("{impi}: {host} answered {said} to {}; {advice}", push.what);
                self.note(Severity::Warning, "hss.not_told", &impi, text);
                Told::No
            }
        };
        self.settle(now, id, &impi, push.what, told);
    }

    /// What the answer means for the registration; then whatever is to be told next.
    fn settle(&mut self, now: Instant, id: u64, impi: &str, what: What, told: Told) {
        let Some(registration) = self.registrations.get(impi) else { return };
        let mut after = registration.clone();
        match (what, told) {
            // TS 29.228 §6.1.3: he is not registered whatever the S-CSCF says.
            (What::Termination { sets, .. }, _) => sets.iter().for_each(|set| after.end(set)),
            (What::Profile { set, .. }, Told::Unknown) => after.end(&set),
            (What::Profile { set, digest, .. }, Told::Yes) => {
                after.profiles.insert(set, digest);
            }
            (What::Profile { .. }, Told::No) => return self.end_task(id),
        }
        if after == *registration {
            return self.push(now, id);
        }
        let change = records::registration_record(impi, &after);
        self.commit(id, Step::Settle { after }, vec![change]);
    }

    /// The S-CSCF is not there: it is told when it connects.
    fn owe(&mut self, impi: &str, push: &Push, reason: &str) {
        let (host, what) = (&push.host, &push.what);
        if self.debts.0.len() >= MAX_OPERATIONS {
            let text = format!(
                "{impi}: {host} was not told of {what}: {reason}; what it has of him lasts until \
                 his registration runs out"
            );
            return self.note(Severity::Error, "hss.not_told", impi, text);
        }
        let owed = match what {
            What::Termination { rtr, .. } => Owed::Termination(rtr.clone()),
            What::Profile { .. } => Owed::Profile,
        };
        self.debts.0.insert((host.to_ascii_lowercase(), impi.to_owned()), owed);
        let text = format!(
            "{impi}: {host} was not told of {what}: {reason}; it is told when it connects: see \
             that it runs"
        );
        self.note(Severity::Warning, "hss.not_told", impi, text);
    }

    /// An S-CSCF, perhaps, is there again.
    pub(super) fn pay(&mut self, host: &str) {
        let host = host.to_ascii_lowercase();
        let from = (host.clone(), String::new());
        let theirs = self.debts.0.range(from..).take_while(|((debtor, _), _)| *debtor == host);
        let keys: Vec<_> = theirs.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let task = match self.debts.0.remove(&key) {
                Some(Owed::Termination(rtr)) => Task::Again { host: key.0, rtr },
                Some(Owed::Profile) => {
                    let before = Registration::default();
                    Task::Operation(OperationKind::Written { before })
                }
                None => continue,
            };
            self.begin_task(key.1, task);
        }
    }
}

/// Whether a Diameter identity is that of a node behind a server's name: `NODE.SERVER`.
fn is_node_of(identity: &str, server: &str) -> bool {
    let end = identity.len().saturating_sub(server.len());
    identity.get(end..).is_some_and(|end| end.eq_ignore_ascii_case(server))
        && identity[..end].strip_suffix('.').is_some_and(|node| !node.is_empty())
}

/// Whether the S-CSCF that serves the user has this Diameter identity, or one of its nodes has.
fn is_served_at(registration: &Registration, host: &str) -> bool {
    registration.diameter_host().is_some_and(|own| own.eq_ignore_ascii_case(host))
        || registration.server_host().is_some_and(|server| is_node_of(host, &server))
}

enum Told {
    Yes,
    Unknown,
    No,
}

/// What an S-CSCF has to be told next.
fn next(
    task: &mut Task,
    impi: &str,
    subscriber: Option<&Subscriber>,
    registration: &Registration,
) -> Option<Push> {
    let rtr = |identities: Vec<String>, code, info: Option<String>| Rtr {
        user_name: impi.to_owned(),
        associated_identities: Vec::new(),
        public_identities: identities,
        reason: DeregistrationReason { code, info },
    };
    let to = |registration: &Registration, what| {
        let server = registration.server_host();
        registration.diameter_host().map(|host| Push { host, server, what, attempts: 0 })
    };
    let all = |of: &Registration| of.states.keys().cloned().collect::<Vec<String>>();
    let removed = || Some("the subscription has ended".to_owned());
    match core::mem::replace(task, Task::Done) {
        Task::Done => None,
        // Whoever registered since is not meant.
        Task::Again { host, rtr }
            if registration.is_served()
                && (rtr.reason.code != ReasonCode::NewServerAssigned
                    || is_served_at(registration, &host)) =>
        {
            None
        }
        Task::Again { host, rtr } => {
            let what = What::Termination { rtr, sets: Vec::new() };
            Some(Push { host, server: None, what, attempts: 0 })
        }
        Task::Operation(OperationKind::Removed { before }) => {
            let served = if registration.is_served() { registration } else { &before };
            // One identity stands for its set: TS 23.228 §5.2.1a.1.
            let rtr = rtr(all(served), ReasonCode::PermanentTermination, removed());
            let what = What::Termination { rtr, sets: all(served) };
            served.is_served().then(|| to(served, what)).flatten()
        }
        Task::Operation(OperationKind::Deregistered { again, info }) => {
            let code = match again {
                true => ReasonCode::ServerChange,
                false => ReasonCode::PermanentTermination,
            };
            // Kamailio 5.6 answers no RTR that names none, though that means all (TS 29.228 §6.1.3).
            let sets = subscriber.into_iter().flat_map(|subscriber| &subscriber.sets);
            let served = sets.filter(|set| registration.state(set).is_some());
            let identities =
                served.flat_map(|set| &set.identities).map(|i| i.uri.clone()).collect();
            let what =
                What::Termination { rtr: rtr(identities, code, info), sets: all(registration) };
            registration.is_served().then(|| to(registration, what)).flatten()
        }
        Task::Operation(OperationKind::Written { mut before }) => {
            let subscriber = subscriber?;
            let is_there = |name: &String| subscriber.sets.iter().any(|set| set.name() == name);
            let lost: Vec<String> =
                all(&before).into_iter().filter(|name| !is_there(name)).collect();
            let found = if lost.is_empty() {
                let mut sets = subscriber.sets.iter();
                sets.find_map(|set| {
                    registration.state(set)?;
                    let name = set.name().to_owned();
                    if set.is_barred() {
                        let identities = set.identities.iter().map(|i| i.uri.clone()).collect();
                        let info = Some("the subscription is barred".to_owned());
                        let rtr = rtr(identities, ReasonCode::PermanentTermination, info);
                        return to(registration, What::Termination { rtr, sets: vec![name] });
                    }
                    let document = user_data(subscriber, [set]);
                    let digest = digest(subscriber, &document);
                    let told = registration.profiles.get(&name) == Some(&digest);
                    let ppr = Ppr {
                        user_name: impi.to_owned(),
                        user_data: Some(document.into_bytes()),
                        charging: charging(subscriber),
                    };
                    let what = What::Profile { ppr, set: name, digest };
                    (!told).then(|| to(registration, what)).flatten()
                })
            } else {
                let rtr = rtr(lost.clone(), ReasonCode::PermanentTermination, removed());
                let push = to(&before, What::Termination { rtr, sets: lost.clone() });
                lost.iter().for_each(|name| before.end(name));
                push
            };
            *task = Task::Operation(OperationKind::Written { before });
            found
        }
    }
}

impl core::fmt::Display for What {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            What::Termination { .. } => "the end of his registration",
            What::Profile { .. } => "his new profile",
        })
    }
}
