//! `strowger trace` as a person uses it: child processes, real files, free ports.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use folder::Folder;

const FREE: &str = "store = \"s/x.redb\"\n\
    [pcscf]\nlisten = [\"127.0.0.1:0\"]\n[hss]\nlisten = \"127.0.0.1:0\"\n[media]\nlisten = []\n[scscf]\nlisten = []\n";
const SIM: &str = "sub add --imsi 001010000000001 --msisdn 491701 \
    --k 465b5ce8b199b49faa5f0a2ee238a6bc --op cdc202d5123e20f62b6d676ac72cb318";
const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";
const IMPI: &str = "001010000000001@ims.mnc001.mcc001.3gppnetwork.org";

impl Folder {
    fn new() -> Folder {
        let folder = Folder::empty();
        fs::write(folder.0.join("strowger.toml"), FREE).unwrap();
        folder
    }

    /// Standard output and standard error of a command that works.
    fn output(&self, args: &str) -> (String, String) {
        let output = self.command(args).output().unwrap();
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{args}: {err}");
        (out, err)
    }

    fn works(&self, args: &str) -> String {
        self.output(args).0
    }

    fn fails(&self, args: &str) -> String {
        let output = self.command(args).output().unwrap();
        let (_, err) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{args}: {err}");
        err
    }

    fn start(&self, args: &str) -> Running {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Running { child, out, err }
    }

    /// A running network with a SIM, and its P-CSCF.
    fn network(&self) -> (Running, String) {
        let mut running = self.start("run --grace 0");
        let mut pcscf = None;
        loop {
            let line = running.out.next().unwrap().unwrap();
            if let Some(at) = line.strip_prefix("pcscf listens on udp:") {
                pcscf = Some(at.to_owned());
            }
            if line.starts_with("ready in ") {
                self.works(SIM);
                return (running, pcscf.unwrap());
            }
        }
    }

    /// All lines that the door answers a request for what is remembered with.
    fn door(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.0.join("s/x.redb.sock")).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut text = String::new();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            text += &line;
            if line.starts_with("{\"end\":") {
                return text;
            }
        }
        panic!("the door was closed after {text}");
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.0.join(name)).unwrap().permissions().mode() & 0o777
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

struct Running {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A REGISTER of the SIM without an answer to a challenge; what the P-CSCF says.
fn register(pcscf: &str, call_id: &str) -> String {
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = phone.local_addr().unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let register = format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {here};branch=z9hG4bK{call_id};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{IMPI}>;tag=1\r\n\
         To: <sip:{IMPI}>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: 1 REGISTER\r\n\
         Contact: <sip:{here}>\r\n\
         Authorization: Digest username=\"{IMPI}\", realm=\"{DOMAIN}\", nonce=\"\", \
         uri=\"sip:{DOMAIN}\", response=\"\"\r\n\
         Expires: 600\r\n\
         Content-Length: 0\r\n\r\n"
    );
    phone.send_to(register.as_bytes(), pcscf).unwrap();
    loop {
        let mut room = [0; 4096];
        let length = phone.recv(&mut room).unwrap();
        let text = String::from_utf8_lossy(&room[..length]).into_owned();
        if !text.starts_with("SIP/2.0 1") {
            return text;
        }
    }
}

/// The value of `ck="…"` of the 401 in a file of JSON lines, as the S-CSCF sent it.
fn ck(lines: &str) -> String {
    // A nonce may end with these letters, too.
    let at = lines.find(",ck=\\\"").expect("a challenge has CK") + 6;
    lines[at..].split('\\').next().unwrap().to_owned()
}

