//! Reads the configuration's text and tells everything that is wrong with it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use base::relay::Form;
use base::trust::Networks;
use base::{Service, Transport};
use cscf::bgcf::config::{Peers, Route};
use cscf::ecscf::config::Centre;
use cscf::emergency::EmergencyNumber;
use hss::Psi;
use hss::profile::FilterCriteria;
use hss::subscriber::validate_criteria;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, Problem, keys, nearest};
use crate::plan::{Plan, Role, Seam};

type Value<'a> = Spanned<DeValue<'a>>;

/// Reads a text.
pub(super) fn read(text: &str) -> Result<Config, Vec<Problem>> {
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim_end().replace('\n', ", ");
        vec![Problem { span, message, help: advice(text, error.message()) }]
    })?;
    let mut reader = Reader::default();
    for (key, value) in table.get_ref() {
        let (name, span) = (&**key.get_ref(), key.span());
        match (keys::section(name).filter(|_| !name.is_empty()), value.get_ref()) {
            (Some(_), DeValue::Table(section)) => {
                for (key, value) in section {
                    reader.key(name, key.get_ref(), key.span(), value);
                }
            }
            (Some(_), _) => {
                let help = format!("write `[{name}]` on a line of its own, its keys below it");
                reader.wrong(value.span(), format!("`{name}` is a section"), help);
            }
            (None, _) => reader.key("", name, span, value),
        }
    }
    reader.together();
    if reader.problems.is_empty() {
        return Ok(reader.config);
    }
    reader.problems.sort_by_key(|problem| problem.span.start);
    Err(reader.problems)
}

fn advice(text: &str, message: &str) -> String {
    if message.contains("duplicate") {
        "each key and section stands once".to_owned()
    } else if text.contains('\u{201c}') || text.contains('\u{201d}') {
        "texts stand between straight quotes: \"…\"".to_owned()
    } else {
        "a line is `key = value`, `[section]`, or a comment that begins with #".to_owned()
    }
}

#[derive(Default)]
struct Reader {
    config: Config,
    problems: Vec<Problem>,
    /// Where things stand that are compared at the end.
    roles: Vec<(Role, Range<usize>)>,
    at: Vec<(Role, Range<usize>)>,
    listeners: Vec<(SocketAddr, Role, bool)>,
    tls: Option<Range<usize>>,
    sms: Option<(FilterCriteria, Range<usize>)>,
    expires: Range<usize>,
    dialling: Option<Range<usize>>,
    shared: Option<Range<usize>>,
}

