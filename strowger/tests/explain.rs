//! `strowger explain` as a person uses it: real refusals of running networks.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;
mod running;

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::Stdio;
use std::time::Duration;

use folder::Folder;
use running::Running;

const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";
const FREE: &str = "store = \"s/x.redb\"\n\
    [pcscf]\nlisten = [\"127.0.0.1:0\"]\n[media]\nlisten = []\nanchor = false\n";

/// A running network.
struct Network {
    folder: Folder,
    running: Running,
}

impl Network {
    fn start(more: &str) -> Network {
        let folder = Folder::empty();
        folder.write("strowger.toml", &format!("{FREE}{more}"));
        let running = folder.start("run --grace 0");
        Network { folder, running }
    }

    fn whole() -> Network {
        let network = Network::start("[hss]\nlisten = []\n[scscf]\nlisten = []\n");
        for name in ["alice", "bob"] {
            network.folder.works(&format!("sub add --name {name} --password open"));
        }
        network
    }

    /// Where a function listens.
    fn place(&self, function: &str) -> &str {
        let start = format!("{function} listens on udp:");
        self.running.said.iter().find_map(|line| line.strip_prefix(&start)).unwrap()
    }

    /// A test phone that fails.
    fn refused(&self, args: &str) {
        let server = self.place("pcscf");
        let said = self.folder.fails(&format!("ue {args} --domain {DOMAIN} --server {server}"), 1);
        assert!(!said.contains("Usage"), "{said}");
    }

    fn explains(&self, args: &str) -> String {
        self.folder.works(&format!("explain {args}"))
    }
}

/// All of these are told, in this order.
fn tells(text: &str, all: &[&str]) {
    let mut rest = text;
    for part in all {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("no {part:?} in {text}")).1;
    }
}

#[test]
fn a_wrong_password_is_told_from_a_wrong_name() {
    let network = Network::whole();
    assert!(network.explains("").starts_with("nobody has asked for anything yet"));
    assert_eq!(network.explains("--json"), "null\n");
    network.refused("register --user bob --password wrong");
    let told = network.explains("");
    tells(
        &told,
        &[
            &format!("REGISTER of sip:bob@{DOMAIN} at "),
            " was refused with 403 Forbidden\n",
            " → P-CSCF → I-CSCF → S-CSCF\n",
            "Cx UAA DIAMETER_FIRST_REGISTRATION (2001)",
            "the HSS names it in Server-Capabilities [icscf.chosen]",
            "Cx MAA DIAMETER_SUCCESS (2001)",
            "[scscf.wrong_response]",
            "refused by     S-CSCF: the answer to the challenge is wrong [scscf.refused]\n",
            "S-CSCF → I-CSCF 403 Forbidden (REGISTER)\n",
            "what to do     the phone's password or key is not the one that is stored",
            &format!("`strowger sub show sip:bob@{DOMAIN}`"),
        ],
    );
    network.refused("register --user nobody --password open");
    let unknown = network.explains("");
    tells(
        &unknown,
        &[
            &format!("REGISTER of sip:nobody@{DOMAIN} at "),
            "DIAMETER_ERROR_USER_UNKNOWN (5001)",
            "refused by     I-CSCF: the user is unknown [icscf.refused]\n",
            "what to do     there is no such subscriber",
            "domain is not in the configuration",
        ],
    );
    assert_eq!(network.explains("bob"), told, "it is about bob, not about the last");
    let json: serde_json::Value = serde_json::from_str(&network.explains("bob --json")).unwrap();
    assert_eq!(json["outcome"], "refused");
    assert_eq!(json["refuser"]["event"], "scscf.refused");
    assert_eq!(network.explains(json["call_id"].as_str().unwrap()), told, "by its Call-ID");
    // Messages alone know who, but not why.
    network.folder.works("trace bob --to call.jsonl");
    let from_file = network.folder.works("explain --from call.jsonl");
    tells(
        &from_file,
        &[
            "was refused with 403 Forbidden\n",
            "Cx MAA DIAMETER_SUCCESS (2001)",
            "refused by     S-CSCF: the functions' own reasons are only in the running process",
            "S-CSCF → I-CSCF 403 Forbidden (REGISTER)\n",
        ],
    );
    assert!(!from_file.contains("[scscf."), "{from_file}");
    let log = network.running.end();
    assert!(log.contains("[scscf.refused]") && !log.contains("[icscf.chosen]"), "{log}");
}

#[test]
fn who_is_barred_or_not_there_is_told() {
    let network = Network::whole();
    let (bob, server) = (format!("sip:bob@{DOMAIN}"), network.place("pcscf").to_owned());
    network.refused("call bob --user alice --password open");
    tells(
        &network.explains(""),
        &[
            &format!("INVITE of sip:alice@{DOMAIN} to {bob} at "),
            "was refused with 480 ",
            "refused by     ",
            "the called user is not registered",
            &format!("what to do     the called phone has to register: `strowger explain {bob}`"),
        ],
    );
    let register = "register --user alice --password open";
    network.folder.works(&format!("ue {register} --domain {DOMAIN} --server {server}"));
    network.folder.works("sub bar bob");
    network.refused("register --user bob --password open");
    tells(
        &network.explains("bob"),
        &[
            "was refused with 403 Forbidden\n",
            "DIAMETER_AUTHORIZATION_REJECTED (5003)",
            "refused by     I-CSCF: no User-Authorization [icscf.refused]\n",
            &format!("what to do     an identity is barred: `strowger sub unbar {bob}`"),
        ],
    );
}

