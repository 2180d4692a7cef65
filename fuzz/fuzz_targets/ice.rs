//! Any bytes: a STUN message in any state of an ICE agent, and a candidate of a description.
#![no_main]

use base::redact::Secret;
use base::relay::{Component, Credentials, Ice, Remote};
use base::time::Duration;
use base::Instant;
use ice::Agent;
use libfuzzer_sys::fuzz_target;

fn credentials(name: &str) -> Credentials {
    Credentials { ufrag: name.to_owned(), pwd: Secret::new(name.repeat(8)) }
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(candidate) = std::str::from_utf8(bytes).ok().and_then(ice::parse_candidate) {
        assert_eq!(ice::parse_candidate(&ice::candidate(&candidate)).as_ref(), Some(&candidate));
    }
    for (has_remote, lite) in [(true, false), (false, false), (true, true)] {
        let remote = Remote { credentials: credentials("peer"), candidates: Vec::new(), lite: false };
        let ice = Ice {
            local: credentials("ours"),
            address: ([192, 0, 2, 1], 30_000).into(),
            remote: has_remote.then_some(remote),
            lite,
            controlling: !lite,
            tie_breaker: 7,
            rtcp: false,
        };
        let mut now = Instant::from_unix_micros(1_700_000_000_000_000);
        let mut agent = Agent::new(&ice, Component::Rtp, now);
        for part in bytes.chunks(200) {
            agent.datagram(now, ([192, 0, 2, 2], 4000).into(), part);
            while agent.poll().is_some() {}
            now += Duration::from_millis(50);
            agent.expire(now);
        }
    }
});
