//! What other programs see of a running network: metrics, the check, HEP.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use engine::store::MemoryStore;
use strowger::log::{Format, Log};
use strowger::observe::Observe;
use strowger::observe::metrics::{FAMILIES, table};
use strowger::plan::{Plan, Role};
use strowger::run::Process;

const KEYS: &str = "--k 465b5ce8b199b49faa5f0a2ee238a6bc --op cdc202d5123e20f62b6d676ac72cb318";
const SIM: &str = "--imsi 001010000000001";
/// With a wrong password.
const BOB: &str = "--user bob --password shut --domain ims.mnc001.mcc001.3gppnetwork.org --no-ims";
const QUIET: &str = "store = \"s/x.redb\"\n[pcscf]\nlisten = \"127.0.0.1:0\"\n[hss]\nlisten = []\n\
    [media]\nlisten = []\nports = \"28000-28099\"\n[scscf]\nlisten = []\n[icscf]\nlisten = []\n";

/// A running process in a folder of its own.
struct Network {
    folder: PathBuf,
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Network {
    fn start(config: &str, args: &str) -> Network {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("strowger-observe-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("strowger.toml"), config).unwrap();
        let mut run = command(&folder, &format!("run --grace 0 {args}"));
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut child = run.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut network = Network { folder, child, out, said: Vec::new() };
        loop {
            let line = network.out.next().expect("it starts").unwrap();
            network.said.push(line);
            if network.said.last().unwrap().starts_with("ready in ") {
                return network;
            }
        }
    }

    fn said(&self, start: &str) -> &str {
        self.said.iter().find_map(|line| line.strip_prefix(start)).expect(start)
    }

    /// What a page answers: its status, and its content.
    fn get(&self, path: &str) -> (u16, String) {
        let at = self.said("metrics are at http://").strip_suffix("/metrics").unwrap();
        get(at.parse().unwrap(), path)
    }

    /// The number of one line of the metrics.
    fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
    }

    /// Waits until a metric has a value: answers are shared for a moment.
    fn reaches(&self, name: &str, value: f64) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.metric(name) != value {
            assert!(Instant::now() < end, "{name} is {}", self.metric(name));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A phone that goes on by itself.
    fn phone(&self, args: &str) -> Phone {
        let server = self.said("pcscf listens on udp:");
        let mut command = command(&self.folder, &format!("ue {args} --server {server}"));
        Phone(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn works(&self, args: &str) -> String {
        let output = command(&self.folder, args).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args}: {err}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Registers and deregisters; whether that worked.
    fn register(&self, account: &str) -> bool {
        let server = self.said("pcscf listens on udp:");
        let args = format!("ue register {account} --server {server}");
        command(&self.folder, &args).output().unwrap().status.success()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn get(at: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a header");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

struct Phone(Child);

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(folder: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strowger"));
    command.args(args.split_whitespace()).current_dir(folder).env_remove("STROWGER_CONFIG");
    command.env_remove("STATE_DIRECTORY").stdin(Stdio::null());
    command
}

fn documentation() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("docs/metrics.md")).unwrap()
}

#[test]
fn the_documentation_names_every_metric() {
    assert!(documentation().contains(&table()), "docs/metrics.md needs this table:\n{}", table());
}

/// The lines of the text format that are numbers: name, labels, number.
fn samples(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (what, number) = line.rsplit_once(' ').expect(line);
        let (name, labels) = what.split_once('{').unwrap_or((what, "}"));
        (name, labels.strip_suffix('}').expect(line), number.parse().expect(line))
    })
}

#[test]
fn metrics_tell_what_happened_and_the_documentation_what_they_mean() {
    let hep = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = hep.local_addr().unwrap();
    let observe = format!("[observe]\nmetrics = \"127.0.0.1:0\"\nhep = \"udp:{at}\"\n");
    // Nobody is there: all goes on without.
    let observe = observe + "[shared]\nservers = \"127.0.0.1:1\"\nnode = \"a\"\n";
    let all = Role::ALL.map(Role::as_str).join(",");
    let network = Network::start(&format!("{QUIET}{observe}"), &format!("--role {all}"));
    network.works(&format!("sub add {SIM} --msisdn 15550101 {KEYS}"));
    assert!(network.register(&format!("{SIM} {KEYS}")));
    let contacts = "kamailio_ims_usrloc_scscf_active_contacts";
    let accepted = "kamailio_ims_registrar_scscf_accepted_regs";
    let rejected = "kamailio_ims_registrar_scscf_rejected_regs";
    // It registers and deregisters.
    network.reaches(accepted, 2.0);
    let metric = |name: &str| network.metric(name);
    assert_eq!([contacts, rejected].map(metric), [0.0, 0.0]);
    network.works("sub add --name bob --password open");
    assert!(!network.register(BOB));
    network.reaches(rejected, 1.0);
    assert_eq!(metric(accepted), 2.0);
    let registered = "strowger_events_total{function=\"scscf\",event=\"scscf.registered\"}";
    assert_eq!(metric(registered), 1.0);
    let dialogs = "kamailio_dialog_ng_active";
    assert_eq!(metric(dialogs), 0.0);
    assert_eq!(metric("strowger_alive{function=\"shared\",what=\"servers_away\"}"), 1.0);
    let _alice = network.phone(&format!("answer {SIM} {KEYS}"));
    network.reaches(contacts, 1.0);
    let _bob = network.phone("call tel:+15550101 --user bob --password open");
    network.reaches(dialogs, 1.0);
    assert_eq!(metric("rtpengine_sessions{type=\"own\"}"), 1.0);
    assert_eq!(metric("rtpengine_sessions{type=\"foreign\"}"), 0.0);
    assert_eq!(metric(contacts), 2.0);
    network.reaches(dialogs, 0.0);
    network.reaches("rtpengine_closed_sessions_total{reason=\"terminated\"}", 1.0);
    assert!(metric("rtpengine_packets_total{type=\"userspace\"}") > 1.0);
    assert!(metric("strowger_recorder_messages") > 10.0);
    assert!(metric("strowger_hep_messages_total{fate=\"sent\"}") > 10.0);

    let (status, text) = network.get("/metrics");
    assert_eq!(status, 200);
    let told: BTreeSet<&str> = samples(&text).map(|(name, ..)| name).collect();
    let known: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(told, known);
    for family in FAMILIES {
        let start = format!("# HELP {} {}\n# TYPE {} ", family.name, family.help, family.name);
        assert_eq!(text.matches(&start).count(), 1, "{}", family.name);
        let of = samples(&text).filter(|(name, ..)| *name == family.name);
        for (_, labels, _) in of {
            let names = labels.split(',').filter_map(|l| l.split_once('=')).map(|(name, _)| name);
            assert_eq!(names.collect::<Vec<_>>(), family.labels, "{labels}");
        }
    }
    // What is alive in a function, and what it does, stands in a table of its own.
    let words = documentation();
    let mut documented = 0;
    for (name, labels, _) in samples(&text) {
        if matches!(name, "strowger_alive" | "strowger_done_total") {
            let quoted: Vec<&str> = labels.split('"').skip(1).step_by(2).collect();
            let row = format!("| `{name}` | `{}` | `{}` |", quoted[0], quoted[1]);
            assert!(words.contains(&row), "docs/metrics.md lacks {row}");
            documented += 1;
        }
    }
    let rows = ["| `strowger_alive` | `", "| `strowger_done_total` | `"];
    assert_eq!(rows.map(|row| words.matches(row).count()).iter().sum::<usize>(), documented);
}

#[test]
fn scrapes_at_the_same_time_and_garbage_do_no_harm() {
    let network = Network::start(&format!("{QUIET}[observe]\nmetrics = \"127.0.0.1:0\"\n"), "");
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(network.get("/metrics").0, 200));
        }
    });
    assert_eq!(network.get("/%00").0, 404);
    // 20 scrapes, and no more orders than a few scrapes take: the answers are shared.
    assert!(network.metric("strowger_steps_total") < 1000.0);
}

