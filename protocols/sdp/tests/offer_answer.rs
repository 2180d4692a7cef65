//! Two machines, one call.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use proptest::prelude::*;
use sdp::offer_answer::OfferAnswerError;
use sdp::precondition::{Reserved, Strength};
use sdp::{Codec, Direction, OfferAnswer, Preconditions, Session};

fn phone(id: u64) -> OfferAnswer {
    OfferAnswer::new(vec![Codec::pcma(), Codec::pcmu(), Codec::telephone_event(101)], id)
}

fn a() -> std::net::SocketAddr {
    "192.0.2.1:4000".parse().unwrap()
}

fn b() -> std::net::SocketAddr {
    "[2001:db8::2]:5000".parse().unwrap()
}

fn call() -> (OfferAnswer, OfferAnswer) {
    let (mut alice, mut bob) = (phone(40), phone(80));
    exchange(&mut alice, a(), &mut bob, b());
    (alice, bob)
}

fn exchange(
    from: &mut OfferAnswer,
    from_at: std::net::SocketAddr,
    to: &mut OfferAnswer,
    to_at: std::net::SocketAddr,
) {
    let offer = from.offer(from_at, None).unwrap();
    to.receive_offer(&offer).unwrap();
    let answer = to.answer(to_at, None).unwrap();
    from.receive_answer(&answer).unwrap();
}

fn directions(alice: &OfferAnswer, bob: &OfferAnswer) -> (Direction, Direction) {
    (alice.negotiated().unwrap().direction, bob.negotiated().unwrap().direction)
}

#[test]
fn a_call_agrees_on_a_law_and_digits() {
    let (alice, bob) = call();
    let at_alice = alice.negotiated().unwrap();
    assert_eq!(at_alice.rtp, Some(b()));
    assert_eq!(at_alice.rtcp.unwrap().port(), 5001);
    assert_eq!(at_alice.codec.name, "PCMA");
    assert_eq!(at_alice.telephone_event, Some(101));
    assert_eq!(bob.negotiated().unwrap().rtp, Some(a()));
    assert_eq!(directions(&alice, &bob), (Direction::SendRecv, Direction::SendRecv));
}

#[test]
fn the_first_offer_reads_as_written() {
    let offer = phone(40).offer(a(), None).unwrap();
    assert_eq!(
        String::from_utf8(offer).unwrap(),
        "v=0\r\no=- 10 10 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 8 0 101\r\nb=AS:80\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=ptime:20\r\na=sendrecv\r\n"
    );
}

/// RFC 3264 §8.4 and RFC 6337 §5.3: holds from either side, in any order.
#[test]
fn hold_and_resume() {
    let (mut alice, mut bob) = call();
    alice.hold(true);
    exchange(&mut alice, a(), &mut bob, b());
    assert_eq!(directions(&alice, &bob), (Direction::SendOnly, Direction::RecvOnly));
    bob.hold(true);
    exchange(&mut bob, b(), &mut alice, a());
    assert_eq!(directions(&alice, &bob), (Direction::Inactive, Direction::Inactive));
    alice.hold(false);
    exchange(&mut alice, a(), &mut bob, b());
    assert_eq!(directions(&alice, &bob), (Direction::RecvOnly, Direction::SendOnly));
    bob.hold(false);
    exchange(&mut bob, b(), &mut alice, a());
    assert_eq!(directions(&alice, &bob), (Direction::SendRecv, Direction::SendRecv));
}

#[test]
fn the_version_counts_changes_only() {
    let (mut alice, _) = call();
    let version = |bytes: &[u8]| Session::parse(bytes).unwrap().origin().unwrap().version;
    let same = version(&alice.offer(a(), None).unwrap());
    alice.withdraw();
    assert_eq!(same, 10);
    alice.hold(true);
    assert_eq!(version(&alice.offer(a(), None).unwrap()), 11);
}

