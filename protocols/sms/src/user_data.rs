//! TP-User-Data-Length and TP-User-Data, TS 23.040 §9.2.3.16 and §9.2.3.24, with the coding scheme
//! that says what they are.

use crate::alphabet::Septets;
use crate::dcs::{Alphabet, Dcs};
use crate::header::{Concatenation, Element, Header, Reference};
use crate::octets::TooLong;
use crate::reader::{Fault, ParseError, Reader};

/// The user data of SMS-SUBMIT and SMS-DELIVER: 140 octets.
pub type ShortMessage = UserData<140>;

/// At most `MOST` octets of user data, always of the kind that their coding scheme says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserData<const MOST: usize> {
    dcs: Dcs,
    header: Option<Header>,
    body: Body,
}

/// What follows the header.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Body {
    /// The GSM 7 bit default alphabet.
    Septets(Septets),
    /// 8-bit data, UCS-2, or anything compressed.
    Octets(Vec<u8>),
}

/// Why user data were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UserDataError {
    /// More than the message can hold.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// Septets with a coding scheme of octets, or the other way round.
    #[error("these are not what the data coding scheme says")]
    NotAsCoded,
}

impl<const MOST: usize> UserData<MOST> {
    /// Checks and takes user data; the header of `None` is no header (TP-UDHI 0).
    ///
    /// # Errors
    /// [`UserDataError`] if the body is not what the coding scheme says, or too long.
    pub fn new(
        dcs: Dcs,
        header: Option<Header>,
        body: Body,
    ) -> Result<UserData<MOST>, UserDataError> {
        if dcs.counts_septets() != matches!(body, Body::Septets(_)) {
            return Err(UserDataError::NotAsCoded);
        }
        let data = UserData { dcs, header, body };
        TooLong::check(data.octets_in_all(), MOST)?;
        Ok(data)
    }

    /// A text in the GSM 7 bit default alphabet if that has all its characters, else in UTF-16.
    ///
    /// # Errors
    /// [`TooLong`] if it does not fit; see [`split`](crate::split()).
    pub fn from_text(text: &str) -> Result<UserData<MOST>, TooLong> {
        let (dcs, body) = match Septets::encode(text) {
            Ok(septets) => (Dcs::GSM7, Body::Septets(septets)),
            Err(_) => (Dcs::UCS2, Body::Octets(utf16(text.encode_utf16()))),
        };
        let data = UserData { dcs, header: None, body };
        TooLong::check(data.octets_in_all(), MOST)?;
        Ok(data)
    }

    /// How the body is coded.
    pub fn dcs(&self) -> Dcs {
        self.dcs
    }

    /// The header, if there is one.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// What follows the header.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Which part of a longer message this is.
    pub fn concatenation(&self) -> Option<Concatenation> {
        self.header()?.concatenation()
    }

    /// The text; `None` if it is data, compressed, or in a nation's alphabet.
    pub fn text(&self) -> Option<String> {
        text_of(std::slice::from_ref(self))
    }

    fn has_text(&self) -> bool {
        let national = || self.header().is_some_and(Header::has_national_language);
        let compressed = self.dcs.is_compressed();
        !compressed && self.dcs.alphabet() != Alphabet::Data && !national()
    }

    /// Septets that the header takes, fill bits included.
    fn header_septets(&self) -> usize {
        (self.header_octets() * 8).div_ceil(7)
    }

    fn header_octets(&self) -> usize {
        self.header.as_ref().map_or(0, Header::len)
    }

    /// The value of TP-UDL.
    fn length(&self) -> usize {
        match &self.body {
            Body::Septets(septets) => self.header_septets() + septets.codes().len(),
            Body::Octets(octets) => self.header_octets() + octets.len(),
        }
    }

    fn octets_in_all(&self) -> usize {
        match &self.body {
            Body::Septets(_) => (self.length() * 7).div_ceil(8),
            Body::Octets(_) => self.length(),
        }
    }

    /// TP-UDL and TP-UD.
    pub(crate) fn parse(
        reader: &mut Reader<'_>,
        header_indicator: bool,
        dcs: Dcs,
    ) -> Result<UserData<MOST>, ParseError> {
        let offset = reader.at();
        let length = usize::from(reader.octet("TP-UDL")?);
        let septets = dcs.counts_septets();
        let count = if septets { (length * 7).div_ceil(8) } else { length };
        let too_long = |e: TooLong| ParseError { field: "TP-UDL", offset, fault: e.into() };
        TooLong::check(count, MOST).map_err(too_long)?;
        let offset = reader.at();
        let octets = reader.take("TP-UD", count)?;
        let broken = ParseError { field: "TP-UD", offset, fault: Fault::Header };
        let header = match (header_indicator, octets.split_first()) {
            (false, _) => None,
            (true, None) => return Err(broken),
            (true, Some((length, rest))) => {
                let header = rest.get(..usize::from(*length)).ok_or(broken)?;
                Some(Header::from_octets(header).map_err(|_| broken)?)
            }
        };
        let mut data = UserData { dcs, header, body: Body::Octets(Vec::new()) };
        data.body = if septets {
            let skip = data.header_septets();
            let count = length.checked_sub(skip).ok_or(broken)?;
            Body::Septets(Septets::unpack_at(octets, skip * 7, count))
        } else {
            Body::Octets(octets[data.header_octets()..].to_vec())
        };
        Ok(data)
    }

    /// TP-UDL and TP-UD.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // At most 159 octets, so at most 181 septets.
        out.push(self.length() as u8);
        let start = out.len();
        if let Some(header) = &self.header {
            out.push(header.octets().len() as u8);
            out.extend(header.octets());
        }
        match &self.body {
            Body::Octets(octets) => out.extend(octets),
            Body::Septets(septets) => {
                out.resize(start + self.octets_in_all(), 0);
                septets.pack_at(&mut out[start..], self.header_septets() * 7);
            }
        }
    }
}

