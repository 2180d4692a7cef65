//! The configuration: what it takes, and what it says about what it does not take.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::IpAddr;

use auth::digest::Algorithm;
use strowger::config::{Config, SAMPLE, keys};
use strowger::observe::Observe;
use strowger::plan::{Plan, Role};

/// Every key once.
const FULL: &str = r#"
domain = "ims.example.org"
store = "s.redb"
roles = ["pcscf", "scscf"]
[hss]
at = "tcp:192.0.2.1:3868"
ifc = ["sip:as.example.org when method=INVITE", "sip:192.0.2.3:5090 priority=7"]
sms_over_ims = "sip:smsc.example.org:7060"
[media]
at = ["udp:192.0.2.1:2223"]
listen = []
addresses = ["192.0.2.9", "2001:db8::9"]
ports = "40000-41000"
anchor = false
[ipsmgw]
listen = []
service_centre = "+493099"
[scscf]
listen = "127.0.0.1:5062"
enum_suffix = "e164.arpa"
[icscf]
at = ["192.0.2.2:5060", "tcp:[2001:db8::2]:5060"]
listen = []
[pcscf]
listen = ["127.0.0.1:5060", "tls:127.0.0.1:5061"]
emergency_numbers = ["112", "110=urn:service:sos.police"]
[ecscf]
listen = "127.0.0.1:5070"
centre = ["sip:psap@192.0.2.7", "urn:service:sos.police=sip:police@192.0.2.8;transport=tcp"]
from = "192.0.2.0/28"
[bgcf]
from = ["198.51.100.0/24", "203.0.113.9"]
show_topology_to = ["trunk.example", "203.0.113.9"]
at = "192.0.2.4:5080"
routes = ["+49=sip:trunk.example;transport=tcp", "default=sip:192.0.2.9"]
[dialling]
country = "49"
national = "0"
international = "00"
[trust]
networks = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]
names = "as.example.org"
[tls]
certificate = "tls.pem"
key = "tls.key"
ca = "ca.pem"
require_client_certificate = true
[observe]
metrics = ["127.0.0.1:9090", "[::1]:9090"]
hep = "udp:192.0.2.5:9060"
hep_id = 0x7ea
[registration]
min_expires = 30
max_expires = 0x1000
digest = ["sha-256", "MD5"]
"#;

fn complaint(text: &str) -> String {
    let problems = Config::parse(text).expect_err(text);
    problems.iter().map(|problem| problem.show("strowger.toml", text)).collect()
}

fn loopback() -> [IpAddr; 1] {
    [IpAddr::from([127, 0, 0, 1])]
}

#[test]
fn the_sample_says_what_the_defaults_are() {
    assert!(SAMPLE.lines().count() < 50);
    let both = [IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()];
    let sample = Config::parse(SAMPLE).unwrap().plan(None, &both);
    assert_eq!(sample, Config::default().plan(None, &both));
    let commented = ["[", "at", "roles"].iter().fold(SAMPLE.to_owned(), |text, key| {
        text.replace(&format!("\n# {key}"), &format!("\n{key}"))
    });
    let roles = commented.replace("roles = [\"hss\", ", "roles = [");
    let plan = Config::parse(&roles).unwrap().plan(None, &both);
    assert_eq!(plan.elsewhere[&Role::Hss][0].address, "10.0.0.2:3868".parse().unwrap());
}

#[test]
fn every_key_is_taken_and_in_the_schema() {
    let config = Config::parse(FULL).unwrap();
    assert_eq!(config.trusted.len(), 3);
    assert_eq!(config.max_expires, Some(4096));
    assert_eq!(config.at[&Role::Icscf].len(), 2);
    assert_eq!(config.listen[&Role::Pcscf].len(), 1);
    assert_eq!(config.tls.here[&Role::Pcscf], ["127.0.0.1:5061".parse().unwrap()]);
    let names = config.tls.names(&config.plan(None, &loopback()));
    assert!(
        ["scscf.ims.example.org", "as.example.org"].iter().all(|n| names.iter().any(|m| m == n))
    );
    assert_eq!(config.plan(None, &loopback()).digest, [Algorithm::Sha256, Algorithm::Md5]);
    let hep = Some("192.0.2.5:9060".parse().unwrap());
    let metrics = ["127.0.0.1:9090", "[::1]:9090"].map(|at| at.parse().unwrap()).to_vec();
    assert_eq!(config.observe, Observe { metrics, hep, hep_id: 2026 });
    let criteria: Vec<String> = config.criteria.iter().map(ToString::to_string).collect();
    assert_eq!(
        criteria,
        [
            "sip:as.example.org priority=0 when method=INVITE",
            "sip:192.0.2.3:5090 priority=7",
            "sip:smsc.example.org:7060 priority=8 when method=MESSAGE and \
             header:Content-Type=application/vnd.3gpp.sms and case=originating",
        ]
    );
    let schema = keys::schema();
    // What the reader takes alone or in a list, an editor takes, too.
    for at in ["roles", "pcscf/properties/listen", "media/properties/addresses"] {
        let forms = schema.pointer(&format!("/properties/{at}/anyOf")).unwrap();
        assert_eq!(forms[1]["items"], forms[0], "{at}");
    }
    for (name, section) in keys::SECTIONS.iter().copied().chain([("", keys::TOP)]) {
        let pointer = if name.is_empty() { String::new() } else { format!("/properties/{name}") };
        for key in section {
            let at = format!("{pointer}/properties/{}/description", key.name);
            assert!(schema.pointer(&at).is_some(), "{at}");
        }
    }
}

