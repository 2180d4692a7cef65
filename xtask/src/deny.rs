//! `cargo xtask deny`: licences, banned crates and sources of the dependencies, by `deny.toml`.

use std::process::{Command, Stdio};

use crate::run::{cargo, step};

/// The version that is installed.
const VERSION: &str = "0.20.2";

/// Checks them; installs cargo-deny first if it is not there.
pub(crate) fn check() -> Result<(), String> {
    let mut version = Command::new("cargo-deny");
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        // Without optimization: it is built longer than it runs.
        let install = ["install", "cargo-deny", "--locked", "--debug", "--version", VERSION];
        step("install cargo-deny", &mut cargo(&install))?;
    }
    // Advisories come from a repository that is not reachable everywhere.
    let check = ["deny", "--log-level", "error", "check", "licenses", "bans", "sources"];
    step("dependencies", &mut cargo(&check))
}
