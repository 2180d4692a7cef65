//! The machine: each Cx request is a small job, load, decide, perhaps commit, answer. Jobs of one
//! private identity run one after the other, so that none sees another's half-done work. So does what
//! an operator did, of which the S-CSCF is told (`operation`).

mod operation;
mod refresh;

use std::collections::{BTreeMap, VecDeque};

use auth::sqn::Generator;
use base::census::{self, Census};
use base::machine::{Deadline, Function, Input, Output};
use base::store::{Change, CommitId, Durability, LoadId, StoreError, Table};
use base::{Event, Instant, Random, Severity};
use bytes::Bytes;
use diameter::cx::{self, Body, Lir, Maa, Mar, Sar, Uar};
use diameter::dictionary::{
    FEATURE_LIST, FEATURE_LIST_ID, SUPPORTED_FEATURES, VENDOR_3GPP, VENDOR_ID,
};
use diameter::header::Flags;
use diameter::node::{self, AnswerHandle, NodeConfig, RequestId};
use diameter::{ExperimentalCode, Fault, Message, Node, Outcome, ResultCode, Writer};

use operation::{Debts, Push, Task};
pub use operation::{Operation, OperationKind};
use refresh::Refresh;

use crate::authentication::{self, Refusal, Wanted};
use crate::profile::FilterCriteria;
use crate::psi::Psi;
use crate::records;
use crate::registration::{Decision, Former, Known, Registration, check_sar};
use crate::subscriber::{Subscriber, canonical};

/// SEQs that are reserved in the store at a time.
const BLOCK: u64 = 32;

/// Registration states that are kept beside the store: the rest is read again when it is needed.
const MOST_REGISTRATIONS: usize = 512;

/// The commands that an HSS answers.
pub const SERVES: [u32; 4] = [Uar::COMMAND, Mar::COMMAND, Sar::COMMAND, Lir::COMMAND];

/// The configuration of an [`Hss`].
#[derive(Clone, Debug)]
pub struct HssConfig {
    /// The Diameter node. The HSS adds Cx to its applications if it is not there.
    pub node: NodeConfig,
    /// SIP URIs of S-CSCFs that are recommended for new registrations, best first.
    pub scscfs: Vec<String>,
    /// Filter criteria that every subscriber has beside his own.
    pub criteria: Vec<FilterCriteria>,
    /// Public service identities.
    pub psis: Vec<Psi>,
}

/// Home Subscriber Server.
#[derive(Debug)]
pub struct Hss {
    node: Node,
    random: Random,
    scscfs: Vec<String>,
    criteria: Vec<FilterCriteria>,
    psis: Vec<Psi>,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    /// Jobs that wait for another of the same private identity; the key is there while one runs.
    busy: BTreeMap<String, VecDeque<u64>>,
    sqn: BTreeMap<String, Generator>,
    registrations: BTreeMap<String, Registration>,
    /// Jobs that wait for an S-CSCF's answer.
    pushed: BTreeMap<RequestId, u64>,
    debts: Debts,
    refresh: Refresh,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Job {
    /// Who waits for the answer; nobody, if an operator began it.
    handle: Option<AnswerHandle>,
    command: Command,
    /// The public identities, in canonical form; only a SAR may have other than one.
    impus: Vec<String>,
    impi: Option<String>,
    locked: bool,
    subscriber: Option<Subscriber>,
    step: Step,
}

#[derive(Debug)]
enum Command {
    Uar(Uar),
    Mar(Box<Mar>),
    Sar(Sar),
    Lir(Lir),
    Task(Task),
}

impl Job {
    fn new(
        handle: Option<AnswerHandle>,
        command: Command,
        impus: Vec<String>,
        impi: Option<String>,
    ) -> Job {
        Job { handle, command, impus, impi, locked: false, subscriber: None, step: Step::Owner }
    }
}

/// What a job waits for.
#[derive(Debug)]
enum Step {
    /// The private identity of its public one.
    Owner,
    /// Its turn.
    Turn,
    /// The subscriber.
    Subscriber,
    /// Whether a public identity that is not the subscriber's is somebody else's.
    Stranger,
    /// The registration state.
    Registration,
    /// The reserved sequence numbers.
    Sqn,
    /// A block of sequence numbers, then vectors.
    Block { count: u32, limit: u64 },
    /// A change of registration state, then the answer.
    Commit { outcome: Outcome, avps: Writer, after: Registration, former: Option<Former> },
    /// The S-CSCF's answer.
    Push(Push),
    /// What that means for the registration state.
    Settle { after: Registration },
}

impl Hss {
    /// An HSS with an empty memory; see [`records()`](crate::records()) for how subscribers get into the store.
    pub fn new(mut config: HssConfig, mut random: Random) -> Hss {
        if config.node.applications.iter().all(|a| a.id != cx::APPLICATION) {
            config.node.applications.push(cx::application(&SERVES));
        }
        Hss {
            node: Node::new(config.node, random.fork()),
            random,
            scscfs: config.scscfs,
            criteria: config.criteria,
            psis: config.psis,
            jobs: BTreeMap::new(),
            next_job: 0,
            busy: BTreeMap::new(),
            sqn: BTreeMap::new(),
            registrations: BTreeMap::new(),
            pushed: BTreeMap::new(),
            debts: Debts::default(),
            refresh: Refresh::default(),
            outputs: VecDeque::new(),
        }
    }

