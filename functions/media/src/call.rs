//! Calls, dialogues, streams and legs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base::Instant;
use base::relay::{Counters, Encoding, Format, PortId, Side, Standing, Tap};
use ng::Request;
use serde::{Deserialize, Serialize};

use crate::codecs::{Converted, Offer};
use crate::connectivity::Connectivity;
use crate::crypto::Keys;
use crate::gates::Wanted;
use crate::handshake::Association;
use crate::listening::Listening;
use crate::origin::Shown;
use crate::playing::Played;
use crate::recording::Recorded;
use crate::subscribing::Subscription;
use crate::takeover::Resuming;

/// A call: all that happens under one Call-ID.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) call_id: String,
    pub(crate) created: Instant,
    pub(crate) signalled: Instant,
    /// Who asked last.
    #[serde(skip)]
    pub(crate) proxy: Option<base::Endpoint>,
    /// It is to be deleted after a delay.
    pub(crate) deleting: bool,
    pub(crate) dialogues: Vec<Dialogue>,
    /// Who else hears.
    pub(crate) subscriptions: Vec<Subscription>,
    #[serde(skip)]
    pub(crate) recorded: Option<Recorded>,
    /// It was another relay's, and its ports are being opened here.
    #[serde(skip)]
    pub(crate) resuming: Option<Box<Resuming>>,
}

/// Which of the two parties of a dialogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Who {
    /// Who made the first offer.
    A,
    /// Who was called.
    B,
}

impl Who {
    pub(crate) fn other(self) -> Who {
        match self {
            Who::A => Who::B,
            Who::B => Who::A,
        }
    }
}

/// Two parties that hear each other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dialogue {
    /// Never used twice in one process.
    pub(crate) id: u64,
    pub(crate) created: Instant,
    pub(crate) via_branch: Option<String>,
    pub(crate) parties: [Party; 2],
    /// One for each `m=` line; `None` where nothing is relayed.
    pub(crate) streams: Vec<Option<Stream>>,
}

/// One end of a dialogue.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Party {
    /// Its tag; unknown for the callee before the first answer.
    pub(crate) tag: Option<String>,
    /// Tags of other branches that answered the same offer; the last one speaks.
    pub(crate) former: Vec<String>,
    pub(crate) label: Option<String>,
    pub(crate) asymmetric: bool,
    /// What it was shown last, if that was asked for.
    pub(crate) shown: Option<Box<Shown>>,
}

/// What is relayed for one `m=` line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) kind: String,
    pub(crate) protocol: String,
    /// Nobody or only one end sends: silence is no fault.
    pub(crate) held: bool,
    /// The last offer, if it wanted something of the codecs.
    pub(crate) codecs: Option<Offer>,
    pub(crate) legs: [Leg; 2],
}

/// The port pair that faces one party.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    pub(crate) port: PortId,
    pub(crate) local: IpAddr,
    pub(crate) advertised: IpAddr,
    /// The RTP port; `None` while it is being opened.
    pub(crate) opened: Option<u16>,
    /// Where the party said that it receives.
    pub(crate) rtp: Option<SocketAddr>,
    pub(crate) rtcp: Option<SocketAddr>,
    /// The host that its signalling comes from.
    pub(crate) host: Option<IpAddr>,
    /// Where it sends from.
    pub(crate) learned: Option<SocketAddr>,
    /// Whether it multiplexes RTCP now.
    pub(crate) mux: bool,
    /// Whether its last offer, or ours to it, had multiplexing.
    pub(crate) mux_offered: bool,
    /// What its offer's flags say about the answer to it: accept or reject; `None` follows the
    /// other end.
    pub(crate) mux_answer: Option<bool>,
    /// The protocol of the party's `m=` line, such as `RTP/SAVP`.
    pub(crate) protocol: String,
    pub(crate) keys: Keys,
    pub(crate) association: Association,
    pub(crate) connectivity: Connectivity,
    /// What its last description called the section, RFC 5888.
    pub(crate) mid: Option<String>,
    #[serde(skip)]
    pub(crate) counters: Counters,
    pub(crate) listening: Listening,
    pub(crate) gate: Wanted,
    pub(crate) converted: Converted,
    /// What its party takes of what we can speak, with the payload types that it gave.
    pub(crate) speech: Box<[(u8, Encoding)]>,
    /// What it may send.
    pub(crate) sends: Arc<[Format]>,
    #[serde(skip)]
    pub(crate) played: Option<Box<Played>>,
    /// How its port stands, for a relay that goes on with it.
    pub(crate) standing: Option<Box<Standing>>,
    /// What the packet path knows of its recording.
    #[serde(skip)]
    pub(crate) tap: Option<Box<Tap>>,
}

