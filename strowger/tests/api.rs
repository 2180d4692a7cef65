//! The HTTP API of a running process, spoken to over real sockets.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;
mod running;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use folder::Folder;
use running::Running;
use serde_json::{Value, json};

const CONFIG: &str = "store = \"s/x.redb\"\n[pcscf]\nlisten = \"127.0.0.1:0\"\n[hss]\nlisten = []\n\
    [media]\nlisten = []\nports = \"26000-26099\"\n[scscf]\nlisten = []\n[icscf]\nlisten = []\n\
    [api]\nlisten = \"127.0.0.1:0\"\n";
const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

/// A process with an API, and a client that knows the token.
struct Client {
    folder: Folder,
    process: Running,
    at: SocketAddr,
    token: String,
}

struct Answer {
    status: u16,
    head: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.text))
    }

    /// What went wrong, in words.
    fn detail(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.head.contains("application/problem+json"), "{}", self.head);
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

impl Client {
    fn start() -> Client {
        let folder = Folder::empty();
        folder.write("strowger.toml", CONFIG);
        let process = folder.start("run --grace 0");
        let said = process.said.iter();
        let at = said.filter_map(|line| line.strip_prefix("the API is at http://")).next().unwrap();
        let at = at.strip_suffix("/v1/openapi.json").unwrap().parse().unwrap();
        let file = folder.0.join("s/x.redb.token");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let token = fs::read_to_string(file).unwrap().trim().to_owned();
        Client { folder, process, at, token }
    }

    fn send(&self, method: &str, path: &str, fields: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.at).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}").unwrap();
        write!(stream, "Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, text) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: format!("{head}\r\n"), text: text.to_owned() }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &format!("Authorization: Bearer {}\r\n", self.token), &body)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &Value::Null)
    }
}

#[test]
fn subscribers_come_change_and_go() {
    let api = Client::start();
    let alice = json!({ "name": "alice", "password": "open", "msisdn": ["+491701"] });
    let made = api.ask("POST", "/v1/subscribers", &alice);
    assert_eq!(made.status, 201, "{}", made.text);
    let path = "/v1/subscribers/alice%40ims%2Emnc001%2Emcc001%2E3gppnetwork%2Eorg";
    assert!(made.head.contains(&format!("Location: {path}\r\n")), "{}", made.head);
    assert!(!made.text.contains("open"), "{}", made.text);
    assert_eq!(made.json()["impi"], format!("alice@{DOMAIN}"));
    assert_eq!(made.json()["msisdn"], json!(["+491701"]));
    let again = api.ask("POST", "/v1/subscribers", &alice).detail(409);
    assert!(again.ends_with("is there already; PUT writes over it"), "{again}");

    for name in ["alice", "tel:+491701", "+491701", "sip:+491701@ims.mnc001.mcc001.3gppnetwork.org"]
    {
        let shown = api.get(&format!("/v1/subscribers/{name}"));
        assert_eq!((shown.status, shown.text.as_str()), (200, made.text.as_str()), "{name}");
    }
    let head = api.ask("HEAD", path, &Value::Null);
    assert_eq!((head.status, head.text.as_str()), (200, ""));

    let ifc = "sip:as.example.org when method=INVITE";
    let more = json!({ "name": "alice", "password": "shut", "ifc": [ifc] });
    let written = api.ask("PUT", "/v1/subscribers/alice", &more);
    let criteria = &written.json()["sets"][0]["ifc"][0];
    assert!(criteria.as_str().unwrap().starts_with("sip:as.example.org"), "{}", written.text);
    assert!(api.get("/v1/subscribers/+491701").detail(404).contains("no subscriber \"+491701\""));
    let other = api.ask("PUT", "/v1/subscribers/bob", &more).detail(400);
    assert_eq!(other, format!("the document is one of alice@{DOMAIN}, not of bob"));

    let page = api.get("/v1/subscribers").json();
    assert_eq!((page["subscribers"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));
    let after = api.get("/v1/subscribers?after=b").json();
    assert_eq!(after["subscribers"], json!([]));
    let gone = api.ask("DELETE", "/v1/subscribers/alice", &Value::Null);
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert!(api.get("/v1/subscribers/alice").status == 404);
    let log = api.process.end();
    assert!(log.contains("DELETE /v1/subscribers/alice of 127.0.0.1:"), "{log}");
}

/// Whoever is registered hears of it, and what crossed is told without keys.
#[test]
fn a_registered_phone_follows() {
    let api = Client::start();
    let bob = json!({ "name": "bob", "password": "open" });
    assert_eq!(api.ask("POST", "/v1/subscribers", &bob).status, 201);
    let nobody = api.ask("POST", "/v1/subscribers/bob/deregister", &Value::Null).detail(409);
    assert!(nobody.ends_with("is not registered"), "{nobody}");
    let server = api.process.said.iter().find_map(|l| l.strip_prefix("pcscf listens on udp:"));
    let phone =
        format!("--user bob --password open --domain {DOMAIN} --server {}", server.unwrap());
    let mut phone = api.folder.command(&format!("ue answer {phone}"));
    let mut phone = phone.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(phone.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("ready for calls")));
    let why = json!({ "reason": "moved" });
    let ended = api.ask("POST", "/v1/subscribers/bob/deregister", &why);
    assert_eq!(ended.status, 200, "{}", ended.text);
    assert!(
        said.any(|line| line.contains("the network ended the registration")),
        "the phone hears of it"
    );
    let _ = phone.kill();
    let _ = phone.wait();

    let barred = api.ask("POST", "/v1/subscribers/bob/bar", &Value::Null).json();
    assert_eq!(barred["sets"][0]["identities"][0]["barred"], json!(true));
    let trace = api.get("/v1/trace?who=bob");
    assert!(trace.head.contains("application/x-ndjson"), "{}", trace.head);
    let methods = trace.text.lines().filter(|line| line.contains("REGISTER")).count();
    assert!(methods > 2 && trace.text.lines().all(|l| serde_json::from_str::<Value>(l).is_ok()));
    assert!(api.get("/v1/trace?who=nobody").text.is_empty());
}

