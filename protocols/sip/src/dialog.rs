//! Dialogs of a user agent, RFC 3261 §12.

use crate::header::{CSeq, HeaderName, NameAddr};
use crate::message::Message;
use crate::method::Method;

/// One dialog, early or confirmed, as one user agent sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// Our From (To) value with its tag, as written.
    pub local: String,
    /// The peer's To (From) value with its tag, as written.
    pub remote: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag; empty for an RFC 2543 peer (§12.1.1).
    pub remote_tag: String,
    /// CSeq number of our last request.
    pub local_cseq: u32,
    /// CSeq number of the peer's last request.
    pub remote_cseq: Option<u32>,
    /// Route header field values, next hop first.
    pub route_set: Vec<String>,
    /// The peer's Contact URI.
    pub remote_target: String,
    /// Whether no 2xx confirmed it yet.
    pub early: bool,
}

impl Dialog {
    /// The dialog that a response to our request makes, §12.1.2. `None` without a To tag in a
    /// provisional response, or with unreadable fields.
    pub fn of_response(request: &Message, response: &Message) -> Option<Dialog> {
        let local = request.get(HeaderName::From)?;
        let remote = response.get(HeaderName::To)?;
        let remote_tag = NameAddr::parse(remote)?.tag().unwrap_or("");
        let early = response.status() < 200;
        if early && remote_tag.is_empty() {
            return None;
        }
        let mut route_set: Vec<String> =
            response.list(HeaderName::RecordRoute).map(str::to_owned).collect();
        route_set.reverse();
        Some(Dialog {
            call_id: request.get(HeaderName::CallId)?.to_owned(),
            local: local.to_owned(),
            remote: remote.to_owned(),
            local_tag: NameAddr::parse(local)?.tag()?.to_owned(),
            remote_tag: remote_tag.to_owned(),
            local_cseq: CSeq::parse(request.get(HeaderName::CSeq)?)?.number,
            remote_cseq: None,
            route_set,
            remote_target: contact(response).unwrap_or_else(|| request.uri().to_owned()),
            early,
        })
    }

    /// The dialog that our response to a request makes, §12.1.1. `local_tag` is the To tag that we
    /// give. `None` without a Contact, or with unreadable fields.
    pub fn of_request(request: &Message, local_tag: &str, early: bool) -> Option<Dialog> {
        let remote = request.get(HeaderName::From)?;
        let to = request.get(HeaderName::To)?;
        let tagged = NameAddr::parse(to)?.tag().is_some();
        let local = if tagged { to.to_owned() } else { format!("{to};tag={local_tag}") };
        Some(Dialog {
            call_id: request.get(HeaderName::CallId)?.to_owned(),
            local,
            remote: remote.to_owned(),
            local_tag: local_tag.to_owned(),
            remote_tag: NameAddr::parse(remote)?.tag().unwrap_or("").to_owned(),
            local_cseq: 0,
            remote_cseq: Some(CSeq::parse(request.get(HeaderName::CSeq)?)?.number),
            route_set: request.list(HeaderName::RecordRoute).map(str::to_owned).collect(),
            remote_target: contact(request)?,
            early,
        })
    }

    /// Whether a request of the peer belongs to this dialog.
    pub fn owns_request(&self, request: &Message) -> bool {
        self.owns(request, HeaderName::To, HeaderName::From)
    }

    /// Whether a response to a request of ours belongs to this dialog.
    pub fn owns_response(&self, response: &Message) -> bool {
        self.owns(response, HeaderName::From, HeaderName::To)
    }

    fn owns(&self, message: &Message, local: HeaderName, remote: HeaderName) -> bool {
        let tag =
            |name| message.get(name).and_then(NameAddr::parse).and_then(|a| a.tag()).unwrap_or("");
        message.get(HeaderName::CallId) == Some(self.call_id.as_str())
            && tag(local) == self.local_tag
            && tag(remote) == self.remote_tag
    }

    /// A new request of ours, §12.2.1.1. Contact and body are the caller's to add.
    pub fn request(&mut self, method: Method) -> Message {
        self.local_cseq += 1;
        self.build(method, self.local_cseq)
    }

    /// The ACK for a 2xx to the INVITE of this CSeq number, §13.2.2.4.
    pub fn ack(&self, invite_cseq: u32) -> Message {
        self.build(Method::Ack, invite_cseq)
    }

    fn build(&self, method: Method, number: u32) -> Message {
        let strict = self.route_set.first().is_some_and(|first| !is_loose(first));
        // §12.2.1.1: before a strict router the target moves to the end of the routes.
        let (uri, routes, last) = if strict {
            let first = NameAddr::parse(&self.route_set[0]).map_or("", |a| a.uri);
            (first.to_owned(), &self.route_set[1..], Some(format!("<{}>", self.remote_target)))
        } else {
            (self.remote_target.clone(), &self.route_set[..], None)
        };
        let mut request = Message::request(method.clone(), uri);
        for route in routes.iter().chain(last.as_ref()) {
            request.push(HeaderName::Route, route.as_str());
        }
        request.push(HeaderName::MaxForwards, "70");
        request.push(HeaderName::From, self.local.as_str());
        request.push(HeaderName::To, self.remote.as_str());
        request.push(HeaderName::CallId, self.call_id.as_str());
        request.push(HeaderName::CSeq, CSeq { number, method }.to_string());
        request
    }

