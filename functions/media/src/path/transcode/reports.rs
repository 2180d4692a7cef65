//! RTCP of a peer whose packets are converted, RFC 3550 §7.2: what it says of its own stream is said of the one that
//! leaves, and what it says of the one that it hears, of the one that came.

use rtp::rtcp::{self, Rtcp};

use super::Transcoder;

/// A compound packet of a peer: `said` converts what it sends, `heard` what it hears. `None` if it is broken.
pub(in crate::path) fn report(
    bytes: &[u8],
    said: Option<&Transcoder>,
    heard: Option<&Transcoder>,
) -> Option<Vec<u8>> {
    let mut packets = rtcp::parse(bytes).ok()?;
    for packet in &mut packets {
        let (sources, blocks) = match packet {
            Rtcp::SenderReport { ssrc, sender, blocks } => {
                if let Some(stream) = said.map(|said| &said.stream)
                    && stream.sources().0 == *ssrc
                {
                    sender.rtp = stream.at(sender.rtp);
                    (sender.packets, sender.octets) = (stream.packets, stream.octets);
                }
                (vec![ssrc], Some(blocks))
            }
            Rtcp::ReceiverReport { ssrc, blocks } => (vec![ssrc], Some(blocks)),
            Rtcp::Description(chunks) => {
                (chunks.iter_mut().map(|chunk| &mut chunk.ssrc).collect(), None)
            }
            Rtcp::Goodbye { sources, .. } => (sources.iter_mut().collect(), None),
            Rtcp::Unknown { .. } => (Vec::new(), None),
        };
        for source in sources {
            if let Some((came, leaves)) = said.map(|said| said.stream.sources())
                && *source == came
            {
                *source = leaves;
            }
        }
        let Some(stream) = heard.map(|heard| &heard.stream) else { continue };
        let (came, leaves) = stream.sources();
        for block in blocks.into_iter().flatten().filter(|block| block.ssrc == leaves) {
            block.ssrc = came;
            block.highest = stream.came(block.highest);
            let (from, to) = stream.clocks();
            let jitter = u64::from(block.jitter) * u64::from(from) / u64::from(to.max(1));
            block.jitter = jitter.try_into().unwrap_or(u32::MAX);
        }
    }
    Some(rtcp::build(&packets))
}
