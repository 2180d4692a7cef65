//! Programs that know an HTTP API by its description only: one reads it, one sends what it allows and
//! what it forbids.
#![cfg(feature = "interop")]

use strowger_tests::interop::{HERE, Peer, python, scenario};

const STROWGER: &str = env!("CARGO_BIN_EXE_shipped");

#[test]
fn the_api_is_what_its_description_says() {
    scenario("openapi", |namespace| {
        let folder = namespace.folder();
        let config = format!(
            "store = \"s/x.redb\"\n[pcscf]\nlisten = \"{HERE}:5060\"\n[hss]\nlisten = []\n\
             [media]\nlisten = []\n[api]\nlisten = \"{HERE}:8080\"\n"
        );
        std::fs::write(folder.join("strowger.toml"), config).expect("a file");
        let mut network = Peer::start(namespace, STROWGER, ["run", "--grace", "0"]);
        network.says("the API is at http://");
        network.says("ready in ");
        let description = format!("http://{HERE}:8080/v1/openapi.json");

        let fetch = ["--silent", "--fail", "--output", "openapi.json", &description];
        Peer::start(namespace, "curl", fetch).succeeds();
        let valid = Peer::start(namespace, &python("openapi-spec-validator"), ["openapi.json"]);
        assert!(valid.succeeds().contains("openapi.json: OK"));

        let token = std::fs::read_to_string(folder.join("s/x.redb.token")).expect("a token");
        let authorization = format!("Authorization: Bearer {}", token.trim());
        // That all it allows is taken cannot be: criteria have a grammar, identities one owner.
        let args = ["run", &description, "-H", &authorization, "--seed", "1"];
        let more = ["--max-examples", "20", "--exclude-checks", "positive_data_acceptance"];
        let args = args.into_iter().chain(more);
        let said = Peer::start(namespace, &python("schemathesis"), args).succeeds();
        assert!(said.contains("Tested: 9"), "{said}");
        assert!(!network.said().contains("panic"), "{}", network.said());
    });
}
