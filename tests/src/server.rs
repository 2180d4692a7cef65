//! An application server for the simulator: a proxy between two passes of the S-CSCF, TS 24.229 §5.7.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use base::machine::{Deadline, Function, Input, Output};
use base::{Event as LogEvent, Flow, Instant, Random, Severity, Transport};
use cscf::proxy::{self, Event, Proxy};
use engine::{FunctionSpec, Listener};
use sip::header::{HeaderName, OverloadControl, Sequence, Via, overload};
use sip::{Message, Method, StackConfig};

/// The counter of its log lines: one for each request, `METHOD from address for P-Served-User`; for a
/// REGISTER To, Expires and the body.
pub const SAW: &str = "server.saw";

/// What the server does with a request that begins something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Sends it back, and stays in the dialog.
    RecordRoute,
    /// Sends it back, and is not seen again.
    StayOut,
    /// Sends it back with another Request-URI.
    Retarget(String),
    /// Answers it with a status.
    Answer(u16),
    /// Sends it back, and turns the final answer into this one.
    Spoil(u16),
    /// Keeps what phones publish, RFC 3903: an event state compositor.
    Compositor,
    /// Sends it back, is not seen again, and asks for so much less for a minute (RFC 7339).
    AskForLess(u8),
}

/// An application server.
#[derive(Debug)]
pub struct Server {
    manner: Manner,
    address: SocketAddr,
    proxy: Proxy<()>,
    /// The entity tag of the last publication.
    published: u32,
    outputs: VecDeque<Output>,
}

impl Server {
    /// A server as a function of a process, which listens there.
    pub fn spec(manner: Manner, ip: IpAddr, random: Random) -> FunctionSpec {
        let address = SocketAddr::new(ip, 5060);
        let stack = StackConfig { sent_by: Some(address.to_string()), ..StackConfig::default() };
        let proxy = Proxy::new(stack, random);
        let service = base::Service::Sip;
        let listener = |transport| Listener { service, transport, addr: address };
        FunctionSpec {
            name: "server".to_owned(),
            hosts: Vec::new(),
            function: Box::new(Server {
                manner,
                address,
                proxy,
                published: 0,
                outputs: VecDeque::new(),
            }),
            listeners: [Transport::Udp, Transport::Tcp].map(listener).into(),
            tables: &[],
        }
    }

    fn is_us(&self, host: &str, port: Option<u16>) -> bool {
        host.parse() == Ok(self.address.ip()) && port.unwrap_or(5060) == self.address.port()
    }

    fn saw(&mut self, request: &Message, flow: &Flow) {
        let method = request.method().map_or("", Method::as_str);
        let field = |name| request.get(name).unwrap_or("nobody");
        let mut text = format!("{method} from {} for ", flow.remote);
        if request.method() == Some(&Method::Register) {
            let body = String::from_utf8_lossy(request.body());
            let expires = field(HeaderName::Expires);
            text += &format!("{} {expires} {body}", field(HeaderName::To));
        } else {
            text += field(HeaderName::PServedUser);
        }
        self.outputs.push_back(Output::Log(LogEvent::new(Severity::Info, SAW, text)));
    }

    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.proxy.poll_event(now) {
            match event {
                Event::Request { upstream, mut request, flow } => {
                    self.saw(&request, &flow);
                    let result = proxy::preprocess(&mut request, |h, p| self.is_us(h, p), &[]);
                    let _own = result.expect("a request that a proxy may forward");
                    let to = request.get(HeaderName::To).unwrap_or("");
                    let within = to.contains(";tag=");
                    match &self.manner {
                        Manner::Compositor if request.method() == Some(&Method::Publish) => {
                            let tag = request.get(HeaderName::SipIfMatch).map(str::to_owned);
                            let known = tag.is_none_or(|tag| tag == self.published.to_string());
                            let mut answer =
                                self.proxy.answer(&upstream, if known { 200 } else { 412 });
                            if known {
                                self.published += 1;
                                answer.push(HeaderName::SipEtag, self.published.to_string());
                                answer.push(HeaderName::Expires, "3600");
                            }
                            self.proxy.respond(now, &upstream, answer);
                            continue;
                        }
                        Manner::Answer(status) if !within => {
                            self.proxy.reply(now, &upstream, *status);
                            continue;
                        }
                        _ if request.method() == Some(&Method::Register) => {
                            self.proxy.reply(now, &upstream, 200);
                            continue;
                        }
                        Manner::Retarget(uri) if !within => request.set_uri(uri.as_str()),
                        Manner::RecordRoute if !within => {
                            let route = format!("<sip:{};lr>", self.address);
                            request.push_front(HeaderName::RecordRoute, route);
                        }
                        _ => {}
                    }
                    let hop = proxy::onward(&request).expect("a request with a target");
                    self.proxy.forward(now, upstream, vec![(request, hop)], ());
                }
                Event::Ack { mut request, flow } => {
                    self.saw(&request, &flow);
                    let result = proxy::preprocess(&mut request, |h, p| self.is_us(h, p), &[]);
                    result.expect("an ACK that a proxy may forward");
                    let hop = proxy::onward(&request).expect("an ACK with a target");
                    self.proxy.stack.send_ack(now, request, hop);
                }
                Event::Response { context, mut response, .. } => {
                    if let Manner::Spoil(status) = &self.manner
                        && response.status() >= 300
                    {
                        response = Message::answer(&response, *status);
                    }
                    if let Manner::AskForLess(reduction) = self.manner {
                        let via = response.list(HeaderName::Via).next().and_then(Via::parse);
                        let via = via.expect("a Via of the S-CSCF");
                        assert!(overload::is_offered(&via), "{via}");
                        let control = OverloadControl {
                            reduction,
                            validity: base::time::Duration::from_secs(60),
                            sequence: Sequence::of_micros(now.unix_micros()),
                        };
                        let via = control.put_into(&via);
                        response.set_element(HeaderName::Via, &via);
                    }
                    self.proxy.pass(now, context, response);
                }
                Event::Cancelled { .. } | Event::Own { .. } | Event::FlowClosed { .. } => {}
            }
        }
    }
}

impl Function for Server {
    fn handle(&mut self, now: Instant, input: Input) {
        self.proxy.handle(now, input);
        self.settle(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.proxy.poll_output().or_else(|| self.outputs.pop_front())
    }

    fn deadline(&self) -> Option<Deadline> {
        self.proxy.deadline()
    }
}
