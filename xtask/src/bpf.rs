//! `cargo xtask bpf`: the program that relays streams in the kernel, compiled beforehand, so that nobody who builds
//! Strowger needs clang.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{root, step};

/// The compiler whose output is committed: Debian 12's, from its packages `clang`, `libbpf-dev` and `linux-libc-dev`.
const CLANG: &str = "/usr/bin/clang-14";

fn source() -> PathBuf {
    root().join("engine/src/relay/xdp/relay.bpf.c")
}

fn compile(to: &Path) -> Result<(), String> {
    let mut clang = Command::new(CLANG);
    clang.args(["-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror"]);
    // Where Debian has <asm/types.h>, which a target without an operating system does not look for.
    clang.arg("-I/usr/include/x86_64-linux-gnu");
    step("program for the kernel", clang.arg("-c").arg(source()).arg("-o").arg(to))
}

/// Compiles it, and says whether that is what is committed.
pub(crate) fn build() -> Result<(), String> {
    let committed = source().with_extension("o");
    let before = std::fs::read(&committed).unwrap_or_default();
    compile(&committed)?;
    let after = std::fs::read(&committed).map_err(|e| format!("{}: {e}", committed.display()))?;
    let word = if after == before { "as it was" } else { "another one: commit it" };
    println!("{}: {} bytes, {word}", committed.display(), after.len());
    Ok(())
}

/// Whether what is committed is what the source says, where there is the compiler.
pub(crate) fn check() -> Result<(), String> {
    if !Path::new(CLANG).exists() || !Path::new("/usr/include/bpf/bpf_helpers.h").exists() {
        println!(
            "==> the kernel's program is not compared with its source: no clang-14, or no libbpf-dev"
        );
        return Ok(());
    }
    let fresh = root().join("target/relay.bpf.o");
    compile(&fresh)?;
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    if read(&fresh)? == read(&source().with_extension("o"))? {
        Ok(())
    } else {
        Err("relay.bpf.o is not what relay.bpf.c says: run cargo xtask bpf, and commit it"
            .to_owned())
    }
}