#[test]
fn nobody_without_the_token_and_nothing_that_is_not_there() {
    let api = Client::start();
    let open = api.send("GET", "/v1/openapi.json", "", "");
    assert_eq!((open.status, &open.json()["openapi"]), (200, &json!("3.1.0")));
    let none = api.send("GET", "/v1/subscribers", "", "");
    assert!(none.detail(401).contains("Authorization: Bearer"));
    assert!(none.head.contains("WWW-Authenticate: Bearer realm=\"strowger\"\r\n"));
    for wrong in ["Bearer x", "Basic eDp5", "Bearer", &format!("Bearer {}x", api.token)] {
        let refused =
            api.send("DELETE", "/v1/subscribers/a", &format!("Authorization: {wrong}\r\n"), "");
        assert!(refused.head.contains("error=\"invalid_token\""), "{wrong}: {}", refused.head);
    }
    let cases = [
        ("GET", "/", Value::Null, 404),
        ("GET", "/v1/subscribers?page=2", Value::Null, 400),
        ("PATCH", "/v1/subscribers/a", Value::Null, 405),
        ("POST", "/v1/subscribers", Value::Null, 400),
        ("POST", "/v1/subscribers", json!([1]), 400),
        ("POST", "/v1/subscribers", json!({ "name": "a b", "password": "p" }), 400),
        ("POST", "/v1/subscribers", json!({ "name": "a", "password": "p", "ifc": ["x"] }), 400),
        ("POST", "/v1/subscribers/a/deregister", json!({ "agian": true }), 400),
        ("POST", "/v1/subscribers/a/deregister", json!([true]), 400),
        ("POST", "/v1/subscribers/a/bar", Value::Null, 404),
    ];
    for (method, path, body, status) in cases {
        let answer = api.ask(method, path, &body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert!(!answer.detail(status).is_empty());
    }

    // Another token counts from the next reload, and one that others can read not at all.
    let file = api.folder.0.join("s/x.redb.token");
    fs::write(&file, "another token of mine\n").unwrap();
    assert!(api.folder.fails("reload", 1).contains("is not one line of at least 16 visible"));
    assert_eq!(api.get("/v1/subscribers").status, 200);
    fs::write(&file, "another-token-of-mine\n").unwrap();
    assert_eq!(
        api.folder.works("reload"),
        "no key has changed; the files that keys name are read anew\n"
    );
    assert_eq!(api.get("/v1/subscribers").status, 401);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    assert!(api.folder.fails("reload", 1).contains("can be read by others"));
    let log = api.process.end();
    assert!(log.contains("[api.unauthorized]"), "{log}");
}
