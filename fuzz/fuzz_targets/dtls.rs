//! Any bytes: DTLS records for who begins a handshake and for who waits for one; strangers can send them.
#![no_main]

use std::sync::LazyLock;

use base::Instant;
use base::relay::{Handshake, HashFunction};
use base::time::Duration;
use dtls::{Certificate, Session};
use libfuzzer_sys::fuzz_target;

static CERTIFICATE: LazyLock<Certificate> =
    LazyLock::new(|| Certificate::generate().expect("the system gives random numbers"));

fuzz_target!(|bytes: &[u8]| {
    let fingerprints = vec![CERTIFICATE.fingerprint(HashFunction::Sha256)];
    for active in [true, false] {
        let handshake = Handshake { active, fingerprints: fingerprints.clone() };
        let mut now = Instant::from_unix_micros(1_700_000_000_000_000);
        let mut session = Session::new(&CERTIFICATE, &handshake, now);
        let mut rest = bytes;
        // Each datagram begins with its length.
        while let [length, more @ ..] = rest {
            let (datagram, after) = more.split_at(more.len().min(usize::from(*length) * 4));
            session.datagram(now, datagram);
            while session.poll().is_some() {}
            now += Duration::from_millis(400);
            session.expire(now);
            rest = after;
        }
    }
});