impl Leg {
    pub(crate) fn new(port: PortId, local: IpAddr, advertised: IpAddr) -> Leg {
        Leg {
            port,
            local,
            advertised,
            opened: None,
            rtp: None,
            rtcp: None,
            host: None,
            learned: None,
            mux: false,
            mux_offered: false,
            mux_answer: None,
            protocol: String::new(),
            keys: Keys::default(),
            association: Association::default(),
            connectivity: Connectivity::default(),
            mid: None,
            counters: Counters::default(),
            listening: Listening::default(),
            gate: Wanted::default(),
            converted: Converted::default(),
            speech: Box::default(),
            sends: Arc::default(),
            played: None,
            standing: None,
            tap: None,
        }
    }

    /// How its party speaks, in rtpengine's words.
    pub(crate) fn ways(&self) -> impl Iterator<Item = &'static str> {
        let keys = self.keys.is_used().then_some("SDES");
        self.association.ways().into_iter().chain(keys).chain(self.connectivity.ways())
    }

    pub(crate) fn side(&self, asymmetric: bool) -> Side {
        let Leg { port, rtp, rtcp, host, mux, .. } = *self;
        Side { port, rtp, rtcp, host, mux, learn: !asymmetric, clock: self.listening.clock() }
    }
}

impl Party {
    pub(crate) fn is(&self, tag: &str) -> bool {
        self.tag.as_deref() == Some(tag) || self.former.iter().any(|former| former == tag)
    }

    /// The party speaks with this tag from here on.
    pub(crate) fn speaks(&mut self, tag: &str) {
        if self.tag.as_deref() == Some(tag) {
            return;
        }
        self.former.retain(|former| former != tag);
        self.former.extend(self.tag.replace(tag.to_owned()));
        // Forking to more ends than this is somebody's mistake.
        if self.former.len() > 32 {
            self.former.remove(0);
        }
    }
}

impl Dialogue {
    pub(crate) fn party(&self, who: Who) -> &Party {
        &self.parties[who as usize]
    }

    pub(crate) fn party_mut(&mut self, who: Who) -> &mut Party {
        &mut self.parties[who as usize]
    }

    pub(crate) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.streams.iter().flatten().flat_map(|stream| &stream.legs)
    }

    /// Whether all ports are open.
    pub(crate) fn is_ready(&self) -> bool {
        self.legs().all(|leg| leg.opened.is_some())
    }

    pub(crate) fn legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        self.streams.iter_mut().flatten().flat_map(|stream| &mut stream.legs)
    }

    /// What the packet path is to join.
    pub(crate) fn joins(&self) -> impl Iterator<Item = (Side, Side)> + '_ {
        let [a, b] = [Who::A, Who::B].map(|who| self.party(who).asymmetric);
        self.streams.iter().flatten().map(move |s| (s.legs[0].side(a), s.legs[1].side(b)))
    }

    /// Which party has the first tag, if the second one is the other party's. A callee without a
    /// tag has any.
    fn who(&self, tag: &str, other: Option<&str>) -> Option<Who> {
        [Who::A, Who::B].into_iter().find(|who| {
            let facing = self.party(who.other());
            self.party(*who).is(tag) && other.is_none_or(|o| facing.is(o) || facing.tag.is_none())
        })
    }
}

impl Call {
    pub(crate) fn new(call_id: &str, now: Instant) -> Call {
        let call_id = call_id.to_owned();
        let dialogues = Vec::new();
        Call {
            call_id,
            created: now,
            signalled: now,
            proxy: None,
            deleting: false,
            dialogues,
            subscriptions: Vec::new(),
            recorded: None,
            resuming: None,
        }
    }

    /// All dialogues, those of subscribers too.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Dialogue> {
        self.dialogues.iter().chain(self.subscriptions.iter().map(|s| &s.dialogue))
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Dialogue> {
        let subscriptions = self.subscriptions.iter_mut().map(|s| &mut s.dialogue);
        self.dialogues.iter_mut().chain(subscriptions)
    }

    pub(crate) fn dialogue(&self, id: u64) -> Option<&Dialogue> {
        self.all().find(|d| d.id == id)
    }

    pub(crate) fn dialogue_mut(&mut self, id: u64) -> Option<&mut Dialogue> {
        self.all_mut().find(|d| d.id == id)
    }

