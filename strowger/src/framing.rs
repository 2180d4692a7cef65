//! How each protocol's messages are cut out of a stream: the protocols know, the engine asks.

use base::Service;
use engine::framing::{Frame, Framing};

/// The framing of a service.
pub fn framings(service: Service) -> Framing {
    match service {
        Service::Sip => sip,
        Service::Diameter => diameter,
        Service::Resp => resp,
        Service::Ng | Service::Rtp => |_| Frame::Malformed,
    }
}

fn sip(bytes: &[u8]) -> Frame {
    match sip::framing::frame(bytes) {
        sip::framing::Framed::Incomplete => Frame::Incomplete,
        sip::framing::Framed::Skip(n) => Frame::Skip(n),
        sip::framing::Framed::Message(n) => Frame::Message(n),
        sip::framing::Framed::Malformed => Frame::Malformed,
    }
}

/// A line or a string is a message here: a whole reply may be as large as a table.
fn resp(bytes: &[u8]) -> Frame {
    match resp::unit(bytes) {
        Ok(Some(n)) => Frame::Message(n),
        Ok(None) => Frame::Incomplete,
        Err(_) => Frame::Malformed,
    }
}

fn diameter(bytes: &[u8]) -> Frame {
    match diameter::frame::frame(bytes) {
        diameter::frame::Frame::Need(_) => Frame::Incomplete,
        diameter::frame::Frame::Message(n) => Frame::Message(n),
        diameter::frame::Frame::Malformed => Frame::Malformed,
    }
}