/// One part of a message that is concatenated.
pub(crate) fn part(
    reference: Reference,
    total: u8,
    number: u8,
    body: Body,
) -> Option<ShortMessage> {
    let concatenation = Concatenation::new(reference, total, number)?;
    let header = Header::new(&[Element::Concatenation(concatenation)]).ok()?;
    let dcs = if matches!(body, Body::Septets(_)) { Dcs::GSM7 } else { Dcs::UCS2 };
    UserData::new(dcs, Some(header), body).ok()
}

/// The text of all parts of one message, in this order; `None` if one of them has no text that can be
/// read. An escape or a surrogate pair that the sender cut in two is whole again; half a pair alone
/// shows as U+FFFD.
pub fn text_of<const MOST: usize>(parts: &[UserData<MOST>]) -> Option<String> {
    let mut text = String::new();
    for run in parts.chunk_by(|a, b| a.dcs.counts_septets() == b.dcs.counts_septets()) {
        let (mut septets, mut units) = (Septets::default(), Vec::new());
        for part in run {
            if !part.has_text() {
                return None;
            }
            match &part.body {
                Body::Septets(more) => septets.append(more),
                Body::Octets(octets) => {
                    let unit = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
                    units.extend(octets.chunks_exact(2).map(unit));
                }
            }
        }
        text.push_str(&septets.decode());
        text.push_str(&String::from_utf16_lossy(&units));
    }
    Some(text)
}

pub(crate) fn utf16(units: impl IntoIterator<Item = u16>) -> Vec<u8> {
    units.into_iter().flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(data: &ShortMessage) -> Vec<u8> {
        let mut out = Vec::new();
        data.write(&mut out);
        let read = UserData::parse(&mut Reader::new(&out), data.header.is_some(), data.dcs);
        assert_eq!(read.as_ref(), Ok(data));
        out
    }

    #[test]
    fn septets_begin_on_a_septet_behind_a_header() {
        let septets = |text| Body::Septets(Septets::encode(text).unwrap());
        // Six octets of header are 48 bits: one fill bit, seven septets.
        let one = part(Reference::Eight(7), 2, 1, septets("A")).unwrap();
        assert_eq!(written(&one), [8, 5, 0, 3, 7, 2, 1, 0x41 << 1]);
        // Seven octets are eight septets exactly.
        let two = part(Reference::Sixteen(7), 2, 1, septets("A")).unwrap();
        assert_eq!(written(&two), [9, 6, 8, 4, 0, 7, 2, 1, 0x41]);
        assert_eq!((one.text().as_deref(), two.text().as_deref()), (Some("A"), Some("A")));
    }

    #[test]
    fn a_text_has_the_alphabet_it_needs() {
        let gsm = ShortMessage::from_text("Grüße, 5 €").unwrap();
        assert_eq!((gsm.dcs(), gsm.text().as_deref()), (Dcs::GSM7, Some("Grüße, 5 €")));
        let ucs = ShortMessage::from_text("Привет 🙂").unwrap();
        assert_eq!((ucs.dcs(), ucs.text().as_deref()), (Dcs::UCS2, Some("Привет 🙂")));
        assert_eq!(written(&ucs)[..5], [18, 0x04, 0x1f, 0x04, 0x40]);
        assert_eq!(written(&ShortMessage::from_text(&"a".repeat(160)).unwrap()).len(), 141);
        assert!(ShortMessage::from_text(&"a".repeat(161)).is_err());
        assert!(ShortMessage::from_text(&"ж".repeat(71)).is_err());
    }

    #[test]
    fn what_is_not_text_is_not_shown_as_text() {
        let data: ShortMessage = UserData::new(Dcs::DATA, None, Body::Octets(vec![1, 2])).unwrap();
        assert_eq!((data.text(), written(&data)), (None, vec![2, 1, 2]));
        let packed: ShortMessage =
            UserData::new(Dcs(0x20), None, Body::Octets(vec![1, 2, 3])).unwrap();
        assert_eq!((packed.text(), written(&packed)), (None, vec![3, 1, 2, 3]));
        let septets = Body::Septets(Septets::default());
        assert_eq!(ShortMessage::new(Dcs::UCS2, None, septets), Err(UserDataError::NotAsCoded));
        let half: ShortMessage =
            UserData::new(Dcs::UCS2, None, Body::Octets(vec![0xd8, 0x3d, 0x00])).unwrap();
        assert_eq!(half.text().as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn lengths_that_do_not_add_up_are_named() {
        let parse = |octets: &[u8], udhi, dcs| {
            let read = UserData::<140>::parse(&mut Reader::new(octets), udhi, dcs);
            read.map_err(|e| (e.field, e.offset, e.fault))
        };
        let missing = Fault::Truncated { missing: 1 };
        assert_eq!(parse(&[2, 0], false, Dcs::DATA), Err(("TP-UD", 1, missing)));
        let long = Fault::TooLong(TooLong { length: 141, most: 140 });
        assert_eq!(parse(&[161], false, Dcs::GSM7), Err(("TP-UDL", 0, long)));
        assert_eq!(parse(&[0], true, Dcs::GSM7), Err(("TP-UD", 1, Fault::Header)));
        assert_eq!(parse(&[2, 2, 0], true, Dcs::DATA), Err(("TP-UD", 1, Fault::Header)));
        // One octet of header takes two septets.
        assert_eq!(parse(&[1, 0], true, Dcs::GSM7), Err(("TP-UD", 1, Fault::Header)));
    }
}
