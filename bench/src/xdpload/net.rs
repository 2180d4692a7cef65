//! Namespaces, cables between them, and programs of two instructions at their ends.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

/// What a program makes of every packet: `XDP_DROP` or `XDP_PASS`.
#[derive(Clone, Copy)]
pub enum All {
    Drop = 1,
    Pass = 2,
}

pub fn ip(args: &str) {
    let out = Command::new("ip").args(args.split(' ')).output().expect("ip runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "ip {args}: {said}");
}

/// A namespace that goes with its owner.
pub struct Space(pub String);

impl Space {
    pub fn new(name: &str) -> Space {
        let space = Space(format!("xdpload-{}-{name}", std::process::id()));
        ip(&format!("netns add {}", space.0));
        ip(&format!("-n {} link set lo up", space.0));
        space
    }

    /// Does something on a thread in here.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.0)).expect("the namespace");
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: the call takes two integers, and the descriptor is open during it.
                let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(entered, 0, "the thread enters the namespace");
                work()
            });
            thread.join().expect("it did what it should")
        })
    }

    /// A number of `ip -s link`: what an interface received.
    pub fn received(&self, interface: &str) -> u64 {
        let args = ["-n", &self.0, "-s", "-o", "link", "show", interface];
        let out = Command::new("ip").args(args).output().expect("ip runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let mut words = text.split_whitespace().skip_while(|word| *word != "RX:");
        // The heading ends with a backslash; bytes come first, then packets.
        words.by_ref().find(|word| *word == "\\");
        words.nth(1).and_then(|word| word.parse().ok()).expect("a number of packets")
    }

    /// Attaches a program to an interface in here until the descriptor is closed.
    pub fn program(&self, interface: &str, all: All, native: bool) -> OwnedFd {
        let name = std::ffi::CString::new(interface).expect("a name");
        self.inside(move || {
            // SAFETY: the name ends with a zero.
            let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
            // r0 = all; exit
            let code: [u64; 2] = [0xb7 | (all as u64) << 32, 0x95];
            let license = c"GPL";
            let mut load = [0_u64; 16];
            load[0] = 6 | 2 << 32;
            (load[1], load[2]) = (code.as_ptr() as u64, license.as_ptr() as u64);
            load[8] = 37 << 32;
            let program = bpf(5, &mut load);
            let mut link = [0_u64; 16];
            link[0] = program.as_raw_fd() as u64 | u64::from(index) << 32;
            link[1] = 37 | (if native { 4 } else { 2 }) << 32;
            bpf(28, &mut link)
        })
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// bpf(2), for commands that answer with a descriptor.
fn bpf(command: i32, attributes: &mut [u64; 16]) -> OwnedFd {
    // SAFETY: the union has this length, and what it points to lives in the caller.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), 128) };
    assert!(fd >= 0, "bpf({command}): {}", std::io::Error::last_os_error());
    // SAFETY: it is a new descriptor that nobody else has.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Two ends, `r` at the relay and `p` at a phone, with their addresses.
pub fn cable(relay: &Space, phone: &Space, number: u8) {
    let (r, p) = (&relay.0, &phone.0);
    let mac = |end: u8| format!("02:00:00:00:{number:02x}:{end:02x}");
    ip(&format!(
        "-n {r} link add r{number} address {} type veth peer name p{number} address {} netns {p}",
        mac(1),
        mac(2)
    ));
    for (space, name, host, other) in [(r, 'r', 1, 2), (p, 'p', 2, 1)] {
        ip(&format!("-n {space} addr add 10.78.{number}.{host}/24 dev {name}{number}"));
        ip(&format!("-n {space} link set {name}{number} up"));
        let there = format!("10.78.{number}.{other} lladdr {}", mac(other));
        ip(&format!("-n {space} neigh replace {there} dev {name}{number} nud permanent"));
    }
}
