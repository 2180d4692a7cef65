//! The subscription to the own registration's state, RFC 3680 over RFC 6665, and what its
//! notifications say.

use base::Instant;
use base::time::Duration;
use sip::header::{Event, NameAddr, SubscriptionState, delta_seconds};
use sip::reginfo::{self, Contact, ContactEvent, RegInfo, Registration, State};
use sip::{Dialog, HeaderName, Message, Method, ServerId};

use crate::core::{ALLOW, Purpose, TimerKey};
use crate::phone::Ue;
use crate::registration::same;

/// The subscription.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    /// The SUBSCRIBE that began it.
    request: Option<Message>,
    dialog: Option<Dialog>,
    /// A SUBSCRIBE is under way.
    busy: bool,
    /// The registration that it was for is gone; only its last NOTIFY is still taken.
    stale: bool,
}

impl Ue {
    /// Subscribes, unless a subscription lives already.
    pub(crate) fn subscribe(&mut self, now: Instant) {
        if self.subscription.stale {
            self.subscription = Subscription::default();
        }
        if self.subscription.dialog.is_none() && !self.subscription.busy {
            let identity = self.core.identity().to_owned();
            let mut request = self.core.request(Method::Subscribe, &identity, &identity);
            self.complete_subscribe(&mut request);
            self.subscription.request = Some(request.clone());
            let hop = self.core.first_hop(&request);
            self.core.send(now, Purpose::Subscribe, request, hop);
        }
    }

    /// The subscription ends soon.
    pub(crate) fn refresh_subscription(&mut self, now: Instant) {
        if self.subscription.busy {
            return;
        }
        if !self.registration.is_registered() {
            // A REGISTER is under way; the subscription still lives.
            return self.core.arm(TimerKey::Subscribe, now + Duration::from_secs(1));
        }
        let Some(mut dialog) = self.subscription.dialog.take() else {
            return self.subscribe(now);
        };
        let mut request = dialog.request(Method::Subscribe);
        self.complete_subscribe(&mut request);
        self.core.send_in(now, Purpose::Subscribe, request, &dialog);
        self.subscription.dialog = Some(dialog);
    }

    fn complete_subscribe(&mut self, request: &mut Message) {
        self.subscription.busy = true;
        request.push(HeaderName::Contact, self.core.contact());
        request.push(HeaderName::Event, "reg");
        request.push(HeaderName::Accept, reginfo::CONTENT_TYPE);
        request.push(HeaderName::Expires, self.core.config.expires.to_string());
        request.push(HeaderName::Allow, ALLOW);
    }

    /// A SUBSCRIBE is sent again with credentials.
    pub(crate) fn subscribe_repeated(&mut self, request: &Message, cseq: u32) {
        match &mut self.subscription.dialog {
            Some(dialog) => dialog.local_cseq = cseq,
            None => self.subscription.request = Some(request.clone()),
        }
    }

    /// The final answer to a SUBSCRIBE.
    pub(crate) fn subscribe_response(&mut self, now: Instant, response: &Message) {
        let own = self.subscription.request.as_ref().and_then(|r| r.get(HeaderName::CallId));
        if self.subscription.stale || own != response.get(HeaderName::CallId) {
            return;
        }
        self.subscription.busy = false;
        if !(200..300).contains(&response.status()) {
            return self.subscribe_failed(now, response.status());
        }
        match (&mut self.subscription.dialog, &self.subscription.request) {
            (Some(dialog), _) => dialog.take_success(&Method::Subscribe, response),
            (None, Some(request)) => {
                self.subscription.dialog = Dialog::of_response(request, response);
            }
            (None, None) => return,
        }
        let granted = response.get(HeaderName::Expires).and_then(delta_seconds);
        let granted = granted.unwrap_or(self.core.config.expires).max(2);
        let refresh = if granted > 1200 { granted - 600 } else { granted / 2 };
        self.core.arm(TimerKey::Subscribe, now + Duration::from_secs(u64::from(refresh)));
    }

