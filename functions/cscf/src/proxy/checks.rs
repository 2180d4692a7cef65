//! What every proxy does with a request before it decides: RFC 3261 §16.3 and §16.4.

use sip::header::{HeaderName, NameAddr, delta_seconds};
use sip::{Message, Method, Uri};

/// A status to refuse a request with, and header fields that go with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// A header field that explains it.
    pub header: Option<(HeaderName, String)>,
    /// For the log: why.
    pub why: &'static str,
}

impl Refusal {
    /// A refusal with a status and nothing else.
    pub fn new(status: u16, why: &'static str) -> Refusal {
        Refusal { status, header: None, why }
    }
}

/// The Route entry that named us and was taken off.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct OwnRoute {
    /// The user part: our token.
    pub user: String,
    /// The URI's parameters, from the first semicolon on.
    pub params: String,
}

impl OwnRoute {
    /// Whether the URI has this parameter, such as `orig` (TS 24.229 §5.4.3.2).
    pub fn has(&self, param: &str) -> bool {
        sip::lex::Params::new(&self.params).has(param)
    }

    /// The value of this parameter of the URI.
    pub fn get(&self, param: &str) -> Option<&str> {
        sip::lex::Params::new(&self.params).get(param)
    }
}

/// Whether a request belongs to a dialog, RFC 3261 §12.2: its To has a tag.
pub fn in_dialog(request: &Message) -> bool {
    request.to_tag().is_some()
}

/// Checks a request, counts Max-Forwards down and takes off the Route entries that name us.
///
/// `is_us` says whether a host (lower case, with port if it has one) is ours; `supported` lists the
/// options that we understand in Proxy-Require.
pub fn preprocess(
    request: &mut Message,
    is_us: impl Fn(&str, Option<u16>) -> bool,
    supported: &[&str],
) -> Result<Option<OwnRoute>, Refusal> {
    match request.get(HeaderName::MaxForwards).map(delta_seconds) {
        Some(Some(0)) => return Err(Refusal::new(483, "Max-Forwards is 0")),
        Some(Some(hops)) => request.set(HeaderName::MaxForwards, (hops.min(255) - 1).to_string()),
        Some(None) => return Err(Refusal::new(400, "Max-Forwards is no number")),
        None => request.set(HeaderName::MaxForwards, "70"),
    }
    if request.method() != Some(&Method::Ack) {
        let unknown: Vec<_> = request
            .list(HeaderName::ProxyRequire)
            .filter(|option| !supported.iter().any(|s| s.eq_ignore_ascii_case(option)))
            .map(str::to_owned)
            .collect();
        if !unknown.is_empty() {
            let header = Some((HeaderName::Unsupported, unknown.join(", ")));
            return Err(Refusal { status: 420, header, why: "unknown Proxy-Require" });
        }
    }
    Ok(take_own_routes(request, is_us))
}

/// RFC 3261 §16.4. Two entries with the same token are the two sides of one hop (RFC 5658 §5).
fn take_own_routes(
    request: &mut Message,
    is_us: impl Fn(&str, Option<u16>) -> bool,
) -> Option<OwnRoute> {
    let mut own: Option<OwnRoute> = None;
    loop {
        let first = request.list(HeaderName::Route).next().map(str::to_owned);
        let Some(first) = first else { break };
        let Some(uri) = NameAddr::parse(&first).and_then(|a| Uri::parse(a.uri)?.sip()) else {
            break;
        };
        let user = uri.user.unwrap_or("");
        let other_side = own.as_ref().is_none_or(|own| !user.is_empty() && own.user == user);
        if !other_side || !is_us(&uri.host.to_ascii_lowercase(), uri.port) {
            break;
        }
        let entry = OwnRoute { user: user.to_owned(), params: uri.params.as_str().to_owned() };
        own = own.or(Some(entry));
        request.pop_element(HeaderName::Route);
    }
    // A strict router before us put our own URI into the Request-URI: the last Route is the target.
    let strict = own.is_none()
        && request.has(HeaderName::Route)
        && Uri::parse(request.uri())
            .and_then(Uri::sip)
            .is_some_and(|uri| uri.is_loose() && is_us(&uri.host.to_ascii_lowercase(), uri.port));
    if strict {
        let uri = Uri::parse(request.uri()).and_then(Uri::sip);
        own = uri.map(|uri| OwnRoute {
            user: uri.user.unwrap_or("").to_owned(),
            params: uri.params.as_str().to_owned(),
        });
        let mut routes: Vec<String> = request.list(HeaderName::Route).map(str::to_owned).collect();
        if let Some(last) = routes.pop() {
            if let Some(address) = NameAddr::parse(&last) {
                request.set_uri(address.uri);
            }
            request.remove(HeaderName::Route);
            for route in routes {
                request.push(HeaderName::Route, route);
            }
        }
    }
    own
}