    /// How many things are alive.
    pub fn census(&self) -> Census {
        let assigned = self.registrations.values().filter(|r| r.scscf.is_some()).count();
        Census(vec![
            ("Cx requests", self.jobs.len().max(self.node.pending().1)),
            ("busy identities", self.busy.len()),
            ("users with an S-CSCF", assigned),
        ])
    }

    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.node.poll_event() {
            match event {
                node::Event::Request { handle, message } => self.begin(now, handle, &message),
                node::Event::Answer { id, message } => self.answered(now, id, Ok(&message)),
                node::Event::Failed { id, reason } => self.answered(now, id, Err(reason)),
                node::Event::PeerUp { host, .. } => self.pay(&host),
                node::Event::PeerDown { .. } => {}
            }
        }
    }

    fn begin(&mut self, now: Instant, handle: AnswerHandle, message: &Message) {
        if let Some(features) = unsupported_features(message) {
            let outcome = ExperimentalCode::ERROR_FEATURE_UNSUPPORTED.into();
            return self.node.answer(now, handle, outcome, features);
        }
        let (command, impi, impus) = match parse(message) {
            Ok(parsed) => parsed,
            Err(fault) => return self.node.refuse(now, handle, &fault),
        };
        let canonical: Option<Vec<String>> = impus.iter().map(|impu| canonical(impu)).collect();
        // What is no identity at all is nobody's.
        let Some(impus) = canonical else {
            let outcome = ExperimentalCode::ERROR_USER_UNKNOWN.into();
            return self.node.answer(now, handle, outcome, cx::common());
        };
        let (known, first) = (impi.is_some(), impus.first().cloned());
        let id = self.new_job(Job::new(Some(handle), command, impus, impi));
        match first {
            Some(impu) if !known => self.load(id, Step::Owner, records::IDENTITY, &impu),
            _ => self.lock(id),
        }
    }

    fn new_job(&mut self, job: Job) -> u64 {
        self.next_job += 1;
        self.jobs.insert(self.next_job, job);
        self.next_job
    }

