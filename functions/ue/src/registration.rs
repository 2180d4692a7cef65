//! The phone's registration, RFC 3261 §10.2 as TS 24.229 §5.1.1 wants it.
//!
//! ```text
//!            order            200                 refresh due, flow closed
//! Idle ------------> Trying ------> Registered ----------------------------> Trying
//!   ^                 |  ^              |
//!   |   403, 404 ...  |  | back-off     | order
//!   +-----------------+  Waiting        v
//!   +------------------------------- Leaving
//! ```

use base::time::Duration;
use base::{Flow, Instant, Severity};
use sip::gruu::{self, Granted};
use sip::header::{CSeq, NameAddr, delta_seconds};
use sip::reginfo::ContactEvent;
use sip::uri::Uri;
use sip::{HeaderName, Message, Method};

use crate::core::{ALLOW, Purpose, TimerKey};
use crate::phone::Ue;
use crate::report::What;

/// The registration's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Idle,
    /// A REGISTER is under way since then.
    Trying {
        since: Instant,
    },
    /// To be tried again when the timer says so.
    Waiting,
    Registered,
    /// A REGISTER that ends it is under way.
    Leaving,
    /// It has ended; the notifier will say so, and wants an answer.
    Parting,
}

/// How long the last NOTIFY is waited for.
const LAST_NOTIFY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Registration {
    state: State,
    /// Call-ID and From tag stay for as long as the phone lives, RFC 3261 §10.2.
    call_id: String,
    tag: String,
    cseq: u32,
    /// The lifetime to ask for: what is configured, or Min-Expires.
    expires: u32,
    failures: u32,
    /// Another order came while a REGISTER was under way.
    then: Option<Next>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Register,
    Deregister,
}

impl Registration {
    pub(crate) fn is_registered(&self) -> bool {
        matches!(self.state, State::Registered)
    }

    /// Whether the phone is registered, by one flow or another, and does not leave.
    pub(crate) fn stands(&self) -> bool {
        matches!(self.state, State::Registered | State::Trying { .. } | State::Waiting)
    }

    fn is_busy(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Leaving | State::Parting)
    }
}

impl Ue {
    /// Registers, or refreshes the registration.
    pub(crate) fn register(&mut self, now: Instant) {
        let registration = &mut self.registration;
        if registration.is_busy() {
            registration.then = Some(Next::Register);
            return;
        }
        if registration.expires == 0 {
            registration.expires = self.core.config.expires.max(1);
        }
        registration.state = State::Trying { since: now };
        self.core.disarm(TimerKey::Register);
        let expires = registration.expires;
        self.send_register(now, expires);
    }

    /// Ends the registration.
    pub(crate) fn deregister(&mut self, now: Instant) {
        let registration = &mut self.registration;
        match registration.state {
            State::Trying { .. } | State::Leaving | State::Parting => {
                registration.then = Some(Next::Deregister);
            }
            State::Idle | State::Waiting => {
                registration.state = State::Idle;
                self.core.disarm(TimerKey::Register);
                self.core.report(now, What::Deregistered { event: None });
            }
            State::Registered => {
                registration.state = State::Leaving;
                self.core.disarm(TimerKey::Register);
                self.leave_further_flows(now);
                self.send_register(now, 0);
            }
        }
    }

    fn send_register(&mut self, now: Instant, expires: u32) {
        let core = &mut self.core;
        let (registrar, identity) = (core.config.registrar.clone(), core.config.identity.clone());
        let mut request = core.request(Method::Register, &registrar, &identity);
        let registration = &mut self.registration;
        if registration.call_id.is_empty() {
            registration.call_id = core.random.token::<16>();
            registration.tag = core.random.token::<8>();
        }
        registration.cseq += 1;
        let cseq = CSeq { number: registration.cseq, method: Method::Register };
        request.set(HeaderName::From, format!("<{identity}>;tag={}", registration.tag));
        request.set(HeaderName::CallId, registration.call_id.clone());
        request.set(HeaderName::CSeq, cseq.to_string());
        request
            .push(HeaderName::Contact, format!("{};expires={expires}", core.registered_contact()));
        request.push(HeaderName::Expires, expires.to_string());
        let mut supported = vec!["path"];
        if core.config.options.reg_id.is_some() {
            supported.push("outbound");
        }
        if core.wants_gruus() {
            supported.push(gruu::OPTION);
        }
        request.push(HeaderName::Supported, supported.join(", "));
        request.push(HeaderName::Allow, ALLOW);
        core.authenticator.introduce(&mut request, &mut core.random);
        let hop = core.first_hop(&request);
        core.send(now, Purpose::Register, request, hop);
    }

    /// A REGISTER is sent again with credentials.
    pub(crate) fn register_repeated(&mut self, cseq: u32) {
        self.registration.cseq = cseq;
    }

