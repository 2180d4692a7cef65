//! The README and the roadmap name only commands and files that exist.

use std::path::Path;
use std::process::Command;

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
    for file in ["README.md", "docs/roadmap.md", "CHANGELOG.md"] {
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

#[test]
fn the_first_command_of_the_readme_starts_the_program() {
    assert!(text("README.md").contains("    cargo run --release -- demo\n"));
    let manifest = text("strowger/Cargo.toml");
    assert!(manifest.contains("default-run = \"strowger\""), "other crates have programs, too");
}
