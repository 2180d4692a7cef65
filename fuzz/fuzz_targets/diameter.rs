//! Any bytes, and any AVPs in a message whose length fits: neither framing, views, redaction nor a node may panic,
//! and a Cx command that was read is written and read again as the same.
#![no_main]

use std::fmt::Debug;

use base::flow::{FlowId, Service};
use base::{Bytes, Flow, Input, Instant, Random, Transport};
use diameter::cx::{Body, Lia, Lir, Maa, Mar, Ppa, Ppr, Restoration, Rta, Rtr, Saa, Sar, Uaa, Uar};
use diameter::message::Message;
use diameter::{Node, NodeConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = diameter::frame::frame(bytes);
    for range in diameter::redact::secrets(bytes) {
        assert!(range.end <= bytes.len());
    }
    read(bytes);
    // Nothing but the right length gets further than it.
    if bytes.len() >= 20 {
        let mut bytes = bytes[..bytes.len() / 4 * 4].to_vec();
        let length = (bytes.len() as u32).to_be_bytes();
        bytes[..4].copy_from_slice(&[1, length[1], length[2], length[3]]);
        read(&bytes);
        at_a_node(bytes);
    }
});

fn read(bytes: &[u8]) {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes)) else { return };
    let _ = (message.to_string(), message.outcome());
    same::<Uar>(&message);
    same::<Uaa>(&message);
    same::<Mar>(&message);
    same::<Maa>(&message);
    same::<Sar>(&message);
    same::<Saa>(&message);
    same::<Lir>(&message);
    same::<Lia>(&message);
    same::<Ppr>(&message);
    same::<Ppa>(&message);
    same::<Rtr>(&message);
    same::<Rta>(&message);
    for avp in message.avps() {
        let _ = Restoration::parse(avp.data);
    }
}

fn same<B: Body + PartialEq + Debug>(message: &Message) {
    if let Ok(body) = B::parse(message) {
        let again = Message::write(*message.header(), |out| body.write(out));
        assert_eq!(B::parse(&again).ok(), Some(body));
    }
}

/// A stranger's connection.
fn at_a_node(bytes: Vec<u8>) {
    let now = Instant::from_unix_micros(1_000_000);
    let end = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
    let flow = Flow {
        id: FlowId(1),
        service: Service::Diameter,
        transport: Transport::Tcp,
        local: end(3868),
        remote: end(4000),
        proved: false,
    };
    let mut config = NodeConfig::new("hss.test", "test");
    config.applications = vec![diameter::cx::application(&[Uar::COMMAND, Sar::COMMAND])];
    let mut node = Node::new(config, Random::from_u64(1));
    node.start(now);
    let message = Bytes::from(bytes);
    for _ in 0..2 {
        node.handle(now, Input::Received { flow, message: message.clone() });
        while node.poll_event().is_some() {}
        while node.poll_output().is_some() {}
    }
}
