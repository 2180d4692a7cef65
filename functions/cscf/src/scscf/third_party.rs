//! Third-party REGISTER, TS 24.229 §5.4.1.7: application servers whose filter criteria fire for a REGISTER
//! hear who registered, and who is gone.

use std::collections::BTreeMap;

use base::{Event, Instant, Severity};
use diameter::cx::Assignment;
use sip::header::HeaderName;
use sip::reginfo::ContactEvent;
use sip::{ClientId, Message, Method, Stack};

use super::Scscf;
use super::application_server::verdict;
use super::ifc::{ApplicationServer, Case, RegistrationType};
use super::user::User;
use crate::restoration::IMS_XML;

/// What separates the parts of a body: no REGISTER has such a line, and one that had would only
/// confuse the server that its user's profile names.
const BOUNDARY: &str = "strowger-third-party-register";

/// Third-party REGISTERs that are not answered.
#[derive(Debug, Default)]
pub(super) struct ThirdParty {
    waiting: BTreeMap<ClientId, Pending>,
}

#[derive(Debug)]
struct Pending {
    impi: String,
    server: ApplicationServer,
}

impl ThirdParty {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// A REGISTER of the phone, and the answer to it.
pub(super) struct Exchange<'a> {
    pub(super) request: &'a Message,
    pub(super) response: &'a Message,
}

/// Whom to tell: the public identity that it is about, and the server.
type Told = Vec<(String, ApplicationServer)>;

impl Scscf {
    /// A user registered, or registered again, until his contacts run out.
    pub(super) fn registration_to_servers(
        &mut self,
        now: Instant,
        impi: &str,
        kind: RegistrationType,
        exchange: &Exchange<'_>,
    ) {
        let Some(user) = self.users.get(impi) else { return };
        let (told, looked_at) = servers(user, exchange.request, kind);
        let ordinary = user.contacts.iter().filter(|contact| !contact.emergency);
        let left = ordinary.map(|contact| contact.lifetime.left(now)).max();
        looked_at.into_iter().for_each(|event| self.tell(event));
        self.register_at(now, impi, told, left.unwrap_or(0), exchange.request, Some(exchange));
    }

    /// A user is gone. Where the network ended it, that counts as a REGISTER of the phone with
    /// Expires 0.
    pub(super) fn deregistration_to_servers(
        &mut self,
        now: Instant,
        user: &User,
        exchange: Option<&Exchange<'_>>,
    ) {
        let own = ended(&self.config.home_domain, user.profile.usable().next().unwrap_or(""));
        let request = exchange.map_or(&own, |exchange| exchange.request);
        let (told, looked_at) = servers(user, request, RegistrationType::DeRegistration);
        looked_at.into_iter().for_each(|event| self.tell(event));
        self.register_at(now, &user.impi, told, 0, request, exchange);
    }

    fn register_at(
        &mut self,
        now: Instant,
        impi: &str,
        told: Told,
        expires: u32,
        phones: &Message,
        exchange: Option<&Exchange<'_>>,
    ) {
        for (identity, server) in told {
            let Some(hop) = Stack::hop(&server.uri) else { continue };
            let us = self.config.server_name();
            let mut request = Message::request(Method::Register, server.uri.as_str())
                .with(HeaderName::From, format!("<{us}>;tag={}", self.proxy.stack.token()))
                .with(HeaderName::To, format!("<{identity}>"))
                .with(HeaderName::CallId, self.proxy.stack.token())
                .with(HeaderName::CSeq, "1 REGISTER")
                .with(HeaderName::MaxForwards, "70")
                .with(HeaderName::Contact, format!("<{us}>"))
                .with(HeaderName::Expires, expires.to_string());
            let passed_on = [
                HeaderName::PAccessNetworkInfo,
                HeaderName::PVisitedNetworkId,
                HeaderName::PChargingVector,
            ];
            for (name, value) in passed_on.map(|name| (name, phones.get(name))) {
                if let Some(value) = value {
                    request.push(name, value);
                }
            }
            match &body(&server, exchange)[..] {
                [] => {}
                [(kind, body)] => request.set_body(kind, body.clone()),
                parts => {
                    let kind = format!("multipart/mixed;boundary={BOUNDARY}");
                    request.set_body(&kind, multipart(parts));
                }
            }
            let client = self.proxy.send(now, request, hop);
            let pending = Pending { impi: impi.to_owned(), server };
            self.third_party.waiting.insert(client, pending);
        }
    }

