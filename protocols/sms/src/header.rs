//! The user data header, TS 23.040 §9.2.3.24.

use crate::octets::{Octets, TooLong};

/// Most octets of a header behind its length: a report's user data have 159.
const MOST: usize = 158;

/// A user data header: its octets behind UDHL, kept as they are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Header(Octets<MOST>);

/// An information element of a header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Element<'a> {
    /// This is a part of a longer message.
    Concatenation(Concatenation),
    /// The message is for an application.
    Ports(Ports),
    /// Another, or one of these that is not legal.
    Other {
        /// The element's identifier.
        identifier: u8,
        /// Its data, at most 255 octets.
        data: &'a [u8],
    },
}

/// What the parts of one message have in common, §9.2.3.24.1 and §9.2.3.24.8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reference {
    /// Eight bits.
    Eight(u8),
    /// Sixteen bits.
    Sixteen(u16),
}

/// Which part of a message this is; always 1 to `total`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Concatenation {
    reference: Reference,
    total: u8,
    number: u8,
}

/// Application port addressing, §9.2.3.24.3 and §9.2.3.24.4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ports {
    /// Eight bits each.
    Eight {
        /// The receiver's.
        destination: u8,
        /// The sender's.
        originator: u8,
    },
    /// Sixteen bits each.
    Sixteen {
        /// The receiver's.
        destination: u16,
        /// The sender's.
        originator: u16,
    },
}

const CONCATENATED_8: u8 = 0x00;
const PORTS_8: u8 = 0x04;
const PORTS_16: u8 = 0x05;
const CONCATENATED_16: u8 = 0x08;

/// National language single shift, §9.2.3.24.15.
pub const SINGLE_SHIFT: u8 = 0x24;

/// National language locking shift, §9.2.3.24.16.
pub const LOCKING_SHIFT: u8 = 0x25;

impl Concatenation {
    /// Part `number` of `total`, counted from 1; `None` for others.
    pub fn new(reference: Reference, total: u8, number: u8) -> Option<Concatenation> {
        (1..=total).contains(&number).then_some(Concatenation { reference, total, number })
    }

    /// What the parts have in common.
    pub fn reference(self) -> Reference {
        self.reference
    }

    /// How many parts there are, 1 to 255.
    pub fn total(self) -> u8 {
        self.total
    }

    /// Which of them this is, from 1.
    pub fn number(self) -> u8 {
        self.number
    }
}

