//! RTCP, RFC 3550 §6: compound packets of sender and receiver reports, descriptions and goodbyes.

use crate::packet::RtpError;

/// One packet of a compound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rtcp {
    /// Sender report, §6.4.1.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// What it sent.
        sender: SenderInfo,
        /// What it received; at most 31.
        blocks: Vec<ReportBlock>,
    },
    /// Receiver report, §6.4.2.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it received; at most 31.
        blocks: Vec<ReportBlock>,
    },
    /// Source description, §6.5; at most 31 chunks.
    Description(Vec<Chunk>),
    /// Goodbye, §6.6.
    Goodbye {
        /// Who leaves; at most 31.
        sources: Vec<u32>,
        /// Why; at most 255 bytes.
        reason: Option<String>,
    },
    /// Something else: its type and its bytes.
    Unknown {
        /// The packet type.
        packet_type: u8,
        /// The whole packet, header included.
        bytes: Vec<u8>,
    },
}

/// What a sender sent, §6.4.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SenderInfo {
    /// NTP time, seconds since 1900 in the upper half.
    pub ntp: u64,
    /// The same time in units of the codec's clock.
    pub rtp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What was received of one source, §6.4.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost in all, a signed 24-bit number.
    pub lost: i32,
    /// The extended highest sequence number.
    pub highest: u32,
    /// Interarrival jitter in units of the codec's clock.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time.
    pub last_sr: u32,
    /// Time since then in 1/65536 s.
    pub delay: u32,
}

impl ReportBlock {
    /// The round-trip time in 1/65536 s, from the time at which this report arrived (the middle 32
    /// bits of NTP time), §6.4.1; `None` if it answers no report.
    pub fn round_trip(&self, arrived: u32) -> Option<u32> {
        if self.last_sr == 0 {
            return None;
        }
        Some(arrived.wrapping_sub(self.last_sr).wrapping_sub(self.delay)).filter(|t| *t < 1 << 31)
    }
}

/// What is said about one source, §6.5.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The source.
    pub ssrc: u32,
    /// Item types and texts; type 1 is CNAME.
    pub items: Vec<(u8, Vec<u8>)>,
}

/// The item type of the canonical name, §6.5.1.
pub const CNAME: u8 = 1;

/// Reads a compound packet, §6.1 and Appendix A.2. A lone packet of reduced size (RFC 5506) is read
/// too.
///
/// # Errors
/// [`RtpError`] for a wrong version or length; nothing of a broken compound is believed.
pub fn parse(mut bytes: &[u8]) -> Result<Vec<Rtcp>, RtpError> {
    let mut out = Vec::new();
    if bytes.is_empty() {
        return Err(RtpError::Truncated);
    }
    while !bytes.is_empty() {
        let [first, packet_type, high, low, ..] = *bytes else { return Err(RtpError::Truncated) };
        if first >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let whole = bytes.get(..length).ok_or(RtpError::Truncated)?;
        bytes = &bytes[length..];
        let mut end = length;
        if first & 0x20 != 0 {
            let padding = usize::from(whole[length - 1]);
            if padding == 0 || padding > length - 4 || !bytes.is_empty() {
                return Err(RtpError::Padding);
            }
            end -= padding;
        }
        out.push(one(packet_type, usize::from(first & 0x1f), &whole[4..end], whole)?);
    }
    Ok(out)
}