    /// The final answer to a REGISTER, challenges excepted.
    pub(crate) fn register_response(&mut self, now: Instant, response: &Message, flow: Flow) {
        match (self.registration.state, response.status()) {
            (State::Leaving, 423) => self.left(now),
            (_, 423) => self.interval_too_brief(now, response),
            (State::Leaving, _) => self.left(now),
            (State::Trying { since }, 200..300) => self.registered(now, since, response, flow),
            (State::Trying { .. }, status) => {
                let after = response.get(HeaderName::RetryAfter).and_then(delta_seconds);
                let doubts = self.core.authenticator.doubts();
                let text = crate::core::reason(response);
                let reason = if doubts { format!("{text} (after a wrong MAC)") } else { text };
                self.register_failed(now, status, reason, after);
            }
            _ => {}
        }
    }

    fn interval_too_brief(&mut self, now: Instant, response: &Message) {
        let least = response.get(HeaderName::MinExpires).and_then(delta_seconds);
        match least.filter(|least| *least > self.registration.expires) {
            Some(least) => {
                self.registration.expires = least;
                self.send_register(now, least);
            }
            None => self.register_failed(now, 423, response.reason().to_owned(), None),
        }
    }

    fn registered(&mut self, now: Instant, since: Instant, response: &Message, flow: Flow) {
        let own = self.core.contact_uri();
        let contacts: Vec<String> = response.list(HeaderName::Contact).map(str::to_owned).collect();
        let named = contacts.iter().filter_map(|c| NameAddr::parse(c)).find(|c| same(c.uri, &own));
        let general = || response.get(HeaderName::Expires).and_then(delta_seconds);
        let granted = named.as_ref().and_then(|c| c.expires()).or_else(general);
        let expires = granted.unwrap_or(self.registration.expires);
        if expires == 0 {
            return self.register_failed(now, 500, "registered for no time at all".into(), None);
        }
        let list = |name| response.list(name).map(str::to_owned).collect::<Vec<_>>();
        self.core.service.routes = list(HeaderName::ServiceRoute);
        self.core.service.path = list(HeaderName::Path);
        let uri = |element: &String| NameAddr::parse(element).map(|a| a.uri.to_owned());
        let associated: Vec<_> = list(HeaderName::PAssociatedUri).iter().filter_map(uri).collect();
        if !associated.is_empty() {
            self.core.service.associated = associated.clone();
        }
        self.core.service.flow = Some(flow);
        self.core.service.detour = None;
        self.core.learn_gruus(None, &named.as_ref().map(Granted::of).unwrap_or_default());
        self.registration.state = State::Registered;
        self.registration.failures = 0;
        self.core.arm(TimerKey::Register, now + refresh_in(expires));
        let delay = now.since(since);
        self.core.report(now, What::Registered { contacts, delay, associated, expires });
        if self.core.config.options.reg_event {
            self.subscribe(now);
        }
        self.keep_further_flows(now);
        self.follow(now);
    }

    fn left(&mut self, now: Instant) {
        self.forget_registration();
        self.registration.state = State::Parting;
        if self.is_subscribed() {
            return self.core.arm(TimerKey::Parting, now + LAST_NOTIFY);
        }
        self.parted(now);
    }

    /// Nothing more is to come of the registration that was ended.
    pub(crate) fn parted(&mut self, now: Instant) {
        if self.registration.state == State::Parting {
            self.registration.state = State::Idle;
            self.core.disarm(TimerKey::Parting);
            self.core.report(now, What::Deregistered { event: None });
            self.follow(now);
        }
    }

    /// What was asked for while a REGISTER was under way.
    fn follow(&mut self, now: Instant) {
        match self.registration.then.take() {
            Some(Next::Register) if !self.registration.is_registered() => self.register(now),
            Some(Next::Deregister) => self.deregister(now),
            _ => {}
        }
    }

    fn forget_registration(&mut self) {
        self.registration.state = State::Idle;
        self.registration.expires = 0;
        self.core.service = Default::default();
        self.core.authenticator.forget();
        self.core.disarm(TimerKey::Register);
        self.unsubscribe();
    }

    /// The registration failed for good, or until the back-off is over.
    pub(crate) fn register_failed(
        &mut self,
        now: Instant,
        status: u16,
        reason: String,
        after: Option<u32>,
    ) {
        if self.registration.state == State::Leaving {
            return self.left(now);
        }
        let passing = matches!(status, 408 | 430 | 480 | 500 | 502..=504) || after.is_some();
        let elsewhere = passing && self.turns_to_another_flow();
        if !elsewhere {
            self.forget_registration();
        }
        let mut retry = None;
        if passing && self.registration.then != Some(Next::Deregister) {
            let config = self.core.config.retry;
            let doubled = config.base * 2u32.saturating_pow(self.registration.failures.min(16));
            self.registration.failures += 1;
            let wait = self.core.spread(doubled.min(config.max));
            let wait = wait.max(Duration::from_secs(u64::from(after.unwrap_or(0))));
            self.registration.state = State::Waiting;
            self.core.arm(TimerKey::Register, now + wait);
            retry = Some(now + wait);
        }
        let text = format!("registration failed: {status} {reason}");
        self.core.log(Severity::Warning, "ue.registration_failed", text);
        self.core.report(now, What::RegistrationFailed { status, reason, retry });
        self.follow(now);
    }

