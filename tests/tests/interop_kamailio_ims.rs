//! Debian's Kamailio in the place of our CSCFs, one, two or three of them, over our HSS: the two sides
//! know of each other nothing but addresses.
#![cfg(feature = "interop")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;

use strowger_tests::interop::{
    DOMAIN, HERE, Namespace, Peer, Process, Spec, assert_heard, peer_text, scenario, until,
};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

/// Where each function is, whoever plays it.
type Places = BTreeMap<&'static str, SocketAddrV4>;

/// Everything at the port that needs no word.
const WELL_KNOWN: [u16; 3] = [5060, 5060, 5060];

/// P-, I- and S-CSCF where Kamailio's own examples have them.
const OF_EXAMPLES: [u16; 3] = [5060, 4060, 6060];

/// The columns of Kamailio's table of subscriptions.
const SUBSCRIPTIONS: &str = "id(int,auto) pres_uri(string) pres_id(string) event(int) expires(int) \
    desired_expires(int) flag(int) etag(string) tuple_id(string,null) watcher_uri(string) \
    call_id(string) to_tag(string) from_tag(string) cseq(int) record_route(string,null) \
    contact(string) remote_contact(string) version(int) extra_headers(string)\n";

#[test]
fn our_hss_behind_kamailio_as_every_cscf() {
    evening(&["pcscf", "icscf", "scscf"], WELL_KNOWN);
}

#[test]
fn our_pcscf_before_kamailio_as_icscf_and_scscf() {
    evening(&["icscf", "scscf"], OF_EXAMPLES);
}

#[test]
fn our_scscf_behind_kamailio_as_pcscf_and_icscf() {
    evening(&["pcscf", "icscf"], OF_EXAMPLES);
}

#[test]
fn our_icscf_between_kamailio_as_pcscf_and_scscf() {
    evening(&["pcscf", "scscf"], OF_EXAMPLES);
}

#[test]
fn our_pcscf_and_icscf_before_kamailio_as_scscf() {
    evening(&["scscf"], WELL_KNOWN);
}

/// Our HSS's filter criteria, as Kamailio's S-CSCF understands them.
#[test]
fn kamailio_as_scscf_obeys_our_filter_criteria() {
    scenario("filter criteria", |namespace| {
        let place = format!("{HERE}:7060");
        let criteria = [format!("sip:{place} when method=INVITE and case=originating")];
        let words = [("{SERVER}", place.as_str())];
        let config = namespace.folder().join("application-server.cfg");
        write(&config, &filled("application-server.cfg", &words));
        let mut server = run(namespace, &config);
        namespace.bound(7060);
        let (mut network, mut peers) = start(namespace, &["scscf"], OF_EXAMPLES, &criteria);
        network.register("alice");
        network.register("bob");
        call(&mut network, ("alice", "tel:+491702"), "bob");
        let served = format!("for <sip:+491701@{DOMAIN}>;sescase=orig");
        server.says(&format!("asked INVITE {served}"));
        server.says("later BYE");
        for peer in peers.values_mut().chain([&mut server]) {
            peer.stop();
        }
    });
}