#[test]
fn the_check_tells_which_diameter_application_is_down() {
    let all = Network::start(&format!("{QUIET}[observe]\nmetrics = \"127.0.0.1:0\"\n"), "");
    let (status, text) = all.get("/check");
    assert_eq!((status, text.lines().next()), (200, Some("ok")), "{text}");
    for line in ["hss up", "media up", "pcscf up", "scscf application Cx up"] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
    let host = "hss.ims.mnc001.mcc001.3gppnetwork.org";
    assert!(text.contains(&format!("icscf peer {host} up\n")), "{text}");

    // An HSS that does not run, and then does.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "store = \"s/x.redb\"\n[hss]\nat = \"{free}\"\n[scscf]\nlisten = \"127.0.0.1:0\"\n\
         [observe]\nmetrics = \"127.0.0.1:0\"\n"
    );
    let scscf = Network::start(&config, "--role scscf,icscf");
    let (status, text) = scscf.get("/check");
    let first = "down: icscf has no Diameter peer for Cx, scscf has no Diameter peer for Cx";
    assert_eq!((status, text.lines().next()), (500, Some(first)), "{text}");
    assert!(text.contains(&format!("scscf peer {host} down\n")), "{text}");
    let up = "strowger_diameter_application_up{function=\"scscf\",application=\"Cx\"}";
    assert_eq!(scscf.metric(up), 0.0);

    let listen = format!("store = \"s/x.redb\"\n[hss]\nlisten = \"{free}\"\n");
    let mut hss = Network::start(&listen, "--role hss");
    let end = Instant::now() + Duration::from_secs(30);
    while scscf.get("/check").0 != 200 {
        assert!(Instant::now() < end, "{}", scscf.get("/check").1);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(scscf.metric(up), 1.0);
    hss.child.kill().unwrap();
    while scscf.get("/check").0 != 500 {
        assert!(Instant::now() < end, "{}", scscf.get("/check").1);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_function_that_does_not_answer_is_down_and_nobody_waits_long() {
    let log = Log { format: Format::Human, least: base::Severity::Error };
    let plan = Plan::all_in_one("ims.test");
    let mut process = Process::build(&plan, MemoryStore::default(), None, log).unwrap();
    let metrics = vec!["127.0.0.1:0".parse().unwrap()];
    process.observe(&Observe { metrics, ..Observe::default() }).unwrap();
    let (at, media) = (process.pages()[0], process.functions()[&Role::Media]);
    let handle = process.handle();
    let running = std::thread::spawn(move || process.run(()));
    assert_eq!(get(at, "/check").0, 200);
    handle.stop_function(media).unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while get(at, "/check").0 != 500 {
                    // Who asks without a break is refused.
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    // The answers of a moment ago, then one time of patience for all who ask.
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let (_, text) = get(at, "/check");
    assert!(text.starts_with("down: media does not answer\n"), "{text}");
    let (status, text) = get(at, "/metrics");
    assert!(
        status == 200 && text.contains("strowger_function_up{function=\"media\"} 0\n"),
        "{text}"
    );
    assert!(text.contains("strowger_function_up{function=\"scscf\"} 1\n"), "{text}");
    handle.stop().unwrap();
    running.join().unwrap().unwrap();
    assert!(TcpStream::connect(at).is_err(), "the page is closed with the process");
}

#[test]
fn a_metrics_port_in_use_names_its_holder() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let network = Network::start(QUIET, "");
    let config = format!("{QUIET}[observe]\nmetrics = \"{at}\"\n").replace("s/x.redb", "t/x.redb");
    fs::write(network.folder.join("other.toml"), config).unwrap();
    let output = command(&network.folder, "run -c other.toml").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    // The system cuts the names of commands short.
    let holder = "is in use by observe-";
    assert!(said.contains(&format!("metrics: Tcp {at} {holder}")), "{said}");
    assert!(said.contains("[observe] metrics = "), "{said}");
}

/// The collector gets what `trace` shows, with the same secrets overwritten.
#[test]
fn hep_carries_what_the_trace_shows() {
    let hep = UdpSocket::bind("127.0.0.1:0").unwrap();
    hep.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let at = hep.local_addr().unwrap();
    // All at once would not fit into the socket's buffer.
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut room = vec![0; 65_536];
        while let Ok(length) = hep.recv(&mut room) {
            let _ = tell.send(room[..length].to_vec());
        }
    });
    let observe = format!("[observe]\nhep = \"{at}\"\nhep_id = 4711\n");
    let network = Network::start(&format!("{QUIET}{observe}"), "");
    assert!(network.said.iter().any(|line| *line == format!("HEP goes to udp:{at}")));
    network.works(&format!("sub add {SIM} --msisdn 15550101 {KEYS}"));
    assert!(network.register(&format!("{SIM} {KEYS}")));
    network.works("trace --to all.jsonl");
    network.works("trace --to open.jsonl --with-secrets");
    let read = |name: &str| fs::read_to_string(network.folder.join(name)).unwrap();
    let shown: Vec<ladder::Record> =
        read("all.jsonl").lines().map(|line| ladder::json::parse(line).unwrap()).collect();
    let secrets: BTreeSet<String> = read("open.jsonl")
        .split("k=\\\"")
        .skip(1)
        .filter_map(|rest| rest.split('\\').next().filter(|key| key.len() == 32))
        .map(str::to_owned)
        .collect();
    assert!(!secrets.is_empty(), "a challenge has CK and IK");
    let next = |_| heard.recv_timeout(Duration::from_secs(10)).expect("a packet for each message");
    let received: Vec<Vec<u8>> = shown.iter().map(next).collect();
    for (record, bytes) in shown.iter().zip(&received) {
        let packet = hep::Packet::parse(bytes).unwrap();
        assert_eq!((packet.agent, packet.time), (4711, record.at));
        let text = String::from_utf8_lossy(packet.payload);
        for secret in &secrets {
            assert!(!text.contains(secret), "{text}");
        }
        match record.service {
            base::Service::Diameter => {
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                let hex: String = record.bytes.iter().map(|b| format!("{b:02x}")).collect();
                assert_eq!(json["hex"], hex.as_str());
            }
            _ => assert_eq!(packet.payload, &record.bytes[..]),
        }
        let call_id = text.lines().find_map(|line| line.strip_prefix("Call-ID: "));
        if let Some(call_id) = call_id {
            assert_eq!(packet.correlation, Some(call_id.trim().as_bytes()));
        }
    }
}

