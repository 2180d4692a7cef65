//! python-diameter asks our HSS over Cx, and is told by it what an operator changes.
#![cfg(feature = "interop")]

use strowger_tests::interop::{DOMAIN, HERE, Peer, Process, Spec, peer_file, python, scenario};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

#[test]
fn python_diameter_asks_the_hss() {
    scenario("python-diameter", |namespace| {
        let mut spec = Spec::default().here(&[("hss", Some(3868))]);
        spec.sims.push(("001010000000001".to_owned(), "4930200".to_owned()));
        let mut network = Process::start(namespace, NETWORK, &spec);
        let script = peer_file("diameter/cx.py").display().to_string();
        let hss = format!("hss.{DOMAIN}");
        let impi = format!("001010000000001@{DOMAIN}");
        let scscf = format!("sip:scscf.{DOMAIN}");
        let args = [&script, HERE, "3868", DOMAIN, &hss, &impi, &scscf];
        let mut peer = Peer::start(namespace, &python("python3"), args);
        let mut operator = |order: &str| {
            network.order(&format!("operator {order}"));
            network.hears(order, |report| (report["what"] == "done").then_some(()));
        };
        peer.says("waits for PPR");
        operator("number 001010000000001 4930201");
        peer.says("waits for RTR");
        operator("deregister 4930200");
        let said = peer.succeeds();
        for line in [
            "CEA ok",
            // DIAMETER_ERROR_IDENTITY_NOT_REGISTERED, TS 29.229 §6.2.2.3.
            "LIA-before 5003",
            // DIAMETER_FIRST_REGISTRATION, TS 29.229 §6.2.1.1.
            "UAA 2001",
            "MAA 2001",
            // SIP-Authenticate carries RAND and AUTN, SIP-Authorization XRES.
            "MAA avp 609 32",
            "MAA avp 610 8",
            "SAA 2001",
            &format!("LIA 2001 {scscf}"),
            // DIAMETER_ERROR_USER_UNKNOWN, TS 29.229 §6.2.2.1.
            "MAA-unknown 5001",
            // PERMANENT_TERMINATION, with all of his Public-Identities, TS 29.229 §6.1.9.
            "RegistrationTerminationRequest 0 maintenance 5",
            "LIA-after 5003",
        ] {
            assert!(said.lines().any(|l| l.trim_end() == line), "{line:?} is missing in:\n{said}");
        }
        let pushed = said.lines().find(|line| line.starts_with("PushProfileRequest "));
        let pushed = pushed.expect("a profile was pushed");
        for identity in ["tel:+4930200", "tel:+4930201"] {
            assert!(pushed.contains(&format!("<Identity>{identity}</Identity>")), "{pushed}");
        }
        assert!(said.contains("<PrivateID>001010000000001@ims.test</PrivateID>"), "{said}");
    });
}
