//! Two stacks talk to each other over a flow that the test loses messages on.

use base::flow::{FlowId, Service};
use base::machine::Target;
use base::time::Duration;
use base::{Flow, Instant, Output, Random, Transport};
use sip::{Event, Failure, HeaderName, Hop, Message, Method, Stack, StackConfig};

struct Pair {
    now: Instant,
    stacks: [Stack; 2],
    transport: Transport,
    /// Messages still to be lost, from either side.
    lose: usize,
    sent: Vec<String>,
}

fn flow(side: usize, transport: Transport) -> Flow {
    let ends = ["10.0.0.1:5060", "10.0.0.2:5060"]
        .map(|a| a.parse::<std::net::SocketAddr>().expect("an address"));
    Flow {
        id: FlowId(side as u64 + 1),
        service: Service::Sip,
        transport,
        local: ends[side].into(),
        remote: ends[1 - side].into(),
        proved: false,
    }
}

impl Pair {
    fn new(transport: Transport) -> Pair {
        let stack = |seed| Stack::new(StackConfig::default(), Random::from_u64(seed));
        let now = Instant::from_unix_micros(1_000_000);
        Pair { now, stacks: [stack(1), stack(2)], transport, lose: 0, sent: Vec::new() }
    }

    /// Carries messages until there are none, and returns each side's events.
    fn settle(&mut self) -> [Vec<Event>; 2] {
        let mut events = [Vec::new(), Vec::new()];
        loop {
            let mut quiet = true;
            #[allow(clippy::needless_range_loop, reason = "the side names a stack and its peer")]
            for side in 0..2 {
                while let Some(output) = self.stacks[side].poll_output() {
                    quiet = false;
                    let Output::Transmit { message, .. } = output else { continue };
                    let first = String::from_utf8_lossy(&message);
                    self.sent.push(first.lines().next().unwrap_or("").to_owned());
                    if self.lose > 0 {
                        self.lose -= 1;
                        continue;
                    }
                    let flow = flow(1 - side, self.transport);
                    self.stacks[1 - side].received(self.now, flow, message);
                }
                while let Some(event) = self.stacks[side].poll_event() {
                    events[side].push(event);
                }
            }
            if quiet {
                return events;
            }
        }
    }

    /// Advances to the next timer of either side.
    fn tick(&mut self) -> [Vec<Event>; 2] {
        let next = self.stacks.iter().filter_map(|s| s.deadline()).min().expect("a timer runs");
        self.now = next.at;
        for stack in &mut self.stacks {
            stack.timeout(self.now);
        }
        self.settle()
    }

    fn run(&mut self, time: Duration) -> [Vec<Event>; 2] {
        let end = self.now + time;
        let mut all = self.settle();
        while let Some(next) = self.stacks.iter().filter_map(|s| s.deadline()).min() {
            if next.at > end {
                break;
            }
            let [a, b] = self.tick();
            all[0].extend(a);
            all[1].extend(b);
        }
        self.now = end;
        all
    }

    fn request(&mut self, method: Method) -> sip::ClientId {
        let message = Message::request(method.clone(), "sip:b@10.0.0.2")
            .with(HeaderName::From, "<sip:a@x>;tag=1")
            .with(HeaderName::To, "<sip:b@x>")
            .with(HeaderName::CallId, "call")
            .with(HeaderName::CSeq, format!("1 {method}"))
            .with(HeaderName::MaxForwards, "70");
        self.stacks[0].request(self.now, message, Hop::Flow(flow(0, self.transport)))
    }
}

fn only_request(events: Vec<Event>) -> (sip::ServerId, Message) {
    let mut requests = events.into_iter().filter_map(|e| match e {
        Event::Request { server, request, .. } => Some((server, request)),
        _ => None,
    });
    let first = requests.next().expect("a request");
    assert!(requests.next().is_none(), "delivered once");
    first
}

