//! Running other programs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The project's root folder.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// Runs a step in the root folder, says how long it took, and fails with what failed.
pub(crate) fn step(title: &str, command: &mut Command) -> Result<(), String> {
    println!("==> {title}");
    let begin = Instant::now();
    let status = command.current_dir(root()).status();
    let status = status.map_err(|e| format!("{title}: cannot start {command:?}: {e}"))?;
    println!("    {title}: {:.1} s", begin.elapsed().as_secs_f32());
    if status.success() {
        Ok(())
    } else {
        Err(format!("{title} failed: {command:?} ended with {status}"))
    }
}

/// `cargo` with arguments.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}
