use super::*;
use base::store::Table;
use sip::Method;
use sip::header::NameAddr;

const HOME: &str = "ims.test";

fn border(seed: u64) -> Border {
    let others = Networks::new(vec![([198, 51, 100, 9].into(), 32)]);
    Border::new(Table("t"), Random::from_u64(seed), HOME, others)
}

fn sides() -> Sides {
    Sides { inner: "bgcf.ims.test".to_owned(), outer: "192.0.2.1:5080".to_owned() }
}

fn is_us(uri: &SipUri<'_>) -> bool {
    uri.host == "192.0.2.1" && uri.port == Some(5080)
}

fn request(call: &str) -> Message {
    Message::request(Method::Invite, "sip:+45301@198.51.100.9")
        .with(HeaderName::Via, "SIP/2.0/TCP scscf.ims.test;branch=z9hG4bK2")
        .with(HeaderName::Via, "SIP/2.0/UDP pcscf.ims.test;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.1")
        .with(HeaderName::CallId, call)
        .with(HeaderName::Contact, "\"A\" <sip:alice@10.0.0.1:5060>;+sip.instance=\"<urn:x>\";q=1")
}

fn left(border: &Border, mut request: Message) -> (Message, Crossed) {
    let came = Arc::new(request.clone());
    let crossed = border.leave(&mut request, came, &sides(), None, true);
    (request, crossed)
}

fn lines(message: &Message, name: HeaderName) -> Vec<String> {
    all(message, name)
}

#[test]
fn the_routes_come_back_in_both_directions() {
    let border = border(1);
    let mut invite = request("c@10.0.0.1");
    invite.push(HeaderName::RecordRoute, "<sip:s@scscf.ims.test;lr>, <sip:mo.1@pcscf.ims.test;lr>");
    let (out, crossed) = left(&border, invite.clone());
    assert!(!out.has(HeaderName::Via), "the stack adds our own");
    let one = lines(&out, HeaderName::RecordRoute);
    assert_eq!(one.len(), 1);
    // The far end's own proxy is in the routes, too.
    let mut ok =
        Message::response(200).with(HeaderName::CallId, out.get(HeaderName::CallId).unwrap());
    ok.push(HeaderName::RecordRoute, format!("<sip:far.test;lr>, {}", one[0]));
    border.answered_there(&crossed, &mut ok);
    let routes = [
        "<sip:far.test;lr>",
        "<sip:thig.out@bgcf.ims.test;lr>",
        "<sip:s@scscf.ims.test;lr>",
        "<sip:mo.1@pcscf.ims.test;lr>",
    ];
    assert_eq!(lines(&ok, HeaderName::RecordRoute), routes);
    assert_eq!(lines(&ok, HeaderName::Via), lines(&invite, HeaderName::Via));
    assert_eq!(ok.get(HeaderName::CallId), Some("c@10.0.0.1"));
    // A request from there goes along what was sealed.
    let contact = NameAddr::parse(out.get(HeaderName::Contact).unwrap()).unwrap();
    assert_eq!((contact.display, contact.params.as_str()), ("\"A\"", ";q=1"));
    let mut bye = Message::request(Method::Bye, contact.uri)
        .with(HeaderName::CallId, out.get(HeaderName::CallId).unwrap());
    let user = user_of(&one[0]).unwrap();
    border.open(&mut bye, &user, is_us).unwrap();
    let crossed = border.enter(&mut bye.clone(), Arc::new(bye.clone()), &sides(), false);
    assert!(matches!(crossed, Crossed::In { own: None, .. }));
    assert_eq!(bye.uri(), "sip:alice@10.0.0.1:5060");
    assert_eq!(lines(&bye, HeaderName::Route), routes[2..]);
}

