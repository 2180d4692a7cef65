//! Every key of the configuration: the one list behind the reader's advice and the JSON schema.

use auth::digest::Algorithm;
use serde_json::{Map, Value, json};

use crate::plan::Role;

/// What a key's value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A host name.
    Domain,
    /// A host name, or a list of them.
    Domains,
    /// A path; relative ones start at the file's folder.
    Path,
    /// A function, or a list of them.
    Roles,
    /// `[tls:]address:port`, or a list of them.
    Listen,
    /// `[transport:]address:port`, or a list of them.
    Seams,
    /// An IP address, or a list of them.
    Addresses,
    /// `"first-last"`.
    Ports,
    /// A network, `address/bits`, or a list of them.
    Networks,
    /// Host names, and an address with a number of bits.
    Hosts,
    /// Seconds.
    Seconds,
    /// `true` or `false`.
    Switch,
    /// Filter criteria as text, or a list of them.
    Criteria,
    /// Public service identities, each with its server or criteria.
    Services,
    /// A SIP URI.
    SipUri,
    /// SIP URIs of servers, or one.
    SipUris,
    /// A telephone number with its country code.
    Msisdn,
    /// Numbers for emergencies, each with its service or without.
    EmergencyNumbers,
    /// Emergency centres, each with its service or without.
    Centres,
    /// Trunks, each with the prefix of its numbers.
    Routes,
    /// Digits.
    Digits,
    /// `udp:address:port`.
    Collector,
    /// A number of 32 bits.
    Number,
    /// An algorithm of SIP Digest, or a list of them.
    Digest,
    /// `host[:port]`, or a list of them.
    Servers,
    /// A name of one label.
    Label,
    /// What becomes of recorded calls.
    Form,
}

/// The algorithms of SIP Digest that we keep H(A1) for.
pub const DIGEST: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// What it says.
    pub doc: &'static str,
    /// Whether a running process takes a change over; otherwise it needs a restart.
    pub live: bool,
}

/// A key that a running process takes over.
const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, doc, live: true }
}

/// A key that is read at the start only.
const fn fixed(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, doc, live: false }
}

const LISTEN: Key = fixed(
    "listen",
    Kind::Listen,
    "Addresses to listen on; [] is none, \"tls:\" before one takes SIP over TLS. Unless told: loopback, at the port of the protocol.",
);
const AT: Key = key(
    "at",
    Kind::Seams,
    "Where this function is, if it runs in another process. Unless told: as DNS says.",
);

/// The keys outside of all sections.
pub const TOP: &[Key] = &[
    fixed(
        "domain",
        Kind::Domain,
        "The home network's domain, TS 23.003 §13.2. Unless told: that of the test network, 001 01.",
    ),
    fixed(
        "store",
        Kind::Path,
        "The file that keeps subscribers and registrations. Unless told: in /var/lib/strowger for root, else in ~/.local/state/strowger.",
    ),
    fixed(
        "roles",
        Kind::Roles,
        "The functions that this process runs. Unless told: those that make a call and are not `at` another place.",
    ),
];

