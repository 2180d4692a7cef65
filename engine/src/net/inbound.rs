//! Connections that others opened: how many there are, and how many one source may have.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base::source::{Source, is_same_host};
use base::time::Duration;
use base::{Event, Instant, Severity};

use super::LiveConfig;

/// How long a source that has too many is not named in the log again.
const SILENCE: Duration = Duration::from_secs(60);

/// Those that are open. A source is in the table while it has one.
#[derive(Default)]
pub(super) struct Inbound {
    total: usize,
    /// Of these, those that are not through with TLS.
    handshakes: usize,
    sources: BTreeMap<Source, Share>,
}

/// What one source has.
#[derive(Default)]
struct Share {
    connections: usize,
    handshakes: usize,
    named: Option<Instant>,
}

impl Inbound {
    /// Whether one more may be open between these two ends; if not, perhaps with a line for the log. Programs
    /// on this host count among all, but have no limit of their own: they share its address.
    pub(super) fn admits(
        &mut self,
        now: Instant,
        config: &LiveConfig,
        (local, remote): (SocketAddr, SocketAddr),
        tls: bool,
    ) -> Result<(), Option<Event>> {
        let refused = |counter, why| {
            let text = format!("connection from {remote} refused: {why}");
            Event::new(Severity::Warning, counter, text)
        };
        if self.total >= config.connections {
            return Err(Some(refused("tcp.refused", "too many are open")));
        }
        if tls && self.handshakes >= config.handshakes {
            return Err(Some(refused("tls.refused", "too many TLS handshakes")));
        }
        let share = self.sources.get_mut(&Source::of(remote.ip()));
        let Some(share) = share.filter(|_| !is_same_host(local.ip(), remote.ip())) else {
            return Ok(());
        };
        let (counter, why) = if share.connections >= config.connections_of_one {
            ("tcp.refused", "it has too many: `connections` below `[limits]`")
        } else if tls && share.handshakes >= config.handshakes_of_one {
            ("tls.refused", "it has too many TLS handshakes under way")
        } else {
            return Ok(());
        };
        let silent = share.named.is_some_and(|named| now.since(named) < SILENCE);
        share.named = if silent { share.named } else { Some(now) };
        Err((!silent).then(|| refused(counter, why)))
    }

    /// One was opened.
    pub(super) fn opened(&mut self, remote: SocketAddr, tls: bool) {
        let share = self.sources.entry(Source::of(remote.ip())).or_default();
        self.total += 1;
        share.connections += 1;
        self.handshakes += usize::from(tls);
        share.handshakes += usize::from(tls);
    }

    /// One is through with TLS.
    pub(super) fn shaken(&mut self, remote: SocketAddr) {
        self.handshakes -= 1;
        if let Some(share) = self.sources.get_mut(&Source::of(remote.ip())) {
            share.handshakes -= 1;
        }
    }

    /// One is over.
    pub(super) fn ended(&mut self, remote: SocketAddr, handshaking: bool) {
        if handshaking {
            self.shaken(remote);
        }
        self.total -= 1;
        let source = Source::of(remote.ip());
        if let Some(share) = self.sources.get_mut(&source) {
            share.connections -= 1;
            if share.connections == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(remote: &str) -> (SocketAddr, SocketAddr) {
        ("192.0.2.1:5060".parse().unwrap(), remote.parse().unwrap())
    }

    #[test]
    fn one_source_does_not_take_what_others_need() {
        let config = LiveConfig { connections_of_one: 2, connections: 4, ..LiveConfig::default() };
        let mut inbound = Inbound::default();
        let at = |seconds| Instant::EPOCH + Duration::from_secs(seconds);
        let open = |inbound: &mut Inbound, seconds, remote: &str| {
            let admitted = inbound.admits(at(seconds), &config, ends(remote), false);
            if admitted.is_ok() {
                inbound.opened(ends(remote).1, false);
            }
            admitted.map_err(|event| event.is_some())
        };
        assert_eq!(open(&mut inbound, 0, "[2001:db8::1]:1"), Ok(()));
        assert_eq!(open(&mut inbound, 0, "[2001:db8::2]:1"), Ok(()));
        assert_eq!(open(&mut inbound, 0, "[2001:db8::3]:1"), Err(true), "and it is named");
        assert_eq!(open(&mut inbound, 59, "[2001:db8::3]:1"), Err(false), "once in a minute");
        assert_eq!(open(&mut inbound, 60, "[2001:db8::3]:1"), Err(true));
        assert_eq!(open(&mut inbound, 60, "[2001:db8:0:1::1]:1"), Ok(()));
        inbound.ended(ends("[2001:db8::1]:1").1, false);
        assert_eq!(open(&mut inbound, 60, "[2001:db8::3]:1"), Ok(()), "it has one again");
        for port in 1..=4 {
            let here = format!("192.0.2.1:{port}");
            let there = if port == 1 { Ok(()) } else { Err(true) };
            assert_eq!(open(&mut inbound, 60, &here), there, "this host has all that is left");
        }
        for remote in ["[2001:db8::2]:1", "[2001:db8::3]:1", "[2001:db8:0:1::1]:1", "192.0.2.1:1"] {
            inbound.ended(ends(remote).1, false);
        }
        assert!(inbound.total == 0 && inbound.sources.is_empty());
    }

    #[test]
    fn handshakes_of_one_source_leave_room_for_others() {
        let config = LiveConfig { handshakes_of_one: 1, ..LiveConfig::default() };
        let mut inbound = Inbound::default();
        let (local, remote) = ends("192.0.2.7:1");
        let admits = |inbound: &mut Inbound, remote: &str, tls| {
            inbound.admits(Instant::EPOCH, &config, ends(remote), tls).is_ok()
        };
        assert_ne!(local, remote);
        inbound.opened(remote, true);
        assert!(!admits(&mut inbound, "192.0.2.7:2", true));
        assert!(
            admits(&mut inbound, "192.0.2.7:2", false) && admits(&mut inbound, "192.0.2.8:2", true)
        );
        inbound.shaken(remote);
        assert!(admits(&mut inbound, "192.0.2.7:2", true));
        inbound.ended(remote, false);
        inbound.opened(remote, true);
        inbound.ended(remote, true);
        assert!(inbound.handshakes == 0 && inbound.sources.is_empty());
    }
}
