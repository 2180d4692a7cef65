//! Offers, answers, forks, deletions, questions.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use base::Input;
use base::time::Duration;
use bench::{Bench, answer, delete, offer, phone, port_of};
use media::{Interface, MediaConfig};
use ng::request::{AddressFamily, Ice, RtcpMux};
use ng::{Command, Outcome, Request, Response, Value};

const ALICE: &str = "192.0.2.1";
const BOB: &str = "2001:db8::2";

#[test]
fn a_description_changes_where_it_must_and_nowhere_else() {
    let mut bench = Bench::new();
    let input = "v=0\r\no=moo 1 2 IN IP4 192.168.1.90\r\ns=-\r\nc=IN IP4 192.168.1.90\r\nb=AS:80\r\n\
        t=0 0\r\nm=audio 3456 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:3457\r\n\
        a=curr:qos local none\r\nx\r\na=ptime:20\r\nm=video 0 RTP/AVP 31\r\na=y\n";
    let output = bench.sdp(&offer(input));
    let wanted = input
        .replace("c=IN IP4 192.168.1.90", "c=IN IP4 198.51.100.1")
        .replace("audio 3456", "audio 30002")
        .replace("a=rtcp:3457", "a=rtcp:30003");
    assert_eq!(output, wanted);
    let mut with_origin = answer(input);
    with_origin.replace.origin = true;
    let output = bench.sdp(&with_origin);
    let wanted = wanted.replace("moo 1 2 IN IP4 192.168.1.90", "moo 1 2 IN IP4 198.51.100.1");
    assert_eq!(output, wanted.replace("30002", "30000").replace("30003", "30001"));
}

#[test]
fn the_reader_sees_one_writer() {
    let mut bench = Bench::new();
    let phone = phone(ALICE, 4000);
    let say = |bench: &mut Bench, origin: &str, name: &str, more: &str| {
        let sdp = phone.replace("o=- 1 1", origin).replace("s=-", &format!("s={name}")) + more;
        let mut request = offer(&sdp);
        request.replace.username = true;
        request.replace.session_name = true;
        request.replace.sdp_version = true;
        let sdp = bench.sdp(&request);
        let line = |kind: &str| sdp.lines().find(|line| line.starts_with(kind)).unwrap().to_owned();
        format!("{} {}", &line("o=")[..11], line("s="))
    };
    assert_eq!(say(&mut bench, "o=moo 1 70", "a talk", ""), "o=moo 1 70  s=a talk");
    // Somebody else goes on: a server that answers for him, say.
    assert_eq!(say(&mut bench, "o=pbx 1 99", "another", ""), "o=moo 1 70  s=a talk");
    assert_eq!(say(&mut bench, "o=pbx 1 99", "-", "a=sendonly\r\n"), "o=moo 1 71  s=a talk");
    assert_eq!(say(&mut bench, "o=moo 1 12", "-", "a=sendonly\r\n"), "o=moo 1 71  s=a talk");
    // Unless it is asked for, nothing is changed.
    let sdp = bench.sdp(&offer(&phone.replace("o=- 1 1", "o=moo 1 12")));
    assert!(sdp.contains("o=moo 1 12 IN"), "{sdp}");
}

#[test]
fn addresses_of_a_section_are_its_own() {
    let sdp = "v=0\r\ns=-\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 192.0.2.1\r\na=rtcp:9 IN IP4 192.0.2.7\r\n\
        m=audio 4002 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n";
    let mut bench = Bench::new();
    let out = bench.sdp(&offer(sdp));
    assert_eq!(
        out,
        "v=0\r\ns=-\r\nm=audio 30002 RTP/AVP 8\r\nc=IN IP4 198.51.100.1\r\n\
         a=rtcp:30003 IN IP4 198.51.100.1\r\nm=audio 30006 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n"
    );
    let mut replaced = offer(sdp);
    replaced.replace.zero_address = true;
    replaced.no_rtcp_attribute = true;
    let out = bench.sdp(&replaced);
    assert!(!out.contains("0.0.0.0") && !out.contains("a=rtcp:"), "{out}");
    assert_eq!(out.matches("c=IN IP4 198.51.100.1\r\n").count(), 2);
    // The second section is on hold still: its own words say so now.
    assert_eq!(out.matches("a=sendonly\r\n").count(), 1);
    assert!(out.ends_with("a=sendonly\r\n"), "{out}");
}

