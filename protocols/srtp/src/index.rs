//! Which packet a sequence number means (RFC 3711 §3.3.1), and whether it came before (§3.3.2).

use base::relay::INDEX_STEP;

/// Packets that the window behind the newest one covers.
const WINDOW: u64 = 128;

/// A packet is too old to be told from a repetition, or is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Replayed;

/// The packets of one source that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Window {
    /// The index of the newest one; none came yet without it.
    newest: Option<u64>,
    /// Bit `n` says that the one with the index `newest - n` came.
    came: u128,
}

impl Window {
    /// One whose newest packet had this index. Older ones count as come.
    pub(crate) fn from_index(newest: u64) -> Window {
        Window { newest: Some(newest), came: u128::MAX }
    }

    /// The index of the newest packet.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Whether a packet of this index may come.
    pub(crate) fn admits(&self, index: u64) -> Result<(), Replayed> {
        let Some(newest) = self.newest else { return Ok(()) };
        match newest.checked_sub(index) {
            Some(age) if age >= WINDOW || self.came >> age & 1 == 1 => Err(Replayed),
            _ => Ok(()),
        }
    }

    /// A packet of this index came, and is genuine. Whether whoever could go on in our place has to know: it is the first one,
    /// or [`INDEX_STEP`] packets have passed since he was told.
    pub(crate) fn take(&mut self, index: u64) -> bool {
        let step = |index: u64| index / INDEX_STEP;
        let news = self.newest.is_none_or(|newest| step(index) > step(newest));
        match self.newest {
            Some(newest) if index <= newest => {
                let age = newest - index;
                self.came |= if age < WINDOW { 1 << age } else { 0 };
            }
            newest => {
                let ahead = newest.map_or(WINDOW, |newest| index - newest);
                self.came = if ahead < WINDOW { self.came << ahead | 1 } else { 1 };
                self.newest = Some(index);
            }
        }
        news
    }

    /// The index of a packet with this sequence number: Appendix A, with the roll-over counter that makes it the
    /// nearest to the newest one.
    pub(crate) fn index_of(&self, sequence: u16) -> Result<u64, Replayed> {
        let Some(newest) = self.newest else { return Ok(u64::from(sequence)) };
        let (counter, last) = (newest >> 16, newest as u16);
        let ahead = i32::from(sequence) - i32::from(last);
        let counter = match ahead {
            // From before the counter rolled over; before the first time there was nothing.
            0x8001.. if last < 0x8000 => counter.checked_sub(1).ok_or(Replayed)?,
            ..-0x8000 if last >= 0x8000 => counter + 1,
            _ => counter,
        };
        Ok(counter << 16 | u64::from(sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_goes_on_at_each_wrap_and_back_for_late_packets() {
        let mut window = Window::default();
        for index in 0xfff0..0xfff0 + 200_000u64 {
            assert_eq!(window.index_of(index as u16), Ok(index));
            window.take(index);
            if index.is_multiple_of(7) && index > 0xfff0 + 40 {
                assert_eq!(window.index_of((index - 40) as u16), Ok(index - 40));
            }
        }
        assert_eq!(Window::from_index(5).index_of(0xffff), Err(Replayed));
        assert_eq!(Window::from_index(0x1_0005).index_of(0xffff), Ok(0xffff));
        assert_eq!(Window::from_index(0x8000).index_of(0), Ok(0));
        assert_eq!(Window::from_index(0x8001).index_of(0), Ok(0x1_0000));
    }

    #[test]
    fn each_packet_comes_once() {
        let mut window = Window::default();
        for index in [10, 12, 11, 500, 380] {
            assert_eq!(window.admits(index), Ok(()), "{index}");
            window.take(index);
            assert_eq!(window.admits(index), Err(Replayed), "{index}");
        }
        assert_eq!(window.admits(372), Err(Replayed), "behind the window");
        assert_eq!((window.admits(373), window.admits(499)), (Ok(()), Ok(())));
        let resumed = Window::from_index(500);
        assert_eq!((resumed.admits(499), resumed.admits(501)), (Err(Replayed), Ok(())));
    }
}
