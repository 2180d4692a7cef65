//! The configuration's reference as Markdown: every key, made of the list in [`keys`](super::keys).

use std::fmt::Write;

use super::keys::{Key, Kind, SECTIONS, TOP};
use crate::plan::Role;

const HEAD: &str = "# The configuration

`strowger config init` writes a file to start from, `strowger config check` tells what is wrong with one, and
`strowger config schema` prints the JSON schema for editors. This page is what `strowger config reference` prints.

The file is TOML. It is the one of `--config`, else of `$STROWGER_CONFIG`, else `strowger.toml` in the current
folder; every key may be left out. A list of one value may stand as that value alone, and a relative path starts at
the file's folder. `strowger reload` or SIGHUP has a running process take over what changes *live*; it names what
waits for a restart.
";

/// All of it.
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    section(&mut out, "## Above all sections", "", TOP);
    for (name, keys) in SECTIONS {
        section(&mut out, &format!("## `[{name}]`"), about(name), keys);
    }
    out
}

fn section(out: &mut String, title: &str, about: &str, keys: &[Key]) {
    let _ = writeln!(out, "\n{title}\n");
    if !about.is_empty() {
        let _ = writeln!(out, "{about}\n");
    }
    out.push_str("| key | value | what | a change |\n|---|---|---|---|\n");
    for key in keys {
        let Key { name, kind, doc, live } = key;
        let when = if *live { "live" } else { "restart" };
        let _ = writeln!(out, "| `{name}` | {} | {} | {when} |", words(*kind), cell(doc));
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// What a section is about.
fn about(section: &str) -> &'static str {
    match section {
        "dialling" => {
            "What people dial before a number, for the S-CSCF, the BGCF and the IP-SM-GW."
        }
        "trust" => "Who is believed: see [security.md](security.md).",
        "limits" => {
            "How much one source may ask that is no network function: see \
             [security.md](security.md#how-much-a-stranger-can-take)."
        }
        "shared" => {
            "Registrations that several nodes have in common: see \
             [operation.md](operation.md#several-nodes)."
        }
        "tls" => "SIP over TLS: see [security.md](security.md#tls).",
        "observe" => "What other programs see: see [metrics.md](metrics.md).",
        "api" => "Subscribers and traces for programs: see [operation.md](operation.md).",
        "resp" => {
            "A read-only door into the store for `redis-cli`: see \
             [operation.md](operation.md#the-store-and-its-backup)."
        }
        "registration" => "What the S-CSCF grants.",
        role => Role::parse(role).map_or("", Role::title),
    }
}

/// What stands there, for a person.
fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Domain => "a host name",
        Kind::Domains => "a list of host names",
        Kind::Path => "a path",
        Kind::Roles => "a list of functions",
        Kind::Listen => "a list of `address:port`",
        Kind::Seams => {
            "a list of `address:port`, with `udp:`, `tcp:` or `tls:` before it if need be"
        }
        Kind::Addresses => "a list of addresses",
        Kind::Servers => "a list of `host:port`",
        Kind::Label => "a name",
        Kind::Form => "`pcap`, `mono` or `stereo`",
        Kind::Ports => "`first-last`",
        Kind::Networks => "a list of `address/bits`",
        Kind::Hosts => "a list of host names and of `address/bits`",
        Kind::Seconds => "seconds",
        Kind::Switch => "`true` or `false`",
        Kind::Criteria => "a list of filter criteria, as `strowger sub add --ifc` takes them",
        Kind::SipUri => "a SIP URI",
        Kind::SipUris => "a list of SIP URIs",
        Kind::Msisdn => "a telephone number with its country code, as text",
        Kind::EmergencyNumbers => "a list such as `112` or `110=urn:service:sos.police`",
        Kind::Centres => {
            "a list such as `sip:psap@192.0.2.7`, `tel:+49301122` or `urn:service:sos.police=sip:…`"
        }
        Kind::Services => {
            "a list such as `sip:weather@ims.example at sip:as.example` or `sip:room-!.*!@ims.example by sip:as.example when method=INVITE`"
        }
        Kind::Routes => "a list such as `+49=sip:trunk.example` or `default=sip:192.0.2.9`",
        Kind::Digits => "digits, as text",
        Kind::Collector => "`udp:address:port`",
        Kind::Number => "a number",
        Kind::Digest => "a list of `SHA-256` and `MD5`",
    }
}
