//! Writing our own descriptions.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::codec::Codec;
use crate::precondition::Preconditions;
use crate::value::{Direction, MediaLine, address_type};

/// One media section of a description that we write.
pub(crate) enum Stream<'a> {
    /// Our audio stream.
    Audio {
        profile: &'a str,
        codecs: &'a [Codec],
        direction: Direction,
        ptime: u32,
        rtcp_mux: bool,
        preconditions: Option<&'a Preconditions>,
    },
    /// A stream that we reject; the section keeps its place, RFC 3264 §6.
    Rejected(&'a MediaLine),
}

pub(crate) fn write(
    session_id: u64,
    version: u64,
    local: SocketAddr,
    streams: &[Stream<'_>],
) -> String {
    let (kind, address) = (address_type(local.ip()), local.ip());
    let mut out = format!(
        "v=0\r\no=- {session_id} {version} IN {kind} {address}\r\ns=-\r\nc=IN {kind} {address}\r\nt=0 0\r\n"
    );
    for stream in streams {
        match stream {
            Stream::Audio { profile, codecs, direction, ptime, rtcp_mux, preconditions } => {
                let _ = write!(out, "m=audio {} {profile}", local.port());
                audio(&mut out, local, codecs, *direction, *ptime);
                if *rtcp_mux {
                    out.push_str("a=rtcp-mux\r\n");
                }
                for (name, value) in preconditions.iter().flat_map(|p| p.attributes()) {
                    let _ = write!(out, "a={name}:{value}\r\n");
                }
            }
            Stream::Rejected(line) => {
                let line = MediaLine { port: 0, count: None, ..(*line).clone() };
                let _ = write!(out, "m={line}\r\n");
            }
        }
    }
    out
}

/// The rest of our audio section, from the formats on.
fn audio(out: &mut String, local: SocketAddr, codecs: &[Codec], direction: Direction, ptime: u32) {
    for codec in codecs {
        let _ = write!(out, " {}", codec.payload_type);
    }
    // 64 kbit/s of speech and, per packet, IP, UDP and RTP headers: RFC 8866 §5.8.
    let header = if local.is_ipv4() { 40 } else { 60 };
    let _ = write!(out, "\r\nb=AS:{}\r\n", 64 + header * 8 / ptime.max(1));
    for Codec { payload_type, name, rate, fmtp } in codecs {
        let _ = write!(out, "a=rtpmap:{payload_type} {name}/{rate}\r\n");
        if let Some(fmtp) = fmtp {
            let _ = write!(out, "a=fmtp:{payload_type} {fmtp}\r\n");
        }
    }
    let _ = write!(out, "a=ptime:{ptime}\r\na={}\r\n", direction.as_str());
}
