//! Nothing is lost, and a setter changes its own line only.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use proptest::prelude::*;
use sdp::{Direction, Rtcp, Session};

/// RFC 4566 §5's example, with one line of a later standard and a bare line feed.
const EXAMPLE: &str = "v=0\r\no=jdoe 2890844526 2890842807 IN IP4 10.47.16.5\r\ns=SDP Seminar\r\n\
i=A Seminar on the session description protocol\r\nu=http://www.example.com/seminars/sdp.pdf\r\n\
e=j.doe@example.com (Jane Doe)\r\nc=IN IP4 224.2.17.12/127\r\nt=2873397496 2873404696\r\n\
a=recvonly\r\nm=audio 49170 RTP/AVP 0\r\nx=unknown\r\nm=video 51372 RTP/AVP 99\n\
a=rtpmap:99 h263-1998/90000\r\n";

#[test]
fn the_standards_example_reads() {
    let session = Session::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(session.origin().unwrap().version, 2_890_842_807);
    assert_eq!(session.address_of(0).unwrap().to_string(), "224.2.17.12");
    assert_eq!(session.direction_of(1), Direction::RecvOnly);
    assert_eq!(session.media()[1].rtpmap(99).unwrap().encoding, "h263-1998");
    assert_eq!(session.media()[0].codecs()[0].name, "PCMU");
    assert_eq!(session.rtcp_of(0).unwrap().port(), 49171);
    assert_eq!(session.emit(), EXAMPLE.as_bytes());
}

#[test]
fn a_setter_changes_its_line_only() {
    let mut session = Session::parse(EXAMPLE.as_bytes()).unwrap();
    session.set_connection("2001:db8::1".parse().unwrap());
    session.media_mut(0).unwrap().set_port(30000);
    let media = session.media_mut(1).unwrap();
    media.set_rtcp(Rtcp { port: 7, address: None });
    media.set_direction(Direction::Inactive);
    let wanted = EXAMPLE
        .replace("c=IN IP4 224.2.17.12/127", "c=IN IP6 2001:db8::1")
        .replace("m=audio 49170", "m=audio 30000")
        + "a=rtcp:7\na=inactive\n";
    assert_eq!(String::from_utf8(session.emit()).unwrap(), wanted);
}

#[test]
fn a_missing_last_line_end_is_completed_only_when_something_follows() {
    let text = "v=0\r\nm=audio 1 RTP/AVP 0";
    let mut session = Session::parse(text.as_bytes()).unwrap();
    assert_eq!(session.emit(), text.as_bytes());
    session.media_mut(0).unwrap().set_connection("192.0.2.1".parse().unwrap());
    assert_eq!(session.emit(), b"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n");
}

#[test]
fn rtcp_with_an_address_is_rfc_3605() {
    let text = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 49170 RTP/AVP 0\r\n\
                a=rtcp:53020 IN IP6 2001:2345:6789:ABCD:EF01:2345:6789:ABCD\r\n";
    let session = Session::parse(text.as_bytes()).unwrap();
    let rtcp = session.rtcp_of(0).unwrap();
    assert_eq!(rtcp.to_string(), "[2001:2345:6789:abcd:ef01:2345:6789:abcd]:53020");
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"m=audio 4000 RTP/AVP 0 8".to_vec()),
        Just(b"c=IN IP4 192.0.2.7".to_vec()),
        Just(b"o=- 1 2 IN IP4 192.0.2.7".to_vec()),
        Just(b"a=sendonly".to_vec()),
        Just(b"a=rtcp:99".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    let end = prop_oneof![Just(&b"\r\n"[..]), Just(&b"\n"[..])];
    proptest::collection::vec((line, end), 0..20).prop_map(|lines| {
        let mut out = b"v=0\r\n".to_vec();
        for (line, end) in lines {
            out.extend(line);
            out.extend_from_slice(end);
        }
        out
    })
}

fn ask_everything(session: &Session) {
    let _ = (session.origin(), session.connection(), session.find_media("audio"));
    for (index, media) in session.media().iter().enumerate() {
        let _ = (session.rtp_of(index), session.rtcp_of(index), session.direction_of(index));
        let _ = (media.codecs(), media.ptime(), sdp::Preconditions::of(media));
    }
}

proptest! {
    #[test]
    fn parse_then_emit_is_the_identity(bytes in lines()) {
        let session = Session::parse(&bytes).unwrap();
        prop_assert_eq!(session.emit(), bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(session) = Session::parse(&bytes) { ask_everything(&session) }
        bytes.splice(0..0, *b"v=0\nm=audio ");
        let mut session = Session::parse(&bytes).unwrap();
        ask_everything(&session);
        session.media_mut(0).unwrap().set_port(4);
        session.media_mut(0).unwrap().set_protocol("RTP/AVP");
        ask_everything(&session);
    }

    #[test]
    fn what_is_set_is_read_and_the_other_lines_stay(bytes in lines(), port in any::<u16>()) {
        let mut session = Session::parse(&bytes).unwrap();
        let address = "2001:db8::9".parse().unwrap();
        session.set_connection(address);
        prop_assert_eq!(session.connection().unwrap().address, address);
        for index in 0..session.media().len() {
            session.media_mut(index).unwrap().set_port(port);
            session.media_mut(index).unwrap().set_direction(Direction::RecvOnly);
        }
        let again = Session::parse(&session.emit()).unwrap();
        prop_assert_eq!(&again, &session);
        let old = bytes.split(|b| *b == b'\n').filter(|l| !l.starts_with(b"m=")
            && !l.starts_with(b"c=") && !l.starts_with(b"a="));
        let new = session.emit();
        let new = new.split(|b| *b == b'\n').filter(|l| !l.starts_with(b"m=")
            && !l.starts_with(b"c=") && !l.starts_with(b"a="));
        prop_assert!(old.eq(new));
    }
}

#[test]
fn words_of_a_media_line_may_be_far_apart() {
    let mut session = Session::parse(b"v=0\r\nm=audio  4000\tRTP/AVP   8 0\r\n").unwrap();
    let media = session.media_mut(0).unwrap();
    assert_eq!(media.port(), Some(4000));
    media.set_port(0);
    media.set_protocol("RTP/AVPF");
    assert_eq!(session.emit(), b"v=0\r\nm=audio  0\tRTP/AVPF   8 0\r\n");
}