#[test]
fn log_lines_name_call_and_subscriber_and_no_secret() {
    let network = Network::start(QUIET, "--log json --verbose");
    network.works(&format!("sub add {SIM} --msisdn 15550101 {KEYS}"));
    assert!(network.register(&format!("{SIM} {KEYS}")));
    network.works("sub add --name bob --password open");
    assert!(!network.register(BOB));
    network.works("trace --to open.jsonl --with-secrets");
    let crossed = fs::read_to_string(network.folder.join("open.jsonl")).unwrap();
    let impi = "001010000000001@ims.mnc001.mcc001.3gppnetwork.org";
    let impu = format!("sip:{impi}");
    // The log is written by another thread: the last line of the second registration is waited for.
    let end = Instant::now() + Duration::from_secs(10);
    let log = loop {
        let log = fs::read_to_string(network.folder.join("log")).unwrap();
        if log.ends_with('\n')
            && log.contains("scscf.wrong_response")
            && log.contains("pcscf.deregistered")
        {
            break log;
        }
        assert!(Instant::now() < end, "{log}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let line = |counter: &str| {
        lines
            .iter()
            .find(|line| line["counter"] == counter)
            .unwrap_or_else(|| panic!("{counter}: {log}"))
    };
    assert_eq!(line("scscf.registered")["impi"], impi);
    assert_eq!(line("scscf.registered")["impu"], impu.as_str());
    let bob = "bob@ims.mnc001.mcc001.3gppnetwork.org";
    assert_eq!(line("scscf.wrong_response")["impi"], bob);
    assert_eq!(line("scscf.wrong_response")["impu"], format!("sip:{bob}"));
    assert_eq!(line("scscf.deregistered")["impi"], impi);
    for counter in ["pcscf.registered", "pcscf.deregistered"] {
        assert_eq!(line(counter)["impu"], impu.as_str());
    }
    for counter in ["scscf.registered", "scscf.wrong_response", "scscf.refused"] {
        let call_id = line(counter)["call_id"].as_str().expect(counter);
        assert!(crossed.contains(&format!("Call-ID: {call_id}\\r\\n")), "{call_id}");
    }
    let keys = crossed.split("k=\\\"").skip(1).filter_map(|rest| rest.split('\\').next());
    let keys: BTreeSet<&str> = keys.filter(|key| key.len() == 32).collect();
    assert!(keys.len() >= 2, "the SIM's challenge has CK and IK");
    for secret in keys.into_iter().chain(["465b5ce8b199b49faa5f0a2ee238a6bc", "shut"]) {
        assert!(!log.contains(secret), "{log}");
    }
}
