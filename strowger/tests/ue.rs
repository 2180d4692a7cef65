//! `strowger ue` as a person starts it: test phones in processes of their own at a network in another.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

const KEYS: &str = "--k 465b5ce8b199b49faa5f0a2ee238a6bc --op cdc202d5123e20f62b6d676ac72cb318";
const ALICE: &str = "--imsi 001010000000001";
const BOB: &str = "--user bob --password open --domain ims.mnc001.mcc001.3gppnetwork.org";

/// A running network with two subscribers, in a folder of its own.
struct Network {
    folder: PathBuf,
    child: Child,
    v4: String,
    v6: Option<String>,
}

impl Network {
    fn start() -> Network {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("strowger-ue-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let (port, v6) = free_port();
        let (listen, addresses) = match v6 {
            true => (format!("\"127.0.0.1:{port}\", \"[::1]:{port}\""), r#""127.0.0.1", "::1""#),
            false => (format!("\"127.0.0.1:{port}\""), r#""127.0.0.1""#),
        };
        // Tests run at the same time: each has ports of its own.
        let first = 32_000 + (std::process::id() % 50) * 500 + number * 50;
        let text = format!(
            "store = \"s/x.redb\"\nroles = [\"hss\", \"media\", \"scscf\", \"icscf\", \"pcscf\", \
             \"ipsmgw\"]\n[pcscf]\nlisten = [{listen}]\n[hss]\nlisten = []\n\
             [scscf]\nlisten = []\n[media]\nlisten = []\naddresses = [{addresses}]\n\
             ports = \"{first}-{}\"\n",
            first + 49
        );
        fs::write(folder.join("strowger.toml"), text).unwrap();
        let mut run = command(&folder, "run --grace 0");
        let mut child = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut v4, mut v6) = (None, None);
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if let Some(at) = line.strip_prefix("pcscf listens on udp:") {
                let place = if at.starts_with('[') { &mut v6 } else { &mut v4 };
                *place = Some(at.to_owned());
            }
            if line.starts_with("ready in ") {
                break;
            }
        }
        let network = Network { folder, child, v4: v4.unwrap(), v6 };
        for add in [
            format!("sub add {ALICE} --msisdn 15550101 {KEYS}"),
            "sub add --name bob --password open --msisdn 15550102".to_owned(),
        ] {
            assert!(command(&network.folder, &add).output().unwrap().status.success());
        }
        network
    }

    fn phone(&self, args: &str) -> Command {
        command(&self.folder, &format!("ue {args} --server {}", self.v4))
    }

    /// The JSON report of a phone that succeeds.
    fn works(&self, args: &str) -> Value {
        let output = self.phone(&format!("{args} --json -")).output().unwrap();
        assert!(output.status.success(), "{args}: {}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["ok"], true);
        report
    }

    fn fails(&self, args: &str, code: i32) -> Output {
        let output = self.phone(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args}: {}", text(&output.stderr));
        output
    }

    /// A phone that waits for calls, once it is ready.
    fn answering(&self, args: &str) -> Answering {
        self.all_answering(args, 1)
    }

    /// The same with several phones, once they all are ready.
    fn all_answering(&self, args: &str, phones: usize) -> Answering {
        let mut child = self
            .phone(&format!("answer {args} --json answer.json"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = |line: &String| line.ends_with("ready for calls");
        let ready = lines.by_ref().map_while(Result::ok).filter(ready).take(phones).count();
        assert_eq!(ready, phones, "the phone ended");
        Answering { child, lines, report: self.folder.join("answer.json") }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

struct Answering {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    report: PathBuf,
}

impl Answering {
    /// Waits for a line of standard error.
    fn hears(&mut self, what: &str) {
        let found = self.lines.by_ref().map_while(Result::ok).any(|line| line.contains(what));
        assert!(found, "{what}");
    }

    fn interrupt(&self) {
        let kill = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Its report, once it has ended by itself.
    fn report(mut self) -> Value {
        let rest: Vec<String> = self.lines.map_while(Result::ok).collect();
        assert!(self.child.wait().unwrap().success(), "{}", rest.join("\n"));
        serde_json::from_slice(&fs::read(&self.report).unwrap()).unwrap()
    }
}

/// A port that is free for UDP and TCP on loopback, and whether that has IPv6.
fn free_port() -> (u16, bool) {
    let v6 = UdpSocket::bind("[::1]:0").is_ok();
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        let both = |host: &str| {
            let udp = host == "127.0.0.1" || UdpSocket::bind((host, port)).is_ok();
            udp && TcpListener::bind((host, port)).is_ok()
        };
        if both("127.0.0.1") && (!v6 || both("::1")) {
            return (port, v6);
        }
    }
}

fn command(folder: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strowger"));
    command.args(args.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    for variable in ["CONFIG", "K", "OPC", "OP", "PASSWORD"] {
        command.env_remove(format!("STROWGER_{variable}"));
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn phones_register_with_sims_and_passwords() {
    let network = Network::start();
    let sim = format!("register {ALICE} {KEYS}");
    let report = network.works(&sim);
    let phone = &report["phones"][0];
    assert_eq!(phone["resynchronised"], false);
    assert_eq!(phone["status"], 200);
    assert!(phone["registration_ms"].as_f64().unwrap() > 0.0);
    // A SIM that is ahead of the HSS.
    let report = network.works(&format!("{sim} --sqn 0000000f0000"));
    assert_eq!(report["phones"][0]["resynchronised"], true);
    for ways in ["", "--transport tcp", "--no-ims", "--no-ims --transport tcp --auth-user bob"] {
        let report = network.works(&format!("register {BOB} {ways}"));
        let identity = report["phones"][0]["identity"].as_str().unwrap();
        assert!(identity.starts_with("sip:bob@"), "{identity}");
    }
    let secret = network.folder.join("secret");
    fs::write(&secret, "open\n").unwrap();
    network.works(&format!(
        "register {} --password-file {}",
        BOB.replace("--password open", ""),
        secret.display()
    ));
    if let Some(v6) = &network.v6 {
        for transport in ["udp", "tcp"] {
            let args = format!("ue register {BOB} --server {v6} --transport {transport}");
            let output = command(&network.folder, &args).output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert!(text(&output.stdout).starts_with("1 of 1 registered in "));
        }
    }
}

#[test]
fn refusals_say_what_to_do() {
    let network = Network::start();
    let wrong = network.fails(&format!("register {}", BOB.replace("open", "shut")), 1);
    let said = text(&wrong.stderr);
    assert!(said.contains("403 Forbidden: wrong password or key, or the user is not "), "{said}");
    assert!(text(&wrong.stdout).starts_with("0 of 1 registered"));
    let wrong = network.fails(&format!("register {ALICE} {} -q", KEYS.replace("465b", "465c")), 1);
    assert!(text(&wrong.stderr).contains("K, OPc or OP is not the one"), "{}", text(&wrong.stderr));
    let nobody = network.fails(&format!("call nobody {ALICE} {KEYS} -q"), 1);
    let said = text(&nobody.stderr);
    assert!(said.contains("404 Not Found: nobody is known as nobody"), "{said}");
    let absent = network.fails(&format!("message +15550102 hello {ALICE} {KEYS} --json a.json"), 1);
    let said = text(&absent.stderr);
    let report: Value =
        serde_json::from_slice(&fs::read(network.folder.join("a.json")).unwrap()).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["phones"][0]["registered"], true);
    assert_ne!(report["messages"][0]["status"], 200, "{said}");
    for (args, what) in [
        (
            format!("register {ALICE} --k 46 --op 1"),
            "--k must be 32 hexadecimal digits; these are 2",
        ),
        ("register --user bob".to_owned(), "--user needs --password"),
        (format!("register {ALICE}"), "--imsi needs --k"),
        (format!("call 1 {BOB} --dtmf x"), "digits are 0-9"),
        (format!("call 1 {BOB} --patience 241"), "240 seconds at most"),
        (format!("register {BOB} --local here"), "an IP address of this machine"),
    ] {
        let said = text(&network.fails(&args, 2).stderr);
        assert!(said.contains(what), "{args}: {said}");
    }
    for args in ["register", "call 1", "answer", "message 1 hello"] {
        let said = text(&network.fails(args, 2).stderr);
        for way in ["--imsi 001010000000001 --k HEX --opc HEX", "--user alice --password secret"] {
            assert!(said.contains(way), "{args}: {said}");
        }
    }
    let file = network.fails(&format!("call 1 {BOB} --say strowger.toml"), 1);
    assert!(text(&file.stderr).contains("broken WAV file"), "{}", text(&file.stderr));
    for (option, words) in [("--say", "alice, bob, silence"), ("--expect", "alice, bob")] {
        for command in ["call 1", "answer"] {
            let said = text(&network.fails(&format!("{command} {BOB} {option} nofile"), 1).stderr);
            assert!(said.starts_with(&format!("error: {option} nofile: No such file")), "{said}");
            let takes = format!(
                "{option} takes a WAV file of 8 kHz, 16 bit, mono, or what is built in: {words}\n"
            );
            assert!(said.contains(&takes), "{said}");
        }
    }
    let local = network.fails(&format!("register {BOB} --local {}", network.v4), 1);
    assert!(text(&local.stderr).contains("help: give another --local"), "{}", text(&local.stderr));
}

#[test]
fn one_process_calls_another_and_both_hear_what_was_said() {
    let network = Network::start();
    let answering =
        network.answering(&format!("{BOB} --calls 1 --ring 100 --expect alice --record heard.wav"));
    let caller = network.works(&format!("call +15550102 {ALICE} {KEYS} --expect bob"));
    let call = &caller["calls"][0];
    assert_eq!((call["heard"].as_str(), call["status"].as_u64()), (Some("same"), Some(200)));
    assert_eq!(call["ended_by"], "local");
    let pdd = call["pdd_ms"].as_f64().unwrap();
    let setup = call["setup_ms"].as_f64().unwrap();
    assert!(setup >= 100.0 && pdd > 0.0 && pdd <= setup, "{call}");
    assert!(call["packets"]["received"].as_u64().unwrap() > 150, "{call}");
    assert!(call["talk_s"].as_f64().unwrap() > 3.0 && call["mos"].as_f64().unwrap() > 4.0);
    let report = answering.report();
    let call = &report["calls"][0];
    assert_eq!(
        (call["outgoing"].as_bool(), call["ended_by"].as_str()),
        (Some(false), Some("remote"))
    );
    assert_eq!(call["heard"], "same");
    let wav = rtp::wav::read(&fs::read(network.folder.join("heard.wav")).unwrap()).unwrap();
    assert!(wav.rate == 8000 && wav.samples.len() > 20_000);
}

#[test]
fn digits_hold_texts_and_an_end_from_outside() {
    let network = Network::start();
    let mut answering = network.answering(&format!("{BOB} --ring 0 --transport tcp"));
    let caller = network.works(&format!(
        "call bob {ALICE} {KEYS} --say silence --dtmf 12# --dtmf-at 0 --hold-at 1.2 --hold-for 0.1 --for 1.8"
    ));
    assert_eq!(caller["calls"][0]["heard"], "sound");
    answering.hears("digit #");
    answering.hears("on hold");
    answering.hears("taken back");
    network.works(&format!("message bob hello {ALICE} {KEYS}"));
    answering.hears("hello");
    // What is heard is not what is expected: that is a failure.
    let other = network.fails(&format!("call bob {ALICE} {KEYS} --expect alice --for 2 -q"), 1);
    assert!(text(&other.stderr).contains("what was heard is "), "{}", text(&other.stderr));
    answering.interrupt();
    let report = answering.report();
    assert_eq!(report["calls"][0]["digits"], "12#");
    assert_eq!(report["messages"][0]["text"], "hello");
    assert_eq!((&report["interrupted"], &report["ok"]), (&true.into(), &true.into()));
}

#[test]
fn a_short_message_goes_through_the_service_centre_and_waits_there() {
    let network = Network::start();
    let sms =
        |text: &str, more: &str| format!("message +15550102 {text} --sms {more} {ALICE} {KEYS}");
    let waits = network.works(&sms("early", ""));
    assert_eq!(waits["messages"][0]["reason"], "the service centre has it");
    let mut answering = network.answering(BOB);
    answering.hears("text from +15550101: early");
    let long = "0123456789".repeat(30);
    let delivered = network.works(&sms(&long, "--report"));
    assert_eq!(delivered["messages"][0]["reason"], "short message received by the SME");
    answering.hears(&format!("text from +15550101: {long}"));
    answering.interrupt();
    assert_eq!(answering.report()["messages"][1]["text"], long);
    let absent = network.fails(&sms("late", "--report 0.1 -q"), 1);
    assert!(text(&absent.stderr).contains("no status report came"), "{}", text(&absent.stderr));
    let name = network.fails(&format!("message bob hi --sms {ALICE} {KEYS} -q"), 1);
    assert!(text(&name.stderr).contains("bob is not a telephone number"));
}

#[test]
fn what_an_operator_changes_is_told_to_a_phone_at_once() {
    let network = Network::start();
    let mut answering = network.answering(BOB);
    let sub = |args: &str| {
        let output = command(&network.folder, &format!("sub {args}")).output().unwrap();
        assert!(output.status.success(), "{args}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    // Who has not subscribed yet is not told: the phone gets its NOTIFY in two steps, the P-CSCF in
    // one.
    let notified = |arrows: usize| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let ladder = command(&network.folder, "trace --last bob").output().unwrap();
            let ladder = text(&ladder.stdout);
            if ladder.matches(" NOTIFY").count() >= arrows {
                return;
            }
            assert!(std::time::Instant::now() < end, "{ladder}");
        }
    };
    notified(3);
    assert!(sub("deregister bob --again --reason maintenance").ends_with(" is deregistered\n"));
    answering.hears("the network ended the registration: deactivated");
    // It registers again by itself.
    notified(9);
    sub("bar bob");
    answering.hears("the network ended the registration: rejected");
    network.fails(&format!("register {BOB}"), 1);
    sub("unbar bob");
    network.works(&format!("register {BOB}"));
    answering.interrupt();
}

#[test]
fn many_phones_call_each_other_and_one_that_rejects_is_no_failure() {
    let network = Network::start();
    let names = ["a", "b"].map(|who| (1..=5).map(|n| format!("{who}{n:02},p{n}\n")).collect());
    let names: [String; 2] = names;
    fs::write(network.folder.join("many.csv"), format!("name,password\n{}", names.concat()))
        .unwrap();
    assert!(command(&network.folder, "sub import many.csv").output().unwrap().status.success());
    let many = "--password p{n} --domain ims.mnc001.mcc001.3gppnetwork.org --count 5";
    let answering = network
        .all_answering(&format!("--user b{{n:2}} {many} --calls 5 --ring 200 --record heard"), 5);
    let call = format!("call b{{n:2}} --user a{{n:2}} {many} --for 0.5 --patience 20");
    let report = network.works(&call);
    let calls = report["calls"].as_array().unwrap();
    assert_eq!((report["phones"].as_array().unwrap().len(), calls.len()), (5, 5));
    let report = answering.report();
    assert!(network.folder.join("heard-1").exists());
    assert!(report["calls"].as_array().unwrap().iter().all(|call| call["ok"] == true));
    let rejecting = network.answering(&format!("{BOB} --reject 486 --calls 1"));
    let busy = network.fails(&format!("call bob {ALICE} {KEYS} -q"), 1);
    assert!(text(&busy.stderr).contains("486 Busy Here: bob is busy"), "{}", text(&busy.stderr));
    assert_eq!(rejecting.report()["calls"][0]["status"], 486);
}

/// Any other server: here it is the phone that is called.
#[test]
fn two_phones_need_no_network_and_a_signal_hangs_up() {
    let (port, _) = free_port();
    let folder = std::env::temp_dir();
    let common = "--password x --no-register --no-ims";
    let start = |args: String| {
        let mut command = command(&folder, &args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Answering { child, lines, report: PathBuf::new() }
    };
    let mut bob =
        start(format!("ue answer --user bob {common} --local 127.0.0.1:{port} --ring 0 --calls 1"));
    bob.hears("ready for calls");
    // Loud from the first packet on: what was heard does not depend on when the signal comes.
    let tone: Vec<i16> = (0..8000).map(|n| if n % 8 < 4 { 8000 } else { -8000 }).collect();
    let file = folder.join(format!("strowger-tone-{}.wav", std::process::id()));
    std::fs::write(&file, rtp::wav::write(8000, &tone).unwrap()).unwrap();
    let say = file.display();
    let mut alice = start(format!(
        "ue call bob --user alice {common} --server 127.0.0.1:{port} --for 600 --say {say}"
    ));
    for phone in [&mut alice, &mut bob] {
        phone.hears("hears 127.0.0.1:");
    }
    alice.interrupt();
    alice.hears("error: ended before all was done");
    assert_eq!(alice.child.wait().unwrap().code(), Some(1));
    std::fs::remove_file(&file).unwrap();
    let output = bob.child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = text(&output.stdout);
    assert!(said.starts_with("call from sip:alice@127.0.0.1: answered after "), "{said}");
    assert!(said.ends_with("heard: sound\n"), "{said}");
}
