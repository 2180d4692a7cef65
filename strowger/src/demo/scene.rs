//! The scene: what happens in a demonstration, in order.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use auth::milenage::opc;
use base::flow::Service;
use base::machine::{Name, Order};
use base::redact::Secret;
use base::{Random, Transport};
use engine::net::{ListenError, NOTICES, Notice, notices};
use engine::{FunctionId, FunctionSpec, Handle, Listener, Live, LiveConfig, RelayConfig};
use hss::Subscriber;
use hss::subscriber::OperatorKey;
use ladder::Record;
use ladder::text::span;
use ue::{Audio, By, CallId, Credential, MediaReport, UeConfig, UeOrder, UeReport, What};

use super::{DOMAIN, Demo, DemoError, Heard, Join, Outcome};
use crate::phones::{TRIES, free_port};
use crate::plan::{Plan, Role};
use crate::provision::{Provision, Provisioner};
use crate::recorder::{LIMITS, Recorder};

/// How long any single step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Alice's and Bob's IMSI, number and voice.
const PEOPLE: [(&str, &str, &[u8]); 2] = [
    ("001010000000001", "15550101", rtp::prompts::ALICE),
    ("001010000000002", "15550102", rtp::prompts::BOB),
];

const NAMES: [&str; 2] = ["alice", "bob"];

impl Demo {
    /// Plays the scene. What goes wrong on the way is in [`Outcome::failures`].
    pub fn run(mut self) -> Result<Outcome, DemoError> {
        prepare(&self.out)?;
        let mut outcome = Outcome::default();
        let mut stage = Stage::build(&mut self)?;
        outcome.ready = self.begun.elapsed();
        outcome.join = Some(stage.join.clone());
        (self.progress)(&format!("network ready, P-CSCF at {}", stage.join.proxy));
        if let Err(failure) = stage.play(&mut self, &mut outcome) {
            outcome.failures.push(failure);
        }
        if self.stay {
            outcome.records = stage.records();
            write_files(&self.out, &mut outcome)?;
            return Ok(stage.stay(outcome));
        }
        let records = stage.end();
        outcome.records = records;
        write_files(&self.out, &mut outcome)?;
        Ok(outcome)
    }
}

/// Why there is no network.
enum Refusal {
    /// A function has not got its port.
    Port(ListenError),
    Other(DemoError),
}

impl From<DemoError> for Refusal {
    fn from(error: DemoError) -> Refusal {
        Refusal::Other(error)
    }
}

impl From<Refusal> for DemoError {
    fn from(refusal: Refusal) -> DemoError {
        match refusal {
            Refusal::Port(error) => DemoError::Start(error.to_string()),
            Refusal::Other(error) => error,
        }
    }
}

/// The running network.
struct Stage {
    handle: Handle,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    notices: Receiver<Notice>,
    recorder: Recorder,
    phones: [FunctionId; 2],
    functions: Vec<(Role, FunctionId)>,
    join: Join,
    voices: [Arc<[i16]>; 2],
}

impl Stage {
    /// A port that is free may be somebody else's before it is ours: then all begins anew.
    fn build(demo: &mut Demo) -> Result<Stage, DemoError> {
        let mut tries = 0;
        loop {
            match Stage::on_free_ports(demo) {
                Err(Refusal::Port(ListenError::InUse { .. })) if tries < TRIES => tries += 1,
                built => return built.map_err(DemoError::from),
            }
        }
    }

