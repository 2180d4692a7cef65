//! What all parts of the phone stand on: the stack, the timer table, requests under way, outputs.

use std::collections::{BTreeMap, VecDeque};

use base::flow::Service as FlowService;
use base::machine::{Name, OpenId};
use base::slots::Slot;
use base::time::Duration;
use base::timer::Timers;
use base::{
    Bytes, Deadline, Event as LogEvent, Flow, FlowId, Instant, Output, Random, Report, Severity,
    Transport,
};
use sip::dialog::Dialog;
use sip::gruu::Granted;
use sip::header::{CSeq, NameAddr};
use sip::uri::Uri;
use sip::{ClientId, HeaderName, Hop, Message, Method, ServerId, ServiceUrn, Stack, StackConfig};

use crate::authenticate::{Answered, Authenticator};
use crate::config::UeConfig;
use crate::report::{UeReport, What};

/// The methods that this phone takes.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS, MESSAGE, NOTIFY, INFO, REFER";
/// IMS Communication Service Identifier of multimedia telephony, TS 24.173 §5.1.
const ICSI: &str = "urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";

/// Whom a timer wakes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum TimerKey {
    /// The registration: refresh or try again.
    Register,
    /// The same over a further flow.
    Further(usize),
    /// The subscription to its state: refresh or try again.
    Subscribe,
    /// The last NOTIFY of a registration that was ended.
    Parting,
    /// An accepted INVITE gets no more 2xx.
    Forget(ClientId),
    /// The service centre's answer to a short message.
    ShortMessage,
    /// A call's.
    Call(Slot, CallTimer),
}

/// A call's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum CallTimer {
    /// No answer to a cancelled INVITE, RFC 3261 §9.1.
    Cancel,
    /// Our telephone has rung long enough.
    Ring,
    /// A call gets neither an answer nor an end.
    Unanswered,
    /// A reliable provisional response is repeated, RFC 3262 §3.
    Provisional,
    /// A 2xx is repeated, RFC 3261 §13.3.1.4.
    Success,
    /// Our reservation is done.
    Reserve,
    /// After a 491, RFC 3261 §14.1.
    Glare,
    /// RFC 4028.
    Session,
    /// The next packet is to be sent.
    Send,
    /// The next frame is to be played.
    Play,
    /// The next RTCP report is due.
    Control,
}

impl TimerKey {
    fn as_str(self) -> &'static str {
        match self {
            TimerKey::Register | TimerKey::Further(_) => "ue registration",
            TimerKey::Subscribe => "ue subscription",
            TimerKey::Parting => "ue last NOTIFY",
            TimerKey::Forget(_) => "ue 2xx wait",
            TimerKey::ShortMessage => "ue TR1M",
            TimerKey::Call(_, timer) => match timer {
                CallTimer::Cancel => "ue cancel",
                CallTimer::Ring => "ue ring",
                CallTimer::Unanswered => "ue unanswered",
                CallTimer::Provisional => "ue reliable provisional",
                CallTimer::Success => "ue 2xx retransmission",
                CallTimer::Reserve => "ue reservation",
                CallTimer::Glare => "ue glare",
                CallTimer::Session => "ue session timer",
                CallTimer::Send => "ue rtp",
                CallTimer::Play => "ue playout",
                CallTimer::Control => "ue rtcp",
            },
        }
    }
}

/// What a request of ours is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Register,
    /// The same over a further flow.
    Further(usize),
    Subscribe,
    Message {
        token: u64,
    },
    /// A part of a short message, by its RP-Message-Reference.
    ShortMessage {
        reference: u8,
    },
    Options {
        token: u64,
    },
    Invite(Slot),
    /// A re-INVITE or UPDATE.
    Change(Slot),
    Prack(Slot),
    Bye(Slot),
    /// The other side is asked to call somebody.
    Refer(Slot),
    /// Nobody waits for the response: the BYE of a dialog that nobody wanted, an answer to the service
    /// centre.
    Orphan,
}

