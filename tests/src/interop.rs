//! Foreign programs next to a live network: each test in a network namespace of its own, or in several
//! that a [`Bridge`] joins.
//!
//! Nothing here waits for a time: it waits for a condition, at most [`PATIENCE`].

mod baresip;
mod bridge;
mod decoder;
pub mod differential;
mod evening;
mod namespace;
mod pair;
mod peer;
mod process;
pub mod spec;
mod split;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use baresip::Baresip;
pub use bridge::Bridge;
pub use decoder::decode;
pub use evening::{Race, all_is_answered, evening, within_one, without_races};
pub use namespace::Namespace;
pub use pair::Pair;
pub use peer::Peer;
pub use process::{Process, assert_heard};
pub use spec::Spec;
pub use split::Split;

/// The address of everything inside a namespace.
pub const HERE: &str = "10.9.0.1";

/// The home domain.
pub const DOMAIN: &str = "ims.test";

/// How long a condition may take to come true.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A program of the Python environment that `cargo xtask peers` fills.
///
/// # Panics
/// If it is not there.
pub fn python(program: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root folder");
    let path = root.join("target/peers/bin").join(program);
    assert!(path.exists(), "{program} is missing: run cargo xtask peers");
    path.display().to_string()
}

/// The folder of the Node modules that `cargo xtask peers` fills.
///
/// # Panics
/// If it is not there.
pub fn node() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root folder");
    let path = root.join("target/peers/node/node_modules");
    assert!(path.exists(), "the Node modules are missing: run cargo xtask peers");
    path.display().to_string()
}

/// Plays a scenario in a fresh namespace; what fails is tried once more, and that is said.
pub fn scenario(name: &str, play: impl Fn(&Namespace)) {
    twice(name, || play(&Namespace::new()));
}

/// Plays something; what fails is tried once more, and that is said.
pub fn twice(name: &str, play: impl Fn()) {
    let attempt = || catch_unwind(AssertUnwindSafe(&play));
    if attempt().is_err() {
        eprintln!("{name}: failed, a second attempt is made");
        match attempt() {
            Ok(()) => eprintln!("{name}: NEEDED A SECOND ATTEMPT"),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Waits until something is so.
///
/// # Panics
/// If it does not come within [`PATIENCE`].
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file of `tests/peers`.
pub fn peer_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

/// A file of `tests/peers` as text.
///
/// # Panics
/// If it cannot be read.
pub fn peer_text(name: &str) -> String {
    let path = peer_file(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The spoken prompt of a name.
///
/// # Panics
/// For other names than `alice` and `bob`.
pub fn prompt(name: &str) -> Vec<i16> {
    let wav = match name {
        "alice" => rtp::prompts::ALICE,
        "bob" => rtp::prompts::BOB,
        other => panic!("no prompt is called {other}"),
    };
    rtp::wav::read(wav).expect("a prompt of ours").samples
}