impl<'a> Element<'a> {
    /// An element by its identifier and data.
    pub fn new(identifier: u8, data: &'a [u8]) -> Element<'a> {
        let concatenation = match (identifier, data) {
            (CONCATENATED_8, &[reference, total, number]) => {
                Concatenation::new(Reference::Eight(reference), total, number)
            }
            (CONCATENATED_16, &[high, low, total, number]) => {
                let reference = u16::from_be_bytes([high, low]);
                Concatenation::new(Reference::Sixteen(reference), total, number)
            }
            _ => None,
        };
        if let Some(concatenation) = concatenation {
            return Element::Concatenation(concatenation);
        }
        match (identifier, data) {
            (PORTS_8, &[destination, originator]) => {
                Element::Ports(Ports::Eight { destination, originator })
            }
            (PORTS_16, &[a, b, c, d]) => Element::Ports(Ports::Sixteen {
                destination: u16::from_be_bytes([a, b]),
                originator: u16::from_be_bytes([c, d]),
            }),
            _ => Element::Other { identifier, data },
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match *self {
            Element::Concatenation(Concatenation { reference, total, number }) => match reference {
                Reference::Eight(r) => out.extend([CONCATENATED_8, 3, r, total, number]),
                Reference::Sixteen(r) => {
                    let [high, low] = r.to_be_bytes();
                    out.extend([CONCATENATED_16, 4, high, low, total, number]);
                }
            },
            Element::Ports(Ports::Eight { destination, originator }) => {
                out.extend([PORTS_8, 2, destination, originator]);
            }
            Element::Ports(Ports::Sixteen { destination, originator }) => {
                out.extend([PORTS_16, 4]);
                out.extend(destination.to_be_bytes());
                out.extend(originator.to_be_bytes());
            }
            Element::Other { identifier, data } => {
                TooLong::check(data.len(), MOST)?;
                out.extend([identifier, data.len() as u8]);
                out.extend(data);
            }
        }
        Ok(())
    }
}

impl Header {
    /// A header of these elements.
    ///
    /// # Errors
    /// [`TooLong`] if they have no room in any user data; what room there really is shows when the
    /// user data are made.
    pub fn new(elements: &[Element<'_>]) -> Result<Header, TooLong> {
        let mut octets = Vec::new();
        elements.iter().try_for_each(|element| element.write(&mut octets))?;
        Octets::new(octets).map(Header)
    }

    /// Octets behind UDHL, whatever they are.
    ///
    /// # Errors
    /// [`TooLong`] if they have no room in any user data.
    pub fn from_octets(octets: &[u8]) -> Result<Header, TooLong> {
        Octets::new(octets).map(Header)
    }

    /// The octets behind UDHL.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The elements; none if their lengths do not add up, because then a receiver ignores the whole
    /// header.
    pub fn elements(&self) -> Vec<Element<'_>> {
        let (mut rest, mut elements) = (self.octets(), Vec::new());
        loop {
            match *rest {
                [] => return elements,
                [identifier, length, ref data @ ..] if usize::from(length) <= data.len() => {
                    let (data, later) = data.split_at(usize::from(length));
                    elements.push(Element::new(identifier, data));
                    rest = later;
                }
                _ => return Vec::new(),
            }
        }
    }

    /// Which part of a message this is; the last element that says so counts.
    pub fn concatenation(&self) -> Option<Concatenation> {
        self.elements().into_iter().rev().find_map(|element| match element {
            Element::Concatenation(concatenation) => Some(concatenation),
            _ => None,
        })
    }

    /// Which application the message is for; the last element that says so counts.
    pub fn ports(&self) -> Option<Ports> {
        self.elements().into_iter().rev().find_map(|element| match element {
            Element::Ports(ports) => Some(ports),
            _ => None,
        })
    }

    /// Whether the text is in the alphabet of a nation (TS 23.038 annex A).
    pub fn has_national_language(&self) -> bool {
        let shifts = [SINGLE_SHIFT, LOCKING_SHIFT];
        let is_shift = |element: Element<'_>| matches!(element, Element::Other { identifier, .. } if shifts.contains(&identifier));
        self.elements().into_iter().any(is_shift)
    }

    /// Octets with UDHL.
    pub(crate) fn len(&self) -> usize {
        1 + self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_written_and_read() {
        let first = Concatenation::new(Reference::Eight(0xa5), 3, 1).unwrap();
        let second = Concatenation::new(Reference::Sixteen(0x1234), 3, 2).unwrap();
        let elements = [
            Element::Concatenation(first),
            Element::Ports(Ports::Eight { destination: 240, originator: 241 }),
            Element::Ports(Ports::Sixteen { destination: 2948, originator: 9200 }),
            Element::Other { identifier: 0x70, data: &[] },
            Element::Concatenation(second),
        ];
        let header = Header::new(&elements).unwrap();
        let octets = [
            0x00, 0x03, 0xa5, 0x03, 0x01, 0x04, 0x02, 0xf0, 0xf1, 0x05, 0x04, 0x0b, 0x84, 0x23,
            0xf0, 0x70, 0x00, 0x08, 0x04, 0x12, 0x34, 0x03, 0x02,
        ];
        assert_eq!(header.octets(), octets);
        assert_eq!(header.elements(), elements);
        assert_eq!(header.concatenation(), Some(second));
        assert_eq!(header.ports(), Some(Ports::Sixteen { destination: 2948, originator: 9200 }));
        assert_eq!(
            (second.reference(), second.total(), second.number()),
            (Reference::Sixteen(0x1234), 3, 2)
        );
    }

    /// §9.2.3.24.1: a part 0, or beyond the total, is no part; §9.2.3.24: lengths that do not add up
    /// make the whole header be ignored.
    #[test]
    fn what_makes_no_sense_is_kept_and_ignored() {
        for data in [[1, 2, 0], [1, 2, 3], [1, 0, 0]] {
            let kept = Element::Other { identifier: 0, data: &data };
            assert_eq!(Element::new(0, &data), kept);
            assert_eq!(Header::new(&[kept]).unwrap().concatenation(), None);
        }
        let broken = Header::from_octets(&[0x00, 0x03, 1, 2, 1, 0x70]).unwrap();
        assert_eq!((broken.elements(), broken.octets().len()), (vec![], 6));
        assert!(Header::from_octets(&[0; 159]).is_err());
        assert!(Header::new(&[Element::Other { identifier: 9, data: &[0; 400] }]).is_err());
    }

    #[test]
    fn national_languages_are_noticed() {
        let turkish = Header::new(&[Element::Other { identifier: LOCKING_SHIFT, data: &[1] }]);
        assert!(turkish.unwrap().has_national_language());
        assert!(!Header::default().has_national_language());
    }
}
