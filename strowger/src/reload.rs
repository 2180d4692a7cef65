//! A changed configuration, taken over while the process runs: in one step, or not at all.
//!
//! Whatever can be refused (the file, a listener) is tried first. Then the engine is handed the places
//! of all names and an order for every function as one command, so that no call sees half of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Event, Severity};
use engine::net::{Change, Clock, HandleError, Places};
use engine::{FunctionId, Handle};

use crate::api::{Api, ApiError};
use crate::assembly;
use crate::config::{Changes, Config};
use crate::log::Log;
use crate::observe::{ShowError, Shown};
use crate::plan::{Plan, Role};
use crate::sounds::{self, SoundsError};
use crate::tls::{self, TlsFailure};

/// Where a configuration comes from, and how it becomes a plan.
pub struct Source {
    /// Reads it anew; an error is told to a person as it is.
    pub load: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    /// The command line's choice of functions.
    pub roles: Option<BTreeSet<Role>>,
    /// The loopback addresses of this machine.
    pub loopback: Vec<IpAddr>,
}

/// A running process, as far as its configuration can change.
pub struct Reload {
    source: Source,
    running: Mutex<Config>,
    process: Reloadable,
}

/// What of a process follows its configuration.
pub struct Reloadable {
    /// The engine.
    pub handle: Handle,
    /// The functions.
    pub functions: BTreeMap<Role, FunctionId>,
    /// What they are built by, should one have to be built again.
    pub plan: Arc<Mutex<Plan>>,
    /// Metrics and HEP.
    pub shown: Arc<Mutex<Shown>>,
    /// The HTTP API.
    pub api: Arc<Mutex<Api>>,
    /// Where it is told what changed.
    pub log: Log,
    /// When.
    pub clock: Clock,
}

/// Why everything stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is wrong or cannot be read.
    #[error("{0}")]
    Configuration(String),
    /// A listener or the like.
    #[error(transparent)]
    Show(#[from] ShowError),
    /// A listener, or the token.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What TLS needs.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
    /// The sounds.
    #[error(transparent)]
    Sounds(#[from] SoundsError),
    /// The process has too much to do, or ends.
    #[error("{0}; nothing was changed, try again")]
    Busy(#[from] HandleError),
}

impl Reload {
    /// For a process that was built from this configuration.
    pub fn new(source: Source, config: Config, process: Reloadable) -> Reload {
        Reload { source, running: Mutex::new(config), process }
    }

    /// Reads the configuration again and takes over what has changed; the log tells of it.
    ///
    /// # Errors
    /// Why everything stays as it is.
    pub fn reload(&self) -> Result<Changes, ReloadError> {
        let result = self.take_over();
        let event = match &result {
            Ok(changes) => {
                let nothing = changes.live.is_empty() && changes.restart.is_empty();
                let text = if nothing {
                    "no key has changed; the files that keys name are read anew".to_owned()
                } else {
                    changes.text()
                };
                let severe = !changes.restart.is_empty();
                let severity = if severe { Severity::Warning } else { Severity::Info };
                Event::new(severity, "strowger.reloaded", text)
            }
            Err(error) => {
                let text = format!("the configuration stays as it was: {error}");
                Event::new(Severity::Error, "strowger.not_reloaded", text)
            }
        };
        self.process.log.write(self.process.clock.now(), "strowger", &event);
        result
    }

    fn take_over(&self) -> Result<Changes, ReloadError> {
        let new = (self.source.load)().map_err(ReloadError::Configuration)?;
        let mut running = lock(&self.running);
        let Source { roles, loopback, .. } = &self.source;
        let (config, changes) = running.take_over(new, roles.as_ref(), loopback);
        let mut plan = config.plan(roles.as_ref(), loopback);
        plan.sounds = sounds::load(plan.sounds_folder.as_deref())?;
        let tls = tls::load(&plan)?;
        let orders = self.process.functions.iter();
        let orders = orders.map(|(role, id)| (*id, assembly::order(&plan, *role))).collect();
        let mut current = lock(&self.process.plan);
        let change = Change { places: places(&current, &plan), orders, tls };
        let changed = self.listen(&config);
        let changed = changed.and_then(|()| Ok(self.process.handle.change(change)?));
        if let Err(error) = changed {
            // What was listening a moment ago can again.
            let _ = self.listen(&running);
            return Err(error);
        }
        *current = plan;
        *running = config;
        Ok(changes)
    }

    /// What listens beside the functions.
    fn listen(&self, config: &Config) -> Result<(), ReloadError> {
        lock(&self.process.shown).show(&config.observe)?;
        Ok(lock(&self.process.api).open(&config.api)?)
    }
}

/// Where all names are from now on; those that have no place any more are told without one.
fn places(before: &Plan, after: &Plan) -> Vec<Places> {
    let mut all: BTreeMap<_, _> = assembly::topology(before)
        .into_iter()
        .map(|(name, service, _)| ((name, service), Vec::new()))
        .collect();
    let now = assembly::topology(after).into_iter();
    all.extend(now.map(|(name, service, places)| ((name, service), places)));
    all.into_iter().map(|((name, service), places)| (name, service, places)).collect()
}

impl Changes {
    /// For a person, on one line.
    pub fn text(&self) -> String {
        let list = |what: &str, keys: &[String]| {
            (!keys.is_empty()).then(|| format!("{what}: {}", keys.join(", ")))
        };
        let parts = [list("taken over", &self.live), list("waits for a restart", &self.restart)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
