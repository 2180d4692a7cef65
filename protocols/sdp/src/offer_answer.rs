//! The offer/answer machine for one audio stream, RFC 3264.
//!
//! ```text
//!          offer()                       receive_offer()
//! Stable ----------> Offered    Stable -----------------> Answering
//!   ^  receive_answer() |          ^        answer()          |
//!   +--- withdraw() ----+          +-------- withdraw() ------+
//! ```
//!
//! The first offer of either side starts from the same `Stable` with nothing negotiated.

use std::net::SocketAddr;

use crate::build::{self, Stream};
use crate::codec::Codec;
use crate::precondition::Preconditions;
use crate::session::{ParseError, Session};
use crate::value::{Direction, MediaLine};

/// Why a step is not possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OfferAnswerError {
    /// The peer's bytes are no description.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// The peer's description has no usable audio stream: no codec in common, no address, another
    /// profile. An offer like this is answered with 488.
    #[error("no audio stream that both ends can speak")]
    NotAcceptable,
    /// The answer does not fit the offer: media sections are missing or added (RFC 3264 §6).
    #[error("the answer does not fit the offer")]
    Mismatch,
    /// An offer is pending in either direction (RFC 3264 §4): 491.
    #[error("an offer is pending")]
    Pending,
    /// Our caller answers where nothing was offered.
    #[error("no offer is pending")]
    NothingPending,
}

/// What was agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Where RTP goes to; `None` while the peer holds with a zero address or rejected the stream.
    pub rtp: Option<SocketAddr>,
    /// Where RTCP goes to.
    pub rtcp: Option<SocketAddr>,
    /// The codec to send, with the peer's payload type.
    pub codec: Codec,
    /// The codecs to expect, with our payload types.
    pub receive: Vec<Codec>,
    /// The peer's payload type for digits.
    pub telephone_event: Option<u8>,
    /// Who sends, seen from here.
    pub direction: Direction,
    /// The packet duration that the peer wants, in milliseconds.
    pub ptime: u32,
    /// Whether RTP and RTCP share a port.
    pub rtcp_mux: bool,
    /// The profile: `RTP/AVP`, or `RTP/AVPF` if it was offered (RFC 4585).
    pub profile: &'static str,
    /// The peer's preconditions as it wrote them.
    pub preconditions: Option<Preconditions>,
}

#[derive(Clone, Debug)]
enum State {
    Stable,
    Offered { direction: Direction, audio: usize, rtcp_mux: bool },
    Answering { remote: Box<Session>, audio: usize },
}

/// One dialog's offers and answers.
#[derive(Clone, Debug)]
pub struct OfferAnswer {
    codecs: Vec<Codec>,
    ptime: u32,
    session_id: u64,
    version: u64,
    /// The media sections that exist in this dialog, in order; `None` is our audio section.
    sections: Vec<Option<MediaLine>>,
    last: Option<String>,
    state: State,
    negotiated: Option<Negotiated>,
    /// What we want of the stream, whatever the peer allows: hold and resume change it.
    wish: Direction,
}

impl OfferAnswer {
    /// A machine for a new dialog. `codecs` in order of preference; `session_id` is a random number
    /// that also starts the version (RFC 8866 §5.2), cut to 62 bits.
    pub fn new(codecs: Vec<Codec>, session_id: u64) -> OfferAnswer {
        let session_id = session_id >> 2;
        OfferAnswer {
            codecs,
            ptime: 20,
            session_id,
            version: session_id,
            sections: Vec::new(),
            last: None,
            state: State::Stable,
            negotiated: None,
            wish: Direction::SendRecv,
        }
    }

    /// Puts the peer on hold, or takes it back, with the next offer or answer.
    pub fn hold(&mut self, hold: bool) {
        self.wish = if hold { Direction::SendOnly } else { Direction::SendRecv };
    }

    /// What was agreed on last; `None` before the first answer.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    /// Whether an offer awaits its answer, in either direction.
    pub fn is_pending(&self) -> bool {
        !matches!(self.state, State::Stable)
    }

    /// Whether our offer awaits the peer's answer.
    pub fn is_offered(&self) -> bool {
        matches!(self.state, State::Offered { .. })
    }

    /// Whether the peer's offer awaits our answer.
    pub fn is_answering(&self) -> bool {
        matches!(self.state, State::Answering { .. })
    }

    /// Whether we want the peer to be on hold.
    pub fn holds(&self) -> bool {
        self.wish == Direction::SendOnly
    }