/// Two phones with SIMs do everything once, while Kamailio plays some of the functions.
fn evening(theirs: &[&str], ports: [u16; 3]) {
    scenario(&format!("Kamailio as {} at {ports:?}", theirs.join(", ")), |namespace| {
        let (mut network, mut peers) = start(namespace, theirs, ports, &[]);
        for phone in ["alice", "bob"] {
            network.register(phone);
        }
        network.register("alice");
        call(&mut network, ("alice", "tel:+491702"), "alice");
        call(&mut network, ("bob", &format!("sip:+491701@{DOMAIN}")), "alice");
        text(&mut network, "alice", &format!("sip:+491702@{DOMAIN}"), "bob");
        text(&mut network, "bob", "tel:+491701", "alice");
        network.order("alice deregister");
        network.phone("alice", "deregistered");
        pcscf_is_told(&mut network, peers.get_mut("pcscf"));
        network.order("bob call tel:+491701");
        let refused = network.hears("the call to be refused", |report| {
            (report["phone"] == "bob" && report["what"] == "ended")
                .then(|| report["status"].clone())
        });
        assert!([404, 480].contains(&refused.as_u64().unwrap_or(0)), "{refused}");
        network.register("alice");
        text(&mut network, "bob", "tel:+491701", "alice");
        network.order("operator deregister 491702");
        network.hears("the HSS to be done", |report| (report["what"] == "done").then_some(()));
        network.phone("bob", "deregistered");
        let log = log(namespace);
        assert!(log.contains("hss.resynchronised"), "{log}");
        for trouble in ["severity: Warning", "severity: Error", "subscribe_failed"] {
            assert!(!log.contains(trouble), "{log}");
        }
        for (role, peer) in &mut peers {
            for method in ["REGISTER", "INVITE", "MESSAGE"] {
                peer.says(&format!("{role} {method}"));
            }
            peer.stop();
        }
    });
}

/// Our part and Kamailio's.
fn start<'a>(
    namespace: &Namespace,
    theirs: &[&'a str],
    ports: [u16; 3],
    criteria: &[String],
) -> (Process, BTreeMap<&'a str, Peer>) {
    for host in 2..=4 {
        namespace.ip(&["addr", "add", &format!("10.9.0.{host}/24"), "dev", "v0"]);
    }
    let places = places(ports);
    namespace.hosts(places.iter().map(|(role, at)| ((*at.ip()).into(), host(role))));
    let spec = Spec { ifc: criteria.to_vec(), ..spec(theirs, &places) };
    let network = Process::start(namespace, NETWORK, &spec);
    (network, theirs.iter().map(|role| (*role, kamailio(namespace, role, &places))).collect())
}

/// One calls, both talk until they have heard each other's words, one of them hangs up.
fn call(network: &mut Process, (caller, to): (&str, &str), hangs_up: &str) {
    network.order(&format!("{caller} call {to}"));
    network.phone(caller, "answered");
    network.talk();
    network.order(&format!("{hangs_up} hangup"));
    for (phone, other) in [("alice", "bob"), ("bob", "alice")] {
        assert_heard(&network.phone(phone, "ended"), other);
    }
}

/// The P-CSCF takes nothing more from her; Kamailio's learns of the end by the reg event only, if our
/// S-CSCF has no Contact left to name.
fn pcscf_is_told(network: &mut Process, pcscf: Option<&mut Peer>) {
    let refusal = if pcscf.is_some() { "Not registered" } else { "Forbidden" };
    if let Some(pcscf) = pcscf {
        pcscf.says("pcscf told of an end");
    }
    network.order("alice text tel:+491702 nobody reads this");
    let answer = &network.phone("alice", "text sent")["answer"];
    assert_eq!(*answer, serde_json::json!({"status": 403, "reason": refusal}));
}

fn text(network: &mut Process, from: &str, uri: &str, to: &str) {
    network.order(&format!("{from} text {uri} hello {to}"));
    assert_eq!(network.phone(from, "text sent")["answer"]["status"], 200);
    assert_eq!(network.phone(to, "text")["text"], format!("hello {to}"));
}

fn places([pcscf, icscf, scscf]: [u16; 3]) -> Places {
    let place = |host, port| SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, host), port);
    Places::from([
        ("pcscf", place(1, pcscf)),
        ("icscf", place(2, icscf)),
        ("scscf", place(3, scscf)),
        ("hss", place(4, 3868)),
        ("media", place(1, 2223)),
    ])
}

fn host(role: &str) -> String {
    format!("{role}.{DOMAIN}")
}

/// What stands for a function in URIs: its name, and its port unless that is SIP's own.
fn in_uris(role: &str, places: &Places) -> String {
    match places[role].port() {
        5060 => host(role),
        port => format!("{}:{port}", host(role)),
    }
}

