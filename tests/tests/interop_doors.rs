//! Every way to ask a media relay beside datagrams: the tools that people use with rtpengine ask Debian's rtpengine and our
//! relay the same, and what both answer is compared.
#![cfg(feature = "interop")]

use std::collections::BTreeSet;

use strowger_tests::interop::{HERE, Namespace, Peer, node, peer_file, python, scenario, until};

const STROWGER: &str = env!("CARGO_BIN_EXE_shipped");

/// The ports of one relay: NG over UDP and TCP, HTTP, commands.
#[derive(Clone, Copy)]
struct Ports {
    udp: u16,
    tcp: u16,
    http: u16,
    cli: u16,
}

const THEIRS: Ports = Ports { udp: 2223, tcp: 2224, http: 2225, cli: 9900 };
const OURS: Ports = Ports { udp: 3223, tcp: 3224, http: 3225, cli: 9901 };

/// Both relays, until they are dropped.
fn relays(namespace: &Namespace) -> [Peer; 2] {
    let Ports { udp, tcp, http, cli } = THEIRS;
    let args = [
        "--config-file=none".to_owned(),
        "--table=-1".to_owned(),
        "--foreground".to_owned(),
        "--log-stderr".to_owned(),
        "--port-min=40000".to_owned(),
        "--port-max=40999".to_owned(),
        "--delete-delay=0".to_owned(),
        format!("--interface={HERE}"),
        format!("--listen-ng={HERE}:{udp}"),
        format!("--listen-tcp-ng={HERE}:{tcp}"),
        format!("--listen-http={HERE}:{http}"),
        format!("--listen-cli={HERE}:{cli}"),
    ];
    let mut theirs = Peer::start(namespace, "/usr/bin/rtpengine", args);
    let Ports { udp, tcp, http, cli } = OURS;
    let config = format!(
        "store = \"s.redb\"\nroles = [\"media\"]\n[media]\naddresses = \"{HERE}\"\nports = \"41000-41999\"\n\
         listen = \"{HERE}:{udp}\"\nlisten_tcp_ng = \"{HERE}:{tcp}\"\nlisten_http = \"{HERE}:{http}\"\n\
         listen_cli = \"{HERE}:{cli}\"\n[observe]\nmetrics = \"{HERE}:9090\"\n"
    );
    std::fs::write(namespace.folder().join("strowger.toml"), config).expect("a file");
    let mut ours = Peer::start(namespace, STROWGER, ["run", "--grace", "0"]);
    ours.says("ready in ");
    theirs.says("Startup complete");
    namespace.bound(THEIRS.udp);
    [theirs, ours]
}

/// What a program writes; it must succeed.
fn runs(namespace: &Namespace, program: &str, args: &[&str]) -> String {
    let out = namespace.command(program).args(args).output().expect("the program runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{program} {args:?}: {errors}{said}");
    said
}

/// `rtpengine-ctl`, which asks one relay.
fn ctl(namespace: &Namespace, relay: Ports, command: &str) -> String {
    let address = format!("{HERE}:{}", relay.cli);
    let words: Vec<&str> = command.split(' ').collect();
    runs(namespace, "/usr/bin/rtpengine-ctl", &[&["--ip", &address], &words[..]].concat())
}

/// With every number as `#`, and the width that it had forgotten.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' | '.' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            ' ' if out.ends_with(' ') => {}
            c => out.push(c),
        }
    }
    out
}

/// The same call at one relay, by its door for HTTP.
fn call(namespace: &Namespace, relay: Ports, id: &str) {
    let sdp = format!(
        "v=0\\r\\no=- 1 1 IN IP4 {HERE}\\r\\ns=-\\r\\nc=IN IP4 {HERE}\\r\\nt=0 0\\r\\nm=audio 6000 RTP/AVP 8\\r\\n"
    );
    for (command, to) in [("offer", ""), ("answer", ",\"to-tag\":\"b\"")] {
        let ask = format!(
            "{id}_{command} {{\"command\":\"{command}\",\"call-id\":\"{id}\",\"from-tag\":\"a\"{to},\"sdp\":\"{sdp}\"}}"
        );
        let answer = post(namespace, relay, "/ng", "application/x-rtpengine-ng", &ask);
        assert!(answer.starts_with(&format!("{id}_{command} ")), "{answer}");
        assert!(answer.contains("\"result\":\"ok\""), "{answer}");
    }
}

fn url(relay: Ports, path: &str) -> String {
    format!("http://{HERE}:{}{path}", relay.http)
}

