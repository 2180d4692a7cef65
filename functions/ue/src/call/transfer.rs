//! A call is handed on: REFER (RFC 3515) with Replaces (RFC 3891) and Referred-By (RFC 3892), as in RFC
//! 5589 and TS 24.629.
//!
//! Who hands on asks the other side to call somebody, hears how that goes, and hangs up once it is
//! answered. If he has called that somebody before, the new call takes the place of that one.

use base::Instant;
use base::slots::Slot;
use sip::gruu::Gruu;
use sip::header::Replaces;
use sip::uri::Uri;
use sip::{HeaderName, Message, Method};

use super::*;
use crate::core::sender;

/// What a call has to do with a transfer.
#[derive(Default)]
pub(crate) struct Transfer {
    /// The other side was asked to call somebody, and tells how that goes.
    pub(crate) asked: bool,
    /// The call in which we were asked to make this one, and what was told there last.
    pub(crate) asked_in: Option<(Slot, u16)>,
    /// The call whose place this one takes.
    pub(crate) replaces: Option<Slot>,
}

impl Call {
    /// Asks the other side to call somebody.
    pub(crate) fn refer(&mut self, core: &mut Core, now: Instant, refer_to: &str) {
        let identity = core.identity().to_owned();
        let contact = core.contact();
        let Some(leg) = self.legs.first_mut() else { return };
        let mut refer = leg.dialog.request(Method::Refer);
        refer.push(HeaderName::Contact, contact);
        refer.push(HeaderName::ReferTo, format!("<{refer_to}>"));
        refer.push(HeaderName::ReferredBy, format!("<{identity}>"));
        core.send_in(now, Purpose::Refer(self.slot), refer, &leg.dialog);
        self.transfer.asked = true;
    }

    /// Tells who asked us for another call how that goes, RFC 3515 §2.4.5.
    pub(crate) fn tell_of_transfer(&mut self, core: &mut Core, now: Instant, status: u16) {
        let contact = core.contact();
        let Some(leg) = self.legs.first_mut().filter(|_| matches!(self.phase, Phase::Active))
        else {
            return;
        };
        let mut notify = leg.dialog.request(Method::Notify);
        let over = status >= 200;
        let state = if over { "terminated;reason=noresource" } else { "active;expires=240" };
        notify.push(HeaderName::Event, "refer");
        notify.push(HeaderName::SubscriptionState, state);
        notify.push(HeaderName::Contact, contact);
        let fragment = format!("SIP/2.0 {status} {}\r\n", sip::status::reason(status));
        notify.set_body("message/sipfrag;version=2.0", fragment.into_bytes());
        core.send_in(now, Purpose::Orphan, notify, &leg.dialog);
    }

    /// What a URI has to be so that the other side of this call is reached, and this call replaced.
    pub(crate) fn to_replace(&self, core: &Core) -> Option<String> {
        let dialog = self.legs.first().filter(|_| self.is_active()).map(|leg| &leg.dialog)?;
        let replaces = Replaces {
            call_id: dialog.call_id.clone(),
            to_tag: dialog.remote_tag.clone(),
            from_tag: dialog.local_tag.clone(),
            early_only: false,
        };
        let peer = match &self.launched {
            _ if Gruu::is(&dialog.remote_target) => dialog.remote_target.clone(),
            Some(_) => self.invite.uri().to_owned(),
            None => sender(&self.invite),
        };
        // A `tel:` URI has no header fields.
        let peer = match Uri::parse(&peer)? {
            Uri::Tel(tel) => format!("sip:{}@{};user=phone", tel.digits(), core.config.realm),
            _ => peer,
        };
        Some(format!("{peer}?{}", replaces.in_uri()))
    }

    /// The call that another one is to take the place of; the error is the status of the refusal, RFC
    /// 3891 §3.
    pub(crate) fn may_be_replaced(&self, replaces: &Replaces) -> Option<Result<(), u16>> {
        let same = |dialog: &Dialog| {
            dialog.call_id == replaces.call_id
                && dialog.local_tag == replaces.to_tag
                && dialog.remote_tag == replaces.from_tag
        };
        self.leg_of(same)?;
        Some(match self.phase {
            Phase::Active if replaces.early_only => Err(486),
            Phase::Active | Phase::Inviting { .. } => Ok(()),
            Phase::Closing | Phase::Over => Err(603),
            // Whose call rings here does not decide who takes it.
            Phase::Opening(_) | Phase::Incoming(_) => Err(481),
        })
    }

    /// How our call goes, as a status.
    pub(crate) fn progress(&self) -> u16 {
        match self.phase {
            Phase::Active | Phase::Closing => 200,
            Phase::Over => self.ended,
            _ if self.rang => 180,
            _ => 100,
        }
    }

    /// Header fields that the INVITE is to have which we were asked for.
    pub(crate) fn on_behalf(&mut self, referred_by: Option<&str>, replaces: Option<&Replaces>) {
        if let Some(referred_by) = referred_by {
            self.invite.push(HeaderName::ReferredBy, referred_by);
        }
        if let Some(replaces) = replaces {
            self.invite.push(HeaderName::Replaces, replaces.to_string());
            self.invite.push(HeaderName::Require, "replaces");
        }
    }
}

/// The status in a fragment of a message, RFC 3420.
pub(crate) fn status_in(fragment: &Message) -> Option<u16> {
    if fragment.content_type() != "message/sipfrag" {
        return None;
    }
    let body = String::from_utf8_lossy(fragment.body());
    let status = body.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    (100..700).contains(&status).then_some(status)
}
