//! Tones, and the digits made of two of them (ITU-T Q.23).

use std::f64::consts::TAU;

/// The lower and the higher tones of the digits, in hertz.
pub const ROWS: [u16; 4] = [697, 770, 852, 941];
/// The higher tones, in hertz.
pub const COLUMNS: [u16; 4] = [1209, 1336, 1477, 1633];

/// Where each event of RFC 4733 (0 to 9, `*`, `#`, A to D) stands on the pad, in rows.
const PAD: [usize; 16] = [13, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 14, 3, 7, 11, 15];

/// The two tones of a telephone event, 0 to 15.
pub fn digit(event: u8) -> Option<[u16; 2]> {
    let place = *PAD.get(usize::from(event))?;
    Some([ROWS[place / 4], COLUMNS[place % 4]])
}

/// The event of a row and a column, both 0 to 3.
pub(crate) fn event(row: usize, column: usize) -> u8 {
    PAD.iter().position(|place| *place == 4 * row + column).unwrap_or_default() as u8
}

/// Several tones at once, each as loud as the others.
#[derive(Clone, Debug)]
pub struct Tones {
    /// Of a turn: how far each is, and how far it goes with a sample.
    turns: Vec<(f64, f64)>,
    amplitude: f64,
}

impl Tones {
    /// At so many samples a second, each tone so many decibels below the loudest sine that there is.
    pub fn new(hertz: &[u16], rate: u32, below: u8) -> Tones {
        let turns = hertz.iter().map(|hertz| (0.0, f64::from(*hertz) / f64::from(rate.max(1))));
        let amplitude = 32767.0 * 10_f64.powf(-f64::from(below) / 20.0);
        Tones { turns: turns.collect(), amplitude }
    }

    /// Appends so many samples.
    pub fn make(&mut self, count: usize, samples: &mut Vec<i16>) {
        samples.extend((0..count).map(|_| {
            let sum: f64 = self.turns.iter().map(|(at, _)| (at * TAU).sin()).sum();
            for (at, step) in &mut self.turns {
                *at = (*at + *step).fract();
            }
            (sum * self.amplitude).round() as i16
        }));
    }
}