fn get(namespace: &Namespace, relay: Ports, path: &str) -> String {
    let written = "\n%{http_code} %{content_type}";
    runs(namespace, "/usr/bin/curl", &["-sS", "-m", "10", "-w", written, &url(relay, path)])
}

fn post(namespace: &Namespace, relay: Ports, path: &str, kind: &str, body: &str) -> String {
    let kind = format!("Content-Type: {kind}");
    let url = url(relay, path);
    let written = "\n%{http_code} %{content_type}";
    let args = ["-sS", "-m", "10", "-w", written, "-H", &kind, "--data-binary", body, &url];
    runs(namespace, "/usr/bin/curl", &args)
}

#[test]
fn rtpengine_ctl_is_answered_in_the_same_shape() {
    scenario("rtpengine-ctl", |namespace| {
        let _relays = relays(namespace);
        let both = |command: &str| [THEIRS, OURS].map(|relay| ctl(namespace, relay, command));
        let alike = |command: &str| {
            let [theirs, ours] = both(command);
            assert_eq!(ours, theirs, "{command}");
        };
        let none = [
            "list sessions all",
            "list sessions own",
            "list sessions foreign",
            "list sessions x",
            "list numsessions",
            "get numsessions",
            "list timeout",
            "list silenttimeout",
            "list finaltimeout",
            "list offertimeout",
            "list deletedelay",
            "list sessions",
            "list",
            "list nonsense",
            "nonsense",
            "set",
            "set timeout",
            "set timeout 70",
            "list timeout",
            "params diff",
            "params",
            "set timeout 60",
            "params diff",
            "set maxsessions 7",
            "list maxsessions",
            "terminate",
            "terminate x",
            "terminate all",
            "terminate own",
            "terminate foreign",
        ];
        none.iter().filter(|command| **command != "params diff").for_each(|command| alike(command));
        // rtpengine calls each of them `timeout` when it is set.
        let [theirs, ours] = both("set finaltimeout 3000");
        assert_eq!(ours, theirs.replace("timeout", "finaltimeout"));
        alike("get finaltimeout");
        // In whatever form, what is told is there.
        let [theirs, ours] = both("params diff");
        assert!(
            theirs.contains("=> 7\n") && ours.contains("max-sessions: 100000 => 7\n"),
            "{theirs}{ours}"
        );
        let known = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        for command in ["help", "list help", "params current"] {
            let [theirs, ours] = both(command).map(|text| known(&without_numbers(&text)));
            let unknown: Vec<&String> =
                ours.difference(&theirs).filter(|l| !l.starts_with("interface[")).collect();
            assert!(unknown.is_empty(), "{command}: rtpengine does not write {unknown:?}");
        }

        for relay in [THEIRS, OURS] {
            call(namespace, relay, "one");
            call(namespace, relay, "two");
        }
        alike("list numsessions");
        for command in ["list sessions one", "list interfaces", "list totals"] {
            let [theirs, ours] = both(command).map(|text| without_numbers(&text));
            let theirs: BTreeSet<&str> = theirs.lines().collect();
            // One relay names its interface, the other one what its numbers are of.
            let own = |line: &&str| line.starts_with("Interface ") || *line == "Total statistics:";
            let unknown: Vec<&str> =
                ours.lines().filter(|line| !theirs.contains(line) && !own(line)).collect();
            assert!(
                unknown.is_empty(),
                "{command}: rtpengine writes no {unknown:?} but {theirs:?}"
            );
            assert!(ours.lines().count() >= 3, "{ours}");
        }
        let [theirs, ours] = both("list sessions all").map(|text| {
            let lines = without_numbers(&text);
            lines.lines().map(str::to_owned).collect::<BTreeSet<_>>()
        });
        assert_eq!(ours, theirs);
        alike("terminate one");
        alike("list numsessions");
        alike("terminate all");
        alike("list numsessions");
        let forced = |text: &str| {
            text.lines().find(|line| line.contains("forced")).map(str::to_owned).expect("a line")
        };
        let [theirs, ours] = both("list totals");
        assert_eq!(forced(&ours), forced(&theirs));
        assert!(forced(&ours).ends_with(":2"), "{ours}");
    });
}

