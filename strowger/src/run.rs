//! Runs a plan: store, functions, relay, provisioner, control door, and who hears what they say.
//!
//! [`Process::build`] takes everything in and opens the listeners; [`Process::run`] runs it on the
//! calling thread until it is told to end through [`Process::handle`].

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use base::{Event, Report, Severity};
use engine::net::{ListenError, NOTICES, Notice, notices};
use engine::shard::{Crossing, Store, Tap};
use engine::{FunctionId, FunctionSpec, Handle, Listener, Live, LiveConfig, RelayConfig};

use crate::assembly;
use crate::control::{Desk, Door, DoorError};
use crate::framing::framings;
use crate::http;
use crate::log::Log;
use crate::observe::counts::Counting;
use crate::observe::{Counts, Observe, Sources, Survey, hep};
use crate::plan::{Plan, Role};
use crate::provision::{Provisioner, Started};
use crate::recorder::{LIMITS, Recorder};
use crate::relay::RtpForward;
use crate::tls;

/// What the listener for metrics is called in errors.
pub const METRICS: &str = "metrics";

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The control door cannot be opened.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] tls::TlsFailure),
    /// The system refuses what every program needs.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// Hears reports that are nobody else's: the function's name and the report.
pub type Listen = Box<dyn FnMut(&str, Report) + Send>;

/// A process that is ready to run.
pub struct Process {
    live: Live,
    functions: BTreeMap<Role, FunctionId>,
    desk: Arc<Desk>,
    recorder: Recorder,
    survey: Arc<Survey>,
    counts: Arc<Counts>,
    log: Log,
    door: Option<Door>,
    pages: Vec<http::Server>,
    started: Option<Box<dyn FnOnce() + Send>>,
    listen: Option<Listen>,
}

impl Process {
    /// Takes in the functions of a plan and opens their listeners.
    ///
    /// # Errors
    /// With advice for a person.
    pub fn build(
        plan: &Plan,
        store: impl Store + Send + 'static,
        log: Log,
    ) -> Result<Process, StartError> {
        let tls = tls::load(plan)?;
        let mut live = Live::new(LiveConfig { framings, tls, ..LiveConfig::default() })?;
        live.store(store);
        for (name, service, places) in assembly::topology(plan) {
            live.topology(&name, Some(service), places);
        }
        let mut functions = BTreeMap::new();
        for role in Role::ALL.into_iter().filter(|role| plan.here.contains_key(role)) {
            let spec = assembly::function(plan, role, live.random());
            let id = live.add(spec)?;
            if plan.tls.is_closed(role) {
                live.demand_certificates(id);
            }
            let (plan, mut random) = (plan.clone(), live.random());
            let rebuild = move || assembly::function(&plan, role, random.fork()).function;
            live.rebuild(id, Box::new(rebuild));
            functions.insert(role, id);
        }
        if functions.contains_key(&Role::Media) {
            let ports = plan.media_ports.clone();
            live.relay(RelayConfig { ports, ..RelayConfig::default() }, RtpForward::default())?;
        }
        // The last one, so that all others are started when it is.
        let provisioner = live.add(FunctionSpec {
            name: "provisioner".to_owned(),
            hosts: Vec::new(),
            function: Box::new(Provisioner::default()),
            listeners: Vec::new(),
            tables: &[],
        })?;
        live.rebuild(provisioner, Box::new(|| Box::new(Provisioner::default())));
        let desk =
            Arc::new(Desk::new(live.handle(), provisioner, functions.get(&Role::Hss).copied()));
        let recorder = Recorder::start(LIMITS)?;
        let asked = functions.iter().map(|(role, id)| (*role, *id)).collect();
        let survey = Arc::new(Survey::new(live.handle(), asked));
        Ok(Process {
            live,
            functions,
            desk,
            recorder,
            survey,
            counts: Arc::default(),
            log,
            door: None,
            pages: Vec::new(),
            started: None,
            listen: None,
        })
    }

    /// The loop, for functions beyond the plan, and for where it listens.
    pub fn live(&mut self) -> &mut Live {
        &mut self.live
    }

    /// The functions of the plan.
    pub fn functions(&self) -> &BTreeMap<Role, FunctionId> {
        &self.functions
    }

    /// For other threads.
    pub fn handle(&self) -> Handle {
        self.live.handle()
    }

