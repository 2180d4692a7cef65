//! Targets that did not work lately: others of the same name are tried first, RFC 3263 §4.3. An ACK for a
//! 2xx has no transaction that would notice, so that it depends on it.

use std::collections::BTreeMap;

use base::machine::Target;
use base::time::Duration;
use base::{Endpoint, Instant, Transport};

/// How long a target is tried last.
const WHILE: Duration = Duration::from_secs(30);
/// So many are remembered.
const MOST: usize = 256;

/// Targets and until when they are tried last.
#[derive(Debug, Default)]
pub(super) struct Failed(BTreeMap<(Transport, Endpoint), Instant>);

impl Failed {
    /// Nothing came of a request to this target.
    pub(super) fn failed(&mut self, now: Instant, target: (Transport, Endpoint)) {
        if self.0.len() >= MOST {
            self.0.retain(|_, until| *until > now);
        }
        if self.0.len() < MOST {
            self.0.insert(target, now + WHILE);
        }
    }

    /// It answers.
    pub(super) fn answers(&mut self, target: (Transport, Endpoint)) {
        if !self.0.is_empty() {
            self.0.remove(&target);
        }
    }

    /// Puts those that failed lately behind the others.
    pub(super) fn put_last(&self, now: Instant, targets: &mut [Target]) {
        if targets.len() > 1 && !self.0.is_empty() {
            targets.sort_by_key(|target| {
                let until = self.0.get(&(target.transport, target.endpoint));
                until.is_some_and(|until| *until > now)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(port: u16) -> Target {
        let address = std::net::SocketAddr::from(([10, 0, 0, 1], port));
        Target { transport: Transport::Udp, endpoint: address.into() }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_unix_micros(seconds * 1_000_000)
    }

    #[test]
    fn what_failed_is_tried_last_for_a_while() {
        let mut failed = Failed::default();
        let order = |failed: &Failed, now| {
            let mut targets = [1, 2, 3].map(target);
            failed.put_last(now, &mut targets);
            targets.map(|target| target.endpoint.socket_addr().map_or(0, |a| a.port()))
        };
        let key = |port| (target(port).transport, target(port).endpoint);
        failed.failed(at(0), key(1));
        assert_eq!(order(&failed, at(29)), [2, 3, 1]);
        assert_eq!(order(&failed, at(30)), [1, 2, 3]);
        failed.failed(at(0), key(2));
        assert_eq!(order(&failed, at(1)), [3, 1, 2]);
        failed.answers(key(1));
        assert_eq!(order(&failed, at(1)), [1, 3, 2]);
        (0..2000).for_each(|port| failed.failed(at(2), key(port)));
        assert!(failed.0.len() <= MOST);
        failed.failed(at(40), key(9000));
        assert_eq!(failed.0.len(), 1, "those whose time is over make room");
    }
}
