//! Addresses: TS 23.040 §9.1.2.5 in TPDUs, TS 24.008 §10.5.4.7 (called party BCD number) in RPDUs.

use std::fmt;

use base::identity::Msisdn;

use crate::alphabet::Septets;
use crate::octets::TooLong;
use crate::reader::{Fault, ParseError, Reader};

/// Most digits of an address: ten octets of them.
const MOST_DIGITS: usize = 20;

/// Most septets of a name: as many as ten octets hold.
const MOST_SEPTETS: usize = 11;

/// Digits by their code; 15 fills the last octet.
const DIGITS: &[u8; 15] = b"0123456789*#abc";
const FILLER: u8 = 15;

/// Who sent a message, or who is to get it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A number.
    Number(Number),
    /// A name, such as that of a firm; nobody can answer to it.
    Name(Name),
}

/// A number with its type and plan.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    /// The type of number.
    pub kind: TypeOfNumber,
    /// The numbering plan.
    pub plan: NumberingPlan,
    /// The digits.
    pub digits: Digits,
}

/// At most 20 of `0123456789*#abc`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digits(String);

/// An alphanumeric address: at most 11 septets of the GSM 7 bit default alphabet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Septets);

/// Type of number, TS 23.040 §9.1.2.5; alphanumeric is [`Address::Name`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TypeOfNumber {
    /// Nobody says; the dialling plan of the network decides.
    Unknown,
    /// With the country code, without prefixes.
    International,
    /// Without the country code.
    National,
    /// Of the network's own, such as a service's.
    NetworkSpecific,
    /// Local.
    Subscriber,
    /// Abbreviated.
    Abbreviated,
    /// Reserved for extension.
    Extension,
}

/// Numbering plan identification, TS 23.040 §9.1.2.5: four bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NumberingPlan(u8);

/// Why an address was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    /// There are too many digits or letters.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// A character that addresses of its kind do not have.
    #[error("an address has no {0:?}")]
    Character(char),
}

