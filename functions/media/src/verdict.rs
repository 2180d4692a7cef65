//! What is wrong with the sound of a leg, in words: one verdict for each leg, of what arrived there lately and of what the
//! descriptions said. The gravest one counts: who hears nothing is not told of its jitter.

use core::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base::relay::{Counters, Failure};
use base::time::Duration;
use rtp::quality::{G711, mos, rating};
use sdp::Codec;

/// Packets lost, in percent, that a listener notices.
const MUCH_LOSS: f64 = 3.0;
/// Jitter that usual playout buffers do not hold any more.
const MUCH_JITTER: Duration = Duration::from_millis(40);
/// Packets in a row with nothing in them that are no pause of a speaker: a second and a half of them.
const LONG_SILENCE: u64 = 75;
/// Fewer packets than this say nothing about loss and jitter.
const ENOUGH: u64 = 40;
/// Payload types of comfort noise, RFC 3389 §5: sent without being asked for.
const COMFORT_NOISE: [u8; 2] = [13, 19];
/// What playout buffers add to the delay of the way, which nobody tells us.
const PLAYOUT: f64 = 60.0;

/// What is known of a leg.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Where the party said that it is.
    pub(crate) said: Option<SocketAddr>,
    /// Where its signalling comes from.
    pub(crate) host: Option<IpAddr>,
    /// What it may send: the description that it was shown.
    pub(crate) shown: Arc<[Codec]>,
    /// What it said that it takes.
    pub(crate) takes: Arc<[Codec]>,
    /// The packets' length that it was asked for, RFC 8866 §6.4.
    pub(crate) ptime: Option<Duration>,
    /// Why there is no way to it.
    pub(crate) failure: Option<Failure>,
    /// What arrived before the time that is looked at, and until its end.
    pub(crate) before: Counters,
    pub(crate) now: Counters,
    /// Whether the other party is heard.
    pub(crate) other_is_heard: bool,
}

/// What is wrong, the gravest first.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) enum Verdict {
    /// Nobody has looked yet, or nothing is to be heard.
    #[default]
    Unknown,
    /// ICE or DTLS.
    NoWay(Failure),
    /// What arrives is not protected with the key of the description.
    WrongKey,
    /// What arrives comes from elsewhere, and is not passed on.
    Strangers,
    /// Nothing arrives, and what the party said of itself cannot be right.
    WrongAddress { said: SocketAddr, host: IpAddr },
    /// Nothing arrives.
    Nothing { said: Option<SocketAddr>, other_is_heard: bool },
    /// A codec that neither description has.
    UnknownCodec { payload_type: u8 },
    /// A codec that the party takes, but was not told to send.
    WrongPayloadType { sent: Codec, wanted: Option<Codec> },
    /// Packets are longer or shorter than was asked for.
    WrongPtime { sent: Duration, wanted: Duration },
    /// Packets arrive, and there is nothing in them.
    Silence,
    /// More is lost than a listener overhears.
    Loss { percent: f64 },
    /// What arrives is so uneven that a phone drops some of it.
    Jitter { jitter: Duration },
    /// Nothing is wrong.
    Good { mos: f64 },
}

/// The verdict on a leg.
pub(crate) fn verdict(facts: &Facts) -> Verdict {
    let Facts { before, now, .. } = facts;
    let since = |count: fn(&Counters) -> u64| count(now).saturating_sub(count(before));
    let packets = since(|counters| counters.packets);
    if packets == 0 {
        if let Some(failure) = &facts.failure {
            return Verdict::NoWay(failure.clone());
        }
        return match (facts.said, facts.host) {
            _ if since(|counters| counters.unauthentic) > 0 => Verdict::WrongKey,
            _ if since(|counters| counters.strangers) > 0 => Verdict::Strangers,
            (Some(said), Some(host)) if said.ip() != host => Verdict::WrongAddress { said, host },
            (said, _) => Verdict::Nothing { said, other_is_heard: facts.other_is_heard },
        };
    }
    let sent = now.payload_type;
    let sent = sent.filter(|sent| !COMFORT_NOISE.contains(sent));
    let find = |codecs: &[Codec]| codecs.iter().find(|c| Some(c.payload_type) == sent).cloned();
    let format = find(&facts.shown);
    if let (None, Some(payload_type), false) = (&format, sent, facts.shown.is_empty()) {
        return match find(&facts.takes) {
            Some(sent) => Verdict::WrongPayloadType { sent, wanted: facts.shown.first().cloned() },
            None => Verdict::UnknownCodec { payload_type },
        };
    }
    if let (Some(format), Some(wanted)) = (&format, facts.ptime)
        && let Some(sent) = length(now.step, format.rate).filter(|sent| *sent != wanted)
    {
        return Verdict::WrongPtime { sent, wanted };
    }
    if now.quiet >= LONG_SILENCE {
        return Verdict::Silence;
    }
    let lost = since(|counters| counters.lost);
    let percent = 100.0 * lost as f64 / (lost + packets) as f64;
    if packets >= ENOUGH && percent >= MUCH_LOSS {
        return Verdict::Loss { percent };
    }
    if packets >= ENOUGH && now.jitter >= MUCH_JITTER {
        return Verdict::Jitter { jitter: now.jitter };
    }
    Verdict::Good { mos: mos(rating(PLAYOUT + now.jitter.as_secs_f64() * 2000.0, percent, G711)) }
}

