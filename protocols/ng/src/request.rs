//! Requests: a command and its options.
//!
//! Peers write the same option with spaces or dashes, as a list or a single text, as a key or among
//! the flags; here each has one place.

use std::net::IpAddr;

use crate::flags;
use crate::value::{Dict, Value};

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Command {
    /// Are you there?
    #[default]
    Ping,
    /// A description on its way to the callee.
    Offer,
    /// A description on its way back.
    Answer,
    /// End a call or a branch of it.
    Delete,
    /// Tell all about a call.
    Query,
    /// Tell the Call-IDs.
    List,
    /// Another command.
    Unknown(String),
}

impl Command {
    /// Its name.
    pub fn as_str(&self) -> &str {
        match self {
            Command::Ping => "ping",
            Command::Offer => "offer",
            Command::Answer => "answer",
            Command::Delete => "delete",
            Command::Query => "query",
            Command::List => "list",
            Command::Unknown(name) => name,
        }
    }

    fn parse(name: &str) -> Command {
        let known = [
            Command::Ping,
            Command::Offer,
            Command::Answer,
            Command::Delete,
            Command::Query,
            Command::List,
        ];
        known
            .into_iter()
            .find(|c| c.as_str() == name)
            .unwrap_or_else(|| Command::Unknown(name.to_owned()))
    }
}

/// `address-family`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressFamily {
    /// IPv4.
    Ip4,
    /// IPv6.
    Ip6,
}

/// `ICE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ice {
    /// Strip all ICE attributes.
    Remove,
    /// Replace them by our own.
    Force,
    /// Add our candidates if the description has some, else none.
    Default,
    /// Add our candidates to those that are there.
    Optional,
    /// Replace them by our own relay candidates.
    ForceRelay,
}

/// `rtcp-mux`, RFC 5761.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RtcpMux {
    /// Offer it even if it was not offered.
    Offer,
    /// As offer, and no separate port.
    Require,
    /// If it was offered, speak two ports to the other side.
    Demux,
    /// If it was offered, accept it towards the offerer.
    Accept,
    /// If it was offered, refuse it towards the offerer.
    Reject,
}

/// What `replace` and the `replace-…` flags ask to be rewritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Replace {
    /// The address of `o=`.
    pub origin: bool,
    /// The address of `c=` of the session level; done anyway where it is in use.
    pub session_connection: bool,
    /// The version of `o=`.
    pub sdp_version: bool,
    /// The user name of `o=`.
    pub username: bool,
    /// `s=`.
    pub session_name: bool,
    /// Addresses `0.0.0.0` and `::` of an old hold.
    pub zero_address: bool,
}

/// A request with its options.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// The command.
    pub command: Command,
    /// The SIP Call-ID.
    pub call_id: Option<String>,
    /// The tag of who sent the SIP request.
    pub from_tag: Option<String>,
    /// The tag of the other end.
    pub to_tag: Option<String>,
    /// The branch of the Via, which tells forked branches apart.
    pub via_branch: Option<String>,
    /// The description.
    pub sdp: Option<Vec<u8>>,
    /// What else is to be rewritten.
    pub replace: Replace,
    /// The names of the interfaces: where the description comes from, where it goes to.
    pub direction: Vec<String>,
    /// The address family of the description that goes out.
    pub address_family: Option<AddressFamily>,
    /// Where the SIP message came from.
    pub received_from: Option<IpAddr>,
    /// What to do about ICE.
    pub ice: Option<Ice>,
    /// What to do about DTLS, such as `off` or `passive`.
    pub dtls: Option<String>,
    /// The profile of the description that goes out, such as `RTP/AVP`.
    pub transport_protocol: Option<String>,
    /// What to do about multiplexed RTCP, in the order written.
    pub rtcp_mux: Vec<RtcpMux>,
    /// An address to be advertised instead of our own.
    pub media_address: Option<IpAddr>,
    /// How many seconds a deleted call stays.
    pub delete_delay: Option<u64>,
    /// A name for this side.
    pub label: Option<String>,
    /// The type-of-service byte of its packets.
    pub tos: Option<u8>,
    /// Believe the address in the description; the default here as in all recent relays.
    pub trust_address: bool,
    /// Believe [`received_from`](Request::received_from) instead of the description.
    pub sip_source_address: bool,
    /// The peer does not send from where it receives: do not learn its address.
    pub asymmetric: bool,
    /// Drop what does not come from the address in use.
    pub strict_source: bool,
    /// Keep the learned address across offers.
    pub port_latching: bool,
    /// An unknown call is an error of `delete`, not a warning.
    pub fatal: bool,
    /// Forget all about this call's ports first.
    pub reset: bool,
    /// `no-rtcp-attribute`: write no `a=rtcp`.
    pub no_rtcp_attribute: bool,
    /// `full-rtcp-attribute`: write the address into `a=rtcp` too.
    pub full_rtcp_attribute: bool,
    /// The asker understands the result `load limit`.
    pub supports_load_limit: bool,
    /// The number of Call-IDs that `list` shall answer at most.
    pub limit: Option<u64>,
    /// Flags that we do not know, as they were written.
    pub other_flags: Vec<String>,
    /// All other keys, as they were written.
    pub other: Dict,
}