    /// No subscription: a registrar that does not know the event is left in peace.
    pub(crate) fn subscribe_failed(&mut self, now: Instant, status: u16) {
        if self.subscription.stale {
            return;
        }
        self.subscription.busy = false;
        let had_one = self.subscription.dialog.take().is_some();
        self.subscription.request = None;
        let passing = matches!(status, 408 | 481 | 500 | 503 | 504);
        if passing && self.registration.is_registered() {
            let wait =
                if had_one && status == 481 { Duration::ZERO } else { Duration::from_secs(60) };
            let wait = self.core.spread(wait);
            self.core.arm(TimerKey::Subscribe, now + wait);
        }
        self.core.log(
            base::Severity::Info,
            "ue.subscribe_failed",
            format!("no subscription to the own registration: {status}"),
        );
    }

    /// The registration is gone, and the subscription with it; the notifier still says so.
    pub(crate) fn unsubscribe(&mut self) {
        self.subscription.stale = true;
        self.core.disarm(TimerKey::Subscribe);
    }

    /// Whether a NOTIFY may come.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscription.dialog.is_some()
    }

    /// A NOTIFY: 481 if it is not of our subscription.
    pub(crate) fn notify(&mut self, now: Instant, server: ServerId, request: &Message) {
        let event = request.get(HeaderName::Event).and_then(Event::parse);
        if !event.is_some_and(|e| e.package.eq_ignore_ascii_case("reg")) {
            return self.core.reply(now, server, request, 489);
        }
        if !self.owns_notify(request) {
            return self.core.reply(now, server, request, 481);
        }
        if let Some(dialog) = &mut self.subscription.dialog
            && let Err(status) = dialog.take_request(request)
        {
            return self.core.reply(now, server, request, status);
        }
        self.core.reply(now, server, request, 200);
        let state = request.get(HeaderName::SubscriptionState).and_then(SubscriptionState::parse);
        let ended = state.is_some_and(|s| s.is_terminated());
        let text = String::from_utf8_lossy(request.body());
        if ended {
            self.subscription = Subscription::default();
            self.core.disarm(TimerKey::Subscribe);
            self.parted(now);
        }
        self.core.learn_gruus_of(&text);
        match fate(&text, &self.core.contact_uri()) {
            Some(Fate::Gone { event, again }) => self.deregistered_by_network(now, event, again),
            Some(Fate::Shortened { expires }) => self.registration_shortened(now, expires),
            None => {}
        }
        if ended && self.registration.is_registered() {
            let wait = self.core.spread(Duration::from_secs(2));
            self.core.arm(TimerKey::Subscribe, now + wait);
        }
    }

    /// The dialog's, or (RFC 6665 §4.1.2.4) one that came before the 2xx to our SUBSCRIBE.
    fn owns_notify(&self, notify: &Message) -> bool {
        if let Some(dialog) = &self.subscription.dialog {
            return dialog.owns_request(notify);
        }
        let Some(request) = &self.subscription.request else { return false };
        let tag = |message: &Message, name| {
            let address = NameAddr::parse(message.get(name)?)?;
            address.tag().map(str::to_owned)
        };
        notify.get(HeaderName::CallId) == request.get(HeaderName::CallId)
            && tag(notify, HeaderName::To) == tag(request, HeaderName::From)
    }
}

/// What a reginfo document (RFC 3680 §5) says about our contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is gone, TS 24.229 §5.1.1.7.
    Gone {
        /// Why, RFC 3680 §5.1, if the document says so in a word that we know.
        event: Option<ContactEvent>,
        /// Whether to register again.
        again: bool,
    },
    /// The network wants us to authenticate before that many seconds are over, TS 24.229 §5.1.1.5A.
    Shortened { expires: u32 },
}

/// What a document means for our contact, whatever the order of its registrations. Nothing if it
/// cannot be read.
pub(crate) fn fate(document: &str, own: &str) -> Option<Fate> {
    let registrations = RegInfo::parse(document)?.registrations;
    let contacts = registrations.iter().flat_map(|r| &r.contacts);
    let ours: Vec<&Contact> = contacts.filter(|c| same(&c.uri, own)).collect();
    let living = |contact: &&&Contact| contact.state != State::Terminated;
    let shortened = |contact: &&&Contact| contact.event == Some(ContactEvent::Shortened);
    if let Some(contact) = ours.iter().filter(living).find(shortened) {
        return Some(Fate::Shortened { expires: contact.expires });
    }
    if ours.iter().any(|contact| living(&contact)) {
        return None;
    }
    let Some(first) = ours.iter().find(|c| !again(c.event)).or(ours.first()) else {
        // A document that ends all registrations need not name contacts: so does a registrar that lost ours.
        let ended = |r: &Registration| {
            r.state == State::Terminated && r.contacts.iter().all(|c| c.uri.is_empty())
        };
        let all = !registrations.is_empty() && registrations.iter().all(ended);
        return all.then_some(Fate::Gone { event: None, again: true });
    };
    Some(Fate::Gone { event: first.event, again: again(first.event) })
}