    /// Our next offer: the first one, or a new one that keeps all media sections. While the peer
    /// holds us, holding it too makes the stream inactive (RFC 3264 §8.4).
    ///
    /// # Errors
    /// [`OfferAnswerError::Pending`] while an offer awaits its answer.
    pub fn offer(
        &mut self,
        local: SocketAddr,
        preconditions: Option<&Preconditions>,
    ) -> Result<Vec<u8>, OfferAnswerError> {
        if self.is_pending() {
            return Err(OfferAnswerError::Pending);
        }
        let held = self.negotiated.as_ref().is_some_and(|n| !n.direction.sends());
        let direction = match self.wish {
            Direction::SendOnly if held => Direction::Inactive,
            wish => wish,
        };
        if !self.sections.contains(&None) {
            self.sections.push(None);
        }
        let audio = self.sections.iter().position(Option::is_none).unwrap_or(0);
        // A re-offer keeps the numbers that payload types were given (RFC 3264 §8.3.2).
        let codecs = self.own_codecs();
        let agreed = self.negotiated.as_ref().map(|n| (n.rtcp_mux, n.profile));
        let (rtcp_mux, profile) = agreed.unwrap_or((false, PLAIN[0]));
        let bytes = self.write(local, &codecs, direction, (rtcp_mux, profile), preconditions);
        self.state = State::Offered { direction, audio, rtcp_mux };
        Ok(bytes)
    }

    /// The peer's answer to our offer.
    ///
    /// # Errors
    /// The offer stays withdrawn if the answer cannot be used.
    pub fn receive_answer(&mut self, bytes: &[u8]) -> Result<&Negotiated, OfferAnswerError> {
        let State::Offered { direction, audio, rtcp_mux } = self.state else {
            return Err(OfferAnswerError::NothingPending);
        };
        self.state = State::Stable;
        let remote = Session::parse(bytes)?;
        if remote.media().len() != self.sections.len() {
            return Err(OfferAnswerError::Mismatch);
        }
        let receive = self.own_codecs();
        let mut agreed = agree(&remote, audio, &receive, receive.clone(), direction)?;
        // RFC 5761 §5.1.1: an answer cannot have what the offer had not.
        agreed.rtcp_mux &= rtcp_mux;
        Ok(self.negotiated.insert(agreed))
    }

    /// The peer's offer; the answer is due.
    ///
    /// # Errors
    /// [`OfferAnswerError::Pending`]: 491. [`OfferAnswerError::NotAcceptable`] and
    /// [`OfferAnswerError::Mismatch`]: 488, the session stays as it was.
    pub fn receive_offer(&mut self, bytes: &[u8]) -> Result<Negotiated, OfferAnswerError> {
        if self.is_pending() {
            return Err(OfferAnswerError::Pending);
        }
        let remote = Session::parse(bytes)?;
        if remote.media().len() < self.sections.len() {
            return Err(OfferAnswerError::Mismatch);
        }
        let own = self.sections.iter().position(Option::is_none);
        let audio = own.or_else(|| usable(&remote)).ok_or(OfferAnswerError::NotAcceptable)?;
        let agreed = self.agree_on_offer(&remote, audio)?;
        self.state = State::Answering { remote: Box::new(remote), audio };
        Ok(agreed)
    }

    /// Our answer to the peer's offer: the codecs in common in the offerer's order, every other
    /// media section rejected.
    ///
    /// # Errors
    /// [`OfferAnswerError::NothingPending`] if there was no offer.
    pub fn answer(
        &mut self,
        local: SocketAddr,
        preconditions: Option<&Preconditions>,
    ) -> Result<Vec<u8>, OfferAnswerError> {
        let State::Answering { remote, audio } = &self.state else {
            return Err(OfferAnswerError::NothingPending);
        };
        let (remote, audio) = (remote.clone(), *audio);
        let agreed = self.agree_on_offer(&remote, audio)?;
        self.sections = remote
            .media()
            .iter()
            .enumerate()
            .map(|(index, media)| (index != audio).then(|| media.line().unwrap_or_else(unreadable)))
            .collect();
        let bytes = self.write(
            local,
            &agreed.receive,
            agreed.direction,
            (agreed.rtcp_mux, agreed.profile),
            preconditions,
        );
        self.negotiated = Some(agreed);
        self.state = State::Stable;
        Ok(bytes)
    }

    /// The pending offer came to nothing (488, 491, a timeout): what was agreed on stays.
    pub fn withdraw(&mut self) {
        self.state = State::Stable;
        if self.negotiated.is_none() {
            self.sections.clear();
        }
    }

