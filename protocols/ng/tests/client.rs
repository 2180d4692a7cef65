//! The client against a relay that is slow, deaf or gone.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use base::machine::{Name, OpenId, QueryId, Target};
use base::time::Duration;
use base::{Endpoint, Flow, FlowError, FlowId, Instant, Output, Service, Transport, WireId};
use ng::{Client, ClientError, ClientEvent, Command, Message, Outcome, Request, Response};

fn at(ms: u64) -> Instant {
    Instant::EPOCH + Duration::from_millis(ms)
}

fn client() -> Client {
    let host = "relay.example".to_owned();
    Client::new(Name { service: Service::Ng, host, port: Some(2223), transport: None }, 7, 42)
}

fn udp(n: u8) -> Target {
    let endpoint = Endpoint::Ip(([127, 0, 0, n], 2223).into());
    Target { transport: Transport::Udp, endpoint }
}

fn flow(target: Target) -> Flow {
    let local = Endpoint::Ip(([127, 0, 0, 1], 9).into());
    let Target { transport, endpoint } = target;
    Flow { id: FlowId(3), service: Service::Ng, transport, local, remote: endpoint, proved: false }
}

fn query(client: &mut Client) -> QueryId {
    match client.poll_output() {
        Some(Output::Resolve { query, name }) => {
            assert_eq!((name.host.as_str(), query.0 >> 56), ("relay.example", 7));
            query
        }
        other => panic!("{other:?}"),
    }
}

fn open(client: &mut Client, target: Target) -> OpenId {
    match client.poll_output() {
        Some(Output::Open {
            open, service: Service::Ng, transport, remote, local: None, ..
        }) => {
            assert_eq!(
                (Some(target.endpoint), target.transport, 7),
                (remote, transport, open.0 >> 56)
            );
            open
        }
        other => panic!("{other:?}"),
    }
}

fn sent(client: &mut Client) -> Option<Vec<u8>> {
    match client.poll_output()? {
        Output::Transmit { message, .. } => Some(message.to_vec()),
        other => panic!("{other:?}"),
    }
}

fn closed(client: &mut Client, target: Target) {
    match client.poll_output() {
        Some(Output::Close { flow }) => assert_eq!(flow.remote, target.endpoint),
        other => panic!("{other:?}"),
    }
}

fn connected(target: Target) -> (Client, ng::RequestId, Vec<u8>) {
    let mut client = client();
    let id = client.request(at(0), &Request::about(Command::Query, "c", "f"));
    let query = query(&mut client);
    assert!(client.resolved(query, &[target]));
    let open = open(&mut client, target);
    assert!(client.opened(open, flow(target)));
    let bytes = sent(&mut client).unwrap();
    (client, id, bytes)
}

fn pong(to: &[u8]) -> Vec<u8> {
    let Message { cookie, encoding, .. } = Message::parse(to).unwrap();
    Message { cookie, encoding, dict: Response::new(Outcome::Pong).to_dict() }.emit()
}

#[test]
fn a_response_is_matched_once() {
    let (mut client, id, bytes) = connected(udp(1));
    let answer = pong(&bytes);
    assert!(!client.received(&flow(udp(2)), &answer), "from a stranger");
    assert!(!client.received(&flow(udp(1)), b"other d6:result4:ponge"));
    assert!(client.received(&flow(udp(1)), &answer));
    let response = Response::new(Outcome::Pong);
    assert_eq!(client.poll_event(), Some(ClientEvent::Answered { id, response }));
    assert!(!client.received(&flow(udp(1)), &answer), "a second copy");
    client.timeout(at(60_000));
    assert_eq!((client.poll_event(), client.deadline()), (None, None));
}

#[test]
fn over_udp_a_request_is_repeated_and_gives_up() {
    let (mut client, id, first) = connected(udp(1));
    let mut times = Vec::new();
    while let Some(deadline) = client.deadline() {
        client.timeout(deadline.at);
        if let Some(event) = client.poll_event() {
            assert_eq!(event, ClientEvent::Failed { id, error: ClientError::TimedOut });
            assert_eq!(deadline.at, at(5500));
            // The only relay was deaf: the next request looks its name up again.
            closed(&mut client, udp(1));
        }
        while let Some(bytes) = sent(&mut client) {
            assert_eq!(bytes, first);
            times.push(deadline.at);
        }
    }
    assert_eq!(times, [at(500), at(1500), at(3500)]);
    client.request(at(6000), &Request::default());
    query(&mut client);
}

