//! Two sessions with each other, over a network that loses, repeats and reorders.

use base::Random;
use base::relay::HashFunction;

use super::*;

const BEGIN: Instant = Instant::from_unix_micros(1_700_000_000_000_000);

struct End {
    session: Session,
    keys: Option<MasterKeys>,
    failure: Option<Failure>,
}

impl End {
    fn new(certificate: &Certificate, active: bool, peer: &Certificate) -> End {
        let fingerprints = vec![peer.fingerprint(HashFunction::Sha256)];
        let session = Session::new(certificate, &Handshake { active, fingerprints }, BEGIN);
        End { session, keys: None, failure: None }
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        while let Some(output) = self.session.poll() {
            match output {
                Output::Transmit(bytes) => datagrams.push(bytes),
                Output::Keys(keys) => assert!(self.keys.replace(keys).is_none(), "once"),
                Output::Failed(failure) => self.failure = Some(failure),
                Output::Closed => {}
            }
        }
        datagrams
    }
}

/// Lets both talk until they are done or a minute is over; how long it took.
fn talk(ends: &mut [End; 2], random: &mut Random, loss: u64) -> Duration {
    let mut now = BEGIN;
    let limit = BEGIN + Duration::from_secs(60);
    // When, to whom, what.
    let mut wire: Vec<(Instant, usize, Vec<u8>)> = Vec::new();
    loop {
        for (from, end) in ends.iter_mut().enumerate() {
            for bytes in end.take() {
                for _ in 0..1 + u64::from(random.below(100) < loss / 2) {
                    if random.below(100) >= loss {
                        let delay = 5 + random.below(if loss > 0 { 80 } else { 1 });
                        wire.push((now + Duration::from_millis(delay), 1 - from, bytes.clone()));
                    }
                }
            }
        }
        if ends.iter().all(|end| end.keys.is_some() || end.failure.is_some()) {
            break;
        }
        let arrival = wire.iter().map(|(at, ..)| *at).min();
        let deadlines = ends.iter().filter_map(|end| end.session.deadline());
        let next = deadlines.chain(arrival).min().filter(|next| *next < limit);
        let Some(next) = next else { break };
        now = now.max(next);
        let (arrived, later) = wire.into_iter().partition(|(at, ..)| *at <= now);
        wire = later;
        for (_, to, bytes) in arrived {
            ends[to].session.datagram(now, &bytes);
        }
        for end in ends.iter_mut() {
            if end.session.deadline().is_some_and(|at| at <= now) {
                end.session.expire(now);
            }
        }
    }
    now.since(BEGIN)
}

fn pair() -> [End; 2] {
    let [a, b] = [(); 2].map(|()| Certificate::generate().unwrap());
    [End::new(&a, true, &b), End::new(&b, false, &a)]
}

fn assert_agreed(ends: &[End; 2]) {
    let [a, b] = ends.each_ref().map(|end| end.keys.clone().expect("it has keys"));
    assert_eq!((&a.inbound, &a.outbound), (&b.outbound, &b.inbound));
    assert_ne!(a.inbound, a.outbound);
    assert_eq!(a.inbound.unwrap().suite(), Suite::AeadAes256Gcm, "the strongest");
}

#[test]
fn both_ends_have_the_same_keys() {
    let mut ends = pair();
    let took = talk(&mut ends, &mut Random::from_u64(1), 0);
    assert_agreed(&ends);
    assert!(took < Duration::from_millis(50), "no timer had to help: {took:?}");
}

#[test]
fn loss_and_disorder_cost_time_but_no_keys() {
    for seed in 0..40 {
        let mut ends = pair();
        talk(&mut ends, &mut Random::from_u64(seed), 20);
        assert!(ends.iter().all(|end| end.failure.is_none()), "{seed}: {:?}", ends[0].failure);
        assert_agreed(&ends);
    }
}

#[test]
fn another_certificate_gives_no_keys() {
    let [a, b, stranger] = [(); 3].map(|()| Certificate::generate().unwrap());
    let mut ends = [End::new(&stranger, true, &b), End::new(&b, false, &a)];
    talk(&mut ends, &mut Random::from_u64(1), 0);
    assert_eq!(ends[1].failure, Some(Failure::WrongCertificate));
    assert!(ends[1].keys.is_none());
    // The same the other way round.
    let mut ends = [End::new(&a, true, &b), End::new(&stranger, false, &a)];
    talk(&mut ends, &mut Random::from_u64(1), 0);
    assert_eq!(ends[0].failure, Some(Failure::WrongCertificate));
    assert!(ends[0].keys.is_none());
}

#[test]
fn who_hears_nothing_gives_up_in_words() {
    let mut ends = pair();
    let took = talk(&mut ends, &mut Random::from_u64(1), 100);
    assert!(matches!(&ends[0].failure, Some(Failure::Handshake(why)) if !why.is_empty()));
    assert!(took <= LONGEST, "{took:?}");
    assert_eq!(ends[1].failure, None, "nobody called");
}

#[test]
fn garbage_does_no_harm() {
    let mut random = Random::from_u64(3);
    let mut ends = pair();
    for end in &mut ends {
        for length in 0..300 {
            let mut bytes = random.bytes::<300>();
            bytes[0] = 20 + (length % 44) as u8;
            end.session.datagram(BEGIN, &bytes[..length]);
        }
    }
    talk(&mut ends, &mut random, 0);
    if ends.iter().all(|end| end.failure.is_none()) {
        assert_agreed(&ends);
    }
}