#[test]
fn a_stray_key_is_refused_at_every_level() {
    for sample in [SAMPLE, FULL] {
        Config::parse(sample).unwrap();
        let headers = sample.lines().filter(|line| line.starts_with('['));
        for header in headers {
            let text = sample.replacen(header, &format!("{header}\nstray = 1"), 1);
            let said = complaint(&text);
            assert!(said.starts_with("error: unknown key `stray` in `["), "{said}");
        }
        assert!(complaint(&format!("stray = 1\n{sample}")).contains("strowger.toml:1:1"));
        assert!(complaint(&format!("{sample}\n[stray]\nx = 1")).contains("unknown key `stray`"));
    }
}

#[test]
fn errors_point_at_the_spot() {
    assert_eq!(
        complaint("# a file\n[pcscf]\nlisen = [\"127.0.0.1:5060\"]\n"),
        "error: unknown key `lisen` in `[pcscf]`\n\
         \x20--> strowger.toml:3:1\n\
         \x20 |\n\
         3 | lisen = [\"127.0.0.1:5060\"]\n\
         \x20 | ^^^^^\n\
         \x20 = help: did you mean `listen`?\n"
    );
    assert_eq!(
        complaint("[pcscf]\nlisten = [\"localhost:5060\"]\n"),
        "error: \"localhost:5060\" is not an address to listen on\n\
         \x20--> strowger.toml:2:11\n\
         \x20 |\n\
         2 | listen = [\"localhost:5060\"]\n\
         \x20 |           ^^^^^^^^^^^^^^^^\n\
         \x20 = help: an IP address and a port, such as \"127.0.0.1:5060\" or \"[::1]:5060\"; names \
         are not looked up\n"
    );
}

