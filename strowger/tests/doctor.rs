//! `strowger doctor` with real faults: sockets that are taken, peers that refuse, lie or keep silent,
//! stores that cannot be opened.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base::Bytes;
use diameter::Message;
use diameter::dictionary::*;
use serde_json::Value;

use folder::Folder;

const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

/// What the machine that tests may be to blame for.
const ENVIRONMENT: [&str; 8] = [
    "clock-behind",
    "clock-unsynchronised",
    "disk-full",
    "memory-small",
    "mtu-small",
    "receive-buffer-small",
    "sip-helper",
    "store-in-memory",
];

/// Everything in one process, on ports that are free.
const ALL: &str = "[pcscf]\nlisten = \"127.0.0.1:0\"\n[hss]\nlisten = []\n[media]\nlisten = []\n";

struct Told {
    ids: Vec<String>,
    document: Value,
    code: Option<i32>,
}

impl Folder {
    /// A folder with a store of one subscriber.
    fn new() -> Folder {
        let folder = Folder::empty();
        let added =
            folder.command("sub add --name alice --password secret --state s").output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        folder
    }

    fn doctor(&self, config: &str, args: &str) -> Told {
        fs::write(self.0.join("c.toml"), config).unwrap();
        Told::of(self.command(&format!("doctor --json -c c.toml {args}")))
    }

    /// What is found but for the environment, and that all telephones are on loopback.
    fn finds(&self, config: &str) -> Vec<String> {
        let told = self.doctor(config, "--state s");
        told.ids.into_iter().filter(|id| id != "loopback-only").collect()
    }

    /// The one finding.
    fn evidence(&self, config: &str, id: &str) -> String {
        let told = self.doctor(config, "--state s");
        told.evidence(id)
    }

    fn store(&self) -> PathBuf {
        self.0.join("s/strowger.redb")
    }
}

impl Told {
    fn of(mut command: Command) -> Told {
        let output = command.output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ids = document["findings"].as_array().unwrap().iter();
        let ids = ids.map(|finding| finding["id"].as_str().unwrap().to_owned());
        let ids: Vec<String> = ids.filter(|id| !ENVIRONMENT.contains(&id.as_str())).collect();
        let code = output.status.code();
        assert_eq!(code, Some(i32::from(document["stops_calls"] == true)), "{document}");
        Told { ids, document, code }
    }

    fn evidence(&self, id: &str) -> String {
        let others: Vec<_> = self.ids.iter().filter(|id| *id != "loopback-only").collect();
        assert_eq!(others, [id], "{:#}", self.document);
        let findings = self.document["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["id"] == id).unwrap();
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("place"), text("evidence"), text("fix"))
    }
}

/// A port that is free over UDP and TCP.
fn free() -> SocketAddr {
    let free = || {
        let addr = UdpSocket::bind("127.0.0.1:0").and_then(|udp| udp.local_addr()).ok()?;
        TcpListener::bind(addr).is_ok().then_some(addr)
    };
    std::iter::repeat_with(free).flatten().next().unwrap()
}

/// Answers each datagram with what `answer` makes of it; nothing if that is empty.
fn udp(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let answer = answer(&buffer[..length]);
            if !answer.is_empty() {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    addr
}

/// Answers the first bytes of each connection, and closes it once the other end has no more to say;
/// at once if the answer is empty.
fn tcp(listener: TcpListener, answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 65_536];
            while let Ok(length) = stream.read(&mut buffer) {
                let answer = answer(&buffer[..length]);
                if length == 0 || answer.is_empty() || stream.write_all(&answer).is_err() {
                    break;
                }
            }
        }
    });
    addr
}

fn sip(status: u16) -> impl Fn(&[u8]) -> Vec<u8> + Send + Clone {
    move |bytes| {
        let request = sip::Message::parse(Bytes::copy_from_slice(bytes)).unwrap();
        assert_eq!(request.method(), Some(&sip::Method::Options));
        sip::Message::answer(&request, status).to_bytes().to_vec()
    }
}

fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A Diameter server of this name, realm and result.
fn server(host: String, realm: &'static str, result: u32) -> SocketAddr {
    tcp(local(), move |bytes| {
        let Ok(request) = Message::parse(Bytes::copy_from_slice(bytes)) else { return Vec::new() };
        let answer = Message::write(request.header().answer(), |out| {
            out.u32(RESULT_CODE, result).utf8(ORIGIN_HOST, &host).utf8(ORIGIN_REALM, realm);
            out.group(VENDOR_SPECIFIC_APPLICATION_ID, |group| {
                group.u32(VENDOR_ID, 10_415).u32(AUTH_APPLICATION_ID, 16_777_216);
            });
        });
        answer.bytes().to_vec()
    })
}

/// An I-CSCF of another process.
fn icscf_at(at: &str) -> String {
    format!(
        "roles = [\"hss\", \"media\", \"scscf\", \"pcscf\"]\n[icscf]\nat = \"{at}\"\n\
         [pcscf]\nlisten = \"127.0.0.1:0\"\n[scscf]\nlisten = \"127.0.0.1:0\"\n\
         [hss]\nlisten = \"127.0.0.1:0\"\n[media]\nlisten = []\n"
    )
}

/// An HSS of another process.
fn hss_at(at: SocketAddr) -> String {
    format!(
        "roles = [\"media\", \"scscf\", \"icscf\", \"pcscf\"]\n[hss]\nat = \"tcp:{at}\"\n\
         [pcscf]\nlisten = \"127.0.0.1:0\"\n[media]\nlisten = []\n"
    )
}

/// An application server for all.
fn with_server(at: SocketAddr, scscf: &str, trust: &str) -> String {
    format!(
        "{trust}\n[pcscf]\nlisten = \"127.0.0.1:0\"\n[scscf]\nlisten = {scscf}\n[media]\nlisten = []\n\
         [hss]\nlisten = []\nifc = \"sip:{at} when method=INVITE and case=originating\"\n"
    )
}

#[test]
fn a_good_network_has_nothing() {
    let folder = Folder::new();
    let none: [&str; 0] = [];
    assert_eq!(folder.finds(ALL), none);
    assert_eq!(folder.finds(&icscf_at(&format!("udp:{}", udp(sip(200))))), none);
    assert_eq!(folder.finds(&icscf_at(&format!("tcp:{}", tcp(local(), sip(403))))), none);
    assert_eq!(folder.finds(&hss_at(server(format!("hss.{DOMAIN}"), DOMAIN, 2001))), none);
    let trust = "trust.networks = [\"127.0.0.1/32\"]";
    let scscf = format!("\"{}\"", free());
    assert_eq!(folder.finds(&with_server(udp(sip(404)), &scscf, trust)), none);
    let told = folder.doctor(ALL, "--state s");
    assert_eq!((told.code, &told.ids[..]), (Some(0), &["loopback-only".to_owned()][..]));
    assert_eq!(fs::read_dir(folder.0.join("s")).unwrap().count(), 1, "it leaves nothing behind");
}

#[test]
fn listeners() {
    let folder = Folder::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let on = |addr: &str| ALL.replace("127.0.0.1:0", addr);
    let evidence = folder.evidence(&on(&taken.local_addr().unwrap().to_string()), "port-in-use");
    let holder = format!("(process {})", std::process::id());
    assert!(evidence.starts_with("c.toml:2 ") && evidence.contains(&holder), "{evidence}");
    let evidence = folder
        .evidence(&on("127.0.0.1:0\"\n[scscf]\nlisten = \"198.51.100.77:5070"), "address-not-here");
    assert!(evidence.contains("c.toml:4") && evidence.contains("127.0.0.1"), "{evidence}");
    // The relay is on loopback, and phones come from anywhere.
    assert_eq!(folder.finds(&on("0.0.0.0:0")), ["media-loopback", "listen-wildcard"]);
    assert_eq!(folder.finds(&ALL.replace("\"127.0.0.1:0\"", "[]")), ["no-entry"]);
}

