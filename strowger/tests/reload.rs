//! A running process takes over its changed configuration.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;
mod running;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use folder::Folder;
use running::Running;

const QUIET: &str = "store = \"s/x.redb\"\n[pcscf]\nlisten = \"127.0.0.1:0\"\n[hss]\nlisten = []\n\
    [media]\nlisten = []\nports = \"27000-27099\"\n[scscf]\nlisten = []\n[icscf]\nlisten = []\n";
const BOB: &str = "--user bob --password open --domain ims.mnc001.mcc001.3gppnetwork.org --no-ims";

impl Running {
    fn said(&self, start: &str) -> &str {
        self.said.iter().find_map(|line| line.strip_prefix(start)).expect(start)
    }

    /// How long a phone that asks for an hour is registered.
    fn granted(&self, folder: &Folder) -> String {
        let server = self.said("pcscf listens on udp:");
        let output = folder.output(&format!("ue register {BOB} --server {server} --expires 3600"));
        let said = String::from_utf8(output.stderr).unwrap();
        let granted = said
            .lines()
            .find_map(|line| line.split_once(": registered in ")?.1.split_once(" for "));
        granted.unwrap_or_else(|| panic!("{said}")).1.to_owned()
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The status of a page, if anybody answers there.
fn status(at: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text.get(9..12)?.to_owned())
}

fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_can_change_changes_and_the_rest_is_named() {
    let folder = Folder::empty();
    folder.write("strowger.toml", QUIET);
    folder.works("sub add --name bob --password open");
    let process = folder.start("run --grace 0");
    assert_eq!(process.granted(&folder), "3600 s");
    assert_eq!(
        folder.works("reload"),
        "no key has changed; the files that keys name are read anew\n"
    );

    let metrics = free_port();
    let more =
        format!("{QUIET}[registration]\nmax_expires = 600\n[observe]\nmetrics = \"{metrics}\"\n");
    folder.write("strowger.toml", &more.replace("27099", "27199"));
    let told = folder.works("reload");
    let (live, later) = ("observe.metrics, registration.max_expires", "media.ports");
    assert_eq!(told, format!("taken over: {live}\nwaits for a restart: {later}\n"));
    assert_eq!(process.granted(&folder), "600 s");
    assert_eq!(status(metrics).as_deref(), Some("200"));

    // By signal, to another address.
    let other = free_port();
    folder.write("strowger.toml", &more.replace(&metrics.to_string(), &other.to_string()));
    let hang_up = format!("kill -HUP {}", process.child.id());
    assert!(Command::new("sh").args(["-c", &hang_up]).status().unwrap().success());
    eventually("the page moves", || status(other).is_some());
    eventually("the old page is closed", || status(metrics).is_none());
    let log = process.end();
    assert!(log.contains("taken over: observe.metrics [strowger.reloaded]"), "{log}");
}

#[test]
fn what_is_wrong_changes_nothing() {
    let folder = Folder::empty();
    folder.write("strowger.toml", QUIET);
    folder.works("sub add --name bob --password open");
    let process = folder.start("run --grace 0");

    folder.write("strowger.toml", &format!("{QUIET}[registration]\nmax_expire = 600\n"));
    let wrong = folder.fails("reload", 1);
    assert!(wrong.contains("did you mean `max_expires`?"), "{wrong}");

    // A listener is the last thing that can be refused: what stands before it is not taken over.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = |metrics: &str| {
        format!("{QUIET}[registration]\nmax_expires = 600\n[observe]\nmetrics = \"{metrics}\"\n")
    };
    folder.write("strowger.toml", &text(&address.to_string()));
    let refused = folder.fails("reload", 1);
    assert!(refused.contains(&format!("{address} is in use")), "{refused}");
    assert_eq!(process.granted(&folder), "3600 s");

    folder.write("strowger.toml", &text("127.0.0.1:0"));
    let told = folder.works("reload");
    assert_eq!(told, "taken over: observe.metrics, registration.max_expires\n");
    let log = process.end();
    assert!(log.contains("the configuration stays as it was"), "{log}");
    let nobody = folder.fails("reload", 1);
    assert!(nobody.contains("no strowger runs with the state in s"), "{nobody}");
}
