//! `cargo xtask fuzz [SECONDS]`: every fuzz target for a while.

use std::process::Command;

use crate::run::{cargo, step};

const TARGETS: [&str; 7] = ["sip", "sdp", "diameter", "ng", "hep", "sms", "config"];

/// Runs all targets, each for so many seconds.
pub(crate) fn all(seconds: u32) -> Result<(), String> {
    let installed = Command::new("cargo-fuzz").arg("--version").output().is_ok();
    if !installed {
        step("install cargo-fuzz", &mut cargo(&["install", "cargo-fuzz", "--locked"]))?;
    }
    for target in TARGETS {
        let limit = format!("-max_total_time={seconds}");
        let mut run = cargo(&["fuzz", "run", target, "--", &limit, "-rss_limit_mb=2048"]);
        // cargo-fuzz needs compiler flags that are not stable; the product does not.
        step(&format!("fuzz {target}"), run.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}
