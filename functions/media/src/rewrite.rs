//! What changes in a description on its way through the relay; everything else stays as it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ng::request::RtcpMux;
use ng::{Command, Request};
use sdp::{Direction, Media, Rtcp, Section, Session};

use crate::call::{Dialogue, Leg, Stream, Who};
use crate::connectivity::remote_of;
use crate::crypto::{self, is_secure};
use crate::handshake::has_fingerprint;
use crate::words::normal;
use crate::{codecs, listening};

/// How many sections of a description are relayed; the rest is refused like foreign media. A call
/// has one for audio, one for video and few more.
pub(crate) const MAX_STREAMS: usize = 8;

/// What is kept of a section's name.
const LONGEST_MID: usize = 64;

/// What a leg can speak: RFC 3551, RFC 4585, RFC 3711, RFC 5124, RFC 5764.
pub(crate) const PROTOCOLS: [&str; 6] =
    ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"];

/// How a media section is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Treatment {
    /// RTP, or SRTP with keys in SDP or by DTLS: relayed.
    Relayed,
    /// Rejected already.
    Rejected,
    /// SRTP whose keys we do not know.
    Secure,
    /// No RTP, or no sense: refused with port 0.
    Foreign,
}

pub(crate) fn treatment(session: &Session, index: usize) -> Treatment {
    let Some(line) = session.media().get(index).and_then(Media::line) else {
        return Treatment::Foreign;
    };
    if index >= MAX_STREAMS {
        return Treatment::Foreign;
    }
    let addressed = session.address_of(index).is_some();
    match line.protocol.as_str() {
        _ if line.port == 0 => Treatment::Rejected,
        "RTP/AVP" | "RTP/AVPF" if addressed => Treatment::Relayed,
        known if is_secure(known) && PROTOCOLS.contains(&known) && addressed => {
            let keys = !crypto::lines(&session.media()[index]).is_empty();
            if keys || has_fingerprint(session, index) {
                Treatment::Relayed
            } else {
                Treatment::Secure
            }
        }
        other if is_secure(other) => Treatment::Secure,
        _ => Treatment::Foreign,
    }
}

/// The streams of a description's sections that are relayed, with their places.
pub(crate) fn relayed<'a>(
    session: &'a Session,
    dialogue: &'a mut Dialogue,
) -> impl Iterator<Item = (usize, &'a mut Stream)> {
    let streams = dialogue.streams.iter_mut().enumerate();
    let streams = streams.filter_map(|(index, stream)| Some((index, stream.as_mut()?)));
    streams.filter(|(index, _)| treatment(session, *index) == Treatment::Relayed)
}

/// Learns from a description what its writer said, for the streams that there are.
pub(crate) fn hear(session: &Session, request: &Request, who: Who, dialogue: &mut Dialogue) {
    let party = dialogue.party_mut(who);
    party.asymmetric = request.asymmetric;
    if request.label.is_some() {
        party.label.clone_from(&request.label);
    }
    for (index, stream) in dialogue.streams.iter_mut().enumerate() {
        let Some(stream) = stream else { continue };
        if treatment(session, index) != Treatment::Relayed {
            continue;
        }
        if let Some(line) = session.media()[index].line() {
            (stream.kind, stream.protocol) = (line.kind, line.protocol);
        }
        listening::hear(&session.media()[index], who, stream);
        let speaks = stream.kind == "audio";
        let leg = &mut stream.legs[who as usize];
        leg.speech = codecs::speech(&session.media()[index]).filter(|_| speaks).collect();
        let local = leg.local;
        let said = |address: Option<SocketAddr>| {
            let address = address.filter(|a| !a.ip().is_unspecified())?;
            let source = request.received_from.filter(|_| request.sip_source_address);
            let ip = source.unwrap_or(address.ip());
            is_a_host(ip, local).then_some(SocketAddr::new(ip, address.port()))
        };
        if request.received_from.is_some() {
            leg.host = request.received_from;
        }
        leg.rtp = said(session.rtp_of(index));
        leg.rtcp = said(session.rtcp_of(index));
        let mid = session.media()[index].section().attribute("mid");
        leg.mid = mid.filter(|mid| mid.len() <= LONGEST_MID).map(str::to_owned);
        // With ICE an address may follow, or be found.
        let nowhere = leg.rtp.is_none() && remote_of(session, index).is_none();
        stream.held = nowhere || session.direction_of(index) != Direction::SendRecv;
    }
}