    /// The URI of the next hop: the first route, else the remote target.
    pub fn next_hop(&self) -> &str {
        let route = self.route_set.first().and_then(|r| NameAddr::parse(r));
        route.map_or(self.remote_target.as_str(), |a| a.uri)
    }

    /// Takes a request of the peer: checks its order and follows its Contact, §12.2.2. The error is
    /// the status to answer with.
    pub fn take_request(&mut self, request: &Message) -> Result<(), u16> {
        let cseq = request.get(HeaderName::CSeq).and_then(CSeq::parse).ok_or(400u16)?;
        if matches!(cseq.method, Method::Ack | Method::Cancel) {
            return Ok(());
        }
        if self.remote_cseq.is_some_and(|last| cseq.number <= last) {
            return Err(500);
        }
        self.remote_cseq = Some(cseq.number);
        if cseq.method.refreshes_target()
            && let Some(target) = contact(request)
        {
            self.remote_target = target;
        }
        Ok(())
    }

    /// Takes a 2xx to a request of ours: follows its Contact, and its Record-Route if it confirms the
    /// dialog (§13.2.2.4).
    pub fn take_success(&mut self, method: &Method, response: &Message) {
        if !(200..300).contains(&response.status()) {
            return;
        }
        if method.refreshes_target()
            && let Some(target) = contact(response)
        {
            self.remote_target = target;
        }
        if self.early && *method == Method::Invite {
            self.early = false;
            self.route_set = response.list(HeaderName::RecordRoute).map(str::to_owned).collect();
            self.route_set.reverse();
        }
    }
}

fn contact(message: &Message) -> Option<String> {
    let first = message.list(HeaderName::Contact).next()?;
    NameAddr::parse(first).map(|a| a.uri.to_owned())
}

fn is_loose(route: &str) -> bool {
    NameAddr::parse(route)
        .and_then(|a| a.parsed_uri())
        .and_then(crate::uri::Uri::sip)
        .is_some_and(|uri| uri.is_loose())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Message {
        Message::request(Method::Invite, "sip:bob@b")
            .with(HeaderName::RecordRoute, "<sip:p2;lr>, <sip:p1;lr>")
            .with(HeaderName::From, "<sip:alice@a>;tag=1")
            .with(HeaderName::To, "<sip:bob@b>")
            .with(HeaderName::CallId, "c")
            .with(HeaderName::CSeq, "7 INVITE")
            .with(HeaderName::Contact, "<sip:alice@10.0.0.1:5070>")
    }

    fn ok() -> Message {
        let mut ok = Message::answer(&invite(), 200);
        ok.tag_to("2");
        ok.with(HeaderName::RecordRoute, "<sip:p2;lr>")
            .with(HeaderName::RecordRoute, "<sip:p1;lr>")
            .with(HeaderName::Contact, "<sip:bob@10.0.0.2:5080>")
    }

    #[test]
    fn both_ends_see_the_same_dialog() {
        let mut uac = Dialog::of_response(&invite(), &ok()).unwrap();
        let mut uas = Dialog::of_request(&invite(), "2", false).unwrap();
        assert_eq!(uac.route_set, ["<sip:p1;lr>", "<sip:p2;lr>"]);
        assert_eq!(uas.route_set, ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!(uac.next_hop(), "sip:p1;lr");
        let bye = uas.request(Method::Bye);
        assert_eq!(bye.uri(), "sip:alice@10.0.0.1:5070");
        assert!(uac.owns_request(&bye));
        assert_eq!(uac.take_request(&bye), Ok(()));
        assert_eq!(uac.take_request(&bye), Err(500), "the same number again");
        let update = uac.request(Method::Update);
        assert_eq!(update.get(HeaderName::CSeq), Some("8 UPDATE"));
        assert!(uas.owns_request(&update));
        assert_eq!(uac.ack(7).get(HeaderName::CSeq), Some("7 ACK"));
    }

    #[test]
    fn a_strict_router_gets_the_request_uri() {
        let mut dialog = Dialog::of_response(&invite(), &ok()).unwrap();
        dialog.route_set = vec!["<sip:strict>".into(), "<sip:p2;lr>".into()];
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri(), "sip:strict");
        let routes: Vec<_> = bye.lines(HeaderName::Route).collect();
        assert_eq!(routes, ["<sip:p2;lr>", "<sip:bob@10.0.0.2:5080>"]);
    }
}