    /// The flow of the registration is gone: another one is needed at once, RFC 5626 §4.2.
    pub(crate) fn registration_flow_closed(&mut self, now: Instant, flow: Flow) {
        let same = |own: Flow| own.id == flow.id && own.remote == flow.remote;
        if !self.core.service.flow.is_some_and(same) {
            return;
        }
        self.core.service.flow = None;
        if self.registration.is_registered() {
            let text = format!("the flow to {} is gone; registering again", flow.remote);
            self.core.log(Severity::Warning, "ue.flow_closed", text);
            self.register(now);
        }
    }

    /// TS 24.229 §5.1.2A.1.6: a 504 of those that we registered at says that the registration is lost there.
    pub(crate) fn register_anew(&mut self, now: Instant, response: &Message) {
        if !self.registration.is_registered() || !wants_registration(response) {
            return;
        }
        let host = |element: &str| {
            let uri = NameAddr::parse(element)?.parsed_uri()?.sip()?;
            Some(uri.host.to_ascii_lowercase())
        };
        let says = response.list(HeaderName::PAssertedIdentity).next().and_then(host);
        let service = &self.core.service;
        let mut known = service.routes.iter().chain(&service.path).filter_map(|route| host(route));
        if says.is_none_or(|says| !known.any(|known| known == says)) {
            return;
        }
        let text = "the network lost the registration; registering anew".to_owned();
        self.core.log(Severity::Warning, "ue.registration_lost", text);
        self.forget_registration();
        self.register(now);
    }

    /// The network wants a re-authentication: the registration ends in `expires` seconds.
    pub(crate) fn registration_shortened(&mut self, now: Instant, expires: u32) {
        let at = now + Duration::from_secs(u64::from(expires / 2));
        let later = self.core.armed(TimerKey::Register).is_some_and(|refresh| refresh > at);
        if self.registration.is_registered() && later {
            self.core.arm(TimerKey::Register, at);
        }
    }

    /// The network ended the registration, TS 24.229 §5.1.1.7.
    pub(crate) fn deregistered_by_network(
        &mut self,
        now: Instant,
        event: Option<ContactEvent>,
        again: bool,
    ) {
        if !self.registration.is_registered() {
            return;
        }
        // TS 24.229 §5.1.1.7: whoever must not register again has no calls either.
        if event == Some(ContactEvent::Rejected) {
            self.hang_up_all(now);
        }
        self.forget_registration();
        let text = Some(event.map_or("", ContactEvent::as_str).to_owned());
        self.core.report(now, What::Deregistered { event: text });
        match event {
            Some(_) if again => self.register(now),
            // Nobody says why: at once it might end as soon again.
            None if again => {
                self.registration.state = State::Waiting;
                let wait = self.core.spread(self.core.config.retry.base);
                self.core.arm(TimerKey::Register, now + wait);
            }
            _ => {}
        }
    }
}

/// Whether a response has a body that asks for an initial registration, TS 24.229 §7.6.
fn wants_registration(response: &Message) -> bool {
    let text = String::from_utf8_lossy(response.body());
    let says = |name: &str, value: &str| {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let rest = text.split_once(&open).map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split_once(&close)).is_some_and(|(v, _)| v.trim() == value)
    };
    response.status() == 504
        && response.is_of_type("application/3gpp-ims+xml")
        && says("type", "restoration")
        && says("action", "initial-registration")
}

/// When a registration is refreshed: TS 24.229 §5.1.1.4.1.
pub(crate) fn refresh_in(expires: u32) -> Duration {
    let refresh = if expires > 1200 { expires - 600 } else { (expires / 2).max(1) };
    Duration::from_secs(u64::from(refresh))
}

/// Whether two Contact URIs name the same user and host.
pub(crate) fn same(a: &str, b: &str) -> bool {
    match (Uri::parse(a).and_then(Uri::sip), Uri::parse(b).and_then(Uri::sip)) {
        (Some(a), Some(b)) => {
            a.user == b.user
                && a.host.eq_ignore_ascii_case(b.host)
                && a.port.unwrap_or(5060) == b.port.unwrap_or(5060)
        }
        _ => a == b,
    }
}
