//! How each protocol's messages are cut out of a stream: the protocols know, the engine asks.

use base::Service;
use engine::framing::{Frame, Framing};

/// The framing of a service.
pub fn framings(service: Service) -> Framing {
    match service {
        Service::Sip => sip,
        Service::Diameter => diameter,
        Service::Resp => resp,
        Service::Ng => ng,
        Service::Cli => |bytes| ng_frame(ng::framing::line(bytes), bytes),
        // It cuts by itself: what comes next may be another protocol.
        Service::Http => |bytes| Frame::Message(bytes.len()),
        Service::Rtp => |_| Frame::Malformed,
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

fn ng(bytes: &[u8]) -> Frame {
    ng_frame(ng::framing::frame(bytes), bytes)
}

fn ng_frame(framed: ng::framing::Framed, bytes: &[u8]) -> Frame {
    match framed {
        ng::framing::Framed::Incomplete => Frame::Incomplete,
        ng::framing::Framed::Skip(n) => Frame::Skip(n),
        ng::framing::Framed::Message(n) => Frame::Message(n),
        // The relay says what it was, and closes the connection.
        ng::framing::Framed::Malformed => Frame::Message(bytes.len()),
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
