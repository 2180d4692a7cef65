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
    /// Seconds.
    Seconds,
    /// `true` or `false`.
    Switch,
    /// Filter criteria as text, or a list of them.
    Criteria,
    /// A SIP URI.
    SipUri,
    /// A telephone number with its country code.
    Msisdn,
    /// `udp:address:port`.
    Collector,
    /// A number of 32 bits.
    Number,
    /// An algorithm of SIP Digest, or a list of them.
    Digest,
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
}

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, doc }
}

const LISTEN: Key = key(
    "listen",
    Kind::Listen,
    "Addresses to listen on; [] is none, \"tls:\" before one takes SIP over TLS.",
);
const AT: Key = key("at", Kind::Seams, "Where this function is, if it runs in another process.");

/// The keys outside of all sections.
pub const TOP: &[Key] = &[
    key("domain", Kind::Domain, "The home network's domain, TS 23.003 §13.2."),
    key("store", Kind::Path, "The file that keeps subscribers and registrations."),
    key("roles", Kind::Roles, "The functions that this process runs."),
];

/// The sections and their keys.
pub const SECTIONS: &[(&str, &[Key])] = &[
    (
        "hss",
        &[
            LISTEN,
            AT,
            key("ifc", Kind::Criteria, "Initial filter criteria that every subscriber has."),
            key("sms_over_ims", Kind::SipUri, "The IP-SM-GW that phones' SMS over IP goes to."),
        ],
    ),
    (
        "media",
        &[
            LISTEN,
            AT,
            key("addresses", Kind::Addresses, "Addresses of the relay, the preferred one first."),
            key("ports", Kind::Ports, "The relay's UDP ports."),
            key("anchor", Kind::Switch, "Whether calls go through the relay."),
        ],
    ),
    (
        "ipsmgw",
        &[
            LISTEN,
            AT,
            key(
                "service_centre",
                Kind::Number,
                "The service centre's number, with its country code.",
            ),
        ],
    ),
    ("scscf", &[LISTEN, AT]),
    ("icscf", &[LISTEN, AT]),
    ("pcscf", &[LISTEN, AT]),
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
        "tls",
        &[
            key("certificate", Kind::Path, "Our certificate and those up to its authority, PEM."),
            key("key", Kind::Path, "The certificate's private key, PEM."),
            key("ca", Kind::Path, "The authorities whose certificates are believed, PEM."),
            key(
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
            key("hep_id", Kind::Number, "The capture agent id that the collector is told."),
        ],
    ),
    (
        "registration",
        &[
            key("min_expires", Kind::Seconds, "The shortest registration in seconds."),
            key("max_expires", Kind::Seconds, "The longest registration in seconds."),
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
        Kind::Roles => some(json!({ "enum": Role::ALL.map(Role::as_str) })),
        Kind::Domains
        | Kind::Listen
        | Kind::Seams
        | Kind::Addresses
        | Kind::Networks
        | Kind::Criteria => some(text()),
        Kind::Ports => json!({ "type": "string", "pattern": "^[0-9]{1,5}-[0-9]{1,5}$" }),
        Kind::Seconds => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
        Kind::Collector => json!({ "type": "string", "pattern": "^(udp:)?[^ ]+:[0-9]{1,5}$" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Digest => some(json!({ "enum": DIGEST.map(Algorithm::name) })),
        Kind::Switch => json!({ "type": "boolean" }),
    };
    schema["description"] = json!(key.doc);
    schema
}