#[test]
fn what_nodes_share() {
    let folder = Folder::new();
    let shared = |at: SocketAddr| format!("{ALL}[shared]\nnode = \"a\"\nservers = \"{at}\"\n");
    let door = "[media]\nlisten_tcp_ng = \"127.0.0.1:0\"\n";
    let with = |at: SocketAddr| shared(at).replace("[media]\n", door);
    let none: [&str; 0] = [];
    let says = |text: &'static str| {
        tcp(local(), move |bytes| {
            assert!(bytes.is_empty() || bytes == b"*1\r\n$4\r\nPING\r\n");
            text.into()
        })
    };
    assert_eq!(folder.finds(&with(says("+PONG\r\n"))), none);
    assert_eq!(folder.finds(&shared(says("+PONG\r\n"))), ["relay-unwatched"]);
    let evidence = folder.evidence(&with(free()), "shared-away");
    assert!(evidence.contains("refused"), "{evidence}");
    folder.evidence(&with(says("-LOADING it reads its file\r\n")), "shared-away");
    let evidence =
        folder.evidence(&with(says("-NOAUTH Authentication required.\r\n")), "shared-denies");
    assert!(evidence.contains("NOAUTH"), "{evidence}");
    folder.evidence(&with(says("HTTP/1.1 400 Bad Request\r\n\r\n")), "shared-other-protocol");
    let wrong = format!("{}password = \"nowhere\"\n", with(free()));
    let evidence = folder.evidence(&wrong, "shared-denies");
    assert!(evidence.contains("nowhere"), "{evidence}");
}

#[test]
fn who_watches() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let with = |lines: &str| format!("{ALL}{lines}\n");
    let collector = udp(|_| Vec::new());
    let none: [&str; 0] = [];
    let well = format!(
        "[observe]\nmetrics = \"{}\"\nhep = \"{collector}\"\n[api]\nlisten = \"{}\"",
        free(),
        free()
    );
    assert_eq!(folder.finds(&with(&well)), none);
    let metrics = with(&format!("[observe]\nmetrics = \"{taken}\""));
    let evidence = folder.evidence(&metrics, "page-refused");
    let holder = format!("(process {})", std::process::id());
    assert!(evidence.starts_with("c.toml:8 ") && evidence.contains(&holder), "{evidence}");
    let api = with(&format!("[api]\nlisten = \"{taken}\""));
    assert!(folder.evidence(&api, "page-refused").contains("[api]"));
    folder.evidence(&with("[api]\nlisten = \"0.0.0.0:0\""), "api-in-clear");
    let away = with(&format!("[observe]\nhep = \"{}\"", free()));
    let evidence = folder.evidence(&away, "collector-away");
    assert!(evidence.starts_with("c.toml:8 ") && evidence.contains("sngrep"), "{evidence}");
}

#[test]
fn media() {
    let folder = Folder::new();
    let with = |line: &str| format!("{ALL}{line}\n");
    let evidence =
        folder.evidence(&with("addresses = \"198.51.100.77\""), "media-address-not-here");
    assert!(evidence.contains("c.toml:7"), "{evidence}");
    assert_eq!(folder.finds(&with("ports = \"30000-30003\"")), ["ports-few"]);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let ports = format!("ports = \"{first}-{}\"", first + 99);
    assert_eq!(folder.finds(&with(&ports)), ["ports-ephemeral"]);
}

