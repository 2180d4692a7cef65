//! The HTTP API of a running process: what `strowger sub` and `strowger trace` do, for programs.
//!
//! Off unless `[api] listen` says where. Every request but the one for the description needs the token
//! (`token`). What there is stands in `routes`, from which `openapi` describes it; errors are
//! problem details (RFC 9457), and every change and every refused client is a line of the log.

mod openapi;
mod problem;
mod routes;
mod subscribers;
mod token;
mod trace;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Event, Random, Severity};
use engine::net::{Clock, ListenError};

use crate::control::Desk;
use crate::http::{Handler, Listeners, Request, Response};
use crate::log::Log;
use crate::recorder::Recorder;
use problem::Problem;
use routes::{Found, Operation, find};
use token::Token;
pub use token::TokenError;

/// What the listener is called in errors.
const NAME: &str = "api";

/// `[api]` of the configuration.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ApiConfig {
    /// Where it listens; nowhere is off.
    pub listen: Vec<SocketAddr>,
    /// The file of the token, if it is not beside the store.
    pub token: Option<PathBuf>,
}

/// What requests are answered from.
pub struct Sources {
    /// The provisioner.
    pub desk: Arc<Desk>,
    /// What crossed.
    pub recorder: Recorder,
    /// The home network's domain.
    pub domain: String,
    /// Where it is told who changed what.
    pub log: Log,
    /// When.
    pub clock: Clock,
}

/// The API, as long as this is not dropped.
pub struct Api {
    page: Arc<Page>,
    listeners: Listeners,
    /// The file of the token, unless the configuration names another.
    file: PathBuf,
    random: Random,
}

/// Why there is no API.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A listener that cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Nobody could be let in.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Api {
    /// An API that listens nowhere yet; `file` is that of the token, unless the configuration names
    /// another.
    pub fn closed(sources: Sources, file: PathBuf, random: Random) -> Api {
        let page = Arc::new(Page { sources, token: Mutex::default() });
        Api { page, listeners: Listeners::default(), file, random }
    }

    /// Listens as the configuration says from now on, with the token that its file has now.
    ///
    /// # Errors
    /// With advice; then everything is as before.
    pub fn open(&mut self, config: &ApiConfig) -> Result<(), ApiError> {
        let file = config.token.as_ref().unwrap_or(&self.file);
        let token = match config.listen.is_empty() {
            true => None,
            false => Some(Token::open(file, &mut self.random)?),
        };
        let page = Arc::clone(&self.page);
        let handler: Handler = Arc::new(move |request| page.answer(request));
        self.listeners.listen(NAME, &config.listen, &handler)?;
        *self.page.token() = token;
        Ok(())
    }

    /// Where it listens, with the real ports.
    pub fn local(&self) -> Vec<SocketAddr> {
        self.listeners.local()
    }
}

/// Answers requests.
struct Page {
    sources: Sources,
    token: Mutex<Option<Token>>,
}

impl Page {
    fn token(&self) -> MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Response {
        self.operate(request).unwrap_or_else(Problem::response)
    }

    fn operate(&self, request: &Request) -> Result<Response, Problem> {
        let Found { operation, who } = find(&request.method, &request.path)?;
        if operation == Operation::Describe {
            return Ok(openapi::response());
        }
        self.authorize(request)?;
        let response = match operation {
            Operation::Describe => openapi::response(),
            Operation::Trace => trace::response(&self.sources, &request.query)?,
            operation => subscribers::response(&self.sources, operation, &who, request)?,
        };
        if operation.changes() {
            self.note(Severity::Info, "api.changed", request, response.status);
        }
        Ok(response)
    }

    /// RFC 6750 §3.
    fn authorize(&self, request: &Request) -> Result<(), Problem> {
        let given = request.field("authorization");
        let token = self.token();
        let is_in = |given: &str| token.as_ref().is_some_and(|token| token.is_in(given));
        match given {
            Some(given) if is_in(given) => Ok(()),
            None => Err(Problem::unauthorized("Bearer realm=\"strowger\"")),
            Some(_) => {
                self.note(Severity::Warning, "api.unauthorized", request, 401);
                let challenge = "Bearer realm=\"strowger\", error=\"invalid_token\"";
                Err(Problem::unauthorized(challenge))
            }
        }
    }

    fn note(&self, severity: Severity, counter: &'static str, request: &Request, status: u16) {
        let Sources { log, clock, .. } = &self.sources;
        let from = request.from.map_or("?".to_owned(), |from| from.to_string());
        let text = format!("{} {} of {from}: {status}", request.method, request.path);
        log.write(clock.now(), "api", &Event::new(severity, counter, text));
    }
}