impl Request {
    /// A request without options.
    pub fn new(command: Command) -> Request {
        Request { command, ..Request::default() }
    }

    /// A request about a call.
    pub fn about(command: Command, call_id: &str, from_tag: &str) -> Request {
        Request {
            command,
            call_id: Some(call_id.to_owned()),
            from_tag: Some(from_tag.to_owned()),
            ..Request::default()
        }
    }

    /// Reads a dictionary. What makes no sense where it stands is left in
    /// [`other`](Request::other); `None` if there is no command.
    pub fn from_dict(dict: &Dict) -> Option<Request> {
        let mut request = Request::new(Command::parse(dict.text("command")?));
        for (key, value) in dict.iter() {
            if key != "command" {
                request.option(key, value);
            }
        }
        Some(request)
    }

    /// Takes one key; the flag strings come back here with their parts.
    pub(crate) fn option(&mut self, key: &str, value: &Value) {
        let taken = match normal(key).as_str() {
            "flags" | "rtpp-flags" => {
                self.flags(value);
                true
            }
            "call-id" => text(&mut self.call_id, value),
            "from-tag" => text(&mut self.from_tag, value),
            "to-tag" => text(&mut self.to_tag, value),
            "via-branch" => text(&mut self.via_branch, value),
            "label" | "from-label" => text(&mut self.label, value),
            "dtls" => text(&mut self.dtls, value),
            "transport-protocol" => text(&mut self.transport_protocol, value),
            "sdp" => match value {
                Value::Text(text) => put(&mut self.sdp, Some(text.clone())),
                _ => false,
            },
            "replace" => {
                value.as_list().iter().filter_map(Value::as_str).for_each(|what| {
                    self.flag(&format!("replace-{what}"));
                });
                true
            }
            "direction" => {
                self.direction.extend(texts(value));
                true
            }
            "address-family" => put(&mut self.address_family, value.as_str().and_then(family)),
            "received-from" => put(&mut self.received_from, received_from(value)),
            "media-address" => {
                put(&mut self.media_address, value.as_str().and_then(|a| a.parse().ok()))
            }
            "ice" => put(&mut self.ice, value.as_str().and_then(ice)),
            "rtcp-mux" => {
                self.rtcp_mux.extend(texts(value).iter().filter_map(|name| rtcp_mux(name)));
                true
            }
            "delete-delay" => {
                put(&mut self.delete_delay, value.as_int().and_then(|n| n.try_into().ok()))
            }
            "tos" => put(&mut self.tos, value.as_int().and_then(|n| n.try_into().ok())),
            "limit" => put(&mut self.limit, value.as_int().and_then(|n| n.try_into().ok())),
            "supports" => {
                self.supports_load_limit |= texts(value).iter().any(|s| normal(s) == "load-limit");
                true
            }
            _ => false,
        };
        if !taken {
            self.other.push(key, value.clone());
        }
    }

    fn flags(&mut self, value: &Value) {
        match value {
            Value::Text(text) => flags::read(self, &String::from_utf8_lossy(text)),
            list => texts(list).iter().for_each(|flag| {
                self.flag(flag);
            }),
        }
    }

    /// Takes one flag.
    pub(crate) fn flag(&mut self, flag: &str) {
        let replace = &mut self.replace;
        let target = match normal(flag).as_str() {
            "trust-address" => &mut self.trust_address,
            "sip-source-address" => &mut self.sip_source_address,
            "asymmetric" => &mut self.asymmetric,
            "symmetric" => {
                self.asymmetric = false;
                return;
            }
            "strict-source" => &mut self.strict_source,
            "port-latching" => &mut self.port_latching,
            "fatal" => &mut self.fatal,
            "reset" => &mut self.reset,
            "no-rtcp-attribute" => &mut self.no_rtcp_attribute,
            "full-rtcp-attribute" => &mut self.full_rtcp_attribute,
            "replace-origin" => &mut replace.origin,
            "replace-session-connection" => &mut replace.session_connection,
            "replace-sdp-version" => &mut replace.sdp_version,
            "replace-username" => &mut replace.username,
            "replace-session-name" => &mut replace.session_name,
            "replace-zero-address" => &mut replace.zero_address,
            other => {
                if let Some(how) = other.strip_prefix("rtcp-mux-").and_then(rtcp_mux) {
                    self.rtcp_mux.push(how);
                } else {
                    self.other_flags.push(flag.to_owned());
                }
                return;
            }
        };
        *target = true;
    }

