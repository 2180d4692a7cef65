//! Two agents with each other, directly, behind a NAT, with loss, and with a stranger.

use base::Random;
use base::relay::{Candidate, Credentials};
use base::time::Duration;

use super::*;
use crate::attributes::{credentials, priority};

const BEGIN: Instant = Instant::from_unix_micros(1_700_000_000_000_000);
const A: &str = "192.0.2.1:4000";
const B: &str = "192.0.2.2:5000";

struct End {
    agent: Agent,
    /// Where it really is.
    address: SocketAddr,
    selected: Option<SocketAddr>,
    failure: Option<Failure>,
}

fn host(address: &str) -> Candidate {
    Candidate {
        foundation: "1".to_owned(),
        component: Component::Rtp,
        priority: priority(CandidateKind::Host, 65_535, Component::Rtp),
        address: address.parse().unwrap(),
        kind: CandidateKind::Host,
    }
}

fn remote(credentials: &Credentials, addresses: &[&str]) -> Remote {
    let candidates = addresses.iter().map(|address| host(address)).collect();
    Remote { credentials: credentials.clone(), candidates, lite: false }
}

fn end(at: &str, local: &Credentials, remote: Option<Remote>, controlling: bool) -> End {
    let address: SocketAddr = at.parse().unwrap();
    let tie_breaker = u64::from(address.port());
    let (local, lite) = (local.clone(), false);
    let ice = Ice { local, address, remote, lite, controlling, tie_breaker, rtcp: false };
    let agent = Agent::new(&ice, Component::Rtp, BEGIN);
    End { agent, address, selected: None, failure: None }
}