/// The sections and their keys.
pub const SECTIONS: &[(&str, &[Key])] = &[
    (
        "hss",
        &[
            LISTEN,
            AT,
            key("ifc", Kind::Criteria, "Initial filter criteria that every subscriber has."),
            key(
                "psi",
                Kind::Services,
                "Public service identities, which may be wildcarded: with the application server that the I-CSCF sends to, or with filter criteria for an S-CSCF.",
            ),
            key("sms_over_ims", Kind::SipUri, "The IP-SM-GW that phones' SMS over IP goes to."),
        ],
    ),
    (
        "media",
        &[
            LISTEN,
            AT,
            key(
                "addresses",
                Kind::Addresses,
                "Addresses of the relay, the preferred one first. Unless told: 127.0.0.1.",
            ),
            fixed("ports", Kind::Ports, "The relay's UDP ports. Unless told: 30000-30999."),
            fixed(
                "listen_tcp_ng",
                Kind::Listen,
                "Addresses for NG over TCP, as listen-tcp-ng of rtpengine; without one there is none.",
            ),
            fixed(
                "listen_http",
                Kind::Listen,
                "Addresses for NG, commands and metrics over HTTP and WebSocket, as listen-http of rtpengine; without one there is none.",
            ),
            fixed(
                "listen_cli",
                Kind::Listen,
                "Addresses for rtpengine-ctl, which expects port 9900, as listen-cli of rtpengine; without one there is none.",
            ),
            key("anchor", Kind::Switch, "Whether calls go through the relay. Unless told: true."),
            key(
                "sounds",
                Kind::Path,
                "A folder of WAV files (16 bit) that `play media` of NG plays by name. A reload reads them anew.",
            ),
            fixed(
                "recordings",
                Kind::Path,
                "The folder where calls are recorded that NG asks to record. Unless told: none can be.",
            ),
            fixed(
                "recording_format",
                Kind::Form,
                "What becomes of them: packets (pcap), or a WAV file with one channel or one for each party. Unless told: stereo.",
            ),
            key(
                "dtmf_log",
                Kind::Switch,
                "Whether digits that parties say (RFC 4733) are told in the log, among them their PINs; streams that may have some are not relayed by the kernel then. Unless told: false.",
            ),
            fixed(
                "xdp",
                Kind::Switch,
                "Whether the kernel may relay streams by itself, where it can (XDP). Unless told: true.",
            ),
            fixed(
                "takeover",
                Kind::Switch,
                "Whether calls have records in the store, keys of SRTP included, so that they outlive the relay: another one of [shared] goes on with them, or this one after a restart. Unless told: true with [shared], else false.",
            ),
        ],
    ),
    (
        "ipsmgw",
        &[
            LISTEN,
            AT,
            key(
                "service_centre",
                Kind::Msisdn,
                "The service centre's number, with its country code. Unless told: 999000.",
            ),
        ],
    ),
    (
        "scscf",
        &[
            LISTEN,
            AT,
            fixed(
                "name",
                Kind::Domain,
                "The host name of the S-CSCF, of which a network may have several. Unless told: scscf and the domain.",
            ),
            key(
                "enum_suffix",
                Kind::Domain,
                "The domain below which ENUM (RFC 6116) finds numbers, such as e164.arpa; none is asked unless told.",
            ),
        ],
    ),
    (
        "icscf",
        &[
            LISTEN,
            AT,
            key(
                "scscf",
                Kind::SipUris,
                "The S-CSCFs of the network, in the order in which users get them: the next one when one is away. Unless told: the one of this configuration.",
            ),
        ],
    ),
    (
        "pcscf",
        &[
            LISTEN,
            AT,
            fixed(
                "name",
                Kind::Domain,
                "The host name of the P-CSCF, of which a network may have several. Unless told: pcscf and the domain.",
            ),
            key(
                "emergency_numbers",
                Kind::EmergencyNumbers,
                "What a person dials in an emergency; with \"=\" and a URN for one service (RFC 5031). Unless told: 112 and 911.",
            ),
        ],
    ),
    (
        "ecscf",
        &[
            LISTEN,
            AT,
            key(
                "centre",
                Kind::Centres,
                "Who answers emergency calls, in the order in which they are asked; with a URN and \"=\" for one service.",
            ),
            key(
                "from",
                Kind::Networks,
                "Networks that centres send from, beside the addresses in `centre`: for their call back.",
            ),
        ],
    ),
    (
        "bgcf",
        &[
            LISTEN,
            AT,
            key(
                "routes",
                Kind::Routes,
                "Trunks, each behind the prefix of its numbers and \"=\"; those of one prefix in their order.",
            ),
            key(
                "from",
                Kind::Networks,
                "Networks that calls of trunks come from, beside the addresses in `routes`.",
            ),
            key(
                "show_topology_to",
                Kind::Hosts,
                "Trunks that may see names and addresses of this network, by their hosts in `routes` and the addresses that they send from. Unless told: none.",
            ),
        ],
    ),
    (
        "dialling",
        &[
            key(
                "country",
                Kind::Digits,
                "The country code of numbers that are dialled without one.",
            ),
            key("national", Kind::Digits, "What is dialled before a national number, such as 0."),
            key("international", Kind::Digits, "What is dialled for +, such as 00."),
        ],
    ),
    (
        "trust",
        &[
            key(
                "networks",
                Kind::Networks,
                "Networks of other network functions: who may assert identities (RFC 3325), ask the HSS and the relay.",
            ),
            key(
                "names",
                Kind::Domains,
                "Names of other network functions: who shows a certificate of one may assert identities.",
            ),
        ],
    ),
    (
        "limits",
        &[
            key(
                "requests_per_second",
                Kind::Number,
                "Requests that begin something, from one address (IPv6: /64); 0 is no limit. Unless told: 50.",
            ),
            key("burst", Kind::Number, "So many of them at once. Unless told: 1000."),
            fixed(
                "connections",
                Kind::Number,
                "Connections that one address may have open to us. Unless told: 1024.",
            ),
        ],
    ),
    (
        "shared",
        &[
            fixed(
                "servers",
                Kind::Servers,
                "The Valkey or Redis servers, the preferred one first: the next is tried if one does not answer.",
            ),
            fixed("node", Kind::Label, "The name of this node, which no other one has."),
            fixed(
                "password",
                Kind::Path,
                "The file with the servers' password. Unless told: they ask for none.",
            ),
            fixed(
                "floating",
                Kind::Addresses,
                "Addresses in `listen` that move from node to node: they need not be on this machine now.",
            ),
        ],
    ),
    (
        "tls",
        &[
            key(
                "certificate",
                Kind::Path,
                "Our certificate and those up to its authority, PEM. A reload reads all these files anew.",
            ),
            key("key", Kind::Path, "The certificate's private key, PEM."),
            key("ca", Kind::Path, "The authorities whose certificates are believed, PEM."),
            fixed(
                "require_client_certificate",
                Kind::Switch,
                "Whether functions that no phone talks to let nobody in without a certificate.",
            ),
        ],
    ),
    (
        "observe",
        &[
            key(
                "metrics",
                Kind::Listen,
                "Addresses where GET /metrics (Prometheus) and GET /check are answered.",
            ),
            key("hep", Kind::Collector, "The HEPv3 collector that all messages are sent to."),
            key(
                "hep_id",
                Kind::Number,
                "The capture agent id that the collector is told. Unless told: 1.",
            ),
        ],
    ),
    (
        "api",
        &[
            key("listen", Kind::Listen, "Addresses of the HTTP API; without one there is none."),
            key(
                "token",
                Kind::Path,
                "The file of the API's token, written if it is not there. Unless told: beside the store.",
            ),
        ],
    ),
    (
        "resp",
        &[
            fixed(
                "listen",
                Kind::Listen,
                "Addresses where redis-cli may look into the store and change nothing; without one there is none.",
            ),
            fixed(
                "password",
                Kind::Path,
                "The file with the password that clients have to say (AUTH). Unless told: none.",
            ),
        ],
    ),
    (
        "registration",
        &[
            key("min_expires", Kind::Seconds, "The shortest registration. Unless told: 60."),
            key("max_expires", Kind::Seconds, "The longest registration. Unless told: 600000."),
            key(
                "digest",
                Kind::Digest,
                "The algorithms that passwords may be proved with, the most preferred first (RFC 8760).",
            ),
        ],
    ),
];

