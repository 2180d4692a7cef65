//! Authentication and key agreement, TS 33.102 §6.3: vectors on the network's side, AUTN and AUTS on
//! the USIM's.

use base::redact::Secret;

use crate::equal;
use crate::milenage::{Amf, Key, Milenage};
use crate::sqn::{Sqn, SqnArray};

/// RAND, the random challenge.
pub type Rand = [u8; 16];
/// AUTN = (SQN xor AK) || AMF || MAC-A, TS 33.102 §6.3.2.
pub type Autn = [u8; 16];
/// AUTS = (SQN_MS xor AK) || MAC-S, TS 33.102 §6.3.3.
pub type Auts = [u8; 14];

/// The AMF under which MAC-S is computed, TS 33.102 §6.3.3.
const AMF_STAR: Amf = [0, 0];

/// An authentication vector, TS 33.102 §6.3.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vector {
    /// The challenge.
    pub rand: Rand,
    /// The authentication token.
    pub autn: Autn,
    /// The expected response.
    pub xres: Secret<[u8; 8]>,
    /// The confidentiality key.
    pub ck: Secret<[u8; 16]>,
    /// The integrity key.
    pub ik: Secret<[u8; 16]>,
}

/// The network's vector for `rand` and `sqn`, TS 33.102 §6.3.2.
pub fn vector(milenage: &Milenage, rand: Rand, sqn: Sqn, amf: Amf) -> Vector {
    let keys = milenage.f2345(&rand);
    let mut autn = [0; 16];
    autn[..6].copy_from_slice(&xor(sqn.to_bytes(), *keys.ak.reveal()));
    autn[6..8].copy_from_slice(&amf);
    autn[8..].copy_from_slice(&milenage.f1(&rand, sqn, amf));
    Vector { rand, autn, xres: keys.res, ck: keys.ck, ik: keys.ik }
}

/// A MAC that was not made with this subscriber's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the message authentication code is wrong")]
pub struct WrongMac;

/// The network's check of AUTS, TS 33.102 §6.3.5: SQN_MS, if MAC-S is right.
pub fn check_auts(milenage: &Milenage, rand: &Rand, auts: &Auts) -> Result<Sqn, WrongMac> {
    let ak = milenage.f5_star(rand);
    let concealed = [auts[0], auts[1], auts[2], auts[3], auts[4], auts[5]];
    let sqn = Sqn::from_bytes(xor(concealed, *ak.reveal()));
    let mac = milenage.f1_star(rand, sqn, AMF_STAR);
    if equal(&mac, &auts[6..]) { Ok(sqn) } else { Err(WrongMac) }
}

/// A USIM: keys and the array of accepted sequence numbers.
#[derive(Clone, Debug)]
pub struct Usim {
    milenage: Milenage,
    sqn: SqnArray,
}

/// What a USIM says to a challenge, TS 33.102 §6.3.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The network is genuine and the challenge fresh.
    Success {
        /// The response.
        res: Secret<[u8; 8]>,
        /// The confidentiality key.
        ck: Secret<[u8; 16]>,
        /// The integrity key.
        ik: Secret<[u8; 16]>,
    },
    /// The network is genuine but its sequence number is not acceptable.
    SynchronisationFailure(Auts),
    /// The network does not know the key.
    MacFailure,
}

impl Usim {
    /// A USIM with the given keys that has accepted what `sqn` says.
    pub fn new(k: &Key, opc: &Key, sqn: SqnArray) -> Usim {
        Usim { milenage: Milenage::new(k, opc), sqn }
    }

    /// The sequence numbers accepted so far.
    pub fn sqn(&self) -> &SqnArray {
        &self.sqn
    }

    /// Answers a challenge, TS 33.102 §6.3.3.
    pub fn authenticate(&mut self, rand: &Rand, autn: &Autn) -> Verdict {
        let keys = self.milenage.f2345(rand);
        let concealed = [autn[0], autn[1], autn[2], autn[3], autn[4], autn[5]];
        let sqn = Sqn::from_bytes(xor(concealed, *keys.ak.reveal()));
        let mac = self.milenage.f1(rand, sqn, [autn[6], autn[7]]);
        if !equal(&mac, &autn[8..]) {
            Verdict::MacFailure
        } else if self.sqn.accept(sqn) {
            Verdict::Success { res: keys.res, ck: keys.ck, ik: keys.ik }
        } else {
            Verdict::SynchronisationFailure(self.auts(rand))
        }
    }

    fn auts(&self, rand: &Rand) -> Auts {
        let sqn = self.sqn.highest();
        let mut auts = [0; 14];
        let ak = self.milenage.f5_star(rand);
        auts[..6].copy_from_slice(&xor(sqn.to_bytes(), *ak.reveal()));
        auts[6..].copy_from_slice(&self.milenage.f1_star(rand, sqn, AMF_STAR));
        auts
    }
}

fn xor(mut a: [u8; 6], b: [u8; 6]) -> [u8; 6] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::milenage::opc;
    use crate::sqn::Generator;
    use proptest::prelude::*;

    fn keys() -> (Key, Key) {
        let k = Secret::new([7; 16]);
        let opc = opc(&k, &Secret::new([9; 16]));
        (k, opc)
    }

    #[test]
    fn a_wrong_key_is_told_from_a_stale_number() {
        let (k, opc) = keys();
        let network = Milenage::new(&k, &opc);
        let stranger = Milenage::new(&Secret::new([8; 16]), &opc);
        let mut usim = Usim::new(&k, &opc, SqnArray::default());
        let rand = [1; 16];
        let forged = vector(&stranger, rand, Sqn::new(5, 0), [0x80, 0]);
        assert_eq!(usim.authenticate(&rand, &forged.autn), Verdict::MacFailure);
        let good = vector(&network, rand, Sqn::new(5, 0), [0x80, 0]);
        let Verdict::Success { res, ck, ik } = usim.authenticate(&rand, &good.autn) else {
            panic!("refused");
        };
        assert_eq!((res, ck, ik), (good.xres, good.ck, good.ik));
        let Verdict::SynchronisationFailure(auts) = usim.authenticate(&rand, &good.autn) else {
            panic!("a replay was accepted");
        };
        assert_eq!(check_auts(&network, &rand, &auts), Ok(Sqn::new(5, 0)));
        assert_eq!(check_auts(&stranger, &rand, &auts), Err(WrongMac));
        assert_eq!(check_auts(&network, &[2; 16], &auts), Err(WrongMac));
    }

    proptest! {
        #[test]
        fn any_drift_heals_in_one_round(he in 1u64..1 << 40, ms in 0u64..1 << 40, rand: [u8; 16]) {
            let (k, opc) = keys();
            let network = Milenage::new(&k, &opc);
            let mut usim = Usim::new(&k, &opc, SqnArray::starting_at(Sqn::new(ms, 3)));
            let mut generator = Generator::new(he);
            generator.reserved(he + 1);
            let first = vector(&network, rand, generator.generate().unwrap(), [0, 0]);
            if let Verdict::SynchronisationFailure(auts) = usim.authenticate(&rand, &first.autn) {
                generator.resynchronise(check_auts(&network, &rand, &auts).unwrap());
                let limit = generator.limit() + 1;
                generator.reserved(limit);
                let next = vector(&network, rand, generator.generate().unwrap(), [0, 0]);
                let verdict = usim.authenticate(&rand, &next.autn);
                let healed = matches!(verdict, Verdict::Success { .. });
                prop_assert!(healed);
            }
        }
    }
}
