//! What media control tells the packet path, and what it hears from it.
//!
//! A *port* is one local UDP port pair (RTP on an even port, RTCP on the next) of the relay. A
//! *stream* joins two ports: what arrives at one leaves by the other.

mod amr;
mod conversion;
mod digit;
mod dtls;
mod encoding;
mod ice;
mod keys;
mod offload;
mod playing;
mod recording;
mod standing;

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

pub use amr::Amr;
pub use conversion::{Conversion, Format, Sound};
pub use digit::Digit;
pub use dtls::{Fingerprint, Handshake, HashFunction};
pub use encoding::{Encoding, LINEAR_RATES};
pub use ice::{Candidate, CandidateKind, Component, Credentials, Ice, Remote};
pub use keys::{BadKey, MasterKey, Suite};
pub use offload::{Offload, Shortcut, Tracking};
pub use playing::Playing;
pub use recording::{Form, Recorded, Recording, Tap};
pub use standing::{INDEX_STEP, Leaving, SecureSource, Standing};

use crate::redact::Secret;
use crate::time::{Duration, Instant};

/// A port pair of the relay, chosen by media control; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PortId(pub u64);

/// What media control wants of the packet path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Take a free port pair from the pool. Answered by [`Event::Opened`] or [`Event::NoPort`].
    Open {
        /// The name of the pair from here on.
        port: PortId,
        /// The local address to bind.
        address: IpAddr,
        /// This RTP port and no other one: another relay had it.
        rtp: Option<u16>,
    },
    /// Join two ports, or change how: what arrives at `a` leaves from `b` and the other way round.
    Join {
        /// One side.
        a: Side,
        /// The other side.
        b: Side,
    },
    /// From now on the peer of a port is protected like this.
    Protect {
        /// The port.
        port: PortId,
        /// Plain RTP, or SRTP.
        protection: Protection,
    },
    /// From now on ICE says where the peer of a port is, or its description again.
    Connect {
        /// The port.
        port: PortId,
        /// `None` for no ICE.
        ice: Option<Ice>,
    },
    /// From now on not everything of the peer of a port passes, or all again.
    Gate {
        /// The port.
        port: PortId,
        /// What passes.
        gate: Gate,
    },
    /// From now on these payload types of the peer of a port become others, and no others pass; without any, all pass
    /// as they are.
    Convert {
        /// The port.
        port: PortId,
        /// One for each payload type.
        conversions: Vec<Conversion>,
    },
    /// From now on the peer of a port hears this in place of the other one, until it is over; or nothing of it any more.
    Play {
        /// The port.
        port: PortId,
        /// `None` to stop.
        playing: Option<Playing>,
    },
    /// The peer of a port says this digit, as the other one hears it, in place of what it says itself; after those that it
    /// was told to say before.
    Dial {
        /// The port.
        port: PortId,
        /// The digit.
        digit: Digit,
    },
    /// From now on packets of the peer of a port are recorded, or not any more.
    Record {
        /// The port.
        port: PortId,
        /// `None` for the end of what was recorded there.
        tap: Option<Tap>,
    },
    /// From now on report with [`Event::Standing`] what another packet path needs to go on with a port, each time that it
    /// changes.
    Track {
        /// The port.
        port: PortId,
    },
    /// Go on where another packet path was with a port. Comes after its keys and before it is joined, so that no packet
    /// passes as the first one.
    Resume {
        /// The port, with its peer's addresses.
        side: Side,
        /// How it stood.
        standing: Box<Standing>,
    },
    /// From now on copies of what the peer of a port says (RTP, in the clear) enter at other ports, too, as if their peers had
    /// said it.
    Copy {
        /// The port.
        port: PortId,
        /// Those ports; none to end it.
        to: Vec<PortId>,
    },
    /// Handshakes show this certificate from here on: relays that go on with each other's calls have the same one.
    Present {
        /// The certificate, in DER.
        certificate: Vec<u8>,
        /// Its key (PKCS #8), in DER.
        key: Secret<Vec<u8>>,
    },
    /// Report the counters of a port now. Answered by [`Event::Counters`].
    Query {
        /// The port.
        port: PortId,
    },
    /// Give the pair back to the pool.
    Close {
        /// The port.
        port: PortId,
    },
}

/// One side of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Side {
    /// The port pair.
    pub port: PortId,
    /// Where the peer said that it receives RTP; `None` while unknown: nothing is sent until learned.
    pub rtp: Option<SocketAddr>,
    /// Where the peer said that it receives RTCP (by default the RTP port plus one).
    pub rtcp: Option<SocketAddr>,
    /// The host that the peer's signalling came from, if it is known: behind a NAT its media comes from
    /// there, whatever it said.
    pub host: Option<IpAddr>,
    /// Whether the peer multiplexes RTP and RTCP on one port, RFC 5761.
    pub mux: bool,
    /// Whether the source address of the first packets replaces the signalled address.
    pub learn: bool,
    /// The clock of what the peer sends, in Hz.
    pub clock: u32,
}