    fn on_free_ports(demo: &mut Demo) -> Result<Stage, Refusal> {
        let failed = |what: &dyn std::fmt::Display| DemoError::Start(what.to_string());
        let framings = crate::framing::framings;
        let config = LiveConfig { framings, ..LiveConfig::default() };
        let mut live = Live::new(config).map_err(|e| failed(&e))?;
        let mut random = live.random();
        let proxy = free_port(demo.address).map_err(|e| failed(&e))?;
        let mut plan = Plan::all_in_one(DOMAIN);
        plan.here.insert(Role::Pcscf, vec![proxy]);
        plan.media = vec![demo.address];
        let provisioner = live.add(provisioner()).map_err(|e| failed(&e))?;
        let alter = |spec| match &demo.alter {
            Some(alter) => alter(spec),
            None => spec,
        };
        let mut functions = Vec::new();
        for role in Role::USUAL {
            let spec = alter(crate::assembly::function(&plan, role, random.fork()));
            functions.push((role, live.add(spec).map_err(Refusal::Port)?));
        }
        let mut changes = Vec::new();
        let mut phones = Vec::new();
        let mut voices = Vec::new();
        for (n, (imsi, msisdn, voice)) in PEOPLE.into_iter().enumerate() {
            let (k, op) = (Secret::new(random.bytes()), Secret::new(random.bytes()));
            let numbers = [msisdn.to_owned()];
            let operator = OperatorKey::Op(op.clone());
            let subscriber =
                Subscriber::from_sim(imsi, &numbers, k.clone(), operator, [0x80, 0], DOMAIN)
                    .map_err(|e| failed(&e))?;
            changes.extend(hss::records(&subscriber));
            let credential = Credential::Sim {
                opc: opc(&k, &op),
                k,
                amf: [0x80, 0],
                sqn: auth::sqn::Sqn::new(0, 0),
            };
            let samples: Arc<[i16]> = rtp::wav::read(voice).map_err(|e| failed(&e))?.samples.into();
            voices.push(samples.clone());
            let at = free_port(demo.address).map_err(|e| failed(&e))?;
            let config = phone(&subscriber, credential, samples, at, proxy);
            let spec = alter(phone_spec(n, config, at, random.fork()));
            phones.push(live.add(spec).map_err(Refusal::Port)?);
        }
        let forward = demo.forward.take();
        let forward = forward.unwrap_or_else(|| Box::<crate::relay::RtpForward>::default());
        live.relay(RelayConfig::default(), forward).map_err(|e| failed(&e))?;
        let join = Join { proxy, name: "carol", password: random.token::<6>(), call: PEOPLE[1].1 };
        let password = Secret::new(join.password.clone());
        let carol = Subscriber::with_password(join.name, &password, &[], DOMAIN);
        changes.extend(hss::records(&carol.map_err(|e| failed(&e))?));
        let recorder = Recorder::start(LIMITS).map_err(|e| failed(&e))?;
        let tap = recorder.tap();
        let (console, notices) = notices(NOTICES);
        let handle = live.handle();
        let run = move || live.run(tap, console);
        let thread = std::thread::Builder::new().name("shard".to_owned()).spawn(run);
        let thread = Some(thread.map_err(|e| failed(&e))?);
        let order = Order(Box::new(Provision { number: 1, changes }));
        handle.order(provisioner, order).map_err(|e| failed(&e))?;
        if let Some(role) = demo.stop {
            for (_, id) in functions.iter().filter(|(r, _)| *r == role) {
                handle.stop_function(*id).map_err(|e| failed(&e))?;
            }
        }
        let pair = |list: Vec<_>| <[_; 2]>::try_from(list).ok();
        let phones = pair(phones).ok_or_else(|| failed(&"two phones"))?;
        let voices = <[_; 2]>::try_from(voices).map_err(|_| failed(&"two voices"))?;
        Ok(Stage { handle, thread, notices, recorder, phones, functions, join, voices })
    }

    /// Registers, calls, talks, hangs up, and deregisters unless others may join. The error is what
    /// went wrong, for a person.
    fn play(&mut self, demo: &mut Demo, outcome: &mut Outcome) -> Result<(), String> {
        for (n, name) in NAMES.into_iter().enumerate() {
            self.order(n, UeOrder::Register)?;
            let delay =
                self.hear(&format!("{name} to be registered"), |who, what| match what {
                    What::Registered { delay, .. } if who == n => Some(Ok(*delay)),
                    What::RegistrationFailed { status, reason, .. } if who == n => {
                        Some(Err(format!("{name} is not registered: {status} {reason}")))
                    }
                    _ => None,
                })??;
            outcome.registration[n] = Some(delay);
            (demo.progress)(&format!("{name} registered with the SIM in {}", span(delay)));
        }
        let call = self.call(demo, outcome)?;
        let begin = Instant::now();
        let words = self.voices.iter().map(|v| v.len()).max().unwrap_or(0) as u64;
        let words = Duration::from_millis(words / 8 + 300);
        (demo.progress)(&format!("both speak for {}", span(words)));
        self.wait(words)?;
        outcome.talk = begin.elapsed();
        self.order(0, UeOrder::Hangup(call))?;
        self.hang_up(demo, outcome)?;
        if demo.stay {
            (demo.progress)("both stay registered");
            return Ok(());
        }
        for (n, name) in NAMES.into_iter().enumerate() {
            self.order(n, UeOrder::Deregister)?;
            self.hear(&format!("{name} to be deregistered"), |who, what| {
                (who == n && matches!(what, What::Deregistered { .. })).then_some(())
            })?;
        }
        (demo.progress)("both deregistered");
        Ok(())
    }

