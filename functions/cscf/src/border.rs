//! Topology hiding, TS 24.229 §5.10.4: what another network does not see of this one.
//!
//! The other network gets one Via, one Record-Route and a Contact, all with the border's own address.
//! What our functions and phones wrote is sealed into the user parts of these URIs: whoever has the key opens
//! them, so that a call goes on by another node, or after a restart. Via is nobody's but the
//! transaction's, which has to be there for an answer to be taken at all: the standard's encrypted Via would
//! be carried for nothing. A Call-ID that names an inner host is sealed as a whole, the same for all
//! of a dialog; one that the other network chose stays as it is.
//!
//! A URI holds the token in its user part, where the standard makes a host name of it: host names know no
//! case, and their labels are short.

mod fields;
mod token;

use std::sync::Arc;

use base::trust::Networks;
use base::{Output, Random};
use sip::header::HeaderName;
use sip::{Message, SipUri, Uri};

use crate::key::StoredKey;
use fields::{all, put, set_call_id, user_of};
use token::{Kind, open, seal};

/// The user parts of our URIs begin so, on both sides.
pub(crate) const TOKEN: &str = "thig";
/// The user part of our inner Record-Route in a dialog that began on this side.
const BEGUN_HERE: &str = "thig.out";
/// How it begins in one that the other network began.
const BEGUN_THERE: &str = "thig.in.";

/// The border between this network and others.
#[derive(Debug)]
pub(crate) struct Border {
    key: StoredKey,
    home: String,
    /// Where the other networks are.
    others: Networks,
}

/// Our addresses, as they stand in URIs: what our functions know, and what the other network knows.
#[derive(Clone, Debug)]
pub(crate) struct Sides {
    pub(crate) inner: String,
    pub(crate) outer: String,
}

/// What of a request's crossing its answer needs.
#[derive(Debug)]
pub(crate) enum Crossed {
    /// Nothing was hidden.
    Openly,
    /// Outwards.
    Out {
        /// What the answer repeats, as it was on this side.
        came: Arc<Message>,
        /// The user part of the one Record-Route that went out, and what stands in its place here.
        routes: Option<(String, Vec<String>)>,
    },
    /// Inwards.
    In {
        came: Arc<Message>,
        sides: Sides,
        /// The user part of our own Record-Route.
        own: Option<String>,
    },
}

/// A request of the other network cannot have come by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Forged;

impl Border {
    pub(crate) fn new(
        table: base::store::Table,
        random: Random,
        home: &str,
        others: Networks,
    ) -> Border {
        Border { key: StoredKey::new(table, random), home: home.to_owned(), others }
    }

    /// The store has a key.
    pub(crate) fn restore(&mut self, value: &[u8]) {
        self.key.restore(value);
    }

    /// The first start.
    pub(crate) fn start(&mut self) -> Option<Output> {
        self.key.start()
    }

    /// Where the other networks are from now on.
    pub(crate) fn configure(&mut self, home: &str, others: Networks) {
        home.clone_into(&mut self.home);
        self.others = others;
    }

    /// Whether a dialog is a hidden one, by the user part of our Route.
    pub(crate) fn hides(user: &str) -> bool {
        user.strip_prefix(TOKEN).is_some_and(|rest| rest.starts_with('.'))
    }