    /// Waits for the turn of the job's private identity, then loads the subscriber.
    fn lock(&mut self, id: u64) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(impi) = job.impi.clone() else { return };
        if let Some(queue) = self.busy.get_mut(&impi) {
            job.step = Step::Turn;
            queue.push_back(id);
        } else {
            job.locked = true;
            self.busy.insert(impi.clone(), VecDeque::new());
            self.load(id, Step::Subscriber, records::SUBSCRIBER, &impi);
        }
    }

    fn load(&mut self, id: u64, step: Step, table: Table, key: &str) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.step = step;
            let key = Bytes::copy_from_slice(key.as_bytes());
            self.outputs.push_back(Output::Load { load: LoadId(id), table, key });
        }
    }

    fn loaded(&mut self, now: Instant, id: u64, value: Result<Option<Bytes>, StoreError>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let value = match value {
            Ok(value) => value,
            Err(error) => return self.store_failed(now, id, &error.to_string()),
        };
        let impi = job.impi.clone().unwrap_or_default();
        let result = match &job.step {
            Step::Owner => match value.as_deref().map(records::parse_identity).transpose() {
                Ok(Some(impi)) => {
                    job.impi = Some(impi);
                    return self.lock(id);
                }
                Ok(None) => return self.nobodys(now, id),
                Err(error) => Err(error),
            },
            Step::Subscriber => match value.as_deref().map(records::parse_subscriber).transpose() {
                Ok(Some(mut subscriber)) => {
                    subscriber.share(&self.criteria);
                    job.subscriber = Some(subscriber);
                    return self.check_identities(now, id);
                }
                Ok(None) if matches!(job.command, Command::Task(_)) => {
                    self.sqn.remove(&impi);
                    return self.decide(now, id);
                }
                Ok(None) => {
                    // Removed: should he come back, nothing old is his.
                    self.registrations.remove(&impi);
                    self.sqn.remove(&impi);
                    return self.finish_error(now, id, unknown());
                }
                Err(error) => Err(error),
            },
            // TS 29.228 §6.1.1.1: known, but not together.
            Step::Stranger => {
                let outcome = match value {
                    Some(_) => ExperimentalCode::ERROR_IDENTITIES_DONT_MATCH.into(),
                    None => unknown(),
                };
                return self.finish_error(now, id, outcome);
            }
            Step::Registration => value
                .as_deref()
                .map_or(Ok(Registration::default()), records::parse_registration)
                .map(|registration| drop(self.registrations.insert(impi, registration))),
            Step::Sqn => value.as_deref().map_or(Ok(1), records::parse_sqn).map(|limit| {
                self.sqn.insert(impi, Generator::new(limit));
            }),
            _ => return,
        };
        match result {
            Ok(()) => self.decide(now, id),
            Err(error) => self.store_failed(now, id, &error.to_string()),
        }
    }

    /// A public identity that no subscriber has: it may be that of a service.
    fn nobodys(&mut self, now: Instant, id: u64) {
        let Some(job) = self.jobs.get(&id) else { return };
        let psi = job.impus.first().and_then(|impu| Psi::find(&self.psis, impu));
        let decided = match (psi, &job.command) {
            (Some(psi), Command::Lir(_)) => Ok(psi.locate(&self.scscfs)),
            (Some(psi), Command::Sar(sar)) => {
                psi.assign(sar).map(|avps| (ResultCode::SUCCESS.into(), avps))
            }
            _ => Err(unknown()),
        };
        match decided {
            Ok((outcome, avps)) => self.finish(now, id, outcome, avps),
            Err(outcome) => self.finish_error(now, id, outcome),
        }
    }

    fn check_identities(&mut self, now: Instant, id: u64) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(subscriber) = &job.subscriber else { return };
        let stranger = job.impus.iter().find(|impu| subscriber.set_of(impu).is_none()).cloned();
        match stranger {
            Some(impu) => self.load(id, Step::Stranger, records::IDENTITY, &impu),
            None => self.decide(now, id),
        }
    }

    /// Everything is at hand, or is loaded now and this is called again.
    fn decide(&mut self, now: Instant, id: u64) {
        let Some(job) = self.jobs.get(&id) else { return };
        if let Command::Task(_) = job.command {
            return self.push(now, id);
        }
        let (Some(impi), Some(subscriber)) = (job.impi.clone(), &job.subscriber) else { return };
        let Some(registration) = self.registrations.get_mut(&impi) else {
            return self.load(id, Step::Registration, records::REGISTRATION, &impi);
        };
        registration.retain(subscriber);
        let known = Known { subscriber, registration, scscfs: &self.scscfs };
        let impu = job.impus.first().map_or("", String::as_str);
        let decided = match &job.command {
            Command::Uar(uar) => known.authorize(uar, impu),
            Command::Lir(lir) => known.locate(lir, impu),
            Command::Sar(sar) => {
                let request = job.handle.as_ref().map(AnswerHandle::request);
                let repeated = request.is_some_and(|r| r.header().flags.has(Flags::RETRANSMITTED));
                known.assign(sar, &job.impus, request.and_then(Message::origin_host), repeated)
            }
            Command::Task(_) => return,
            Command::Mar(_) => return self.authenticate(now, id, &impi),
        };
        match decided {
            Ok(decision) if decision.after == *registration => {
                self.finish(now, id, decision.outcome, decision.avps);
            }
            Ok(decision) => {
                let change = records::registration_record(&impi, &decision.after);
                let Decision { outcome, avps, after, former } = decision;
                self.commit(id, Step::Commit { outcome, avps, after, former }, vec![change]);
            }
            Err(outcome) => self.finish_error(now, id, outcome),
        }
    }

    /// MAR, TS 29.228 §6.3.1.
    fn authenticate(&mut self, now: Instant, id: u64, impi: &str) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (Command::Mar(mar), Some(subscriber)) = (&job.command, &job.subscriber) else { return };
        let (count, resync) = match authentication::wanted(mar, &subscriber.credential) {
            Ok(Wanted::Aka { count, resync }) => (count, resync),
            Ok(Wanted::Digest(items)) => return self.give(now, id, items),
            Err(Refusal::Outcome(outcome)) => return self.finish_error(now, id, outcome),
            Err(Refusal::Fault(fault)) => return self.finish_fault(now, id, &fault),
        };
        let Some(generator) = self.sqn.get_mut(impi) else {
            return self.load(id, Step::Sqn, records::SQN, impi);
        };
        if let Some((rand, auts)) = resync {
            let scscf = self.registrations.get(impi).and_then(|r| r.scscf.as_deref());
            let foreign = scscf.is_some_and(|name| name != mar.server_name);
            let sqn = authentication::sqn_ms(&subscriber.credential, &rand, &auts);
            let Some(sqn) = sqn.filter(|_| !foreign) else {
                let text = format!("{impi}: a synchronisation failure that is not the SIM's");
                self.tell(Event::new(Severity::Warning, "hss.bad_auts", text).impi(impi));
                let outcome = ResultCode::UNABLE_TO_COMPLY.into();
                return self.finish(now, id, outcome, cx::common());
            };
            generator.resynchronise(sqn);
        }
        let (left, limit) = (generator.left(), generator.limit() + BLOCK);
        if resync.is_some() {
            let text = format!("{impi}: sequence numbers follow the SIM's");
            self.tell(Event::new(Severity::Info, "hss.resynchronised", text).impi(impi));
        }
        if left < u64::from(count) {
            let change = records::sqn_record(impi, limit);
            return self.commit(id, Step::Block { count, limit }, vec![change]);
        }
        self.make_vectors(now, id, count);
    }

    fn make_vectors(&mut self, now: Instant, id: u64, count: u32) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (Some(impi), Some(subscriber)) = (&job.impi, &job.subscriber) else { return };
        let Some(generator) = self.sqn.get_mut(impi) else { return };
        let mut items = Vec::new();
        for number in 1..=count {
            let sqn = generator.generate();
            items.extend(sqn.and_then(|sqn| {
                authentication::item(&subscriber.credential, sqn, number, &mut self.random)
            }));
        }
        if items.is_empty() {
            return self.finish_error(now, id, ResultCode::UNABLE_TO_COMPLY.into());
        }
        self.give(now, id, items);
    }

    /// Hands authentication data to the S-CSCF and remembers that it has it. That is written behind:
    /// what is lost with it is only an authentication that was not completed.
    fn give(&mut self, now: Instant, id: u64, items: Vec<cx::AuthData>) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (Command::Mar(mar), Some(subscriber), Some(impi)) =
            (&job.command, &job.subscriber, &job.impi)
        else {
            return;
        };
        let Some(registration) = self.registrations.get_mut(impi) else { return };
        let known = Known { subscriber, registration, scscfs: &self.scscfs };
        let impu = job.impus.first().map_or("", String::as_str);
        let after = match known.challenged(impu, &mar.server_name) {
            Ok(after) => after,
            Err(outcome) => return self.finish_error(now, id, outcome),
        };
        let maa = Maa {
            user_name: Some(impi.clone()),
            public_identity: Some(mar.public_identity.clone()),
            auth_data: items,
        };
        if after != *registration {
            self.outputs.push_back(Output::Store {
                durability: Durability::Behind,
                changes: vec![records::registration_record(impi, &after)],
                commit: None,
            });
            *registration = after;
        }
        self.finish(now, id, ResultCode::SUCCESS.into(), cx::answer(&maa));
    }

    fn commit(&mut self, id: u64, step: Step, changes: Vec<Change>) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.step = step;
            let commit = Some(CommitId(id));
            let durability = Durability::Before;
            self.outputs.push_back(Output::Store { durability, changes, commit });
        }
    }

    fn committed(&mut self, now: Instant, id: u64, result: Result<(), StoreError>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if !matches!(job.step, Step::Block { .. } | Step::Commit { .. } | Step::Settle { .. }) {
            return;
        }
        if let Err(error) = result {
            return self.store_failed(now, id, &error.to_string());
        }
        let impi = job.impi.clone().unwrap_or_default();
        match core::mem::replace(&mut job.step, Step::Turn) {
            Step::Block { count, limit } => {
                if let Some(generator) = self.sqn.get_mut(&impi) {
                    generator.reserved(limit);
                }
                self.make_vectors(now, id, count);
            }
            Step::Commit { outcome, avps, after, former } => {
                self.registrations.insert(impi.clone(), after);
                self.finish(now, id, outcome, avps);
                if let Some(former) = former {
                    self.relieve(impi, former);
                }
            }
            Step::Settle { after } => {
                self.registrations.insert(impi, after);
                self.push(now, id);
            }
            _ => {}
        }
    }

    fn store_failed(&mut self, now: Instant, id: u64, error: &str) {
        let impi = self.jobs.get(&id).and_then(|job| job.impi.clone());
        let whose = impi.as_deref().unwrap_or_default();
        let text = format!("a request for {whose:?} was refused: {error}");
        let event = Event::new(Severity::Error, "hss.store_failed", text);
        self.tell(impi.into_iter().fold(event, Event::impi));
        self.finish(now, id, ResultCode::UNABLE_TO_COMPLY.into(), cx::common());
    }

    fn finish_error(&mut self, now: Instant, id: u64, outcome: Outcome) {
        let whose = self.jobs.get(&id).and_then(|job| {
            let command = job.handle.as_ref()?.request().header().command;
            Some((command, job.impi.clone(), job.impus.first().cloned()))
        });
        if let Some((command, impi, impu)) = whose
            && let Some(whose) = impi.as_ref().or(impu.as_ref())
        {
            let text = format!("command {command} for {whose}: {outcome}");
            let mut event = Event::new(Severity::Info, "hss.request_refused", text);
            event = impi.into_iter().fold(event, Event::impi);
            self.tell(impu.into_iter().fold(event, Event::impu));
        }
        self.finish(now, id, outcome, cx::common());
    }

    fn finish_fault(&mut self, now: Instant, id: u64, fault: &Fault) {
        if let Some(job) = self.jobs.remove(&id) {
            if let Some(handle) = job.handle.clone() {
                self.node.refuse(now, handle, fault);
            }
            self.unlock(id, &job);
        }
    }

    fn finish(&mut self, now: Instant, id: u64, outcome: Outcome, mut avps: Writer) {
        if let Some(job) = self.jobs.remove(&id) {
            if let Some(handle) = job.handle.clone() {
                // TS 29.229 §7.2.1: whoever told his features is told ours.
                if handle.request().all(SUPPORTED_FEATURES).next().is_some() {
                    cx::write_features(&mut avps, FEATURES);
                }
                self.node.answer(now, handle, outcome, avps);
            }
            self.unlock(id, &job);
        }
    }

    /// A job is over: the next of its private identity gets its turn.
    fn unlock(&mut self, id: u64, job: &Job) {
        self.looked_at(id);
        let Some(impi) = job.impi.as_ref().filter(|_| job.locked) else { return };
        let mut queue = self.busy.remove(impi).unwrap_or_default();
        if let Some(next) = queue.pop_front() {
            self.busy.insert(impi.clone(), queue);
            if let Some(job) = self.jobs.get_mut(&next) {
                job.locked = true;
            }
            self.load(next, Step::Subscriber, records::SUBSCRIBER, impi);
        } else if self.registrations.len() > MOST_REGISTRATIONS {
            // The store has it.
            self.registrations.remove(impi);
        }
    }

    fn restored(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let Ok(impi) = core::str::from_utf8(key) else { return };
        let impi = impi.to_owned();
        let result = match table {
            records::SQN => records::parse_sqn(value).map(|limit| {
                self.sqn.insert(impi.clone(), Generator::new(limit));
            }),
            records::REGISTRATION => records::parse_registration(value)
                .map(|state| drop(self.registrations.insert(impi.clone(), state))),
            _ => Ok(()),
        };
        if let Err(error) = result {
            let text = format!("{} of {impi}: {error}", table.0);
            self.tell(Event::new(Severity::Error, "hss.bad_record", text).impi(impi));
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Log(event));
    }
}