/// Whether an address is one host's, which a relay on `local` may send to.
fn is_a_host(ip: IpAddr, local: IpAddr) -> bool {
    let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    let foreign_loopback = ip.is_loopback() && !local.is_loopback();
    !ip.is_unspecified() && !ip.is_multicast() && !broadcast && !foreign_loopback
}

/// Settles multiplexing of RTCP for an offer of `who`: whether each section that goes on shows it.
pub(crate) fn mux_of_offer(
    session: &Session,
    request: &Request,
    who: Who,
    dialogue: &mut Dialogue,
) {
    let has = |what: RtcpMux| request.rtcp_mux.contains(&what);
    for (index, stream) in dialogue.streams.iter_mut().enumerate() {
        let Some(stream) = stream else { continue };
        let offered = session.media().get(index).is_some_and(Media::rtcp_mux);
        let own = &mut stream.legs[who as usize];
        own.mux_offered = offered;
        own.mux_answer = match () {
            () if has(RtcpMux::Reject) => Some(false),
            () if has(RtcpMux::Accept) || has(RtcpMux::Demux) => Some(true),
            () => None,
        };
        stream.legs[who.other() as usize].mux_offered =
            has(RtcpMux::Offer) || has(RtcpMux::Require) || (offered && !has(RtcpMux::Demux));
    }
}

/// Settles multiplexing of RTCP for an answer of `who`.
pub(crate) fn mux_of_answer(session: &Session, who: Who, dialogue: &mut Dialogue) {
    for (index, stream) in dialogue.streams.iter_mut().enumerate() {
        let Some(stream) = stream else { continue };
        let answered = session.media().get(index).is_some_and(Media::rtcp_mux);
        let own = &mut stream.legs[who as usize];
        own.mux = answered && own.mux_offered;
        let follows = own.mux;
        let offerer = &mut stream.legs[who.other() as usize];
        offerer.mux = offerer.mux_offered && offerer.mux_answer.unwrap_or(follows);
    }
}

/// Rewrites the description that `who` sent into the one that the other party gets; `mux` says
/// whether a stream's section shows multiplexed RTCP there.
pub(crate) fn rewrite(
    session: &mut Session,
    request: &Request,
    who: Who,
    dialogue: &Dialogue,
    mux: impl Fn(&Stream) -> bool,
) {
    let facing = who.other() as usize;
    let any = |is: &dyn Fn(&Stream) -> bool| dialogue.streams.iter().flatten().any(is);
    // `0.0.0.0` beside candidates, or beside a promise of them, is no hold, and none can be shown beside ours.
    let ice = any(&|s| s.legs[who as usize].connectivity.is_spoken());
    let candidates = any(&|s| s.legs[facing].connectivity.is_shown());
    let replaces_zero = request.replace.zero_address || ice || candidates;
    let shown = |stream: &Stream| request.media_address.unwrap_or(stream.legs[facing].advertised);
    let first = dialogue.streams.iter().flatten().map(shown).next();
    // What the session says of keys for all sections goes with the rest.
    let treatments: Vec<Treatment> =
        (0..session.media().len()).map(|index| treatment(session, index)).collect();
    strip(session.head_mut());
    if any(&|s| s.legs[facing].connectivity.shows_lite()) {
        session.head_mut().set_attribute("ice-lite", "");
    }
    if let Some(address) = first {
        if request.replace.origin
            && let Some(mut origin) = session.origin()
        {
            origin.set_address(address);
            session.set_origin(&origin);
        }
        if let Some(old) = session.connection() {
            session.set_connection(unless_held(old.address, address, replaces_zero));
        }
    }
    for (index, treatment) in treatments.into_iter().enumerate() {
        // With the session's c= rewritten, a section of its own may be without an address.
        let inherited = session.connection().map(|c| c.address);
        let direction = session.direction_of(index);
        let stream = dialogue.streams.get(index).and_then(Option::as_ref);
        let Some(media) = session.media_mut(index) else { continue };
        strip(media.section_mut());
        match (treatment, stream) {
            (Treatment::Rejected, _) => {}
            (Treatment::Relayed, Some(stream)) => {
                let address = shown(stream);
                let place = (index, facing, inherited, address);
                section(media, request, stream, place, replaces_zero);
                // An old hold that is not to be seen by its address is said in words, RFC 3264 §8.4.
                if replaces_zero && stream.legs[who as usize].rtp.is_none() && !ice {
                    media.set_direction(match direction {
                        Direction::SendRecv | Direction::SendOnly => Direction::SendOnly,
                        Direction::RecvOnly | Direction::Inactive => Direction::Inactive,
                    });
                }
                if mux(stream) {
                    media.section_mut().set_attribute("rtcp-mux", "");
                } else {
                    media.section_mut().remove_attributes(|name, _| name == "rtcp-mux");
                }
            }
            (Treatment::Relayed | Treatment::Secure | Treatment::Foreign, _) => media.set_port(0),
        }
    }
}

