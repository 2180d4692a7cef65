//! `cargo xtask dist`: the binary that is shipped.

use std::process::Command;

use crate::run::{cargo, root, step};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Largest size of the stripped binary, in bytes.
const MAX_SIZE: u64 = 20_000_000;

/// Builds it and checks that it is static and small.
pub(crate) fn build() -> Result<(), String> {
    let mut build = cargo(&["build", "--release", "--package", "strowger", "--target", TARGET]);
    step("static binary", build.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let binary = root().join("target").join(TARGET).join("release/strowger");
    let size = std::fs::metadata(&binary).map_err(|e| format!("{}: {e}", binary.display()))?.len();
    let ldd = Command::new("ldd").arg(&binary).output().map_err(|e| format!("ldd: {e}"))?;
    let said = String::from_utf8_lossy(&[ldd.stdout, ldd.stderr].concat()).into_owned();
    if !said.contains("statically linked") && !said.contains("not a dynamic executable") {
        return Err(format!("{} is not static: {said}", binary.display()));
    }
    if size > MAX_SIZE {
        return Err(format!("{} has {size} bytes, more than {MAX_SIZE}", binary.display()));
    }
    println!("{}: {size} bytes, static", binary.display());
    Ok(())
}