#[test]
fn an_answer_from_here_shows_one_route() {
    let border = border(1);
    let mut invite = request("c@198.51.100.9");
    invite.push(HeaderName::RecordRoute, "<sip:far.test;lr>");
    let came = Arc::new(invite.clone());
    let crossed = border.enter(&mut invite, came, &sides(), true);
    let ours = lines(&invite, HeaderName::RecordRoute);
    assert_eq!(ours.len(), 2);
    assert_eq!(invite.get(HeaderName::CallId), Some("c@198.51.100.9"), "it is theirs");
    let mut ok = Message::response(200).with(HeaderName::CallId, "c@198.51.100.9");
    ok.push(HeaderName::Contact, "<sip:alice@10.0.0.1>");
    let inner = "<sip:mt.1@pcscf.ims.test;lr>, <sip:s@scscf.ims.test;lr>";
    ok.push(HeaderName::RecordRoute, format!("{inner}, {}", ours.join(", ")));
    border.answered_here(&crossed, &mut ok);
    let shown = lines(&ok, HeaderName::RecordRoute);
    assert_eq!((shown.len(), shown[1].as_str()), (2, "<sip:far.test;lr>"));
    let mut bye = Message::request(Method::Bye, "sip:alice@192.0.2.1:5080");
    border.open(&mut bye, &user_of(&shown[0]).unwrap(), is_us).unwrap();
    let back = ["<sip:s@scscf.ims.test;lr>", "<sip:mt.1@pcscf.ims.test;lr>"];
    assert_eq!(lines(&bye, HeaderName::Route), back);
    assert_eq!(bye.uri(), "sip:alice@192.0.2.1:5080", "it has no token");
    // Whoever lost our Record-Route shows none.
    let mut odd = Message::response(200).with(HeaderName::RecordRoute, inner);
    border.answered_here(&crossed, &mut odd);
    assert!(!odd.has(HeaderName::RecordRoute));
}

#[test]
fn a_call_id_is_sealed_if_it_names_a_host_of_ours_and_the_dialog_is_ours() {
    let border = border(1);
    let outside = |call: &str, own: Option<&str>| {
        let mut request = request(call);
        border.leave(&mut request, Arc::new(Message::response(200)), &sides(), own, false);
        request.get(HeaderName::CallId).unwrap().to_owned()
    };
    for call in ["c@10.0.0.1", "c@10.0.0.1:5060", "c@[2001:db8::1]", "c@S.IMS.test"] {
        let sealed = outside(call, None);
        assert!(sealed.starts_with("thig.") && !sealed.contains('@'), "{sealed}");
        assert_eq!(sealed, outside(call, Some("thig.out")), "all of a dialog is alike");
        let mut back = Message::request(Method::Bye, "sip:a@b").with(HeaderName::CallId, sealed);
        border.enter(&mut back, Arc::new(Message::response(200)), &sides(), false);
        assert_eq!(back.get(HeaderName::CallId), Some(call));
        assert_eq!(outside(call, Some("thig.in.00")), call, "the other side chose it");
    }
    for call in ["c", "c@ims.test", "c@198.51.100.9", "c@evilims.test", "c@phone.local"] {
        assert_eq!(outside(call, None), call);
    }
}

#[test]
fn fields_that_name_others_and_other_dialogs_are_mapped() {
    let border = border(1);
    let mut refer = request("c")
        .with(
            HeaderName::ReferTo,
            "<sip:bob@10.0.0.2?Replaces=d%4010.0.0.1%3Bto-tag%3D1%3Bfrom-tag%3D2&X=y>",
        )
        .with(HeaderName::ReferTo, "<sip:a?b@10.0.0.4>")
        .with(HeaderName::ReferredBy, "<sip:alice@ims.test>;cid=1")
        .with(HeaderName::HistoryInfo, "<sip:a@scscf.ims.test>;index=1, <tel:+45301>;index=1.1")
        .with(HeaderName::Replaces, "d@10.0.0.1;to-tag=1;from-tag=2")
        .with(HeaderName::TargetDialog, "d@198.51.100.9;local-tag=1")
        .with(HeaderName::Warning, "399 scscf.ims.test \"x\"")
        .with(HeaderName::Warning, "399 far.test \"y\"")
        .with(HeaderName::Path, "<sip:pcscf.ims.test;lr>");
    refer.push_other("Diversion", "<sip:a@10.0.0.3>;reason=unknown");
    let before = refer.clone();
    let (mut out, _) = left(&border, refer);
    let bytes = out.to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    for secret in ["10.0.0.", "scscf", "pcscf", "d@1", "d%401"] {
        let shows = text.replace("d@198.51.100.9", "").contains(secret);
        assert!(!shows, "{secret} in {text}");
    }
    for kept in ["<sip:alice@ims.test>;cid=1", "<tel:+45301>", "X=y", "to-tag=1", "far.test"] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    border.enter(&mut out, Arc::new(before.clone()), &sides(), false);
    for name in [HeaderName::ReferTo, HeaderName::HistoryInfo, HeaderName::Replaces] {
        assert_eq!(lines(&out, name), lines(&before, name), "{name:?}");
    }
    assert_eq!(out.get_other("Diversion"), before.get_other("Diversion"));
}

