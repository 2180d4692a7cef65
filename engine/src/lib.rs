//! Runs Strowger's machines: what touches the operating system, and the simulator that stands in for
//! it.
//!
//! - [`shard`]: machines, the wires between them, the topology, and the order of steps. No I/O.
//! - [`framing`]: cutting streams into messages, as the program says for each service.
//! - [`net`]: the live loop: sockets, timers, orders from other threads, and the DNS client.
//! - [`store`]: what outlives a crash, in one file, and the disk of the simulator.
//! - [`relay`]: the media relay's packet path, a thread of its own.
//! - [`heap`]: the allocator, for a thread that allocates and frees small blocks all the time.
//! - [`host`]: what the system says of itself and the standard library does not pass on.
//! - [`sim`]: the same machines in virtual time on a virtual network, all from one seed.
//!
//! The engine knows [`base::Function`] and nothing of what a call is. Bytes that cross a seam are
//! seen by a [`shard::Tap`]; reports and log lines go to a [`shard::Console`].
//!
//! Covered: RFC 3263 §4 (NAPTR, SRV, A, AAAA), RFC 2782 (order and weight), RFC 6733 §5.2 and
//! RFC 6408 (Diameter peers by DNS), RFC 2308 (negative answers), RFC 1035 over UDP with EDNS,
//! RFC 5922 §7 (identities in TLS certificates).
//!
//! Not done: more than one shard in a process, a store shared between nodes, DNS over TCP, SCTP and TUN.

pub mod framing;
pub mod heap;
pub mod host;
pub mod net;
pub mod relay;
pub mod shard;
pub mod sim;
pub mod store;

pub use net::{Handle, Live, LiveConfig};
pub use relay::{Forward, Onward, RelayConfig};
pub use shard::{FunctionId, FunctionSpec, Listener, Place, Shard};
pub use sim::Simulation;
pub use store::DiskStore;
