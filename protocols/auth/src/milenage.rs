//! The MILENAGE algorithm set, TS 35.206.

use core::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use base::redact::Secret;

use crate::sqn::Sqn;

/// A 128-bit key: K, OP or OPc.
pub type Key = Secret<[u8; 16]>;

/// Authentication Management Field, TS 33.102 Annex H.
pub type Amf = [u8; 2];

/// The algorithms of one subscriber: K and OPc, with the key schedule done.
#[derive(Clone)]
pub struct Milenage {
    cipher: Aes128,
    opc: u128,
}

/// What f2 to f5 make of one RAND, TS 35.206 §4.1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// f2: the response RES.
    pub res: Secret<[u8; 8]>,
    /// f3: the confidentiality key CK.
    pub ck: Secret<[u8; 16]>,
    /// f4: the integrity key IK.
    pub ik: Secret<[u8; 16]>,
    /// f5: the anonymity key AK.
    pub ak: Secret<[u8; 6]>,
}

/// OPc = OP xor E_K(OP), TS 35.206 §4.1.
pub fn opc(k: &Key, op: &Key) -> Key {
    let op = u128::from_be_bytes(*op.reveal());
    Secret::new((op ^ encrypt(&Aes128::new(&(*k.reveal()).into()), op)).to_be_bytes())
}

impl Milenage {
    /// The algorithms under `k` and `opc`.
    pub fn new(k: &Key, opc: &Key) -> Milenage {
        let cipher = Aes128::new(&(*k.reveal()).into());
        Milenage { cipher, opc: u128::from_be_bytes(*opc.reveal()) }
    }

    /// f1: the network's message authentication code MAC-A.
    pub fn f1(&self, rand: &[u8; 16], sqn: Sqn, amf: Amf) -> [u8; 8] {
        ((self.out1(rand, sqn, amf) >> 64) as u64).to_be_bytes()
    }

    /// f1*: the resynchronisation code MAC-S; TS 33.102 §6.3.3 wants an AMF of zero here.
    pub fn f1_star(&self, rand: &[u8; 16], sqn: Sqn, amf: Amf) -> [u8; 8] {
        (self.out1(rand, sqn, amf) as u64).to_be_bytes()
    }

    /// f2, f3, f4 and f5 of one RAND.
    pub fn f2345(&self, rand: &[u8; 16]) -> Keys {
        let temp = self.temp(rand);
        let out2 = self.out(temp, 0, 1);
        Keys {
            res: Secret::new((out2 as u64).to_be_bytes()),
            ck: Secret::new(self.out(temp, 32, 2).to_be_bytes()),
            ik: Secret::new(self.out(temp, 64, 4).to_be_bytes()),
            ak: Secret::new(top48(out2)),
        }
    }

    /// f5*: the anonymity key of resynchronisation.
    pub fn f5_star(&self, rand: &[u8; 16]) -> Secret<[u8; 6]> {
        Secret::new(top48(self.out(self.temp(rand), 96, 8)))
    }

    fn temp(&self, rand: &[u8; 16]) -> u128 {
        encrypt(&self.cipher, u128::from_be_bytes(*rand) ^ self.opc)
    }

    fn out(&self, temp: u128, rotate: u32, constant: u128) -> u128 {
        encrypt(&self.cipher, (temp ^ self.opc).rotate_left(rotate) ^ constant) ^ self.opc
    }

    fn out1(&self, rand: &[u8; 16], sqn: Sqn, amf: Amf) -> u128 {
        let half = u128::from(sqn.get()) << 16 | u128::from(u16::from_be_bytes(amf));
        let in1 = half << 64 | half;
        encrypt(&self.cipher, self.temp(rand) ^ (in1 ^ self.opc).rotate_left(64)) ^ self.opc
    }
}

impl fmt::Debug for Milenage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Milenage(<secret>)")
    }
}

fn encrypt(cipher: &Aes128, input: u128) -> u128 {
    let mut block = input.to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

fn top48(block: u128) -> [u8; 6] {
    let bytes = block.to_be_bytes();
    [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    #[test]
    fn all_sets_of_ts_35_208() {
        let text = include_str!("../vectors/ts35208.json");
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        let sets = file["sets"].as_array().unwrap();
        assert!(sets.len() >= 19);
        for set in sets {
            fn get<const N: usize>(set: &serde_json::Value, name: &str) -> [u8; N] {
                hex::decode_array(set[name].as_str().unwrap()).unwrap()
            }
            let k = Secret::new(get(set, "k"));
            let opc = opc(&k, &Secret::new(get(set, "op")));
            assert_eq!(*opc.reveal(), get(set, "opc"), "{set}");
            let m = Milenage::new(&k, &opc);
            let rand = get(set, "rand");
            let sqn = Sqn::from_bytes(get(set, "sqn"));
            let amf = get(set, "amf");
            let keys = m.f2345(&rand);
            assert_eq!(m.f1(&rand, sqn, amf), get(set, "f1"), "{set}");
            assert_eq!(m.f1_star(&rand, sqn, amf), get(set, "f1*"), "{set}");
            assert_eq!(*keys.res.reveal(), get(set, "f2"), "{set}");
            assert_eq!(*keys.ck.reveal(), get(set, "f3"), "{set}");
            assert_eq!(*keys.ik.reveal(), get(set, "f4"), "{set}");
            assert_eq!(*keys.ak.reveal(), get(set, "f5"), "{set}");
            assert_eq!(*m.f5_star(&rand).reveal(), get(set, "f5*"), "{set}");
        }
    }
}