impl Reader {
    fn wrong(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem { span, message: message.into(), help: help.into() });
    }

    fn key(&mut self, section: &str, name: &str, span: Range<usize>, value: &Value<'_>) {
        let role = Role::parse(section);
        let said = super::change::form(value.get_ref());
        self.config.said.insert((section.to_owned(), name.to_owned()), said);
        match (section, name) {
            ("", "domain") => self.config.domain = self.domain(value),
            ("", "store") => self.config.store = self.text(value).map(PathBuf::from),
            ("", "roles") => self.read_roles(value),
            ("media", "addresses") => self.config.media = self.media(value),
            ("media", "ports") => self.config.media_ports = self.ports(value),
            ("media", "anchor") => match value.get_ref() {
                DeValue::Boolean(anchor) => self.config.anchor_media = Some(*anchor),
                _ => self.kind(value, "true or false", "write `anchor = true`"),
            },
            ("media", "recordings") => {
                self.config.recordings = self.text(value).map(PathBuf::from);
            }
            ("media", "recording_format") => match self.text(value).as_deref() {
                Some("pcap") => self.config.recording_form = Some(Form::Pcap),
                Some("mono") => self.config.recording_form = Some(Form::Mono),
                Some("stereo") => self.config.recording_form = Some(Form::Stereo),
                Some(_) => {
                    let help = "write `recording_format = \"stereo\"`, \"mono\" or \"pcap\"";
                    self.wrong(value.span(), "that is no form of a recording".to_owned(), help);
                }
                None => {}
            },
            ("media", "sounds") => self.config.sounds = self.text(value).map(PathBuf::from),
            ("media", "dtmf_log") => match value.get_ref() {
                DeValue::Boolean(log) => self.config.dtmf_log = *log,
                _ => self.kind(value, "true or false", "write `dtmf_log = true`"),
            },
            ("media", "xdp") => match value.get_ref() {
                DeValue::Boolean(xdp) => self.config.xdp = Some(*xdp),
                _ => self.kind(value, "true or false", "write `xdp = false`"),
            },
            ("media", "takeover") => match value.get_ref() {
                DeValue::Boolean(takeover) => self.config.takeover = Some(*takeover),
                _ => self.kind(value, "true or false", "write `takeover = true`"),
            },
            ("hss", "ifc") => self.criteria(value),
            ("hss", "psi") => self.services(value),
            ("hss", "sms_over_ims") => {
                self.sms =
                    self.text(value).map(|uri| (FilterCriteria::sms_over_ip(&uri), value.span()));
            }
            ("ipsmgw", "service_centre") => self.service_centre(value),
            ("pcscf", "emergency_numbers") => self.emergency_numbers(value),
            ("pcscf", "name") => self.config.pcscf_name = self.domain(value),
            ("scscf", "name") => self.config.scscf_name = self.domain(value),
            ("icscf", "scscf") => self.scscfs(value),
            ("scscf", "enum_suffix") => self.config.enum_suffix = self.domain(value),
            ("ecscf", "centre") => self.centres(value),
            ("bgcf", "routes") => self.routes(value),
            ("dialling", "country") => self.config.dialling[0] = self.digits(value),
            ("dialling", "national") => self.config.dialling[1] = self.digits(value),
            ("dialling", "international") => self.config.dialling[2] = self.digits(value),
            ("ecscf", "from") => self.config.centres_from = self.networks(value),
            ("bgcf", "from") => self.config.trunks_from = self.networks(value),
            ("bgcf", "show_topology_to") => self.config.shown_to = self.peers(value),
            ("trust", "networks") => self.config.trusted = self.networks(value),
            ("limits", "requests_per_second") => self.config.limits[0] = self.number(value, 0),
            ("limits", "burst") => self.config.limits[1] = self.number(value, 1),
            ("limits", "connections") => self.config.connections = self.number(value, 1),
            ("registration", "min_expires") => self.config.min_expires = self.seconds(value),
            ("registration", "max_expires") => self.config.max_expires = self.seconds(value),
            ("observe", "metrics") => self.config.observe.metrics = self.pages(value),
            ("api", "listen") => self.config.api.listen = self.pages(value),
            ("media", "listen_tcp_ng") => self.config.media_doors.tcp_ng = self.pages(value),
            ("media", "listen_http") => self.config.media_doors.http = self.pages(value),
            ("media", "listen_cli") => self.config.media_doors.cli = self.pages(value),
            ("resp", "listen") => self.config.resp.listen = self.pages(value),
            ("resp", "password") => self.config.resp.password = self.path(value),
            ("api", "token") => self.config.api.token = self.text(value).map(PathBuf::from),
            ("trust", "names") => {
                for (text, span) in self.texts(value) {
                    let name = self.host(text, span);
                    self.config.tls.functions.extend(name);
                }
            }
            ("shared", "servers") => self.servers(value),
            ("shared", "node") => {
                self.shared.get_or_insert(value.span());
                self.config.shared.node = self.label(value).unwrap_or_default();
            }
            ("shared", "password") => self.config.shared.password = self.path(value),
            ("shared", "floating") => {
                let help = "an IP address that moves from node to node, such as \"192.0.2.1\"";
                let found = self.parsed::<IpAddr>(value, "an IP address", help);
                self.config.shared.floating = found.into_iter().map(|(ip, _)| ip).collect();
            }
            ("tls", "certificate") => self.config.tls.certificate = self.path(value),
            ("tls", "key") => self.config.tls.key = self.path(value),
            ("tls", "ca") => self.config.tls.ca = self.path(value),
            ("tls", "require_client_certificate") => match value.get_ref() {
                DeValue::Boolean(it) => self.config.tls.require_client_certificate = *it,
                _ => self.kind(value, "true or false", "write `require_client_certificate = true`"),
            },
            ("registration", "digest") => self.digest(value),
            ("observe", "hep") => self.collector(value),
            ("observe", "hep_id") => {
                self.config.observe.hep_id = self.number(value, 0).unwrap_or_default();
            }
            (_, "listen") if role.is_some() => {
                role.into_iter().for_each(|role| self.listen(role, value));
            }
            (_, "at") if role.is_some() => {
                role.into_iter().for_each(|role| self.seams(role, value))
            }
            _ => self.unknown(section, name, span),
        }
    }

    fn unknown(&mut self, section: &str, name: &str, span: Range<usize>) {
        let place = if section.is_empty() { String::new() } else { format!(" in `[{section}]`") };
        let mut known: Vec<&str> =
            keys::section(section).unwrap_or_default().iter().map(|key| key.name).collect();
        if section.is_empty() {
            known.extend(keys::SECTIONS.iter().map(|(name, _)| *name));
        }
        let elsewhere = || {
            let has = |keys: &[keys::Key]| keys.iter().any(|key| key.name == name);
            let found = keys::SECTIONS.iter().find(|(_, keys)| has(keys)).map(|(name, _)| *name);
            found.or_else(|| has(keys::TOP).then_some(""))
        };
        let help = match (nearest(name, known.iter().copied()), elsewhere()) {
            (_, Some("")) => format!("`{name}` stands above all sections"),
            (_, Some(found)) if found != section => format!("`{name}` belongs below `[{found}]`"),
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, _) => format!("known are {}", known.join(", ")),
        };
        self.wrong(span, format!("unknown key `{name}`{place}"), help);
    }

    fn kind(&mut self, value: &Value<'_>, expected: &str, help: &str) {
        let found = value.get_ref().type_str();
        self.wrong(value.span(), format!("expected {expected}, found {found}"), help);
    }

    fn text(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => return Some(text.to_string()),
            DeValue::String(_) => {
                self.wrong(value.span(), "the text is empty", "leave the key out for the default");
            }
            _ => self.kind(value, "a text", "texts stand between quotes: \"…\""),
        }
        None
    }

    /// A text or a list of texts.
    fn texts(&mut self, value: &Value<'_>) -> Vec<(String, Range<usize>)> {
        match value.get_ref() {
            DeValue::Array(list) => list
                .iter()
                .filter_map(|item| self.text(item).map(|text| (text, item.span())))
                .collect(),
            DeValue::String(_) => {
                self.text(value).map(|text| (text, value.span())).into_iter().collect()
            }
            _ => {
                self.kind(value, "a text or a list of texts", "write [\"…\", \"…\"]");
                Vec::new()
            }
        }
    }

    /// Texts that are all of a type.
    fn parsed<T: FromStr>(
        &mut self,
        value: &Value<'_>,
        what: &str,
        help: &str,
    ) -> Vec<(T, Range<usize>)> {
        let texts = self.texts(value);
        let mut out = Vec::new();
        for (text, span) in texts {
            match text.parse() {
                Ok(parsed) => out.push((parsed, span)),
                Err(_) => self.wrong(span, format!("{text:?} is not {what}"), help),
            }
        }
        out
    }

    fn path(&mut self, value: &Value<'_>) -> Option<PathBuf> {
        self.tls.get_or_insert(value.span());
        self.text(value).map(PathBuf::from)
    }

    fn domain(&mut self, value: &Value<'_>) -> Option<String> {
        let text = self.text(value)?;
        self.host(text, value.span())
    }

    fn host(&mut self, text: String, span: Range<usize>) -> Option<String> {
        let text = text.to_ascii_lowercase();
        let label = |label: &str| {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(legal)
        };
        // Room for the longest function name before it.
        if text.len() <= 240 && text.split('.').all(label) && text.parse::<IpAddr>().is_err() {
            return Some(text);
        }
        let help = "a host name such as \"ims.mnc001.mcc001.3gppnetwork.org\": labels of letters, \
                    digits and hyphens with dots between them";
        self.wrong(span, format!("{text:?} is not a domain"), help);
        None
    }

    fn label(&mut self, value: &Value<'_>) -> Option<String> {
        let name = self.domain(value)?;
        if name.contains('.') {
            let help = "letters, digits and hyphens, such as \"a\"";
            self.wrong(value.span(), format!("{name:?} is not a name without dots"), help);
            return None;
        }
        Some(name)
    }

    fn servers(&mut self, value: &Value<'_>) {
        self.shared = Some(value.span());
        for (text, span) in self.texts(value) {
            let server = match text.parse::<SocketAddr>() {
                Ok(address) => Some((address.ip().to_string(), Some(address.port()))),
                Err(_) if text.parse::<IpAddr>().is_ok() => Some((text, None)),
                Err(_) => {
                    let (host, port) = match text.rsplit_once(':') {
                        Some((host, port)) => (host, port.parse::<u16>().ok().map(Some)),
                        None => (text.as_str(), Some(None)),
                    };
                    if port.is_none() {
                        let help = "write host and port, such as \"valkey.example.org:6379\"";
                        self.wrong(span.clone(), format!("{text:?} has no usable port"), help);
                    }
                    port.and_then(|port| Some((self.host(host.to_owned(), span)?, port)))
                }
            };
            self.config.shared.servers.extend(server);
        }
    }

    fn read_roles(&mut self, value: &Value<'_>) {
        let mut roles = BTreeSet::new();
        for (word, span) in self.texts(value) {
            match Role::parse(&word) {
                Some(role) if roles.insert(role) => self.roles.push((role, span)),
                Some(_) => self.wrong(span, format!("{word:?} stands twice"), "leave one out"),
                None => {
                    self.wrong(span, format!("there is no function {word:?}"), role_help(&word));
                }
            }
        }
        if roles.is_empty() && self.problems.is_empty() {
            self.wrong(value.span(), "no function would run", "leave `roles` out to run them all");
        }
        self.config.roles = Some(roles);
    }

    fn listen(&mut self, role: Role, value: &Value<'_>) {
        let help = format!(
            "an IP address and a port, such as \"127.0.0.1:{0}\" or \"[::1]:{0}\"; names are not looked \
             up",
            role.default_port()
        );
        let (mut plain, mut secure) = (Vec::new(), Vec::new());
        for (text, span) in self.texts(value) {
            let rest = text.strip_prefix("tls:").filter(|_| role.service() == Service::Sip);
            let Ok(addr) = rest.unwrap_or(&text).parse::<SocketAddr>() else {
                self.wrong(span, format!("{text:?} is not an address to listen on"), &help);
                continue;
            };
            // UDP aside, all of them are TCP ports.
            let tcp = |role: Role, tls| tls || role.transports().contains(&Transport::Tcp);
            let tls = rest.is_some();
            let clash = self.listeners.iter().find(|(other, of, of_tls)| {
                let same = of.transports()[0] == role.transports()[0] && !tls && !of_tls;
                *other == addr && addr.port() != 0 && (same || tcp(*of, *of_tls) && tcp(role, tls))
            });
            if let Some((_, of, _)) = clash {
                let message = format!("{addr} is taken by `{of}` already");
                self.wrong(span.clone(), message, "give each listener a port of its own");
            }
            self.listeners.push((addr, role, tls));
            if tls {
                self.tls = Some(span);
                secure.push(addr);
            } else {
                plain.push(addr);
            }
        }
        self.config.listen.insert(role, plain);
        if !secure.is_empty() {
            self.config.tls.here.insert(role, secure);
        }
    }

    /// Addresses of something that is spoken HTTP to.
    fn pages(&mut self, value: &Value<'_>) -> Vec<SocketAddr> {
        let help = "an IP address and a port, such as \"127.0.0.1:9090\"; names are not looked up";
        let found = self.parsed::<SocketAddr>(value, "an address to listen on", help);
        found.into_iter().map(|(addr, _)| addr).collect()
    }

    fn collector(&mut self, value: &Value<'_>) {
        let Some(text) = self.text(value) else { return };
        let address = text.strip_prefix("udp:").unwrap_or(&text).parse::<SocketAddr>().ok();
        let address = address.filter(|a| a.port() != 0 && !a.ip().is_unspecified());
        if address.is_none() {
            let help = "write \"udp:192.0.2.5:9060\"; names are not looked up";
            self.wrong(value.span(), format!("{text:?} is not where a HEP collector can be"), help);
        }
        self.config.observe.hep = address;
    }

    /// A number of 32 bits that is not less than this one.
    fn number(&mut self, value: &Value<'_>, least: u32) -> Option<u32> {
        let help = format!("a number from {least} to 4294967295, without quotes");
        let DeValue::Integer(integer) = value.get_ref() else {
            self.kind(value, "a number", &help);
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| *number >= least);
        if number.is_none() {
            let message = format!("{} is out of range", integer.as_str());
            self.wrong(value.span(), message, help);
        }
        number
    }

    fn seams(&mut self, role: Role, value: &Value<'_>) {
        let texts = self.texts(value);
        let mut seams = Vec::new();
        for (text, span) in texts {
            match seam(role, &text) {
                Ok(seam) => seams.push(seam),
                Err(help) => {
                    self.wrong(span, format!("{text:?} is not where `{role}` can be"), help)
                }
            }
        }
        self.at.push((role, value.span()));
        self.config.at.insert(role, seams);
    }

    fn media(&mut self, value: &Value<'_>) -> Option<Vec<IpAddr>> {
        let help = "an IP address of this machine that telephones can reach, such as \"192.0.2.1\"";
        let found = self.parsed::<IpAddr>(value, "an IP address", help);
        for (_, span) in found.iter().filter(|(ip, _)| ip.is_unspecified()) {
            let message = "telephones cannot send media to the unspecified address";
            self.wrong(span.clone(), message, help);
        }
        if found.is_empty() && matches!(value.get_ref(), DeValue::Array(list) if list.is_empty()) {
            self.wrong(value.span(), "the relay needs an address", help);
        }
        Some(found.into_iter().map(|(ip, _)| ip).collect())
    }

    fn ports(&mut self, value: &Value<'_>) -> Option<(u16, u16)> {
        let text = self.text(value)?;
        let parsed = text.split_once('-').and_then(|(first, last)| {
            Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
        });
        match parsed {
            // A call takes two pairs of ports at least.
            Some((first, last)) if first >= 1024 && last >= first.saturating_add(3) => parsed,
            Some(_) => {
                let help = "first port at least 1024, last at least three more";
                self.wrong(value.span(), format!("{text:?} is no usable range of ports"), help);
                None
            }
            None => {
                let help = "write first and last port: \"30000-30999\"";
                self.wrong(value.span(), format!("{text:?} is not a range of ports"), help);
                None
            }
        }
    }

    fn criteria(&mut self, value: &Value<'_>) {
        let texts = self.texts(value);
        let read = FilterCriteria::parse_all(texts.iter().map(|(text, _)| text.as_str()));
        match read {
            Ok(criteria) => self.check_criteria(criteria, value.span()),
            Err(_) => {
                // Which one it is.
                for (text, span) in texts {
                    if let Err(error) = FilterCriteria::parse_all([text.as_str()]) {
                        let help = "such as \"sip:as.example.org when method=INVITE and case=originating\"";
                        self.wrong(span, error.to_string(), help);
                    }
                }
            }
        }
    }

    fn check_criteria(&mut self, criteria: Vec<FilterCriteria>, span: Range<usize>) {
        match validate_criteria(&criteria) {
            Ok(()) => self.config.criteria.extend(criteria),
            Err(error) => {
                let help = "write the server as \"sip:as.example.org:5060\", each priority once";
                self.wrong(span, error.to_string(), help);
            }
        }
    }

    fn service_centre(&mut self, value: &Value<'_>) {
        let Some(text) = self.text(value) else { return };
        match base::identity::Msisdn::new(&text) {
            Ok(number) => self.config.service_centre = Some(number.to_string()),
            Err(_) => {
                let help = "digits with the country code, such as \"+493099\"";
                self.wrong(value.span(), format!("{text:?} is not a telephone number"), help);
            }
        }
    }

    fn emergency_numbers(&mut self, value: &Value<'_>) {
        let help = "digits such as \"112\", or with the service that they mean: \
                    \"110=urn:service:sos.police\"";
        let found = self.parsed::<EmergencyNumber>(value, "an emergency number", help);
        self.config.emergency_numbers = Some(found.into_iter().map(|(number, _)| number).collect());
    }

    fn centres(&mut self, value: &Value<'_>) {
        let help = "a SIP URI such as \"sip:psap@192.0.2.7\", or for one service only: \
                    \"urn:service:sos.police=sip:police@192.0.2.7\"";
        let found = self.parsed::<Centre>(value, "an emergency centre", help);
        self.config.centres = found.into_iter().map(|(centre, _)| centre).collect();
    }

    fn services(&mut self, value: &Value<'_>) {
        let help = "an identity and its server, \"sip:weather@ims.example at sip:as.example\", or its filter \
                    criteria, \"sip:room-!.*!@ims.example by sip:as.example when method=INVITE\"";
        let found = self.parsed::<Psi>(value, "a public service identity", help);
        self.config.psis = found.into_iter().map(|(psi, _)| psi).collect();
    }

    fn routes(&mut self, value: &Value<'_>) {
        let help = "the prefix of numbers and a trunk, such as \"+49=sip:trunk.example;transport=tcp\", or \
                    \"default=sip:192.0.2.9\"";
        let found = self.parsed::<Route>(value, "a route to a trunk", help);
        self.config.routes = found.into_iter().map(|(route, _)| route).collect();
    }

    fn scscfs(&mut self, value: &Value<'_>) {
        for (text, span) in self.texts(value) {
            let server = sip::Uri::parse(&text).and_then(sip::Uri::sip);
            if server.is_some_and(|uri| uri.user.is_none() && !uri.host.is_empty()) {
                self.config.scscfs.push(text);
            } else {
                let help = "the name that the S-CSCF has, such as \"sip:scscf-2.ims.example\"";
                self.wrong(span, format!("{text:?} is not the SIP URI of a server"), help);
            }
        }
    }

    fn digits(&mut self, value: &Value<'_>) -> Option<String> {
        let text = self.text(value)?;
        let legal = text.len() <= 8 && text.bytes().all(|b| b.is_ascii_digit());
        if !legal {
            let help = "digits between quotes, such as \"0\"";
            self.wrong(value.span(), format!("{text:?} is not what people dial"), help);
        }
        self.dialling.get_or_insert(value.span());
        legal.then_some(text)
    }

    fn networks(&mut self, value: &Value<'_>) -> Vec<(IpAddr, u8)> {
        let mut networks = Vec::new();
        for (text, span) in self.texts(value) {
            match network(&text) {
                Some(network) => networks.push(network),
                None => {
                    let help = "an address and a number of bits: \"10.0.0.0/8\", \"2001:db8::/32\"";
                    self.wrong(span, format!("{text:?} is not a network"), help);
                }
            }
        }
        networks
    }

    /// Host names and networks.
    fn peers(&mut self, value: &Value<'_>) -> Peers {
        let (mut names, mut networks) = (Vec::new(), Vec::new());
        for (text, span) in self.texts(value) {
            match network(&text) {
                Some(network) => networks.push(network),
                None => names.extend(self.host(text, span)),
            }
        }
        Peers { names, networks: Networks::new(networks) }
    }

    fn seconds(&mut self, value: &Value<'_>) -> Option<u32> {
        let help = "seconds, from 1 to 4294967295, without quotes";
        let DeValue::Integer(integer) = value.get_ref() else {
            self.kind(value, "a number of seconds", help);
            return None;
        };
        let digits = integer.as_str();
        let seconds = u32::from_str_radix(digits, integer.radix()).ok().filter(|s| *s > 0);
        if seconds.is_none() {
            self.wrong(value.span(), format!("{digits} is out of range"), help);
        } else if value.span().start > self.expires.start {
            self.expires = value.span();
        }
        seconds
    }

    fn digest(&mut self, value: &Value<'_>) {
        let mut algorithms = Vec::new();
        for (word, span) in self.texts(value) {
            let known = keys::DIGEST.into_iter().find(|a| a.name().eq_ignore_ascii_case(&word));
            match known {
                Some(known) if algorithms.contains(&known) => {
                    self.wrong(span, format!("{word:?} stands twice"), "leave one out");
                }
                Some(known) => algorithms.push(known),
                None => {
                    let help = "write [\"SHA-256\", \"MD5\"], the one that is preferred first";
                    self.wrong(span, format!("{word:?} is no algorithm for passwords"), help);
                }
            }
        }
        if algorithms.is_empty() && self.problems.is_empty() {
            let help = "write \"SHA-256\", \"MD5\", or both";
            self.wrong(value.span(), "nobody with a password could register", help);
        }
        self.config.digest = Some(algorithms);
    }

    /// What is only wrong together.
    fn together(&mut self) {
        if let Some((mut sms, span)) = self.sms.take() {
            let taken = self.config.criteria.iter().map(|criteria| criteria.priority + 1).max();
            sms.priority = taken.unwrap_or(0);
            self.check_criteria(vec![sms], span);
        }
        for (role, span) in std::mem::take(&mut self.at) {
            if self.roles.iter().any(|(here, _)| *here == role) {
                let help = format!("take `{role}` out of `roles`, or this line away");
                self.wrong(span, format!("`{role}` is in `roles` and elsewhere too"), help);
            }
        }
        if let Some(span) = self.dialling.take().filter(|_| self.config.dialling[0].is_none()) {
            let help = "write `country = \"49\"` below `[dialling]`, with your own country code";
            self.wrong(span, "a prefix without the country that it stands for", help);
        }
        let shared = &self.config.shared;
        let half = shared.servers.is_empty() || shared.node.is_empty();
        if let Some(span) = self.shared.take().filter(|_| half && self.problems.is_empty()) {
            let help = "write `servers = [\"…\"]` and `node = \"…\"` below `[shared]`";
            self.wrong(span, "nodes share by a server, and each has a name of its own", help);
        }
        let tls = &self.config.tls;
        let complete = tls.certificate.is_some() && tls.key.is_some();
        let half = tls.certificate.is_some() != tls.key.is_some();
        if let Some(span) = self.tls.take().filter(|_| half || (!tls.here.is_empty() && !complete))
        {
            let help = "write `certificate = \"…\"` and `key = \"…\"` below `[tls]`";
            self.wrong(span, "TLS needs a certificate and its key", help);
        }
        let plan = Plan::all_in_one("x");
        let min = self.config.min_expires.unwrap_or(plan.min_expires);
        let max = self.config.max_expires.unwrap_or(plan.max_expires);
        if min > max && self.problems.is_empty() {
            let message = format!("min_expires ({min}) is more than max_expires ({max})");
            self.wrong(self.expires.clone(), message, "no registration could be both");
        }
    }
}

