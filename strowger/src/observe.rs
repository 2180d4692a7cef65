//! What happens, for the programs that people already watch networks with: Prometheus, a health check,
//! and Homer or sngrep.
//!
//! [`metrics`] and [`check`] are served over [`http`](crate::http) and made of what a [`Survey`] of the
//! functions says, of [`Counts`] of log events, and of the engine's counters; [`hep`] sends what the
//! recorder sees. None of them is on a call's way: functions are asked like any other order, one
//! question at a time, and who is too slow to be told misses it.

pub mod check;
pub mod counts;
pub mod hep;
pub mod metrics;
mod survey;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Instant;
use engine::Handle;
use engine::net::{Clock, ListenError};

pub use counts::Counts;
pub use survey::{Answer, Answers, Survey};

use crate::http::{Handler, Listeners, Request, Response};
use crate::recorder::Recorder;
use metrics::Scrape;

/// What the listener for metrics is called in errors.
const METRICS: &str = "metrics";

/// What is shown and where: `[observe]` of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observe {
    /// Where `GET /metrics` and `GET /check` are answered.
    pub metrics: Vec<SocketAddr>,
    /// The collector that HEPv3 goes to, by UDP.
    pub hep: Option<SocketAddr>,
    /// The capture agent id that it is told.
    pub hep_id: u32,
}

impl Default for Observe {
    fn default() -> Observe {
        Observe { metrics: Vec::new(), hep: None, hep_id: 1 }
    }
}

/// What the pages are made of.
pub struct Sources {
    /// The engine's counters.
    pub handle: Handle,
    /// The functions.
    pub survey: Arc<Survey>,
    /// Log events.
    pub counts: Arc<Counts>,
    /// What crossed.
    pub recorder: Recorder,
    /// The store's file.
    pub store: Option<PathBuf>,
    /// When the process began.
    pub since: Instant,
    /// The clock of its functions.
    pub clock: Clock,
}

/// What is shown now; it ends when this is dropped.
pub struct Shown {
    page: Arc<Page>,
    observe: Observe,
    listeners: Listeners,
    hep: Option<hep::Exporter>,
}

/// Why something cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// A listener that cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What else the system refuses.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

impl Shown {
    /// Nothing is shown yet.
    pub fn nothing(sources: Sources) -> Shown {
        let page = Arc::new(Page { sources, hep: Mutex::default() });
        let observe = Observe::default();
        Shown { page, observe, listeners: Listeners::default(), hep: None }
    }

    /// Shows what is asked for now, and nothing else any more.
    ///
    /// # Errors
    /// With advice; then everything is shown as before.
    pub fn show(&mut self, observe: &Observe) -> Result<(), ShowError> {
        let recorder = &self.page.sources.recorder;
        let start = |collector| hep::start(collector, observe.hep_id, recorder);
        let changed = (observe.hep, observe.hep_id) != (self.observe.hep, self.observe.hep_id);
        let exporter = observe.hep.filter(|_| changed).map(start).transpose()?;
        let page = Arc::clone(&self.page);
        let handler: Handler = Arc::new(move |request| page.answer(request));
        self.listeners.listen(METRICS, &observe.metrics, &handler)?;
        if changed {
            self.hep = exporter;
            *self.page.hep() = self.hep.as_ref().map(hep::Exporter::sent);
        }
        self.observe = observe.clone();
        Ok(())
    }

    /// What `GET /metrics` is answered, for others who are asked for it.
    pub fn metrics(&self) -> impl Fn() -> Response + Send + 'static {
        let page = Arc::clone(&self.page);
        move || page.metrics()
    }

    /// Where the pages are, with the real ports.
    pub fn pages(&self) -> Vec<SocketAddr> {
        self.listeners.local()
    }
}

/// What requests are answered from.
struct Page {
    sources: Sources,
    /// What was sent by HEP, if anything is.
    hep: Mutex<Option<Arc<hep::Sent>>>,
}

impl Page {
    fn hep(&self) -> MutexGuard<'_, Option<Arc<hep::Sent>>> {
        self.hep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Response {
        let page: fn(&Page) -> Response = match request.path.as_str() {
            "/metrics" => Page::metrics,
            "/check" => Page::check,
            _ => return Response::not_found(),
        };
        match request.method.as_str() {
            "GET" | "HEAD" => page(self),
            _ => Response::method_not_allowed("GET, HEAD"),
        }
    }

    fn metrics(&self) -> Response {
        let from = &self.sources;
        let text = metrics::text(&Scrape {
            answers: &from.survey.ask(),
            engine: from.handle.counters(),
            events: from.counts.all(),
            unwritten: from.counts.lost(),
            remembered: from.recorder.remembered().ok(),
            store: from.store.as_ref().and_then(|p| std::fs::metadata(p).ok()).map(|m| m.len()),
            hep: self.hep().as_deref().map(hep::Sent::read),
            since: from.since,
            now: from.clock.now(),
        });
        Response { content_type: metrics::CONTENT_TYPE, ..Response::text(200, text) }
    }

    fn check(&self) -> Response {
        let (good, text) = check::text(&self.sources.survey.ask());
        Response::text(if good { 200 } else { 500 }, text)
    }
}
