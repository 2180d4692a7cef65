//! Who could register.

use crate::doctor::facts::{Row, Subscribers};
use crate::doctor::identifiers::{
    IMSI_OTHER_NETWORK, NO_SUBSCRIBERS, SUBSCRIBER_DAMAGED, SUBSCRIBER_OTHER_DOMAIN,
};
use crate::doctor::{Facts, Finding};

/// So many names are told.
const TOLD: usize = 3;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(subscribers) = &facts.subscribers else { return Vec::new() };
    let domain = facts.plan.domain.as_str();
    let mut found = Vec::new();
    if let Some(text) = &subscribers.damaged {
        let fix = "`strowger sub rm NAME` and `strowger sub add` write it anew";
        found.push(SUBSCRIBER_DAMAGED.found(text, fix));
    } else if subscribers.first.is_empty() {
        let named = facts.store.path.as_ref().map_or(String::new(), |p| p.display().to_string());
        let evidence = format!("{named} holds no subscriber");
        let fix = "`strowger sub add --name alice --password …`, or with a SIM: `strowger sub add --imsi … --msisdn … --k … --opc …`";
        found.push(NO_SUBSCRIBERS.found(evidence, fix));
    }
    let (ours, others): (Vec<&Row>, Vec<&Row>) =
        subscribers.first.iter().partition(|row| row.impus.iter().any(|uri| is_in(uri, domain)));
    if let Some(first) = others.first() {
        let evidence = format!("{} have no sip: identity in {domain}", told(subscribers, &others));
        let theirs = first.impi.rsplit_once('@').map_or("…", |(_, domain)| domain);
        let fix = format!(
            "domain = \"{theirs}\"\nor remove and add them again (`strowger sub rm`, `strowger sub add`)"
        );
        found.push(SUBSCRIBER_OTHER_DOMAIN.found(evidence, fix).at(facts.place("domain")));
    }
    let foreign = |row: &&Row| row.imsi.as_deref().is_some_and(|imsi| !is_home(imsi, domain));
    let strange: Vec<&Row> = ours.into_iter().filter(foreign).collect();
    if let Some(imsi) = strange.first().and_then(|row| row.imsi.as_deref()) {
        let (mcc, rest) = imsi.split_at(3.min(imsi.len()));
        let mnc = rest.get(..2).unwrap_or_default();
        let evidence = format!(
            "{}: a phone takes its domain from the IMSI (TS 23.003 §13.2) unless its SIM has an ISIM, and \
             that is not {domain}",
            told(subscribers, &strange)
        );
        let fix = format!(
            "domain = \"ims.mnc0{mnc}.mcc{mcc}.3gppnetwork.org\"   # mncNNN if its MNC has three digits\nor a SIM of this network"
        );
        found.push(IMSI_OTHER_NETWORK.found(evidence, fix).at(facts.place("domain")));
    }
    found
}

fn told(subscribers: &Subscribers, rows: &[&Row]) -> String {
    let names: Vec<&str> = rows.iter().take(TOLD).map(|row| row.impi.as_str()).collect();
    let all = subscribers.first.len();
    let first = if subscribers.more { "first " } else { "" };
    let more = if rows.len() > names.len() { ", …" } else { "" };
    format!("{} of the {first}{all} subscribers ({}{more})", rows.len(), names.join(", "))
}

fn is_in(uri: &str, domain: &str) -> bool {
    let host = uri.strip_prefix("sip:").and_then(|rest| rest.rsplit_once('@'));
    host.is_some_and(|(_, host)| host.eq_ignore_ascii_case(domain))
}

/// Whether a domain is the one that is derived from an IMSI, TS 23.003 §13.2. Other domains are
/// anybody's choice.
fn is_home(imsi: &str, domain: &str) -> bool {
    let Some((mnc, mcc)) = network(domain) else { return true };
    let Some((own, rest)) = imsi.split_at_checked(3) else { return true };
    // Whether an MNC has two digits or three cannot be seen: a leading zero stands for two.
    own == mcc
        && (rest.starts_with(mnc) || mnc.strip_prefix('0').is_some_and(|mnc| rest.starts_with(mnc)))
}

/// MNC and MCC of a domain of TS 23.003 §13.2.
fn network(domain: &str) -> Option<(&str, &str)> {
    let rest = domain.strip_prefix("ims.mnc")?.strip_suffix(".3gppnetwork.org")?;
    rest.split_once(".mcc")
}
