//! The process with our network and our phones.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use serde_json::Value;

use super::{Namespace, PATIENCE, Spec};

/// A child process that runs what a [`Spec`] says.
#[derive(Debug)]
pub struct Process {
    child: Child,
    orders: ChildStdin,
    reports: Receiver<Value>,
    unread: Vec<Value>,
}

impl Process {
    /// Starts it and waits until everything listens. `binary` is `env!("CARGO_BIN_EXE_network")`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(namespace: &Namespace, binary: &str, spec: &Spec) -> Process {
        let mut command = namespace.command(binary);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(namespace.folder().join("network.log"))
            .expect("a log file");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the network starts");
        let orders = child.stdin.take().expect("it was piped");
        let out = BufReader::new(child.stdout.take().expect("it was piped"));
        let (sender, reports) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else { continue };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut process = Process { child, orders, reports, unread: Vec::new() };
        process.order(&serde_json::to_string(spec).expect("a spec is JSON"));
        process.hears("the network to listen", |report| (report["what"] == "ready").then_some(()));
        process
    }

    /// Says one line to it, such as `carol call tel:+4930100`.
    ///
    /// # Panics
    /// If it is gone.
    pub fn order(&mut self, line: &str) {
        writeln!(self.orders, "{line}").expect("the network lives");
    }

    /// Waits for a report in particular, unless it came already. No report is found twice.
    ///
    /// # Panics
    /// If it does not come in time, or the process ends.
    pub fn hears<T>(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> Option<T>) -> T {
        for at in 0..self.unread.len() {
            if let Some(found) = wanted(&self.unread[at]) {
                self.unread.remove(at);
                return found;
            }
        }
        let end = Instant::now() + PATIENCE;
        loop {
            match self.reports.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(report) => {
                    if let Some(found) = wanted(&report) {
                        return found;
                    }
                    self.unread.push(report);
                }
                Err(RecvTimeoutError::Timeout) => panic!("waited for {what}: {:?}", self.unread),
                Err(RecvTimeoutError::Disconnected) => panic!("the network ended before {what}"),
            }
        }
    }

    /// Waits until a phone reports something, such as `answered`; a call's failure is one here.
    ///
    /// # Panics
    /// If it does not come in time.
    pub fn phone(&mut self, name: &str, what: &str) -> Value {
        self.hears(&format!("{name} to report {what}"), |report| {
            let own = report["phone"] == name;
            let broken = ["refused", "registration failed", "ended"];
            if own && report["what"] == what {
                return Some(report.clone());
            }
            let bad = own && broken.iter().any(|word| report["what"] == *word);
            assert!(!bad, "instead of {what}: {report}");
            None
        })
    }

    /// Registers a phone.
    pub fn register(&mut self, name: &str) {
        self.order(&format!("{name} register"));
        self.phone(name, "registered");
    }

    /// Lets the current call go on until the longest prompt was said.
    pub fn talk(&mut self) {
        self.order("talk");
        self.hears("the words to be said", |report| (report["what"] == "talked").then_some(()));
    }

    /// The first of the two phones, which says `alice`, hangs up; each heard the other.
    ///
    /// # Panics
    /// If one of them heard something else, or does not learn that the call is over.
    pub fn part(&mut self, first: &str) {
        self.order(&format!("{first} hangup"));
        for report in self.both_end() {
            assert_heard(&report, if report["phone"] == first { "bob" } else { "alice" });
        }
    }

    /// Waits until both phones report the end of their call.
    pub fn both_end(&mut self) -> [Value; 2] {
        let ended = |report: &Value| (report["what"] == "ended").then(|| report.clone());
        ["the first end", "the second end"].map(|which| self.hears(which, ended))
    }

    /// Ends it and waits until its files are written.
    ///
    /// # Panics
    /// If it does not end in time, or badly.
    pub fn stop(mut self) {
        self.order("quit");
        let status = super::until("the network to end", || self.child.try_wait().ok().flatten());
        assert!(status.success(), "the network ended with {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks what a phone heard, in its report `ended`.
///
/// # Panics
/// If it is not the prompt of that name.
pub fn assert_heard(ended: &Value, prompt: &str) {
    assert_eq!(ended["heard"][prompt], "Same", "{prompt} is heard: {ended}");
}
