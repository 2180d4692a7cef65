//! Prometheus scrapes a running network and answers the queries of a dashboard for Kamailio's IMS modules.
#![cfg(feature = "interop")]

use std::fs::File;
use std::process::{Command, Stdio};

use strowger_tests::interop::{HERE, Namespace, Peer, scenario, until};

const STROWGER: &str = env!("CARGO_BIN_EXE_shipped");
const PROMETHEUS: &str = "/usr/bin/prometheus";
const KEYS: &str = "--k 465b5ce8b199b49faa5f0a2ee238a6bc --op cdc202d5123e20f62b6d676ac72cb318";
const ALICE: &str = "--imsi 001010000000001";

/// The value that Prometheus has for an expression, if it has one.
fn query(namespace: &Namespace, expression: &str) -> Option<f64> {
    let mut promtool = namespace.command("promtool");
    promtool.args(["query", "instant", &format!("http://{HERE}:9095"), expression]);
    let out = promtool.output().expect("promtool (Debian package prometheus) runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    // `name{labels} => 1 @[time]`
    said.split(" => ").nth(1)?.split(' ').next()?.parse().ok()
}

#[test]
fn prometheus_answers_the_queries_of_a_kamailio_dashboard() {
    scenario("prometheus", |namespace| {
        let folder = namespace.folder();
        let config = format!(
            "store = \"s/x.redb\"\n[pcscf]\nlisten = \"{HERE}:5060\"\n[hss]\nlisten = []\n\
             [media]\nlisten = []\n[observe]\nmetrics = \"{HERE}:9090\"\n"
        );
        std::fs::write(folder.join("strowger.toml"), config).expect("a file");
        let scrape = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n- job_name: \
             scscf\n  static_configs: [{{targets: ['{HERE}:9090']}}]\n"
        );
        std::fs::write(folder.join("prometheus.yml"), scrape).expect("a file");
        let mut network = Peer::start(namespace, STROWGER, ["run", "--grace", "0"]);
        network.says("metrics are at http://");
        network.says("ready in ");
        let add = format!("sub add {ALICE} --msisdn 4930100 {KEYS}");
        Peer::start(namespace, STROWGER, add.split(' ')).succeeds();
        let listen = format!("--web.listen-address={HERE}:9095");
        let args = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", &listen];
        let _prometheus = Peer::start(namespace, PROMETHEUS, args);
        let register = format!("ue register {ALICE} {KEYS} --for 60 --server {HERE}:5060");
        let _phone = Peer::start(namespace, STROWGER, register.split(' '));
        let becomes = |expression: &str, value: f64| {
            until(&format!("{expression} to be {value}"), || {
                (query(namespace, expression)? == value).then_some(())
            });
        };
        becomes("kamailio_ims_usrloc_scscf_active_contacts{job=\"scscf\"}", 1.0);
        becomes("kamailio_ims_registrar_scscf_accepted_regs{job=\"scscf\"}", 1.0);
        becomes("kamailio_ims_registrar_scscf_rejected_regs{job=\"scscf\"}", 0.0);
        becomes("kamailio_dialog_ng_active{job=\"scscf\"}", 0.0);
        becomes("count(strowger_function_up == 1)", 5.0);
        becomes("up", 1.0);

        // Nothing about the page is a mistake, but that Kamailio's names do not end with `_total`.
        let page = folder.join("page");
        let url = format!("http://{HERE}:9090/metrics");
        let curl = namespace.command("curl").args(["-sSf", "-o"]).arg(&page).arg(&url).status();
        assert!(curl.expect("curl runs").success());
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]).stdin(File::open(&page).expect("the page"));
        let out = promtool.stdout(Stdio::null()).output().expect("promtool runs");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(said.lines().count(), 2, "{said}");
        for line in said.lines() {
            assert!(line.starts_with("kamailio_") && line.ends_with("\"_total\" suffix"), "{line}");
        }
    });
}