    fn call(&mut self, demo: &mut Demo, outcome: &mut Outcome) -> Result<CallId, String> {
        let to = format!("tel:+{}", PEOPLE[1].1);
        (demo.progress)(&format!("alice calls {to}"));
        self.order(0, UeOrder::Call { to, token: 1 })?;
        let pdd = self.hear("bob's phone to ring", |who, what| match what {
            What::Ringing { delay, .. } if who == 0 => Some(Ok(*delay)),
            What::Ended { status, reason, .. } => Some(Err(format!("no call: {status} {reason}"))),
            _ => None,
        })??;
        outcome.post_dial_delay = Some(pdd);
        (demo.progress)(&format!("bob's phone rings after {}", span(pdd)));
        self.hear("bob to answer", |who, what| match what {
            What::Answered { call, .. } if who == 0 => Some(Ok(*call)),
            What::Ended { status, reason, .. } => Some(Err(format!("no call: {status} {reason}"))),
            _ => None,
        })?
    }

    fn hang_up(&mut self, demo: &mut Demo, outcome: &mut Outcome) -> Result<(), String> {
        let mut reports: [Option<MediaReport>; 2] = [None, None];
        while reports.iter().any(Option::is_none) {
            let (who, by, media) = self.hear("both phones to hang up", |who, what| match what {
                What::Ended { by, media, .. } => Some((who, *by, media.clone())),
                _ => None,
            })?;
            if by == By::Failure {
                outcome.failures.push(format!("{}'s call ended by a failure", NAMES[who]));
            }
            reports[who] = Some(*media);
        }
        (demo.progress)("alice hung up");
        for (n, report) in reports.into_iter().enumerate() {
            let Some(report) = report else { continue };
            let spoken = &self.voices[1 - n];
            let likeness = rtp::likeness::compare(spoken, &report.recording);
            let verdict = likeness.verdict();
            if verdict != rtp::likeness::Verdict::Same {
                let (hearer, speaker) = (NAMES[n], NAMES[1 - n]);
                let text = format!("{hearer} did not hear what {speaker} said: {verdict:?}");
                outcome.failures.push(text);
            }
            let path = demo.out.join(format!("{}-heard.wav", NAMES[n]));
            let wav = rtp::wav::write(8000, &report.recording).map_err(|e| e.to_string())?;
            match std::fs::write(&path, wav) {
                Ok(()) => outcome.files.push(("recording", path)),
                Err(e) => outcome.failures.push(format!("cannot write {}: {e}", path.display())),
            }
            outcome.heard[n] = Some(Heard { stats: report.stats, likeness });
        }
        Ok(())
    }

    fn order(&self, phone: usize, order: UeOrder) -> Result<(), String> {
        let order = Order(Box::new(order));
        self.handle.order(self.phones[phone], order).map_err(|e| format!("{}: {e}", NAMES[phone]))
    }

