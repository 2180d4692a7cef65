//! Subscribers as text.

use std::fmt::Write;

use auth::hex;
use hss::password::by_algorithm;
use hss::{Credential, Subscriber};

/// Everything about one subscriber.
pub(super) fn one(subscriber: &Subscriber, secrets: bool) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<18} {value}");
    };
    row("private identity", &subscriber.impi);
    if let Some(imsi) = &subscriber.imsi {
        row("IMSI", imsi.as_str());
    }
    for number in &subscriber.msisdns {
        row("number", &format!("+{number}"));
    }
    for identity in subscriber.identities() {
        let barred = if identity.barred { " (only to register)" } else { "" };
        row("public identity", &format!("{}{barred}", identity.uri));
    }
    let masked = |secret: String| if secrets { secret } else { "<secret>".to_owned() };
    match &subscriber.credential {
        Credential::Aka { k, opc, amf } => {
            row("K", &masked(hex::encode(k.reveal())));
            row("OPc", &masked(hex::encode(opc.reveal())));
            row("AMF", &hex::encode(amf));
        }
        Credential::Digest { realm, md5, sha256 } => {
            row("realm", realm);
            for (algorithm, hashes) in by_algorithm(md5, sha256.as_ref()) {
                row(&format!("H(A1) {algorithm}"), &masked(hashes.ha1.reveal().clone()));
            }
        }
    }
    for set in &subscriber.sets {
        // More than one set is rare; then it is told which.
        let of =
            if subscriber.sets.len() > 1 { format!("{}: ", set.name()) } else { String::new() };
        set.criteria.iter().for_each(|criteria| row("filter criteria", &format!("{of}{criteria}")));
    }
    out
}

/// One line for each subscriber.
pub(super) fn rows(subscribers: &[Subscriber]) -> String {
    let mut out = String::new();
    for subscriber in subscribers {
        let numbers: Vec<String> = subscriber.msisdns.iter().map(|m| format!("+{m}")).collect();
        let kind = match subscriber.credential {
            Credential::Aka { .. } => "sim",
            Credential::Digest { .. } => "password",
        };
        let _ = writeln!(out, "{}\t{kind}\t{}", subscriber.impi, numbers.join(" "));
    }
    out
}
