//! A network in two processes that speak nothing but TLS with each other and with their phones.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};

use folder::Folder;

const CORE: &str = "127.0.0.1";
const EDGE: &str = "127.0.0.2";

/// A process that is ready, until it is dropped.
struct Running {
    folder: Folder,
    child: Child,
}

impl Running {
    fn start(config: &str, certificate: &str) -> Running {
        let folder = Folder::empty();
        let files = [&format!("{certificate}.pem"), &format!("{certificate}.key"), "authority.pem"];
        for file in files {
            let from = format!("{}/../engine/tests/tls/{file}", env!("CARGO_MANIFEST_DIR"));
            fs::copy(from, folder.0.join(file)).unwrap();
        }
        let tls = format!(
            "[tls]\ncertificate = \"{certificate}.pem\"\nkey = \"{certificate}.key\"\n\
             ca = \"authority.pem\"\nrequire_client_certificate = true\n"
        );
        let text = format!("domain = \"ims.test\"\nstore = \"s/x.redb\"\n{config}{tls}");
        fs::write(folder.0.join("strowger.toml"), text).unwrap();
        let mut run = folder.command("run --grace 0");
        let mut child = run.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.starts_with("ready in "));
        assert!(ready, "the process starts");
        Running { folder, child }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Network {
    core: Running,
    edge: Running,
    proxy: String,
}

impl Network {
    fn start() -> Network {
        let free = |ip| TcpListener::bind((ip, 0)).unwrap();
        let ports = [free(CORE), free(CORE), free(EDGE)].map(|l| l.local_addr().unwrap().port());
        let [icscf, scscf, pcscf] = ports;
        let first = 40_000 + std::process::id() % 100 * 200;
        let core = format!(
            "roles = [\"hss\", \"media\", \"scscf\", \"icscf\"]\n[hss]\nlisten = []\n\
             [media]\nlisten = []\nports = \"{first}-{}\"\n\
             [icscf]\nlisten = \"tls:{CORE}:{icscf}\"\n[scscf]\nlisten = \"tls:{CORE}:{scscf}\"\n\
             [pcscf]\nat = \"tls:{EDGE}:{pcscf}\"\n",
            first + 99
        );
        let edge = format!(
            "roles = [\"pcscf\"]\n[pcscf]\nlisten = \"tls:{EDGE}:{pcscf}\"\n\
             [icscf]\nat = \"tls:{CORE}:{icscf}\"\n[scscf]\nat = \"tls:{CORE}:{scscf}\"\n"
        );
        let (core, edge) = (Running::start(&core, "core"), Running::start(&edge, "proxy"));
        for (name, number) in [("alice", "15550101"), ("bob", "15550102")] {
            let add = format!("sub add --name {name} --password secret --msisdn {number}");
            assert!(core.folder.command(&add).output().unwrap().status.success());
        }
        Network { core, edge, proxy: format!("{EDGE}:{pcscf}") }
    }

    fn phone(&self, name: &str, args: &str, how: &str) -> std::process::Command {
        let server = &self.proxy;
        self.edge.folder.command(&format!(
            "ue {args} --user {name} --password secret --domain ims.test --server {server} {how}"
        ))
    }
}

const TLS: &str = "--transport tls --ca authority.pem";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn phones_register_and_call_over_tls_alone() {
    let network = Network::start();
    let mut bob = network.phone("bob", "answer --calls 1 --expect alice", TLS);
    let mut bob = bob.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(bob.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("ready for calls")), "bob registers");
    let alice = network.phone("alice", "call tel:+15550102 --expect bob", TLS).output().unwrap();
    assert!(alice.status.success(), "{}", said(&alice));
    let rest: Vec<String> = lines.collect();
    assert!(bob.wait().unwrap().success(), "{}", rest.join("\n"));
    // What crossed between the processes is seen in the clear, and said to have been TLS.
    let trace = network.core.folder.command("trace --to x.jsonl").output().unwrap();
    assert!(trace.status.success(), "{}", said(&trace));
    let records = fs::read_to_string(network.core.folder.0.join("x.jsonl")).unwrap();
    assert!(records.contains("\"transport\":\"tls\"") && records.contains("SIP/2.0/TLS pcscf"));
}

#[test]
fn who_is_not_believed_does_not_get_in() {
    let network = Network::start();
    let stranger = format!("{}/../engine/tests/tls/stranger.pem", env!("CARGO_MANIFEST_DIR"));
    for how in [format!("--transport tls --ca {stranger}"), "--transport tcp".to_owned()] {
        let output = network.phone("alice", "register --for 0.1", &how).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{how}: {}", said(&output));
    }
    let output = network.phone("alice", "register --for 0.1", TLS).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // A process that is ready took its port: the plain text that comes there is not answered.
    assert!(TcpStream::connect(&network.proxy).is_ok());
    let wrong = network.phone("alice", "register --ca x.pem", "").output().unwrap();
    assert!(said(&wrong).contains("--ca is for --transport tls"), "{}", said(&wrong));
    let missing = network.phone("alice", "register", "--transport tls --ca x.pem").output();
    assert!(said(&missing.unwrap()).contains("x.pem cannot be read"));
}

#[test]
fn other_certificates_count_from_the_next_reload() {
    let network = Network::start();
    let edge = &network.edge.folder;
    let register = || network.phone("alice", "register", TLS).output().unwrap();
    let reload = || edge.command("reload").output().unwrap();
    let put = |certificate: &str| {
        for ending in ["pem", "key"] {
            let file = format!("engine/tests/tls/{certificate}.{ending}");
            let from = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
            fs::copy(from, edge.0.join(format!("proxy.{ending}"))).unwrap();
        }
    };
    assert!(register().status.success());
    // Of somebody else: phones do not believe it.
    put("phone");
    assert!(register().status.success(), "it is not read yet");
    assert_eq!(said(&reload()), "no key has changed; the files that keys name are read anew\n");
    let refused = register();
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    // What does not serve changes nothing.
    put("proxy");
    assert!(reload().status.success() && register().status.success());
    fs::write(edge.0.join("proxy.key"), "no key").unwrap();
    let wrong = reload();
    assert!(said(&wrong).contains("proxy.key"), "{}", said(&wrong));
    assert!(!wrong.status.success() && register().status.success());
}