#[test]
fn a_registration_is_remembered_masked_written_and_read_back() {
    let folder = Folder::new();
    let (_running, pcscf) = folder.network();
    let answer = register(&pcscf, "first");
    assert!(answer.starts_with("SIP/2.0 401 "), "{answer}");
    let list = folder.works("trace --list");
    assert!(list.contains("registration of sip:001010000000001@"), "{list}");
    assert!(list.trim_end().ends_with("Call-ID first") && list.lines().count() == 1, "{list}");
    let ladder = folder.works("trace --last 001010000000001");
    for part in ["│ UE │", "P-CSCF", "I-CSCF", "S-CSCF", "HSS", "REGISTER", "MAR", "401"] {
        assert!(ladder.contains(part), "{part}: {ladder}");
    }
    // The number is known to the process, not from the messages.
    for who in [IMPI, "first", "+491701"] {
        assert_eq!(folder.works(&format!("trace --last {who}")), ladder, "{who}");
    }

    // Keys are overwritten with as many bytes, unless they are asked for.
    let all = |args: &str| {
        let (_, err) = folder.output(&format!("trace {args}"));
        (fs::read_to_string(folder.0.join("all.jsonl")).unwrap(), err)
    };
    let (masked, quiet) = all("--to all.jsonl");
    assert_eq!(quiet, "");
    fs::set_permissions(folder.0.join("all.jsonl"), fs::Permissions::from_mode(0o644)).unwrap();
    let (plain, warning) = all("--to all.jsonl --with-secrets");
    assert!(warning.starts_with("warning: --with-secrets shows key material"), "{warning}");
    assert_eq!(folder.mode("all.jsonl"), 0o600);
    let (hidden, shown) = (ck(&masked), ck(&plain));
    assert!(shown.len() == 32 && shown.bytes().all(|b| b.is_ascii_hexdigit()), "{shown}");
    assert_eq!(hidden.len(), 32);
    assert!(!masked.contains(&shown) && hidden != shown, "{hidden}");
    assert_eq!(masked.len(), plain.len());
    // The process itself masks: its door is asked without our command.
    let sent = folder.door("{\"trace\":{}}");
    assert!(sent.contains(&hidden) && !sent.contains(&shown), "{sent}");
    assert!(folder.door("{\"trace\":{\"secrets\":true}}").contains(&shown));

    // A file tells the same, and what was written with keys is shown without.
    for name in ["one.pcapng", "one.jsonl", "one.html", "one.txt"] {
        folder.works(&format!("trace 001010000000001 --to {name}"));
    }
    for name in ["one.pcapng", "one.jsonl"] {
        assert_eq!(folder.works(&format!("trace --from {name}")), ladder, "{name}");
        assert_eq!(folder.works(&format!("trace --from {name} first")), ladder, "{name}");
    }
    assert_eq!(fs::read_to_string(folder.0.join("one.txt")).unwrap(), ladder);
    let page = fs::read_to_string(folder.0.join("one.html")).unwrap();
    assert!(page.contains("REGISTER") && page.contains(&hidden) && !page.contains(&shown));
    folder.works("trace --from all.jsonl --to again.jsonl");
    assert_eq!(fs::read_to_string(folder.0.join("again.jsonl")).unwrap(), masked);
    folder.works("trace --from all.jsonl --to secret.pcapng --with-secrets");
    assert_eq!(folder.mode("secret.pcapng"), 0o600);
    tshark(&folder);
    let unknown = folder.fails("trace --last 491709");
    assert!(unknown.contains("remembers no message of 491709"), "{unknown}");
}

/// If there is a tshark, it reads what was written.
fn tshark(folder: &Folder) {
    let mut tshark = Command::new("tshark");
    tshark.args(["-r", "one.pcapng", "-Y", "sip || diameter"]).current_dir(&folder.0);
    let Ok(output) = tshark.output() else { return };
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}");
    for part in ["REGISTER", "401 Unauthorized", "Multimedia-Auth"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains("Malformed"), "{out}");
}