#[test]
fn curl_is_answered_alike() {
    scenario("curl", |namespace| {
        let _relays = relays(namespace);
        let ng = "application/x-rtpengine-ng";
        for path in [
            "/ping",
            "/cli/list/numsessions",
            "/cli/list+timeout",
            "/cli/list%20timeout",
            "/cli/nonsense",
        ] {
            let [theirs, ours] = [THEIRS, OURS].map(|relay| get(namespace, relay, path));
            assert_eq!(ours, theirs, "{path}");
        }
        for path in ["/", "/nothing", "/nothing/ng"] {
            let [theirs, ours] = [THEIRS, OURS].map(|relay| get(namespace, relay, path));
            assert!(theirs.contains("\n404 ") && ours.contains("\n404 "), "{theirs} {ours}");
        }
        for body in [
            "c1 d7:command4:pinge",
            "c1 d7:command5:querye",
            "c2 {\"command\":\"ping\"}",
            "c3 d7:command5:query7:call-id1:xe",
            "c4 {\"command\":\"dance\"}",
            "c5 {\"command\":\"list\"}",
        ] {
            let [theirs, ours] =
                [THEIRS, OURS].map(|relay| post(namespace, relay, "/ng", ng, body));
            assert_eq!(ours, theirs, "{body}");
        }
        // Debian's rtpengine is too old for these.
        let ask = "{\"command\":\"ping\"}";
        let plain = post(namespace, OURS, "/ng-plain", "application/json", ask);
        assert_eq!(plain, "{\"result\":\"pong\"}\n200 application/json");
        let cli = post(namespace, OURS, "/cli", "text/plain", "list timeout\n");
        assert_eq!(cli, "TIMEOUT=60\n\n200 text/plain");

        // The metrics are those of the other page, and have the names that dashboards for rtpengine ask for.
        call(namespace, OURS, "one");
        let names = |text: &str| -> BTreeSet<String> {
            let samples = text.lines().filter(|line| !line.starts_with('#') && line.contains(' '));
            samples.filter_map(|line| Some(line.split([' ', '{']).next()?.to_owned())).collect()
        };
        let ours = get(namespace, OURS, "/metrics");
        let page =
            runs(namespace, "/usr/bin/curl", &["-sS", &format!("http://{HERE}:9090/metrics")]);
        let page = names(&page);
        let mut own = names(&ours);
        // The last line is the status.
        own.retain(|name| name != "200");
        assert_eq!(own, page);
        let theirs = names(&get(namespace, THEIRS, "/metrics"));
        for name in [
            "rtpengine_sessions",
            "rtpengine_sessions_total",
            "rtpengine_closed_sessions_total",
            "rtpengine_packets_total",
            "rtpengine_bytes_total",
            "rtpengine_packet_errors_total",
            "rtpengine_one_way_sessions_total",
            "rtpengine_zero_packet_streams_total",
            "rtpengine_transcoded_media",
            "rtpengine_uptime_seconds",
        ] {
            assert!(theirs.contains(name) && own.contains(name), "{name}");
        }
        assert!(ours.contains("\nrtpengine_sessions{type=\"own\"} 1\n"), "{ours}");
    });
}

#[test]
fn python_asks_over_tcp_and_websocket() {
    scenario("websockets", |namespace| {
        let _relays = relays(namespace);
        let script = peer_file("doors/streams.py").display().to_string();
        let asks = |relay: Ports, more: &[&str]| {
            let (tcp, http) = (relay.tcp.to_string(), relay.http.to_string());
            let args = [&[&*script, HERE, &tcp, &http], more].concat();
            runs(namespace, &python("python"), &args)
        };
        let (theirs, ours) = (asks(THEIRS, &["whole"]), asks(OURS, &[]));
        assert!(ours.lines().count() >= 20, "{ours}");
        for (ours, theirs) in ours.lines().zip(theirs.lines()) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours.lines().count(), theirs.lines().count());
    });
}

#[test]
fn a_node_client_sets_calls_up_over_each_transport() {
    scenario("rtpengine-client", |namespace| {
        let _relays = relays(namespace);
        let script = peer_file("doors/client.js").display().to_string();
        let modules = format!("NODE_PATH={}", node());
        for transport in ["udp", "tcp", "ws"] {
            let [theirs, ours] = [THEIRS, OURS].map(|relay| {
                let port = match transport {
                    "udp" => relay.udp,
                    "tcp" => relay.tcp,
                    _ => relay.http,
                };
                let args = [&*modules, "node", &script, transport, HERE, &port.to_string()];
                runs(namespace, "/usr/bin/env", &args)
            });
            assert_eq!(ours.lines().count(), 6, "{ours}");
            assert_eq!(ours, theirs, "{transport}");
        }
        // None of it is left.
        until("no call to be left", || {
            ctl(namespace, OURS, "list numsessions")
                .starts_with("Current sessions own: 0\n")
                .then_some(())
        });
    });
}
