//! Two nodes on a fake network, and one node against bytes.

use std::net::SocketAddr;

use base::machine::{Input, Name, Output, Target};
use base::{Endpoint, FlowError, Transport, WireId};

use super::status::{PeerStatus, Status};
use super::*;
use crate::avp::Key;
use crate::cx::{self, Body, Lia, Lir};
use crate::dictionary::*;
use crate::header::{Flags, Header};
use crate::result::{ExperimentalCode, Outcome, ResultCode};

const T0: Instant = Instant::from_unix_micros(1_700_000_000_000_000);
const LATER: Duration = Duration::from_secs(4);

fn server() -> NodeConfig {
    let mut config = NodeConfig::new("hss.example", "example");
    config.applications = vec![cx::application(&[Lir::COMMAND])];
    config
}

fn client(hosts: &[&str]) -> NodeConfig {
    let mut config = NodeConfig::new("cscf.example", "example");
    config.applications = vec![cx::application(&[])];
    config.id_base = 0xab << 56;
    for host in hosts {
        config.peers.push(PeerConfig {
            name: Name {
                service: Service::Diameter,
                host: (*host).to_owned(),
                port: None,
                transport: None,
            },
            host: (*host).to_owned(),
            realm: "example".to_owned(),
        });
    }
    config
}

fn flow(id: u64, transport: Transport) -> Flow {
    let end = |n: u16| match transport {
        Transport::Wire => Endpoint::Wire(WireId(n)),
        _ => Endpoint::Ip(SocketAddr::from(([192, 0, 2, 1], n))),
    };
    let (local, remote) = (end(1), end(2));
    Flow { id: FlowId(id), service: Service::Diameter, transport, local, remote, proved: false }
}

fn lir() -> Request {
    let body = Lir {
        public_identity: "sip:a@example".to_owned(),
        originating: false,
        authorization: None,
    };
    cx::request(&body, "example", None)
}

/// What a node wants sent, the rest of its outputs aside.
fn sent(node: &mut Node) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(output) = node.poll_output() {
        if let Output::Transmit { message, .. } = output {
            messages.push(Message::parse(message).expect("nodes send well-formed messages"));
        }
    }
    messages
}

fn closes(node: &mut Node) -> bool {
    let mut closed = false;
    while let Some(output) = node.poll_output() {
        closed |= matches!(output, Output::Close { .. });
    }
    closed
}