    /// §5.10.4.2: a request leaves. `own` is the user part of our Route, if it is within a dialog, and
    /// `stays` whether we have to be in the routes of its dialog.
    pub(crate) fn leave(
        &self,
        request: &mut Message,
        came: Arc<Message>,
        sides: &Sides,
        own: Option<&str>,
        stays: bool,
    ) -> Crossed {
        let call = request.get(HeaderName::CallId).unwrap_or("").to_owned();
        for name in [HeaderName::Via, HeaderName::Path, HeaderName::ServiceRoute] {
            request.remove(name);
        }
        let inner = all(request, HeaderName::RecordRoute);
        request.remove(HeaderName::RecordRoute);
        let routes = (stays || !inner.is_empty()).then(|| {
            let user = seal(self.key.seal(), Kind::Routes, &call, &inner.join(","));
            request.push_front(HeaderName::RecordRoute, format!("<sip:{user}@{};lr>", sides.outer));
            let own = format!("<sip:{BEGUN_HERE}@{};lr>", sides.inner);
            (user, std::iter::once(own).chain(inner).collect())
        });
        // The other network knows the dialog by the Call-ID that it chose.
        let begun_there = own.is_some_and(|own| own.starts_with(BEGUN_THERE));
        if !begun_there && self.names_inner_host(&call) {
            set_call_id(request, seal(self.key.seal(), Kind::CallId, "", &call));
        }
        self.hide(request, &call, sides);
        Crossed::Out { came, routes }
    }

    /// §5.10.4.3: the answer to a request that left.
    pub(crate) fn answered_there(&self, crossed: &Crossed, response: &mut Message) {
        let Crossed::Out { came, routes } = crossed else { return };
        put(response, HeaderName::Via, &all(came, HeaderName::Via));
        set_call_id(response, came.get(HeaderName::CallId).unwrap_or("").to_owned());
        if let Some((ours, inner)) = routes {
            let there = all(response, HeaderName::RecordRoute).into_iter();
            let is_ours = |route: &str| user_of(route).as_deref() == Some(ours);
            let here =
                there.flat_map(|route| if is_ours(&route) { inner.clone() } else { vec![route] });
            put(response, HeaderName::RecordRoute, &here.collect::<Vec<_>>());
        }
        self.open_fields(response);
    }

