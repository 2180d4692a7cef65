//! What every proxy must not do: send a request round for ever, or multiply it without end. RFC 5393.

use base::flow::{FlowId, WireId};
use base::machine::{Input, Output};
use base::{Bytes, Endpoint, Flow, Instant, Random, Service, Transport};
use cscf::proxy::{Event, Proxy, Upstream};
use sip::{HeaderName, Hop, Message, StackConfig};

const NOW: Instant = Instant::from_unix_micros(1);

fn wire(id: u64) -> Flow {
    let (local, remote) = (Endpoint::Wire(WireId(0)), Endpoint::Wire(WireId(id as u16)));
    Flow {
        id: FlowId(id),
        service: Service::Sip,
        transport: Transport::Wire,
        local,
        remote,
        proved: false,
    }
}

fn received(from: u64, message: Bytes) -> Input {
    Input::Received { flow: wire(from), message }
}

fn proxy() -> Proxy<()> {
    let config = StackConfig { sent_by: Some("s.test:5070".to_owned()), ..StackConfig::default() };
    Proxy::new(config, Random::from_u64(1))
}

/// What the proxy hears, if it hears of it at all.
fn hear(proxy: &mut Proxy<()>, message: Bytes) -> Option<(Upstream, Message)> {
    proxy.handle(NOW, received(1, message));
    match proxy.poll_event(NOW)? {
        Event::Request { upstream, request, .. } => Some((upstream, request)),
        other => panic!("{other:?}"),
    }
}

fn sent(proxy: &mut Proxy<()>) -> Vec<Message> {
    let outputs = std::iter::from_fn(|| proxy.poll_output());
    let messages = outputs.filter_map(|output| match output {
        Output::Transmit { message, .. } => Message::parse(message).ok(),
        _ => None,
    });
    messages.collect()
}

fn options(more: &str) -> Bytes {
    format!(
        "OPTIONS sip:b@test SIP/2.0\r\nVia: SIP/2.0/TCP u.test;branch=z9hG4bKu\r\nMax-Forwards: 70\r\n\
         Route: <sip:s.test:5070;lr>\r\nFrom: <sip:a@test>;tag=1\r\nTo: <sip:b@test>\r\n\
         Call-ID: c\r\nCSeq: 1 OPTIONS\r\n{more}\r\n"
    )
    .into()
}

#[test]
fn a_request_that_comes_back_as_it_was_is_a_loop_and_a_changed_one_a_spiral() {
    let mut proxy = proxy();
    let (upstream, request) = hear(&mut proxy, options("")).expect("it is new");
    proxy.forward(NOW, upstream, vec![(request, Hop::Flow(wire(2)))], ());
    let mut forwarded = sent(&mut proxy).pop().expect("it is forwarded");
    // The next hop sends it back.
    forwarded.push_front(HeaderName::Via, "SIP/2.0/TCP n.test;branch=z9hG4bKn");
    let mut spiral = forwarded.clone();
    assert!(hear(&mut proxy, forwarded.to_bytes()).is_none());
    assert_eq!(sent(&mut proxy).pop().map(|answer| answer.status()), Some(482));
    spiral.set_element(HeaderName::Via, "SIP/2.0/TCP n.test;branch=z9hG4bKo");
    spiral.set_uri("sip:c@test");
    assert!(hear(&mut proxy, spiral.to_bytes()).is_some());
}

#[test]
fn branches_share_the_breadth_of_their_request() {
    for (header, copies, wanted) in [
        ("", 1, vec!["60"]),
        ("Max-Breadth: 1000\r\n", 1, vec!["60"]),
        ("Max-Breadth: 5\r\n", 2, vec!["3", "2"]),
        ("Max-Breadth: 1\r\n", 1, vec!["1"]),
    ] {
        let mut proxy = proxy();
        let (upstream, request) = hear(&mut proxy, options(header)).expect("it is new");
        let copies = (0..copies).map(|n| (request.clone(), Hop::Flow(wire(2 + n)))).collect();
        proxy.forward(NOW, upstream, copies, ());
        let sent = sent(&mut proxy);
        let shares: Vec<_> = sent.iter().filter_map(|m| m.get(HeaderName::MaxBreadth)).collect();
        assert_eq!(shares, wanted, "{header}");
    }
    let mut proxy = proxy();
    let (upstream, request) = hear(&mut proxy, options("Max-Breadth: 1\r\n")).expect("it is new");
    let copies = vec![(request.clone(), Hop::Flow(wire(2))), (request, Hop::Flow(wire(3)))];
    proxy.forward(NOW, upstream, copies, ());
    assert_eq!(sent(&mut proxy).pop().map(|answer| answer.status()), Some(440));
}

#[test]
fn the_challenges_of_all_branches_are_passed_on() {
    let mut proxy = proxy();
    let (upstream, request) = hear(&mut proxy, options("")).expect("it is new");
    let copies = (2..4).map(|n| (request.clone(), Hop::Flow(wire(n)))).collect();
    proxy.forward(NOW, upstream, copies, ());
    for (copy, realm) in sent(&mut proxy).iter().zip(["one", "two"]) {
        let mut answer = Message::answer(copy, 407);
        answer.tag_to(realm);
        answer.push(HeaderName::ProxyAuthenticate, format!("Digest realm=\"{realm}\",nonce=\"n\""));
        proxy.handle(NOW, received(2, answer.to_bytes()));
    }
    let Some(Event::Response { response, .. }) = proxy.poll_event(NOW) else { panic!("a 407") };
    assert_eq!(response.lines(HeaderName::ProxyAuthenticate).count(), 2);
}

/// RFC 3261 §9.2: who gave up is not sent on to an application server's, a centre's or a trunk's substitute.
#[test]
fn what_was_cancelled_is_not_tried_again() {
    let mut proxy = proxy();
    let invite =
        String::from_utf8(options("").to_vec()).expect("text").replace("OPTIONS", "INVITE");
    let cancel = invite.replace("INVITE", "CANCEL");
    let (upstream, request) = hear(&mut proxy, invite.into()).expect("it is new");
    proxy.forward(NOW, upstream, vec![(request.clone(), Hop::Flow(wire(2)))], ());
    let forwarded = sent(&mut proxy).pop().expect("it is forwarded");
    proxy.handle(NOW, received(1, cancel.into()));
    let mut answer = Message::answer(&forwarded, 503);
    answer.tag_to("n");
    proxy.handle(NOW, received(2, answer.to_bytes()));
    let Some(Event::Response { context, .. }) = proxy.poll_event(NOW) else { panic!("a 503") };
    sent(&mut proxy);
    proxy.again(NOW, context, vec![(request, Hop::Flow(wire(3)))]);
    let said: Vec<_> = sent(&mut proxy).iter().map(|m| (m.is_request(), m.status())).collect();
    assert_eq!(said, [(false, 487)]);
}