/// Lets a client connect to every peer of its configuration, on flows 1, 2 …
fn connect(node: &mut Node, transport: Transport) {
    node.start(T0);
    let mut flows = 0;
    while let Some(output) = node.poll_output() {
        match output {
            Output::Resolve { query, .. } => {
                assert!(node.owns(query.0));
                let endpoint = flow(0, transport).remote;
                node.resolved(T0, query, vec![Target { transport, endpoint }]);
            }
            Output::Open { open, .. } => {
                flows += 1;
                node.opened(T0, open, flow(flows, transport));
            }
            Output::Transmit { flow, message } => {
                let cer = Message::parse(message).unwrap();
                assert_eq!(cer.header().command, CMD_CAPABILITIES_EXCHANGE);
                let host = node.config.peers[flow.id.0 as usize - 1].host.clone();
                node.received(T0, flow, cea(cer.header(), &host).bytes().clone());
            }
            Output::Log(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn cea(request: &Header, host: &str) -> Message {
    Message::write(request.answer(), |out| {
        Outcome::from(ResultCode::SUCCESS).write(out);
        out.utf8(ORIGIN_HOST, host).utf8(ORIGIN_REALM, "example");
        out.u32(AUTH_APPLICATION_ID, RELAY);
    })
}

fn cer(host: &str, application: u32) -> Message {
    let header = Header {
        flags: Flags::REQUEST,
        command: CMD_CAPABILITIES_EXCHANGE,
        application: 0,
        hop_by_hop: 7,
        end_to_end: 8,
    };
    Message::write(header, |out| {
        out.utf8(ORIGIN_HOST, host).utf8(ORIGIN_REALM, "example");
        out.u32(VENDOR_ID, 0).utf8(PRODUCT_NAME, "test");
        out.u32(AUTH_APPLICATION_ID, application);
    })
}

fn open_server(transport: Transport) -> Node {
    let mut node = Node::new(server(), Random::from_u64(1));
    node.start(T0);
    node.received(T0, flow(1, transport), cer("cscf.example", cx::APPLICATION).bytes().clone());
    let answers = sent(&mut node);
    assert_eq!(answers[0].outcome(), Some(ResultCode::SUCCESS.into()));
    assert!(matches!(node.poll_event(), Some(Event::PeerUp { .. })));
    node
}

fn request_bytes(change: impl FnOnce(&mut Header, &mut Writer)) -> Message {
    let mut header = Header {
        flags: Flags::REQUEST.with(Flags::PROXIABLE),
        command: Lir::COMMAND,
        application: cx::APPLICATION,
        hop_by_hop: 77,
        end_to_end: 88,
    };
    let mut out = Writer::new();
    change(&mut header, &mut out);
    Message::build(header, out.as_slice())
}

fn proper(out: &mut Writer) {
    out.utf8(SESSION_ID, "cscf.example;1;2");
    out.utf8(ORIGIN_HOST, "cscf.example").utf8(ORIGIN_REALM, "example");
    out.utf8(DESTINATION_REALM, "example").utf8(PUBLIC_IDENTITY, "sip:a@example");
}

#[test]
fn an_application_is_up_while_a_peer_serves_it() {
    // Others come to a server: it needs nobody.
    let mut server = open_server(Transport::Tcp);
    let peer = |up| PeerStatus { host: "cscf.example".to_owned(), up };
    assert_eq!(server.status(), Status { applications: Vec::new(), peers: vec![peer(true)] });
    server.closed(T0, flow(1, Transport::Tcp), FlowError::Closed);
    assert!(server.status().peers.iter().all(|peer| !peer.up));
    // Who is told of a peer needs it; a peer that comes by itself is as good.
    let mut client = Node::new(client(&["hss.example"]), Random::from_u64(2));
    let applications = |up| vec![(cx::APPLICATION, up)];
    assert_eq!(client.status().applications, applications(false));
    client.received(
        T0,
        flow(1, Transport::Tcp),
        cer("hss.example", cx::APPLICATION).bytes().clone(),
    );
    assert_eq!(client.status().applications, applications(true));
    let input = Input::Order(status::Ask::order());
    assert!(client.handle(T0, input).is_none());
    let told = std::iter::from_fn(|| client.poll_output()).find_map(|output| match output {
        Output::Report(report) => report.0.downcast::<Status>().ok(),
        _ => None,
    });
    assert_eq!(told.map(|status| *status), Some(client.status()));
}

#[test]
fn a_request_goes_there_and_back_over_a_wire() {
    let mut client = Node::new(client(&["hss.example"]), Random::from_u64(2));
    let mut server = Node::new(server(), Random::from_u64(3));
    server.start(T0);
    client.start(T0);
    let id = client.request(T0, lir(), Duration::from_secs(5));
    let wire = flow(1, Transport::Wire);
    let mut answered = false;
    for _ in 0..20 {
        while let Some(output) = client.poll_output() {
            match output {
                Output::Resolve { query, .. } => {
                    let target = Target { transport: Transport::Wire, endpoint: wire.remote };
                    client.resolved(T0, query, vec![target]);
                }
                Output::Open { open, .. } => client.opened(T0, open, wire),
                Output::Transmit { message, .. } => server.received(T0, wire, message),
                _ => {}
            }
        }
        while let Some(event) = server.poll_event() {
            if let Event::Request { handle, message } = event {
                assert_eq!(Lir::parse(&message).unwrap().public_identity, "sip:a@example");
                assert!(message.session_id().unwrap().starts_with("cscf.example;1700000000;"));
                let lia = Lia { server_name: Some("sip:s@example".to_owned()), capabilities: None };
                server.answer(T0, handle, ResultCode::SUCCESS.into(), cx::answer(&lia));
            }
        }
        while let Some(output) = server.poll_output() {
            if let Output::Transmit { message, .. } = output {
                client.received(T0, wire, message);
            }
        }
        while let Some(event) = client.poll_event() {
            if let Event::Answer { id: got, message } = event {
                assert_eq!(got, id);
                let lia = Lia::parse(&message).unwrap();
                assert_eq!(lia.server_name.as_deref(), Some("sip:s@example"));
                answered = true;
            }
        }
    }
    assert!(answered);
    assert_eq!(client.deadline(), None, "no watchdog, and no timer of what is answered");
}

#[test]
fn lost_connection_sends_to_the_other_peer_with_t() {
    let mut node = Node::new(client(&["a.example", "b.example"]), Random::from_u64(4));
    connect(&mut node, Transport::Tcp);
    let id = node.request(T0, lir(), LATER);
    let first = sent(&mut node).remove(0);
    assert!(!first.header().flags.has(Flags::RETRANSMITTED));
    node.closed(T0, flow(1, Transport::Tcp), FlowError::Closed);
    let second = sent(&mut node).remove(0);
    assert!(second.header().flags.has(Flags::RETRANSMITTED));
    assert_eq!(second.header().end_to_end, first.header().end_to_end);
    assert_ne!(second.header().hop_by_hop, first.header().hop_by_hop);
    assert_eq!(second.session_id(), first.session_id());
    // An answer under the old identifier is nobody's; the last peer's loss ends the request.
    node.received(T0, flow(2, Transport::Tcp), cea(first.header(), "b.example").bytes().clone());
    node.closed(T0, flow(2, Transport::Tcp), FlowError::Closed);
    let mut failed = Vec::new();
    while let Some(event) = node.poll_event() {
        if let Event::Failed { id, reason } = event {
            failed.push((id, reason));
        }
        // No answer may come before.
        else if let Event::Answer { .. } = event {
            panic!("an answer that nobody gave");
        }
    }
    assert_eq!(failed, [(id, Failure::NoPeer)]);
}

#[test]
fn a_request_without_an_answer_times_out_once() {
    let mut node = Node::new(client(&["a.example"]), Random::from_u64(5));
    connect(&mut node, Transport::Wire);
    node.request(T0, lir(), LATER);
    node.timeout(T0 + LATER);
    node.timeout(T0 + LATER + LATER);
    let mut failures = 0;
    while let Some(event) = node.poll_event() {
        failures += u32::from(matches!(event, Event::Failed { reason: Failure::Timeout, .. }));
    }
    assert_eq!(failures, 1);
}

#[test]
fn a_busy_peer_is_passed_over() {
    let mut node = Node::new(client(&["a.example", "b.example"]), Random::from_u64(6));
    connect(&mut node, Transport::Tcp);
    node.request(T0, lir(), LATER);
    let first = sent(&mut node).remove(0);
    let busy = Message::write(first.header().answer(), |out| {
        Outcome::from(ResultCode::TOO_BUSY).write(out);
    });
    node.received(T0, flow(1, Transport::Tcp), busy.bytes().clone());
    let second = sent(&mut node).remove(0);
    assert!(!second.header().flags.has(Flags::RETRANSMITTED), "the link did not fail");
    let busy = Message::write(second.header().answer(), |out| {
        Outcome::from(ResultCode::TOO_BUSY).write(out);
    });
    node.received(T0, flow(2, Transport::Tcp), busy.bytes().clone());
    let answered =
        std::iter::from_fn(|| node.poll_event()).any(|event| matches!(event, Event::Answer { .. }));
    assert!(answered, "when all are busy the function hears of it");
}

#[test]
fn a_silent_peer_loses_its_requests_to_the_other() {
    let mut node = Node::new(client(&["a.example", "b.example"]), Random::from_u64(7));
    connect(&mut node, Transport::Tcp);
    node.request(T0, lir(), Duration::from_secs(600));
    sent(&mut node);
    let mut retransmitted = None;
    for _ in 0..12 {
        let now = node.deadline().unwrap().at;
        node.timeout(now);
        while let Some(output) = node.poll_output() {
            let Output::Transmit { flow, message } = output else { continue };
            let message = Message::parse(message).unwrap();
            if message.header().command == CMD_DEVICE_WATCHDOG && flow.id == FlowId(2) {
                node.received(now, flow, cea(message.header(), "b.example").bytes().clone());
            } else if message.header().command == Lir::COMMAND {
                retransmitted = Some((flow.id, message.header().flags));
            }
        }
    }
    let (flow, flags) = retransmitted.unwrap();
    assert_eq!(flow, FlowId(2));
    assert!(flags.has(Flags::RETRANSMITTED));
}

#[test]
fn refusals_name_what_is_wrong() {
    type Change = fn(&mut Header, &mut Writer);
    let cases: [(ResultCode, Option<Key>, Change); 10] = [
        (ResultCode::COMMAND_UNSUPPORTED, None, |h, out| {
            h.command = 999;
            proper(out);
        }),
        (ResultCode::COMMAND_UNSUPPORTED, None, |h, out| {
            (h.application, h.command) = (0, 999);
            proper(out);
        }),
        (ResultCode::APPLICATION_UNSUPPORTED, None, |h, out| {
            h.application = 4;
            proper(out);
        }),
        (ResultCode::MISSING_AVP, Some(SESSION_ID), |_, out| {
            out.utf8(ORIGIN_HOST, "cscf.example");
        }),
        (ResultCode::UNABLE_TO_DELIVER, None, |_, out| {
            proper(out);
            out.utf8(DESTINATION_HOST, "other.example");
        }),
        (ResultCode::REALM_NOT_SERVED, None, |_, out| {
            out.utf8(SESSION_ID, "s").utf8(ORIGIN_HOST, "c").utf8(ORIGIN_REALM, "r");
            out.utf8(DESTINATION_REALM, "elsewhere");
        }),
        (ResultCode::LOOP_DETECTED, None, |_, out| {
            proper(out);
            out.utf8(ROUTE_RECORD, "HSS.example");
        }),
        (ResultCode::AVP_UNSUPPORTED, Some(UNKNOWN), |_, out| {
            proper(out);
            out.u32(UNKNOWN, 1);
        }),
        (ResultCode::INVALID_AVP_LENGTH, Some(ORIGINATING_REQUEST), |_, out| {
            proper(out);
            out.bytes(ORIGINATING_REQUEST, b"abc");
        }),
        (ResultCode::INVALID_AVP_VALUE, Some(SERVER_NAME), |_, out| {
            proper(out);
            out.bytes(SERVER_NAME, &[0xff, 0xfe]);
        }),
    ];
    const UNKNOWN: Key = Key { code: 9999, vendor: 10415, mandatory: true };
    for (code, guilty, change) in cases {
        let mut node = open_server(Transport::Tcp);
        let request = request_bytes(change);
        node.received(T0, flow(1, Transport::Tcp), request.bytes().clone());
        let answer = sent(&mut node).remove(0);
        assert_eq!(answer.outcome(), Some(code.into()), "{answer}");
        assert_eq!(answer.header().flags.has(Flags::ERROR), code.0 / 1000 == 3);
        assert_eq!(answer.header().hop_by_hop, 77);
        // An answer that is no answer-message is one of Cx.
        let of_cx = [VENDOR_SPECIFIC_APPLICATION_ID, AUTH_SESSION_STATE];
        for key in of_cx {
            assert_eq!(answer.find(key).is_some(), code.0 / 1000 == 5, "{answer}");
        }
        let failed = answer.find(FAILED_AVP).and_then(|avp| avp.members().next());
        assert_eq!(failed.map(|avp| avp.is(guilty.unwrap())), guilty.map(|_| true), "{answer}");
        assert!(node.poll_event().is_none(), "the function must not see it");
    }
}

#[test]
fn malformed_requests_are_answered_on_an_open_connection() {
    let mut node = open_server(Transport::Tcp);
    let flow = flow(1, Transport::Tcp);
    for (at, byte, code) in [
        (0, 2, ResultCode::UNSUPPORTED_VERSION),
        (3, 24, ResultCode::INVALID_MESSAGE_LENGTH),
        (27, 255, ResultCode::INVALID_AVP_LENGTH),
        (4, 0xa0, ResultCode::INVALID_HDR_BITS),
    ] {
        let mut bytes = request_bytes(|_, out| proper(out)).bytes().to_vec();
        bytes[at] = byte;
        node.received(T0, flow, bytes.into());
        let answer = sent(&mut node).remove(0);
        assert_eq!(answer.outcome(), Some(code.into()));
    }
    node.received(T0, flow, Bytes::from_static(b"short"));
    assert!(closes(&mut node));
}

#[test]
fn strangers_are_turned_away() {
    let tcp = flow(1, Transport::Tcp);
    let answer = |config: NodeConfig, cer: Message| {
        let mut node = Node::new(config, Random::from_u64(8));
        node.start(T0);
        node.received(T0, tcp, cer.bytes().clone());
        let mut outcome = None;
        let mut closed = false;
        while let Some(output) = node.poll_output() {
            match output {
                Output::Transmit { message, .. } => {
                    outcome = Message::parse(message).unwrap().outcome();
                }
                Output::Close { .. } => closed = true,
                _ => {}
            }
        }
        (outcome, closed)
    };
    let welcome = Some(ResultCode::SUCCESS.into());
    assert_eq!(answer(server(), cer("y.example", RELAY)), (welcome, false));
    let nothing = Some(ResultCode::NO_COMMON_APPLICATION.into());
    assert_eq!(answer(server(), cer("y.example", 4)), (nothing, true));
    assert_eq!(answer(server(), request_bytes(|_, out| proper(out))), (None, true));

    // From another host: whoever it says to be, vectors are not for everybody.
    let abroad = tcp.to(Endpoint::Ip(SocketAddr::from(([203, 0, 113, 7], 3868))));
    for (networks, admitted) in [(vec![], false), (vec![([203, 0, 113, 0].into(), 24)], true)] {
        let trusted = base::trust::Networks::new(networks);
        let mut node = Node::new(NodeConfig { trusted, ..server() }, Random::from_u64(8));
        node.received(T0, abroad, cer("y.example", RELAY).bytes().clone());
        let outputs: Vec<Output> = std::iter::from_fn(|| node.poll_output()).collect();
        let said =
            |name| outputs.iter().any(|o| matches!(o, Output::Log(event) if event.counter == name));
        assert_eq!((said("diameter.peer_up"), said("diameter.untrusted")), (admitted, !admitted));
        let answered = outputs.iter().any(|o| matches!(o, Output::Transmit { .. }));
        let closed = outputs.iter().any(|o| matches!(o, Output::Close { .. }));
        assert_eq!((answered, closed), (admitted, !admitted));
    }

    let mut node = Node::new(server(), Random::from_u64(8));
    node.received(T0, tcp, Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n\0\0"));
    assert!(closes(&mut node));
}

#[test]
fn an_answer_is_given_once_and_keeps_proxy_info() {
    let mut node = open_server(Transport::Wire);
    let request = request_bytes(|_, out| {
        proper(out);
        out.group(PROXY_INFO, |group| {
            group.utf8(PROXY_HOST, "dra.example").bytes(PROXY_STATE, b"state");
        });
    });
    node.received(T0, flow(1, Transport::Wire), request.bytes().clone());
    let Some(Event::Request { handle, .. }) = node.poll_event() else { panic!("no request") };
    let outcome = ExperimentalCode::ERROR_USER_UNKNOWN.into();
    node.answer(T0, handle.clone(), outcome, cx::common());
    node.answer(T0, handle, outcome, cx::common());
    let answers = sent(&mut node);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].outcome(), Some(outcome));
    assert_eq!(answers[0].session_id(), Some("cscf.example;1;2"));
    assert_eq!(answers[0].find(PROXY_INFO).unwrap().raw, request.find(PROXY_INFO).unwrap().raw);
}

#[test]
fn dpr_and_drain() {
    let mut node = open_server(Transport::Tcp);
    node.drain(T0);
    let dpr = sent(&mut node).remove(0);
    assert_eq!(dpr.header().command, CMD_DISCONNECT_PEER);
    node.received(T0, flow(1, Transport::Tcp), cea(dpr.header(), "cscf.example").bytes().clone());
    assert!(closes(&mut node));
    assert!(matches!(node.poll_event(), Some(Event::PeerDown { .. })));
    assert_eq!(node.deadline(), None);
}

#[test]
fn what_could_not_be_sent_on_is_closed() {
    let mut node = open_server(Transport::Wire);
    node.closed(T0, flow(1, Transport::Wire), FlowError::Overloaded);
    assert!(closes(&mut node), "else the other end would keep it open for ever");
    // The peer comes back by another one, whatever became of the old one.
    let mut node = open_server(Transport::Wire);
    let cer = cer("cscf.example", cx::APPLICATION);
    node.received(T0, flow(2, Transport::Wire), cer.bytes().clone());
    assert_eq!(sent(&mut node)[0].outcome(), Some(ResultCode::SUCCESS.into()));
    let request = request_bytes(|_, out| proper(out));
    node.received(T0, flow(2, Transport::Wire), request.bytes().clone());
    assert!(std::iter::from_fn(|| node.poll_event()).any(|e| matches!(e, Event::Request { .. })));
}

#[test]
fn a_draining_node_sends_requests_elsewhere() {
    let mut node = open_server(Transport::Wire);
    let wire = flow(1, Transport::Wire);
    node.received(T0, wire, request_bytes(|_, out| proper(out)).bytes().clone());
    node.drain(T0);
    assert!(sent(&mut node).is_empty(), "one is still running");
    let second = request_bytes(|header, out| {
        header.hop_by_hop = 78;
        proper(out);
    });
    node.received(T0, wire, second.bytes().clone());
    assert_eq!(sent(&mut node)[0].outcome(), Some(ResultCode::TOO_BUSY.into()));
}

#[test]
fn a_second_connection_is_no_reason_for_suspicion() {
    let mut node = open_server(Transport::Tcp);
    for id in 2..5 {
        let cer = cer("cscf.example", cx::APPLICATION);
        node.received(T0, flow(id, Transport::Tcp), cer.bytes().clone());
        let commands: Vec<u32> = sent(&mut node).iter().map(|m| m.header().command).collect();
        let probe = if id == 2 { &[CMD_DEVICE_WATCHDOG][..] } else { &[] };
        assert_eq!(commands, [&[CMD_CAPABILITIES_EXCHANGE], probe].concat());
    }
    // Nor does it say what the peer can do.
    let second = cer("cscf.example", RELAY);
    node.received(T0, flow(9, Transport::Tcp), second.bytes().clone());
    let unasked = cea(second.header(), "cscf.example");
    node.received(T0, flow(1, Transport::Tcp), unasked.bytes().clone());
    assert!(!node.is_reachable("elsewhere", cx::APPLICATION), "it did not open as a relay");
}

#[test]
fn connecting_is_tried_again_ever_more_slowly() {
    let mut node = Node::new(client(&["a.example"]), Random::from_u64(9));
    node.start(T0);
    let mut now = T0;
    let mut waits = Vec::new();
    for _ in 0..7 {
        let mut query = None;
        while let Some(output) = node.poll_output() {
            if let Output::Resolve { query: q, .. } = output {
                query = Some(q);
            }
        }
        node.resolved(now, query.unwrap(), vec![]);
        let at = node.deadline().unwrap().at;
        waits.push(at.since(now).as_secs());
        now = at;
        let _ = node.handle(now, Input::Timeout);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    node.request(now, lir(), LATER);
    let failed = node.poll_event();
    assert!(matches!(failed, Some(Event::Failed { reason: Failure::NoPeer, .. })));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(inputs: Vec<Vec<u8>>, flips: Vec<(u16, u8)>) {
        let mut node = open_server(Transport::Tcp);
        let flow = flow(1, Transport::Tcp);
        for bytes in inputs {
            node.received(T0, flow, bytes.into());
        }
        let mut bytes = request_bytes(|_, out| proper(out)).bytes().to_vec();
        for (at, byte) in flips {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
            node.received(T0, flow, bytes.clone().into());
        }
        sent(&mut node);
    }
}
