//! RFC 4475, section by section.

use sip::header::{CSeq, NameAddr, Via};
use sip::message::ParseError;
use sip::{HeaderName, Message, Method, Uri};

use super::{Fate, fate, read, refused, unreadable};

macro_rules! dat {
    ($name:literal) => {
        include_bytes!(concat!("../../corpus/rfc4475/", $name, ".dat")).as_slice()
    };
}

fn address(message: &Message, name: HeaderName) -> NameAddr<'_> {
    message.get(name).and_then(NameAddr::parse).expect("an address")
}

fn via(message: &Message) -> Via<'_> {
    message.list(HeaderName::Via).next().and_then(Via::parse).expect("a Via")
}

fn cseq(message: &Message) -> CSeq {
    message.get(HeaderName::CSeq).and_then(CSeq::parse).expect("a CSeq")
}

/// §3.1.1.1: any line may be folded, names are of any case, blanks stand around separators, an unknown
/// header field has no value, and Max-Forwards has leading zeros. It is legal all the same.
#[test]
fn wsinv() {
    let message = read(dat!("wsinv"));
    assert_eq!(message.method(), Some(&Method::Invite));
    assert_eq!(message.get(HeaderName::MaxForwards).and_then(sip::header::delta_seconds), Some(68));
    assert_eq!(address(&message, HeaderName::To).tag(), Some("1918181833n"));
    let from = address(&message, HeaderName::From);
    assert_eq!((from.uri, from.tag()), ("sip:jdrosen@example.com", Some("98asjd8")));
    assert_eq!(sip::lex::unquote(from.display), "J Rosenberg \\\"");
    assert_eq!((cseq(&message).number, cseq(&message).method), (9, Method::Invite));
    let vias: Vec<Via<'_>> = message.list(HeaderName::Via).filter_map(Via::parse).collect();
    let hosts: Vec<&str> = vias.iter().map(|via| via.host).collect();
    assert_eq!(hosts, ["192.0.2.2", "spindle.example.com", "192.168.255.111"]);
    assert_eq!(vias[1].branch(), "z9hG4bK9ikj8");
    assert_eq!(
        message.get_other("NewFangledHeader"),
        Some("newfangled value   continued newfangled value")
    );
    let route = address(&message, HeaderName::Route);
    assert!(route.parsed_uri().and_then(Uri::sip).is_some_and(|uri| uri.is_loose()));
    let contact = address(&message, HeaderName::Contact);
    assert_eq!(
        (contact.display, contact.uri),
        ("\"Quoted string \\\"\\\"\"", "sip:jdrosen@example.com")
    );
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(message.body().len(), 150);
    assert_eq!(fate(dat!("wsinv")), Fate::Taken);
}