impl Function for Hss {
    fn handle(&mut self, now: Instant, input: Input) {
        match self.node.handle(now, input) {
            Some(Input::Restored { table, key, value }) => self.restored(table, &key, &value),
            Some(Input::Order(order)) if census::Ask::is(&order) => {
                self.outputs.push_back(self.census().into());
            }
            Some(Input::Order(order)) => match order.take::<Vec<Operation>>() {
                Ok(operations) => operations.into_iter().for_each(|one| self.operate(one)),
                Err(order) => {
                    if let Ok(config) = order.take() {
                        self.configure(config);
                    }
                }
            },
            Some(Input::Scanned { load, keys }) => self.scanned(load, keys),
            Some(Input::Loaded { load, value }) => self.loaded(now, load.0, value),
            Some(Input::Committed { commit, result }) => self.committed(now, commit.0, result),
            _ => {}
        }
        self.pump(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.node.poll_output())
    }

    fn deadline(&self) -> Option<Deadline> {
        self.node.deadline()
    }

    fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }
}

fn unknown() -> Outcome {
    ExperimentalCode::ERROR_USER_UNKNOWN.into()
}

type Parsed = (Command, Option<String>, Vec<String>);

fn parse(message: &Message) -> Result<Parsed, Fault> {
    Ok(match message.header().command {
        Uar::COMMAND => {
            let uar = Uar::parse(message)?;
            let names = (Some(uar.user_name.clone()), vec![uar.public_identity.clone()]);
            (Command::Uar(uar), names.0, names.1)
        }
        Mar::COMMAND => {
            let mar = Mar::parse(message)?;
            let names = (Some(mar.user_name.clone()), vec![mar.public_identity.clone()]);
            (Command::Mar(Box::new(mar)), names.0, names.1)
        }
        Sar::COMMAND => {
            let sar = Sar::parse(message)?;
            check_sar(&sar)?;
            let names = (sar.user_name.clone(), sar.public_identities.clone());
            (Command::Sar(sar), names.0, names.1)
        }
        Lir::COMMAND => {
            let lir = Lir::parse(message)?;
            let impus = vec![lir.public_identity.clone()];
            (Command::Lir(lir), None, impus)
        }
        _ => return Err(Fault::of(ResultCode::COMMAND_UNSUPPORTED)),
    })
}

/// What we support of Feature-List 1.
const FEATURES: u32 = cx::IMS_RESTORATION;

/// TS 29.229 §7.2.1: features that the sender insists on (M-bit) and that we do not have. The answer lists
/// what we support.
fn unsupported_features(message: &Message) -> Option<Writer> {
    let mut lists = message.all(SUPPORTED_FEATURES).filter(|avp| avp.is_mandatory());
    let list = lists.find_map(|avp| {
        let number = |key| avp.members().find(key)?.u32().ok();
        let (vendor, id) = (number(VENDOR_ID).unwrap_or(0), number(FEATURE_LIST_ID).unwrap_or(0));
        let ours = if (vendor, id) == (VENDOR_3GPP, 1) { FEATURES } else { 0 };
        number(FEATURE_LIST).filter(|bits| bits & !ours != 0).map(|_| (vendor, id, ours))
    });
    list.map(|(vendor, id, ours)| {
        let mut out = cx::common();
        out.group(SUPPORTED_FEATURES, |group| {
            group.u32(VENDOR_ID, vendor).u32(FEATURE_LIST_ID, id).u32(FEATURE_LIST, ours);
        });
        out
    })
}