    /// Our codecs, with the numbers that are in use in this dialog.
    fn own_codecs(&self) -> Vec<Codec> {
        let used = self.negotiated.as_ref().map_or(&[][..], |n| &n.receive);
        let number = |own: &Codec| used.iter().find(|c| c.matches(own)).unwrap_or(own).payload_type;
        self.codecs.iter().map(|c| Codec { payload_type: number(c), ..c.clone() }).collect()
    }

    fn agree_on_offer(
        &self,
        remote: &Session,
        audio: usize,
    ) -> Result<Negotiated, OfferAnswerError> {
        let media = remote.media().get(audio).ok_or(OfferAnswerError::Mismatch)?;
        // The answer uses the offerer's payload types (RFC 3264 §6.1), so both sides' are equal.
        let common = media.codecs().into_iter().filter_map(|theirs| {
            let own = self.codecs.iter().find(|own| own.matches(&theirs))?;
            Some(Codec { payload_type: theirs.payload_type, ..own.clone() })
        });
        agree(remote, audio, &self.codecs, common.collect(), self.wish)
    }

    fn write(
        &mut self,
        local: SocketAddr,
        codecs: &[Codec],
        direction: Direction,
        (rtcp_mux, profile): (bool, &str),
        preconditions: Option<&Preconditions>,
    ) -> Vec<u8> {
        let ptime = self.ptime;
        let audio = || Stream::Audio { profile, codecs, direction, ptime, rtcp_mux, preconditions };
        let streams = self.sections.iter().map(|s| s.as_ref().map_or_else(audio, Stream::Rejected));
        let streams = streams.collect::<Vec<_>>();
        let mut text = build::write(self.session_id, self.version, local, &streams);
        // RFC 3264 §8: the same description keeps its version, another one has the next.
        if self.last.as_ref().is_some_and(|last| *last != text) {
            self.version += 1;
            text = build::write(self.session_id, self.version, local, &streams);
        }
        self.last = Some(text.clone());
        text.into_bytes()
    }
}

fn unreadable() -> MediaLine {
    let (kind, protocol) = ("audio".to_owned(), "RTP/AVP".to_owned());
    MediaLine { kind, port: 0, count: None, protocol, formats: vec!["0".to_owned()] }
}

/// The first audio section that plain RTP can carry.
fn usable(remote: &Session) -> Option<usize> {
    remote.media().iter().position(|media| {
        media
            .line()
            .is_some_and(|m| m.kind == "audio" && m.port != 0 && plain(&m.protocol).is_some())
    })
}

/// The profiles that need no keys, our own first.
const PLAIN: [&str; 2] = ["RTP/AVP", "RTP/AVPF"];

fn plain(protocol: &str) -> Option<&'static str> {
    PLAIN.into_iter().find(|plain| *plain == protocol)
}

fn agree(
    remote: &Session,
    audio: usize,
    own: &[Codec],
    receive: Vec<Codec>,
    wish: Direction,
) -> Result<Negotiated, OfferAnswerError> {
    let media = remote.media().get(audio).ok_or(OfferAnswerError::Mismatch)?;
    let line = media.line().ok_or(OfferAnswerError::NotAcceptable)?;
    let profile = plain(&line.protocol).ok_or(OfferAnswerError::NotAcceptable)?;
    if line.kind != "audio" || line.port == 0 {
        return Err(OfferAnswerError::NotAcceptable);
    }
    let theirs = media.codecs();
    let known = |codec: &&Codec| own.iter().any(|own| own.matches(codec));
    let speech = theirs.iter().filter(known).find(|codec| !codec.is_telephone_event());
    let codec = speech.cloned().ok_or(OfferAnswerError::NotAcceptable)?;
    let telephone_event = theirs.iter().filter(known).find(|c| c.is_telephone_event());
    let rtp = remote.rtp_of(audio).ok_or(OfferAnswerError::NotAcceptable)?;
    // RFC 2543 holds with a zero address, RFC 3264 §8.4: nothing is sent there.
    let zero = rtp.ip().is_unspecified();
    let mut offered = remote.direction_of(audio).reversed();
    if zero {
        offered = offered.and(Direction::RecvOnly);
    }
    Ok(Negotiated {
        rtp: (!zero).then_some(rtp),
        rtcp: remote.rtcp_of(audio).filter(|_| !zero),
        codec,
        receive,
        telephone_event: telephone_event.map(|c| c.payload_type),
        direction: wish.and(offered),
        ptime: media.ptime().filter(|ms| (10..=200).contains(ms)).unwrap_or(20),
        rtcp_mux: media.rtcp_mux(),
        profile,
        preconditions: Preconditions::of(media),
    })
}
