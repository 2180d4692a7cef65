//! NG over TCP, HTTP and WebSocket, and the command line: whoever asks by whichever door gets the same answer.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use base::time::Duration;
use base::{Bytes, Endpoint, Flow, FlowError, FlowId, Function, Input, Service, Transport};
use bench::{Bench, answer, offer, phone, port_of};
use media::{Page, PageAsked};
use ng::{Encoding, Message, Request};
use proptest::prelude::*;
use websocket::{Opcode, masked};

const MASK: [u8; 4] = [9, 8, 7, 6];

/// A connection of a program on the relay's own host.
fn flow(id: u64, service: Service) -> Flow {
    from(id, service, "198.51.100.1")
}

fn from(id: u64, service: Service, remote: &str) -> Flow {
    let end = |address: &str, port| {
        Endpoint::Ip((address.parse::<std::net::IpAddr>().unwrap(), port).into())
    };
    let (local, remote) = (end("198.51.100.1", 2223), end(remote, 1000 + id as u16));
    Flow { id: FlowId(id), service, transport: Transport::Tcp, local, remote, proved: false }
}

/// What a connection is sent for these bytes, and whether it is closed then.
fn says(bench: &mut Bench, flow: Flow, bytes: &[u8]) -> (Vec<u8>, bool) {
    bench.sent.clear();
    bench.input(Input::Received { flow, message: Bytes::copy_from_slice(bytes) });
    bench.replies.clear();
    heard(bench, flow)
}

fn heard(bench: &mut Bench, flow: Flow) -> (Vec<u8>, bool) {
    let mine = std::mem::take(&mut bench.sent).into_iter().filter(|(id, _)| *id == flow.id);
    let (mut all, mut closed) = (Vec::new(), false);
    for (_, message) in mine {
        assert!(!closed, "nothing is sent on a closed connection");
        match message {
            Some(message) => all.extend_from_slice(&message),
            None => closed = true,
        }
    }
    (all, closed)
}