#[test]
fn a_call_between_ip_versions_is_heard_both_ways() {
    let mut bench = Bench::new();
    let to_ip6 = Request { address_family: Some(AddressFamily::Ip6), ..offer(&phone(ALICE, 4000)) };
    let at_bob = bench.sdp(&to_ip6);
    assert!(at_bob.contains("c=IN IP6 2001:db8::100\r\n"), "{at_bob}");
    // Early media before the answer.
    let early = bench.packet("[2001:db8::2]:5000", port_of(&at_bob, 0), 1).unwrap();
    assert_eq!(early.to.to_string(), "192.0.2.1:4000");
    let at_alice = bench.sdp(&answer(&phone(BOB, 5000)));
    assert!(at_alice.contains("c=IN IP4 198.51.100.1\r\n"), "{at_alice}");
    let out = bench.packet("192.0.2.1:4000", port_of(&at_alice, 0), 1).unwrap();
    assert_eq!(out.to.to_string(), "[2001:db8::2]:5000");
    // Bob's phone is behind a NAT after all: its real address is learned and said.
    bench.packet("[2001:db8:77::1]:6000", port_of(&at_bob, 0), 2);
    let statistics = bench.ask(&Request { command: Command::Query, ..delete() }).other;
    let totals = statistics.get("totals").and_then(Value::as_dict).unwrap();
    let rtp = totals.get("RTP").and_then(Value::as_dict).unwrap();
    assert_eq!(rtp.get("packets"), Some(&Value::Int(3)));
    let tags = statistics.get("tags").and_then(Value::as_dict).unwrap();
    let streams = |tag: &str| {
        let medias = tags.get(tag).and_then(Value::as_dict).unwrap().get("medias").unwrap();
        let streams = medias.as_list()[0].as_dict().unwrap().get("streams").unwrap();
        streams.as_list()[0].as_dict().unwrap().clone()
    };
    let endpoint = streams("tt").get("endpoint").and_then(Value::as_dict).unwrap().clone();
    assert_eq!(endpoint.text("address"), Some("2001:db8:77::1"));
    assert_eq!(streams("ft").get("local port").and_then(Value::as_int), Some(30000));
    assert!(bench.logs.iter().any(|log| log.counter == "media.learned"));
}

#[test]
fn interfaces_have_names_and_advertised_addresses() {
    let mut config = MediaConfig::new([bench::v4()]);
    config.interfaces[0].advertised = "203.0.113.9".parse().unwrap();
    config.interfaces.push(Interface::new("core", "10.0.0.1".parse().unwrap()));
    config.interfaces[0].name = "access".into();
    let mut bench = Bench::with(config);
    let direction = vec!["access".to_owned(), "core".to_owned()];
    let at_bob = bench.sdp(&Request { direction, ..offer(&phone(ALICE, 4000)) });
    assert!(at_bob.contains("c=IN IP4 10.0.0.1\r\n"));
    let at_alice = bench.sdp(&answer(&phone("10.0.0.2", 5000)));
    assert!(at_alice.contains("c=IN IP4 203.0.113.9\r\n"), "{at_alice}");
    let bound: Vec<_> = bench.ports.values().map(|a| a.ip().to_string()).collect();
    assert_eq!(bound, ["198.51.100.1", "10.0.0.1"]);
    let ip6 = Request { address_family: Some(AddressFamily::Ip6), ..offer(&phone(ALICE, 4000)) };
    let refused = bench.ask(&Request { call_id: Some("other".into()), ..ip6 });
    assert_eq!(refused.outcome, Outcome::Error);
    assert_eq!((bench.media.sessions(), bench.ports.len()), (1, 2));
}

#[test]
fn the_sip_source_can_replace_a_private_address() {
    let mut bench = Bench::new();
    let received_from = Some("203.0.113.5".parse().unwrap());
    let request =
        Request { received_from, sip_source_address: true, ..offer(&phone("10.1.1.1", 4000)) };
    let at_bob = bench.sdp(&request);
    bench.sdp(&answer(&phone(BOB, 5000)));
    let out = bench.packet("[2001:db8::2]:5000", port_of(&at_bob, 0), 1).unwrap();
    assert_eq!(out.to.to_string(), "203.0.113.5:4000");
}

