//! Requests other than REGISTER at the I-CSCF: Location-Info, TS 24.229 §5.3.2, TS 29.228 §6.1.4.

use base::Instant;
use diameter::cx::{Lia, Lir};
use diameter::result::ExperimentalCode;
use sip::header::{HeaderName, NameAddr, ServedUser};
use sip::{Message, Method, Uri};

use super::next::Kind;
use super::select::{Choice, is_same};
use super::{Asked, Icscf, Waiting, asks_originating};
use crate::cx::Answer;
use crate::proxy::{OwnRoute, Refusal, Upstream, loose};
use crate::scscf::gruu::is_temporary;

impl Icscf {
    pub(super) fn locate(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        own: Option<&OwnRoute>,
    ) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::new(503, "shutting down"));
        }
        let originating = asks_originating(own);
        let public_identity = if originating {
            served_user(&request).ok_or(Refusal::new(403, "no user for originating services"))?
        } else {
            if request.has(HeaderName::Route) {
                return Err(Refusal::new(403, "an I-CSCF does not route to others"));
            }
            if let Some(choice) = self.minted(request.uri()) {
                let asked = Asked::LocationInfo { originating };
                let mut waiting = Waiting { upstream: upstream.clone(), request, asked };
                let route = format!("<{}>", loose(&choice.uri));
                waiting.request.push_front(HeaderName::Route, route);
                return self.forward(now, waiting, &choice, None);
            }
            let (identity, uri) = called_identity(request.uri())
                .ok_or(Refusal::new(404, "the Request-URI is no user of this network"))?;
            if let Some(uri) = uri {
                request.set_uri(uri);
            }
            identity
        };
        let lir = Lir { public_identity, originating, authorization: None };
        let id = self.cx.ask(now, &lir);
        let asked = Asked::LocationInfo { originating };
        self.waiting.insert(id, Waiting { upstream: upstream.clone(), request, asked });
        Ok(())
    }

    pub(super) fn located(
        &mut self,
        now: Instant,
        waiting: Waiting,
        originating: bool,
        answer: &Answer,
    ) -> Result<(), Refusal> {
        if let Answer::Unavailable(_) = answer {
            return Err(Refusal::new(504, "the HSS did not answer the LIR"));
        }
        match answer.refusal() {
            Some(ExperimentalCode::ERROR_USER_UNKNOWN) => {
                return Err(Refusal::new(404, "the called user is unknown"));
            }
            Some(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED) => {
                return Err(Refusal::new(480, "the called user is not registered"));
            }
            _ => {}
        }
        let lia = answer.body::<Lia>().ok_or(Refusal::new(500, "the HSS refused the LIR"))?;
        let public_identity = if originating {
            served_user(&waiting.request)
        } else {
            called_identity(waiting.request.uri()).map(|(identity, _)| identity)
        };
        let public_identity = public_identity.unwrap_or_default();
        let serves = lia.server_name.is_some();
        let choice = self
            .choose(now, lia.server_name, lia.capabilities.as_ref(), &[])
            .ok_or(Refusal::new(600, "no S-CSCF has the capabilities that the HSS asks for"))?;
        let capabilities = (!serves).then_some(lia.capabilities);
        let kind = Kind::Session { public_identity, originating };
        let another = self.config.scscfs.iter().any(|scscf| !is_same(&scscf.uri, &choice.uri));
        if another && waiting.request.method() == Some(&Method::Invite) {
            return self.begin_trying(now, kind, waiting, &choice, capabilities);
        }
        let mut waiting = waiting;
        kind.to(&choice.uri, &mut waiting.request);
        self.forward(now, waiting, &choice, None)
    }

    /// The S-CSCF of ours that minted a temporary GRUU: nobody else can read it.
    fn minted(&self, uri: &str) -> Option<Choice> {
        Uri::parse(uri).and_then(Uri::sip).filter(is_temporary)?;
        let scscf = self.config.scscfs.iter().find(|scscf| is_same(&scscf.uri, uri))?;
        let why = "the Request-URI is a temporary GRUU of it".to_owned();
        Some(Choice { uri: scscf.uri.clone(), why })
    }
}

/// The identity that a Request-URI names, and the Request-URI to go on with if it has to change: a
/// telephone number in a `sip:` URI is asked for as `tel:` (TS 24.229 §5.3.2.1 step 2).
fn called_identity(uri: &str) -> Option<(String, Option<String>)> {
    match Uri::parse(uri)? {
        Uri::Sip(sip) => {
            let phone = sip.params.get("user").is_some_and(|u| u.eq_ignore_ascii_case("phone"));
            match sip.phone_number() {
                // A GRUU is more than the number in it.
                Some(number) if phone && number.starts_with('+') && !sip.params.has("gr") => {
                    let tel = format!("tel:{number}");
                    Some((tel.clone(), Some(tel)))
                }
                _ => Some((Uri::Sip(sip).aor(), None)),
            }
        }
        tel @ Uri::Tel(_) => Some((tel.aor(), None)),
        Uri::Other(_) => None,
    }
}

/// The user whose originating services are asked for.
fn served_user(request: &Message) -> Option<String> {
    if let Some(user) = request.get(HeaderName::PServedUser).and_then(ServedUser::parse) {
        return Uri::parse(&user.uri).map(|uri| uri.aor());
    }
    let asserted = request.list(HeaderName::PAssertedIdentity).next().and_then(NameAddr::parse)?;
    asserted.parsed_uri().map(|uri| uri.aor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_asked_for_as_tel() {
        let (identity, uri) = called_identity("sip:+49-301@ims.test;user=phone").unwrap();
        assert_eq!((identity.as_str(), uri.as_deref()), ("tel:+49301", Some("tel:+49301")));
        let (identity, uri) = called_identity("sip:Bob@IMS.test;x=y").unwrap();
        assert_eq!((identity.as_str(), uri), ("sip:Bob@ims.test", None));
        assert_eq!(called_identity("mailto:x@y"), None);
    }
}