fn text(bench: &mut Bench, flow: Flow, bytes: &str) -> String {
    String::from_utf8(says(bench, flow, bytes.as_bytes()).0).unwrap()
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn body(response: &[u8]) -> &[u8] {
    let at = response.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    &response[at + 4..]
}

/// Opens a WebSocket of a subprotocol.
fn upgrade(bench: &mut Bench, flow: Flow, protocol: &str) -> String {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    text(bench, flow, &request)
}

/// The payload of the one short or middle-sized frame that is there.
fn payload(frame: &[u8], opcode: u8) -> &[u8] {
    assert_eq!(frame[0], 0x80 | opcode, "{}", frame.escape_ascii());
    match frame[1] {
        126 => &frame[4..],
        length => {
            assert_eq!(frame.len(), 2 + usize::from(length));
            &frame[2..]
        }
    }
}

/// The answer without its cookie, by each door.
fn by_all_doors(
    bench: &mut Bench,
    request: &Request,
    encoding: Encoding,
    salt: u64,
) -> Vec<Vec<u8>> {
    let cookie = |door: &str| format!("{salt}_{door}");
    let emit = |cookie: &str| {
        Message { cookie: cookie.to_owned(), encoding, dict: request.to_dict() }.emit()
    };
    let plain = emit("x")[2..].to_vec();
    let without = |bytes: &[u8], cookie: &str| {
        bytes.strip_prefix(format!("{cookie} ").as_bytes()).expect("the cookie").to_vec()
    };
    let ids = salt * 10;
    let wire = cookie("wire");
    let mut all = vec![without(&bench.bytes(&emit(&wire))[0], &wire)];
    let tcp = says(bench, flow(ids, Service::Ng), &emit(&cookie("tcp")));
    assert!(!tcp.1);
    all.push(without(&tcp.0, &cookie("tcp")));
    let http = says(bench, flow(ids + 1, Service::Http), &post("/ng", &emit(&cookie("http")))).0;
    all.push(without(body(&http), &cookie("http")));
    all.push(
        body(&says(bench, flow(ids + 2, Service::Http), &post("/ng-plain", &plain)).0).to_vec(),
    );
    upgrade(bench, flow(ids + 3, Service::Http), "ng.rtpengine.com");
    let asked = masked(Opcode::Text, &emit(&cookie("ws")), MASK);
    let socket = says(bench, flow(ids + 3, Service::Http), &asked).0;
    all.push(without(payload(&socket, 2), &cookie("ws")));
    upgrade(bench, flow(ids + 4, Service::Http), "x, ng-plain.rtpengine.com");
    let asked = masked(Opcode::Binary, &plain, MASK);
    all.push(payload(&says(bench, flow(ids + 4, Service::Http), &asked).0, 2).to_vec());
    all
}

#[test]
fn all_doors_answer_alike() {
    let mut bench = Bench::new();
    let requests = [
        Request { command: ng::Command::Ping, ..Request::default() },
        offer(&phone("192.0.2.1", 4000)),
        answer(&phone("192.0.2.2", 5000)),
        Request { command: ng::Command::Query, call_id: Some("call".into()), ..Request::default() },
        Request { command: ng::Command::List, ..Request::default() },
        Request { command: ng::Command::Query, call_id: Some("x".into()), ..Request::default() },
        Request { command: ng::Command::Unknown("dance".into()), ..Request::default() },
    ];
    let mut salt = 0;
    for request in requests {
        for encoding in [Encoding::Bencode, Encoding::Json] {
            salt += 1;
            let answers = by_all_doors(&mut bench, &request, encoding, salt);
            assert_eq!(answers.len(), 6);
            for other in &answers {
                assert_eq!(other.escape_ascii().to_string(), answers[0].escape_ascii().to_string());
            }
        }
    }
    assert_eq!(bench.media.sessions(), 1);
}

/// One and the same request, however it is repeated, is done once.
#[test]
fn a_repeated_cookie_gets_the_first_answer_at_each_door() {
    let request = |bench: &mut Bench, id: u64, service: Service, bytes: &[u8]| {
        says(bench, flow(id, service), bytes).0
    };
    let message = |command: &str| {
        let mut request = offer(&phone("192.0.2.1", 4000));
        request.call_id = Some(command.to_owned());
        let dict = request.to_dict();
        Message { cookie: "same".to_owned(), encoding: Encoding::Bencode, dict }.emit()
    };
    let mut bench = Bench::new();
    let first = request(&mut bench, 1, Service::Ng, &message("a"));
    // Another connection, and even another request: the cookie says that it is the same one.
    let again = [
        request(&mut bench, 1, Service::Ng, &message("a")),
        request(&mut bench, 2, Service::Ng, &message("b")),
        body(&request(&mut bench, 3, Service::Http, &post("/ng", &message("c")))).to_vec(),
    ];
    assert!(again.iter().all(|answer| *answer == first), "{}", first.escape_ascii());
    upgrade(&mut bench, flow(4, Service::Http), "ng.rtpengine.com");
    let socket = request(&mut bench, 4, Service::Http, &masked(Opcode::Text, &message("d"), MASK));
    assert_eq!(payload(&socket, 2), first);
    assert_eq!(bench.media.sessions(), 1);
    // Another host's cookies are its own; so are they after ten seconds.
    bench.pass(Duration::from_secs(11));
    assert_ne!(request(&mut bench, 5, Service::Ng, &message("e")), first);
    assert_eq!(bench.media.sessions(), 2);
}

/// Whoever repeats himself by another connection, while the first one waits, gets the answer, too.
#[test]
fn two_connections_wait_for_one_answer() {
    let mut bench = Bench::new();
    bench.deaf = true;
    let dict = offer(&phone("192.0.2.1", 4000)).to_dict();
    let message = Message { cookie: "c".to_owned(), encoding: Encoding::Json, dict }.emit();
    let [one, two] = [flow(1, Service::Ng), flow(2, Service::Http)];
    assert!(says(&mut bench, one, &message).0.is_empty());
    assert!(says(&mut bench, two, &post("/ng", &message)).0.is_empty());
    bench.sent.clear();
    bench.pass(Duration::from_secs(2));
    let sent = bench.sent.clone();
    let first = heard(&mut bench, one).0;
    assert!(first.ends_with(br#""error-reason":"The packet path does not answer"}"#));
    bench.sent = sent;
    assert_eq!(body(&heard(&mut bench, two).0), first);
}

#[test]
fn requests_of_one_connection_are_answered_in_turn_at_every_split() {
    let stream = [
        &b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &post("/ng", b"c1 d7:command4:pinge"),
        b"GET /cli/list/timeout HTTP/1.1\r\nHost: x\r\n\r\nHEAD /ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /ng HTTP/1.1\r\nHost: x\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ]
    .concat();
    let mut bench = Bench::new();
    let whole = says(&mut bench, flow(1, Service::Http), &stream);
    let shown = String::from_utf8(whole.0.clone()).unwrap();
    let mut rest = shown.as_str();
    for wanted in [
        "\r\n\r\npong\nHTTP",
        "Content-Type: application/x-rtpengine-ng\r\n",
        "\r\n\r\nc1 d6:result4:pongeHTTP",
        "\r\n\r\nTIMEOUT=60\nHTTP",
        "Content-Length: 5\r\nCache-Control: no-store\r\n\r\nHTTP",
        "405 Method Not Allowed",
        "404 Not Found",
        "Connection: close\r\n",
    ] {
        let at = rest.find(wanted).unwrap_or_else(|| panic!("{wanted:?} in {rest}"));
        rest = &rest[at + 4..];
    }
    assert!(whole.1, "closed at the end");
    for at in 0..stream.len() {
        let connection = flow(2 + at as u64, Service::Http);
        let (mut answers, closed) = says(&mut bench, connection, &stream[..at]);
        assert!(!closed);
        let (more, closed) = says(&mut bench, connection, &stream[at..]);
        // The cookie is remembered: the answer is the same one.
        answers.extend_from_slice(&more);
        assert_eq!((String::from_utf8(answers).unwrap(), closed), (shown.clone(), true), "{at}");
    }
}

/// An answer that takes its time keeps the next one waiting, and is not overtaken.
#[test]
fn an_answer_is_not_overtaken() {
    let mut bench = Bench::new();
    bench.deaf = true;
    let dict = offer(&phone("192.0.2.1", 4000)).to_dict();
    let message = Message { cookie: "c".to_owned(), encoding: Encoding::Json, dict }.emit();
    let connection = flow(1, Service::Http);
    let stream = [&post("/ng", &message)[..], b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    assert!(says(&mut bench, connection, &stream).0.is_empty());
    bench.pass(Duration::from_secs(2));
    let said = String::from_utf8(heard(&mut bench, connection).0).unwrap();
    assert!(
        said.contains("does not answer\"}HTTP/1.1 200 OK") && said.ends_with("\r\n\r\npong\n"),
        "{said}"
    );
}

#[test]
fn garbage_ends_a_connection_with_a_line_in_the_log() {
    let mut bench = Bench::new();
    let bad = |bench: &mut Bench, service, bytes: &[u8]| {
        bench.logs.clear();
        let said = says(bench, flow(1, service), bytes);
        assert!(said.1, "closed");
        assert_eq!(bench.logs.len(), 1, "{:?}", bench.logs);
        (String::from_utf8(said.0).unwrap(), bench.logs[0].counter)
    };
    assert_eq!(bad(&mut bench, Service::Ng, b"rubbish"), (String::new(), "ng.malformed"));
    let said = bad(&mut bench, Service::Ng, b"c rubbish");
    assert_eq!(
        said,
        (
            "c d6:result5:error12:error-reason27:Could not decode dictionarye".to_owned(),
            "ng.malformed"
        )
    );
    let said = bad(&mut bench, Service::Http, b"rubbish\r\n\r\n");
    assert!(said.0.starts_with("HTTP/1.1 400 ") && said.1 == "http.malformed", "{said:?}");
    upgrade(&mut bench, flow(1, Service::Http), "ng.rtpengine.com");
    let said = says(&mut bench, flow(1, Service::Http), b"\x81\x01x");
    assert_eq!(said, (b"\x88\x02\x03\xea".to_vec(), true), "1002: not masked");
    // A request without a cookie can be told over HTTP alone.
    let said = says(&mut bench, flow(2, Service::Http), &post("/ng", b"rubbish"));
    assert!(said.0.starts_with(b"HTTP/1.1 400 ") && !said.1);
}

#[test]
fn strangers_are_refused_at_each_door() {
    let mut bench = Bench::new();
    let cases: [(Service, &[u8], &str, &str); 3] = [
        (Service::Ng, b"c d7:command4:pinge", "", "ng.untrusted"),
        (
            Service::Http,
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 403 Forbidden\r\n",
            "http.untrusted",
        ),
        (Service::Cli, b"terminate all\n", "", "cli.untrusted"),
    ];
    for (id, (service, bytes, wanted, counter)) in cases.into_iter().enumerate() {
        bench.logs.clear();
        let (said, closed) = says(&mut bench, from(id as u64, service, "203.0.113.9"), bytes);
        let said = String::from_utf8(said).unwrap();
        assert!(
            closed && said.starts_with(wanted) && said.is_empty() == wanted.is_empty(),
            "{said}"
        );
        assert_eq!(bench.logs[0].counter, counter);
    }
}

/// A browser on a trusted host does not lend its trust to the pages that it shows.
#[test]
fn web_pages_may_not_ask() {
    let mut bench = Bench::new();
    bench.sdp(&offer(&phone("192.0.2.1", 4000)));
    let asks = [
        "POST /cli HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.test\r\nContent-Length: 13\r\n\r\nterminate all",
        "GET /cli/terminate/all HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: cli.rtpengine.com\r\n\r\n",
    ];
    for ask in asks {
        let said = text(&mut bench, flow(1, Service::Http), ask);
        assert!(said.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{said}");
    }
    assert_eq!(bench.media.sessions(), 1);
    let ask = "GET /cli/list/timeout HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: none\r\n\r\n";
    assert!(text(&mut bench, flow(1, Service::Http), ask).ends_with("TIMEOUT=60\n"));
}

#[test]
fn commands_show_and_change() {
    let mut bench = Bench::new();
    let mut id = 0;
    let mut cli = |bench: &mut Bench, command: &str| {
        id += 1;
        let (said, closed) = says(bench, flow(id, Service::Cli), format!("{command}\n").as_bytes());
        assert!(closed, "one command for each connection");
        String::from_utf8(said).unwrap()
    };
    assert_eq!(cli(&mut bench, "list sessions all"), "No sessions on this media relay.\n");
    assert_eq!(cli(&mut bench, "list sessions x"), "\nCall ID not found (x).\n\n");
    assert_eq!(cli(&mut bench, "terminate x"), "\nCall Id not found (x).\n\n");
    let at_bob = bench.sdp(&offer(&phone("192.0.2.1", 4000)));
    bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    bench.packet("192.0.2.1:4000", port_of(&at_bob, 0) - 2, 1).unwrap();
    let numbers = cli(&mut bench, "get numsessions");
    assert!(
        numbers.starts_with("Current sessions own: 1\nCurrent sessions foreign: 0\n"),
        "{numbers}"
    );
    let line = cli(&mut bench, "list sessions own");
    let head =
        format!("callid: {:>60} | deletionmark:  no | created:  1700000000 | proxy:", "call");
    assert!(line.starts_with(&head) && line.lines().count() == 1, "{line}");
    let session = cli(&mut bench, "list sessions call");
    for wanted in [
        "\ncallid: call\ndeletionmark: no\ncreated: 1700000000\nproxy: wire2\n",
        "--- Tag 'ft', type: FROM_TAG, label '', branch '', callduration 0.000000\n---     subscribed to 'tt'\n",
        "------ Media #1 (audio over RTP/AVP) using unknown codec\n",
        "-------- Port    198.51.100.1:30000 <>       192.0.2.1:4000 , SSRC 0, 1 p, 172 b, 0 e, 1700000000 ts\n",
        "(RTCP), SSRC 0, 0 p, 0 b, 0 e, 1700000000 ts\n",
    ] {
        assert!(session.contains(wanted), "{wanted} in {session}");
    }
    let interfaces = cli(&mut bench, "list interfaces");
    assert!(interfaces.contains("address '198.51.100.1' (IPv4)\n Port range: 30000 - 30999\n Ports used:     4 /  1000 (  0.4%)\n"), "{interfaces}");

    // What is set is there, is told, and can be taken back.
    assert_eq!(cli(&mut bench, "set maxsessions 1"), "Success setting maxsessions to 1\n");
    assert_eq!(cli(&mut bench, "set timeout 5"), "Success setting timeout to 5\n");
    assert!(cli(&mut bench, "set timeout -5").starts_with("Fail setting timeout to -5; "));
    assert_eq!(cli(&mut bench, "set timeout"), "More parameters required.\n");
    assert_eq!(cli(&mut bench, "list timeout"), "TIMEOUT=5\n");
    assert_eq!(cli(&mut bench, "params diff"), "max-sessions: 100000 => 1\ntimeout: 60 => 5\n");
    assert!(cli(&mut bench, "params start").contains("timeout = 60\n"));
    assert!(cli(&mut bench, "params current").contains("timeout = 5\n"));
    let refused =
        bench.ask(&Request { call_id: Some("two".into()), ..offer(&phone("192.0.2.1", 4000)) });
    assert_eq!(refused.error_reason.as_deref(), Some("Parallel session limit reached"));
    // The call that was there before has the new timeout.
    bench.pass(Duration::from_secs(7));
    assert_eq!(bench.media.sessions(), 0);
    assert_eq!(cli(&mut bench, "params revert"), "");
    assert_eq!(
        cli(&mut bench, "list maxsessions"),
        "Maximum sessions configured on rtpengine: 100000\n"
    );

    bench.sdp(&offer(&phone("192.0.2.1", 4000)));
    assert_eq!(
        cli(&mut bench, "terminate call"),
        "\nCall Id (call) successfully terminated by operator.\n\n"
    );
    for call in ["a", "b"] {
        bench.sdp(&Request { call_id: Some(call.into()), ..offer(&phone("192.0.2.1", 4000)) });
    }
    assert_eq!(cli(&mut bench, "terminate foreign"), "All foreign calls terminated by operator.\n");
    assert_eq!(bench.media.sessions(), 2);
    assert_eq!(cli(&mut bench, "terminate all"), "All calls terminated by operator.\n");
    assert_eq!((bench.media.sessions(), bench.ports.len()), (0, 0));
    let totals = cli(&mut bench, "list totals");
    let line = |label: &str, value: &str| format!(" {label:<48}:{value}\n");
    for (label, value) in [
        ("Owned sessions", "0"),
        ("Total managed sessions", "4"),
        ("Total timed-out sessions via TIMEOUT", "1"),
        ("Total forced terminated sessions", "3"),
        ("Total relayed packets", "1"),
        ("Total relayed bytes", "172"),
        ("Average call duration", "1.500000 seconds"),
    ] {
        assert!(totals.contains(&line(label, value)), "{label} {value} in {totals}");
    }
    let json: serde_json::Value = serde_json::from_str(&cli(&mut bench, "list jsonstats")).unwrap();
    assert_eq!(json["totalstatistics"]["forcedterminatedsessions"], 3);
    assert_eq!(json["totalstatistics"]["totalcallsduration"], 6.0);
    assert_eq!(cli(&mut bench, "dance now"), "Unknown or incomplete command::dance now\n");
    assert_eq!(cli(&mut bench, "list dance"), "Unknown or incomplete command::dance\n");
    assert_eq!(cli(&mut bench, "list"), "More parameters required.\n");
    assert!(cli(&mut bench, "help").starts_with("Available sub-commands at this level:\n\tlist\n"));
    // The same by the other doors.
    let said = text(
        &mut bench,
        flow(900, Service::Http),
        "GET /cli/list+timeout HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert!(
        said.contains("Content-Type: text/plain\r\n") && said.ends_with("\r\n\r\nTIMEOUT=60\n"),
        "{said}"
    );
    assert_eq!(
        body(&says(&mut bench, flow(900, Service::Http), &post("/cli", b"list timeout\n")).0),
        b"TIMEOUT=60\n"
    );
    upgrade(&mut bench, flow(901, Service::Http), "cli.rtpengine.com");
    let asked = masked(Opcode::Text, b"list timeout", MASK);
    assert_eq!(payload(&says(&mut bench, flow(901, Service::Http), &asked).0, 2), b"TIMEOUT=60\n");
}

#[test]
fn a_websocket_lives_and_ends_as_the_standard_says() {
    let mut bench = Bench::new();
    let socket = flow(1, Service::Http);
    let answer = upgrade(&mut bench, socket, "echo.rtpengine.com");
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    assert!(answer.ends_with("\r\nSec-WebSocket-Protocol: echo.rtpengine.com\r\n\r\n"), "{answer}");
    let mut fragments = masked(Opcode::Text, b"hel", MASK);
    fragments[0] &= 0x7f;
    fragments.extend(masked(Opcode::Ping, b"?", MASK));
    fragments.extend(masked(Opcode::Continuation, b"lo", MASK));
    assert_eq!(says(&mut bench, socket, &fragments), (b"\x8a\x01?\x82\x05hello".to_vec(), false));
    // Silence is asked about once; whoever does not answer is gone.
    bench.sent.clear();
    bench.pass(Duration::from_secs(61));
    assert_eq!(heard(&mut bench, socket), (b"\x89\x00".to_vec(), false));
    says(&mut bench, socket, &masked(Opcode::Pong, b"", MASK));
    bench.pass(Duration::from_secs(61));
    assert_eq!(heard(&mut bench, socket), (b"\x89\x00".to_vec(), false));
    bench.pass(Duration::from_secs(61));
    assert_eq!(heard(&mut bench, socket), (Vec::new(), true));
    // A close frame is answered by one with the same code.
    let socket = flow(2, Service::Http);
    upgrade(&mut bench, socket, "echo.rtpengine.com");
    let said = says(&mut bench, socket, &masked(Opcode::Close, b"\x0b\xb8", MASK));
    assert_eq!(said, (b"\x88\x02\x0b\xb8".to_vec(), true));
    // Nobody waits for a message that is too long.
    let socket = flow(3, Service::Http);
    upgrade(&mut bench, socket, "ng.rtpengine.com");
    let said = says(&mut bench, socket, b"\x82\xff\0\0\0\0\0\x20\0\0mask");
    assert_eq!(said, (b"\x88\x02\x03\xf1".to_vec(), true));
    // Whoever does not read is closed, and forgotten.
    let socket = flow(4, Service::Http);
    upgrade(&mut bench, socket, "ng.rtpengine.com");
    bench.logs.clear();
    for _ in 0..3 {
        bench.input(Input::Closed { flow: socket, error: FlowError::Overloaded });
    }
    assert_eq!(heard(&mut bench, socket), (Vec::new(), true));
    assert_eq!(bench.logs.iter().map(|log| log.counter).collect::<Vec<_>>(), ["ng.slow"]);
    assert!(upgrade(&mut bench, flow(5, Service::Http), "chat").starts_with("HTTP/1.1 400 "));
    // A connection of HTTP that is silent is closed.
    bench.sent.clear();
    bench.pass(Duration::from_secs(61));
    assert_eq!(heard(&mut bench, flow(5, Service::Http)), (Vec::new(), true));
    assert!(bench.media.deadline().is_none(), "nothing is left");
}

#[test]
fn metrics_come_from_the_program() {
    let mut bench = Bench::new();
    let get = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let [one, two] = [flow(1, Service::Http), flow(2, Service::Http)];
    assert!(says(&mut bench, one, get).0.is_empty() && says(&mut bench, two, get).0.is_empty());
    assert_eq!(bench.reports.len(), 1, "asked once for both");
    assert!(bench.reports.pop().unwrap().0.is::<PageAsked>());
    bench.input(Input::Closed { flow: one, error: FlowError::Closed });
    let page = Page { content_type: "text/x", text: "up 1\n".to_owned() };
    bench.input(Input::Order(page.order()));
    let said = String::from_utf8(heard(&mut bench, two).0).unwrap();
    assert!(
        said.contains("Content-Type: text/x\r\n") && said.ends_with("\r\n\r\nup 1\n"),
        "{said}"
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, words in "(list|set|params|terminate|get)[ /][a-z0-9 /-]{0,20}") {
        let mut bench = Bench::new();
        for service in [Service::Ng, Service::Http, Service::Cli] {
            says(&mut bench, flow(service as u64, service), &bytes);
        }
        says(&mut bench, flow(10, Service::Cli), words.as_bytes());
        says(&mut bench, flow(11, Service::Http), &post("/ng-plain", &bytes));
        says(&mut bench, flow(11, Service::Http), &post("/cli", &bytes));
        upgrade(&mut bench, flow(12, Service::Http), "ng-plain.rtpengine.com");
        says(&mut bench, flow(12, Service::Http), &bytes);
        says(&mut bench, flow(12, Service::Http), &masked(Opcode::Binary, &bytes, MASK));
    }
}