#[test]
fn a_second_offer_keeps_ports_from_either_side() {
    let mut bench = Bench::new();
    let at_bob = bench.sdp(&offer(&phone(ALICE, 4000)));
    let at_alice = bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    let hold = phone("192.0.2.2", 5000) + "a=sendonly\r\n";
    let from_bob =
        Request { from_tag: Some("tt".into()), to_tag: Some("ft".into()), ..offer(&hold) };
    let held = bench.sdp(&from_bob);
    assert_eq!(port_of(&held, 0), port_of(&at_alice, 0), "Alice sees the port she knows");
    assert!(held.ends_with("a=sendonly\r\n"));
    let back = Request {
        from_tag: Some("tt".into()),
        to_tag: Some("ft".into()),
        ..answer(&(phone(ALICE, 4000) + "a=recvonly\r\n"))
    };
    assert_eq!(port_of(&bench.sdp(&back), 0), port_of(&at_bob, 0));
    assert_eq!(bench.ports.len(), 2);
    // A stream more, and one less.
    let more = phone(ALICE, 4000) + "m=video 4002 RTP/AVP 99\r\n";
    let out = bench.sdp(&Request { to_tag: Some("tt".into()), ..offer(&more) });
    assert!(bench.ports.len() == 4 && port_of(&out, 1) > 30_000);
    let refused = phone("192.0.2.2", 5000) + "m=video 0 RTP/AVP 99\r\n";
    bench.sdp(&answer(&refused));
    assert_eq!(bench.ports.len(), 2, "a rejected stream needs no ports");
}

#[test]
fn the_last_fork_that_answers_is_heard() {
    let mut bench = Bench::new();
    let at_forks = bench.sdp(&offer(&phone(ALICE, 4000)));
    let first = bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    let second = Request { to_tag: Some("t2".into()), ..answer(&phone("192.0.2.3", 6000)) };
    assert_eq!(bench.sdp(&second).replace("192.0.2.3", "192.0.2.2"), first);
    let out = bench.packet("192.0.2.1:4000", port_of(&first, 0), 1).unwrap();
    assert_eq!(out.to.to_string(), "192.0.2.3:6000");
    // A later offer finds the dialogue by either tag.
    for tag in ["t2", "tt"] {
        let again = Request { to_tag: Some(tag.into()), ..offer(&phone(ALICE, 4000)) };
        assert_eq!(bench.sdp(&again), at_forks);
    }
    assert_eq!(bench.ports.len(), 2);
}

#[test]
fn branches_have_ports_of_their_own() {
    let mut bench = Bench::new();
    let through =
        |branch: &str, request: Request| Request { via_branch: Some(branch.into()), ..request };
    let one = bench.sdp(&through("b1", offer(&phone(ALICE, 4000))));
    let two = bench.sdp(&through("b2", offer(&phone(ALICE, 4000))));
    assert_ne!(port_of(&one, 0), port_of(&two, 0));
    assert_eq!(bench.sdp(&through("b1", offer(&phone(ALICE, 4000)))), one, "the same branch again");
    let second = Request { to_tag: Some("t2".into()), ..answer(&phone("192.0.2.3", 6000)) };
    let at_alice = bench.sdp(&through("b2", second));
    let out = bench.packet("192.0.2.1:4000", port_of(&at_alice, 0), 1).unwrap();
    assert_eq!((out.to.to_string().as_str(), bench.ports.len()), ("192.0.2.3:6000", 4));
    // The other branch is cancelled, the call goes on; then it ends.
    assert_eq!(bench.ask(&through("b1", delete())).outcome, Outcome::Ok);
    assert_eq!((bench.ports.len(), bench.media.sessions()), (2, 1));
    bench.ask(&Request { to_tag: Some("t2".into()), ..delete() });
    assert_eq!((bench.ports.len(), bench.media.sessions()), (0, 0));
}

#[test]
fn deletion_may_wait_and_may_miss() {
    let mut bench = Bench::new();
    let unknown = bench.ask(&delete());
    assert_eq!(unknown.warning.as_deref(), Some("Call-ID not found or tags didn't match"));
    assert_eq!(bench.ask(&Request { fatal: true, ..delete() }).outcome, Outcome::Error);
    bench.sdp(&offer(&phone(ALICE, 4000)));
    bench.sdp(&answer(&phone(BOB, 5000)));
    let stranger = Request { from_tag: Some("xx".into()), ..delete() };
    assert!(bench.ask(&stranger).warning.is_some());
    let later = Request { delete_delay: Some(5), to_tag: Some("tt".into()), ..delete() };
    assert!(bench.ask(&later).other.get("totals").is_some());
    bench.pass(Duration::from_secs(4));
    assert_eq!(bench.ports.len(), 2);
    bench.pass(Duration::from_secs(1));
    assert_eq!((bench.ports.len(), bench.media.sessions()), (0, 0));
    // An offer takes a delayed deletion back.
    bench.sdp(&offer(&phone(ALICE, 4000)));
    bench.ask(&later);
    bench.sdp(&offer(&phone(ALICE, 4000)));
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.media.sessions(), 1);
}