impl Purpose {
    /// The call that it is for.
    pub(crate) fn call(&self) -> Option<Slot> {
        match self {
            Purpose::Invite(slot)
            | Purpose::Change(slot)
            | Purpose::Prack(slot)
            | Purpose::Bye(slot)
            | Purpose::Refer(slot) => Some(*slot),
            _ => None,
        }
    }
}

/// A request under way.
pub(crate) struct Pending {
    pub(crate) purpose: Purpose,
    pub(crate) request: Message,
    pub(crate) hop: Hop,
    pub(crate) answered: Answered,
    /// Dialogs of an INVITE that its call does not want, or no longer: their 2xx may come yet, or
    /// again. One that is early has had no BYE.
    pub(crate) forks: Vec<Dialog>,
}

/// Where requests go and as whom, learned by registering.
#[derive(Clone, Debug, Default)]
pub(crate) struct Home {
    /// Service-Route, RFC 3608.
    pub(crate) routes: Vec<String>,
    /// P-Associated-URI, RFC 7315 §4.1.
    pub(crate) associated: Vec<String>,
    /// Path, RFC 3327: the P-CSCF as it calls itself.
    pub(crate) path: Vec<String>,
    /// GRUUs of the identities, by address of record.
    pub(crate) gruus: BTreeMap<String, Granted>,
    /// The flow that the registration was made over, RFC 5626 §4.3.
    pub(crate) flow: Option<Flow>,
    /// A further flow that is taken instead, once that one does not answer.
    pub(crate) detour: Option<Flow>,
}

pub(crate) struct Core {
    pub(crate) config: UeConfig,
    pub(crate) stack: Stack,
    pub(crate) random: Random,
    pub(crate) authenticator: Authenticator,
    pub(crate) service: Home,
    pub(crate) pending: BTreeMap<ClientId, Pending>,
    /// Sockets that calls asked for, and have.
    pub(crate) opening: BTreeMap<OpenId, Slot>,
    pub(crate) sockets: BTreeMap<FlowId, Slot>,
    timers: Timers<TimerKey>,
    armed: BTreeMap<TimerKey, Instant>,
    next_open: u64,
    outputs: VecDeque<Output>,
}

impl Core {
    pub(crate) fn new(config: UeConfig, mut random: Random) -> Core {
        let stack = StackConfig {
            sent_by: Some(config.contact.clone()),
            timers: config.timers,
            id_base: 1 << 56,
            max_transactions: 1000,
            product: config.product.clone(),
            overload_control: false,
            ..StackConfig::default()
        };
        Core {
            stack: Stack::new(stack, random.fork()),
            authenticator: Authenticator::new(&config),
            config,
            random,
            service: Home::default(),
            pending: BTreeMap::new(),
            opening: BTreeMap::new(),
            sockets: BTreeMap::new(),
            timers: Timers::default(),
            armed: BTreeMap::new(),
            next_open: 0,
            outputs: VecDeque::new(),
        }
    }

    // ---- timers

    pub(crate) fn arm(&mut self, key: TimerKey, at: Instant) {
        self.armed.insert(key, at);
        self.timers.arm(at, key);
    }

    pub(crate) fn disarm(&mut self, key: TimerKey) {
        self.armed.remove(&key);
    }

    pub(crate) fn is_armed(&self, key: TimerKey) -> bool {
        self.armed.contains_key(&key)
    }

    /// When a timer is due.
    pub(crate) fn armed(&self, key: TimerKey) -> Option<Instant> {
        self.armed.get(&key).copied()
    }

    /// Forgets all timers of a call that is gone.
    pub(crate) fn disarm_call(&mut self, call: Slot) {
        self.armed.retain(|key, _| !matches!(key, TimerKey::Call(slot, _) if *slot == call));
    }

