//! What it costs to protect a packet of G.711, 20 ms of it, and to take it apart again:
//! `cargo run --release -p strowger-srtp --example cost`.
//!
//! With one session, whose keys stay in the nearest cache, with a thousand, and with more than a cache holds, in an order
//! that none foresees. NULL has no cipher, so the difference to AES_CM is what AES costs.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and says what")]

use std::time::{Duration, Instant};

use base::relay::{MasterKey, Suite};
use srtp::{Inbound, Outbound};

/// Octets of a packet: a header, and 160 samples.
const PACKET: usize = 172;
/// Packets that are measured in one piece, and of which the clock's own time is a small part.
const BATCH: usize = 50;
/// A round is so many packets; the quickest one counts.
const PACKETS: usize = 20_000;
/// See [`PACKETS`].
const ROUNDS: usize = 15;
/// It has no divisor that the number of sessions has, and pages are smaller.
const STRIDE: usize = 7919;

/// Both ends, each where the heap has room.
type Ends = (Box<Outbound>, Box<Inbound>);

fn main() {
    println!("octets of a session: {} and {}", size_of::<Outbound>(), size_of::<Inbound>());
    println!(
        "{:<20} {:>8} {:>10} {:>10}",
        "ns for each packet", "sessions", "protect", "unprotect"
    );
    for suite in [
        Suite::NullHmacSha1_80,
        Suite::AesCm128HmacSha1_80,
        Suite::Aes256CmHmacSha1_80,
        Suite::AeadAes128Gcm,
    ] {
        for sessions in [1, 1000, 20_000] {
            let mut ends: Vec<Ends> = (0..sessions).map(|number| ends(suite, number)).collect();
            let mut rounds = 0..ROUNDS;
            let first = round(&mut ends, suite, 0);
            let [protect, unprotect] = rounds.by_ref().fold(first, |best, number| {
                let now = round(&mut ends, suite, number + 1);
                [best[0].min(now[0]), best[1].min(now[1])]
            });
            let each = |spent: Duration| spent.as_nanos() as f64 / PACKETS as f64;
            let (protect, unprotect) = (each(protect), each(unprotect));
            println!("{:<20?} {sessions:>8} {protect:>10.0} {unprotect:>10.0}", suite);
        }
    }
}

fn ends(suite: Suite, number: usize) -> Ends {
    let octets: Vec<u8> = (0..MasterKey::length(suite)).map(|at| (number + at * 7) as u8).collect();
    let key = MasterKey::new(suite, &octets).expect("a key of its suite's length");
    (Box::new(Outbound::new(&key)), Box::new(Inbound::new(&key)))
}

/// What it takes to protect [`PACKETS`], and to take them apart.
fn round(ends: &mut [Ends], suite: Suite, number: usize) -> [Duration; 2] {
    let mut spent = [Duration::ZERO; 2];
    let mut wire = [[0; PACKET + 32]; BATCH];
    for batch in 0..PACKETS / BATCH {
        let first = number * PACKETS + batch * BATCH;
        for (packet, at) in wire.iter_mut().zip(first..) {
            // Whose turn it is for the nth time sends its nth packet.
            let sequence = (at / ends.len()) as u16;
            packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 160, 1, 2, 3, 4]);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        }
        let turn = |at: usize| at * STRIDE % ends.len();
        let turns: Vec<usize> = (first..first + BATCH).map(turn).collect();
        let begin = Instant::now();
        for (packet, turn) in wire.iter_mut().zip(&turns) {
            ends[*turn].0.protect(packet, PACKET).expect("a new packet");
        }
        spent[0] += begin.elapsed();
        let begin = Instant::now();
        for (packet, turn) in wire.iter_mut().zip(&turns) {
            let length = PACKET + suite.tag_length();
            ends[*turn].1.unprotect(packet, length).expect("a genuine packet");
        }
        spent[1] += begin.elapsed();
    }
    spent
}