#[test]
fn ice_and_fingerprints_are_removed() {
    let mut bench = Bench::new();
    let ice = phone(ALICE, 4000)
        + "a=ice-ufrag:x\r\na=ice-pwd:y\r\na=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\r\n\
           a=fingerprint:sha-1 00\r\na=setup:actpass\r\na=end-of-candidates\r\n\
           a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:k\r\na=key-mgmt:mikey k\r\na=z\r\n";
    let out = bench.sdp(&Request { ice: Some(Ice::Remove), ..offer(&ice) });
    assert!(out.ends_with("a=x-odd:1\r\na=z\r\n"), "{out}");
    let forced = bench.ask(&Request { ice: Some(Ice::ForceRelay), ..offer(&ice) });
    assert!(forced.warning.is_some());
    let fax = phone(ALICE, 1) + "m=image 9 udptl t38\r\n";
    assert!(bench.sdp(&offer(&fax)).contains("m=image 0 udptl t38\r\n"));
    assert_eq!((bench.media.sessions(), bench.ports.len()), (1, 2));
}

#[test]
fn multiplexed_rtcp_is_settled_on_each_side() {
    let muxed = |address: &str, port| phone(address, port) + "a=rtcp-mux\r\n";
    let has = |sdp: &str| sdp.contains("a=rtcp-mux\r\n");
    // Passed through by default.
    let mut bench = Bench::new();
    assert!(has(&bench.sdp(&offer(&muxed(ALICE, 4000)))));
    assert!(has(&bench.sdp(&answer(&muxed(BOB, 5000)))));
    assert!(!has(&bench.sdp(&answer(&phone(BOB, 5000)))));
    // Demultiplexed: Bob sees nothing of it.
    let mut bench = Bench::new();
    let rtcp_mux = vec![RtcpMux::Demux];
    assert!(!has(&bench.sdp(&Request { rtcp_mux, ..offer(&muxed(ALICE, 4000)) })));
    assert!(has(&bench.sdp(&answer(&phone(BOB, 5000)))));
    // Required of Bob only.
    let mut bench = Bench::new();
    let rtcp_mux = vec![RtcpMux::Require];
    assert!(has(&bench.sdp(&Request { rtcp_mux, ..offer(&phone(ALICE, 4000)) })));
    assert!(!has(&bench.sdp(&answer(&muxed(BOB, 5000)))));
}

#[test]
fn without_ports_or_room_an_offer_is_refused_and_leaves_nothing() {
    let mut bench = Bench::new();
    bench.most = 3;
    bench.sdp(&offer(&phone(ALICE, 4000)));
    let other = Request { call_id: Some("other".into()), ..offer(&phone(ALICE, 4000)) };
    assert_eq!(bench.ask(&other).error_reason.as_deref(), Some("Ran out of ports"));
    assert_eq!((bench.ports.len(), bench.media.sessions()), (2, 1));
    // A second stream that finds no ports leaves the first one alone.
    let more = phone(ALICE, 4000) + "m=video 4002 RTP/AVP 99\r\n";
    assert_eq!(bench.ask(&offer(&more)).outcome, Outcome::Error);
    assert_eq!((bench.ports.len(), bench.media.sessions()), (2, 1));
    bench.sdp(&answer(&phone(BOB, 5000)));
    let mut config = MediaConfig::new([bench::v4()]);
    config.max_sessions = 1;
    let mut bench = Bench::with(config);
    bench.sdp(&offer(&phone(ALICE, 4000)));
    assert_eq!(bench.ask(&other).outcome, Outcome::Error);
    let other = Request { supports_load_limit: true, ..other };
    assert_eq!(bench.ask(&other).outcome, Outcome::LoadLimit);
    bench.ask(&delete());
    bench.input(Input::Drain);
    assert_eq!(bench.ask(&other).outcome, Outcome::LoadLimit);
}

