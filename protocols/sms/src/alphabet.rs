//! The GSM 7 bit default alphabet and its extension, TS 23.038 §6.2.1, packed as §6.1.2.1 says.

use std::fmt;

/// TS 23.038 §6.2.1, by code.
const DEFAULT: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                       ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// TS 23.038 §6.2.1.1, behind an escape.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// The escape to the extension.
pub const ESCAPE: u8 = 0x1b;

/// Codes of the GSM 7 bit default alphabet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Septets(Vec<u8>);

/// A character that the alphabet does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the GSM 7 bit default alphabet has no {0:?}")]
pub struct NotInAlphabet(pub char);

impl Septets {
    /// Takes codes; `None` if one has more than seven bits.
    pub fn new(codes: impl Into<Vec<u8>>) -> Option<Septets> {
        let codes = codes.into();
        codes.iter().all(|code| *code < 0x80).then_some(Septets(codes))
    }

    /// A text as codes.
    ///
    /// # Errors
    /// [`NotInAlphabet`] for the first character that the alphabet does not have.
    pub fn encode(text: &str) -> Result<Septets, NotInAlphabet> {
        let mut codes = Vec::with_capacity(text.len());
        for c in text.chars() {
            let plain = DEFAULT.chars().position(|d| d == c && d != '\u{1b}');
            if let Some(code) = plain {
                codes.push(code as u8);
            } else if let Some((code, _)) = EXTENSION.iter().find(|(_, e)| *e == c) {
                codes.extend([ESCAPE, *code]);
            } else {
                return Err(NotInAlphabet(c));
            }
        }
        Ok(Septets(codes))
    }

    /// The codes as text. An escape to a code that the extension does not have shows the default
    /// alphabet's character, and one that leads nowhere a space, as §6.2.1.1 tells a receiver.
    pub fn decode(&self) -> String {
        let table: Vec<char> = DEFAULT.chars().collect();
        let mut text = String::with_capacity(self.0.len());
        let mut codes = self.0.iter().copied();
        while let Some(code) = codes.next() {
            let shown = match code {
                ESCAPE => match codes.next() {
                    None | Some(ESCAPE) => ' ',
                    Some(code) => match EXTENSION.iter().find(|(e, _)| *e == code) {
                        Some((_, c)) => *c,
                        None => table[usize::from(code)],
                    },
                },
                code => table[usize::from(code)],
            };
            text.push(shown);
        }
        text
    }

    /// The codes.
    pub fn codes(&self) -> &[u8] {
        &self.0
    }

    /// More codes behind these.
    pub fn append(&mut self, more: &Septets) {
        self.0.extend_from_slice(&more.0);
    }

    /// Packs the codes, the first from the lowest bit of the first octet, §6.1.2.1.1.
    pub fn pack(&self) -> Vec<u8> {
        let mut out = vec![0; (self.0.len() * 7).div_ceil(8)];
        self.pack_at(&mut out, 0);
        out
    }

    /// Packs the codes from a bit on; `out` has room and zeroes there.
    pub(crate) fn pack_at(&self, out: &mut [u8], bit: usize) {
        for (i, code) in self.0.iter().enumerate() {
            let at = bit + 7 * i;
            let [low, high] = (u16::from(*code) << (at % 8)).to_le_bytes();
            out[at / 8] |= low;
            if high != 0 {
                out[at / 8 + 1] |= high;
            }
        }
    }

    /// Unpacks so many codes, or as many as there are.
    pub fn unpack(octets: &[u8], count: usize) -> Septets {
        Septets::unpack_at(octets, 0, count)
    }

    pub(crate) fn unpack_at(octets: &[u8], bit: usize, count: usize) -> Septets {
        let code = |i: usize| {
            let at = bit + 7 * i;
            let low = *octets.get(at / 8)?;
            let high = match octets.get(at / 8 + 1) {
                Some(high) => *high,
                None if at % 8 < 2 => 0,
                None => return None,
            };
            Some((u16::from_le_bytes([low, high]) >> (at % 8)) as u8 & 0x7f)
        };
        Septets((0..count).map_while(code).collect())
    }
}

impl fmt::Debug for Septets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.decode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_128_codes_and_each_has_its_place() {
        let table: Vec<char> = DEFAULT.chars().collect();
        assert_eq!(table.len(), 128);
        // The four corners, and where the blocks of ASCII begin and end.
        let places = [
            (0x00, '@'),
            (0x0f, 'å'),
            (0x10, 'Δ'),
            (0x1f, 'É'),
            (0x20, ' '),
            (0x24, '¤'),
            (0x3f, '?'),
            (0x40, '¡'),
            (0x41, 'A'),
            (0x5a, 'Z'),
            (0x5f, '§'),
            (0x60, '¿'),
            (0x61, 'a'),
            (0x7a, 'z'),
            (0x7f, 'à'),
        ];
        for (code, c) in places {
            assert_eq!(table[code], c, "{code:#x}");
        }
        let codes: Vec<u8> = (0..128).filter(|code| *code != ESCAPE).collect();
        let all = Septets::new(codes.clone()).unwrap();
        assert_eq!(Septets::encode(&all.decode()).unwrap().codes(), codes);
    }

    #[test]
    fn escapes_are_written_and_read() {
        let euro = Septets::encode("€[a]").unwrap();
        assert_eq!(euro.codes(), [0x1b, 0x65, 0x1b, 0x3c, 0x61, 0x1b, 0x3e]);
        assert_eq!(euro.decode(), "€[a]");
        let odd = |codes: &[u8]| Septets::new(codes).unwrap().decode();
        assert_eq!(odd(&[0x1b, 0x61]), "a");
        assert_eq!(odd(&[0x1b, 0x1b, 0x61]), " a");
        assert_eq!(odd(&[0x61, 0x1b]), "a ");
        assert_eq!(Septets::encode("a\u{1b}"), Err(NotInAlphabet('\u{1b}')));
        assert_eq!(Septets::encode("aж"), Err(NotInAlphabet('ж')));
        assert_eq!(Septets::new([0x80]), None);
    }

    /// The best known vector of all, in every text on the PDU format.
    #[test]
    fn hellohello_packs_into_nine_octets() {
        let packed = [0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37];
        assert_eq!(Septets::encode("hellohello").unwrap().pack(), packed);
        assert_eq!(Septets::unpack(&packed, 10).decode(), "hellohello");
        assert_eq!(Septets::unpack(&packed, 99).codes().len(), 10);
    }

    #[test]
    fn eight_septets_are_seven_octets() {
        let all = Septets::new([0x7f; 8]).unwrap();
        assert_eq!(all.pack(), [0xff; 7]);
        assert_eq!(Septets::unpack(&[0xff; 7], 9).codes(), [0x7f; 8]);
    }
}