/// Whether a contact that ended so is to be registered again; also if we do not know why it ended.
fn again(event: Option<ContactEvent>) -> bool {
    use ContactEvent::{Deactivated, Expired, Probation};
    matches!(event, None | Some(Deactivated | Expired | Probation))
}

#[cfg(test)]
mod tests {
    use ContactEvent::{Deactivated, Rejected};

    use super::*;

    fn document(registrations: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<!-- <contact state='terminated'> -->\n\
             <r:reginfo xmlns:r=\"urn:ietf:params:xml:ns:reginfo\" version='0' state=\"full\">\n\
             {registrations}</r:reginfo>"
        )
    }

    fn registration(registration: &str, state: &str, event: &str, uri: &str) -> String {
        format!(
            "<r:registration aor=\"sip:a@x\" id=\"1\" state=\"{registration}\">\n\
             <r:contact id=\"2\" state=\"{state}\" event='{event}'><r:uri>{uri}</r:uri>\n\
             </r:contact></r:registration>"
        )
    }

    fn gone(event: impl Into<Option<ContactEvent>>, again: bool) -> Option<Fate> {
        Some(Fate::Gone { event: event.into(), again })
    }

    /// RFC 3680 §5.1 with the reactions of TS 24.229 §5.1.1.7.
    #[test]
    fn our_contacts_fate_is_read() {
        let own = "sip:a@10.0.0.1:5060";
        let say = |r, s, e, u| fate(&document(&registration(r, s, e, u)), own);
        assert_eq!(say("active", "active", "registered", own), None);
        assert_eq!(say("terminated", "terminated", "rejected", own), gone(Rejected, false));
        let param = "sip:a@10.0.0.1;transport=udp&amp;x";
        assert_eq!(say("active", "terminated", "deactivated", param), gone(Deactivated, true));
        let other = "sip:a@10.0.0.2";
        assert_eq!(say("active", "terminated", "rejected", other), None);
        let ended = document("<registration state=\"terminated\"/>");
        assert_eq!(fate(&ended, own), gone(None, true));
    }

    /// What a later release may say is neither an end nor, if it is one, an end for ever.
    #[test]
    fn words_that_we_do_not_know_do_no_harm() {
        let own = "sip:a@10.0.0.1:5060";
        let say = |r, s, e, u| fate(&document(&registration(r, s, e, u)), own);
        assert_eq!(say("active", "active", "moved", own), None);
        assert_eq!(say("terminated", "suspended", "moved", own), None);
        assert_eq!(say("suspended", "terminated", "moved", ""), None);
        assert_eq!(say("terminated", "terminated", "moved", own), gone(None, true));
        // A contact without a URI is nobody's.
        assert_eq!(say("terminated", "terminated", "moved", ""), gone(None, true));
    }

    /// A contact may be gone for one public identity and stay for another one.
    #[test]
    fn the_order_of_registrations_does_not_matter() {
        let own = "sip:a@10.0.0.1:5060";
        let stays = registration("active", "active", "registered", own);
        let leaves = |event| registration("terminated", "terminated", event, own);
        let (again, never) = (leaves("deactivated"), leaves("rejected"));
        let none = registration("terminated", "terminated", "rejected", "sip:a@10.0.0.2");
        for (one, two, meant) in [
            (&stays, &never, None),
            (&again, &never, gone(Rejected, false)),
            (&again, &none, gone(Deactivated, true)),
        ] {
            assert_eq!(fate(&document(&format!("{one}{two}")), own), meant);
            assert_eq!(fate(&document(&format!("{two}{one}")), own), meant);
        }
        let shortened = document(&registration("active", "active", "shortened' expires='30", own));
        assert_eq!(fate(&shortened, own), Some(Fate::Shortened { expires: 30 }));
    }
}