#[test]
fn one_description_takes_a_few_ports_only() {
    let mut bench = Bench::new();
    let many = phone(ALICE, 4000) + &"m=audio 4002 RTP/AVP 8\r\n".repeat(1000);
    let out = bench.sdp(&offer(&many));
    assert_eq!(bench.ports.len(), 16);
    assert!(port_of(&out, 7) > 0);
    assert_eq!((8..1001).map(|n| port_of(&out, n)).max(), Some(0));
}

#[test]
fn each_stream_has_its_own_port() {
    let mut bench = Bench::new();
    let bundled = phone(ALICE, 4000).replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0 1\r\n")
        + "a=mid:0\r\nm=video 0 RTP/AVP 99\r\na=bundle-only\r\na=mid:1\r\n";
    let out = bench.sdp(&offer(&bundled));
    assert!(!out.contains("BUNDLE") && !out.contains("bundle-only"), "{out}");
    assert!(out.contains("a=mid:0\r\n") && out.contains("a=mid:1\r\n"), "{out}");
}

#[test]
fn media_goes_to_hosts_only() {
    for address in ["224.0.0.1", "255.255.255.255", "127.0.0.1"] {
        let mut bench = Bench::new();
        let at_bob = bench.sdp(&offer(&phone(address, 4000)));
        bench.sdp(&answer(&phone(BOB, 5000)));
        let out = bench.packet("[2001:db8::2]:5000", port_of(&at_bob, 0), 1);
        assert!(out.is_none(), "{address}: {out:?}");
    }
    let mut bench = Bench::with(MediaConfig::new([[127, 0, 0, 1].into()]));
    let at_bob = bench.sdp(&offer(&phone("127.0.0.1", 4000)));
    bench.sdp(&answer(&phone("127.0.0.1", 5000)));
    assert!(bench.packet("127.0.0.1:5000", port_of(&at_bob, 0), 1).is_some());
}

#[test]
fn strangers_are_not_answered() {
    for (networks, answers) in [(vec![], 0), (vec![([203, 0, 113, 0].into(), 24)], 1)] {
        let trusted = base::trust::Networks::new(networks);
        let mut bench = Bench::with(MediaConfig { trusted, ..MediaConfig::new([bench::v4()]) });
        let end = |ip: [u8; 4]| base::Endpoint::Ip((ip, 2223).into());
        let flow = base::Flow {
            transport: base::Transport::Udp,
            local: end([198, 51, 100, 1]),
            remote: end([203, 0, 113, 7]),
            ..Bench::flow()
        };
        let message = base::Bytes::from_static(b"1 d7:command4:pinge");
        bench.input(Input::Received { flow, message });
        assert_eq!(bench.replies.len(), answers);
        assert_eq!(
            bench.logs.iter().filter(|log| log.counter == "ng.untrusted").count(),
            1 - answers
        );
    }
}

#[test]
fn questions_have_answers() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(&Request::new(Command::Ping)), Response::new(Outcome::Pong));
    bench.sdp(&offer(&phone(ALICE, 4000)));
    let list = bench.ask(&Request::new(Command::List));
    assert_eq!(list.other.get("calls"), Some(&Value::from_iter([Value::from("call")])));
    for n in 0..100 {
        let call_id = Some(format!("{n:01000}"));
        bench.ask(&Request { call_id, ..offer(&phone(ALICE, 4000)) });
    }
    let all = bench.ask(&Request { limit: Some(1_000_000), ..Request::new(Command::List) });
    assert_eq!(all.other.get("calls").unwrap().as_list().len(), 59, "one datagram");
    let reason = |bench: &mut Bench, request: &Request| bench.ask(request).error_reason.unwrap();
    let query = Request::about(Command::Query, "nonesuch", "ft");
    assert_eq!(reason(&mut bench, &query), "Unknown call-id");
    assert_eq!(reason(&mut bench, &offer("garbage")), "Failed to parse SDP");
    assert_eq!(
        reason(&mut bench, &Request::new(Command::Unknown("bogus".into()))),
        "Unrecognized command"
    );
    assert_eq!(reason(&mut bench, &Request { sdp: None, ..offer("") }), "No SDP body in message");
    let unknown = Request { call_id: Some("nonesuch".into()), ..answer(&phone(BOB, 5000)) };
    assert_eq!(reason(&mut bench, &unknown), "Unknown call-id");
}