    /// Asks the provisioner, from other threads while the process runs.
    pub fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.desk)
    }

    /// What crossed, for other threads while the process runs.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Where the process listens: the function's name and the listener with its real port.
    pub fn listening(&self) -> Vec<(&'static str, Listener)> {
        let name = |id: FunctionId| {
            let found = self.functions.iter().find(|(_, other)| **other == id);
            found.map_or("?", |(role, _)| role.as_str())
        };
        self.live.listening().iter().map(|(id, listener)| (name(*id), *listener)).collect()
    }

    /// Opens the control door.
    ///
    /// # Errors
    /// With advice.
    pub fn door(&mut self, path: &std::path::Path) -> Result<(), StartError> {
        self.door = Some(Door::open(path, self.desk(), self.recorder())?);
        Ok(())
    }

    /// Begins to show what happens, as the configuration says; `store` is the store's file.
    ///
    /// # Errors
    /// With advice: a listener that cannot be opened, or what else the system refuses.
    pub fn observe(&mut self, observe: &Observe, store: Option<PathBuf>) -> Result<(), StartError> {
        let hep = match observe.hep {
            Some(collector) => Some(hep::start(collector, observe.hep_id, &self.recorder)?),
            None => None,
        };
        for address in &observe.metrics {
            let page = http::Server::bind(*address).map_err(|error| refused(*address, error))?;
            let sources = Sources {
                handle: self.handle(),
                survey: Arc::clone(&self.survey),
                counts: Arc::clone(&self.counts),
                recorder: self.recorder(),
                store: store.clone(),
                hep: hep.clone(),
                since: self.live.now(),
            };
            page.serve(sources.handler())?;
            self.pages.push(page);
        }
        Ok(())
    }

    /// Where metrics are to be had, with the real ports.
    pub fn pages(&self) -> Vec<SocketAddr> {
        self.pages.iter().map(http::Server::local).collect()
    }

    /// What is to happen once all functions are started.
    pub fn on_started(&mut self, started: impl FnOnce() + Send + 'static) {
        self.started = Some(Box::new(started));
    }

    /// Who hears reports that are not the provisioner's.
    pub fn on_report(&mut self, listen: impl FnMut(&str, Report) + Send + 'static) {
        self.listen = Some(Box::new(listen));
    }

    /// Runs until the handle says stop, or a drain is over. The tap sees what the recorder sees.
    ///
    /// # Errors
    /// If the system no longer tells of events.
    pub fn run(self, mut tap: impl Tap) -> io::Result<()> {
        let Process { live, desk, recorder, survey, counts, log, door, pages, .. } = self;
        let (console, receiver) = notices(NOTICES);
        let console = Counting::new(console, Arc::clone(&counts));
        let answers = Answers { desk: Arc::clone(&desk), survey: Arc::clone(&survey), counts };
        let (started, listen) = (self.started, self.listen);
        let dispatch = move || dispatch(&receiver, log, &answers, started, listen);
        let dispatcher = std::thread::Builder::new().name("dispatcher".into()).spawn(dispatch)?;
        // The dispatcher ends with the console, which the loop owns.
        let mut record = recorder.tap();
        let both = move |now, crossing: &Crossing<'_>| {
            record.message(now, crossing);
            tap.message(now, crossing);
        };
        let result = live.run(both, console);
        drop((door, pages));
        recorder.close();
        desk.close();
        survey.close();
        let _ = dispatcher.join();
        result
    }
}

/// The system's refusal to open a listener of ours.
fn refused(addr: SocketAddr, error: io::Error) -> ListenError {
    let (name, transport) = (METRICS.to_owned(), base::Transport::Tcp);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = engine::net::holder(transport, addr);
            ListenError::InUse { name, transport, addr, holder }
        }
        _ => ListenError::Refused { name, transport, addr, error },
    }
}

/// Who waits for reports.
struct Answers {
    desk: Arc<Desk>,
    survey: Arc<Survey>,
    counts: Arc<Counts>,
}

/// Writes log lines and hands reports to those who wait for them.
fn dispatch(
    receiver: &Receiver<Notice>,
    log: Log,
    answers: &Answers,
    mut started: Option<Box<dyn FnOnce() + Send>>,
    mut listen: Option<Listen>,
) {
    let mut last = base::Instant::EPOCH;
    for notice in receiver {
        match notice {
            Notice::Log { at, from, event } => {
                last = at;
                log.write(at, &from, &event);
            }
            Notice::Report { at, function, name, report } => {
                last = at;
                let report = answers.desk.report(report);
                let report = report.and_then(|report| answers.survey.report(function, report));
                let Some(report) = report else { continue };
                if report.0.is::<Started>() {
                    started.take().into_iter().for_each(|started| started());
                } else if let Some(listen) = &mut listen {
                    listen(&name, report);
                }
            }
            Notice::Lost(lines) => {
                answers.counts.add_lost(lines);
                let text =
                    format!("{lines} log lines or reports were lost: standard error is slow");
                log.write(last, "engine", &Event::new(Severity::Warning, "log.lost", text));
            }
        }
    }
}

/// The file that is read when none is named.
pub const FILE: &str = "strowger.toml";

/// The configuration file: the one that is named, else `$STROWGER_CONFIG`, else `strowger.toml` of
/// the current folder if it is there.
pub fn config_file(option: Option<PathBuf>) -> Option<PathBuf> {
    let variable = || std::env::var_os("STROWGER_CONFIG").filter(|v| !v.is_empty());
    option
        .or_else(|| variable().map(PathBuf::from))
        .or_else(|| Some(PathBuf::from(FILE)).filter(|path| path.is_file()))
}
