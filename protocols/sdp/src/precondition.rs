//! Quality-of-service preconditions with segmented status, RFC 3312 and RFC 4032.
//!
//! ```text
//!             our access (local)          peer's access (remote)
//! current     what we have reserved       what the peer said that it has reserved
//! desired     what must be reserved before the callee is alerted, and how strongly
//! ```
//!
//! Tags and directions are always those of who writes: what the peer calls `local send` is our
//! `remote recv` (RFC 3312 §6, table 2).

use crate::media::Media;

/// Which directions of a segment are reserved or wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reserved {
    /// From the writer to the other end.
    pub send: bool,
    /// From the other end to the writer.
    pub recv: bool,
}

impl Reserved {
    /// Nothing.
    pub const NONE: Reserved = Reserved { send: false, recv: false };
    /// Both directions.
    pub const SENDRECV: Reserved = Reserved { send: true, recv: true };

    const fn reversed(self) -> Reserved {
        Reserved { send: self.recv, recv: self.send }
    }

    const fn covers(self, wanted: Reserved) -> bool {
        (self.send || !wanted.send) && (self.recv || !wanted.recv)
    }

    const fn or(self, other: Reserved) -> Reserved {
        Reserved { send: self.send || other.send, recv: self.recv || other.recv }
    }

    const fn as_str(self) -> &'static str {
        match (self.send, self.recv) {
            (true, true) => "sendrecv",
            (true, false) => "send",
            (false, true) => "recv",
            (false, false) => "none",
        }
    }

    fn parse(text: &str) -> Option<Reserved> {
        Some(match text {
            "sendrecv" => Reserved::SENDRECV,
            "send" => Reserved { send: true, recv: false },
            "recv" => Reserved { send: false, recv: true },
            "none" => Reserved::NONE,
            _ => return None,
        })
    }
}

/// How much a reservation matters, RFC 3312 §4; the later one is the stronger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Strength {
    /// Not at all.
    #[default]
    None,
    /// The call goes on without.
    Optional,
    /// No alerting before it is there.
    Mandatory,
    /// The peer could not reserve: the session fails (RFC 3312 §8).
    Failure,
    /// The peer does not know this precondition.
    Unknown,
}

impl Strength {
    const ALL: [(Strength, &'static str); 5] = [
        (Strength::None, "none"),
        (Strength::Optional, "optional"),
        (Strength::Mandatory, "mandatory"),
        (Strength::Failure, "failure"),
        (Strength::Unknown, "unknown"),
    ];

    fn as_str(self) -> &'static str {
        Strength::ALL[self as usize].1
    }

    fn parse(text: &str) -> Option<Strength> {
        Strength::ALL.into_iter().find(|(_, name)| *name == text).map(|(strength, _)| strength)
    }
}

/// What is reserved and what shall be, in one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// What is reserved now.
    pub current: Reserved,
    /// What is wanted.
    pub desired: Reserved,
    /// How strongly.
    pub strength: Strength,
}

impl Segment {
    fn met(self) -> bool {
        self.strength < Strength::Mandatory
            || (self.strength == Strength::Mandatory && self.current.covers(self.desired))
    }

    fn reversed(self) -> Segment {
        let Segment { current, desired, strength } = self;
        Segment { current: current.reversed(), desired: desired.reversed(), strength }
    }

    /// The stronger wish wins: an answer may upgrade and never downgrade, RFC 3312 §5.
    fn upgrade(&mut self, other: Segment) {
        self.strength = self.strength.max(other.strength);
        self.desired = self.desired.or(other.desired);
    }
}

/// The status table of one media stream, as its owner writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Preconditions {
    /// The writer's own access.
    pub local: Segment,
    /// The other end's access.
    pub remote: Segment,
    /// Set when the writer asks to be told once the other end's access is reserved.
    pub confirm: Option<Reserved>,
}