#[test]
fn other_media_are_rejected_and_keep_their_place() {
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
        m=video 6000 RTP/AVP 31\r\nm=audio 7000 RTP/AVP 96 97 0\r\na=rtpmap:96 AMR-WB/16000\r\n\
        a=rtpmap:97 telephone-event/8000\r\nm=image 8000 udptl t38\r\n";
    let mut bob = phone(1);
    let heard = bob.receive_offer(offer.as_bytes()).unwrap();
    assert_eq!((heard.codec.name.as_str(), heard.telephone_event), ("PCMU", Some(97)));
    let answer = Session::parse(&bob.answer(b(), None).unwrap()).unwrap();
    let lines: Vec<_> = answer.media().iter().map(|m| m.line().unwrap().to_string()).collect();
    assert_eq!(lines, ["video 0 RTP/AVP 31", "audio 5000 RTP/AVP 97 0", "image 0 udptl t38"]);
    // Our next offer keeps all three sections and the offerer's payload types.
    let again = Session::parse(&bob.offer(b(), None).unwrap()).unwrap();
    let lines: Vec<_> = again.media().iter().map(|m| m.line().unwrap().to_string()).collect();
    assert_eq!(lines[1], "audio 5000 RTP/AVP 8 0 97");
    assert_eq!((lines.len(), lines[2].as_str()), (3, "image 0 udptl t38"));
}

#[test]
fn the_answer_keeps_the_profile_and_adds_nothing() {
    let offer = String::from_utf8(phone(40).offer(a(), None).unwrap()).unwrap();
    let avpf = offer.replace("RTP/AVP ", "RTP/AVPF ") + "a=rtcp-mux\r\n";
    let mut bob = phone(80);
    bob.receive_offer(avpf.as_bytes()).unwrap();
    let answer = String::from_utf8(bob.answer(b(), None).unwrap()).unwrap();
    assert!(answer.contains("m=audio 5000 RTP/AVPF ") && answer.contains("a=rtcp-mux"), "{answer}");
    assert!(String::from_utf8(bob.offer(b(), None).unwrap()).unwrap().contains(" RTP/AVPF "));
    // RFC 5761 §5.1.1: what was not offered is not agreed on.
    let mut alice = phone(40);
    alice.offer(a(), None).unwrap();
    assert!(!alice.receive_answer(answer.as_bytes()).unwrap().rtcp_mux);
}

#[test]
fn what_cannot_be_used_is_said_and_changes_nothing() {
    let (mut alice, mut bob) = call();
    let before = alice.negotiated().cloned();
    let bad = |m: &str| format!("v=0\r\nc=IN IP4 192.0.2.9\r\nm={m}\r\n").into_bytes();
    for (offer, error) in [
        (bad("audio 7000 RTP/SAVP 0"), OfferAnswerError::NotAcceptable),
        (bad("audio 7000 RTP/AVP 18"), OfferAnswerError::NotAcceptable),
        (bad("audio 7000 RTP/AVP 101"), OfferAnswerError::NotAcceptable),
        (bad("audio 0 RTP/AVP 0"), OfferAnswerError::NotAcceptable),
        (b"v=0\r\n".to_vec(), OfferAnswerError::Mismatch),
    ] {
        assert_eq!(alice.receive_offer(&offer), Err(error));
        assert!(!alice.is_pending());
    }
    assert_eq!(alice.negotiated().cloned(), before);
    let offer = bob.offer(b(), None).unwrap();
    alice.offer(a(), None).unwrap();
    assert_eq!(alice.receive_offer(&offer), Err(OfferAnswerError::Pending));
    assert_eq!(bob.receive_answer(b"v=0\r\n"), Err(OfferAnswerError::Mismatch));
    assert_eq!(bob.answer(b(), None), Err(OfferAnswerError::NothingPending));
}

#[test]
fn a_zero_address_is_an_old_hold() {
    let (mut alice, _) = call();
    let hold = b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 7000 RTP/AVP 8\r\n";
    let heard = alice.receive_offer(hold).unwrap();
    assert_eq!((heard.rtp, heard.direction), (None, Direction::RecvOnly));
}