impl Digits {
    /// Checks and takes the digits.
    ///
    /// # Errors
    /// [`AddressError`] if there are more than 20, or others than `0123456789*#abc`.
    pub fn new(digits: &str) -> Result<Digits, AddressError> {
        let stranger = |c: &char| !c.is_ascii() || !DIGITS.contains(&(*c as u8));
        if let Some(c) = digits.chars().find(stranger) {
            return Err(AddressError::Character(c));
        }
        TooLong::check(digits.len(), MOST_DIGITS)?;
        Ok(Digits(digits.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads `count` half octets, the low one of each octet first; a filler at the end is none.
    fn read(octets: &[u8], count: usize) -> Result<Digits, Fault> {
        let halves = octets.iter().flat_map(|octet| [octet & 15, octet >> 4]);
        let mut halves: Vec<u8> = halves.take(count).collect();
        if halves.last() == Some(&FILLER) {
            halves.pop();
        }
        let digit = |half: u8| DIGITS.get(usize::from(half)).map(|d| char::from(*d));
        let digits = halves.into_iter().map(|half| digit(half).ok_or(Fault::Digit(half)));
        digits.collect::<Result<_, _>>().map(Digits)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let code = |digit: &u8| DIGITS.iter().position(|d| d == digit).map_or(FILLER, |c| c as u8);
        for pair in self.0.as_bytes().chunks(2) {
            out.push(code(&pair[0]) | pair.get(1).map_or(FILLER, code) << 4);
        }
    }
}

impl Name {
    /// A name in the GSM 7 bit default alphabet.
    ///
    /// # Errors
    /// [`AddressError`] if it has more than 11 septets, or characters that are not of the alphabet.
    pub fn new(name: &str) -> Result<Name, AddressError> {
        let septets = Septets::encode(name).map_err(|e| AddressError::Character(e.0))?;
        TooLong::check(septets.codes().len(), MOST_SEPTETS)?;
        Ok(Name(septets))
    }

    /// The name as text.
    pub fn text(&self) -> String {
        self.0.decode()
    }
}

impl NumberingPlan {
    /// Nobody says.
    pub const UNKNOWN: NumberingPlan = NumberingPlan(0);
    /// ISDN and telephone, E.164.
    pub const ISDN: NumberingPlan = NumberingPlan(1);
    /// Data, X.121.
    pub const DATA: NumberingPlan = NumberingPlan(3);
    /// Telex.
    pub const TELEX: NumberingPlan = NumberingPlan(4);
    /// National.
    pub const NATIONAL: NumberingPlan = NumberingPlan(8);
    /// Private.
    pub const PRIVATE: NumberingPlan = NumberingPlan(9);

    /// The lower four bits.
    pub fn from_bits(bits: u8) -> NumberingPlan {
        NumberingPlan(bits & 15)
    }

    /// The four bits.
    pub fn bits(self) -> u8 {
        self.0
    }
}

impl TypeOfNumber {
    /// By the three bits; those of an alphanumeric address (dedicated access, in TS 24.008) are
    /// [`TypeOfNumber::Unknown`] to a number.
    fn from_bits(bits: u8) -> TypeOfNumber {
        match bits & 7 {
            1 => TypeOfNumber::International,
            2 => TypeOfNumber::National,
            3 => TypeOfNumber::NetworkSpecific,
            4 => TypeOfNumber::Subscriber,
            6 => TypeOfNumber::Abbreviated,
            7 => TypeOfNumber::Extension,
            _ => TypeOfNumber::Unknown,
        }
    }

    fn bits(self) -> u8 {
        match self {
            TypeOfNumber::Unknown => 0,
            TypeOfNumber::International => 1,
            TypeOfNumber::National => 2,
            TypeOfNumber::NetworkSpecific => 3,
            TypeOfNumber::Subscriber => 4,
            TypeOfNumber::Abbreviated => 6,
            TypeOfNumber::Extension => 7,
        }
    }
}

/// The three bits of the type of an alphanumeric address.
const ALPHANUMERIC: u8 = 5;

impl Number {
    /// An E.164 number with its country code; a plus sign before it is dropped.
    ///
    /// # Errors
    /// [`AddressError`] for more than 20 digits, or other characters.
    pub fn international(digits: &str) -> Result<Number, AddressError> {
        let digits = Digits::new(digits.strip_prefix('+').unwrap_or(digits))?;
        Ok(Number { kind: TypeOfNumber::International, plan: NumberingPlan::ISDN, digits })
    }

    /// Digits as somebody dialled them, or a short code.
    ///
    /// # Errors
    /// [`AddressError`] for more than 20 digits, or other characters.
    pub fn unknown(digits: &str) -> Result<Number, AddressError> {
        let digits = Digits::new(digits)?;
        Ok(Number { kind: TypeOfNumber::Unknown, plan: NumberingPlan::ISDN, digits })
    }

    /// The subscriber's number, if this is an international one.
    pub fn msisdn(&self) -> Option<Msisdn> {
        if self.kind != TypeOfNumber::International {
            return None;
        }
        Msisdn::new(self.digits.as_str()).ok()
    }

    fn type_of_address(&self) -> u8 {
        0x80 | self.kind.bits() << 4 | self.plan.bits()
    }

    /// The value of an RP address: nothing, or type of address and digits.
    pub(crate) fn parse_bcd(
        reader: &mut Reader<'_>,
        field: &'static str,
    ) -> Result<Option<Number>, ParseError> {
        let offset = reader.at();
        let at = |fault| ParseError { field, offset, fault };
        let length = usize::from(reader.octet(field)?);
        TooLong::check(length, 1 + MOST_DIGITS / 2).map_err(|e| at(e.into()))?;
        let Some((kind, octets)) = reader.take(field, length)?.split_first() else {
            return Ok(None);
        };
        let digits = Digits::read(octets, MOST_DIGITS).map_err(at)?;
        let plan = NumberingPlan::from_bits(*kind);
        Ok(Some(Number { kind: TypeOfNumber::from_bits(kind >> 4), plan, digits }))
    }

    pub(crate) fn write_bcd(number: Option<&Number>, out: &mut Vec<u8>) {
        let Some(number) = number else { return out.push(0) };
        let length = 1 + number.digits.0.len().div_ceil(2);
        out.extend([length as u8, number.type_of_address()]);
        number.digits.write(out);
    }
}

impl Address {
    /// A name; see [`Name::new`].
    ///
    /// # Errors
    /// As [`Name::new`].
    pub fn name(name: &str) -> Result<Address, AddressError> {
        Name::new(name).map(Address::Name)
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<&Number> {
        match self {
            Address::Number(number) => Some(number),
            Address::Name(_) => None,
        }
    }

    /// TS 23.040 §9.1.2.5: the length counts half octets.
    pub(crate) fn parse(
        reader: &mut Reader<'_>,
        field: &'static str,
    ) -> Result<Address, ParseError> {
        let offset = reader.at();
        let at = |fault| ParseError { field, offset, fault };
        let count = usize::from(reader.octet(field)?);
        TooLong::check(count, MOST_DIGITS).map_err(|e| at(e.into()))?;
        let kind = reader.octet(field)?;
        let octets = reader.take(field, count.div_ceil(2))?;
        if kind >> 4 & 7 == ALPHANUMERIC {
            return Ok(Address::Name(Name(Septets::unpack(octets, count * 4 / 7))));
        }
        let digits = Digits::read(octets, count).map_err(at)?;
        let plan = NumberingPlan::from_bits(kind);
        Ok(Address::Number(Number { kind: TypeOfNumber::from_bits(kind >> 4), plan, digits }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Address::Number(number) => {
                out.extend([number.digits.0.len() as u8, number.type_of_address()]);
                number.digits.write(out);
            }
            Address::Name(Name(septets)) => {
                let count = (septets.codes().len() * 7).div_ceil(4);
                out.extend([count as u8, 0x80 | ALPHANUMERIC << 4]);
                out.extend(septets.pack());
            }
        }
    }
}

impl From<&Msisdn> for Number {
    fn from(msisdn: &Msisdn) -> Number {
        let (kind, plan) = (TypeOfNumber::International, NumberingPlan::ISDN);
        // An MSISDN is at most 15 decimal digits.
        Number { kind, plan, digits: Digits(msisdn.as_str().to_owned()) }
    }
}

impl From<Number> for Address {
    fn from(number: Number) -> Address {
        Address::Number(number)
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.kind == TypeOfNumber::International { "+" } else { "" };
        write!(f, "{plus}{}", self.digits)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{} {}", self.kind, self.plan.0, self.digits)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Number(number) => number.fmt(f),
            Address::Name(name) => f.write_str(&name.text()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Number(number) => number.fmt(f),
            Address::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(address: &Address) -> Vec<u8> {
        let mut out = Vec::new();
        address.write(&mut out);
        assert_eq!(Address::parse(&mut Reader::new(&out), "TP-OA").as_ref(), Ok(address));
        out
    }

    #[test]
    fn digits_fill_half_octets_low_first() {
        let odd = Address::from(Number::international("+46708251358").unwrap());
        assert_eq!(written(&odd), [0x0b, 0x91, 0x64, 0x07, 0x28, 0x15, 0x53, 0xf8]);
        let short = Address::from(Number::unknown("*#abc1").unwrap());
        assert_eq!(written(&short), [0x06, 0x81, 0xba, 0xdc, 0x1e]);
        assert_eq!((odd.to_string(), short.to_string()), ("+46708251358".into(), "*#abc1".into()));
    }

    /// "Design@Home", the alphanumeric originator that texts on the PDU format show (as D0 length
    /// 20), and every other length.
    #[test]
    fn names_have_the_length_of_their_septets() {
        let name = Address::name("Design@Home").unwrap();
        let octets = [0x14, 0xd0, 0xc4, 0xf2, 0x3c, 0x7d, 0x76, 0x03, 0x90, 0xef, 0x76, 0x19];
        assert_eq!(written(&name), octets);
        assert_eq!(name.to_string(), "Design@Home");
        for length in 0..=11 {
            let name = "ABCDEFGHIJK".get(..length).unwrap();
            assert_eq!(written(&Address::name(name).unwrap()).len(), 2 + (7 * length).div_ceil(8));
        }
        let escaped = Address::name("[€]").unwrap();
        assert_eq!(written(&escaped)[0], 11);
        assert!(matches!(Address::name("ABCDEFGHIJ€"), Err(AddressError::TooLong(_))));
        assert_eq!(Address::name("ж"), Err(AddressError::Character('ж')));
    }

    #[test]
    fn what_is_no_address_is_named() {
        let parse = |octets: &[u8]| Address::parse(&mut Reader::new(octets), "TP-OA");
        let fault = |octets: &[u8]| parse(octets).map_err(|e| (e.offset, e.fault));
        assert_eq!(fault(&[]), Err((0, Fault::Truncated { missing: 1 })));
        assert_eq!(fault(&[2, 0x91]), Err((2, Fault::Truncated { missing: 1 })));
        let long = TooLong { length: 21, most: 20 };
        assert_eq!(fault(&[21, 0x91]), Err((0, Fault::TooLong(long))));
        assert_eq!(fault(&[4, 0x91, 0xf1, 0x22]), Err((0, Fault::Digit(15))));
        // A filler that was counted is none of the digits.
        assert_eq!(parse(&[4, 0x91, 0x21, 0xf3]).unwrap().to_string(), "+123");
    }

    #[test]
    fn an_msisdn_goes_in_and_out() {
        let msisdn = Msisdn::new("4930201").unwrap();
        let number = Number::from(&msisdn);
        assert_eq!(number, Number::international("+4930201").unwrap());
        assert_eq!(number.msisdn(), Some(msisdn));
        assert_eq!(Number::unknown("4930201").unwrap().msisdn(), None);
    }
}