    /// Waits for a phone to say something in particular.
    fn hear<T>(
        &mut self,
        for_what: &str,
        mut wanted: impl FnMut(usize, &What) -> Option<T>,
    ) -> Result<T, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let notice = match self.notices.recv_timeout(left) {
                Ok(notice) => notice,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("waited {} s for {for_what}", PATIENCE.as_secs()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("the network stopped while waiting for {for_what}"));
                }
            };
            if let Some((who, report)) = self.phone_report(notice)
                && let Some(found) = wanted(who, &report.what)
            {
                return Ok(found);
            }
        }
    }

    /// Lets time pass; a call that ends meanwhile is an error.
    fn wait(&mut self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        loop {
            match self.notices.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err("the network stopped".to_owned()),
                Ok(notice) => {
                    if let Some((who, report)) = self.phone_report(notice)
                        && let What::Ended { status, reason, .. } = report.what
                    {
                        return Err(format!("{}'s call ended: {status} {reason}", NAMES[who]));
                    }
                }
            }
        }
    }

    fn phone_report(&self, notice: Notice) -> Option<(usize, UeReport)> {
        let Notice::Report { function, report, .. } = notice else { return None };
        let who = self.phones.iter().position(|phone| *phone == function)?;
        report.0.downcast::<UeReport>().ok().map(|report| (who, *report))
    }

    /// What crossed; key material is overwritten before anything is shown or written.
    fn records(&self) -> Vec<Record> {
        let mut records = self.recorder.snapshot().map_or_else(|_| Vec::new(), |all| all.records);
        records.iter_mut().for_each(ladder::redact);
        records
    }

    /// Stops everything and returns what was seen.
    fn end(mut self) -> Vec<Record> {
        let _ = self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let records = self.records();
        self.recorder.close();
        records
    }

    /// Goes on until the process is ended.
    fn stay(self, outcome: Outcome) -> Outcome {
        // The thread runs the network; nobody needs its notices any more.
        let Stage { thread, notices, recorder, functions, .. } = self;
        let _ = std::thread::Builder::new().name("drain".to_owned()).spawn(move || {
            let _kept_alive = (thread, recorder, functions);
            notices.iter().for_each(drop);
        });
        outcome
    }
}

/// Makes the folder and tries whether it takes files: nobody should learn that after the call.
fn prepare(out: &Path) -> Result<(), DemoError> {
    let trial = out.join(format!(".trial-{}", std::process::id()));
    let tried = std::fs::create_dir_all(out)
        .and_then(|()| std::fs::write(&trial, b""))
        .and_then(|()| std::fs::remove_file(&trial));
    tried.map_err(|error| DemoError::Folder { path: out.to_owned(), error })
}

fn write_files(out: &Path, outcome: &mut Outcome) -> Result<(), DemoError> {
    let correlation = ladder::Correlation::new(outcome.records.iter().cloned());
    let write = |name: &str, bytes: &[u8]| {
        let path = out.join(name);
        let result = std::fs::write(&path, bytes);
        result.map(|()| path.clone()).map_err(|error| DemoError::Write { path, error })
    };
    let capture = ladder::pcapng::write(correlation.records());
    outcome.files.push(("capture", write("call.pcapng", &capture)?));
    if let Some(call) = correlation.calls().next() {
        let page = ladder::html::render(&correlation.ladder(call));
        outcome.files.push(("ladder", write("ladder.html", page.as_bytes())?));
    }
    Ok(())
}

fn phone(
    subscriber: &Subscriber,
    credential: Credential,
    samples: Arc<[i16]>,
    at: SocketAddr,
    proxy: SocketAddr,
) -> UeConfig {
    let identity = format!("sip:{}", subscriber.impi);
    let mut config = UeConfig::new(&subscriber.impi, &identity, credential, DOMAIN);
    config.product = crate::PRODUCT.to_owned();
    config.contact = at.to_string();
    config.media.address = at.ip();
    config.audio = Audio { samples, repeat: false };
    config.incoming = ue::Incoming::Answer { ring: Duration::from_millis(300) };
    let host = match proxy.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    config.proxy = Some(Name {
        service: Service::Sip,
        host,
        port: Some(proxy.port()),
        transport: Some(Transport::Udp),
    });
    config
}

fn phone_spec(n: usize, config: UeConfig, at: SocketAddr, random: Random) -> FunctionSpec {
    let listener = |transport| Listener { service: Service::Sip, transport, addr: at };
    FunctionSpec {
        name: NAMES[n].to_owned(),
        hosts: Vec::new(),
        function: Box::new(ue::Ue::new(config, random)),
        listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
        tables: &[],
    }
}

fn provisioner() -> FunctionSpec {
    FunctionSpec {
        name: "provisioner".to_owned(),
        hosts: Vec::new(),
        function: Box::<Provisioner>::default(),
        listeners: Vec::new(),
        tables: &[],
    }
}