/// §3.1.1.2: every character that a token, a user part, a password and a quoted text may have.
#[test]
fn intmeth() {
    let message = read(dat!("intmeth"));
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    assert_eq!(message.method().map(Method::as_str), Some(method));
    assert_eq!(cseq(&message).method.as_str(), method);
    let uri = Uri::parse(message.uri()).and_then(Uri::sip).expect("a URI");
    assert_eq!(uri.user, Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!((uri.host, uri.headers), ("example.com", None));
    let to = address(&message, HeaderName::To);
    assert_eq!(to.display, "\"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\"");
    let from = address(&message, HeaderName::From);
    assert_eq!(from.display, "token1~` token2'+_ token3*%!.-");
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(from.params.get("fromParam''~+*_!.-%"), Some("\"работающий\""));
    assert_eq!(via(&message).branch(), "z9hG4bK-.!%66*_+`'~");
    assert_eq!(message.get_other("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
    assert_eq!(fate(dat!("intmeth")), Fate::Taken);
}

/// §3.1.1.3: escapes are part of what is written, and decoded once, for comparisons only.
#[test]
fn esc01() {
    let message = read(dat!("esc01"));
    let uri = Uri::parse(message.uri()).and_then(Uri::sip).expect("a URI");
    assert_eq!((uri.secure, uri.user), (false, Some("sips%3Auser%40example.com")));
    assert_eq!(uri.user_unescaped(), "sips:user@example.com");
    let to = address(&message, HeaderName::To).parsed_uri().expect("a URI");
    assert_eq!(to.aor(), "sip:user@example.com");
    let contact = address(&message, HeaderName::Contact).parsed_uri().and_then(Uri::sip);
    let contact = contact.expect("a URI");
    assert_eq!(contact.user_unescaped(), "caller");
    assert!(!contact.is_loose(), "%6C%72 is the name of another parameter than lr");
    assert_eq!(contact.params.get("n%61me"), Some("v%61lue%25%34%31"));
    assert_eq!(fate(dat!("esc01")), Fate::Taken);
}

/// §3.1.1.4: an escaped null is a character of the user part, not its end.
#[test]
fn escnull() {
    let message = read(dat!("escnull"));
    let to = address(&message, HeaderName::To).parsed_uri().and_then(Uri::sip).expect("a URI");
    assert_eq!(to.user_unescaped(), "null-\0-null");
    let users: Vec<String> = message
        .list(HeaderName::Contact)
        .filter_map(|element| NameAddr::parse(element)?.parsed_uri()?.sip())
        .map(|uri| uri.user_unescaped())
        .collect();
    assert_eq!(users, ["\0", "\0\0"]);
    assert_eq!(fate(dat!("escnull")), Fate::Taken);
}

/// §3.1.1.5: in a method, a display name or a header field's name % is a character like others:
/// this is no REGISTER, and it has two Contacts, not three.
#[test]
fn esc02() {
    let message = read(dat!("esc02"));
    assert_eq!(message.method().map(Method::as_str), Some("RE%47IST%45R"));
    assert_eq!(address(&message, HeaderName::To).display, "\"%Z%45\"");
    let contacts: Vec<&str> =
        message.list(HeaderName::Contact).filter_map(NameAddr::parse).map(|c| c.uri).collect();
    assert_eq!(contacts, ["sip:alias1@host1.example.com", "sip:alias3@host3.example.com"]);
    assert!(message.get_other("C%6Fntact").is_some());
    assert_eq!(fate(dat!("esc02")), Fate::Taken);
}

/// §3.1.1.6: no blank is needed between a display name and `<`.
#[test]
fn lwsdisp() {
    let message = read(dat!("lwsdisp"));
    let from = address(&message, HeaderName::From);
    assert_eq!((from.display, from.uri), ("caller", "sip:caller@example.com"));
    assert_eq!(fate(dat!("lwsdisp")), Fate::Taken);
}

/// §3.1.1.7: nothing is too long to be read whole.
#[test]
fn longreq() {
    let message = read(dat!("longreq"));
    let to = address(&message, HeaderName::To);
    let uri = to.parsed_uri().and_then(Uri::sip).expect("a URI");
    assert_eq!((uri.host, uri.port), ("example.com", Some(6000)));
    assert_eq!(uri.params.get("unknownparam1").map(str::len), Some(89));
    assert_eq!(message.get(HeaderName::CallId).map(str::len), Some(141));
    assert_eq!(message.list(HeaderName::Via).filter_map(Via::parse).count(), 34);
    assert_eq!(message.body().len(), 150);
    assert_eq!(fate(dat!("longreq")), Fate::Taken);
}

/// §3.1.1.8: what follows the body in a datagram is nothing, not a second request.
#[test]
fn dblreq() {
    let message = read(dat!("dblreq"));
    assert_eq!(message.method(), Some(&Method::Register));
    assert!(message.body().is_empty());
    assert_eq!(message.list(HeaderName::Via).count(), 1);
    assert_eq!(fate(dat!("dblreq")), Fate::Taken);
}

/// §3.1.1.9: before the `@` a semicolon belongs to the user part.
#[test]
fn semiuri() {
    let message = read(dat!("semiuri"));
    let uri = Uri::parse(message.uri()).and_then(Uri::sip).expect("a URI");
    assert_eq!((uri.user, uri.host), (Some("user;par=u%40example.net"), "example.com"));
    assert_eq!(uri.params.iter().count(), 0);
    assert_eq!(fate(dat!("semiuri")), Fate::Taken);
}

/// §3.1.1.10: a proxy reads only the top Via; the others may have any transport.
#[test]
fn transports() {
    let message = read(dat!("transports"));
    let vias = message.list(HeaderName::Via).filter_map(Via::parse);
    let transports: Vec<&str> = vias.map(|via| via.transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    assert_eq!(fate(dat!("transports")), Fate::Taken);
}

/// §3.1.1.11: a body is bytes: it has nulls and line ends, and nobody looks into it.
#[test]
fn mpart01() {
    let message = read(dat!("mpart01"));
    assert_eq!(message.body().len(), 553);
    assert!(message.body().contains(&0) && message.body().ends_with(b"--7a9cbec02ceef655--\r\n"));
    assert_eq!(message.to_bytes(), dat!("mpart01"), "and it goes on as it came");
    assert_eq!(fate(dat!("mpart01")), Fate::Taken);
}

/// §3.1.1.12: a reason is for people, in UTF-8 and with any character.
#[test]
fn unreason() {
    let message = read(dat!("unreason"));
    let reason = "= 2**3 * 5**2 но сто девяносто девять - простое";
    assert_eq!((message.status(), message.reason()), (200, reason));
    assert_eq!(fate(dat!("unreason")), Fate::Ignored);
}

/// §3.1.1.13: a reason may be empty.
#[test]
fn noreason() {
    let message = read(dat!("noreason"));
    assert_eq!((message.status(), message.reason()), (100, ""));
    assert_eq!(fate(dat!("noreason")), Fate::Ignored);
}

/// §3.1.2.1: separators with nothing between them in the Via that the answer would go by.
#[test]
fn badinv01() {
    let message = read(dat!("badinv01"));
    assert_eq!(message.list(HeaderName::Via).next().and_then(Via::parse), None);
    assert_eq!(fate(dat!("badinv01")), refused(400, "Bad Via"));
}

/// §3.1.2.2: the datagram ends before the body does.
#[test]
fn clerr() {
    assert_eq!(unreadable(dat!("clerr")), ParseError::ContentLength);
    assert_eq!(fate(dat!("clerr")), refused(400, "Bad Content-Length"));
}

/// §3.1.2.3: a length is not negative.
#[test]
fn ncl() {
    assert_eq!(unreadable(dat!("ncl")), ParseError::ContentLength);
    assert_eq!(fate(dat!("ncl")), refused(400, "Bad Content-Length"));
}

/// §3.1.2.4: a CSeq beyond 2^31 is an error; an Expires that is too great is not, nor a Max-Forwards.
#[test]
fn scalar02() {
    let message = read(dat!("scalar02"));
    assert_eq!(message.get(HeaderName::CSeq).and_then(CSeq::parse), None);
    assert_eq!(address(&message, HeaderName::Contact).expires(), Some(u32::MAX));
    assert_eq!(fate(dat!("scalar02")), refused(400, "Bad CSeq"));
}

/// §3.1.2.5: a response with a CSeq beyond 2^31 is dropped.
#[test]
fn scalarlg() {
    let message = read(dat!("scalarlg"));
    assert_eq!(message.get(HeaderName::CSeq).and_then(CSeq::parse), None);
    assert_eq!(fate(dat!("scalarlg")), Fate::Ignored);
}

/// §3.1.2.6: a quote that nothing closes.
#[test]
fn quotbal() {
    let message = read(dat!("quotbal"));
    assert_eq!(message.get(HeaderName::To).and_then(NameAddr::parse), None);
    assert_eq!(fate(dat!("quotbal")), refused(400, "Bad To"));
}

/// §3.1.2.7: a Request-URI stands without angle brackets.
#[test]
fn ltgtruri() {
    assert_eq!(fate(dat!("ltgtruri")), refused(400, "Bad Request-URI"));
}

/// §3.1.2.8: blanks within the Request-URI.
#[test]
fn lwsruri() {
    assert_eq!(read(dat!("lwsruri")).uri(), "sip:user@example.com; lr");
    assert_eq!(fate(dat!("lwsruri")), refused(400, "Bad Request-URI"));
}

/// §3.1.2.9: the parts of the start line have one blank between them.
#[test]
fn lwsstart() {
    assert_eq!(fate(dat!("lwsstart")), refused(400, "Bad Request-URI"));
}

/// §3.1.2.10: blanks at the end of the start line mean nothing, and are overlooked.
#[test]
fn trws() {
    let message = read(dat!("trws"));
    assert_eq!(message.uri(), "sip:remote-target@example.com");
    assert_eq!(fate(dat!("trws")), Fate::Taken);
}

/// §3.1.2.11: a Request-URI has no header fields; least of all could they say where it goes.
#[test]
fn escruri() {
    let message = read(dat!("escruri"));
    let uri = Uri::parse(message.uri()).and_then(Uri::sip).expect("a URI");
    assert_eq!(uri.headers, Some("Route=%3Csip:example.com%3E"));
    assert_eq!(fate(dat!("escruri")), refused(400, "Bad Request-URI"));
}

/// §3.1.2.12: a Date in EST is wrong, and nobody who needs no date looks at it.
#[test]
fn baddate() {
    assert_eq!(read(dat!("baddate")).get(HeaderName::Date), Some("Fri, 01 Jan 2010 16:00:00 EST"));
    assert_eq!(fate(dat!("baddate")), Fate::Taken);
}

/// §3.1.2.13: a URI with a question mark stands in angle brackets: the registrar must not guess whose
/// the header fields are. Others do not read a Contact.
#[test]
fn regbadct() {
    let message = read(dat!("regbadct"));
    assert_eq!(message.list(HeaderName::Contact).next().and_then(NameAddr::parse), None);
    assert_eq!(fate(dat!("regbadct")), Fate::Taken);
}

/// §3.1.2.14: blanks within the angle brackets are overlooked.
#[test]
fn badaspec() {
    let message = read(dat!("badaspec"));
    assert_eq!(address(&message, HeaderName::To).uri, "sip:t.watson@example.org");
    assert_eq!(fate(dat!("badaspec")), Fate::Taken);
}

/// §3.1.2.15: a comma in a display name without quotes is overlooked, because what is meant is clear.
#[test]
fn baddn() {
    let message = read(dat!("baddn"));
    let from = address(&message, HeaderName::From);
    assert_eq!((from.display, from.uri), ("Bell, Alexander", "sip:a.g.bell@example.com"));
    assert_eq!(fate(dat!("baddn")), Fate::Taken);
}

/// §3.1.2.16: a version that nobody knows.
#[test]
fn badvers() {
    assert_eq!(unreadable(dat!("badvers")), ParseError::Version);
    assert_eq!(fate(dat!("badvers")), refused(505, "Version Not Supported"));
}

/// §3.1.2.17: start line and CSeq name different methods.
#[test]
fn mismatch01() {
    assert_eq!(fate(dat!("mismatch01")), refused(400, "CSeq Method Mismatch"));
}

/// §3.1.2.18: the same with a method that nobody knows; 501 would be right, too.
#[test]
fn mismatch02() {
    assert_eq!(fate(dat!("mismatch02")), refused(400, "CSeq Method Mismatch"));
}

/// §3.1.2.19: a status code has three digits.
#[test]
fn bigcode() {
    assert_eq!(unreadable(dat!("bigcode")), ParseError::StartLine);
    assert_eq!(fate(dat!("bigcode")), Fate::Ignored);
}

/// §3.2.1: a branch of nothing but the magic cookie tells transactions apart no better than none: the
/// rules of RFC 2543 do.
#[test]
fn badbranch() {
    assert_eq!(via(&read(dat!("badbranch"))).branch(), "z9hG4bK");
    assert_eq!(fate(dat!("badbranch")), Fate::Taken);
}

/// §3.3.1: no Call-ID, From and To.
#[test]
fn insuf() {
    let message = read(dat!("insuf"));
    for name in [HeaderName::CallId, HeaderName::From, HeaderName::To] {
        assert!(!message.has(name));
    }
    assert_eq!(fate(dat!("insuf")), refused(400, "Bad From"));
}

/// §3.3.2: a scheme that nobody knows is the transaction user's to refuse, with 416.
#[test]
fn unkscm() {
    let message = read(dat!("unkscm"));
    assert!(matches!(Uri::parse(message.uri()), Some(Uri::Other(_))));
    assert_eq!(fate(dat!("unkscm")), Fate::Taken);
}

/// §3.3.3: so is one that is known elsewhere.
#[test]
fn novelsc() {
    assert_eq!(read(dat!("novelsc")).uri(), "soap.beep://192.0.2.103:3002");
    assert_eq!(fate(dat!("novelsc")), Fate::Taken);
}

/// §3.3.4: the same schemes in To, From and Contact.
#[test]
fn unksm2() {
    let message = read(dat!("unksm2"));
    assert_eq!(address(&message, HeaderName::To).uri, "isbn:2983792873");
    assert_eq!(address(&message, HeaderName::From).uri, "http://www.example.com");
    assert_eq!(address(&message, HeaderName::Contact).uri, "name:John_Smith");
    assert_eq!(fate(dat!("unksm2")), Fate::Taken);
}

/// §3.3.5: what is required is the proxy's business, see its test.
#[test]
fn bext01() {
    let message = read(dat!("bext01"));
    let options: Vec<&str> = message.list(HeaderName::ProxyRequire).collect();
    assert_eq!(options, ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]);
    assert_eq!(fate(dat!("bext01")), Fate::Taken);
}

/// §3.3.6: a body of an unknown kind: a proxy lets it pass, a phone answers 415.
#[test]
fn invut() {
    assert_eq!(read(dat!("invut")).content_type(), "application/unknownformat");
    assert_eq!(fate(dat!("invut")), Fate::Taken);
}

/// §3.3.7: credentials of a scheme that nobody knows are none.
#[test]
fn regaut01() {
    let message = read(dat!("regaut01"));
    let credentials = message.get(HeaderName::Authorization).expect("credentials");
    assert!(sip::header::Credentials::parse(credentials).is_none());
    assert_eq!(fate(dat!("regaut01")), Fate::Taken);
}

/// §3.3.8: From, To, Call-ID, CSeq and Max-Forwards twice, with different values.
#[test]
fn multi01() {
    assert_eq!(read(dat!("multi01")).lines(HeaderName::CallId).count(), 2);
    assert_eq!(fate(dat!("multi01")), refused(400, "Bad From"));
}

/// §3.3.9: two lengths.
#[test]
fn mcl01() {
    assert_eq!(unreadable(dat!("mcl01")), ParseError::ContentLength);
    assert_eq!(fate(dat!("mcl01")), refused(400, "Bad Content-Length"));
}

/// §3.3.10: a response that would go on to a broadcast address answers no request of ours.
#[test]
fn bcast() {
    assert_eq!(read(dat!("bcast")).list(HeaderName::Via).count(), 2);
    assert_eq!(fate(dat!("bcast")), Fate::Ignored);
}

/// §3.3.11: it came as far as it may; a proxy answers 483.
#[test]
fn zeromf() {
    assert_eq!(read(dat!("zeromf")).get(HeaderName::MaxForwards), Some("0"));
    assert_eq!(fate(dat!("zeromf")), Fate::Taken);
}

/// §3.3.12: without angle brackets a parameter is the header field's.
#[test]
fn cparam01() {
    let message = read(dat!("cparam01"));
    let contact = address(&message, HeaderName::Contact);
    assert_eq!(contact.uri, "sip:+19725552222@gw1.example.net");
    assert!(contact.params.has("unknownparam"));
    assert_eq!(fate(dat!("cparam01")), Fate::Taken);
}

/// §3.3.13: within them it is the URI's.
#[test]
fn cparam02() {
    let message = read(dat!("cparam02"));
    let contact = address(&message, HeaderName::Contact);
    assert_eq!(contact.uri, "sip:+19725552222@gw1.example.net;unknownparam");
    assert!(!contact.params.has("unknownparam"));
    assert_eq!(fate(dat!("cparam02")), Fate::Taken);
}

/// §3.3.14: within angle brackets a Contact's URI may have header fields, and keeps them.
#[test]
fn regescrt() {
    let message = read(dat!("regescrt"));
    let uri = address(&message, HeaderName::Contact).parsed_uri().and_then(Uri::sip);
    assert_eq!(uri.and_then(|uri| uri.headers), Some("Route=%3Csip:sip.example.com%3E"));
    assert_eq!(fate(dat!("regescrt")), Fate::Taken);
}

/// §3.3.15: the caller wants no SDP in the answer: 406 from a phone, nothing to a proxy.
#[test]
fn sdp01() {
    assert_eq!(read(dat!("sdp01")).get(HeaderName::Accept), Some("text/nobodyKnowsThis"));
    assert_eq!(fate(dat!("sdp01")), Fate::Taken);
}

/// §3.4.1: an INVITE of RFC 2543: no branch, no From tag, a strict router, no Max-Forwards.
#[test]
fn inv2543() {
    let message = read(dat!("inv2543"));
    assert_eq!(via(&message).branch(), "");
    assert_eq!(address(&message, HeaderName::From).tag(), None);
    assert_eq!(message.body().len(), 105);
    assert_eq!(fate(dat!("inv2543")), Fate::Taken);
}
