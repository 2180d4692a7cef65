//! The torture messages of RFC 4475 and RFC 5118, one test each: what the parser reads in it, and what
//! the stack does with it before anybody is asked.

#[path = "torture/rfc4475.rs"]
mod rfc4475;
#[path = "torture/rfc5118.rs"]
mod rfc5118;

use base::flow::{FlowId, Service};
use base::{Bytes, Flow, Instant, Output, Random, Transport};
use sip::message::ParseError;
use sip::{Event, Message, Stack, StackConfig};

/// What a stack does with bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Fate {
    /// The transaction user hears of it.
    Taken,
    /// It is answered at once.
    Refused(u16, String),
    /// Nothing happens, but for a line in the log.
    Ignored,
}

/// The message, as the parser reads it.
fn read(bytes: &[u8]) -> Message {
    Message::parse(Bytes::copy_from_slice(bytes)).expect("a message")
}

fn unreadable(bytes: &[u8]) -> ParseError {
    Message::parse(Bytes::copy_from_slice(bytes)).expect_err("no message")
}

fn refused(status: u16, reason: &str) -> Fate {
    Fate::Refused(status, reason.to_owned())
}

/// What a stack does with a datagram from 192.0.2.200 or 2001:db8::200.
fn fate(bytes: &[u8]) -> Fate {
    let end = |text: &str| text.parse::<std::net::SocketAddr>().expect("an address").into();
    let flow = Flow {
        id: FlowId(1),
        service: Service::Sip,
        transport: Transport::Udp,
        local: end("192.0.2.100:5060"),
        remote: end("192.0.2.200:5060"),
        proved: false,
    };
    let mut stack = Stack::new(StackConfig::default(), Random::from_u64(1));
    stack.received(Instant::from_unix_micros(1), flow, Bytes::copy_from_slice(bytes));
    if let Some(event) = stack.poll_event() {
        assert!(matches!(event, Event::Request { .. } | Event::Ack { .. }), "{event:?}");
        assert!(stack.poll_event().is_none(), "one message, one event");
        return Fate::Taken;
    }
    let outputs: Vec<Output> = std::iter::from_fn(|| stack.poll_output()).collect();
    let answer = outputs.iter().find_map(|output| match output {
        Output::Transmit { message, .. } => Some(read(message)),
        _ => None,
    });
    let logged = outputs.iter().any(|output| matches!(output, Output::Log(_)));
    assert!(logged, "whoever sends this is told of in the log");
    answer
        .map_or(Fate::Ignored, |answer| Fate::Refused(answer.status(), answer.reason().to_owned()))
}