fn statuses(events: &[Event]) -> Vec<u16> {
    events
        .iter()
        .filter_map(|e| match e {
            Event::Response { response, .. } => Some(response.status()),
            Event::Failed { failure, .. } => Some(failure.status()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_lost_request_is_repeated_and_delivered_once() {
    let mut pair = Pair::new(Transport::Udp);
    pair.lose = 2;
    pair.request(Method::Options);
    pair.settle();
    let [_, b] = pair.run(Duration::from_secs(3));
    let (server, request) = only_request(b);
    pair.stacks[1].reply(pair.now, server, &request, 200);
    pair.lose = 1;
    let [a, _] = pair.run(Duration::from_secs(10));
    assert_eq!(statuses(&a), [200]);
    pair.run(Duration::from_secs(40));
    assert_eq!(pair.stacks[0].transactions(), (0, 0));
    assert_eq!(pair.stacks[1].transactions(), (0, 0));
}

#[test]
fn a_silent_peer_times_out_after_64_t1() {
    for method in [Method::Options, Method::Invite] {
        let mut pair = Pair::new(Transport::Udp);
        pair.lose = usize::MAX;
        let start = pair.now;
        pair.request(method);
        let mut events = pair.settle()[0].len();
        while events == 0 {
            let [a, _] = pair.tick();
            events = a.len();
            assert!(
                a.iter().all(|e| matches!(e, Event::Failed { failure: Failure::TimedOut, .. }))
            );
        }
        assert_eq!(pair.now.since(start), Duration::from_secs(32));
        assert!(pair.stacks[0].deadline().is_none() || pair.stacks[0].transactions() == (0, 0));
    }
}

#[test]
fn a_failure_is_acknowledged_by_the_transaction() {
    let mut pair = Pair::new(Transport::Udp);
    pair.request(Method::Invite);
    let [_, b] = pair.settle();
    let (server, request) = only_request(b);
    pair.stacks[1].reply(pair.now, server, &request, 486);
    pair.lose = 1;
    let [a, b] = pair.run(Duration::from_secs(1));
    assert_eq!(statuses(&a), [486]);
    assert!(b.is_empty(), "this ACK is not the user's");
    assert!(pair.sent.iter().any(|line| line.starts_with("ACK")));
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.stacks[1].transactions(), (0, 0));
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut pair = Pair::new(Transport::Udp);
    let client = pair.request(Method::Invite);
    let [_, b] = pair.settle();
    let (server, request) = only_request(b);
    let now = pair.now;
    pair.stacks[0].cancel(now, client, None);
    pair.settle();
    assert!(!pair.sent.iter().any(|line| line.starts_with("CANCEL")));
    pair.stacks[1].reply(pair.now, server, &request, 180);
    let [a, b] = pair.settle();
    assert_eq!(statuses(&a), [180], "the 200 to our CANCEL is not the user's");
    assert!(matches!(b[..], [Event::Cancel { server: s, .. }] if s == server));
    pair.stacks[1].reply(pair.now, server, &request, 487);
    let [a, _] = pair.run(Duration::from_secs(60));
    assert_eq!(statuses(&a), [487]);
    assert_eq!(pair.stacks[0].transactions(), (0, 0));
    assert_eq!(pair.stacks[1].transactions(), (0, 0));
}

#[test]
fn nothing_is_repeated_on_a_reliable_flow() {
    let mut pair = Pair::new(Transport::Wire);
    pair.request(Method::Options);
    let [_, b] = pair.settle();
    let (server, request) = only_request(b);
    pair.run(Duration::from_secs(5));
    pair.stacks[1].reply(pair.now, server, &request, 200);
    let [a, _] = pair.settle();
    assert_eq!(statuses(&a), [200]);
    assert_eq!(pair.sent.len(), 2);
    assert_eq!(pair.stacks[0].transactions(), (0, 0));
    assert_eq!(pair.stacks[1].transactions(), (0, 0));
}

#[test]
fn a_lying_content_length_gets_a_400() {
    let mut pair = Pair::new(Transport::Udp);
    let bytes = "OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\n\
        From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\
        Content-Length: 99\r\n\r\n";
    pair.stacks[1].received(pair.now, flow(1, Transport::Udp), bytes.into());
    pair.settle();
    assert_eq!(pair.sent, ["SIP/2.0 400 Bad Content-Length"]);
}

/// What a stack asks of the engine for a request to this URI: the name to resolve, then whom the
/// certificate has to name; the connection stands at once.
fn opens(stack: &mut Stack, uri: &str, id: u64) -> (Option<Transport>, Option<Option<String>>) {
    let now = Instant::from_unix_micros(1_000_000);
    let message = Message::request(Method::Options, uri)
        .with(HeaderName::From, "<sip:a@x>;tag=1")
        .with(HeaderName::To, "<sip:b@x>")
        .with(HeaderName::CallId, "call")
        .with(HeaderName::CSeq, "1 OPTIONS");
    stack.request(now, message, Stack::hop(uri).expect("a SIP URI"));
    let (mut transport, mut asked) = (None, None);
    while let Some(output) = stack.poll_output() {
        match output {
            Output::Resolve { query, name } => {
                transport = name.transport;
                let endpoint = "10.0.0.2:5061".parse::<std::net::SocketAddr>().expect("one").into();
                let target = Target { transport: Transport::Tls, endpoint };
                stack.resolved(now, query, vec![target]);
            }
            Output::Open { open, name, .. } => {
                asked = Some(name);
                let remote = "10.0.0.2:5061".parse::<std::net::SocketAddr>().expect("one").into();
                let tls = Flow { id: FlowId(id), remote, ..flow(0, Transport::Tls) };
                stack.opened(now, open, tls);
            }
            Output::Transmit { flow, message } => {
                assert_eq!(flow.transport, Transport::Tls);
                assert!(message.windows(12).any(|text| text == b"SIP/2.0/TLS "));
            }
            _ => {}
        }
    }
    (transport, asked)
}

/// RFC 5922 §7.3: a connection is used again for whom it was verified, and for its address; RFC 5630
/// §3.1: `sips` is TLS.
#[test]
fn a_connection_over_tls_serves_the_name_that_it_was_opened_for() {
    let mut stack = Stack::new(StackConfig::default(), Random::from_u64(1));
    let tls = Some(Transport::Tls);
    let named = |name: &str| Some(Some(name.to_owned()));
    assert_eq!(opens(&mut stack, "sips:b@Home.test", 1), (tls, named("home.test")));
    assert_eq!(opens(&mut stack, "sip:b@home.test;transport=TLS", 2), (tls, None));
    assert_eq!(opens(&mut stack, "sip:10.0.0.2:5061;transport=tls", 3), (tls, None));
    assert_eq!(opens(&mut stack, "sips:b@other.test;transport=tcp", 4), (tls, named("other.test")));
    let remote = "10.0.0.2:5061".parse::<std::net::SocketAddr>().expect("one").into();
    for id in [1, 4] {
        let gone = Flow { id: FlowId(id), remote, ..flow(0, Transport::Tls) };
        stack.closed(Instant::from_unix_micros(2_000_000), gone);
    }
    assert_eq!(opens(&mut stack, "sip:10.0.0.2:5061;transport=tls", 5), (tls, Some(None)));
    assert_eq!(opens(&mut stack, "sips:b@home.test", 6), (tls, named("home.test")));
}

/// RFC 5626 §3.5.1: two line ends on a connection are answered by one, at once; over UDP they are nothing.
#[test]
fn a_keep_alive_is_answered_on_a_connection() {
    let now = Instant::from_unix_micros(1_000_000);
    for (transport, answers) in
        [(Transport::Udp, 0), (Transport::Wire, 0), (Transport::Tcp, 1), (Transport::Tls, 1)]
    {
        let mut stack = Stack::new(StackConfig::default(), Random::from_u64(1));
        for bytes in ["\r\n", "\r\n\r\n", "\n\n\n\n"] {
            stack.received(now, flow(0, transport), bytes.into());
        }
        let mut sent = Vec::new();
        while let Some(output) = stack.poll_output() {
            let Output::Transmit { message, .. } = output else { panic!("{output:?}") };
            sent.push(message);
        }
        assert_eq!(sent, vec![&b"\r\n"[..]; answers], "{transport:?}");
    }
}

/// RFC 5626 §5.4: a STUN Binding request on a UDP port is answered, with the address that it came from; on a
/// connection it is no message. Nothing of it is logged or kept.
#[test]
fn a_keep_alive_is_answered_over_udp() {
    let now = Instant::from_unix_micros(1_000_000);
    let header = |kind| [&[kind, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    let mut stack = Stack::new(StackConfig::default(), Random::from_u64(1));
    stack.received(now, flow(0, Transport::Udp), header(0).into());
    let answer = stack.poll_output();
    let Some(Output::Transmit { flow: to, message }) = answer else { panic!("{answer:?}") };
    assert_eq!(to, flow(0, Transport::Udp));
    let from = to.remote.socket_addr().expect("an address");
    assert_eq!(sip::stun::answer(&header(0), from), Some(message));
    // An answer is not answered, nor is half a request, and nobody complains.
    for datagram in [header(1), [header(0), vec![1]].concat()] {
        stack.received(now, flow(0, Transport::Udp), datagram.into());
        assert!(stack.poll_output().is_none());
    }
    stack.received(now, flow(0, Transport::Tcp), header(0).into());
    assert!(matches!(stack.poll_output(), Some(Output::Log(_))));
    assert!(stack.poll_event().is_none());
}