/// What a packet carries, in time. Nothing sensible between 1 and 200 ms is a pause, or video.
fn length(step: u32, clock: u32) -> Option<Duration> {
    let micros = u64::from(step) * 1_000_000 / u64::from(clock.max(1));
    let length = Duration::from_micros(micros);
    (1..=200).contains(&length.as_millis()).then_some(length)
}

impl Verdict {
    /// What counts how often it was told.
    pub(crate) fn counter(&self) -> &'static str {
        match self {
            Verdict::Unknown | Verdict::Good { .. } => "media.good",
            Verdict::NoWay(Failure::NoCandidateAnswers) => "media.no_candidate",
            Verdict::NoWay(Failure::ConsentLost) => "media.consent_lost",
            Verdict::NoWay(Failure::WrongCertificate) => "media.wrong_certificate",
            Verdict::NoWay(Failure::Handshake(_)) => "media.no_handshake",
            Verdict::NoWay(Failure::Fault) => "media.fault",
            Verdict::WrongKey => "media.wrong_key",
            Verdict::Strangers => "media.strangers",
            Verdict::WrongAddress { .. } => "media.wrong_address",
            Verdict::Nothing { .. } => "media.nothing",
            Verdict::UnknownCodec { .. } => "media.unknown_codec",
            Verdict::WrongPayloadType { .. } => "media.wrong_payload_type",
            Verdict::WrongPtime { .. } => "media.wrong_ptime",
            Verdict::Silence => "media.silence",
            Verdict::Loss { .. } => "media.loss",
            Verdict::Jitter { .. } => "media.jitter",
        }
    }

    /// Whether somebody has to do something.
    pub(crate) fn is_bad(&self) -> bool {
        !matches!(self, Verdict::Unknown | Verdict::Good { .. })
    }

    /// Whether it is the same as another one, but for its numbers.
    pub(crate) fn is_like(&self, other: &Verdict) -> bool {
        core::mem::discriminant(self) == core::mem::discriminant(other)
    }
}