/// The network between two ends.
struct Wire {
    now: Instant,
    random: Random,
    loss: u64,
    flying: Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Wire {
    fn new(seed: u64, loss: u64) -> Wire {
        Wire { now: BEGIN, random: Random::from_u64(seed), loss, flying: Vec::new() }
    }

    /// Lets time pass until both are done, or it is over.
    fn run(&mut self, ends: &mut [End; 2], time: Duration, done: impl Fn(&[End; 2]) -> bool) {
        let limit = self.now + time;
        loop {
            for end in ends.iter_mut() {
                while let Some(output) = end.agent.poll() {
                    match output {
                        Output::Transmit(to, bytes) if self.random.below(100) >= self.loss => {
                            let at = self.now + Duration::from_millis(5 + self.random.below(20));
                            self.flying.push((at, end.address, to, bytes));
                        }
                        Output::Transmit(..) => {}
                        Output::Selected(address) => end.selected = Some(address),
                        Output::Failed(failure) => end.failure = Some(failure),
                    }
                }
            }
            let deadlines = ends.iter().filter_map(|end| end.agent.deadline());
            let next = deadlines.chain(self.flying.iter().map(|flying| flying.0)).min();
            let Some(next) = next.filter(|next| *next <= limit && !done(ends)) else { return };
            self.now = self.now.max(next);
            let (arrived, later) =
                std::mem::take(&mut self.flying).into_iter().partition(|(at, ..)| *at <= self.now);
            self.flying = later;
            for (_, from, to, bytes) in arrived {
                if let Some(end) = ends.iter_mut().find(|end| end.address == to) {
                    end.agent.datagram(self.now, from, &bytes);
                }
            }
            for end in ends.iter_mut() {
                if end.agent.deadline().is_some_and(|at| at <= self.now) {
                    end.agent.expire(self.now);
                }
            }
        }
    }
}

fn connected(ends: &[End; 2]) -> bool {
    ends.iter().all(|end| end.selected.is_some())
}

fn names() -> [Credentials; 2] {
    let mut random = Random::from_u64(9);
    [credentials(&mut random), credentials(&mut random)]
}

fn pair() -> [End; 2] {
    let [a, b] = names();
    [
        end(A, &a, Some(remote(&b, &["192.0.2.77:1", B])), true),
        end(B, &b, Some(remote(&a, &[A])), false),
    ]
}

#[test]
fn two_ends_find_each_other() {
    for (seed, loss) in [(1, 0), (2, 10), (3, 20), (4, 30)] {
        let mut ends = pair();
        let mut wire = Wire::new(seed, loss);
        wire.run(&mut ends, Duration::from_secs(15), connected);
        assert_eq!(ends[0].selected, Some(B.parse().unwrap()), "{loss} % lost");
        assert_eq!(ends[1].selected, Some(A.parse().unwrap()), "{loss} % lost");
        assert!(ends[0].agent.admits(ends[1].address) && ends[1].agent.admits(ends[0].address));
        assert!(!ends[0].agent.admits("192.0.2.77:1".parse().unwrap()), "it proved nothing");
    }
}

#[test]
fn the_other_ends_role_or_silence_about_it_does_not_matter() {
    let [a, b] = names();
    // Both want to choose: one yields. B does not say where it is: its checks do.
    let mut ends =
        [end(A, &a, Some(remote(&b, &[])), true), end(B, &b, Some(remote(&a, &[A])), true)];
    Wire::new(1, 0).run(&mut ends, Duration::from_secs(15), connected);
    assert_eq!(ends[0].selected, Some(B.parse().unwrap()));
    assert_eq!(ends[1].selected, Some(A.parse().unwrap()));
}

#[test]
fn checks_that_come_before_the_answer_are_kept() {
    let [a, b] = names();
    let mut ends = [end(A, &a, None, true), end(B, &b, Some(remote(&a, &[A])), false)];
    let mut wire = Wire::new(1, 0);
    wire.run(&mut ends, Duration::from_secs(2), |_| false);
    assert!(!connected(&ends));
    ends[0].agent.hear(Some(&remote(&b, &[B])), wire.now);
    wire.run(&mut ends, Duration::from_secs(5), connected);
    assert!(connected(&ends));
}

#[test]
fn who_does_not_answer_is_a_failure_with_a_name() {
    let [a, b] = names();
    let mut ends = pair();
    ends[1] = end("192.0.2.9:9", &b, Some(remote(&a, &["192.0.2.10:10"])), false);
    let mut wire = Wire::new(1, 0);
    wire.run(&mut ends, Duration::from_secs(60), |ends| ends[0].failure.is_some());
    assert_eq!(ends[0].failure, Some(Failure::NoCandidateAnswers));
    assert!(wire.now.since(BEGIN) < Duration::from_secs(40));
}

#[test]
fn consent_runs_out_when_the_peer_is_gone() {
    let mut ends = pair();
    let mut wire = Wire::new(1, 0);
    wire.run(&mut ends, Duration::from_secs(5), connected);
    wire.run(&mut ends, Duration::from_secs(120), |_| false);
    assert!(ends.iter().all(|end| end.failure.is_none()), "it lasts as long as both are there");
    let gone = wire.now;
    wire.loss = 100;
    wire.run(&mut ends, Duration::from_secs(60), |ends| ends.iter().all(|e| e.failure.is_some()));
    assert!(ends.iter().all(|end| end.failure == Some(Failure::ConsentLost)));
    assert!(wire.now.since(gone) < Duration::from_secs(45), "{:?}", wire.now.since(gone));
}

#[test]
fn a_stranger_is_neither_answered_nor_believed() {
    let [a, _] = names();
    let mut random = Random::from_u64(77);
    let stranger = credentials(&mut random);
    let wrong = Credentials { pwd: stranger.pwd.clone(), ..a.clone() };
    let mut ends = pair();
    // It knows the name, but not the password.
    let mut forger = end("203.0.113.9:9", &stranger, Some(remote(&wrong, &[A])), false);
    let mut answers = 0;
    while ends[0].agent.poll().is_some() {}
    for step in 0..40 {
        let now = BEGIN + Duration::from_millis(50 * step);
        forger.agent.expire(now);
        while let Some(Output::Transmit(_, bytes)) = forger.agent.poll() {
            ends[0].agent.datagram(now, forger.address, &bytes);
        }
        while let Some(output) = ends[0].agent.poll() {
            answers += u32::from(matches!(output, Output::Transmit(to, _) if to == forger.address));
        }
    }
    assert_eq!(answers, 0);
    assert!(!ends[0].agent.admits(forger.address));
    for length in 0..200 {
        let mut bytes = random.bytes::<200>();
        bytes[..4].copy_from_slice(&[0, 1, 0, length - length % 4]);
        bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        ends[0].agent.datagram(BEGIN, forger.address, &bytes[..usize::from(length)]);
        assert!(!ends[0].agent.admits(forger.address));
    }
}