/// The keys of a section; `""` is outside of all.
pub fn section(name: &str) -> Option<&'static [Key]> {
    if name.is_empty() {
        return Some(TOP);
    }
    SECTIONS.iter().find(|(section, _)| *section == name).map(|(_, keys)| *keys)
}

/// A key by its section and name.
pub fn find(section_name: &str, name: &str) -> Option<&'static Key> {
    section(section_name)?.iter().find(|key| key.name == name)
}

/// The JSON schema (draft 2020-12) of the configuration, for editors.
pub fn schema() -> Value {
    let object = |properties: Map<String, Value>| json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let properties = |keys: &[Key]| -> Map<String, Value> {
        keys.iter().map(|key| (key.name.to_owned(), of_kind(key))).collect()
    };
    let mut top = properties(TOP);
    for (name, keys) in SECTIONS {
        top.insert((*name).to_owned(), object(properties(keys)));
    }
    let mut schema = object(top);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Strowger's configuration");
    schema
}

fn of_kind(key: &Key) -> Value {
    let some = |item: Value| json!({ "anyOf": [item, { "type": "array", "items": item }] });
    let text = || json!({ "type": "string" });
    let mut schema = match key.kind {
        Kind::Domain | Kind::Path => text(),
        Kind::Msisdn => json!({ "type": "string", "pattern": "^\\+?[0-9]{1,15}$" }),
        Kind::SipUri => json!({ "type": "string", "pattern": "^sips?:" }),
        Kind::SipUris => some(json!({ "type": "string", "pattern": "^sips?:" })),
        Kind::Roles => some(json!({ "enum": Role::ALL.map(Role::as_str) })),
        Kind::Domains
        | Kind::Listen
        | Kind::Seams
        | Kind::Addresses
        | Kind::Networks
        | Kind::Hosts
        | Kind::Servers
        | Kind::Criteria => some(text()),
        Kind::Form => json!({ "enum": ["pcap", "mono", "stereo"] }),
        Kind::Label => json!({ "type": "string", "pattern": "^[A-Za-z0-9-]{1,63}$" }),
        Kind::EmergencyNumbers => some(
            json!({ "type": "string", "pattern": "^[0-9]{2,15}(=urn:service:sos(\\.[a-z0-9-]+)*)?$" }),
        ),
        Kind::Centres => some(
            json!({ "type": "string", "pattern": "^(urn:service:sos(\\.[a-z0-9-]+)*=)?(sip|tel):" }),
        ),
        Kind::Services => some(json!({ "type": "string", "pattern": "^(sip|tel):[^ ]+ (at|by) " })),
        Kind::Routes => some(json!({ "type": "string", "pattern": "^(\\+?[0-9]+|default)=sip:" })),
        Kind::Digits => json!({ "type": "string", "pattern": "^[0-9]{1,8}$" }),
        Kind::Ports => json!({ "type": "string", "pattern": "^[0-9]{1,5}-[0-9]{1,5}$" }),
        Kind::Seconds => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
        Kind::Collector => json!({ "type": "string", "pattern": "^(udp:)?[^ ]+:[0-9]{1,5}$" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Digest => some(json!({ "enum": DIGEST.map(Algorithm::name) })),
        Kind::Switch => json!({ "type": "boolean" }),
    };
    let when = if key.live { "with a reload" } else { "with a restart" };
    schema["description"] = json!(format!("{} A change takes effect {when}.", key.doc));
    schema
}
