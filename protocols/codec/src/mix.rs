//! Several voices in one: each hears all others.

/// The sum of voices over one stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Mix {
    sums: Vec<i32>,
}

impl Mix {
    /// Nobody speaks for so many samples.
    pub fn clear(&mut self, count: usize) {
        self.sums.clear();
        self.sums.resize(count, 0);
    }

    /// A voice speaks; what is longer than the stretch is left out.
    pub fn add(&mut self, voice: &[i16]) {
        for (sum, sample) in self.sums.iter_mut().zip(voice) {
            *sum += i32::from(*sample);
        }
    }

    /// Appends what all say.
    pub fn all(&self, samples: &mut Vec<i16>) {
        samples.extend(self.sums.iter().map(|sum| limited(*sum)));
    }

    /// Appends what all say but one, who was added with this.
    pub fn without(&self, voice: &[i16], samples: &mut Vec<i16>) {
        let own = voice.iter().copied().chain(std::iter::repeat(0));
        samples.extend(self.sums.iter().zip(own).map(|(sum, own)| limited(sum - i32::from(own))));
    }
}

/// Sums below half of full scale stay as they are; above, they come the nearer to it the louder they are.
fn limited(sum: i32) -> i16 {
    const KNEE: i32 = 16_384;
    let over = sum.abs() - KNEE;
    if over <= 0 {
        return sum as i16;
    }
    let room = i64::from(32_767 - KNEE);
    let over = i64::from(over);
    let magnitude = KNEE + (over * room / (over + room)) as i32;
    (magnitude * sum.signum()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hears_the_others() {
        let voices = [vec![100, 200], vec![-30, 7], vec![5]];
        let mut mix = Mix::default();
        mix.clear(2);
        voices.iter().for_each(|voice| mix.add(voice));
        let mut heard = Vec::new();
        voices.iter().for_each(|voice| mix.without(voice, &mut heard));
        mix.all(&mut heard);
        assert_eq!(heard, [-25, 7, 105, 200, 70, 207, 75, 207]);
    }

    #[test]
    fn many_loud_voices_stay_in_order() {
        let heard: Vec<i16> = (-400_000..400_000).step_by(1000).map(limited).collect();
        assert!(heard.is_sorted());
        assert_eq!((limited(16_384), limited(-16_384)), (16_384, -16_384));
        assert!(limited(16_400) > 16_384 && limited(i32::MAX / 2) > 32_700);
    }
}