/// TS 24.229 §5.1.3 and RFC 3312 §13.2's way: none reserved, callee first, then both.
#[test]
fn preconditions_are_met_when_both_ends_have_reserved() {
    let (mut alice, mut bob) = (phone(1), phone(2));
    let mut at_alice = Preconditions::offer(false, Strength::None);
    let offer = alice.offer(a(), Some(&at_alice)).unwrap();
    assert!(String::from_utf8_lossy(&offer).contains(
        "a=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
         a=des:qos none remote sendrecv\r\n"
    ));
    let peer = bob.receive_offer(&offer).unwrap().preconditions.unwrap();
    let mut at_bob = Preconditions::answer(&peer, false);
    assert_eq!(at_bob.confirm, Some(Reserved::SENDRECV));
    let answer = bob.answer(b(), Some(&at_bob)).unwrap();
    at_alice.hear(&alice.receive_answer(&answer).unwrap().preconditions.unwrap());
    assert_eq!(at_alice.remote.strength, Strength::Mandatory);
    at_bob.reserve();
    assert!(!at_bob.met() && !at_alice.met());
    at_alice.reserve();
    let update = alice.offer(a(), Some(&at_alice)).unwrap();
    at_bob.hear(&bob.receive_offer(&update).unwrap().preconditions.unwrap());
    assert!(at_bob.met(), "the callee may be alerted");
    let answer = bob.answer(b(), Some(&at_bob)).unwrap();
    at_alice.hear(&alice.receive_answer(&answer).unwrap().preconditions.unwrap());
    assert!(at_alice.met());
    at_bob.local.strength = Strength::Failure;
    assert!(at_bob.failed() && !at_bob.met());
}

#[test]
fn a_peers_direction_is_ours_reversed() {
    let text = b"v=0\r\nm=audio 1 RTP/AVP 0\r\na=curr:qos local send\r\na=curr:qos remote none\r\n\
        a=des:qos mandatory local send\r\na=des:qos optional remote recv\r\n";
    let session = Session::parse(text).unwrap();
    let peer = Preconditions::of(&session.media()[0]).unwrap();
    let own = Preconditions::answer(&peer, false);
    assert_eq!(own.remote.current, Reserved { send: false, recv: true });
    assert_eq!(own.remote.desired, Reserved { send: false, recv: true });
    assert_eq!(own.confirm, None);
}

proptest! {
    #[test]
    fn any_offer_is_answered_or_refused(body in proptest::collection::vec(
        prop_oneof![
            Just("m=audio 4000 RTP/AVP 0 8 101\r\n"), Just("m=audio 0 RTP/AVP 8\r\n"),
            Just("m=video 1 RTP/AVP 99\r\n"), Just("a=inactive\r\n"), Just("a=sendonly\r\n"),
            Just("c=IN IP4 192.0.2.3\r\n"), Just("a=rtpmap:101 telephone-event/8000\r\n"),
            Just("m=\r\n"), Just("a=rtcp-mux\r\n"), Just("c=IN IP6 ::\r\n"),
        ], 0..12)) {
        let offer = format!("v=0\r\n{}", body.concat());
        let mut bob = phone(3);
        if let Ok(heard) = bob.receive_offer(offer.as_bytes()) {
            let answer = Session::parse(&bob.answer(b(), None).unwrap()).unwrap();
            let offer = Session::parse(offer.as_bytes()).unwrap();
            prop_assert_eq!(answer.media().len(), offer.media().len());
            let alive: Vec<_> =
                (0..answer.media().len()).filter(|i| answer.media()[*i].port() != Some(0)).collect();
            prop_assert_eq!(alive.len(), 1);
            let offered = offer.direction_of(alive[0]);
            let answered = answer.direction_of(alive[0]);
            prop_assert!(!answered.sends() || offered.receives());
            prop_assert!(!answered.receives() || offered.sends());
            prop_assert_eq!(answered, heard.direction);
        } else {
            prop_assert!(!bob.is_pending());
        }
    }
}
