//! `cargo xtask dist`: the binary that is shipped.

use std::path::PathBuf;
use std::process::Command;

use crate::limits::MAX_SIZE;
use crate::run::{cargo, root, step};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Static, and small: equal functions are there once, and what the loader adds an address to is a bit map.
const FLAGS: &str =
    "-C target-feature=+crt-static -C link-arg=-Wl,--icf=all,-z,pack-relative-relocs";

/// The path of the shipped binary.
pub(crate) fn binary() -> PathBuf {
    root().join("target").join(TARGET).join("dist/strowger")
}

/// Its size in bytes.
pub(crate) fn size() -> Result<u64, String> {
    let binary = binary();
    Ok(std::fs::metadata(&binary).map_err(|e| format!("{}: {e}", binary.display()))?.len())
}

/// Builds it and checks that it is static and small.
pub(crate) fn build() -> Result<(), String> {
    let mut build =
        cargo(&["build", "--profile", "dist", "--package", "strowger", "--target", TARGET]);
    step("static binary", build.env("RUSTFLAGS", FLAGS))?;
    let (binary, size) = (binary(), size()?);
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

/// Runs the demonstration with the shipped binary as an ordinary user, in an otherwise empty root.
pub(crate) fn demonstrate() -> Result<(), String> {
    let jail = root().join("target/jail");
    let home = jail.join("home");
    let prepare = || -> std::io::Result<()> {
        if jail.exists() {
            std::fs::remove_dir_all(&jail)?;
        }
        std::fs::create_dir_all(&home)?;
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY))?;
        std::fs::copy(binary(), jail.join("strowger")).map(drop)
    };
    prepare().map_err(|e| format!("an empty root in {} (needs root): {e}", jail.display()))?;
    let mut demo = Command::new("chroot");
    demo.arg(format!("--userspec={NOBODY}:{NOBODY}")).arg(&jail);
    step("demonstration in an empty root", demo.args(["/strowger", "demo", "--out", "/home/demo"]))
}

/// The user that owns nothing.
const NOBODY: u32 = 65_534;