#[test]
fn identities_and_public_gruus_are_no_secret() {
    let border = border(1);
    let contact = |uri: &str| {
        let mut request = request("c");
        request.set(HeaderName::Contact, format!("<{uri}>"));
        left(&border, request).0.get(HeaderName::Contact).unwrap().to_owned()
    };
    for open in ["sip:alice@ims.test;gr=urn:uuid:1", "tel:+4930", "sip:alice@IMS.test"] {
        assert_eq!(contact(open), format!("<{open}>"));
    }
    for hidden in ["sip:tgruu.x@scscf.ims.test;gr", "sip:alice@phone.local", "sips:a@10.0.0.1"] {
        assert!(contact(hidden).starts_with("<sip:thig."), "{hidden}");
    }
    let mut any = request("c");
    any.set(HeaderName::Contact, "*");
    assert_eq!(left(&border, any).0.get(HeaderName::Contact), Some("*"));
}

#[test]
fn nothing_that_was_not_sealed_here_is_opened() {
    let (ours, theirs) = (border(1), border(2));
    let mut invite = request("c");
    invite.push(HeaderName::RecordRoute, "<sip:s@scscf.ims.test;lr>");
    let (out, _) = left(&theirs, invite);
    let route = user_of(&lines(&out, HeaderName::RecordRoute)[0]).unwrap();
    let target = user_of(out.get(HeaderName::Contact).unwrap()).unwrap();
    let open = |uri: &str, user: &str| {
        let mut bye = Message::request(Method::Bye, uri);
        theirs.open(&mut bye.clone(), user, is_us).and(ours.open(&mut bye, user, is_us))
    };
    assert_eq!(open("sip:a@b", &route), Err(Forged), "another key");
    for user in ["thig.out", "thig.in.00", "thig.", target.as_str()] {
        let mut bye = Message::request(Method::Bye, "sip:a@b");
        assert_eq!(theirs.open(&mut bye, user, is_us), Err(Forged), "{user}");
    }
    let forged = format!("sip:{}@192.0.2.1:5080", &target[..target.len() - 1]);
    let mut bye = Message::request(Method::Bye, forged);
    assert_eq!(theirs.open(&mut bye, &route, is_us), Err(Forged));
    assert!(Border::hides("thig.x") && !Border::hides("thigh") && !Border::hides("pstn"));
}

proptest::proptest! {
    /// Whatever stands there, it crosses in both directions.
    #[test]
    fn any_fields_are_taken(text in "[ -~]{0,80}", call in "[!-~]{1,30}") {
        let border = border(1);
        let mut message = request(&call);
        let fields = [
            HeaderName::Contact,
            HeaderName::RecordRoute,
            HeaderName::ReferTo,
            HeaderName::HistoryInfo,
            HeaderName::Replaces,
            HeaderName::InReplyTo,
            HeaderName::Warning,
        ];
        fields.into_iter().for_each(|name| message.push(name, text.as_str()));
        let (mut out, crossed) = left(&border, message.clone());
        border.answered_there(&crossed, &mut out.clone());
        let _ = border.open(&mut out.clone(), &text, is_us);
        let came = Arc::new(out.clone());
        let crossed = border.enter(&mut out, came, &sides(), true);
        proptest::prop_assert_eq!(out.get(HeaderName::CallId), message.get(HeaderName::CallId));
        border.answered_here(&crossed, &mut out);
    }
}
