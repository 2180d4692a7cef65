//! NG, commands and metrics over HTTP/1.1, with the paths of rtpengine's `listen-http`.

use base::log::Severity;
use base::{Bytes, Flow, FlowId, Output, Service};
use http1::{Request, Response, Wrong};
use websocket::Handshake;

use super::socket::{Protocol, Socket};
use super::{Connection, Form, Kind, SILENCE, WAITING};
use crate::machine::{Media, Timer};

/// What has to be known of a request until it is answered.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Asked {
    head: bool,
    persistent: bool,
}

/// Whether a browser asks for a page of somebody else, who could thus command a relay that trusts the browser's host
/// (RFC 6455 §10.2; Fetch Metadata).
fn is_of_a_page(request: &Request) -> bool {
    let site = request.field("sec-fetch-site");
    request.field("origin").is_some() || site.is_some_and(|site| site != "none")
}

impl Media {
    pub(super) fn http_bytes(&mut self, flow: Flow, bytes: &[u8]) {
        self.set_timer(self.now + SILENCE, Timer::Silence(flow.id));
        let at = self.doors.place(flow.id).unwrap_or_else(|at| {
            let (bytes, asked) = (Vec::new(), Asked::default());
            let connection = Connection { flow, bytes, busy: false, asked, socket: None };
            self.doors.connections.insert(at, connection);
            at
        });
        let connection = &mut self.doors.connections[at];
        match &mut connection.socket {
            Some(socket) => socket.push(bytes),
            None => connection.bytes.extend_from_slice(bytes),
        }
        self.serve(flow.id);
        if self.doors.get(flow.id).is_some_and(|c| c.waiting() > WAITING) {
            let text = format!("{} asks faster than it is answered: closed", flow.remote);
            self.log(Severity::Warning, "http.flooded", text);
            self.close(flow);
        }
    }

    /// Goes on with what a connection has sent.
    pub(super) fn serve(&mut self, id: FlowId) {
        loop {
            let Some(connection) = self.doors.get_mut(id) else { return };
            if connection.busy {
                return;
            }
            let flow = connection.flow;
            if connection.socket.is_some() {
                if !self.serve_socket(flow) {
                    return;
                }
                continue;
            }
            match Request::frame(&connection.bytes) {
                Ok(None) => return,
                Ok(Some((request, length))) => {
                    connection.bytes.drain(..length);
                    connection.busy = true;
                    connection.asked =
                        Asked { head: request.method == "HEAD", persistent: request.persistent };
                    self.http_request(flow, request);
                }
                Err(wrong) => return self.http_wrong(flow, wrong),
            }
        }
    }

    fn http_request(&mut self, flow: Flow, request: Request) {
        let path = request.decoded_path().unwrap_or_default().into_owned();
        let path = path.as_str();
        if is_of_a_page(&request) {
            let text = format!("{}: a web page asks for {path}: refused", flow.remote);
            self.log(Severity::Warning, "http.page", text);
            return self.http_respond(flow, &Response::text(403, "web pages may not ask here\n"));
        }
        if Handshake::is_asked(&|name| request.field(name)) {
            return self.upgrade(flow, &request);
        }
        let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
        let posts = request.method == "POST";
        match path {
            "/ping" if is_read => self.say(flow, "pong\n".to_owned()),
            "/metrics" if is_read => self.ask_page(flow),
            "/ng" if posts => self.received(flow, Form::Cookie, &request.body.into()),
            "/ng-plain" if posts => self.plain(flow, &request.body),
            "/cli" if posts => self.command_line(flow, &String::from_utf8_lossy(&request.body)),
            _ => match path.strip_prefix("/cli/") {
                Some(words) if is_read => self.command_line(flow, &words.replace('+', " ")),
                _ => {
                    let response = match path {
                        "/ping" | "/metrics" => Response::method_not_allowed("GET, HEAD"),
                        "/ng" | "/ng-plain" | "/cli" => Response::method_not_allowed("POST"),
                        _ => Response::not_found(),
                    };
                    self.http_respond(flow, &response);
                }
            },
        }
    }

