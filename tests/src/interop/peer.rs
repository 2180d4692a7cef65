//! A foreign program: started in a namespace, heard through its log, ended by its id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{Namespace, until};

/// A running foreign program.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Peer {
    /// Starts a program in a namespace; what it says goes to a log.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start<S: AsRef<std::ffi::OsStr>>(
        namespace: &Namespace,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Peer {
        // Line buffered, or a log would only be written at the end.
        let mut command = namespace.command("stdbuf");
        command.args(["-oL", "-eL", program]).args(args);
        let mut number = 0;
        let log = loop {
            let stem = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
            let log = namespace.folder().join(format!("{stem}-{number}.log"));
            if !log.exists() {
                break log;
            }
            number += 1;
        };
        Peer::spawn(program, command, log)
    }

    fn spawn(name: &str, mut command: Command, log: PathBuf) -> Peer {
        let file = File::create(&log).expect("a log file");
        let twin = file.try_clone().expect("a second handle");
        command.stdin(Stdio::null()).stdout(file).stderr(twin);
        let child = command.spawn().unwrap_or_else(|e| panic!("{name} cannot be started: {e}"));
        Peer { name: name.to_owned(), child, log }
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it says something.
    ///
    /// # Panics
    /// If it ends or says nothing of the kind in time.
    pub fn says(&mut self, words: &str) {
        until(&format!("{} to say {words:?}", self.name), || {
            if self.said().contains(words) {
                return Some(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                // What it said last may have come after the look.
                assert!(self.said().contains(words), "{} {status}: {}", self.name, self.said());
            }
            None
        });
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn ends(&mut self) -> ExitStatus {
        until(&format!("{} to end", self.name), || self.child.try_wait().ok().flatten())
    }

    /// Waits for its end, which must be a success.
    ///
    /// # Panics
    /// If it fails or does not end in time.
    pub fn succeeds(mut self) -> String {
        let status = self.ends();
        let said = self.said();
        assert!(status.success(), "{} ended with {status}:\n{said}", self.name);
        said
    }

    /// Asks it to end (SIGTERM), which lets it write its files.
    pub fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        self.ends();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said();
            let skip = said.lines().count().saturating_sub(60);
            let tail: Vec<&str> = said.lines().skip(skip).collect();
            eprintln!("--- {} said at last:\n{}\n---", self.name, tail.join("\n"));
        }
    }
}
