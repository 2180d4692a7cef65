//! The program as a person starts it: commands that end, and a process that runs.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

use crate::folder::Folder;

impl Folder {
    pub(crate) fn output(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a command that works.
    pub(crate) fn works(&self, args: &str) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a command that fails.
    pub(crate) fn fails(&self, args: &str, code: i32) -> String {
        let output = self.output(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args}: {text}");
        text
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// A process that runs, once it is ready.
    pub(crate) fn start(&self, args: &str) -> Running {
        let mut child =
            self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            said.push(line.clone());
            if line.starts_with("ready in ") {
                return Running { child, said };
            }
        }
        let output = child.wait_with_output().unwrap();
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A process that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) said: Vec<String>,
}

impl Running {
    pub(crate) fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Ends it as a service manager does; what it wrote to standard error.
    pub(crate) fn end(mut self) -> String {
        self.terminate();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status:?}: {log}");
        log
    }
}

/// A test that fails leaves nothing behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