    /// RFC 6455 §4.2: from here on the connection speaks WebSocket.
    fn upgrade(&mut self, flow: Flow, request: &Request) {
        let handshake =
            Handshake::of(&|name| request.field(name)).filter(|_| request.method == "GET");
        let Some(handshake) = handshake else {
            let mut response = Response::text(400, "this is no handshake of RFC 6455\n");
            response.fields.push(("Sec-WebSocket-Version", websocket::VERSION.to_owned()));
            return self.http_respond(flow, &response);
        };
        let known = handshake.protocols.iter().find_map(|name| Protocol::of(name));
        let Some(protocol) = known else {
            let text = format!("a subprotocol is needed: {}\n", Protocol::NAMES.join(", "));
            return self.http_respond(flow, &Response::text(400, text));
        };
        let message = handshake.response(Some(protocol.name())).into();
        self.out(Output::Transmit { flow, message });
        if let Some(connection) = self.doors.get_mut(flow.id) {
            let mut socket = Socket::new(protocol);
            socket.push(&std::mem::take(&mut connection.bytes));
            connection.socket = Some(socket);
            connection.busy = false;
        }
    }

    /// Answers what was asked at the door for HTTP.
    pub(super) fn http_answer(&mut self, flow: Flow, kind: Kind, message: Bytes) {
        match self.doors.get(flow.id) {
            Some(Connection { socket: Some(_), .. }) => self.socket_answer(flow, &message),
            Some(_) => {
                let content_type = kind.content_type();
                let body = message.to_vec();
                let response = Response { content_type, body, ..Response::text(200, "") };
                self.http_respond(flow, &response);
            }
            // It is gone.
            None => {}
        }
    }

    fn http_respond(&mut self, flow: Flow, response: &Response) {
        let Some(connection) = self.doors.get_mut(flow.id) else { return };
        let Asked { head, persistent } = connection.asked;
        let message = response.bytes(head, persistent).into();
        self.out(Output::Transmit { flow, message });
        match persistent {
            true => self.answered(flow.id),
            false => self.close(flow),
        }
    }

    /// The next request of a connection may be read, once this one's way has ended: many may have come at once.
    pub(super) fn answered(&mut self, id: FlowId) {
        if let Some(connection) = self.doors.get_mut(id) {
            connection.busy = false;
            if connection.waiting() > 0 {
                self.doors.resumed.push(id);
            }
        }
    }

    /// Goes on with connections whose requests were answered.
    pub(crate) fn resume_doors(&mut self) {
        while let Some(id) = self.doors.resumed.pop() {
            self.serve(id);
        }
    }

    fn http_wrong(&mut self, flow: Flow, wrong: Wrong) {
        let text = format!("{}: {wrong}", flow.remote);
        self.log(Severity::Warning, "http.malformed", text);
        let message =
            Response::text(wrong.status(), format!("{wrong}\n")).bytes(false, false).into();
        self.out(Output::Transmit { flow, message });
        self.close(flow);
    }

    /// Somebody who may not ask, or a request that has no cookie to answer with.
    pub(super) fn http_refuse(&mut self, flow: Flow) {
        debug_assert_eq!(flow.service, Service::Http);
        match self.doors.get(flow.id) {
            // Over WebSocket rtpengine is silent, too.
            Some(Connection { socket: Some(_), .. }) => {}
            Some(_) => {
                self.http_respond(flow, &Response::text(400, "a cookie, a space, a dictionary\n"))
            }
            None => {
                let text = "ask from this host or from one of the networks below [trust]\n";
                let message = Response::text(403, text).bytes(false, false).into();
                self.out(Output::Transmit { flow, message });
                self.close(flow);
            }
        }
    }

    /// A connection has said nothing for long.
    pub(crate) fn silent(&mut self, id: FlowId) {
        let Some(connection) = self.doors.get_mut(id) else { return };
        let flow = connection.flow;
        match connection.socket.as_mut().map(Socket::ping) {
            Some(Some(ping)) => {
                self.out(Output::Transmit { flow, message: ping.into() });
                self.set_timer(self.now + SILENCE, Timer::Silence(id));
            }
            _ => self.close(flow),
        }
    }
}
