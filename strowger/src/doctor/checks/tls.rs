//! Certificates: what no phone and no function would believe.

use engine::net::tls::Fault;

use crate::doctor::facts::Certificates;
use crate::doctor::identifiers::{
    TLS_EXPIRED, TLS_FILE_UNREADABLE, TLS_KEY_OTHER, TLS_NAME_OTHER, TLS_NOT_YET_VALID,
};
use crate::doctor::{Facts, Finding};

/// Makes a certificate that nobody but our own phones believes: for a laboratory.
const SELF_SIGNED: &str = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
                           -subj /CN=strowger -addext basicConstraints=critical,CA:FALSE";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Certificates { files, faults, names } = &facts.certificates;
    let mut found = Vec::new();
    for (key, why) in files {
        let evidence = format!("`{key}` below [tls]: {why}");
        let fix = "write the path of a PEM file that this user can read; a relative one starts at the \
                   configuration's folder";
        found.push(TLS_FILE_UNREADABLE.found(evidence, fix).at(facts.place(&format!("tls.{key}"))));
    }
    let path = facts.plan.tls.certificate.as_deref().map(|path| path.display().to_string());
    let path = path.unwrap_or_default();
    let renew = format!("get a new certificate, put it into {path}, and start anew");
    for fault in faults {
        let (identifier, evidence, fix) = match fault {
            Fault::Unreadable(error) => {
                (TLS_FILE_UNREADABLE, format!("{path}: {error}"), self_signed(names))
            }
            Fault::OtherKey => (
                TLS_KEY_OTHER,
                format!("the certificate in {path} was made for another key"),
                "let `certificate` and `key` below [tls] name the two that belong together"
                    .to_owned(),
            ),
            Fault::Expired(end) => {
                let days = facts.machine.clock.saturating_sub(*end) / 86_400;
                (
                    TLS_EXPIRED,
                    format!("the certificate in {path} ended {days} days ago"),
                    renew.clone(),
                )
            }
            Fault::NotYetValid(begin) => {
                let days = begin.saturating_sub(facts.machine.clock) / 86_400;
                let text =
                    format!("the certificate in {path} begins in {days} days, says the clock");
                (TLS_NOT_YET_VALID, text, "set the clock, or get a new certificate".to_owned())
            }
            Fault::OtherNames(known) => {
                let known = if known.is_empty() { "nobody".to_owned() } else { known.join(", ") };
                let text = format!(
                    "the certificate in {path} names {known}, and none of {}: subjectAltName needs \
                     URI:sip:NAME, or, if there is no such URI, DNS:NAME (RFC 5922 §7.1)",
                    names.join(", ")
                );
                (TLS_NAME_OTHER, text, self_signed(names))
            }
        };
        found.push(identifier.found(evidence, fix).at(facts.place("tls.certificate")));
    }
    found
}

fn self_signed(names: &[String]) -> String {
    let names: Vec<String> =
        names.iter().flat_map(|n| [format!("URI:sip:{n}"), format!("DNS:{n}")]).collect();
    format!(
        "get a certificate for these names; for a laboratory:\n{SELF_SIGNED} -addext \
         subjectAltName={} -keyout tls.key -out tls.pem",
        names.join(",")
    )
}
