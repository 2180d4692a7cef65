//! NG and commands over WebSocket, with the subprotocols of rtpengine.

use base::log::Severity;
use base::{Bytes, Flow, Output};
use http1::BODY;
use websocket::{Event, Opcode, Reader, close, frame};

use super::Form;
use crate::machine::Media;

/// What is spoken over a WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    /// Cookie and dictionary.
    Ng,
    /// The dictionary alone.
    Plain,
    /// Commands.
    Cli,
    /// What comes goes back.
    Echo,
}

impl Protocol {
    pub(super) const NAMES: [&str; 4] =
        ["ng.rtpengine.com", "ng-plain.rtpengine.com", "cli.rtpengine.com", "echo.rtpengine.com"];
    const ALL: [Protocol; 4] = [Protocol::Ng, Protocol::Plain, Protocol::Cli, Protocol::Echo];

    pub(super) fn of(name: &str) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        Protocol::NAMES[self as usize]
    }
}

/// One WebSocket.
#[derive(Debug)]
pub(super) struct Socket {
    protocol: Protocol,
    reader: Reader,
    /// It was asked whether it lives, and has not said anything since.
    pinged: bool,
}

impl Socket {
    pub(super) fn new(protocol: Protocol) -> Socket {
        Socket { protocol, reader: Reader::new(BODY), pinged: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pinged = false;
        self.reader.push(bytes);
    }

    pub(super) fn waiting(&self) -> usize {
        self.reader.waiting()
    }

    /// A ping for one that is silent; `None` if the last one had no answer.
    pub(super) fn ping(&mut self) -> Option<Vec<u8>> {
        (!std::mem::replace(&mut self.pinged, true)).then(|| frame(Opcode::Ping, b""))
    }
}

impl Media {
    /// Goes on with one thing that was said; whether there may be more.
    pub(super) fn serve_socket(&mut self, flow: Flow) -> bool {
        let Some(connection) = self.doors.get_mut(flow.id) else { return false };
        let Some(socket) = &mut connection.socket else { return false };
        let protocol = socket.protocol;
        let (opcode, payload) = match socket.reader.poll() {
            Ok(None) => return false,
            Ok(Some(Event::Pong)) => return true,
            Ok(Some(Event::Ping(payload))) => (Opcode::Pong, payload),
            Ok(Some(Event::Message { payload, .. })) => match protocol {
                Protocol::Echo => (Opcode::Binary, payload),
                _ => {
                    // Without a cookie the order alone says whose an answer is.
                    connection.busy = protocol != Protocol::Ng;
                    self.said(flow, protocol, payload);
                    return true;
                }
            },
            Ok(Some(Event::Close(code))) => {
                self.end_socket(flow, code.unwrap_or(1000));
                return false;
            }
            Err(violation) => {
                let code = violation as u16;
                let text = format!("{}: WebSocket closed with {code}: {violation:?}", flow.remote);
                self.log(Severity::Warning, "http.malformed", text);
                self.end_socket(flow, code);
                return false;
            }
        };
        self.out(Output::Transmit { flow, message: frame(opcode, &payload).into() });
        true
    }

    fn said(&mut self, flow: Flow, protocol: Protocol, payload: Vec<u8>) {
        match protocol {
            Protocol::Ng => self.received(flow, Form::Cookie, &payload.into()),
            Protocol::Plain => self.plain(flow, &payload),
            Protocol::Cli => self.command_line(flow, &String::from_utf8_lossy(&payload)),
            Protocol::Echo => {}
        }
    }

    fn end_socket(&mut self, flow: Flow, code: u16) {
        self.out(Output::Transmit { flow, message: close(code).into() });
        self.close(flow);
    }

    /// rtpengine answers in binary frames, whatever it was asked in.
    pub(super) fn socket_answer(&mut self, flow: Flow, message: &Bytes) {
        let message = frame(Opcode::Binary, message).into();
        self.out(Output::Transmit { flow, message });
        self.answered(flow.id);
    }
}
