//! `strowger demo`: a whole IMS and two phones with SIMs on loopback, one call, and its proof.
//!
//! [`Demo::run`] plays the scene and gives a [`Outcome`]: everything that was measured and every check
//! that failed. What is shown is made of it by [`screen`].

mod scene;
pub mod screen;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use engine::FunctionSpec;
use engine::relay::Forward;
use rtp::likeness::Likeness;
use ue::MediaStats;

use crate::plan::Role;

/// The home domain of the demonstration: a test network of TS 23.003 §2.2.
pub const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

/// Changes a function, or a phone (`alice`, `bob`), before it is started; tests break things with it.
pub type Alter = Box<dyn Fn(FunctionSpec) -> FunctionSpec>;

/// How the demonstration is run.
pub struct Demo {
    /// Where recordings and captures are written.
    pub out: PathBuf,
    /// The address of everything.
    pub address: IpAddr,
    /// Whether everything goes on running after the call.
    pub stay: bool,
    /// Hears what happens, one line each.
    pub progress: Box<dyn FnMut(&str)>,
    /// The relay's packet path; `None` is ours.
    pub forward: Option<Box<dyn Forward>>,
    /// Changes functions before they start.
    pub alter: Option<Alter>,
    /// A function that is stopped before the phones are switched on.
    pub stop: Option<Role>,
    /// When the process was started.
    pub begun: std::time::Instant,
}

impl Demo {
    /// The demonstration as a person starts it.
    pub fn new(out: PathBuf) -> Demo {
        Demo {
            out,
            address: IpAddr::from([127, 0, 0, 1]),
            stay: false,
            progress: Box::new(|_| {}),
            forward: None,
            alter: None,
            stop: None,
            begun: std::time::Instant::now(),
        }
    }
}

/// What was seen and measured.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Everything that should have been so and was not, in words; empty is success.
    pub failures: Vec<String>,
    /// From the start of the process until everything listens.
    pub ready: Duration,
    /// How long each registration took: Alice's and Bob's.
    pub registration: [Option<Duration>; 2],
    /// From INVITE to ringing.
    pub post_dial_delay: Option<Duration>,
    /// How long they talked.
    pub talk: Duration,
    /// What Alice heard of Bob, and what Bob heard of Alice.
    pub heard: [Option<Heard>; 2],
    /// The messages that crossed a seam.
    pub records: Vec<ladder::Record>,
    /// Files that were written, with what they are.
    pub files: Vec<(&'static str, PathBuf)>,
    /// How a further phone can join, while it stays.
    pub join: Option<Join>,
}

/// What a softphone needs in order to join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Join {
    /// The P-CSCF: its outbound proxy.
    pub proxy: std::net::SocketAddr,
    /// Its user name.
    pub name: &'static str,
    /// Its password, made for this run.
    pub password: String,
    /// Whom it can call: Bob's number.
    pub call: &'static str,
}

/// What one phone heard.
#[derive(Debug)]
pub struct Heard {
    /// Packets, loss, jitter, MOS.
    pub stats: MediaStats,
    /// How much it is like what was spoken.
    pub likeness: Likeness,
}

/// Why the demonstration could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The network could not be started.
    #[error("cannot start the network: {0}")]
    Start(String),
    /// The folder takes no files.
    #[error("cannot write into {}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}
