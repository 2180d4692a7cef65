//! Initial filter criteria and the application servers that they name.

use base::trust::Networks;
use sip::Uri;

use crate::doctor::facts::{Answer, Peer, Who, word};
use crate::doctor::identifiers::{
    SCSCF_WITHOUT_ADDRESS, SERVER_CIRCLE, SERVER_UNREACHABLE, SERVER_UNTRUSTED,
};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let servers = facts.servers();
    let (Some(first), true) = (servers.first(), facts.runs(Role::Scscf)) else { return Vec::new() };
    let mut found = Vec::new();
    let place = || facts.place("hss.ifc").or_else(|| facts.place("hss.sms_over_ims"));
    let named = |addr: &&std::net::SocketAddr| !addr.ip().is_unspecified() && addr.port() != 0;
    if !facts.listen(Role::Scscf).iter().any(|addr| named(&addr)) {
        let evidence = format!(
            "filter criteria send requests to {first}, and the S-CSCF listens on no named address that \
             the server could send them back to"
        );
        let own = facts.machine.addresses.iter().find(|ip| !ip.is_loopback() && ip.is_ipv4());
        let own = own.map_or("127.0.0.1".to_owned(), ToString::to_string);
        let fix = format!("[scscf]\nlisten = \"{own}:5070\"");
        let place = facts.place_of(Role::Scscf, "listen").or_else(place);
        found.push(SCSCF_WITHOUT_ADDRESS.found(evidence, fix).at(place));
    }
    for peer in &facts.peers {
        let Who::Server(uri) = &peer.who else { continue };
        let one = finding(facts, peer, uri).or_else(|| untrusted(facts, peer, uri));
        found.extend(one.map(|finding| finding.at(place())));
    }
    found
}

fn finding(facts: &Facts, peer: &Peer, uri: &str) -> Option<Finding> {
    let what = format!("{uri} ({}:{})", word(peer.transport), peer.addr);
    let how = match &peer.answer {
        Answer::Ourselves => {
            let role = facts.own_listener(peer.transport, peer.addr)?;
            let evidence =
                format!("{what} is where our own {role} listens: requests go in a circle");
            let fix = "write the server's own address and port into the filter criteria";
            return Some(SERVER_CIRCLE.found(evidence, fix));
        }
        _ if peer.instead.is_some() => {
            let other = peer.instead.map_or("", word);
            let evidence = format!("{what} answers over {other} only");
            let fix = format!("write \"{uri};transport={other}\" into the filter criteria");
            return Some(SERVER_UNREACHABLE.found(evidence, fix));
        }
        Answer::Refused => "refuses: nobody listens there".to_owned(),
        Answer::Silent => "does not answer OPTIONS within 2 s".to_owned(),
        Answer::Unreachable(error) => format!("cannot be reached: {error}"),
        Answer::Gibberish(text) => format!("speaks no SIP: {text:?}"),
        Answer::Closed => "hangs up".to_owned(),
        Answer::Sip(503) => "answers OPTIONS with 503 Service Unavailable".to_owned(),
        _ => return None,
    };
    let evidence = format!("application server {what} {how}");
    let fix = "start it, or correct the filter criteria; those with `default=terminate` end calls while it is away";
    Some(SERVER_UNREACHABLE.found(evidence, fix))
}

fn untrusted(facts: &Facts, peer: &Peer, uri: &str) -> Option<Finding> {
    let ip = peer.addr.ip();
    let seams =
        facts.plan.elsewhere.iter().filter(|(role, _)| role.service() == base::Service::Sip);
    let seams = seams.flat_map(|(_, seams)| seams).any(|seam| seam.address.ip() == ip);
    if seams || Networks::new(facts.plan.trusted.clone()).contains(ip) {
        return None;
    }
    let host = Uri::parse(uri).and_then(Uri::sip).map_or(uri.to_owned(), |uri| uri.host.to_owned());
    let named = if host == ip.to_string() { String::new() } else { format!(" ({host})") };
    let evidence = format!(
        "the application server at {ip}{named} is in no network of `trust.networks`: the S-CSCF answers \
         the requests that it sends back with 403"
    );
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    Some(SERVER_UNTRUSTED.found(evidence, format!("[trust]\nnetworks = [\"{ip}/{bits}\"]")))
}
