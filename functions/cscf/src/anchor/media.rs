//! What a session's requests and answers have the relay asked: RFC 3264 offers and answers, in whatever message they
//! stand (RFC 3261 §13.2.1), as `offer`, `answer` and `delete` of the NG protocol.

use std::net::IpAddr;

use base::Instant;
use ng::request::{Command, Replace, Request};
use sip::header::{HeaderName, NameAddr, Via};
use sip::uri::literal;
use sip::{Message, Method};

use super::Anchor;
use crate::proxy::in_dialog;

/// The media type of a description.
pub(super) const SDP: &str = "application/sdp";

/// A request of a session whose media goes through the relay, until it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Anchored {
    /// What the relay knows the session by.
    call_id: String,
    /// The tag of who sent the request.
    from_tag: String,
    method: Method,
    /// Whether it carried SDP: then SDP in a response is the answer.
    carried_offer: bool,
    /// Whether it has no To tag: the failure of such an INVITE ends the media.
    initial: bool,
}

impl Anchored {
    pub(crate) fn of(request: &Message) -> Anchored {
        Anchored {
            call_id: request.get(HeaderName::CallId).unwrap_or_default().to_owned(),
            from_tag: tag(request, HeaderName::From).unwrap_or_default().to_owned(),
            method: request.method().cloned().unwrap_or(Method::Options),
            carried_offer: request.part(SDP).is_some(),
            initial: !in_dialog(request),
        }
    }
}

/// What the relay is asked.
#[derive(Debug)]
pub(crate) struct Step(pub(super) Request);

impl Step {
    /// The SDP is an offer; `sender` is the tag of who makes it.
    fn offer(call_id: &str, sender: &str, receiver: Option<&str>, sdp: &[u8]) -> Step {
        Step::new(Command::Offer, call_id, sender, receiver, sdp)
    }

    /// The SDP is an answer; `offerer` is the tag of who made the offer.
    fn answer(call_id: &str, offerer: &str, sender: Option<&str>, sdp: &[u8]) -> Step {
        Step::new(Command::Answer, call_id, offerer, sender, sdp)
    }

    /// The SDP of an ACK or PRACK answers an offer that was made in a response.
    fn late_answer(call_id: &str, request: &Message, sdp: &[u8]) -> Step {
        let (from, to) = (tag(request, HeaderName::From), tag(request, HeaderName::To));
        Step::new(Command::Answer, call_id, to.unwrap_or(""), from, sdp)
    }

    fn new(command: Command, call: &str, from: &str, to: Option<&str>, sdp: &[u8]) -> Step {
        let mut request = Request::about(command, call, from);
        request.to_tag = to.map(str::to_owned);
        request.sdp = Some(sdp.to_vec());
        request.replace = Replace { origin: true, session_connection: true, ..Replace::default() };
        Step(request)
    }
}

impl<L> Anchor<L> {
    /// What a request on its way has the relay asked. A BYE ends the media at once.
    pub(crate) fn of_request(
        &mut self,
        now: Instant,
        anchored: &mut Anchored,
        request: &Message,
    ) -> Option<Step> {
        let Anchored { call_id, from_tag, .. } = &*anchored;
        let to_tag = tag(request, HeaderName::To);
        if anchored.method == Method::Bye {
            self.delete(now, call_id, from_tag);
        }
        let awaited = anchored.method == Method::Prack && self.awaits_answer(call_id, to_tag);
        let sdp = request.part(SDP)?;
        if awaited {
            let step = Step::late_answer(call_id, request, &sdp);
            anchored.carried_offer = false;
            return Some(step);
        }
        let mut step = Step::offer(call_id, from_tag, to_tag, &sdp);
        step.0.received_from = source(request);
        Some(step)
    }

    /// A request goes on without the relay: it is not asked about the answer either. A relay that heard of a new
    /// session all the same is to forget it.
    pub(crate) fn goes_on_without(&mut self, now: Instant, anchored: Option<Anchored>) {
        if let Some(Anchored { call_id, from_tag, initial: true, .. }) = anchored {
            self.delete(now, &call_id, &from_tag);
        }
    }

    /// What a response on its way back has the relay asked. Where an INVITE failed the media ends.
    pub(crate) fn of_response(
        &mut self,
        now: Instant,
        anchored: &Anchored,
        response: &Message,
    ) -> Option<Step> {
        let Anchored { call_id, from_tag, method, carried_offer, initial } = anchored;
        let status = response.status();
        if *method == Method::Invite && *initial && status >= 300 {
            self.delete(now, call_id, from_tag);
        }
        let sdp = response.part(SDP).filter(|_| status < 300)?;
        let to_tag = tag(response, HeaderName::To);
        if *carried_offer {
            return Some(Step::answer(call_id, from_tag, to_tag, &sdp));
        }
        let by = to_tag.unwrap_or("");
        self.offered(call_id, by);
        Some(Step::offer(call_id, by, Some(from_tag), &sdp))
    }

    /// What an ACK for a 2xx has the relay asked: it may carry the answer to an offer that a response made.
    pub(crate) fn of_ack(&mut self, anchored: bool, ack: &Message) -> Option<Step> {
        let call_id = ack.get(HeaderName::CallId).unwrap_or("");
        self.confirmed(call_id);
        let sdp = ack.part(SDP).filter(|_| anchored)?;
        Some(Step::late_answer(call_id, ack, &sdp))
    }
}

/// Where the phone is that sent a request, as its P-CSCF saw it: the first of the Vias. Behind a router its media comes
/// from there, whatever its SDP says.
fn source(request: &Message) -> Option<IpAddr> {
    let via = request.list(HeaderName::Via).last().and_then(Via::parse)?;
    via.received().or_else(|| literal(via.host))
}

fn tag(message: &Message, name: HeaderName) -> Option<&str> {
    message.get(name).and_then(NameAddr::parse).and_then(|address| address.tag())
}

#[cfg(test)]
mod tests {
    use base::Random;

    use super::*;

    const OFFER: &str = "v=0\r\nm=audio 4000 RTP/AVP 0\r\n";

    fn invite(vias: &[&str]) -> Message {
        let invite = Message::request(Method::Invite, "urn:service:sos")
            .with(HeaderName::CallId, "c")
            .with(HeaderName::From, "<sip:a@b>;tag=1")
            .with_body(SDP, OFFER);
        vias.iter().fold(invite, |invite, via| invite.with(HeaderName::Via, *via))
    }

    #[test]
    fn the_relay_hears_where_the_phone_is() {
        let (ours, phone) = ("SIP/2.0/TCP p.test", "SIP/2.0/UDP 192.168.1.93");
        let received = "SIP/2.0/UDP 192.168.1.93;rport=9;received=203.0.113.7";
        for (vias, host) in [
            (vec![ours, received], Some("203.0.113.7")),
            (vec![ours, phone], Some("192.168.1.93")),
            (vec![ours], None),
            (vec![], None),
        ] {
            let request = invite(&vias);
            let mut anchor = Anchor::<()>::new(None, Random::from_u64(1));
            let mut anchored = Anchored::of(&request);
            let step =
                anchor.of_request(Instant::EPOCH, &mut anchored, &request).expect("an offer");
            assert_eq!(step.0.received_from, host.map(|host| host.parse().expect("an address")));
            assert_eq!(step.0.sdp.as_deref(), Some(OFFER.as_bytes()));
        }
    }
}
