//! The free port pairs.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use base::Random;

/// How many ports that another process holds are tried for one pair.
pub(crate) const TRIES: usize = 32;

/// The even ports of a range that are free, for each address. Their order is random, so that nobody
/// knows the port of the next call; the longest unused one is taken first.
pub(crate) struct Pool {
    range: RangeInclusive<u16>,
    random: Random,
    free: BTreeMap<IpAddr, VecDeque<u16>>,
}

impl Pool {
    pub(crate) fn new(range: RangeInclusive<u16>, random: Random) -> Pool {
        Pool { range, random, free: BTreeMap::new() }
    }

    /// A free even port, the next one with it.
    fn take(&mut self, address: IpAddr) -> Option<SocketAddr> {
        let Pool { range, random, free } = self;
        let free = free.entry(address).or_insert_with(|| shuffled(range, random));
        free.pop_front().map(|port| SocketAddr::new(address, port))
    }

    /// A free pair, or the one that is wanted.
    pub(crate) fn lease(&mut self, address: IpAddr, wanted: Option<u16>) -> Option<SocketAddr> {
        match wanted {
            Some(rtp) => self.take_this(SocketAddr::new(address, rtp)),
            None => self.take(address),
        }
    }

    /// This pair, whether it is of the range or not; `None` if it is in use here.
    fn take_this(&mut self, rtp: SocketAddr) -> Option<SocketAddr> {
        let Pool { range, random, free } = self;
        if !is_of(range, rtp.port()) {
            return Some(rtp).filter(|rtp| rtp.port() < u16::MAX);
        }
        let free = free.entry(rtp.ip()).or_insert_with(|| shuffled(range, random));
        let at = free.iter().position(|port| *port == rtp.port())?;
        free.remove(at).map(|_| rtp)
    }

    /// The pair of this RTP address is free again.
    pub(crate) fn give(&mut self, rtp: SocketAddr) {
        if let Some(free) = self.free.get_mut(&rtp.ip())
            && is_of(&self.range, rtp.port())
        {
            free.push_back(rtp.port());
        }
    }
}

/// Whether a pair that begins with this port is of the range: it is even, and the next one is in the range too.
fn is_of(range: &RangeInclusive<u16>, port: u16) -> bool {
    port.is_multiple_of(2) && (*range.start()..*range.end()).contains(&port)
}

fn shuffled(range: &RangeInclusive<u16>, random: &mut Random) -> VecDeque<u16> {
    let all = *range.start()..*range.end();
    let mut ports: Vec<u16> = all.filter(|port| is_of(range, *port)).collect();
    for last in (1..ports.len()).rev() {
        ports.swap(last, random.below(last as u64 + 1) as usize);
    }
    ports.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_once_and_the_last_given_back_last() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut pool = Pool::new(30_001..=30_201, Random::from_u64(1));
        let order: Vec<_> = std::iter::from_fn(|| pool.take(ip)).collect();
        let mut sorted = order.clone();
        sorted.sort();
        let wanted = (30_002..=30_200).step_by(2).map(|port| SocketAddr::new(ip, port));
        assert!(sorted.iter().copied().eq(wanted));
        assert_ne!(order, sorted);
        pool.give(order[7]);
        pool.give(order[3]);
        assert_eq!(
            [pool.take(ip), pool.take(ip), pool.take(ip)],
            [Some(order[7]), Some(order[3]), None]
        );
        assert!(pool.take([127, 0, 0, 2].into()).is_some(), "each address has its own");
        let wanted = [SocketAddr::new(ip, 30_100), SocketAddr::new(ip, 40_001)];
        pool.give(wanted[0]);
        for (n, free) in [(0, true), (0, false), (1, true), (1, true)] {
            assert_eq!(pool.take_this(wanted[n]).is_some(), free, "{n}");
        }
        pool.give(wanted[1]);
        assert_eq!(pool.take(ip), None, "what is not of the range does not come into it");
    }
}
