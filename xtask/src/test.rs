//! `cargo xtask test`.

use crate::run::{cargo, step};
use crate::{bpf, deny, dist, fuzz, limits, peers};

/// Everything that CI runs.
pub(crate) fn all() -> Result<(), String> {
    peers::install()?;
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    deny::check()?;
    bpf::check()?;
    let lints = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    step("lints", &mut cargo(&lints))?;
    let mut tests = cargo(&["test", "--workspace", "--quiet", "--no-fail-fast"]);
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        // The same property tests for everybody who runs this; plain `cargo test` and the fuzz targets
        // look further.
        tests.env("PROPTEST_RNG_SEED", "20261121");
    }
    step("tests", &mut tests)?;
    let documentation = ["doc", "--workspace", "--no-deps", "--quiet"];
    step("documentation", cargo(&documentation).env("RUSTDOCFLAGS", "-D warnings"))?;
    fuzz::briefly()?;
    dist::build()?;
    dist::demonstrate()?;
    limits::assert_memory()?;
    let interop = ["test", "--quiet", "--package", "strowger-tests", "--features", "interop"];
    // Where a test plays the program in several processes, it is the one that is shipped.
    let mut peers = cargo(&interop);
    peers.env("STROWGER_PROGRAM", dist::binary());
    step("real peers", peers.args(["--", "--test-threads=1"]))
}