#[test]
fn over_a_wire_nothing_is_repeated() {
    let wire = Target { transport: Transport::Wire, endpoint: Endpoint::Wire(WireId(4)) };
    let (mut client, id, _) = connected(wire);
    while let Some(deadline) = client.deadline() {
        client.timeout(deadline.at);
    }
    closed(&mut client, wire);
    assert!(client.poll_output().is_none());
    assert_eq!(client.poll_event(), Some(ClientEvent::Failed { id, error: ClientError::TimedOut }));
}

#[test]
fn one_lost_answer_leaves_the_others_alone() {
    let (mut client, lost, _) = connected(udp(1));
    let other = client.request(at(100), &Request::default());
    let bytes = sent(&mut client).unwrap();
    assert!(client.received(&flow(udp(1)), &pong(&bytes)));
    assert!(matches!(client.poll_event(), Some(ClientEvent::Answered { id, .. }) if id == other));
    let slow = client.request(at(5000), &Request::default());
    let bytes = sent(&mut client).unwrap();
    for ms in [500, 1500, 3500, 5500] {
        client.timeout(at(ms));
    }
    let error = ClientError::TimedOut;
    assert_eq!(client.poll_event(), Some(ClientEvent::Failed { id: lost, error }));
    // The relay has answered since: it is still the one in use.
    while sent(&mut client).is_some() {}
    assert!(client.received(&flow(udp(1)), &pong(&bytes)));
    assert!(matches!(client.poll_event(), Some(ClientEvent::Answered { id, .. }) if id == slow));
}

#[test]
fn what_waits_goes_to_the_next_relay() {
    let mut client = client();
    client.request(at(0), &Request::default());
    let query = query(&mut client);
    client.resolved(query, &[udp(1), udp(2)]);
    let first = open(&mut client, udp(1));
    client.opened(first, flow(udp(1)));
    sent(&mut client).unwrap();
    client.request(at(5000), &Request::default());
    let waiting = sent(&mut client).unwrap();
    // The first one times out: the relay is deaf, the second one is asked for the rest.
    for ms in [500, 1500, 3500] {
        client.timeout(at(ms));
        sent(&mut client).unwrap();
    }
    client.timeout(at(5500));
    closed(&mut client, udp(1));
    let second = open(&mut client, udp(2));
    client.opened(second, flow(udp(2)));
    assert_eq!(sent(&mut client), Some(waiting));
    // That one cannot be reached, and there is no third.
    assert!(matches!(client.poll_event(), Some(ClientEvent::Failed { .. })));
    assert!(client.closed(&flow(udp(2)), FlowError::Unreachable));
    closed(&mut client, udp(2));
    let error = ClientError::Unreachable(FlowError::Unreachable);
    assert!(
        matches!(client.poll_event(), Some(ClientEvent::Failed { error: e, .. }) if e == error)
    );
}

#[test]
fn the_second_relay_is_tried_when_the_first_refuses() {
    let mut client = client();
    let id = client.request(at(0), &Request::default());
    let query = query(&mut client);
    assert!(!client.resolved(QueryId(1), &[]));
    client.resolved(query, &[udp(1), udp(2)]);
    let first = open(&mut client, udp(1));
    assert!(client.open_failed(first, FlowError::Refused));
    let second = open(&mut client, udp(2));
    assert!(!client.opened(first, flow(udp(1))));
    client.opened(second, flow(udp(2)));
    let bytes = sent(&mut client).unwrap();
    assert!(client.received(&flow(udp(2)), &pong(&bytes)));
    assert!(matches!(client.poll_event(), Some(ClientEvent::Answered { id: i, .. }) if i == id));
}

#[test]
fn nowhere_to_go_is_said() {
    let mut none = client();
    let id = none.request(at(0), &Request::default());
    let asked = query(&mut none);
    none.resolved(asked, &[]);
    assert_eq!(none.poll_event(), Some(ClientEvent::Failed { id, error: ClientError::NotFound }));
    let (mut client, id, _) = connected(udp(1));
    assert!(client.closed(&flow(udp(1)), FlowError::Closed));
    closed(&mut client, udp(1));
    let error = ClientError::Unreachable(FlowError::Closed);
    assert_eq!(client.poll_event(), Some(ClientEvent::Failed { id, error }));
    client.request(at(1), &Request::default());
    query(&mut client);
}

#[test]
fn a_senseless_response_is_said() {
    let (mut client, id, bytes) = connected(udp(1));
    let cookie = Message::parse(&bytes).unwrap().cookie;
    assert!(client.received(&flow(udp(1)), format!("{cookie} de").as_bytes()));
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Failed { id, error: ClientError::Malformed })
    );
}
