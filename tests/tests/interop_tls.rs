//! SIP over TLS with programs that have a TLS of their own: openssl, and baresip with OpenSSL.
#![cfg(feature = "interop")]

use rtp::likeness::{Verdict, compare};
use strowger_tests::interop::spec::certificate;
use strowger_tests::interop::{Baresip, HERE, Namespace, Peer, Process, Spec, prompt, scenario};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

fn spec() -> Spec {
    let spec = Spec { tls: true, ..Spec::default() };
    spec.password("alice", "4930100").password("bob", "4930101")
}

/// `openssl s_client` that says `text` and waits for what comes.
fn s_client(namespace: &Namespace, text: &str, options: &str) -> Peer {
    let said = namespace.folder().join("said");
    std::fs::write(&said, text.replace('\n', "\r\n")).expect("a file");
    let ca = certificate("authority.pem");
    let script = format!(
        "exec openssl s_client -connect {HERE}:5061 -CAfile {} -verify_return_error -ign_eof {options} < {}",
        ca.display(),
        said.display()
    );
    Peer::start(namespace, "/bin/sh", ["-c", &script])
}

const OPTIONS: &str = "OPTIONS sip:pcscf.ims.test:5061;transport=tls SIP/2.0
Via: SIP/2.0/TLS 10.9.0.9;branch=z9hG4bK1
From: <sip:x@ims.test>;tag=1
To: <sip:pcscf.ims.test>
Call-ID: 1
CSeq: 1 OPTIONS
Content-Length: 0

";

#[test]
fn openssl_is_answered() {
    scenario("openssl s_client", |namespace| {
        let _network = Process::start(namespace, NETWORK, &spec());
        for options in ["-tls1_3", "-tls1_2", "-verify_ip 10.9.0.1"] {
            let mut client = s_client(namespace, OPTIONS, options);
            client.says("Verify return code: 0 (ok)");
            client.says("SIP/2.0 200 OK");
        }
        let mut old = s_client(namespace, OPTIONS, "-tls1_1 -cipher ALL:@SECLEVEL=0");
        assert!(!old.ends().success(), "TLS 1.1 is refused (RFC 8996)");
    });
}

/// Two phones over TLS, each over its own connection.
#[test]
fn two_baresips_call_over_tls() {
    scenario("two baresips over TLS", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &spec());
        let proxy = format!("sip:{HERE}:5061;transport=tls");
        let mut alice = Baresip::start(namespace, "alice", &proxy, 6000, "alice");
        let mut bob = Baresip::start(namespace, "bob", &proxy, 6200, "bob");
        alice.talk_with(&mut bob, &mut network);
        for (phone, says) in [(alice, "bob"), (bob, "alice")] {
            let likeness = compare(&prompt(says), &phone.heard());
            assert_eq!(likeness.verdict(), Verdict::Same, "{says} is heard");
        }
    });
}

/// Over TLS to the network, over UDP from there.
#[test]
fn a_baresip_over_tls_calls_a_sim_phone() {
    scenario("baresip over TLS calls a SIM phone", |namespace| {
        let spec = spec().sim_phone("carol", "001010000000001", "4930200", 5070);
        let mut network = Process::start(namespace, NETWORK, &spec);
        network.register("carol");
        let proxy = format!("sip:{HERE}:5061;transport=tls");
        let mut bob = Baresip::start(namespace, "bob", &proxy, 6200, "bob");
        bob.command("dial", "sip:+4930200@ims.test;user=phone");
        bob.event("CALL_ESTABLISHED");
        network.phone("carol", "answered");
        bob.command("hangup", "");
        network.phone("carol", "ended");
    });
}