#[test]
fn a_registration_is_drawn_while_it_happens() {
    let folder = Folder::new();
    let (running, pcscf) = folder.network();
    let mut trace = folder.start("trace +491701");
    let said = trace.err.next().unwrap().unwrap();
    assert_eq!(said, "listening for +491701; Ctrl-C ends");
    for call_id in ["first", "second"] {
        register(&pcscf, call_id);
        let arrow = trace.out.find(|line| line.as_ref().unwrap().contains("401 Unauthorized"));
        assert!(arrow.is_some(), "{call_id}");
    }
    drop(running);
    assert_eq!(trace.err.next().unwrap().unwrap(), "the running process has ended");
    assert!(trace.child.wait().unwrap().success());
}

#[test]
fn what_cannot_be_traced() {
    let folder = Folder::new();
    for args in ["trace", "trace --list", "trace --last alice", "trace --to x.pcapng"] {
        let said = folder.fails(args);
        assert!(said.contains("no strowger runs with the state folder s\n"), "{said}");
        assert!(said.contains("start `strowger run`") && said.contains("--from FILE"), "{said}");
    }
    assert!(folder.fails("trace --to x.cap").contains("end it with .txt, .html, .pcapng or"));
    assert!(folder.fails("trace --from x.pcapng").contains("x.pcapng cannot be read: No such"));
    fs::write(folder.0.join("x.jsonl"), "\n{\"at\":1}\n").unwrap();
    assert!(folder.fails("trace --from x.jsonl").contains("x.jsonl:2: no record: `text`"));
    fs::write(folder.0.join("x.pcapng"), ladder::pcapng::Writer::new().finish()).unwrap();
    assert!(folder.fails("trace --from x.pcapng").contains("has no message of a Strowger"));
    assert!(folder.works("trace --help").contains("strowger trace --list"));
}

#[test]
fn what_several_processes_remember_becomes_one_trace() {
    let folder = Folder::new();
    let text = "OPTIONS sip:s SIP/2.0\\r\\nVia: SIP/2.0/UDP p;branch=z9hG4bK1\\r\\nCall-ID: one\\r\\n\
        From: <sip:a@x>;tag=1\\r\\nTo: <sip:b@x>\\r\\nCSeq: 1 OPTIONS\\r\\n\\r\\n";
    // Each knows its own name only.
    let sight = |at: u32, from: &str, to: &str| {
        format!(
            "{{\"at\":{at},\"service\":\"sip\",\"transport\":\"udp\",\"flow\":1,\"text\":\"{text}\",\
             \"from\":{{\"endpoint\":\"10.0.0.1:5060\"{from}}},\"to\":{{\"endpoint\":\"10.0.0.2:5060\"{to}}}}}\n"
        )
    };
    fs::write(folder.0.join("p.jsonl"), sight(1000, ",\"name\":\"pcscf\"", "")).unwrap();
    fs::write(folder.0.join("s.jsonl"), sight(1200, "", ",\"name\":\"scscf\"")).unwrap();
    let said = folder.works("trace --from s.jsonl --from p.jsonl --to both.jsonl");
    assert_eq!(said, "both.jsonl holds 1 messages\n");
    let both = fs::read_to_string(folder.0.join("both.jsonl")).unwrap();
    assert!(both.contains("\"pcscf\"") && both.contains("\"scscf\""), "{both}");
    assert!(both.contains("\"at\":1000"), "it was sent before it was received: {both}");
    let ladder = folder.works("trace --from p.jsonl --from s.jsonl one");
    assert_eq!(ladder.matches("OPTIONS").count(), 2, "title and arrow: {ladder}");
    let said = folder.fails("trace --from p.jsonl --from s.jsonl +4911");
    assert!(said.contains("p.jsonl, s.jsonl have no message of +4911"), "{said}");
    assert!(said.contains("--list --from p.jsonl --from s.jsonl"), "{said}");
}

#[test]
fn a_reader_of_warnings_that_is_gone_is_no_obstacle() {
    let folder = Folder::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = folder.command("trace --from none.jsonl --with-secrets --last");
    assert_eq!(command.stderr(writer).status().unwrap().code(), Some(1));
}