/// A payload type as people know it.
fn named(codec: &Codec) -> String {
    format!("{} ({})", codec.payload_type, codec.name)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Unknown => write!(f, "nobody has listened yet"),
            Verdict::NoWay(Failure::NoCandidateAnswers) => write!(
                f,
                "none of its candidates answers our checks (ICE): compare `a=candidate` in its description with the \
                 addresses that it has, and see that UDP passes between it and the relay"
            ),
            Verdict::NoWay(Failure::ConsentLost) => write!(
                f,
                "it answers no checks any more (ICE, RFC 7675): it is gone, or its network changed without a new offer"
            ),
            Verdict::NoWay(Failure::WrongCertificate) => write!(
                f,
                "its certificate is not the one whose `a=fingerprint` its description has: somebody is in between, or \
                 the description was changed on its way"
            ),
            Verdict::NoWay(Failure::Handshake(why)) => {
                write!(f, "the DTLS handshake came to no end, so there are no keys: {why}")
            }
            Verdict::NoWay(Failure::Fault) => write!(
                f,
                "its packets met a fault of this program and are taken no more; other calls go on. Please report it with \
                 what the program wrote to its standard error"
            ),
            Verdict::WrongKey => write!(
                f,
                "what arrives is not protected with the key of its description: compare `a=crypto` in offer and answer"
            ),
            Verdict::Strangers => write!(
                f,
                "packets arrive from elsewhere than from the party, and are not passed on: its address changed, or a \
                 stranger sends"
            ),
            Verdict::WrongAddress { said, host } => {
                write!(f, "no packets arrive; SDP says {} but the peer is behind {host}", said.ip())
            }
            Verdict::Nothing { said, other_is_heard } => {
                let said =
                    said.map_or_else(|| "an unknown address".to_owned(), |said| said.to_string());
                let other = if *other_is_heard { ", while the other leg is heard" } else { "" };
                write!(
                    f,
                    "no packets arrive from {said}{other}: it does not send, or something between it and the relay \
                     drops UDP"
                )
            }
            Verdict::UnknownCodec { payload_type } => {
                write!(f, "it sends payload type {payload_type}, which neither description has")
            }
            Verdict::WrongPayloadType { sent, wanted } => {
                let sent = named(sent);
                write!(f, "it sends payload type {sent}, which the other party did not ask for")?;
                wanted.iter().try_for_each(|wanted| write!(f, "; it wants {}", named(wanted)))
            }
            Verdict::WrongPtime { sent, wanted } => write!(
                f,
                "its packets are {} ms long, the other party asked for {} ms (`a=ptime`)",
                sent.as_millis(),
                wanted.as_millis()
            ),
            Verdict::Silence => {
                write!(
                    f,
                    "packets arrive, and there is nothing but silence in them: it is muted, or has no microphone"
                )
            }
            Verdict::Loss { percent } => {
                write!(f, "{percent:.1} % of its packets are lost on their way to us")
            }
            Verdict::Jitter { jitter } => {
                write!(
                    f,
                    "its packets arrive {} ms unevenly, which phones do not make up for",
                    jitter.as_millis()
                )
            }
            Verdict::Good { mos } => write!(f, "good, MOS {mos:.1}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits() -> Codec {
        Codec::telephone_event(101)
    }

    /// Two seconds of a good call.
    fn good() -> Facts {
        let counters = Counters {
            packets: 100,
            payload_type: Some(8),
            step: 160,
            jitter: Duration::from_millis(2),
            ..Counters::default()
        };
        Facts {
            said: Some("192.0.2.1:4000".parse().unwrap()),
            host: Some("192.0.2.1".parse().unwrap()),
            shown: [Codec::pcma(), digits()].into(),
            takes: [Codec::pcma(), Codec::pcmu()].into(),
            ptime: Some(Duration::from_millis(20)),
            now: counters,
            other_is_heard: true,
            ..Facts::default()
        }
    }

    fn with(change: impl FnOnce(&mut Facts)) -> String {
        let mut facts = good();
        change(&mut facts);
        verdict(&facts).to_string()
    }

    #[test]
    fn a_good_call_is_good() {
        assert_eq!(with(|_| {}), "good, MOS 4.4");
        assert!(!verdict(&good()).is_bad());
        // A digit is no codec that nobody asked for, and what is not said is not missed.
        assert_eq!(with(|f| f.now.payload_type = Some(101)), "good, MOS 4.4");
        assert_eq!(with(|f| (f.ptime, f.now.step) = (None, 240)), "good, MOS 4.4");
        assert_eq!(with(|f| f.shown = Arc::default()), "good, MOS 4.4");
        // Old losses are forgiven.
        assert_eq!(with(|f| (f.before.lost, f.now.lost) = (50, 50)), "good, MOS 4.4");
    }

    #[test]
    fn every_fault_has_its_own_words() {
        let nothing = |f: &mut Facts| f.now = Counters::default();
        let no_way = |failure| {
            with(|f| {
                nothing(f);
                f.failure = Some(failure);
            })
        };
        for (said, words) in [
            (
                with(|f| {
                    nothing(f);
                    f.said = Some("192.168.1.93:4000".parse().unwrap());
                    f.host = Some("203.0.113.7".parse().unwrap());
                }),
                "no packets arrive; SDP says 192.168.1.93 but the peer is behind 203.0.113.7",
            ),
            (
                with(nothing),
                "no packets arrive from 192.0.2.1:4000, while the other leg is heard: ",
            ),
            (
                with(|f| {
                    nothing(f);
                    f.now.unauthentic = 100;
                }),
                "what arrives is not protected with the key of its description",
            ),
            (
                with(|f| {
                    nothing(f);
                    f.now.strangers = 100;
                }),
                "packets arrive from elsewhere",
            ),
            (
                with(|f| f.now.payload_type = Some(0)),
                "it sends payload type 0 (PCMU), which the other party did not ask for; it wants 8 (PCMA)",
            ),
            (
                with(|f| f.now.payload_type = Some(96)),
                "it sends payload type 96, which neither description has",
            ),
            (
                with(|f| f.now.step = 240),
                "its packets are 30 ms long, the other party asked for 20 ms",
            ),
            (
                with(|f| f.now.quiet = 100),
                "packets arrive, and there is nothing but silence in them",
            ),
            (with(|f| f.now.lost = 10), "9.1 % of its packets are lost"),
            (
                with(|f| f.now.jitter = Duration::from_millis(70)),
                "its packets arrive 70 ms unevenly",
            ),
            (no_way(Failure::ConsentLost), "it answers no checks any more (ICE, RFC 7675)"),
            (no_way(Failure::NoCandidateAnswers), "none of its candidates answers"),
            (no_way(Failure::WrongCertificate), "its certificate is not the one"),
        ] {
            assert!(said.starts_with(words), "{said}");
        }
    }
}