    /// The next timer that is due and still wanted, and its time.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, TimerKey)> {
        while let Some((at, key)) = self.timers.due(now) {
            if self.armed.get(&key) == Some(&at) {
                self.armed.remove(&key);
                return Some((at, key));
            }
        }
        None
    }

    /// Drops timers that nobody wants any more from the head of the table.
    pub(crate) fn tidy(&mut self) {
        while let Some((at, key)) = self.timers.peek() {
            if self.armed.get(key) == Some(&at) {
                return;
            }
            self.timers.pop();
        }
    }

    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let own = self.timers.peek().map(|(at, key)| Deadline { at, reason: key.as_str() });
        Deadline::earliest(own, self.stack.deadline())
    }

    // ---- outputs

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.stack.poll_output().or_else(|| self.outputs.pop_front())
    }

    pub(crate) fn report(&mut self, at: Instant, what: What) {
        self.output(Output::Report(Report(Box::new(UeReport { at, what }))));
    }

    pub(crate) fn log(&mut self, severity: Severity, counter: &'static str, text: String) {
        self.output(Output::Log(LogEvent::new(severity, counter, text)));
    }

    /// Binds a UDP socket for a call's media.
    pub(crate) fn open(&mut self, call: Slot, local: std::net::SocketAddr) -> OpenId {
        self.next_open += 1;
        let open = OpenId(self.next_open);
        self.opening.insert(open, call);
        self.output(Output::Open {
            open,
            service: FlowService::Rtp,
            transport: Transport::Udp,
            remote: None,
            local: Some(local),
            name: None,
        });
        open
    }

    // ---- requests

    pub(crate) fn send(
        &mut self,
        now: Instant,
        purpose: Purpose,
        request: Message,
        hop: Hop,
    ) -> ClientId {
        let client = self.stack.request(now, request.clone(), hop.clone());
        let (answered, forks) = (Answered::new(), Vec::new());
        self.pending.insert(client, Pending { purpose, request, hop, answered, forks });
        client
    }

    /// Sends a request inside a dialog.
    pub(crate) fn send_in(
        &mut self,
        now: Instant,
        purpose: Purpose,
        mut request: Message,
        dialog: &Dialog,
    ) -> ClientId {
        self.access_network(&mut request);
        if !self.config.product.is_empty() {
            request.push(HeaderName::UserAgent, self.config.product.clone());
        }
        let hop = self.hop_to(dialog.next_hop());
        self.send(now, purpose, request, hop)
    }

    /// Sends the ACK of a dialog's INVITE.
    pub(crate) fn send_ack(&mut self, now: Instant, ack: Message, dialog: &Dialog) {
        let hop = self.hop_to(dialog.next_hop());
        self.stack.send_ack(now, ack, hop);
    }

    fn hop_to(&self, uri: &str) -> Hop {
        let proxy =
            || self.config.proxy.clone().or_else(|| sip::stack::name_of(&self.config.registrar));
        let fallback = || Hop::Name(proxy().unwrap_or_else(|| nowhere(&self.config.realm)));
        match (Stack::hop(uri), &self.config.proxy) {
            (Some(Hop::Name(name)), Some(own))
                if (&name.host, name.port) == (&own.host, own.port) =>
            {
                self.proxy(own)
            }
            (Some(hop), _) => hop,
            (None, _) => fallback(),
        }
    }

    /// The proxy, by the flow that it knows us from if there is one.
    fn proxy(&self, proxy: &Name) -> Hop {
        let flow = self.service.flow.filter(|_| self.config.options.same_flow);
        let flow = self.service.detour.or(flow);
        flow.map_or_else(|| Hop::Name(proxy.clone()), Hop::Flow)
    }

    /// Whether something went by a further flow already.
    pub(crate) fn is_by_detour(&self, hop: &Hop) -> bool {
        let taken = self.service.detour;
        matches!(hop, Hop::Flow(flow) if taken.is_some_and(|own| own.id == flow.id && own.remote == flow.remote))
    }

    /// Where requests outside dialogs go to: the proxy, else the first route, else the URI.
    pub(crate) fn first_hop(&self, request: &Message) -> Hop {
        if let Some(proxy) = &self.config.proxy {
            // A REGISTER looks for the proxy anew, so that it finds another one if ours is gone.
            let register = request.method() == Some(&Method::Register);
            return if register { Hop::Name(proxy.clone()) } else { self.proxy(proxy) };
        }
        let route = request.list(HeaderName::Route).next().and_then(NameAddr::parse);
        self.hop_to(route.map_or(request.uri(), |r| r.uri))
    }

    /// A request outside all dialogs, with everything that every such request has.
    pub(crate) fn request(&mut self, method: Method, uri: &str, to: &str) -> Message {
        let identity = self.identity().to_owned();
        let (tag, call_id) = (self.random.token::<8>(), self.random.token::<16>());
        let mut request = Message::request(method.clone(), uri);
        if method != Method::Register {
            self.preload(&mut request);
        }
        request.push(HeaderName::MaxForwards, "70");
        let private = self.config.options.privacy.clone();
        let private = private.filter(|_| !matches!(method, Method::Register | Method::Subscribe));
        let from = match &private {
            Some(_) => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
            None => format!("<{identity}>"),
        };
        request.push(HeaderName::From, format!("{from};tag={tag}"));
        request.push(HeaderName::To, format!("<{to}>"));
        let host = self.config.options.call_id_host.as_ref();
        request
            .push(HeaderName::CallId, host.map_or(call_id.clone(), |h| format!("{call_id}@{h}")));
        request.push(HeaderName::CSeq, CSeq { number: 1, method: method.clone() }.to_string());
        if self.config.options.ims && method != Method::Register {
            request.push(HeaderName::PPreferredIdentity, format!("<{identity}>"));
        }
        if let Some(privacy) = private {
            request.push(HeaderName::Privacy, privacy);
        }
        self.access_network(&mut request);
        if !self.config.product.is_empty() {
            request.push(HeaderName::UserAgent, self.config.product.clone());
        }
        request
    }

    /// TS 24.229 §5.1.2A.1.1: the P-CSCF, then the Service-Route.
    fn preload(&self, request: &mut Message) {
        if let Some(Name { host, port, transport, .. }) = &self.config.proxy {
            let port = port.map(|p| format!(":{p}")).unwrap_or_default();
            let transport = transport.map_or("", parameter);
            request.push(HeaderName::Route, format!("<sip:{host}{port}{transport};lr>"));
        }
        for route in &self.service.routes {
            request.push(HeaderName::Route, route.as_str());
        }
    }

    fn access_network(&self, request: &mut Message) {
        if self.config.options.ims && !self.config.access_network.is_empty() {
            request.push(HeaderName::PAccessNetworkInfo, self.config.access_network.clone());
        }
    }

    /// The identity that requests are made as: the default one of the implicit registration set
    /// (TS 24.229 §5.1.1.4), else the configured one.
    pub(crate) fn identity(&self) -> &str {
        let sip = |uri: &&String| Uri::parse(uri).and_then(Uri::sip).is_some();
        self.service.associated.first().filter(sip).unwrap_or(&self.config.identity)
    }

    /// Our Contact URI.
    pub(crate) fn contact_uri(&self) -> String {
        let user = Uri::parse(&self.config.identity).and_then(Uri::sip).and_then(|u| u.user);
        let user = user.map(|u| format!("{u}@")).unwrap_or_default();
        let transport = parameter(self.config.transport);
        let sos = if self.config.options.emergency { ";sos" } else { "" };
        format!("sip:{user}{}{transport}{sos}", self.config.contact)
    }

    /// Our Contact as it is registered.
    pub(crate) fn registered_contact(&self) -> String {
        self.contact_over(self.config.options.reg_id)
    }

    /// The same for one of our flows.
    pub(crate) fn contact_over(&self, reg_id: Option<u32>) -> String {
        let mut out = format!("<{}>", self.contact_uri());
        let options = &self.config.options;
        if let Some(instance) = &options.instance {
            out.push_str(&format!(";+sip.instance=\"<{instance}>\""));
            if let Some(reg_id) = reg_id {
                out.push_str(&format!(";reg-id={reg_id}"));
            }
        }
        out + &self.features()
    }

    /// Our Contact in dialogs: a GRUU if there is one (RFC 5627 §4.4), else as it is registered.
    pub(crate) fn contact(&self) -> String {
        match self.gruu() {
            Some(gruu) => format!("<{gruu}>{}", self.features()),
            None => self.registered_contact(),
        }
    }

    /// The feature tags of RFC 3840, TS 24.229 §5.1.1.2.1.
    fn features(&self) -> String {
        let mut out = String::new();
        let options = &self.config.options;
        if options.ims {
            out.push_str(&format!(";+g.3gpp.icsi-ref=\"{ICSI}\";audio"));
            if options.smsip {
                out.push_str(";+g.3gpp.smsip");
            }
        }
        out
    }

    /// The header fields by which an INVITE asks for multimedia telephony, TS 24.173 §5.1.
    pub(crate) fn telephony(&self, request: &mut Message) {
        if self.config.options.ims {
            request.push(HeaderName::AcceptContact, format!("*;+g.3gpp.icsi-ref=\"{ICSI}\""));
            request.push(HeaderName::PPreferredService, "urn:urn-7:3gpp-service.ims.icsi.mmtel");
            request.push(HeaderName::PEarlyMedia, "supported");
        }
    }

    /// The option tags that we understand in Require.
    pub(crate) fn understands(&self, option: &str) -> bool {
        self.supported().iter().any(|own| own.eq_ignore_ascii_case(option))
    }

    /// The option tags that we support in calls.
    pub(crate) fn supported(&self) -> Vec<&'static str> {
        let mut out = vec!["timer", "replaces"];
        if self.config.options.prack_100rel {
            out.push("100rel");
            if self.config.options.preconditions.is_some() {
                out.push("precondition");
            }
        }
        out
    }

    /// A URI for what a person dials.
    pub(crate) fn target(&self, to: &str) -> Option<String> {
        let to = to.trim();
        if to.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c)) {
            return None;
        }
        let realm = &self.config.realm;
        let number = to.trim_start_matches('+');
        let digits = !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit() || b"*#-.()".contains(&b));
        let uri = match Uri::parse(to) {
            Some(Uri::Sip(_) | Uri::Tel(_)) => to.to_owned(),
            _ if ServiceUrn::parse(to).is_some() => to.to_owned(),
            _ if digits && to.starts_with('+') => format!("tel:{to}"),
            _ if digits && self.config.options.ims => {
                // A local number, TS 24.229 §5.1.2A.1.3.
                let user = sip::uri::escape_user(to);
                format!("sip:{user};phone-context={realm}@{realm};user=phone")
            }
            _ if digits => format!("sip:{}@{realm}", sip::uri::escape_user(to)),
            _ if to.contains('@') => format!("sip:{to}"),
            _ => format!("sip:{}@{realm}", sip::uri::escape_user(to)),
        };
        Uri::parse(&uri).is_some().then_some(uri)
    }

    // ---- answers

    /// Answers with a status and nothing else.
    pub(crate) fn reply(&mut self, now: Instant, server: ServerId, request: &Message, status: u16) {
        self.stack.reply(now, server, request, status);
    }

    /// RFC 5626 §4.5's randomness: between half and all of it.
    pub(crate) fn spread(&mut self, time: Duration) -> Duration {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(micros / 2 + self.random.below(micros / 2 + 1))
    }
}

/// The URI parameter of a transport, RFC 3261 §19.1.1; UDP is meant without one.
fn parameter(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "",
        Transport::Tls => ";transport=tls",
        Transport::Tcp | Transport::Wire => ";transport=tcp",
    }
}

fn nowhere(realm: &str) -> Name {
    Name { service: FlowService::Sip, host: realm.to_owned(), port: None, transport: None }
}

/// The session description in a message, if there is one.
pub(crate) fn description(message: &Message) -> Option<Bytes> {
    message.part("application/sdp")
}

/// Who sent a request: what the network asserts, else what From says.
pub(crate) fn sender(request: &Message) -> String {
    let asserted = request.list(HeaderName::PAssertedIdentity).next();
    let value = asserted.or_else(|| request.get(HeaderName::From)).unwrap_or("");
    NameAddr::parse(value).map_or_else(String::new, |a| a.uri.to_owned())
}

/// Why: the text of a Reason header field (RFC 3326), else the phrase.
pub(crate) fn reason(message: &Message) -> String {
    match message.get(HeaderName::Reason) {
        Some(reason) => reason.to_owned(),
        None => message.reason().to_owned(),
    }
}