#[test]
fn a_registration_that_was_not_refused_is_told_as_such() {
    let network = Network::whole();
    let register = format!("ue register --user alice --password open --domain {DOMAIN}");
    network.folder.works(&format!("{register} --server {}", network.place("pcscf")));
    let told = network.explains("alice");
    tells(
        &told,
        &["REGISTER of sip:alice@", " was not refused: 200 OK\n", "Cx SAA DIAMETER_SUCCESS"],
    );
    assert!(!told.contains("refused by") && !told.contains("what to do"), "{told}");
}

#[test]
fn criteria_that_fire_and_those_that_do_not_are_told() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    let network = Network::start(&format!(
        "[scscf]\nlisten = [\"127.0.0.1:0\"]\n[hss]\nlisten = []\n\
         ifc = [\"sip:texts@{at} when method=MESSAGE\",\n\
         \"sip:calls@{at} when method=INVITE and case=originating\"]\n"
    ));
    for name in ["alice", "bob"] {
        network.folder.works(&format!("sub add --name {name} --password open"));
    }
    // An application server that forbids every call.
    let refuses = std::thread::spawn(move || {
        server.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut room = [0; 8192];
        let (length, from) = server.recv_from(&mut room).unwrap();
        let request = String::from_utf8_lossy(&room[..length]).into_owned();
        let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let lines = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
        let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
        let lines = lines.replacen("\r\nFrom:", "\r\nWarning: 399 as \"not today\"\r\nFrom:", 1);
        let answer = format!("SIP/2.0 403 Forbidden\r\n{lines}Content-Length: 0\r\n\r\n");
        server.send_to(answer.as_bytes(), from).unwrap();
        request
    });
    network.refused("call bob --user alice --password open");
    assert!(refuses.join().unwrap().starts_with("INVITE "));
    let told = network.explains("");
    tells(
        &told,
        &[
            "INVITE of sip:alice@",
            "was refused with 403 Forbidden\n",
            &format!(
                "sip:texts@{at} of sip:alice@{DOMAIN}, priority 0, does not fire: \
                      `method=MESSAGE` is not so [scscf.ifc_missed]\n"
            ),
            &format!("sip:calls@{at} of sip:alice@{DOMAIN}, priority 1, fires [scscf.ifc_fired]\n"),
            &format!("refused by     sip:calls@{at}: Warning: 399 as \"not today\"\n"),
            "what to do     the application server refused it",
            "strowger.toml:11: hss.ifc\n",
        ],
    );
    assert!(!told.contains("pcscf.deregistered"), "what came afterwards: {told}");
}

/// A phone without power: it does not deregister, and nobody listens at its port.
#[test]
fn a_phone_that_is_gone_without_a_word_is_told() {
    let network = Network::whole();
    let answer = format!(
        "ue answer --user bob --password open --domain {DOMAIN} --server {}",
        network.place("pcscf")
    );
    let mut phone = network.folder.command(&answer).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(phone.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().ends_with("ready for calls")));
    phone.kill().unwrap();
    phone.wait().unwrap();
    network.refused("call bob --user alice --password open");
    tells(
        &network.explains(""),
        &[
            &format!("INVITE of sip:alice@{DOMAIN} to sip:bob@{DOMAIN} at "),
            "was refused with 504 ",
            "refused by     P-CSCF: cannot reach 127.0.0.1:",
            " [sip.unreachable]\n",
            "what to do     nobody listens at that address: a phone that is gone",
        ],
    );
}

#[test]
fn an_hss_that_is_away_is_told_with_the_line_that_says_where_it_is() {
    // Held, so that nobody else listens there.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let network = Network::start(&format!("[scscf]\nlisten = []\n[hss]\nat = \"{nobody}\"\n"));
    network.refused("register --user bob --password open");
    tells(
        &network.explains(""),
        &[
            "REGISTER of sip:bob@",
            "was refused with 504 ",
            "[icscf.cx_refused]",
            "refused by     I-CSCF: no User-Authorization [icscf.refused]\n",
            "what to do     the HSS did not answer in time",
            "strowger.toml:10: hss.at\n",
        ],
    );
}

#[test]
fn a_neighbour_who_is_not_trusted_is_told_with_the_line_that_would_trust_him() {
    let network = Network::start(
        "[scscf]\nlisten = [\"127.0.0.1:0\"]\n[hss]\nlisten = []\n[trust]\nnetworks = [\"192.0.2.0/24\"]\n",
    );
    let neighbour = UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = neighbour.local_addr().unwrap();
    neighbour.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let invite = format!(
        "INVITE sip:bob@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKx;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:mallory@ex.org>;tag=1\r\nTo: <sip:bob@{DOMAIN}>\r\n\
         Call-ID: stranger\r\nCSeq: 1 INVITE\r\nContact: <sip:{here}>\r\nContent-Length: 0\r\n\r\n"
    );
    neighbour.send_to(invite.as_bytes(), network.place("scscf")).unwrap();
    let mut room = [0; 4096];
    loop {
        let length = neighbour.recv(&mut room).unwrap();
        if room[..length].starts_with(b"SIP/2.0 403") {
            break;
        }
    }
    tells(
        &network.explains("stranger"),
        &[
            "INVITE of sip:mallory@ex.org to sip:bob@",
            "is in no network of network functions",
            "[scscf.not_trusted]",
            "not from the trust domain [scscf.refused]\n",
            "what to do     the sender is no network function: add its address to `networks`",
            "strowger.toml:12: trust.networks\n",
        ],
    );
    let said = network.folder.fails("explain nobody", 1);
    assert!(said.contains("remembers no message of nobody"), "{said}");
    assert!(network.folder.fails("explain --from none.jsonl", 1).contains("cannot be read"));
}