#[test]
fn stores() {
    let folder = Folder::new();
    let place =
        |store: &str| Told::of(folder.command(&format!("doctor --json --state {store} -c c.toml")));
    folder.finds(ALL);
    place("/proc/nowhere").evidence("store-not-writable");
    place("new").evidence("no-subscribers");
    assert!(!folder.0.join("new").exists());
    place(&format!("{:0100}", 0)).evidence_of(&["no-subscribers", "control-path-long"]);
    fs::set_permissions(folder.store(), fs::Permissions::from_mode(0o644)).unwrap();
    place("s").evidence("store-readable");
    fs::set_permissions(folder.store(), fs::Permissions::from_mode(0o600)).unwrap();
    let state = strowger::state::State::in_folder(&folder.0.join("s"));
    let held = state.open().unwrap();
    place("s").evidence("store-in-use");
    drop(held);
    let newer = |path: &Path| {
        let config = engine::store::StoreConfig {
            path: path.into(),
            cache: 1 << 20,
            schema: 99,
            migrate: None,
        };
        drop(engine::DiskStore::open(config).unwrap());
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    fs::remove_file(folder.store()).unwrap();
    newer(&folder.store());
    assert!(place("s").evidence("store-version").contains("schema 99"));
    fs::write(folder.store(), [7; 4096]).unwrap();
    place("s").evidence("store-foreign");
}

impl Told {
    fn evidence_of(&self, ids: &[&str]) {
        let others: Vec<_> = self.ids.iter().filter(|id| *id != "loopback-only").collect();
        assert_eq!(others, ids, "{:#}", self.document);
    }
}

#[test]
fn subscribers_of_another_domain() {
    let folder = Folder::new();
    let evidence =
        folder.evidence(&format!("domain = \"example.org\"\n{ALL}"), "subscriber-other-domain");
    assert!(evidence.contains(&format!("alice@{DOMAIN}")), "{evidence}");
}

#[test]
fn sip_neighbours() {
    let folder = Folder::new();
    let closed = free();
    let evidence = folder.evidence(&icscf_at(&format!("udp:{closed}")), "peer-refuses");
    assert!(evidence.contains("c.toml:3") && evidence.contains(&closed.to_string()), "{evidence}");
    assert_eq!(folder.finds(&icscf_at(&format!("tcp:{closed}"))), ["peer-refuses"]);
    assert_eq!(folder.finds(&icscf_at(&format!("udp:{}", udp(sip(503))))), ["peer-unwell"]);
    let http = tcp(local(), |_| b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec());
    let evidence = folder.evidence(&icscf_at(&format!("tcp:{http}")), "peer-other-protocol");
    assert!(evidence.contains("HTTP/1.1 400"), "{evidence}");
    assert_eq!(folder.finds(&icscf_at(&format!("udp:{}", udp(|_| Vec::new())))), ["peer-silent"]);
    // UDP is closed there, TCP answers.
    let only_tcp = tcp(local(), sip(200));
    let evidence = folder.evidence(&icscf_at(&format!("udp:{only_tcp}")), "peer-other-transport");
    assert!(evidence.contains(&format!("at = \"tcp:{only_tcp}\"")), "{evidence}");
}

#[test]
fn diameter_servers() {
    let folder = Folder::new();
    let ours = || format!("hss.{DOMAIN}");
    let other = server("hss.example.org".into(), "example.org", 2001);
    let evidence = folder.evidence(&hss_at(other), "realm-other");
    assert!(evidence.contains("domain = \"example.org\""), "{evidence}");
    let named = server(format!("hss1.{DOMAIN}"), DOMAIN, 2001);
    assert_eq!(folder.finds(&hss_at(named)), ["peer-name-other"]);
    let rejects = server(ours(), DOMAIN, 3010);
    let told = folder.doctor(&hss_at(rejects), "--state s");
    told.evidence_of(&["peer-rejects"]);
    let taken = server(ours(), DOMAIN, 4003);
    assert_eq!(folder.finds(&hss_at(taken)), ["identity-taken"]);
    let closes = tcp(local(), |_| Vec::new());
    let evidence = folder.evidence(&hss_at(closes), "peer-closes");
    assert!(evidence.contains("[trust]"), "{evidence}");
    assert_eq!(folder.finds(&hss_at(free())), ["peer-refuses"]);
    let web = tcp(local(), |_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    assert_eq!(folder.finds(&hss_at(web)), ["peer-other-protocol"]);
}

#[test]
fn media_relays() {
    let folder = Folder::new();
    let at = |addr: SocketAddr| {
        format!(
            "roles = [\"hss\", \"scscf\", \"icscf\", \"pcscf\"]\n[media]\nat = \"{addr}\"\n\
             [pcscf]\nlisten = \"127.0.0.1:0\"\n[hss]\nlisten = []\n"
        )
    };
    let relay = |result: &'static str| {
        udp(move |bytes| {
            let mut message = ng::Message::parse(bytes).unwrap();
            message.dict = ng::Dict::new().with("result", result);
            message.emit()
        })
    };
    let none: [&str; 0] = [];
    assert_eq!(folder.finds(&at(relay("pong"))), none);
    assert_eq!(folder.finds(&at(relay("error"))), ["relay-no-pong"]);
    assert_eq!(folder.finds(&at(udp(|_| Vec::new()))), ["peer-silent"]);
}

#[test]
fn application_servers() {
    let folder = Folder::new();
    let trust = "trust.networks = [\"127.0.0.1/32\"]";
    let scscf = format!("\"{}\"", free());
    let well = udp(sip(200));
    assert_eq!(folder.finds(&with_server(well, "[]", trust)), ["scscf-without-address"]);
    let evidence = folder.evidence(&with_server(well, &scscf, ""), "server-untrusted");
    assert!(evidence.contains("networks = [\"127.0.0.1/32\"]"), "{evidence}");
    assert_eq!(folder.finds(&with_server(free(), &scscf, trust)), ["server-unreachable"]);
    let own = free();
    assert_eq!(folder.finds(&with_server(own, &format!("\"{own}\""), trust)), ["server-circle"]);
}

#[test]
fn functions_that_do_not_find_each_other() {
    let folder = Folder::new();
    let own = free();
    let config = icscf_at(&format!("udp:{own}"));
    let circle = config.replacen(
        "[pcscf]\nlisten = \"127.0.0.1:0\"",
        &format!("[pcscf]\nlisten = \"{own}\""),
        1,
    );
    assert_eq!(folder.finds(&circle), ["seam-circle"]);
    let at = format!("udp:{}", udp(sip(200)));
    let hidden = icscf_at(&at).replace("[scscf]\nlisten = \"127.0.0.1:0\"", "[scscf]\nlisten = []");
    assert_eq!(folder.finds(&hidden), ["function-unreachable"]);
    let nowhere = icscf_at(&at)
        .replace(&format!("[icscf]\nat = \"{at}\""), "[trust]\nnetworks = \"127.0.0.1/32\"");
    let found = folder.finds(&nowhere);
    // What stands in for it depends on the name servers of the machine that tests.
    let names = ["function-nowhere", "resolver-silent", "resolver-missing"];
    assert!(found.len() == 1 && names.contains(&found[0].as_str()), "{found:?}");
    assert_eq!(
        folder.finds(&format!("trust.networks = \"0.0.0.0/0\"\n{ALL}")),
        ["trust-everybody"]
    );
}

#[test]
fn configurations() {
    let folder = Folder::new();
    let told = folder.doctor("[pcscf]\nlisen = \"x\"\n", "");
    assert_eq!(told.ids, ["config-wrong"]);
    let missing = Told::of(folder.command("doctor --json -c missing.toml"));
    assert_eq!(missing.ids, ["config-unreadable"]);
}

#[test]
fn a_low_limit_of_files() {
    let folder = Folder::new();
    fs::write(folder.0.join("c.toml"), ALL).unwrap();
    let mut shell = Command::new("sh");
    let line = format!(
        "ulimit -n 100; exec {} doctor --json -c c.toml --state s",
        env!("CARGO_BIN_EXE_strowger")
    );
    shell.args(["-c", &line]).current_dir(&folder.0).env_remove("STROWGER_CONFIG");
    let evidence = Told::of(shell).evidence("files-few");
    assert!(evidence.contains("100 files"), "{evidence}");
}

/// Its ports and its store are in use, and that is as it should be.
#[test]
fn a_running_process_is_in_nobodys_way() {
    let folder = Folder::new();
    let own = ALL.replace("127.0.0.1:0", &free().to_string());
    fs::write(folder.0.join("c.toml"), &own).unwrap();
    let mut run = folder.command("run -c c.toml --state s --grace 0");
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let ready = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = ready.into_iter().any(|line| line.starts_with("ready in "));
    let told = folder.doctor(&own, "--state s");
    let plain = folder.command("doctor -c c.toml --state s").output().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ready);
    assert_eq!((&told.ids[..], told.code), (&["loopback-only".to_owned()][..], Some(0)));
    assert_eq!(told.document["running"], true);
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(text.contains("a process runs with it"), "{text}");
    assert!(String::from_utf8(plain.stderr).unwrap().starts_with("opens "), "progress is told");
}

#[test]
fn the_list_and_the_document_agree() {
    let folder = Folder::empty();
    let output = folder.command("doctor --list").output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md");
    let document = fs::read_to_string(path).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows: Vec<String> = rows.map(|row| row.replacen("` | ", " | ", 1)).collect();
    let squeeze = |line: &str| {
        let words = line.split("  ").map(str::trim).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" | ")
    };
    let list: Vec<String> = list.lines().map(squeeze).collect();
    assert!(output.status.success() && list.len() >= 30);
    assert_eq!(list, rows);
}