#[test]
fn everything_wrong_is_told_with_advice() {
    let cases = [
        ("domain = 5", "expected a text, found integer"),
        ("domain = \"a b\"", "\"a b\" is not a domain"),
        ("domain = \"192.0.2.1\"", "is not a domain"),
        ("roles = [\"pscf\"]", "did you mean \"pcscf\"?"),
        ("roles = [\"hss\", \"hss\"]", "stands twice"),
        ("roles = []", "no function would run"),
        ("hss = 1", "write `[hss]` on a line of its own"),
        ("listen = \"1.1.1.1:1\"", "`listen` belongs below `[hss]`"),
        ("[pcscf]\ndomain = \"x\"", "`domain` stands above all sections"),
        ("[hss]\nat = \"udp:10.0.0.1:3868\"", "write \"tcp:192.0.2.1:3868\""),
        ("roles = [\"hss\"]\n[hss]\nat = \"10.0.0.1:1\"", "is in `roles` and elsewhere too"),
        ("[pcscf]\nlisten=\"1.1.1.1:1\"\n[icscf]\nlisten=\"1.1.1.1:1\"", "is taken by"),
        ("[hss]\nifc = \"as.example.org\"", "expected the application server's SIP URI"),
        ("[hss]\nifc = [\"sip:a\", \"sip:b priority=0\"]", "another one has the same priority"),
        ("[hss]\nsms_over_ims = \"smsc\"", "must be a SIP URI"),
        ("[ipsmgw]\nservice_centre = \"centre\"", "\"centre\" is not a telephone number"),
        ("[hss]\nsms_over_ims = 1", "expected a text, found integer"),
        ("[media]\naddresses = [\"0.0.0.0\"]", "unspecified"),
        ("[media]\naddresses = []", "needs an address"),
        ("[media]\nports = \"5000\"", "write first and last port"),
        ("[media]\nports = \"5000-4000\"", "no usable range"),
        ("[media]\nanchor = \"yes\"", "expected true or false, found string"),
        ("[pcscf]\nemergency_numbers = [\"112\", \"+49\"]", "\"+49\" is not an emergency number"),
        ("[ecscf]\ncentre = \"psap\"", "\"psap\" is not an emergency centre"),
        ("[ecscf]\nfrom = \"here\"", "\"here\" is not a network"),
        ("[bgcf]\nroutes = \"sip:192.0.2.9\"", "\"sip:192.0.2.9\" is not a route to a trunk"),
        ("[bgcf]\nshow_topology_to = \"a b\"", "\"a b\" is not a domain"),
        ("[dialling]\ncountry = \"+49\"", "\"+49\" is not what people dial"),
        ("[dialling]\nnational = \"0\"", "a prefix without the country that it stands for"),
        ("[scscf]\nenum_suffix = \"e164..arpa\"", "\"e164..arpa\" is not a domain"),
        ("[trust]\nnetworks = [\"10.0.0.0/33\"]", "is not a network"),
        ("[observe]\nmetrics = \"localhost:9090\"", "is not an address to listen on"),
        ("[observe]\nmetrics = 9090", "expected a text or a list of texts, found integer"),
        ("[observe]\nhep = \"tcp:192.0.2.5:9060\"", "is not where a HEP collector can be"),
        ("[observe]\nhep = \"0.0.0.0:9060\"", "write \"udp:192.0.2.5:9060\""),
        ("[observe]\nhep_id = \"1\"", "expected a number, found string"),
        ("[observe]\nhep_id = 4294967296", "4294967296 is out of range"),
        ("[observe]\nmetric = \"\"", "did you mean `metrics`?"),
        ("[pcscf]\nlisten = \"tls:1.1.1.1:5061\"", "TLS needs a certificate and its key"),
        ("[tls]\nkey = \"tls.key\"", "TLS needs a certificate and its key"),
        ("[hss]\nlisten = \"tls:1.1.1.1:5658\"", "is not an address to listen on"),
        ("[hss]\nat = \"tls:1.1.1.1:5658\"", "write \"tcp:192.0.2.1:3868\""),
        ("[icscf]\nat = \"tls:x:5061\"", "or \"tls:192.0.2.1:5061\""),
        ("[pcscf]\nlisten = [\"1.1.1.1:1\", \"tls:1.1.1.1:1\"]", "1.1.1.1:1 is taken by `pcscf`"),
        ("[trust]\nnames = [\"a b\"]", "is not a domain"),
        ("[tls]\nrequire_client_certificate = 1", "expected true or false, found integer"),
        ("[registration]\ndigest = \"SHA-1\"", "\"SHA-1\" is no algorithm for passwords"),
        ("[registration]\ndigest = []", "nobody with a password could register"),
        ("[registration]\ndigest = [\"MD5\", \"md5\"]", "stands twice"),
        ("[registration]\nmin_expires = 0", "0 is out of range"),
        ("[registration]\nmin_expires = 99\nmax_expires = 9", "min_expires (99) is more than"),
        ("domain = \u{201c}x\u{201d}", "straight quotes"),
        ("domain = \"a\"\ndomain = \"b\"", "each key and section stands once"),
    ];
    for (text, expected) in cases {
        let said = complaint(text);
        assert!(said.contains(expected), "{text}\n{said}");
        assert!(said.contains("= help: "), "{said}");
    }
    let said = complaint("domain = 5\n[x]\n[pcscf]\ny = 1\n");
    assert_eq!(said.matches("error: ").count(), 3, "{said}");
}

#[test]
fn who_listens_without_being_told() {
    let ports = |plan: &Plan, role| plan.here[&role].iter().map(|a| a.port()).collect::<Vec<_>>();
    let config = Config::default();
    let all = config.plan(None, &loopback());
    assert_eq!(ports(&all, Role::Pcscf), [5060]);
    assert_eq!(ports(&all, Role::Hss), [3868]);
    assert_eq!(ports(&all, Role::Media), [2223]);
    assert!(all.here[&Role::Icscf].is_empty() && all.here[&Role::Scscf].is_empty());
    let alone = config.plan(Some(&BTreeSet::from([Role::Scscf])), &loopback());
    assert_eq!(ports(&alone, Role::Scscf), [5060]);
    assert_eq!(alone.here.len(), 1);
    for role in [Role::Ecscf, Role::Bgcf, Role::IpSmGw] {
        let alone = config.plan(Some(&BTreeSet::from([role])), &loopback());
        assert_eq!(ports(&alone, role), [5060]);
    }
    // What a network need not have runs if the file has a use for it.
    let outside = "[ecscf]\ncentre = \"sip:192.0.2.7\"\n[bgcf]\nroutes = \"+49=sip:192.0.2.9\"";
    let outside = Config::parse(outside).unwrap().plan(None, &loopback());
    assert!(outside.takes_emergency_calls() && outside.breaks_out());
    assert!(outside.here[&Role::Ecscf].is_empty() && outside.here[&Role::Bgcf].is_empty());
    assert!(!all.takes_emergency_calls() && !all.here.contains_key(&Role::Bgcf));
    let split = Config::parse("[hss]\nat = \"10.0.0.2:3868\"").unwrap();
    assert!(!split.plan(None, &loopback()).here.contains_key(&Role::Hss));
    // The command line's choice comes before the file's places.
    let here = split.plan(Some(&BTreeSet::from([Role::Hss])), &loopback());
    assert!(here.elsewhere.is_empty() && here.here.contains_key(&Role::Hss));
}
