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

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Instant, Transport};
use engine::Handle;
use engine::net::ListenError;

pub use counts::Counts;
pub use survey::{Answer, Answers, Survey};

use crate::http::{self, Request, Response};
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
}

/// What is shown now; it ends when this is dropped.
pub struct Shown {
    page: Arc<Page>,
    observe: Observe,
    /// By the address that was asked for.
    servers: BTreeMap<SocketAddr, http::Server>,
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
        Shown { page, observe, servers: BTreeMap::new(), hep: None }
    }

    /// Shows what is asked for now, and nothing else any more.
    ///
    /// # Errors
    /// With advice; then everything is shown as before.
    pub fn show(&mut self, observe: &Observe) -> Result<(), ShowError> {
        let mut servers = BTreeMap::new();
        for address in observe.metrics.iter().filter(|a| !self.servers.contains_key(a)) {
            let server = http::Server::bind(*address).map_err(|error| refused(*address, error))?;
            let page = Arc::clone(&self.page);
            server.serve(Arc::new(move |request| page.answer(request)))?;
            servers.insert(*address, server);
        }
        if (observe.hep, observe.hep_id) != (self.observe.hep, self.observe.hep_id) {
            let recorder = &self.page.sources.recorder;
            let start = |collector| hep::start(collector, observe.hep_id, recorder);
            self.hep = observe.hep.map(start).transpose()?;
            *self.page.hep() = self.hep.as_ref().map(hep::Exporter::sent);
        }
        self.servers.retain(|address, _| observe.metrics.contains(address));
        self.servers.append(&mut servers);
        self.observe = observe.clone();
        Ok(())
    }

    /// Where the pages are, with the real ports.
    pub fn pages(&self) -> Vec<SocketAddr> {
        self.servers.values().map(http::Server::local).collect()
    }
}

/// The system's refusal to open a listener.
fn refused(addr: SocketAddr, error: io::Error) -> ListenError {
    let (name, transport) = (METRICS.to_owned(), Transport::Tcp);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = engine::net::holder(transport, addr);
            ListenError::InUse { name, transport, addr, holder }
        }
        _ => ListenError::Refused { name, transport, addr, error },
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
        });
        Response { content_type: metrics::CONTENT_TYPE, ..Response::text(200, text) }
    }

    fn check(&self) -> Response {
        let (good, text) = check::text(&self.sources.survey.ask());
        Response::text(if good { 200 } else { 500 }, text)
    }
}
