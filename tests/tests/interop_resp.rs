//! `redis-cli` looks into the store of a running network.
#![cfg(feature = "interop")]

use strowger_tests::interop::{Namespace, Peer, scenario};

/// A key and an operator's key of TS 35.208, set 1.
const SIM: [&str; 10] = [
    "sub",
    "add",
    "--imsi",
    "001010000000001",
    "--msisdn",
    "15550101",
    "--k",
    "465b5ce8b199b49faa5f0a2ee238a6bc",
    "--opc",
    "cd63cb71954a9f4e48a5994e37a02baf",
];

#[test]
fn redis_cli_looks_into_the_store_and_changes_nothing() {
    scenario("redis-cli", |namespace| {
        let program = std::env::var("STROWGER_PROGRAM");
        let program = program.unwrap_or(env!("CARGO_BIN_EXE_shipped").to_owned());
        let text =
            "domain = \"ims.test\"\n[resp]\nlisten = \"127.0.0.1:6379\"\npassword = \"door\"\n";
        let folder = namespace.folder();
        std::fs::write(folder.join("strowger.toml"), text).expect("a file");
        std::fs::write(folder.join("door"), "open sesame\n").expect("a file");
        let place = ["--state", "state"];
        let mut run = Peer::start(namespace, &program, [&["run"][..], &place].concat());
        run.says("resp listens on tcp:127.0.0.1:6379");
        run.says("ready in");
        Peer::start(namespace, &program, [&SIM[..], &place].concat()).succeeds();
        let said = |password: &str, words: &[&str]| cli(namespace, password, words);
        let asked = |words: &[&str]| said("open sesame", words);
        assert_eq!(asked(&["ping"]).trim(), "PONG");
        let keys = asked(&["--scan", "--pattern", "hss.identity:*"]);
        assert_eq!(keys.lines().count(), 3, "{keys}");
        let size = asked(&["dbsize"]);
        assert_eq!(size.trim(), "5", "a subscriber, his three identities, the key of GRUUs");
        assert_eq!(asked(&["get", "scscf.gruu:key"]).trim(), "*".repeat(32));
        let user = "hss.subscriber:001010000000001@ims.test";
        assert_eq!(asked(&["type", user]).trim(), "string");
        let record = asked(&["get", user]);
        assert!(record.contains("\"15550101\""), "{record}");
        for secret in ["465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"] {
            assert!(!record.contains(secret), "{record}");
        }
        assert!(asked(&["info"]).contains("hss.subscriber"));
        for change in [&["set", user, "x"][..], &["del", user], &["flushall"]] {
            assert!(asked(change).contains("changes nothing"), "{change:?}");
        }
        assert!(said("wrong", &["get", user]).contains("NOAUTH"));
        assert_eq!(asked(&["exists", user]).trim(), "1");
    });
}

fn cli(namespace: &Namespace, password: &str, words: &[&str]) -> String {
    let mut cli = Peer::start(
        namespace,
        "/usr/bin/redis-cli",
        ["--no-auth-warning", "--raw", "-a", password].iter().chain(words),
    );
    // Older ones end with 0 whatever the answer is.
    cli.ends();
    cli.said()
}
