//! The functions of other processes: is somebody there, and is it what it should be?

use base::{Service, Transport};

use crate::doctor::facts::{Answer, Peer, Who, word};
use crate::doctor::identifiers::{
    IDENTITY_TAKEN, PEER_CLOSES, PEER_OTHER_PROTOCOL, PEER_OTHER_TRANSPORT, PEER_REFUSES,
    PEER_REJECTS, PEER_SILENT, PEER_UNREACHABLE, PEER_UNWELL, PEER_WITHOUT_CX, RELAY_NO_PONG,
};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let finding = |peer: &Peer| match &peer.who {
        Who::Function(role) => Some(finding(facts, peer, *role)?.at(facts.place_of(*role, "at"))),
        // Application servers have a check of their own.
        Who::Server(_) => None,
    };
    facts.peers.iter().filter_map(finding).collect()
}

fn finding(facts: &Facts, peer: &Peer, role: Role) -> Option<Finding> {
    let what = format!("{role} should be at {}:{}", word(peer.transport), peer.addr);
    let at = |transport: Transport| format!("[{role}]\nat = \"{}:{}\"", word(transport), peer.addr);
    if let Some(other) = peer.instead {
        let evidence = format!("{what}; it answers over {} only", word(other));
        return Some(PEER_OTHER_TRANSPORT.found(evidence, at(other)));
    }
    let start = format!(
        "start {role} on {}, or correct the address:\n{}",
        peer.addr.ip(),
        at(peer.transport)
    );
    Some(match &peer.answer {
        Answer::Ourselves | Answer::Well => return None,
        Answer::Refused => {
            PEER_REFUSES.found(format!("{what}; connection refused: nobody listens there"), start)
        }
        Answer::Silent => PEER_SILENT.found(
            format!("{what}; no answer to {} within 2 s", asked(role)),
            format!("{start}\n{}", strangers(role)),
        ),
        Answer::Unreachable(error) => PEER_UNREACHABLE.found(
            format!("{what}; {error}"),
            format!(
                "`ip route get {}` shows the way there; correct the route or the address:\n{}",
                peer.addr.ip(),
                at(peer.transport)
            ),
        ),
        Answer::Gibberish(text) => PEER_OTHER_PROTOCOL.found(
            format!("{what}; what answers there speaks no {}: {text:?}", protocol(role)),
            format!("correct the address:\n{}", at(peer.transport)),
        ),
        Answer::Closed if role == Role::Hss => PEER_CLOSES
            .found(format!("{what}; it hung up when we said who we are (CER)"), admit(facts, role)),
        Answer::Closed => PEER_OTHER_PROTOCOL.found(
            format!("{what}; it hung up instead of an answer to {}", asked(role)),
            format!("correct the address:\n{}", at(peer.transport)),
        ),
        Answer::Sip(503) => PEER_UNWELL.found(
            format!("{what}; it answers OPTIONS with 503 Service Unavailable"),
            format!("look at the log of {role} on {}: it ends, or is overloaded", peer.addr.ip()),
        ),
        Answer::Sip(_) => return None,
        Answer::Ng(result) => RELAY_NO_PONG.found(
            format!("{what}; it answers ping with {result}"),
            format!("look at the log of the relay on {}", peer.addr.ip()),
        ),
        Answer::Cea(cea) if cea.taken => IDENTITY_TAKEN.found(
            format!(
                "{what}; it has a connection of {} already (ELECTION_LOST): another process has our name",
                cea.asked_as
            ),
            "stop the other process, or leave its functions out here: only one of a name can be connected",
        ),
        Answer::Cea(cea) => match &cea.refusal {
            Some(refusal) => PEER_REJECTS.found(
                format!("{what}; it answers {refusal} to us, {}", cea.asked_as),
                format!("let it accept the peer {} of realm {}", cea.asked_as, facts.plan.domain),
            ),
            None if !cea.cx => PEER_WITHOUT_CX.found(
                format!(
                    "{what}; {} announces neither Cx (application 16777216) nor relaying",
                    cea.host
                ),
                format!("correct the address:\n{}", at(peer.transport)),
            ),
            // Names and realms have a check of their own.
            None => return None,
        },
    })
}

fn asked(role: Role) -> &'static str {
    match role.service() {
        Service::Diameter => "a capabilities exchange (CER)",
        Service::Ng | Service::Rtp => "an NG ping",
        Service::Resp => "PING",
        Service::Http | Service::Cli => "a request",
        Service::Sip => "OPTIONS",
    }
}

fn protocol(role: Role) -> &'static str {
    match role.service() {
        Service::Diameter => "Diameter",
        Service::Ng | Service::Rtp => "NG",
        Service::Resp => "RESP",
        Service::Http => "HTTP",
        Service::Cli => "CLI",
        Service::Sip => "SIP",
    }
}

/// Who is silent may mean us.
fn strangers(role: Role) -> String {
    match role {
        Role::Media => "a strowger relay answers only hosts of its `trust.networks`".to_owned(),
        _ => format!(
            "a firewall may stand between: `sudo tcpdump -ni any port {}` there shows whether we arrive",
            role.default_port()
        ),
    }
}

fn admit(facts: &Facts, role: Role) -> String {
    let own = facts.machine.addresses.iter().find(|ip| !ip.is_loopback());
    let own = own.map_or("OUR-ADDRESS".to_owned(), ToString::to_string);
    let bits = if own.contains(':') { 128 } else { 32 };
    format!(
        "in the configuration of {role}, if it is a strowger:\n[trust]\nnetworks = [\"{own}/{bits}\"]"
    )
}