/// Takes off the other side of a hop that is ours by its token: whoever puts a number of its own into
/// its tokens knows them by that, also where they carry an address that this message did not come in
/// at.
pub fn take_other_side(request: &mut Message, own: &OwnRoute) {
    let first = request.list(HeaderName::Route).next().and_then(NameAddr::parse);
    let user = first.and_then(|a| Uri::parse(a.uri)?.sip()?.user.map(str::to_owned));
    if user.is_some_and(|user| user == own.user) {
        request.pop_element(HeaderName::Route);
    }
}

/// A URI for a Route of our own making: whom we address there is a loose router, RFC 3261 §16.4, also
/// where the URI that we were given does not say so.
pub fn loose(uri: &str) -> String {
    let says_so = Uri::parse(uri).and_then(Uri::sip).is_some_and(|uri| uri.is_loose());
    let lr = if says_so { "" } else { ";lr" };
    format!("{uri}{lr}")
}

/// RFC 3261 §16.6 step 6: a strict router ahead of us finds its own URI in the Request-URI, and the
/// target at the end of the Route.
pub(super) fn meet_strict_router(request: &mut Message) {
    let first = request.list(HeaderName::Route).next().and_then(NameAddr::parse);
    let Some(next) = first.map(|address| address.uri.to_owned()) else { return };
    if Uri::parse(&next).and_then(Uri::sip).is_none_or(|uri| uri.is_loose()) {
        return;
    }
    request.pop_element(HeaderName::Route);
    let target = format!("<{}>", request.uri());
    request.push(HeaderName::Route, target);
    request.set_uri(next);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(host: &str, _: Option<u16>) -> bool {
        host == "p.test"
    }

    fn request(routes: &str) -> Message {
        Message::request(Method::Invite, "sip:bob@b.test")
            .with(HeaderName::MaxForwards, "70")
            .with(HeaderName::Route, routes)
    }

    #[test]
    fn a_route_of_our_own_is_loose() {
        assert_eq!(loose("sip:as.test"), "sip:as.test;lr");
        assert_eq!(loose("sip:as.test;lr;x=1"), "sip:as.test;lr;x=1");
        // Not every parameter that begins so is `lr`.
        assert_eq!(loose("sip:as.test;lrx=1"), "sip:as.test;lrx=1;lr");
    }

    #[test]
    fn our_route_is_taken_with_its_token() {
        let mut r = request("<sip:mo.7@P.test;lr;orig>, <sip:s.test;lr>");
        let own = preprocess(&mut r, us, &[]).unwrap().unwrap();
        assert_eq!(own.user, "mo.7");
        assert!(own.has("orig"));
        assert_eq!(r.list(HeaderName::Route).collect::<Vec<_>>(), ["<sip:s.test;lr>"]);
        assert_eq!(r.get(HeaderName::MaxForwards), Some("69"));
    }

    #[test]
    fn both_sides_of_one_hop_are_taken() {
        let mut r =
            request("<sip:mo.7@p.test;lr>, <sip:mo.7@p.test:5060;lr>, <sip:mo.8@p.test;lr>");
        preprocess(&mut r, us, &[]).unwrap().unwrap();
        assert_eq!(r.list(HeaderName::Route).collect::<Vec<_>>(), ["<sip:mo.8@p.test;lr>"]);
    }

    #[test]
    fn hops_run_out() {
        let mut r = request("<sip:x;lr>");
        r.set(HeaderName::MaxForwards, "0");
        assert_eq!(preprocess(&mut r, us, &[]).unwrap_err().status, 483);
    }

    #[test]
    fn unknown_extensions_are_named() {
        let mut r = request("<sip:x;lr>");
        r.push(HeaderName::ProxyRequire, "sec-agree, foo");
        let refusal = preprocess(&mut r, us, &["sec-agree"]).unwrap_err();
        assert_eq!(refusal.status, 420);
        assert_eq!(refusal.header, Some((HeaderName::Unsupported, "foo".to_owned())));
    }

    #[test]
    fn a_strict_router_ahead_finds_itself_in_the_request_uri() {
        let mut r = request("<sip:strict.test>, <sip:loose.test;lr>");
        meet_strict_router(&mut r);
        assert_eq!(r.uri(), "sip:strict.test");
        let routes: Vec<_> = r.list(HeaderName::Route).collect();
        assert_eq!(routes, ["<sip:loose.test;lr>", "<sip:bob@b.test>"]);
        let mut loose = request("<sip:loose.test;lr>");
        meet_strict_router(&mut loose);
        assert_eq!(loose.uri(), "sip:bob@b.test");
    }

    #[test]
    fn a_strict_router_is_undone() {
        let mut r = request("<sip:bob@10.0.0.9>");
        r.set_uri("sip:mt.1@p.test;lr");
        let own = preprocess(&mut r, us, &[]).unwrap().unwrap();
        assert_eq!(own.user, "mt.1");
        assert_eq!(r.uri(), "sip:bob@10.0.0.9");
        assert!(!r.has(HeaderName::Route));
    }
}
