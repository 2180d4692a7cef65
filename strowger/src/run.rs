//! Runs a plan: store, functions, relay, provisioner, control door, and who hears what they say.
//!
//! [`Process::build`] takes everything in and opens the listeners; [`Process::run`] runs it on the
//! calling thread until it is told to end through [`Process::handle`].

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use base::{Event, Report, Severity};
use engine::net::{Clock, ListenError, NOTICES, Notice, notices};
use engine::shard::{Crossing, Store, Tap};
use engine::{FunctionId, FunctionSpec, Handle, Listener, Live, LiveConfig, RelayConfig};

use crate::api::{self, Api, ApiConfig, ApiError};
use crate::assembly;
use crate::control::{Behind, Desk, Door, DoorError};
use crate::events::Events;
use crate::framing::framings;
use crate::http::Response;
use crate::log::Log;
use crate::observe::counts::Counting;
use crate::observe::{Counts, Observe, ShowError, Shown, Sources, Survey};
use crate::password::PasswordError;
use crate::plan::{Plan, Role};
use crate::provision::{Provisioner, Started};
use crate::recorder::{LIMITS, Recorder};
use crate::recordings::{Recordings, RecordingsError};
use crate::relay::RtpForward;
use crate::reload::{Reload, Reloadable};
use crate::resp_door;
use crate::shared;
use crate::sounds::{self, SoundsError};
use crate::state::State;
use crate::tls;

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Metrics or HEP cannot be shown.
    #[error(transparent)]
    Show(#[from] ShowError),
    /// There can be no API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The control door cannot be opened.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// A password cannot be read.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] tls::TlsFailure),
    /// The folder of recordings cannot be had.
    #[error(transparent)]
    Recordings(#[from] RecordingsError),
    /// There are sounds that cannot be played.
    #[error(transparent)]
    Sounds(#[from] SoundsError),
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
    /// The door for redis-cli.
    resp: Option<FunctionId>,
    desk: Arc<Desk>,
    recorder: Recorder,
    events: Events,
    survey: Arc<Survey>,
    counts: Arc<Counts>,
    shown: Arc<Mutex<Shown>>,
    api: Arc<Mutex<Api>>,
    /// What functions are built by, should one have to be built again.
    plan: Arc<Mutex<Plan>>,
    log: Log,
    /// What writes recordings, until the packet path is gone.
    files_of_calls: Option<JoinHandle<()>>,
    door: Option<Door>,
    started: Option<Box<dyn FnOnce() + Send>>,
    listen: Option<Listen>,
}

impl Process {
    /// Takes in the functions of a plan and opens their listeners; `files` are those of the store, if it
    /// has any.
    ///
    /// # Errors
    /// With advice for a person.
    pub fn build(
        plan: &Plan,
        store: impl Store + Send + 'static,
        files: Option<&State>,
        log: Log,
    ) -> Result<Process, StartError> {
        let sounds = sounds::load(plan.sounds_folder.as_deref())?;
        let plan = &Plan { sounds, ..plan.clone() };
        let tls = tls::load(plan)?;
        let connections_of_one = plan.connections;
        let floating = plan.shared.as_ref().map(|shared| shared.floating.clone());
        let floating = floating.unwrap_or_default();
        let config =
            LiveConfig { framings, tls, connections_of_one, floating, ..LiveConfig::default() };
        let mut live = Live::new(config)?;
        live.store(store)?;
        for (name, service, places) in assembly::topology(plan) {
            live.topology(&name, service, places);
        }
        let current = Arc::new(Mutex::new(plan.clone()));
        let mut keeper = None;
        if let Some(shared) = &plan.shared {
            let password = shared.password()?;
            if let Some(spec) = shared::keeper(plan, password.clone(), live.random()) {
                let id = live.add(spec)?;
                let (plan, mut random) = (plan.clone(), live.random());
                let rebuild = move || {
                    let anew = shared::keeper(&plan, password.clone(), random.fork());
                    anew.expect("the plan shared something before").function
                };
                live.rebuild(id, Box::new(rebuild));
                keeper = Some(id);
            }
        }
        let mut functions = BTreeMap::new();
        for role in Role::ALL.into_iter().filter(|role| plan.here.contains_key(role)) {
            let spec = assembly::function(plan, role, live.random());
            let id = live.add(spec)?;
            if plan.tls.is_closed(role) {
                live.demand_certificates(id);
            }
            let (current, mut random) = (Arc::clone(&current), live.random());
            let rebuild = move || assembly::function(&lock(&current), role, random.fork()).function;
            live.rebuild(id, Box::new(rebuild));
            functions.insert(role, id);
        }
        let mut files_of_calls = None;
        if functions.contains_key(&Role::Media) {
            let ports = plan.media_ports.clone();
            let recordings = plan.recordings.as_ref();
            let started =
                recordings.map(|plan| Recordings::start(&plan.folder, log)).transpose()?;
            let (recordings, thread) = started.unzip();
            files_of_calls = thread;
            let forward = RtpForward::recording(recordings);
            let config = RelayConfig { ports, xdp: plan.xdp, ..RelayConfig::default() };
            live.relay(config, forward)?;
        }
        let resp = resp_door::function(&plan.resp)?.map(|door| live.add(door)).transpose()?;
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
        let roles = functions.iter().map(|(role, id)| (role.as_str(), *id));
        let asked = roles.chain(keeper.map(|id| (shared::NAME, id))).collect();
        let survey = Arc::new(Survey::new(live.handle(), asked));
        let counts = Arc::<Counts>::default();
        let shown = Shown::nothing(Sources {
            handle: live.handle(),
            survey: Arc::clone(&survey),
            counts: Arc::clone(&counts),
            recorder: recorder.clone(),
            store: files.map(|files| files.store.clone()),
            since: live.now(),
            clock: live.clock(),
        });
        let sources = api::Sources {
            desk: Arc::clone(&desk),
            recorder: recorder.clone(),
            domain: plan.domain.clone(),
            log,
            clock: live.clock(),
        };
        let token = files.map_or(PathBuf::from("strowger.token"), |files| files.token.clone());
        let api = Api::closed(sources, token, live.random());
        Ok(Process {
            live,
            functions,
            resp,
            desk,
            recorder,
            events: Events::default(),
            survey,
            counts,
            shown: Arc::new(Mutex::new(shown)),
            api: Arc::new(Mutex::new(api)),
            plan: current,
            log,
            files_of_calls,
            door: None,
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
            let door = self.resp == Some(id);
            found.map_or(if door { "resp" } else { "?" }, |(role, _)| role.as_str())
        };
        self.live.listening().iter().map(|(id, listener)| (name(*id), *listener)).collect()
    }

    /// Opens the control door; `reload` is asked when the configuration is to be read anew.
    ///
    /// # Errors
    /// With advice.
    pub fn door(
        &mut self,
        path: &std::path::Path,
        reload: Option<Arc<Reload>>,
    ) -> Result<(), StartError> {
        let events = self.events.clone();
        let behind = Behind { desk: self.desk(), recorder: self.recorder(), events, reload };
        self.door = Some(Door::open(path, behind)?);
        Ok(())
    }

    /// Begins to show what happens, as the configuration says.
    ///
    /// # Errors
    /// With advice: a listener that cannot be opened, or what else the system refuses.
    pub fn observe(&mut self, observe: &Observe) -> Result<(), StartError> {
        Ok(lock(&self.shown).show(observe)?)
    }

    /// Where metrics are to be had, with the real ports.
    pub fn pages(&self) -> Vec<SocketAddr> {
        lock(&self.shown).pages()
    }

    /// Opens the HTTP API, if the configuration asks for it.
    ///
    /// # Errors
    /// With advice: a listener that cannot be opened, a token that cannot be had.
    pub fn api(&mut self, config: &ApiConfig) -> Result<(), StartError> {
        Ok(lock(&self.api).open(config)?)
    }

    /// Where the API is to be had, with the real ports.
    pub fn api_listening(&self) -> Vec<SocketAddr> {
        lock(&self.api).local()
    }

    /// What of this process follows its configuration.
    pub fn reloadable(&self) -> Reloadable {
        Reloadable {
            handle: self.handle(),
            functions: self.functions.clone(),
            plan: Arc::clone(&self.plan),
            shown: Arc::clone(&self.shown),
            api: Arc::clone(&self.api),
            log: self.log,
            clock: self.clock(),
        }
    }

    /// The time of log lines.
    pub fn clock(&self) -> Clock {
        self.live.clock()
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
        let Process { live, desk, recorder, events, survey, counts, log, door, shown, api, .. } =
            self;
        let (console, receiver) = notices(NOTICES);
        let console = Counting::new(console, Arc::clone(&counts));
        let pages = Pages { handle: live.handle(), shown: Arc::clone(&shown) };
        let answers =
            Answers { desk: Arc::clone(&desk), survey: Arc::clone(&survey), counts, events, pages };
        let (started, listen, files) = (self.started, self.listen, self.files_of_calls);
        let dispatch = move || dispatch(&receiver, log, &answers, started, listen);
        let dispatcher = std::thread::Builder::new().name("dispatcher".into()).spawn(dispatch)?;
        // The dispatcher ends with the console, which the loop owns.
        let mut record = recorder.tap();
        let both = move |now, crossing: &Crossing<'_>| {
            record.message(now, crossing);
            tap.message(now, crossing);
        };
        let result = live.run(both, console);
        drop(door);
        // What is left is shown to nobody.
        let _ = lock(&shown).show(&Observe::default());
        let _ = lock(&api).open(&ApiConfig::default());
        recorder.close();
        desk.close();
        survey.close();
        let _ = dispatcher.join();
        if let Some(files) = files {
            let _ = files.join();
        }
        result
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who waits for reports.
struct Answers {
    desk: Arc<Desk>,
    survey: Arc<Survey>,
    counts: Arc<Counts>,
    events: Events,
    pages: Pages,
}

/// The metrics for a function that was asked for them.
struct Pages {
    handle: Handle,
    shown: Arc<Mutex<Shown>>,
}

impl Pages {
    /// Hands them to the function. What they are made of comes by way of this thread: another one waits for it.
    fn tell(&self, function: FunctionId) {
        let (handle, metrics) = (self.handle.clone(), lock(&self.shown).metrics());
        let tell = move || {
            let Response { content_type, body, .. } = metrics();
            let text = String::from_utf8_lossy(&body).into_owned();
            // A function that is gone needs none.
            let _ = handle.order(function, media::Page { content_type, text }.order());
        };
        let _ = std::thread::Builder::new().name("metrics".into()).spawn(tell);
    }
}

/// How long the dispatcher rests after log lines: a loop that finds it at rest need not wake it for each.
const REST: Duration = Duration::from_millis(5);

/// Writes and remembers log lines and hands reports to those who wait for them.
fn dispatch(
    receiver: &Receiver<Notice>,
    log: Log,
    answers: &Answers,
    mut started: Option<Box<dyn FnOnce() + Send>>,
    mut listen: Option<Listen>,
) {
    let mut last = base::Instant::EPOCH;
    let mut take = |notice| match notice {
        Notice::Log { at, from, event } => {
            last = at;
            log.write(at, &from, &event);
            answers.events.note(at, &from, &event);
        }
        Notice::Report { at, function, name, report } => {
            last = at;
            let report = answers.desk.report(report);
            let report = report.and_then(|report| answers.survey.report(function, report));
            let Some(report) = report else { return };
            if report.0.is::<media::PageAsked>() {
                answers.pages.tell(function);
            } else if report.0.is::<Started>() {
                started.take().into_iter().for_each(|started| started());
            } else if let Some(listen) = &mut listen {
                listen(&name, report);
            }
        }
        Notice::Lost(lines) => {
            answers.counts.add_lost(lines);
            answers.events.lose(lines);
            let text = format!("{lines} log lines or reports were lost: standard error is slow");
            log.write(last, "engine", &Event::new(Severity::Warning, "log.lost", text));
        }
    };
    while let Ok(first) = receiver.recv() {
        let mut next = Some(first);
        let mut is_awaited = false;
        while let Some(notice) = next {
            is_awaited |= matches!(notice, Notice::Report { .. });
            take(notice);
            next = receiver.try_recv().ok();
        }
        // Whoever gets a report asks the next question at once.
        if !is_awaited {
            std::thread::sleep(REST);
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