    /// §5.10.4.3: a request within a dialog comes by the user part of the Route that it was given, and goes on
    /// along the routes in it. `is_us` knows our addresses.
    pub(crate) fn open(
        &self,
        request: &mut Message,
        own: &str,
        is_us: impl Fn(&SipUri<'_>) -> bool,
    ) -> Result<(), Forged> {
        let routes = open(self.key.seal(), Kind::Routes, own).ok_or(Forged)?;
        let routes: Vec<String> = sip::lex::elements(&routes).map(str::to_owned).collect();
        put(request, HeaderName::Route, &routes);
        if let Some(target) = self.target(request.uri(), is_us)? {
            request.set_uri(target);
        }
        Ok(())
    }

    /// §5.10.4.3: a request comes; `stays` as in [`Border::leave`].
    pub(crate) fn enter(
        &self,
        request: &mut Message,
        came: Arc<Message>,
        sides: &Sides,
        stays: bool,
    ) -> Crossed {
        let call = request.get(HeaderName::CallId).and_then(|call| self.open_call_id(call));
        if let Some(call) = call {
            set_call_id(request, call);
        }
        self.open_fields(request);
        let own = stays.then(|| {
            let via = request.get(HeaderName::Via).unwrap_or("");
            let mark = self.key.seal().fingerprint("border", &[via.as_bytes()]);
            let user = format!("{BEGUN_THERE}{}", auth::hex::encode(&mark[..6]));
            request.push_front(HeaderName::RecordRoute, format!("<sip:{user}@{};lr>", sides.inner));
            user
        });
        Crossed::In { came, sides: sides.clone(), own }
    }

    /// §5.10.4.2: the answer to a request that came.
    pub(crate) fn answered_here(&self, crossed: &Crossed, response: &mut Message) {
        let Crossed::In { came, sides, own } = crossed else { return };
        let call = response.get(HeaderName::CallId).unwrap_or("").to_owned();
        set_call_id(response, came.get(HeaderName::CallId).unwrap_or("").to_owned());
        let routes = all(response, HeaderName::RecordRoute);
        response.remove(HeaderName::RecordRoute);
        let is_ours = |route: &String| user_of(route) == *own && own.is_some();
        if let Some(at) = routes.iter().position(is_ours) {
            let (inner, there) = (&routes[..at], &routes[at + 1..]);
            // The other side goes through them from the last one on.
            let inner: Vec<&str> = inner.iter().rev().map(String::as_str).collect();
            let user = seal(self.key.seal(), Kind::Routes, &call, &inner.join(","));
            let one = format!("<sip:{user}@{};lr>", sides.outer);
            let all: Vec<String> = std::iter::once(one).chain(there.iter().cloned()).collect();
            put(response, HeaderName::RecordRoute, &all);
        }
        self.hide(response, &call, sides);
    }

    /// Hides the fields that requests and answers have alike.
    fn hide(&self, message: &mut Message, call: &str, sides: &Sides) {
        let token = |uri: &str| {
            let user = seal(self.key.seal(), Kind::Target, call, uri);
            format!("sip:{user}@{}", sides.outer)
        };
        fields::map_contacts(message, |uri| (!self.is_public(uri)).then(|| token(uri)));
        fields::map_uris(message, |uri| self.is_inner(uri).then(|| token(uri)));
        fields::map_dialogs(message, |call| {
            self.names_inner_host(call).then(|| seal(self.key.seal(), Kind::CallId, "", call))
        });
        let inner = |line: &String| {
            let agent = line.split_ascii_whitespace().nth(1).unwrap_or("");
            sip::uri::split_host_port(agent).is_none_or(|(host, _)| self.is_inner_host(host))
        };
        let warnings = all(message, HeaderName::Warning);
        if warnings.iter().any(inner) {
            let told: Vec<String> = warnings.into_iter().filter(|line| !inner(line)).collect();
            put(message, HeaderName::Warning, &told);
        }
    }

    /// Opens what [`Border::hide`] hid. A target of ours is known by its token, by whatever address.
    fn open_fields(&self, message: &mut Message) {
        fields::map_uris(message, |uri| self.target(uri, |_| true).ok().flatten());
        fields::map_dialogs(message, |call| self.open_call_id(call));
    }

    /// What is behind a URI of ours; `None` if it is none.
    fn target(
        &self,
        uri: &str,
        is_us: impl Fn(&SipUri<'_>) -> bool,
    ) -> Result<Option<String>, Forged> {
        let parsed = Uri::parse(uri).and_then(Uri::sip).filter(is_us);
        let user = parsed.and_then(|uri| uri.user).filter(|user| Border::hides(user));
        let Some(user) = user else { return Ok(None) };
        open(self.key.seal(), Kind::Target, user).map(Some).ok_or(Forged)
    }

    fn open_call_id(&self, call: &str) -> Option<String> {
        open(self.key.seal(), Kind::CallId, call)
    }

    /// Whether a URI says nothing but whom it is about: an identity of ours or its public GRUU, a number.
    fn is_public(&self, uri: &str) -> bool {
        match Uri::parse(uri) {
            Some(Uri::Sip(uri)) => uri.host.eq_ignore_ascii_case(&self.home),
            _ => true,
        }
    }

    /// Whether a URI tells of a host of ours.
    fn is_inner(&self, uri: &str) -> bool {
        let uri = Uri::parse(uri).and_then(Uri::sip);
        uri.is_some_and(|uri| self.is_inner_host(uri.host))
    }

    /// Below the domain, or an address that is not of the other networks.
    fn is_inner_host(&self, host: &str) -> bool {
        match sip::uri::literal(host) {
            Some(ip) => !self.others.contains(ip),
            None => {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(&self.home).is_some_and(|function| function.ends_with('.'))
            }
        }
    }

    /// RFC 3261 §20.8: a Call-ID may end with a host.
    fn names_inner_host(&self, call: &str) -> bool {
        let host = call.rsplit_once('@').and_then(|(_, host)| sip::uri::split_host_port(host));
        host.is_some_and(|(host, _)| self.is_inner_host(host))
    }
}

#[cfg(test)]
mod tests;