    pub(crate) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.all().flat_map(Dialogue::legs)
    }

    pub(crate) fn legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        self.all_mut().flat_map(Dialogue::legs_mut)
    }

    pub(crate) fn leg_mut(&mut self, port: PortId) -> Option<&mut Leg> {
        self.legs_mut().find(|leg| leg.port == port)
    }

    /// The legs of the party that a request names by tag, label or address; those of all parties, if it names none.
    pub(crate) fn meant<'a>(
        &'a mut self,
        request: &'a Request,
    ) -> impl Iterator<Item = &'a mut Leg> {
        self.dialogues.iter_mut().flat_map(move |Dialogue { parties, streams, .. }| {
            let parties = &*parties;
            let legs =
                streams.iter_mut().flatten().flat_map(move |s| s.legs.iter_mut().zip(parties));
            legs.filter(|(leg, party)| is_meant(request, party, leg)).map(|(leg, _)| leg)
        })
    }

    /// The dialogue that an offer belongs to, and who offers. A first offer (no to-tag) through
    /// another Via branch is another fork and has a dialogue of its own.
    pub(crate) fn of_offer(&self, request: &Request, from: &str) -> Option<(u64, Who)> {
        let to = request.to_tag.as_deref();
        let branch = request.via_branch.as_deref();
        let fork = |d: &&Dialogue| to.is_some() || branch == d.via_branch.as_deref();
        let all = || self.dialogues.iter().rev().filter(fork);
        let found = || all().filter_map(|d| Some((d, d.who(from, to)?)));
        // A fork that nobody has answered yet has any to-tag, but an answered one has its own.
        let exact = found().find(|(d, who)| to.is_some_and(|to| d.party(who.other()).is(to)));
        exact.or_else(|| found().next()).map(|(d, who)| (d.id, who))
    }

    /// The dialogue that an answer belongs to, and who answers. rtpengine's tags are those of the
    /// offer: the from-tag is that of who offered.
    pub(crate) fn of_answer(&self, request: &Request, from: &str, to: &str) -> Option<(u64, Who)> {
        let branch = request.via_branch.as_deref();
        let matching = |d: &Dialogue| d.who(from, None).map(|who| (d.id, who.other()));
        let all = || self.dialogues.iter().rev();
        let exact = all().find(|d| d.who(from, None).is_some_and(|w| d.party(w.other()).is(to)));
        let forked = || all().find(|d| branch.is_some() && d.via_branch.as_deref() == branch);
        let free = || all().find(|d| d.parties[1].tag.is_none() && d.parties[0].is(from));
        let any = || all().find(|d| d.parties[0].is(from));
        exact.or_else(forked).or_else(free).or_else(any).and_then(matching)
    }

    /// Whether a deletion with these tags is about this dialogue.
    pub(crate) fn deletes(&self, request: &Request, dialogue: &Dialogue) -> bool {
        let branch = request.via_branch.as_deref();
        let to = request.to_tag.as_deref();
        let tags = request.from_tag.as_deref().is_none_or(|from| dialogue.who(from, to).is_some());
        // A branch tells forks apart only where there are some, and no tag says more.
        let forks = self.dialogues.len() > 1 && to.is_none();
        tags && (!forks || branch.is_none() || branch == dialogue.via_branch.as_deref())
    }

    /// Whether somebody answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.dialogues.iter().any(|d| d.party(Who::B).tag.is_some())
    }

    /// When the last packet arrived or the call was last spoken of.
    pub(crate) fn active(&self) -> Instant {
        let packets = self.legs().filter_map(|leg| leg.counters.last);
        packets.fold(self.signalled, Instant::max)
    }

    /// Whether there is something to be heard at all.
    pub(crate) fn is_held(&self) -> bool {
        self.dialogues.iter().flat_map(|d| d.streams.iter().flatten()).all(|s| s.held)
    }
}

fn is_meant(request: &Request, party: &Party, leg: &Leg) -> bool {
    let Request { from_tag, label, other_flags, other, .. } = request;
    let address = other.text("address");
    let nobody = from_tag.is_none() && label.is_none() && address.is_none();
    if nobody || other_flags.iter().any(|flag| flag.eq_ignore_ascii_case("all")) {
        return true;
    }
    if let Some(label) = label {
        return party.label.as_ref() == Some(label);
    }
    if let Some(address) = address {
        return leg.rtp.is_some_and(|said| address.parse() == Ok(said.ip()));
    }
    from_tag.as_ref().is_some_and(|tag| party.is(tag))
}