/// What to say about a word that names no function.
pub(crate) fn role_help(word: &str) -> String {
    let known = Role::ALL.map(Role::as_str);
    match nearest(word, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known are {}", known.join(", ")),
    }
}

fn seam(role: Role, text: &str) -> Result<Seam, String> {
    let words = [("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)];
    let takes = |transport: Transport| match transport {
        Transport::Tls => role.service() == Service::Sip,
        other => role.transports().contains(&other),
    };
    let allowed = || words.into_iter().filter(|(_, transport)| takes(*transport));
    let address = |text: &str| {
        text.parse::<SocketAddr>()
            .ok()
            .filter(|addr| addr.port() != 0 && !addr.ip().is_unspecified())
    };
    let prefixed = words.iter().find_map(|(word, transport)| {
        Some((*transport, text.strip_prefix(word)?.strip_prefix(':')?))
    });
    let (transport, rest) = prefixed.unwrap_or((role.transports()[0], text));
    let port = |transport| engine::shard::default_port(role.service(), transport);
    let example = || {
        let words: Vec<_> =
            allowed().map(|(w, t)| format!("\"{w}:192.0.2.1:{}\"", port(t))).collect();
        format!("write {}; names are not looked up", words.join(" or "))
    };
    match address(rest) {
        Some(address) if takes(transport) => Ok(Seam { transport, address }),
        _ => Err(example()),
    }
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some((ip, bits))
}