/// Our part: what Kamailio does not play, and the phones.
fn spec(theirs: &[&str], places: &Places) -> Spec {
    let spec = Spec::default().sim_phone("alice", "001010000000001", "491701", 6060);
    let mut spec = spec.sim_phone("bob", "001010000000002", "491702", 6062);
    // Her SIM was elsewhere before: TS 33.102 §6.3.5 puts it right.
    spec.phones[0].seq = 1000;
    spec.phones[1].tcp = true;
    let mut here = BTreeMap::new();
    for (role, at) in places {
        let at = SocketAddr::V4(*at);
        if theirs.contains(role) {
            spec.elsewhere.insert((*role).to_owned(), at);
        } else {
            here.insert((*role).to_owned(), vec![at]);
        }
    }
    spec.here = Some(here);
    spec
}

/// Kamailio as a CSCF, once it listens and speaks with our HSS.
fn kamailio(namespace: &Namespace, role: &str, places: &Places) -> Peer {
    let folder = namespace.folder().join(role);
    let at = places[role];
    let words = [
        ("{HERE}", at.ip().to_string()),
        ("{PORT}", at.port().to_string()),
        ("{DOMAIN}", DOMAIN.to_owned()),
        ("{ROLE}", role.to_owned()),
        ("{PCSCF}", in_uris("pcscf", places)),
        ("{ICSCF}", in_uris("icscf", places)),
        ("{SCSCF}", in_uris("scscf", places)),
        ("{FOLDER}", folder.display().to_string()),
    ];
    let words = words.each_ref().map(|(word, value)| (*word, value.as_str()));
    for name in ["core.cfg", "cx.cfg", &format!("{role}.cfg")] {
        write(&folder.join(name), &filled(name, &words));
    }
    write(&folder.join(format!("{role}.xml")), &filled("cx.xml", &words));
    // Tables that the modules want: nothing is in them but the S-CSCF's name, for users who have none.
    let scscf = format!("sip:{}", in_uris("scscf", places)).replace(':', "\\:");
    let scscfs = format!("id(int) name(string) s_cscf_uri(string)\n1:scscf:{scscf}\n");
    let tables = [
        ("s_cscf", scscfs.as_str()),
        ("nds_trusted_domains", "id(int) trusted_domain(string)\n"),
        ("s_cscf_capabilities", "id(int) id_s_cscf(int) capability(int)\n"),
        ("version", "table_name(string) table_version(int)\npua:7\n"),
        ("pua", SUBSCRIPTIONS),
    ];
    for (name, text) in tables {
        write(&folder.join("tables").join(name), text);
    }
    let kamailio = run(namespace, &folder.join(format!("{role}.cfg")));
    namespace.bound_at(at);
    if role != "pcscf" {
        until(&format!("{role} to be a peer of our HSS"), || {
            let peer = format!("{} on ", host(role));
            let log = log(namespace);
            log.lines().any(|l| l.contains("peer_up") && l.contains(&peer)).then_some(())
        });
    }
    kamailio
}

/// A file of `tests/peers/kamailio` with its words in braces filled in.
fn filled(name: &str, words: &[(&str, &str)]) -> String {
    let text = peer_text(&format!("kamailio/{name}"));
    words.iter().fold(text, |text, (word, value)| text.replace(word, value))
}

/// Kamailio with this configuration; its files are beside it.
fn run(namespace: &Namespace, config: &Path) -> Peer {
    let folder = config.parent().expect("a file in a folder").display().to_string();
    let config = config.display().to_string();
    let args = ["-f", &config, "-DD", "-E", "-Y", &folder, "-w", &folder];
    Peer::start(namespace, "/usr/sbin/kamailio", args)
}

/// What our part logged so far.
fn log(namespace: &Namespace) -> String {
    std::fs::read_to_string(namespace.folder().join("network.log")).unwrap_or_default()
}

fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("a file in a folder");
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