fn one(packet_type: u8, count: usize, body: &[u8], whole: &[u8]) -> Result<Rtcp, RtpError> {
    let mut body = Reader(body);
    Ok(match packet_type {
        200 => {
            let ssrc = body.u32()?;
            let ntp = u64::from(body.u32()?) << 32 | u64::from(body.u32()?);
            let sender =
                SenderInfo { ntp, rtp: body.u32()?, packets: body.u32()?, octets: body.u32()? };
            Rtcp::SenderReport { ssrc, sender, blocks: body.blocks(count)? }
        }
        201 => Rtcp::ReceiverReport { ssrc: body.u32()?, blocks: body.blocks(count)? },
        202 => Rtcp::Description((0..count).map(|_| body.chunk()).collect::<Result<_, _>>()?),
        203 => {
            let sources = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
            let reason = match body.0 {
                [] => None,
                [length, ..] => {
                    let text = body.0.get(1..1 + usize::from(*length));
                    let text = text.ok_or(RtpError::Truncated)?;
                    Some(String::from_utf8_lossy(text).into_owned())
                }
            };
            Rtcp::Goodbye { sources, reason }
        }
        _ => Rtcp::Unknown { packet_type, bytes: whole.to_vec() },
    })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn u8(&mut self) -> Result<u8, RtpError> {
        let (first, rest) = self.0.split_first().ok_or(RtpError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, RtpError> {
        let (first, rest) = self.0.split_first_chunk::<4>().ok_or(RtpError::Truncated)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*first))
    }

    fn blocks(&mut self, count: usize) -> Result<Vec<ReportBlock>, RtpError> {
        (0..count)
            .map(|_| {
                let ssrc = self.u32()?;
                let loss = self.u32()?;
                Ok(ReportBlock {
                    ssrc,
                    fraction_lost: (loss >> 24) as u8,
                    lost: ((loss << 8) as i32) >> 8,
                    highest: self.u32()?,
                    jitter: self.u32()?,
                    last_sr: self.u32()?,
                    delay: self.u32()?,
                })
            })
            .collect()
    }

    fn chunk(&mut self) -> Result<Chunk, RtpError> {
        let before = self.0.len();
        let ssrc = self.u32()?;
        let mut items = Vec::new();
        loop {
            let kind = self.u8()?;
            if kind == 0 {
                break;
            }
            let length = usize::from(self.u8()?);
            let text = self.0.get(..length).ok_or(RtpError::Truncated)?;
            items.push((kind, text.to_vec()));
            self.0 = &self.0[length..];
        }
        let padding = (before - self.0.len()).wrapping_neg() % 4;
        self.0 = self.0.get(padding..).ok_or(RtpError::Truncated)?;
        Ok(Chunk { ssrc, items })
    }
}

/// Writes a compound packet. Counts and texts beyond their maximum are cut.
pub fn build(packets: &[Rtcp]) -> Vec<u8> {
    let mut out = Vec::new();
    for packet in packets {
        if let Rtcp::Unknown { bytes, .. } = packet {
            out.extend(bytes);
            continue;
        }
        let start = out.len();
        out.extend([0; 4]);
        let (packet_type, count) = body(packet, &mut out);
        out.resize(out.len() + (out.len() - start).wrapping_neg() % 4, 0);
        let words = ((out.len() - start) / 4 - 1) as u16;
        out[start] = 0x80 | count as u8;
        out[start + 1] = packet_type;
        out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
    out
}

const MOST: usize = 31;

fn body(packet: &Rtcp, out: &mut Vec<u8>) -> (u8, usize) {
    let put = |out: &mut Vec<u8>, value: u32| out.extend(value.to_be_bytes());
    match packet {
        Rtcp::SenderReport { ssrc, sender, blocks } => {
            put(out, *ssrc);
            out.extend(sender.ntp.to_be_bytes());
            [sender.rtp, sender.packets, sender.octets].iter().for_each(|value| put(out, *value));
            (200, write_blocks(blocks, out))
        }
        Rtcp::ReceiverReport { ssrc, blocks } => {
            put(out, *ssrc);
            (201, write_blocks(blocks, out))
        }
        Rtcp::Description(chunks) => {
            for chunk in chunks.iter().take(MOST) {
                let start = out.len();
                put(out, chunk.ssrc);
                for (kind, text) in &chunk.items {
                    write_text(Some(*kind), text, out);
                }
                out.push(0);
                out.resize(out.len() + (out.len() - start).wrapping_neg() % 4, 0);
            }
            (202, chunks.len().min(MOST))
        }
        Rtcp::Goodbye { sources, reason } => {
            sources.iter().take(MOST).for_each(|source| put(out, *source));
            if let Some(reason) = reason {
                write_text(None, reason.as_bytes(), out);
            }
            (203, sources.len().min(MOST))
        }
        Rtcp::Unknown { packet_type, .. } => (*packet_type, 0),
    }
}

fn write_text(kind: Option<u8>, text: &[u8], out: &mut Vec<u8>) {
    let text = &text[..text.len().min(255)];
    out.extend(kind);
    out.push(text.len() as u8);
    out.extend(text);
}

fn write_blocks(blocks: &[ReportBlock], out: &mut Vec<u8>) -> usize {
    for block in blocks.iter().take(MOST) {
        let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        let loss = u32::from(block.fraction_lost) << 24 | lost;
        for value in [block.ssrc, loss, block.highest, block.jitter, block.last_sr, block.delay] {
            out.extend(value.to_be_bytes());
        }
    }
    blocks.len().min(MOST)
}
