//! Every way in beside a datagram: NG over TCP, HTTP and WebSocket, and the command line.
//!
//! A door only unwraps what was said and wraps what is answered: the request itself goes the way of all others
//! (`requests`), so that no door can answer otherwise than another one.
//!
//! | File | What |
//! |---|---|
//! | `http` | requests over HTTP/1.1, and the upgrade to WebSocket |
//! | `socket` | the same over WebSocket |
//! | `cli` | commands of `rtpengine-ctl`, and what they change |
//! | `show` | what they show |
//! | `params` | the parameters that they show and set |

mod cli;
mod http;
mod params;
mod show;
mod socket;

use base::log::Severity;
use base::time::Duration;
use base::trust::Networks;
use base::{
    Bytes, Endpoint, Flow, FlowError, FlowId, Instant, Order, Output, Report, Service, Transport,
};
use http1::{BODY, HEAD};
use ng::{Encoding, Message, MessageError, Response};

use crate::config::MediaConfig;
use crate::machine::{Asker, Media, Timer};
pub(crate) use cli::View;
use socket::Socket;

/// How long a connection of HTTP may be silent; over WebSocket it is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(60);
/// What may wait of a connection that is being served.
const WAITING: usize = HEAD + BODY + (64 << 10);
/// How many askers wait for an answer that another connection has asked for.
const TWINS: usize = 1024;

/// To the program: somebody asks for its metrics. Answered by [`Page`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageAsked;

/// From the program: its metrics, as its own pages show them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Content-Type.
    pub content_type: &'static str,
    /// The text.
    pub text: String,
}

impl Page {
    /// The order to media control.
    pub fn order(self) -> Order {
        Order(Box::new(self))
    }
}

/// How an answer is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Cookie and dictionary.
    Cookie,
    /// The dictionary alone.
    Plain,
    /// For a person.
    Cli(View),
    /// Nobody hears it: it is one of several that one command waits for.
    Batch(u64),
}

/// What is known of those who ask by a connection.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    /// In the order of their flows.
    connections: Vec<Connection>,
    /// Connections that may have another request, now that the last one is answered.
    resumed: Vec<FlowId>,
    /// Who asked for what is being answered to another connection of the same host.
    twins: Vec<(Endpoint, String, Flow)>,
    /// Who waits for the program's metrics.
    pages: Vec<Flow>,
    /// The last one that did not read its answers.
    slow: Option<FlowId>,
    /// Commands that wait for several requests.
    batches: Vec<Batch>,
    /// The configuration before commands changed it.
    initial: Option<MediaConfig>,
    /// When this function began.
    since: Option<Instant>,
}

impl Doors {
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// There is another configuration: what commands changed of the last one is over.
    pub(crate) fn reconfigured(&mut self) {
        self.initial = None;
    }

    /// Where a connection is, or where it belongs.
    fn place(&self, id: FlowId) -> Result<usize, usize> {
        self.connections.binary_search_by_key(&id, |connection| connection.flow.id)
    }

    fn get(&self, id: FlowId) -> Option<&Connection> {
        self.place(id).ok().map(|at| &self.connections[at])
    }

    fn get_mut(&mut self, id: FlowId) -> Option<&mut Connection> {
        self.place(id).ok().map(|at| &mut self.connections[at])
    }
}

/// A command that waits for several requests.
#[derive(Debug)]
struct Batch {
    number: u64,
    flow: Flow,
    left: usize,
    /// What is said when none is left.
    text: &'static str,
}

/// A connection to the door for HTTP.
#[derive(Debug)]
struct Connection {
    flow: Flow,
    /// What arrived and was not read; WebSocket has a buffer of its own.
    bytes: Vec<u8>,
    /// A request is being answered: the next one waits.
    busy: bool,
    /// The request that is being answered.
    asked: http::Asked,
    socket: Option<Socket>,
}

impl Connection {
    fn waiting(&self) -> usize {
        self.socket.as_ref().map_or(self.bytes.len(), Socket::waiting)
    }
}

/// Whose cookies are the same ones: who comes by a connection may come again by another.
pub(crate) fn source(flow: &Flow) -> Endpoint {
    match flow.remote {
        Endpoint::Ip(remote) if flow.transport.is_connection() => {
            Endpoint::Ip((remote.ip(), 0).into())
        }
        remote => remote,
    }
}

impl Media {
    /// Something arrived at a door.
    pub(crate) fn at_door(&mut self, flow: Flow, message: &Bytes) {
        if !self.config.trusted.admits(&flow) {
            let text = Networks::refusal(&flow);
            let word =
                if flow.service == Service::Cli { "cli.untrusted" } else { "http.untrusted" };
            self.log(Severity::Warning, word, text);
            return self.refuse(flow);
        }
        match flow.service {
            Service::Cli => self.command_line(flow, &String::from_utf8_lossy(message)),
            Service::Http => self.http_bytes(flow, message),
            _ => {}
        }
    }

