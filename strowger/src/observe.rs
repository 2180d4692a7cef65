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

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base::Instant;
use engine::Handle;

pub use counts::Counts;
pub use survey::{Answer, Answers, Survey};

use crate::http::{Handler, Request, Response};
use crate::recorder::Recorder;
use metrics::Scrape;

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
    /// What was sent by HEP, if anything is.
    pub hep: Option<Arc<hep::Sent>>,
    /// When the process began.
    pub since: Instant,
}

impl Sources {
    /// Answers requests from these sources.
    pub fn handler(self) -> Handler {
        Arc::new(move |request| self.answer(request))
    }

    fn answer(&self, request: &Request) -> Response {
        let page: fn(&Sources) -> Response = match request.path.as_str() {
            "/metrics" => Sources::metrics,
            "/check" => Sources::check,
            _ => return Response::not_found(),
        };
        match request.method.as_str() {
            "GET" | "HEAD" => page(self),
            _ => Response::method_not_allowed("GET, HEAD"),
        }
    }

    fn metrics(&self) -> Response {
        let text = metrics::text(&Scrape {
            answers: &self.survey.ask(),
            engine: self.handle.counters(),
            events: self.counts.all(),
            unwritten: self.counts.lost(),
            remembered: self.recorder.remembered().ok(),
            store: self.store.as_ref().and_then(|p| std::fs::metadata(p).ok()).map(|m| m.len()),
            hep: self.hep.as_deref().map(hep::Sent::read),
            since: self.since,
        });
        Response { content_type: metrics::CONTENT_TYPE, ..Response::text(200, text) }
    }

    fn check(&self) -> Response {
        let (good, text) = check::text(&self.survey.ask());
        Response::text(if good { 200 } else { 500 }, text)
    }
}
