//! RFC 7339 between two stacks: a server that has too much to do, and a client that listens or not.

use std::collections::VecDeque;

use base::flow::{FlowId, Service};
use base::machine::Target;
use base::time::Duration;
use base::{Flow, Instant, Output, Random, Transport};
use sip::header::{OverloadControl, Via};
use sip::{Event, Failure, HeaderName, Hop, Message, Method, ServerId, Stack, StackConfig};

/// How long the server takes for an answer: a little less than the client waits.
const WORK: Duration = Duration::from_secs(30);

const SERVER: &str = "10.0.0.2:5060";

fn flow(client: bool) -> Flow {
    let ends =
        ["10.0.0.1:5060", SERVER].map(|a| a.parse::<std::net::SocketAddr>().expect("an address"));
    let (local, remote) = if client { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
    Flow {
        id: FlowId(1 + u64::from(client)),
        service: Service::Sip,
        transport: Transport::Udp,
        local: local.into(),
        remote: remote.into(),
        proved: false,
    }
}

/// What became of requests.
#[derive(Default, Debug, PartialEq, Eq)]
struct Fate {
    accepted: u32,
    refused: u32,
    left_out: u32,
}

struct Pair {
    now: Instant,
    client: Stack,
    server: Stack,
    /// What the server has taken, and when it is done with it.
    work: VecDeque<(Instant, ServerId, Message)>,
    number: u32,
    fate: Fate,
    logged: Vec<String>,
    last: Option<Message>,
}

impl Pair {
    fn new(listens: bool) -> Pair {
        let client = StackConfig { overload_control: listens, ..StackConfig::default() };
        let server = StackConfig { max_transactions: 100, ..StackConfig::default() };
        Pair {
            now: Instant::from_unix_micros(1_000_000),
            client: Stack::new(client, Random::from_u64(1)),
            server: Stack::new(server, Random::from_u64(2)),
            work: VecDeque::new(),
            number: 0,
            fate: Fate::default(),
            logged: Vec::new(),
            last: None,
        }
    }

    fn send(&mut self, uri: &str, to: &str, extra: Option<(HeaderName, &str)>) {
        self.number += 1;
        self.now += Duration::from_micros(1);
        let number = self.number;
        let mut request = Message::request(Method::Message, uri)
            .with(HeaderName::From, "<sip:a@x>;tag=1")
            .with(HeaderName::To, to)
            .with(HeaderName::CallId, format!("call{number}"))
            .with(HeaderName::CSeq, "1 MESSAGE")
            .with(HeaderName::MaxForwards, "70");
        extra.into_iter().for_each(|(name, value)| request.push(name, value));
        let Some(Hop::Name(name)) = Stack::hop("sip:server.test") else { panic!("a name") };
        self.client.request(self.now, request, Hop::Name(name));
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.client.poll_output() {
                quiet = false;
                match output {
                    Output::Resolve { query, .. } => {
                        let endpoint =
                            SERVER.parse::<std::net::SocketAddr>().expect("an address").into();
                        let target = Target { transport: Transport::Udp, endpoint };
                        self.client.resolved(self.now, query, vec![target]);
                    }
                    Output::Open { open, .. } => self.client.opened(self.now, open, flow(true)),
                    Output::Transmit { message, .. } => {
                        self.server.received(self.now, flow(false), message);
                    }
                    Output::Log(event) => self.logged.push(event.counter.to_owned()),
                    _ => {}
                }
            }
            while let Some(event) = self.server.poll_event() {
                if let Event::Request { server, request, .. } = event {
                    self.server.reply(self.now, server, &request, 100);
                    self.work.push_back((self.now + WORK, server, request));
                }
            }
            while let Some((_, server, request)) =
                self.work.pop_front_if(|(done, ..)| *done <= self.now)
            {
                self.server.reply(self.now, server, &request, 200);
            }
            while let Some(output) = self.server.poll_output() {
                quiet = false;
                match output {
                    Output::Transmit { message, .. } => {
                        self.last = Message::parse(message.clone()).ok();
                        self.client.received(self.now, flow(true), message);
                    }
                    Output::Log(event) => self.logged.push(event.counter.to_owned()),
                    _ => {}
                }
            }
            while let Some(event) = self.client.poll_event() {
                match event {
                    Event::Response { response, .. } if response.status() == 200 => {
                        self.fate.accepted += 1;
                    }
                    Event::Response { response, .. } if response.status() == 100 => {}
                    Event::Response { .. } => self.fate.refused += 1,
                    Event::Failed { failure: Failure::LeftOut, .. } => self.fate.left_out += 1,
                    other => panic!("{other:?}"),
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let next = |pair: &Pair| {
            let stacks = [pair.client.deadline(), pair.server.deadline()];
            let work = pair.work.front().map(|(done, ..)| *done);
            stacks.map(|deadline| deadline.map(|d| d.at)).into_iter().chain([work]).flatten().min()
        };
        while let Some(at) = next(self).filter(|at| *at <= end) {
            self.now = at;
            self.client.timeout(self.now);
            self.server.timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn asked(&self) -> Option<OverloadControl> {
        let via = self.last.as_ref()?.list(HeaderName::Via).next().and_then(Via::parse)?;
        OverloadControl::parse(&via)
    }
}

/// Ten requests a second, of which three find room.
fn ten_a_second(listens: bool) -> Pair {
    let mut pair = Pair::new(listens);
    for _ in 0..1200 {
        pair.send("sip:b@x", "<sip:b@x>", None);
        pair.run(Duration::from_millis(100));
    }
    pair
}

#[test]
fn a_client_that_listens_is_refused_little() {
    let deaf = ten_a_second(false).fate;
    assert_eq!(deaf.left_out, 0);
    assert!(deaf.refused > 600, "{deaf:?}");
    let pair = ten_a_second(true);
    let fate = &pair.fate;
    assert!(fate.refused * 8 < deaf.refused && fate.left_out > 600, "{fate:?}");
    // As much is done as before.
    assert!(fate.accepted * 10 > deaf.accepted * 9, "{fate:?} {deaf:?}");
    let count = |name| pair.logged.iter().filter(|logged| *logged == name).count();
    assert!((1..=3).contains(&count("sip.overloaded")), "once a minute: {:?}", pair.logged);
    assert!((1..=3).contains(&count("sip.asked_for_less")));
    assert_eq!(count("sip.left_out"), fate.left_out as usize);
}

/// RFC 7339 §5.10.1: the rest is left out instead.
#[test]
fn emergencies_priorities_and_dialogs_are_not_left_out() {
    for (uri, to, extra) in [
        ("urn:service:sos.fire", "<urn:service:sos.fire>", None),
        ("sip:b@x", "<sip:b@x>", Some((HeaderName::ResourcePriority, "ets.0"))),
        ("sip:b@x", "<sip:b@x>;tag=2", None),
    ] {
        let mut pair = Pair::new(true);
        while pair.asked().is_none_or(|asked| asked.reduction < 50) {
            pair.send("sip:b@x", "<sip:b@x>", None);
        }
        let before = pair.fate.left_out;
        for _ in 0..5 {
            pair.send(uri, to, extra);
        }
        assert_eq!(pair.fate.left_out, before, "{uri} {to}");
        let sent = pair.number;
        (0..60).for_each(|_| pair.send("sip:b@x", "<sip:b@x>", None));
        assert!(pair.fate.left_out > before + 30, "{:?} of {}", pair.fate, pair.number - sent);
    }
}

#[test]
fn what_was_asked_ends_by_itself() {
    let mut pair = Pair::new(true);
    while pair.fate.left_out == 0 {
        pair.send("sip:b@x", "<sip:b@x>", None);
    }
    let until = pair.asked().expect("it is asked").validity;
    pair.run(until + Duration::from_millis(1));
    let before = pair.fate.left_out;
    pair.send("sip:b@x", "<sip:b@x>", None);
    assert_eq!(pair.fate.left_out, before, "nobody said it again");
    // There is room again, and the server says so.
    pair.run(Duration::from_secs(40));
    (0..50).for_each(|_| pair.send("sip:b@x", "<sip:b@x>", None));
    assert_eq!(pair.fate.left_out, before);
    assert_eq!(pair.asked(), None);
}

/// Whoever drives the server does not keep up. Those who listen leave out their share and are not refused; of the
/// others as much is refused, and nothing is kept of it.
#[test]
fn a_server_that_does_not_keep_up_takes_less() {
    for listens in [true, false] {
        let mut pair = Pair::new(listens);
        pair.send("sip:b@x", "<sip:b@x>", None);
        pair.server.overloaded(60);
        let before = pair.server.transactions();
        for _ in 0..400 {
            pair.send("sip:b@x", "<sip:b@x>;tag=2", None);
            pair.send("sip:b@x", "<sip:b@x>", None);
            pair.run(WORK);
        }
        let Fate { refused, left_out, .. } = pair.fate;
        let (less, none) = if listens { (left_out, refused) } else { (refused, left_out) };
        // Half of all were droppable: a client leaves out more of these, so that 60 of a hundred are missing.
        let expected = if listens { 330..=400 } else { 200..=280 };
        assert!(expected.contains(&less) && none == 0, "{listens}: {:?}", pair.fate);
        assert_eq!(pair.server.shed(), u64::from(refused));
        let kept = pair.server.transactions().1 - before.1;
        assert!(kept <= 801 - less as usize, "{kept} are kept");
        assert_eq!(pair.logged.iter().filter(|logged| *logged == "sip.refused").count(), 0);
        pair.server.overloaded(0);
        pair.run(Duration::from_secs(2));
        pair.fate = Fate::default();
        (0..50).for_each(|_| pair.send("sip:b@x", "<sip:b@x>", None));
        assert_eq!((pair.fate.refused, pair.fate.left_out), (0, 0), "it keeps up again");
    }
}

/// What is answered statelessly tells of it, too.
#[test]
fn an_answer_that_nothing_is_kept_of_asks_for_less() {
    let mut server = Stack::new(StackConfig::default(), Random::from_u64(2));
    server.overloaded(30);
    let now = Instant::from_unix_micros(1_000_000);
    let request = "OPTIONS sip:b@x SIP/2.0\r\n\
                   Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;oc;oc-algo=\"loss\"\r\n\
                   From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
    server.received(now, flow(false), request.into());
    let Some(Event::Request { server: id, request, .. }) = server.poll_event() else {
        panic!("no request");
    };
    server.respond_once(now, id, Message::answer(&request, 200));
    let outputs: Vec<_> = std::iter::from_fn(|| server.poll_output()).collect();
    let told = outputs.iter().find_map(|output| match output {
        Output::Transmit { message, .. } => {
            let answer = Message::parse(message.clone()).ok()?;
            let via = answer.list(HeaderName::Via).next().and_then(Via::parse)?;
            OverloadControl::parse(&via)
        }
        _ => None,
    });
    assert_eq!(told.map(|control| control.reduction), Some(30));
}

/// When everything is too much, saying that one listens does not help.
#[test]
fn nothing_new_is_taken_of_anybody_when_all_is_too_much() {
    let mut server = Stack::new(StackConfig::default(), Random::from_u64(2));
    server.overloaded(100);
    let ask = |via: &str, number: u32| {
        format!(
            "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{number}{via}\r\n\
             From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: {number} INVITE\r\n\
             Max-Forwards: 70\r\nResource-Priority: ets.0\r\n\r\n"
        )
    };
    let now = Instant::from_unix_micros(1_000_000);
    for (number, via) in [";oc;oc-algo=\"loss\"", ""].into_iter().enumerate() {
        let request = ask(via, number as u32);
        server.received(now, flow(false), request.clone().into());
        let outputs: Vec<_> = std::iter::from_fn(|| server.poll_output()).collect();
        let refusal = outputs.iter().find_map(|output| match output {
            Output::Transmit { message, .. } => Message::parse(message.clone()).ok(),
            _ => None,
        });
        let refusal = refusal.expect("an answer");
        assert_eq!(refusal.status(), 503);
        // Its ACK belongs to nothing that is kept, and is nobody's business, RFC 3261 §8.2.7.
        let to = refusal.get(HeaderName::To).expect("To");
        let ack = request.replace("INVITE", "ACK").replace("<sip:b@x>", to);
        server.received(now, flow(false), ack.into());
        assert!(server.poll_event().is_none());
        // That for a 2xx of somebody else is.
        let ack = request.replace("INVITE", "ACK").replace("<sip:b@x>", "<sip:b@x>;tag=2");
        server.received(now, flow(false), ack.into());
        assert!(matches!(server.poll_event(), Some(Event::Ack { .. })));
    }
    // What comes over a wire was let in by the function before.
    let wire = Flow { transport: Transport::Wire, ..flow(false) };
    server.received(now, wire, ask("", 7).into());
    assert!(matches!(server.poll_event(), Some(Event::Request { .. })));
}

/// A 503 to a client that listens does not stop everything (§5.9), to another one it does for a while.
#[test]
fn a_503_says_retry_after_to_those_who_do_not_listen() {
    for listens in [true, false] {
        let mut pair = Pair::new(listens);
        while pair.fate.refused == 0 {
            pair.send("sip:b@x", "<sip:b@x>;tag=2", None);
        }
        let last = pair.last.as_ref().expect("a response");
        assert_eq!(last.status(), 503);
        assert_eq!(last.has(HeaderName::RetryAfter), !listens);
        assert_eq!(pair.asked().map(|asked| asked.reduction), listens.then_some(100));
    }
}
