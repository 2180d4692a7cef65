//! The foreign programs that the interop tests drive.

use std::path::Path;
use std::process::Command;

use crate::run::step;

/// Debian packages and a program of each that shows that it is there.
const PACKAGES: &[(&str, &str)] =
    &[("sip-tester", "/usr/bin/sipp"), ("baresip", "/usr/bin/baresip"), ("iproute2", "/sbin/ip")];

/// Installs what is missing; without root it says what is missing and fails.
pub(crate) fn install() -> Result<(), String> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, program)| !Path::new(program).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if !root {
        return Err(format!("the tests need these Debian packages: apt-get install {list}"));
    }
    step("package lists", Command::new("apt-get").args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    step("peers", install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing))
}
