//! The README and the roadmap name only commands and files that exist, and the README's commands work.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root folder")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect(name)
}

/// The first word after each mention of the program on a line of its own, or in back quotes.
fn commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("    strowger "));
    let quoted =
        text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("strowger "));
    let first = |rest: &str| rest.split([' ', '\n']).next().unwrap_or_default().to_owned();
    let words = lines
        .chain(quoted)
        .flat_map(|rest| first(rest).split('|').map(str::to_owned).collect::<Vec<_>>());
    let words = words.filter(|word| word != "help");
    words.filter(|word| word.chars().all(|c| c.is_ascii_lowercase()) && !word.is_empty()).collect()
}

#[test]
fn every_command_that_is_named_exists() {
    let mut seen = 0;
    for file in [
        "README.md",
        "docs/roadmap.md",
        "docs/operation.md",
        "docs/configuration.md",
        "CHANGELOG.md",
    ] {
        for command in commands(&text(file)) {
            seen += 1;
            let help =
                Command::new(env!("CARGO_BIN_EXE_strowger")).args([&command, "--help"]).output();
            let help = help.expect("the program runs");
            assert!(help.status.success(), "{file} names `strowger {command}`");
        }
    }
    assert!(seen >= 5, "the documents name the commands");
}

#[test]
fn the_reference_of_the_configuration_is_what_the_program_prints() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_strowger"));
    let printed = program.args(["config", "reference"]).output().expect("the program runs").stdout;
    let same = text("docs/configuration.md").as_bytes() == printed;
    assert!(same, "strowger config reference > docs/configuration.md");
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    let words = text("ARCHITECTURE.md");
    let quoted = words.split('`').skip(1).step_by(2);
    let mut seen = 0;
    for path in quoted.filter(|code| code.contains('/') && !code.contains([' ', '…', ':'])) {
        seen += 1;
        let inside = ["", "functions/cscf/src"].map(|folder| root().join(folder).join(path));
        assert!(inside.iter().any(|p| p.exists()), "ARCHITECTURE.md names {path}");
    }
    assert!(seen >= 40, "the architecture names files");
}

/// What is said to be held by a test is: `file: name of the test`.
#[test]
fn every_test_that_the_comparison_with_rtpengine_names_exists() {
    let words = text("docs/rtpengine.md");
    let named = words.split('`').skip(1).step_by(2);
    let named: Vec<(&str, &str)> = named.filter_map(|code| code.split_once(".rs: ")).collect();
    assert!(named.len() >= 40, "{}", named.len());
    for (file, test) in named {
        let found = text(&format!("{file}.rs")).contains(&format!("fn {test}()"));
        assert!(found, "{file}.rs has no test {test}");
    }
}

#[test]
fn the_first_command_of_the_readme_starts_the_program() {
    assert!(text("README.md").contains("    cargo run --release -- demo\n"));
    let manifest = text("strowger/Cargo.toml");
    assert!(manifest.contains("default-run = \"strowger\""), "other crates have programs, too");
}

/// What goes on by itself, and what it says once it does.
const LASTING: [(&str, &str); 3] =
    [("run", "ready in "), ("ue answer", "ready for calls"), ("trace", "listening for ")];

/// Commands of the README in a folder and on a port of their own.
struct Readme {
    folder: PathBuf,
    port: u16,
    running: Vec<Child>,
}

impl Readme {
    fn new() -> Readme {
        let folder = std::env::temp_dir().join(format!("strowger-readme-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("a folder");
        let free = || {
            let udp = UdpSocket::bind("127.0.0.1:0").and_then(|udp| udp.local_addr());
            udp.ok().filter(|at| TcpListener::bind(at).is_ok()).map(|at| at.port())
        };
        let port = std::iter::repeat_with(free).flatten().next().expect("a port");
        Readme { folder, port, running: Vec::new() }
    }

    fn does(&mut self, line: &str) {
        let key = "465b5ce8b199b49faa5f0a2ee238a6bc";
        let mut words = line.replace('…', key);
        if words.starts_with("ue ") {
            words += &format!(" --server 127.0.0.1:{}", self.port);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_strowger"));
        command.args(words.split(' ')).current_dir(&self.folder).stdin(Stdio::null());
        command.env_remove("STROWGER_CONFIG").env("STATE_DIRECTORY", self.folder.join("state"));
        let Some((_, ready)) = LASTING.iter().find(|(start, _)| line.starts_with(start)) else {
            let output = command.output().expect("the program runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "strowger {line}: {said}");
            return;
        };
        // Whichever of the two it says it on.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        command.stdout(writer.try_clone().expect("a pipe")).stderr(writer);
        self.running.push(command.spawn().expect("the program runs"));
        drop(command);
        let mut said = BufReader::new(reader);
        let found = said.by_ref().lines().map_while(Result::ok).any(|line| line.contains(ready));
        assert!(found, "strowger {line}");
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    }

    /// The defaults would meet those of other tests.
    fn move_away(&self) {
        let file = self.folder.join("strowger.toml");
        let text = std::fs::read_to_string(&file).expect("it was written");
        let listen = format!("[pcscf]\nlisten = \"127.0.0.1:{}\"\n#", self.port);
        let own = text.replace("[pcscf]", &listen).replace("30000-30999", "31000-31099");
        let own = own.replace("[media]", "[hss]\nlisten = []\n[media]\nlisten = []\n#");
        std::fs::write(&file, own).expect("it can be written");
    }
}

impl Drop for Readme {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_network_of_the_readme_works_as_it_is_told() {
    let text = text("README.md");
    let (_, section) = text.split_once("## A network of your own\n\n").expect("the section");
    let (block, _) = section.split_once("\n\n").expect("its commands");
    let lines = block.lines().filter_map(|line| line.strip_prefix("    strowger "));
    // What follows two spaces is a remark.
    let lines: Vec<_> = lines.filter_map(|line| line.split("  ").next()).collect();
    assert!(lines.len() >= 7, "{lines:?}");
    let mut readme = Readme::new();
    for line in lines {
        readme.does(line);
        if line.starts_with("config init") {
            readme.move_away();
        }
    }
}
