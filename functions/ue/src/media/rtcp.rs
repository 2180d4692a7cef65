//! RTCP, RFC 3550 §6: reports out each 5 s or so, and what the other side reports.

use base::Instant;
use base::time::Duration;
use rtp::rtcp::{CNAME, Chunk, ReportBlock, Rtcp, SenderInfo, build};

use super::receive::Receiver;
use super::send::Sender;
use crate::core::Core;

/// The mean interval, §6.2.
const INTERVAL: Duration = Duration::from_secs(5);
/// Seconds from 1900 to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

pub(super) struct Control {
    cname: String,
    started: bool,
    /// Packets sent when the last report was made.
    reported: u64,
    /// The middle bits of the last sender report's time, and when it came.
    last_report: Option<(u32, Instant)>,
    round_trip: Option<Duration>,
    lost_there: Option<i32>,
}

impl Control {
    pub(super) fn new(core: &mut Core) -> Control {
        Control {
            // RFC 7022 §4.2: a random name for each session.
            cname: core.random.token::<12>(),
            started: false,
            reported: 0,
            last_report: None,
            round_trip: None,
            lost_there: None,
        }
    }

    /// Whether this was the first start.
    pub(super) fn start(&mut self) -> bool {
        !std::mem::replace(&mut self.started, true)
    }

    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub(super) fn lost_there(&self) -> Option<i32> {
        self.lost_there
    }

    /// The time to the next report: half to one and a half of the mean, §6.3.1.
    pub(super) fn interval(&self, core: &mut Core) -> Duration {
        let micros = INTERVAL.as_micros() as u64;
        Duration::from_micros(micros / 2 + core.random.below(micros))
    }

    /// A report, our name, and the goodbye of the last one.
    pub(super) fn compound(
        &mut self,
        now: Instant,
        sender: &Sender,
        receiver: &mut Receiver,
        goodbye: bool,
    ) -> Vec<u8> {
        let ssrc = sender.ssrc();
        let mut blocks = Vec::new();
        if receiver.reception().ssrc().is_some() {
            let mut block = receiver.reception().report();
            if let Some((middle, at)) = self.last_report {
                block.last_sr = middle;
                block.delay = (now.since(at).as_micros() * 65_536 / 1_000_000) as u32;
            }
            blocks.push(block);
        }
        // §6.4: a sender report if anything was sent since the last one.
        let report = match sender.timestamp_at(now) {
            Some(rtp) if sender.packets() > self.reported => {
                let (packets, octets) = (sender.packets() as u32, sender.octets() as u32);
                let info = SenderInfo { ntp: ntp(now), rtp, packets, octets };
                Rtcp::SenderReport { ssrc, sender: info, blocks }
            }
            _ => Rtcp::ReceiverReport { ssrc, blocks },
        };
        self.reported = sender.packets();
        let name = self.cname.clone().into_bytes();
        let description = Rtcp::Description(vec![Chunk { ssrc, items: vec![(CNAME, name)] }]);
        let mut packets = vec![report, description];
        if goodbye {
            packets.push(Rtcp::Goodbye { sources: vec![ssrc], reason: None });
        }
        build(&packets)
    }

    pub(super) fn received(&mut self, now: Instant, packets: &[Rtcp], own: u32) {
        for packet in packets {
            match packet {
                Rtcp::SenderReport { sender, blocks, .. } => {
                    self.last_report = Some(((sender.ntp >> 16) as u32, now));
                    self.blocks(now, blocks, own);
                }
                Rtcp::ReceiverReport { blocks, .. } => self.blocks(now, blocks, own),
                _ => {}
            }
        }
    }

    fn blocks(&mut self, now: Instant, blocks: &[ReportBlock], own: u32) {
        for block in blocks.iter().filter(|b| b.ssrc == own) {
            self.lost_there = Some(block.lost);
            if let Some(time) = block.round_trip((ntp(now) >> 16) as u32) {
                self.round_trip = Some(Duration::from_micros(u64::from(time) * 1_000_000 / 65_536));
            }
        }
    }
}

/// NTP time, §4.
fn ntp(now: Instant) -> u64 {
    let micros = now.unix_micros();
    let seconds = (micros / 1_000_000 + NTP_OFFSET) & 0xffff_ffff;
    (seconds << 32) | ((micros % 1_000_000) * (1 << 32) / 1_000_000)
}
