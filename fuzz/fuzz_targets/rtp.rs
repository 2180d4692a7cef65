//! Any bytes: RTP, RTCP and digits are read or refused, and what was read is written back; SRTP is refused or
//! taken apart, whatever its suite.
#![no_main]

use base::relay::{MasterKey, Suite};
use libfuzzer_sys::fuzz_target;
use rtp::event::TelephoneEvent;
use rtp::rtcp::{self, Rtcp};
use rtp::Packet;
use srtp::Inbound;

const SUITES: [Suite; 3] =
    [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm, Suite::NullHmacSha1_80];

fuzz_target!(|bytes: &[u8]| {
    let _ = rtp::demux::kind(bytes);
    if let Ok(packet) = Packet::parse(bytes) {
        assert_eq!(&bytes[packet.payload_range()], packet.payload());
        let _ = (packet.extension(), packet.csrc().count());
        if let Some(event) = TelephoneEvent::parse(packet.payload()) {
            assert_eq!(TelephoneEvent::parse(&event.build()), Some(event));
        }
    }
    if let Ok(packets) = rtcp::parse(bytes) {
        let built = rtcp::build(&packets);
        let again = rtcp::parse(&built);
        // A reason that is no UTF-8 is not kept as it was.
        let said = |packet: &Rtcp| matches!(packet, Rtcp::Goodbye { reason: Some(_), .. });
        let same = |again| packets.iter().any(said) || again == packets;
        assert!(again.is_ok_and(same), "{packets:?}");
    }
    for suite in SUITES {
        let octets = vec![7; MasterKey::length(suite)];
        let key = MasterKey::new(suite, &octets).expect("a key of the right length");
        let mut inbound = Inbound::new(&key);
        let mut buffer = bytes.to_vec();
        let _ = inbound.unprotect(&mut buffer, bytes.len());
        buffer.copy_from_slice(bytes);
        let _ = inbound.unprotect_rtcp(&mut buffer, bytes.len());
    }
});
