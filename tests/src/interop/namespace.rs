//! A network of its own for one test.

use std::fs::File;
use std::net::{IpAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::HERE;

/// A network namespace with one interface, and a folder for files; both go with it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    folder: PathBuf,
}

impl Namespace {
    /// A namespace whose one address is [`HERE`]. A veth pair, because baresip ignores loopback.
    ///
    /// # Panics
    /// If the system refuses: this needs root.
    pub fn new() -> Namespace {
        let namespace = Namespace::bare();
        namespace.ip(&["link", "add", "v0", "type", "veth", "peer", "name", "v1"]);
        namespace.ip(&["addr", "add", &format!("{HERE}/24"), "dev", "v0"]);
        namespace.ip(&["link", "set", "v0", "up"]);
        namespace.ip(&["link", "set", "v1", "up"]);
        namespace
    }

    /// A namespace with nothing but loopback.
    ///
    /// # Panics
    /// If the system refuses: this needs root.
    pub fn bare() -> Namespace {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("strowger-t-{}-{number}", std::process::id());
        let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
        assert!(root, "tests with real peers need root: they make network namespaces (ip netns)");
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let namespace = Namespace { name, folder };
        ip(&["netns", "add", &namespace.name]);
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// The name that `ip netns` knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Changes the network in here with `ip`.
    ///
    /// # Panics
    /// If it refuses.
    pub fn ip(&self, args: &[&str]) {
        ip(&[&["-n", &self.name], args].concat());
    }

    /// A folder for the test's files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program that will run in here.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref());
        command.current_dir(&self.folder);
        command
    }

    /// Gives programs in here names for addresses, in place of the system's; there is no DNS then.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn hosts(&self, names: impl IntoIterator<Item = (IpAddr, String)>) {
        let lines = names.into_iter().map(|(address, name)| format!("{address} {name}\n"));
        let hosts: String = lines.collect();
        let folder = self.system_files();
        std::fs::create_dir_all(&folder).expect("a folder below /etc/netns");
        std::fs::write(folder.join("hosts"), hosts).expect("a file");
        std::fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("a file");
    }

    /// What `ip netns exec` puts in the place of files of `/etc`.
    fn system_files(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    /// Waits until somebody has a UDP port.
    ///
    /// # Panics
    /// If nobody takes it in time.
    pub fn bound(&self, port: u16) {
        self.is_bound(&format!(":{port:04X} 00000000:0000"), &port);
    }

    /// Waits until somebody has a UDP port at an address of IPv4.
    ///
    /// # Panics
    /// If nobody takes it in time.
    pub fn bound_at(&self, at: SocketAddrV4) {
        let address = u32::from_ne_bytes(at.ip().octets());
        self.is_bound(&format!("{address:08X}:{:04X} 00000000:0000", at.port()), &at);
    }

    fn is_bound(&self, wanted: &str, port: &dyn std::fmt::Display) {
        super::until(&format!("UDP port {port} to be bound"), || {
            let sockets = self.inside(|| std::fs::read_to_string("/proc/thread-self/net/udp"));
            sockets.ok()?.contains(wanted).then_some(())
        });
    }

    /// Does something on a thread whose sockets are in here.
    ///
    /// # Panics
    /// If it panics, or the thread cannot enter.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(Path::new("/run/netns").join(&self.name)).expect("the namespace");
        let enter_and_work = move || {
            #[allow(unsafe_code, reason = "std has no way to enter a namespace")]
            // SAFETY: `setns` takes two integers; the descriptor is open until after the call, and
            // only this thread changes its network.
            let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(entered, 0, "the thread enters the namespace");
            work()
        };
        std::thread::scope(|scope| match scope.spawn(enter_and_work).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A peer's own children (Kamailio's workers) outlive it; what still runs in here is ours.
        if let Ok(out) = Command::new("ip").args(["netns", "pids", &self.name]).output() {
            for id in String::from_utf8_lossy(&out.stdout).split_whitespace() {
                let _ = Command::new("kill").args(["-KILL", id]).status();
            }
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
        let _ = std::fs::remove_dir_all(self.system_files());
        if std::thread::panicking() {
            eprintln!("the files of the failed attempt are in {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn ip(args: &[&str]) {
    let out = Command::new("ip").args(args).output().expect("ip (Debian package iproute2) runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "ip {}: {said}", args.join(" "));
}