fn section(
    media: &mut Media,
    request: &Request,
    stream: &Stream,
    (index, facing, inherited, address): (usize, usize, Option<IpAddr>, IpAddr),
    replaces_zero: bool,
) {
    let Some(port) = stream.legs[facing].opened else { return media.set_port(0) };
    media.set_port(port);
    media.set_protocol(&stream.legs[facing].protocol);
    let leg = &stream.legs[facing];
    for line in &leg.keys.shown {
        media.section_mut().add_attribute("crypto", &line.to_string());
    }
    for (name, value) in leg.handshake_lines().into_iter().chain(leg.connectivity_lines()) {
        media.section_mut().add_attribute(name, &value);
    }
    // An answer names what its offer named, RFC 5888 §9.1.
    if leg.mid.is_none() && request.command == Command::Answer {
        media.section_mut().remove_attributes(|name, _| name == "mid");
    }
    let named = media.section().has_attribute("mid");
    match leg.mid.clone().or_else(|| generates_mid(request).then(|| (index + 1).to_string())) {
        Some(mid) if !named => media.section_mut().add_attribute("mid", &mid),
        _ => {}
    }
    match media.connection() {
        Some(own) => media.set_connection(unless_held(own.address, address, replaces_zero)),
        None if inherited == Some(address) || inherited.is_some_and(|i| i.is_unspecified()) => {}
        None => media.set_connection(address),
    }
    // The relay's RTCP port is always the next one, if there is one, which needs no attribute.
    let rtcp_port = if shares_port(request, leg) { port } else { port + 1 };
    if request.no_rtcp_attribute {
        media.section_mut().remove_attributes(|name, _| name == "rtcp");
    } else if let Some(rtcp) = media.rtcp() {
        let full = request.full_rtcp_attribute || rtcp.address.is_some();
        media.set_rtcp(Rtcp { port: rtcp_port, address: full.then_some(address) });
    } else if request.full_rtcp_attribute {
        media.set_rtcp(Rtcp { port: rtcp_port, address: Some(address) });
    }
}

/// Whether RTCP has no port of its own in what the party of a leg is shown.
pub(crate) fn shares_port(request: &Request, leg: &Leg) -> bool {
    match request.command {
        Command::Offer => request.rtcp_mux.contains(&RtcpMux::Require),
        _ => leg.mux,
    }
}

/// Whether sections of an offer that have no name are to get one, RFC 5888.
fn generates_mid(request: &Request) -> bool {
    request.command == Command::Offer
        && request.other_flags.iter().any(|flag| normal(flag) == "generate-mid")
}

/// An old hold (`0.0.0.0`) stays one, unless asked otherwise.
fn unless_held(old: IpAddr, new: IpAddr, replaces_zero: bool) -> IpAddr {
    match (old.is_unspecified() && !replaces_zero, new) {
        (false, new) => new,
        (true, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (true, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Removes what would lead media past the relay, promise keys that are not ours, or put several streams on one port:
/// RFC 8839, RFC 8842, RFC 4568, RFC 4567, RFC 9143.
fn strip(section: &mut Section) {
    section.remove_attributes(|name, value| {
        name.starts_with("ice-")
            || (name == "group" && value.starts_with("BUNDLE"))
            || matches!(
                name,
                "candidate"
                    | "remote-candidates"
                    | "end-of-candidates"
                    | "fingerprint"
                    | "setup"
                    | "tls-id"
                    | "crypto"
                    | "key-mgmt"
                    | "bundle-only"
            )
    });
}
