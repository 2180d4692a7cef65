//! Sequence numbers, TS 33.102 Annex C: SQN = SEQ || IND, with 5 bits of IND and an array of 32
//! entries in the USIM (Annex C.1.1, C.2.2; profile 2 of C.3.2, which is not time-based).

/// Bits of IND, TS 33.102 Annex C.3.
pub const IND_BITS: u32 = 5;
/// Entries of the USIM's array.
pub const ARRAY: usize = 1 << IND_BITS;
/// The greatest SEQ: 43 bits.
pub const SEQ_MAX: u64 = (1 << (48 - IND_BITS)) - 1;
/// Δ: the greatest jump that a USIM accepts, TS 33.102 Annex C.3.2.
pub const DELTA: u64 = 1 << 28;

/// A 48-bit sequence number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sqn(u64);

impl Sqn {
    /// SEQ || IND; both are cut to their bits.
    pub const fn new(seq: u64, ind: u8) -> Sqn {
        Sqn((seq & SEQ_MAX) << IND_BITS | (ind as u64 & (ARRAY as u64 - 1)))
    }

    /// From 6 bytes, most significant first.
    pub const fn from_bytes(b: [u8; 6]) -> Sqn {
        Sqn(u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]]))
    }

    /// The 6 bytes, most significant first.
    pub const fn to_bytes(self) -> [u8; 6] {
        let b = self.0.to_be_bytes();
        [b[2], b[3], b[4], b[5], b[6], b[7]]
    }

    /// The 48 bits as a number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence part, 43 bits.
    pub const fn seq(self) -> u64 {
        self.0 >> IND_BITS
    }

    /// The index part, 0 to 31.
    pub const fn ind(self) -> u8 {
        (self.0 & (ARRAY as u64 - 1)) as u8
    }
}

/// The USIM's side: the highest SEQ accepted for each IND, TS 33.102 Annex C.2.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SqnArray {
    seq: [u64; ARRAY],
    highest: Sqn,
}

impl SqnArray {
    /// A USIM whose every entry is the SEQ of `sqn`.
    pub fn starting_at(sqn: Sqn) -> SqnArray {
        SqnArray { seq: [sqn.seq(); ARRAY], highest: sqn }
    }

    /// SQN_MS: the highest sequence number accepted so far, sent in AUTS.
    pub fn highest(&self) -> Sqn {
        self.highest
    }

    /// Whether `sqn` is fresh (Annex C.2.1, C.2.2); if so it is remembered.
    pub fn accept(&mut self, sqn: Sqn) -> bool {
        let entry = &mut self.seq[usize::from(sqn.ind())];
        let too_far = sqn.seq() > self.highest.seq().saturating_add(DELTA);
        if sqn.seq() <= *entry || too_far {
            return false;
        }
        *entry = sqn.seq();
        if sqn.seq() > self.highest.seq() {
            self.highest = sqn;
        }
        true
    }
}

/// The network's side: makes SEQ grow by one and lets IND go round with it, TS 33.102 Annex C.1.
///
/// SEQ comes out of blocks: everything below [`limit`](Generator::limit) may be used, and the limit
/// is made durable before. After a crash generation goes on from the limit; what is skipped does no
/// harm (Annex C.2.1 accepts any jump up to [`DELTA`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Generator {
    next: u64,
    limit: u64,
}

impl Generator {
    /// A generator whose next SEQ is `next`, with nothing reserved.
    pub const fn new(next: u64) -> Generator {
        Generator { next, limit: next }
    }

    /// The first SEQ that is not reserved: what the store holds.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// SEQs that may still be used without another reservation.
    pub const fn left(&self) -> u64 {
        self.limit - self.next
    }

    /// Says that everything below `limit` is durably reserved.
    pub fn reserved(&mut self, limit: u64) {
        self.limit = self.limit.max(limit.min(SEQ_MAX));
    }

    /// The next sequence number, `None` if a block must be reserved first.
    pub fn generate(&mut self) -> Option<Sqn> {
        if self.next >= self.limit {
            return None;
        }
        let seq = self.next;
        self.next += 1;
        Some(Sqn::new(seq, (seq % ARRAY as u64) as u8))
    }

    /// Takes SQN_MS of a verified AUTS, TS 33.102 §6.3.5: what comes next will be fresh to the USIM.
    ///
    /// If SQN_MS is behind us by less than Δ nothing changes, because what we generate next is
    /// accepted anyway; otherwise SQN_HE becomes SQN_MS and nothing is reserved any more.
    pub fn resynchronise(&mut self, sqn_ms: Sqn) {
        let fresh = self.next > sqn_ms.seq() && self.next - sqn_ms.seq() < DELTA;
        if !fresh {
            *self = Generator::new(sqn_ms.seq() + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts() {
        let sqn = Sqn::from_bytes([0, 0, 0, 0, 0x01, 0x23]);
        assert_eq!((sqn.seq(), sqn.ind()), (9, 3));
        assert_eq!(Sqn::new(9, 3), sqn);
        assert_eq!(sqn.to_bytes(), [0, 0, 0, 0, 1, 0x23]);
    }

    #[test]
    fn each_index_has_its_own_history() {
        let mut usim = SqnArray::default();
        assert!(usim.accept(Sqn::new(10, 1)));
        assert!(!usim.accept(Sqn::new(10, 1)), "a replay");
        assert!(usim.accept(Sqn::new(9, 2)), "another index may be older");
        assert!(!usim.accept(Sqn::new(9, 1)));
        assert_eq!(usim.highest(), Sqn::new(10, 1));
        assert!(!usim.accept(Sqn::new(11 + DELTA, 1)), "too far ahead");
    }

    #[test]
    fn a_block_must_be_reserved_first() {
        let mut network = Generator::new(7);
        assert_eq!(network.generate(), None);
        network.reserved(8);
        assert_eq!(network.generate(), Some(Sqn::new(7, 7)));
        assert_eq!(network.generate(), None);
    }

    proptest! {
        /// Whatever the drift between network and USIM, one resynchronisation heals it.
        #[test]
        fn one_round_heals(he in 0..SEQ_MAX / 2, ms in 0..SEQ_MAX / 2, ind in 0u8..32) {
            let mut network = Generator::new(he);
            let mut usim = SqnArray::starting_at(Sqn::new(ms, ind));
            network.reserved(he + 1);
            if !usim.accept(network.generate().unwrap()) {
                network.resynchronise(usim.highest());
                let limit = network.limit() + 1;
                network.reserved(limit);
                prop_assert!(usim.accept(network.generate().unwrap()));
            }
        }
    }
}
