//! A bad day from one seed: every function of the network has a host of its own, and everything that can break
//! does, while phones register, call, hold, resume, hang up, text and leave.
//!
//! ```text
//!     0 s  all phones register, nothing breaks
//!     …    for a minute or so: functions crash, also in the middle of a commit, and start from what their disks
//!          kept; links between any two are cut and heal; disks are full or read-only for a while, functions do
//!          not keep up; the weather changes; phones are cut off
//!          everything is mended, calls are hung up
//!  + 240 s whoever wants to be registered is
//!          all register; everything crashes once more and starts
//!          everybody calls somebody, holds, resumes, hangs up and texts; one calls for help, one calls a trunk
//!          and one is called by it
//!          all leave
//!  + 7 h   nothing is left of anything
//! ```
//!
//! - `world`: the network and its people. `deeds`: what people do, and what they are told.
//! - `troubles`: what breaks, and how it is mended.
//! - `inspection`: what must hold when all is over.
//! - `evidence`: what a failure is shown with.

mod deeds;
mod evidence;
mod inspection;
mod troubles;
mod world;

use crate::faulty::Fault;
use world::World;

/// What happens.
#[derive(Clone, Copy, Debug)]
pub struct Calamity {
    /// Everything random comes from it.
    pub seed: u64,
    /// Whether messages are kept, for the ladder of what failed.
    pub evidence: bool,
    /// A planted fault.
    pub fault: Option<Fault>,
}

/// How it went.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// FNV-1a over the trace: every message on either side of the network, crashes and starts.
    pub trace: u64,
    /// What must not be; empty if all is well.
    pub failures: Vec<String>,
    /// The ladder of whom the first failure is about; the end of the trace. Empty if none is kept.
    pub evidence: String,
    /// What happened.
    pub statistics: Statistics,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Crashes of functions, by command or within a commit.
    pub crashes: u64,
    /// Links that were cut.
    pub partitions: u64,
    /// Disks that were full or read-only for a while.
    pub disks: u64,
    /// Functions that did not keep up for a while.
    pub overloads: u64,
    /// Registrations and refreshes that succeeded.
    pub registered: u64,
    /// Registrations that failed.
    pub refused: u64,
    /// Calls that were ordered.
    pub calls: u64,
    /// Ends of calls that were answered.
    pub answered: u64,
    /// Ends of calls that failed.
    pub failed: u64,
    /// Texts that the service centre took.
    pub texts: u64,
    /// SIP messages on either side of the network.
    pub messages: u64,
    /// Virtual seconds until everything was mended.
    pub seconds: u64,
}

impl Calamity {
    /// A day without evidence and faults.
    pub fn new(seed: u64) -> Calamity {
        Calamity { seed, evidence: false, fault: None }
    }

    /// Lets it happen. These must hold, once everything is mended:
    ///
    /// - within five minutes every phone that is to be registered is, and knows it; P-CSCF and S-CSCF have one
    ///   binding for each, and the HSS names the same users as the S-CSCF;
    /// - then everybody can register, call and be called, also before anybody registers again after a crash of
    ///   everything; texts that the service centre took are delivered;
    /// - half a minute after the last call no function has a transaction, a context, or a request to another one
    ///   left, and after everybody has left and some hours nothing at all: no binding, watcher, session, port or
    ///   text, on no disk either; nor does anybody say anything in SIP or NG any more;
    /// - no function ever panicked, no SIM saw an old sequence number, and the rules of
    ///   [`Wire`](crate::wire::Wire) held all the time.
    pub fn run(self) -> Verdict {
        let mut world = World::new(self);
        world.begin();
        if world.is_well() {
            world.suffer();
            world.mend();
            world.recover();
        }
        if world.is_well() {
            world.go_on();
        }
        if world.is_well() {
            world.leave();
        }
        world.finish()
    }
}