    /// A connection is over, or does not take what it is sent.
    pub(crate) fn door_closed(&mut self, flow: &Flow, error: FlowError) {
        if !flow.transport.is_connection() {
            return;
        }
        // What was on its way meanwhile is refused, too: that is told once.
        if error == FlowError::Overloaded && self.doors.slow.replace(flow.id) != Some(flow.id) {
            let text = format!("{} does not read its answers: closed", flow.remote);
            self.log(Severity::Warning, "ng.slow", text);
            self.out(Output::Close { flow: *flow });
        }
        self.forget(flow.id);
    }

    fn forget(&mut self, id: FlowId) {
        if let Ok(at) = self.doors.place(id) {
            self.doors.connections.remove(at);
            self.unset_timer(&Timer::Silence(id));
        }
        self.doors.twins.retain(|(_, _, flow)| flow.id != id);
        self.doors.pages.retain(|flow| flow.id != id);
    }

    fn close(&mut self, flow: Flow) {
        self.forget(flow.id);
        self.out(Output::Close { flow });
    }

    /// Ends a connection whose sender may not ask, or sends what nobody can answer. A datagram has none.
    pub(crate) fn refuse(&mut self, flow: Flow) {
        match flow.service {
            Service::Http => self.http_refuse(flow),
            _ if flow.transport.is_connection() => self.close(flow),
            _ => {}
        }
    }

    /// A request without a cookie, at a door where each gets its answer in turn.
    fn plain(&mut self, flow: Flow, body: &[u8]) {
        let asker = |encoding| Asker { flow, cookie: String::new(), encoding, form: Form::Plain };
        match Message::parse(&[b"- ", body].concat()) {
            Ok(Message { encoding, dict, .. }) => self.ask(asker(encoding), &dict),
            Err(MessageError::NoCookie) => self.refuse(flow),
            Err(MessageError::Body { encoding, error, .. }) => {
                let text = format!("a request of {} cannot be read: {error}", flow.remote);
                self.log(Severity::Warning, "ng.malformed", text);
                self.respond(asker(encoding), &Response::error("Could not decode dictionary"));
            }
        }
    }

    /// Somebody asks for what is being answered already; over UDP the one answer is for both.
    pub(crate) fn twin(&mut self, flow: Flow, cookie: String) {
        if flow.transport.is_connection() && self.doors.twins.len() < TWINS {
            self.doors.twins.push((source(&flow), cookie, flow));
        }
    }

    /// Answers whoever asked the same by another connection.
    pub(crate) fn answer_twins(&mut self, from: Endpoint, cookie: &str, message: &Bytes) {
        let twin = |(host, other, _): &(Endpoint, String, Flow)| *host == from && other == cookie;
        while let Some(at) = self.doors.twins.iter().position(twin) {
            let (_, _, flow) = self.doors.twins.remove(at);
            self.hand_out(flow, Kind::Ng, message.clone());
        }
    }

    /// One of the requests that a command waits for is answered.
    pub(crate) fn batch_answered(&mut self, id: u64) {
        let Some(at) = self.doors.batches.iter().position(|batch| batch.number == id) else {
            return;
        };
        self.doors.batches[at].left -= 1;
        if self.doors.batches[at].left == 0 {
            let Batch { flow, text, .. } = self.doors.batches.remove(at);
            self.say(flow, text.to_owned());
        }
    }

    /// Sends an answer by the door that was asked at.
    pub(crate) fn hand_out(&mut self, flow: Flow, kind: Kind, message: Bytes) {
        match flow.service {
            Service::Http => self.http_answer(flow, kind, message),
            Service::Cli => {
                self.out(Output::Transmit { flow, message });
                // As rtpengine does: one command for each connection.
                self.close(flow);
            }
            _ => self.out(Output::Transmit { flow, message }),
        }
    }

    /// Text of a command.
    fn say(&mut self, flow: Flow, text: String) {
        self.hand_out(flow, Kind::Text, text.into());
    }

    /// Asks the program for its metrics; one question serves all who ask meanwhile.
    fn ask_page(&mut self, flow: Flow) {
        self.doors.pages.push(flow);
        if self.doors.pages.len() == 1 {
            self.out(Output::Report(Report(Box::new(PageAsked))));
        }
    }

    /// Here they are.
    pub(crate) fn page(&mut self, page: &Page) {
        for flow in std::mem::take(&mut self.doors.pages) {
            let message = Bytes::copy_from_slice(page.text.as_bytes());
            self.hand_out(flow, Kind::Page(page.content_type), message);
        }
    }
}

/// What an answer is, for those whose doors tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Cookie and dictionary, or a dictionary in bencode.
    Ng,
    /// A dictionary in JSON.
    Json,
    /// Text.
    Text,
    /// Something else.
    Page(&'static str),
}

impl Kind {
    pub(crate) fn of(encoding: Encoding) -> Kind {
        match encoding {
            Encoding::Json => Kind::Json,
            Encoding::Bencode => Kind::Ng,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Kind::Ng => "application/x-rtpengine-ng",
            Kind::Json => "application/json",
            Kind::Text => "text/plain",
            Kind::Page(other) => other,
        }
    }
}

/// Whether requests of this flow are told apart by their cookies alone.
pub(crate) fn is_stream(flow: &Flow) -> bool {
    flow.service == Service::Ng && matches!(flow.transport, Transport::Tcp | Transport::Tls)
}