/// How packets to and from the peer of a port are protected.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub enum Protection {
    /// Not at all: plain RTP.
    #[default]
    None,
    /// SRTP with keys that the descriptions had.
    Keys(MasterKeys),
    /// SRTP with keys that come of a handshake, RFC 5764. Nothing passes before it is over.
    Handshake(Handshake),
}

/// The keys of SRTP with the peer of a port, RFC 3711. Without the key of a direction nothing passes in it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct MasterKeys {
    /// What the peer protects its packets with.
    pub inbound: Option<MasterKey>,
    /// What we protect those to it with.
    pub outbound: Option<MasterKey>,
}

/// What of a peer's RTP does not pass as it is, or is told.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Gate {
    /// No media passes, but digits do.
    pub blocks_media: bool,
    /// Media passes as silence.
    pub silences_media: bool,
    /// No digits (RFC 4733) pass.
    pub blocks_digits: bool,
    /// Each digit is told by [`Event::Digit`].
    pub notices_digits: bool,
    /// The payload types of digits, a bit each.
    pub digit_types: u128,
}

/// Where a packet leaves, where it goes, and how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Onward {
    /// The pair that it leaves from.
    pub port: PortId,
    /// From the pair's RTCP port.
    pub rtcp: bool,
    /// The peer's address.
    pub to: SocketAddr,
    /// Its bytes, from the beginning of the buffer that it came in.
    pub length: usize,
}

/// What the packet path reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The pair is bound.
    Opened {
        /// The pair.
        port: PortId,
        /// Its RTP port; RTCP is the next one.
        rtp: u16,
    },
    /// The pool is empty or the address cannot be bound.
    NoPort {
        /// The pair that was asked for.
        port: PortId,
    },
    /// The peer's real address was learned from its packets.
    Learned {
        /// The pair.
        port: PortId,
        /// The peer's RTP address.
        address: SocketAddr,
    },
    /// What another packet path needs to go on with the pair.
    Standing {
        /// The pair.
        port: PortId,
        /// How it stands.
        standing: Box<Standing>,
    },
    /// From here on the kernel moves what it can by itself, or nothing any more.
    Kernel {
        /// A pair that it is about.
        port: PortId,
        /// How it does so, or why it does not.
        way: Result<KernelWay, String>,
    },
    /// The peer said a digit (RFC 4733), and its end has come.
    Digit {
        /// The pair.
        port: PortId,
        /// The payload type that it came with.
        payload_type: u8,
        /// The event, 0 to 15.
        event: u8,
        /// How long it was, in units of the payload type's clock.
        duration: u16,
        /// The power level, 0 to 63, in dBm0 below zero.
        volume: u8,
    },
    /// Nothing passes between us and the peer, and this is why.
    Failed {
        /// The pair.
        port: PortId,
        /// Why.
        failure: Failure,
    },
    /// The answer to [`Command::Query`], and the last word on a closed port.
    Counters {
        /// The pair.
        port: PortId,
        /// What arrived there.
        counters: Counters,
    },
}

/// How the kernel moves packets by itself: by XDP, as the drivers or as its stack gives them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelWay {
    /// The interfaces whose packets it sees, by name.
    pub interfaces: Vec<String>,
    /// Whether in the drivers (native), before the kernel makes anything of a packet.
    pub native: bool,
}

/// Why the way to a peer is not there, or not any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// No candidate of the peer answered a check, RFC 8445 §8.1.
    NoCandidateAnswers,
    /// The peer answers no checks any more: its consent has run out, RFC 7675 §5.1.
    ConsentLost,
    /// The certificate is not the one whose fingerprint the description has, RFC 5763 §6.7.1.
    WrongCertificate,
    /// The handshake came to no end, and what was said of it.
    Handshake(String),
    /// The relay has a fault that the peer's packets reach: they are taken no more.
    Fault,
}

/// What arrived at a port pair.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// RTP packets that arrived and were relayed.
    pub packets: u64,
    /// Their UDP payload bytes.
    pub bytes: u64,
    /// Of the packets: those that the kernel moved by itself.
    pub by_kernel: u64,
    /// Packets that arrived and could not be relayed.
    pub errors: u64,
    /// Of the errors: RTP from elsewhere than the peer's address.
    pub strangers: u64,
    /// Of the errors: SRTP that is not protected with the peer's key.
    pub unauthentic: u64,
    /// RTCP packets relayed.
    pub rtcp: u64,
    /// When the last packet arrived.
    pub last: Option<Instant>,
    /// The synchronisation source last seen.
    pub ssrc: Option<u32>,
    /// Packets missing in the sequence, RFC 3550 Appendix A.3.
    pub lost: u64,
    /// Interarrival jitter, RFC 3550 §6.4.1, as time.
    pub jitter: Duration,
    /// The payload type last seen.
    pub payload_type: Option<u8>,
    /// Units of the codec's clock from one packet to the next.
    pub step: u32,
    /// Packets in a row that had nothing but one octet again and again.
    pub quiet: u64,
}