    /// The answer of an application server; `false` if the transaction is another one's. With
    /// DefaultHandling SESSION_TERMINATED nobody stays registered whom the server did not take.
    pub(super) fn registered_at_server(
        &mut self,
        now: Instant,
        client: ClientId,
        response: &Result<Message, u16>,
    ) -> bool {
        let status = response.as_ref().map_or_else(|status| *status, Message::status);
        if status < 200 {
            return self.third_party.waiting.contains_key(&client);
        }
        let Some(Pending { impi, server }) = self.third_party.waiting.remove(&client) else {
            return false;
        };
        if status >= 300 {
            let text = format!("{} answered {status} to the registration of {impi}", server.uri);
            self.log(Severity::Warning, "scscf.third_party_failed", text);
            let user = self.users.get(&impi).filter(|user| user.is_registered());
            let impu = user.and_then(|user| user.profile.usable().next()).map(str::to_owned);
            if !server.continue_without
                && let Some(impu) = impu
            {
                self.unbind(now, &impi, ContactEvent::Probation);
                self.tell_hss(now, &impi, &impu, Assignment::AdministrativeDeregistration);
            }
        }
        true
    }
}

/// Whose criteria fire for a REGISTER, each server once in a service profile; and what became of each
/// criterion.
fn servers(user: &User, request: &Message, kind: RegistrationType) -> (Told, Vec<Event>) {
    let mut told = Told::new();
    let mut looked_at = Vec::new();
    for service in user.profile.services.iter().filter(|service| !service.criteria.is_empty()) {
        let identities = &service.identities;
        let usable = identities.iter().find(|identity| !identity.barred);
        let Some(identity) = usable.or(identities.first()) else { continue };
        let already = told.len();
        for criterion in &*service.criteria {
            let server = &criterion.server;
            let again = told[already..].iter().any(|(_, other)| other.uri == server.uri);
            if again {
                continue;
            }
            let miss = criterion.miss(request, Case::Originating, Some(kind));
            let event = verdict(criterion, &identity.uri, miss).impi(&*user.impi);
            let call_id = request.get(HeaderName::CallId);
            looked_at.push(call_id.into_iter().fold(event, Event::call_id));
            if miss.is_none() {
                told.push((identity.uri.to_string(), server.clone()));
            }
        }
    }
    (told, looked_at)
}

/// The REGISTER that the phone would have sent to end its registration.
fn ended(domain: &str, identity: &str) -> Message {
    Message::request(Method::Register, format!("sip:{domain}"))
        .with(HeaderName::From, format!("<{identity}>"))
        .with(HeaderName::To, format!("<{identity}>"))
        .with(HeaderName::Contact, "*")
        .with(HeaderName::Expires, "0")
}

/// The parts of the body: media type and content.
fn body(server: &ApplicationServer, exchange: Option<&Exchange<'_>>) -> Vec<(String, Vec<u8>)> {
    let mut parts = Vec::new();
    if let Some(info) = &server.service_info {
        let info = quick_xml::escape::escape(info);
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<ims-3gpp version=\"1\">\
             <service-info>{info}</service-info></ims-3gpp>\r\n"
        );
        parts.push((IMS_XML.to_owned(), xml.into_bytes()));
    }
    let messages = exchange.map(|exchange| {
        [
            (server.include_register_request, exchange.request),
            (server.include_register_response, exchange.response),
        ]
    });
    for (_, message) in messages.into_iter().flatten().filter(|(wanted, _)| *wanted) {
        parts.push(("message/sip".to_owned(), message.to_bytes().to_vec()));
    }
    parts
}

/// RFC 2046 §5.1.
fn multipart(parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, body) in parts {
        out.extend(format!("--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n").bytes());
        out.extend(body);
        out.extend(b"\r\n");
    }
    out.extend(format!("--{BOUNDARY}--\r\n").bytes());
    out
}