impl Preconditions {
    /// What a telephone of an IMS network offers, TS 24.229 §5.1.3.1: its own access is mandatory,
    /// the other end's `remote`; nothing or everything of its own is reserved already.
    pub fn offer(reserved: bool, remote: Strength) -> Preconditions {
        let current = if reserved { Reserved::SENDRECV } else { Reserved::NONE };
        let desired = Reserved::SENDRECV;
        Preconditions {
            local: Segment { current, desired, strength: Strength::Mandatory },
            remote: Segment { current: Reserved::NONE, desired, strength: remote },
            confirm: None,
        }
    }

    /// Our first table after an offer with preconditions: the peer's seen from here, with our own
    /// access mandatory. While the offerer's reservation is missing, it is asked to confirm.
    pub fn answer(peer: &Preconditions, reserved: bool) -> Preconditions {
        let mut own = Preconditions::offer(reserved, Strength::None);
        own.remote.desired = Reserved::NONE;
        own.hear(peer);
        own.confirm = (!own.remote.met()).then_some(own.remote.desired);
        own
    }

    /// Takes in what the peer wrote.
    pub fn hear(&mut self, peer: &Preconditions) {
        self.remote.current = peer.local.current.reversed();
        self.remote.upgrade(peer.local.reversed());
        self.local.upgrade(peer.remote.reversed());
    }

    /// Our access is reserved in both directions.
    pub fn reserve(&mut self) {
        self.local.current = Reserved::SENDRECV;
    }

    /// Whether all that is mandatory is reserved at both ends: the callee may be alerted.
    pub fn met(&self) -> bool {
        self.local.met() && self.remote.met()
    }

    /// Whether the peer said that it cannot (RFC 3312 §8): the session fails with 580.
    pub fn failed(&self) -> bool {
        self.local.strength >= Strength::Failure || self.remote.strength >= Strength::Failure
    }

    /// Reads the table of a media section; `None` if it has no segmented QoS preconditions.
    pub fn of(media: &Media) -> Option<Preconditions> {
        let mut table = Preconditions::default();
        let mut found = false;
        for value in media.section().attributes("curr") {
            let (segment, rest) = match value.split_ascii_whitespace().collect::<Vec<_>>()[..] {
                ["qos", tag, direction] => (tag, direction),
                _ => continue,
            };
            let (Some(segment), Some(current)) = (table.segment(segment), Reserved::parse(rest))
            else {
                continue;
            };
            segment.current = current;
            found = true;
        }
        for value in media.section().attributes("des") {
            let parts = value.split_ascii_whitespace().collect::<Vec<_>>();
            let ["qos", strength, tag, direction] = parts[..] else { continue };
            let (Some(strength), Some(desired)) =
                (Strength::parse(strength), Reserved::parse(direction))
            else {
                continue;
            };
            let Some(segment) = table.segment(tag) else { continue };
            segment.strength = segment.strength.max(strength);
            segment.desired = segment.desired.or(desired);
            found = true;
        }
        for value in media.section().attributes("conf") {
            let parts = value.split_ascii_whitespace().collect::<Vec<_>>();
            if let ["qos", "remote", direction] = parts[..] {
                table.confirm = Reserved::parse(direction);
            }
        }
        found.then_some(table)
    }

    /// The attributes that say this table: names and values.
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut out = vec![
            ("curr", format!("qos local {}", self.local.current.as_str())),
            ("curr", format!("qos remote {}", self.remote.current.as_str())),
        ];
        for (tag, Segment { desired, strength, .. }) in
            [("local", self.local), ("remote", self.remote)]
        {
            out.push(("des", format!("qos {} {tag} {}", strength.as_str(), desired.as_str())));
        }
        if let Some(confirm) = self.confirm {
            out.push(("conf", format!("qos remote {}", confirm.as_str())));
        }
        out
    }

    fn segment(&mut self, tag: &str) -> Option<&mut Segment> {
        match tag {
            "local" => Some(&mut self.local),
            "remote" => Some(&mut self.remote),
            _ => None,
        }
    }
}
