//! The program as a person starts it: child processes, real files, free ports.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;
mod running;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use folder::Folder;
use running::Running;

impl Folder {
    /// A running process with these functions on free ports, once it is ready.
    fn run(&self, args: &str) -> Running {
        self.start(&format!("run --grace 0 {args}"))
    }

    /// A running process that takes its time to end.
    fn patient(&self, args: &str) -> Running {
        self.start(&format!("run --grace 600 {args}"))
    }
}

const FREE: &str = "store = \"s/x.redb\"\n\
    [pcscf]\nlisten = [\"127.0.0.1:0\"]\n[hss]\nlisten = \"127.0.0.1:0\"\n[media]\nlisten = []\n[scscf]\nlisten = []\n";
const KEYS: &str = "--k 465b5ce8b199b49faa5f0a2ee238a6bc --op cdc202d5123e20f62b6d676ac72cb318";
const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

/// What holds with and without a running process.
fn subscribers(folder: &Folder) {
    let sim = folder.works(&format!("sub add --imsi 001010000000001 --msisdn 491701 {KEYS}"));
    assert!(sim.contains(&format!("public identity    sip:+491701@{DOMAIN}\n")), "{sim}");
    assert!(sim.contains("only to register") && !sim.contains("cd63cb"), "{sim}");
    folder.works("sub add --name alice --password open --msisdn 491702");
    let again = folder.fails("sub add --name alice --password open", 1);
    assert!(again.contains("--replace writes over it"), "{again}");
    let taken = folder.fails("sub add --name bob --password open --msisdn 491701", 1);
    assert!(taken.contains(&format!("belongs to 001010000000001@{DOMAIN} already")), "{taken}");
    let ifc = "--ifc sip:as.ex.org --ifc sip:b.ex.org;lr";
    let alice = format!("sub add --name alice --password open --replace --msisdn 491703 {ifc}");
    let alice = folder.works(&alice);
    assert!(alice.contains("filter criteria    sip:as.ex.org priority=0\n"), "{alice}");
    assert!(folder.works("sub show alice").contains("criteria    sip:b.ex.org;lr priority=1\n"));
    let wrong = folder.fails("sub add --name bob --password open --ifc as.ex.org", 1);
    assert!(wrong.contains("character 1: expected the application server's SIP URI"), "{wrong}");
    assert!(wrong.contains("help: such as --ifc \"sip:as.example.org:5090 when"), "{wrong}");
    assert!(folder.fails("sub show 491702", 1).contains("there is no subscriber \"491702\""));
    for who in ["491701", "+491701", "tel:+491701", "001010000000001"] {
        assert!(folder.works(&format!("sub show {who}")).contains("IMSI"), "{who}");
    }
    assert!(folder.works("sub show alice").contains("H(A1) SHA-256      <secret>"));
    // OPc of TS 35.208 §4.3.1.
    let secrets = folder.works("sub show 491701 --with-secrets");
    assert!(secrets.contains("cd63cb71954a9f4e48a5994e37a02baf"), "{secrets}");
    assert_eq!(folder.works("sub list").lines().count(), 2);
    let export = folder.works("sub export");
    let barred = folder.works("sub bar 491701 alice");
    assert!(barred.contains(&format!("alice@{DOMAIN} is barred\n")), "{barred}");
    assert_eq!(folder.works("sub show 491701").matches("only to register").count(), 3);
    folder.works("sub unbar 491701 alice");
    assert_eq!(folder.works("sub show 491701").matches("only to register").count(), 1);
    assert_eq!(folder.works("sub export"), export);
    assert!(folder.fails("sub bar nobody", 1).contains("there is no subscriber"));
    folder.works("sub rm 491701 alice");
    assert_eq!(folder.works("sub list"), "");
    folder.write("all.csv", &export);
    assert_eq!(folder.works("sub import all.csv"), "2 subscribers are there now\n");
    assert_eq!(folder.works("sub export"), export);
    folder.works("sub rm 491701 491703");
    let rows: String = (0..450).map(|n| format!("user{n:03},pass\n")).collect();
    folder.write("many.csv", &format!("name,password\n{rows}"));
    folder.works("sub import many.csv");
    assert_eq!(folder.works("sub list").lines().count(), 450);
    // The second page is as wrong as the first: nothing is written of either.
    let rows: String = (0..250).map(|n| format!("late{n:03},pass\n")).collect();
    for (last, said) in [("user001,pass", "is there already"), ("late001,pass", "twice in")] {
        folder.write("late.csv", &format!("name,password\n{rows}{last}\n"));
        let late = folder.fails("sub import late.csv", 1);
        assert!(late.contains(said) && late.contains("nothing was written"), "{late}");
        assert_eq!(folder.works("sub list").lines().count(), 450);
    }
    let there = folder.fails("sub export all.csv", 1);
    assert!(there.contains("help: name another file"), "{there}");
    folder.works("sub export keys.csv");
    let mode = fs::metadata(folder.0.join("keys.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::remove_file(folder.0.join("keys.csv")).unwrap();
    folder.write("bad.csv", "imsi,k,opc\n1,2,3\n");
    let bad = folder.fails("sub import bad.csv", 1);
    assert!(bad.contains("bad.csv:2:3: K must be 32 hexadecimal digits"), "{bad}");
    assert!(bad.contains("nothing was written"), "{bad}");
}

#[test]
fn subscribers_without_a_process() {
    let folder = Folder::empty();
    folder.write("strowger.toml", FREE);
    subscribers(&folder);
    let nobody = folder.fails("sub deregister user001", 1);
    assert!(nobody.contains("no strowger runs with this state"), "{nobody}");
    assert!(nobody.contains("start `strowger run` first"), "{nobody}");
    let mode = fs::metadata(folder.0.join("s/x.redb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn subscribers_of_a_running_process() {
    let folder = Folder::empty();
    folder.write("strowger.toml", FREE);
    let running = folder.run("");
    let door = folder.0.join("s/x.redb.sock");
    assert_eq!(fs::metadata(&door).unwrap().permissions().mode() & 0o777, 0o600);
    subscribers(&folder);
    let nobody = folder.fails("sub deregister user001", 1);
    assert!(nobody.contains(&format!("user001@{DOMAIN} is not registered")), "{nobody}");
    let said = running.said.join("\n");
    assert!(said.contains("pcscf listens on udp:127.0.0.1:"), "{said}");
    assert!(said.contains("icscf is reached within this process only"), "{said}");
    let second = folder.fails("run", 1);
    assert!(second.contains("in use by another process"), "{second}");
    nonsense(&door);
    let log = running.end();
    assert!(log.contains("[strowger.end]"), "{log}");
    assert!(!door.exists());
    // What was written is there, and another process finds it too.
    assert_eq!(folder.works("sub list").lines().count(), 450);
    let running = folder.run("--role hss --log json");
    assert_eq!(folder.works("sub list").lines().count(), 450);
    let log = running.end();
    let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(line["counter"], "strowger.end");
}

/// A process that runs with another store in the same folder is not asked.
#[test]
fn each_store_has_its_own_door() {
    let folder = Folder::empty();
    folder.write("strowger.toml", FREE);
    folder.write("other.toml", &FREE.replace("x.redb", "y.redb"));
    let first = folder.run("--role hss");
    folder.works("sub add --name alice --password open");
    folder.works("sub add -c other.toml --name bob --password open");
    assert!(folder.works("sub list").starts_with("alice@"));
    assert!(folder.works("sub list -c other.toml").starts_with("bob@"));
    let second = folder.run("--role media -c other.toml");
    assert!(folder.works("sub list -c other.toml").starts_with("bob@"));
    second.end();
    first.end();
    let folders = format!("{0}/a:{0}/b", folder.0.display());
    fs::remove_file(folder.0.join("strowger.toml")).unwrap();
    let list = folder.command("sub list").env("STATE_DIRECTORY", &folders).output();
    assert!(list.unwrap().status.success());
    assert!(folder.0.join("a/strowger.redb").exists());
}

/// Whatever comes through the door is answered, and the door stays open.
fn nonsense(door: &Path) {
    let mut stream = UnixStream::connect(door).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for line in
        ["what", "{\"put\":{\"subscribers\":[{\"subscriber\":{}}]}}", "{\"list\":{\"x\":1}}"]
    {
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        assert!(answer.starts_with("{\"error\":"), "{answer}");
    }
    writeln!(stream, "{{\"list\":{{}}}}").unwrap();
    let mut answer = String::new();
    reader.read_line(&mut answer).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["ok"]["more"], true);
}

#[test]
fn a_port_in_use_names_its_holder() {
    let folder = Folder::empty();
    let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap();
    folder.write("strowger.toml", &format!("roles = [\"pcscf\"]\n[pcscf]\nlisten = \"{addr}\"\n"));
    let said = folder.fails("run --state s", 1);
    let holder = format!("(process {})", std::process::id());
    assert!(said.contains(&holder) && said.contains("help: stop that one"), "{said}");
}

#[test]
fn a_stale_door_is_no_obstacle() {
    let folder = Folder::empty();
    folder.write("strowger.toml", FREE);
    let mut running = folder.run("--role hss");
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    assert!(folder.0.join("s/x.redb.sock").exists());
    assert_eq!(folder.works("sub list"), "");
    folder.run("--role hss").end();
}

/// What a running process is told takes effect at once: a telephone that is added is challenged.
#[test]
fn a_telephone_that_was_added_while_it_runs_is_challenged() {
    let folder = Folder::empty();
    folder.write("strowger.toml", FREE);
    let running = folder.run("");
    folder.works("sub add --name alice --password open");
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = phone.local_addr().unwrap();
    let listens = |line: &String| line.strip_prefix("pcscf listens on udp:").map(str::to_owned);
    let pcscf = running.said.iter().find_map(listens).unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let register = |who: &str, branch: &str| {
        format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {here};branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{who}@{DOMAIN}>;tag=1\r\n\
             To: <sip:{who}@{DOMAIN}>\r\n\
             Call-ID: {branch}@{here}\r\n\
             CSeq: 1 REGISTER\r\n\
             Contact: <sip:{who}@{here}>\r\n\
             Authorization: Digest username=\"{who}@{DOMAIN}\", realm=\"{DOMAIN}\", nonce=\"\", \
             uri=\"sip:{DOMAIN}\", response=\"\"\r\n\
             Expires: 600\r\n\
             Content-Length: 0\r\n\r\n"
        )
    };
    let mut answers = Vec::new();
    for who in ["alice", "nobody"] {
        phone.send_to(register(who, who).as_bytes(), &pcscf).unwrap();
        let answer = loop {
            let mut room = [0; 4096];
            let length = phone.recv(&mut room).unwrap();
            let text = String::from_utf8_lossy(&room[..length]).into_owned();
            if !text.starts_with("SIP/2.0 1") {
                break text;
            }
        };
        answers.push(answer);
    }
    let log = running.end();
    assert!(answers[0].starts_with("SIP/2.0 401 "), "{}\n{log}", answers[0]);
    assert!(answers[0].contains(&format!("realm=\"{DOMAIN}\"")), "{}", answers[0]);
    assert!(answers[1].starts_with("SIP/2.0 403 "), "{}\n{log}", answers[1]);
}

#[test]
fn a_signal_ends_it_when_nothing_is_under_way() {
    let folder = Folder::empty();
    folder.write("strowger.toml", FREE);
    let mut running = folder.patient("--role scscf");
    let said = running.said.join("\n");
    assert!(said.contains(&format!("hss is looked up in DNS as hss.{DOMAIN}")), "{said}");
    running.terminate();
    assert!(running.child.wait().unwrap().success());
}

/// An offer to a media relay, in the JSON form of NG.
const OFFER: &str = r#"1 {"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"}"#;

#[test]
fn a_second_signal_ends_it_in_the_middle_of_a_call() {
    let folder = Folder::empty();
    folder.write(
        "strowger.toml",
        &FREE.replace("[media]\nlisten = []", "[media]\nlisten = [\"127.0.0.1:0\"]"),
    );
    let mut running = folder.patient("--role media");
    let listens = "media listens on udp:";
    let relay = running.said.iter().find_map(|line| line.strip_prefix(listens)).unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(OFFER.as_bytes(), relay).unwrap();
    let mut answer = [0; 2000];
    let length = socket.recv(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.contains("\"result\":\"ok\""), "{answer}");
    running.terminate();
    let log = BufReader::new(running.child.stderr.take().unwrap()).lines();
    assert!(log.map_while(Result::ok).any(|line| line.contains("a second signal ends it")));
    running.terminate();
    assert_eq!(running.child.wait().unwrap().code(), Some(1));
}

#[test]
fn configurations() {
    let folder = Folder::empty();
    assert!(folder.works("config init here.toml").contains("strowger run -c here.toml"));
    assert!(folder.fails("config init here.toml", 1).contains("--force writes over it"));
    folder.works("config init here.toml --force");
    assert!(folder.works("config check here.toml").contains("is right; it runs hss, "));
    assert!(folder.works("config check -c here.toml").contains("is right; it runs hss, "));
    let none = folder.fails("config check", 1);
    assert!(none.contains("help: `strowger config init strowger.toml` writes one"), "{none}");
    folder.write("strowger.toml", "[pcsf]\nlisten = []\n");
    for args in ["config check", "run", "sub list"] {
        let said = folder.fails(args, 1);
        assert!(said.contains("--> strowger.toml:1:2"), "{said}");
        assert!(said.contains("help: did you mean `pcscf`?"), "{said}");
    }
    for args in ["config check missing.toml", "run -c missing.toml", "sub list -c missing.toml"] {
        let said = folder.fails(args, 1);
        let advice = "error: there is no missing.toml\n  \
            help: `strowger config init missing.toml` writes one\n";
        assert_eq!(said, advice, "{args}");
    }
    fs::create_dir(folder.0.join("folder")).unwrap();
    let said = folder.fails("run -c folder", 1);
    assert!(
        said.contains("folder cannot be read: ") && said.contains("-c names another"),
        "{said}"
    );
    let schema: serde_json::Value = serde_json::from_str(&folder.works("config schema")).unwrap();
    assert_eq!(schema["additionalProperties"], false);
}

/// Every codec is heard by whoever has another one.
#[test]
fn codecs_are_measured() {
    let text = Folder::empty().works("media codecs");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 12, "{text}");
    for line in &lines[1..] {
        let alike = line.split_whitespace().skip(1).step_by(2);
        let alike: Vec<f64> = alike.map(|number| number.parse().expect(line)).collect();
        assert!(alike.len() == 11 && alike.iter().all(|alike| *alike > 0.85), "{line}");
    }
}

/// Before anything starts, not after the call.
#[test]
fn a_demonstration_that_cannot_write_says_so_at_once() {
    let folder = Folder::empty();
    folder.write("file", "");
    for out in ["file", "file/below", "/proc/nowhere", "/proc"] {
        let output = folder.output(&format!("demo --out {out}"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{out}: {said}");
        assert!(said.starts_with(&format!("error: cannot write into {out}: ")), "{said}");
        assert!(said.ends_with("  help: choose another folder: --out DIR\n"), "{said}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(!shown.contains("network ready"), "{shown}");
    }
}

#[test]
fn what_is_not_understood() {
    let folder = Folder::empty();
    assert!(folder.works("--help").contains("strowger help COMMAND"));
    assert!(folder.works("help run").contains("Examples:"));
    assert!(folder.fails("ru", 2).contains("'run'"));
    assert!(folder.fails("run --role pscf", 2).contains("did you mean \"pcscf\"?"));
    assert!(folder.fails("sub add", 2).contains("--imsi"));
    let add = |rest: &str, code| folder.fails(&format!("sub add --state s {rest}"), code);
    let no_opc = add("--imsi 001010000000001 --k 465b5ce8b199b49faa5f0a2ee238a6bc", 1);
    assert!(no_opc.contains("help: give --opc, or --op"), "{no_opc}");
    assert!(add(&format!("--imsi 12 {KEYS}"), 1).contains("an IMSI is 6 to 15 decimal digits"));
    assert!(add("--imsi 001010000000001 --k 46 --op 1", 1).contains("these are 2 characters"));
    assert!(!folder.0.join("s").exists(), "nothing is written before all is right");
}

#[test]
fn a_store_is_checked_backed_up_and_brought_back() {
    let folder = Folder::empty();
    folder.write("strowger.toml", FREE);
    folder.works(&format!("sub add --imsi 001010000000001 --msisdn 491701 {KEYS}"));
    folder.works("sub add --name alice --password open");
    let running = folder.run("");
    let at = running.said.iter().find_map(|l| l.strip_prefix("pcscf listens on udp:")).unwrap();
    let phone = format!("ue answer --imsi 001010000000001 {KEYS} --server {at}");
    let mut phone = folder.command(&phone).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(phone.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!({ said }.any(|line| line.contains("ready for calls")));

    let checked = folder.works("store check");
    assert!(checked.contains("hss.subscriber     2\n"), "{checked}");
    assert!(checked.ends_with("everything fits together\n"), "{checked}");
    assert_eq!(folder.works("store dump all.jsonl"), "");
    assert_eq!(
        fs::metadata(folder.0.join("all.jsonl")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(folder.fails("store dump all.jsonl", 1).contains("is there already"));
    assert!(folder.fails("store restore all.jsonl", 1).contains("stop it first"));
    phone.kill().unwrap();
    phone.wait().unwrap();
    running.end();
    // The very same lines come out of a store that nobody runs, and out of another that got them.
    let all = fs::read_to_string(folder.0.join("all.jsonl")).unwrap();
    let tables: Vec<&str> = all.lines().filter_map(|line| line.split('"').nth(3)).collect();
    for table in ["hss.subscriber", "hss.sqn", "hss.registration", "scscf.user", "pcscf.binding"] {
        assert!(tables.contains(&table), "{table} is missing: {all}");
    }
    assert!(folder.fails("store restore all.jsonl", 1).contains("is not empty"));
    let told = folder.works("store restore all.jsonl --state other");
    assert!(told.contains("pcscf.binding      1\n"), "{told}");
    assert_eq!(folder.works("store dump --state other"), all);
    assert!(folder.works("sub show 491701 --state other").contains("001010000000001"));

    folder.write("broken.jsonl", &all.replacen("\"hss.identity\"", "\"hss.identities\"", 1));
    let wrong = folder.fails("store restore broken.jsonl --state third", 1);
    assert!(wrong.contains("broken.jsonl:4: there is no table \"hss.identities\""), "{wrong}");
    assert!(folder.fails("store restore strowger.toml --state third", 1).contains("no backup"));
    let orphan: String = all
        .lines()
        .filter(|line| !line.contains("\"hss.identity\""))
        .fold(String::new(), |text, line| text + line + "\n");
    folder.write("orphan.jsonl", &orphan);
    folder.works("store restore orphan.jsonl --state fourth");
    let wrong = folder.fails("store check --state fourth", 1);
    assert!(wrong.contains("it is missing, though alice@"), "{wrong}");
}