    /// The dictionary that says this request, with `command` first.
    pub fn to_dict(&self) -> Dict {
        let mut dict = Dict::new().with("command", self.command.as_str());
        for (key, value) in [
            ("call-id", &self.call_id),
            ("from-tag", &self.from_tag),
            ("to-tag", &self.to_tag),
            ("via-branch", &self.via_branch),
            ("label", &self.label),
            ("DTLS", &self.dtls),
            ("transport-protocol", &self.transport_protocol),
        ] {
            if let Some(value) = value {
                dict.push(key, value.as_str());
            }
        }
        if let Some(family) = self.address_family {
            dict.push("address-family", if family == AddressFamily::Ip4 { "IP4" } else { "IP6" });
        }
        if let Some(address) = self.received_from {
            let family = if address.is_ipv4() { "IP4" } else { "IP6" };
            let pair = [Value::from(family), Value::from(address.to_string())];
            dict.push("received-from", Value::from_iter(pair));
        }
        if let Some(address) = self.media_address {
            dict.push("media-address", address.to_string());
        }
        if let Some((_, name)) = ICE.iter().find(|(ice, _)| Some(*ice) == self.ice) {
            dict.push("ICE", *name);
        }
        for (key, number) in [
            ("delete-delay", self.delete_delay),
            ("TOS", self.tos.map(u64::from)),
            ("limit", self.limit),
        ] {
            if let Some(number) = number {
                dict.push(key, number);
            }
        }
        let muxes = self.rtcp_mux.iter().filter_map(|how| MUX.iter().find(|(m, _)| m == how));
        push_list(&mut dict, "rtcp-mux", muxes.map(|(_, name)| *name));
        push_list(&mut dict, "direction", self.direction.iter().map(String::as_str));
        push_list(&mut dict, "replace", on(&self.replaced()));
        let unknown = self.other_flags.iter().map(String::as_str);
        push_list(&mut dict, "flags", on(&self.set_flags()).chain(unknown));
        push_list(&mut dict, "supports", on(&[(self.supports_load_limit, "load limit")]));
        self.other.iter().for_each(|(key, value)| dict.push(key, value.clone()));
        if let Some(sdp) = &self.sdp {
            dict.push("sdp", sdp.clone());
        }
        dict
    }

    fn replaced(&self) -> [(bool, &'static str); 6] {
        let Replace {
            origin,
            session_connection,
            sdp_version,
            username,
            session_name,
            zero_address,
        } = self.replace;
        [
            (origin, "origin"),
            (session_connection, "session-connection"),
            (sdp_version, "sdp-version"),
            (username, "username"),
            (session_name, "session-name"),
            (zero_address, "zero-address"),
        ]
    }

    fn set_flags(&self) -> [(bool, &'static str); 9] {
        [
            (self.trust_address, "trust-address"),
            (self.sip_source_address, "SIP-source-address"),
            (self.asymmetric, "asymmetric"),
            (self.strict_source, "strict-source"),
            (self.port_latching, "port-latching"),
            (self.fatal, "fatal"),
            (self.reset, "reset"),
            (self.no_rtcp_attribute, "no-rtcp-attribute"),
            (self.full_rtcp_attribute, "full-rtcp-attribute"),
        ]
    }
}

const ICE: [(Ice, &str); 5] = [
    (Ice::Remove, "remove"),
    (Ice::Force, "force"),
    (Ice::Default, "default"),
    (Ice::Optional, "optional"),
    (Ice::ForceRelay, "force-relay"),
];

const MUX: [(RtcpMux, &str); 5] = [
    (RtcpMux::Offer, "offer"),
    (RtcpMux::Require, "require"),
    (RtcpMux::Demux, "demux"),
    (RtcpMux::Accept, "accept"),
    (RtcpMux::Reject, "reject"),
];

fn on<'a>(flags: &'a [(bool, &'static str)]) -> impl Iterator<Item = &'a str> + 'a {
    flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name)
}

fn push_list<'a>(dict: &mut Dict, key: &str, names: impl Iterator<Item = &'a str>) {
    let list: Vec<Value> = names.map(Value::from).collect();
    if !list.is_empty() {
        dict.push(key, Value::List(list));
    }
}

/// One spelling for all: lower case, dashes.
pub(crate) fn normal(key: &str) -> String {
    key.to_ascii_lowercase().replace([' ', '_'], "-")
}

fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let understood = value.is_some();
    *place = value.or(place.take());
    understood
}

fn text(place: &mut Option<String>, value: &Value) -> bool {
    put(place, value.as_str().map(str::to_owned))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_list().iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn family(name: &str) -> Option<AddressFamily> {
    match name {
        "IP4" | "inet" => Some(AddressFamily::Ip4),
        "IP6" | "inet6" => Some(AddressFamily::Ip6),
        _ => None,
    }
}

fn ice(name: &str) -> Option<Ice> {
    let name = normal(name);
    ICE.into_iter().find(|(_, n)| *n == name).map(|(ice, _)| ice)
}

fn rtcp_mux(name: &str) -> Option<RtcpMux> {
    let name = normal(name);
    // Older peers say "remove" for what is called "demux" today.
    let name = if name == "remove" { "demux" } else { name.as_str() };
    MUX.into_iter().find(|(_, n)| *n == name).map(|(mux, _)| mux)
}

fn received_from(value: &Value) -> Option<IpAddr> {
    // A list of family and address, or the address alone.
    value.as_list().last()?.as_str()?.parse().ok()
}
