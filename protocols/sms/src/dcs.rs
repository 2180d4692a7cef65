//! TP-Data-Coding-Scheme, TS 23.038 §4.

/// How the user data are coded. Every octet is legal: reserved ones mean the GSM 7 bit default
/// alphabet to a receiver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Dcs(pub u8);

/// What the user data consist of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Alphabet {
    /// The GSM 7 bit default alphabet.
    Gsm7,
    /// 8-bit data.
    Data,
    /// UCS-2, which phones really send as UTF-16.
    Ucs2,
}

/// Where a message is to be put.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Shown at once and not kept.
    Flash,
    /// In the phone.
    Phone,
    /// In the (U)SIM.
    Sim,
    /// To the terminal equipment.
    Terminal,
}

/// What is waiting, in the message waiting groups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Waiting {
    /// Voicemail messages.
    Voicemail,
    /// Fax messages.
    Fax,
    /// Electronic mail messages.
    Mail,
    /// Others.
    Other,
}

/// A message waiting indication.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Indication {
    /// What is waiting.
    pub what: Waiting,
    /// Whether something is, or nothing is any more.
    pub active: bool,
    /// Whether the message itself is kept.
    pub store: bool,
}

impl Dcs {
    /// The GSM 7 bit default alphabet, no class.
    pub const GSM7: Dcs = Dcs(0x00);
    /// 8-bit data, no class.
    pub const DATA: Dcs = Dcs(0x04);
    /// UCS-2, no class.
    pub const UCS2: Dcs = Dcs(0x08);

    /// An alphabet and a class in the general group.
    pub fn new(alphabet: Alphabet, class: Option<Class>) -> Dcs {
        let alphabet = match alphabet {
            Alphabet::Gsm7 => 0x00,
            Alphabet::Data => 0x04,
            Alphabet::Ucs2 => 0x08,
        };
        let class = match class {
            None => 0x00,
            Some(Class::Flash) => 0x10,
            Some(Class::Phone) => 0x11,
            Some(Class::Sim) => 0x12,
            Some(Class::Terminal) => 0x13,
        };
        Dcs(alphabet | class)
    }

    /// The alphabet, before any compression.
    pub fn alphabet(self) -> Alphabet {
        match (self.0 >> 4, self.0 & 0x0c) {
            (0..=7, 0x04) | (15, 0x04 | 0x0c) => Alphabet::Data,
            (0..=7, 0x08) | (14, _) => Alphabet::Ucs2,
            _ => Alphabet::Gsm7,
        }
    }

    /// Whether the user data are compressed (TS 23.042).
    pub fn is_compressed(self) -> bool {
        self.0 & 0xa0 == 0x20
    }

    /// Whether TP-UDL counts septets and not octets, TS 23.040 §9.2.3.16.
    pub fn counts_septets(self) -> bool {
        self.alphabet() == Alphabet::Gsm7 && !self.is_compressed()
    }

    /// The message class, if one is said.
    pub fn class(self) -> Option<Class> {
        let said = self.0 & 0x90 == 0x10 || self.0 >> 4 == 15;
        said.then_some(match self.0 & 3 {
            0 => Class::Flash,
            1 => Class::Phone,
            2 => Class::Sim,
            _ => Class::Terminal,
        })
    }

    /// Whether the message is to be deleted once it was read.
    pub fn is_deleted_when_read(self) -> bool {
        self.0 >> 6 == 1
    }

    /// The message waiting indication, in the groups for it.
    pub fn waiting(self) -> Option<Indication> {
        let what = match self.0 & 3 {
            0 => Waiting::Voicemail,
            1 => Waiting::Fax,
            2 => Waiting::Mail,
            _ => Waiting::Other,
        };
        let group = self.0 >> 4;
        let indication = Indication { what, active: self.0 & 0x08 != 0, store: group != 12 };
        matches!(group, 12..=14).then_some(indication)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TS 23.038 §4, one of every group.
    #[test]
    fn every_group_is_read() {
        let alphabet = |octet| Dcs(octet).alphabet();
        assert_eq!((alphabet(0x00), alphabet(0x04)), (Alphabet::Gsm7, Alphabet::Data));
        assert_eq!((alphabet(0x08), alphabet(0x0c)), (Alphabet::Ucs2, Alphabet::Gsm7));
        assert_eq!((alphabet(0x58), alphabet(0x84)), (Alphabet::Ucs2, Alphabet::Gsm7));
        assert_eq!((alphabet(0xc8), alphabet(0xd8)), (Alphabet::Gsm7, Alphabet::Gsm7));
        assert_eq!((alphabet(0xe0), alphabet(0xf0)), (Alphabet::Ucs2, Alphabet::Gsm7));
        assert_eq!((alphabet(0xf5), alphabet(0xf1)), (Alphabet::Data, Alphabet::Gsm7));

        assert_eq!((Dcs(0x01).class(), Dcs(0x10).class()), (None, Some(Class::Flash)));
        assert_eq!(
            (Dcs(0xf6).class(), Dcs(0x53).class()),
            (Some(Class::Sim), Some(Class::Terminal))
        );
        assert_eq!((Dcs(0xd1).class(), Dcs(0x91).class()), (None, None));
        assert!(Dcs(0x20).is_compressed() && Dcs(0x68).is_compressed());
        assert!(!Dcs(0xe0).is_compressed() && !Dcs(0xf0).is_compressed());
        assert!(!Dcs(0x20).counts_septets() && Dcs(0x10).counts_septets());
        assert!(Dcs(0x40).is_deleted_when_read() && !Dcs(0xc0).is_deleted_when_read());

        let voicemail = Indication { what: Waiting::Voicemail, active: true, store: false };
        assert_eq!(Dcs(0xc8).waiting(), Some(voicemail));
        let mail = Indication { what: Waiting::Mail, active: false, store: true };
        assert_eq!((Dcs(0xe2).waiting(), Dcs(0xf2).waiting()), (Some(mail), None));
    }

    #[test]
    fn what_is_made_is_read() {
        for alphabet in [Alphabet::Gsm7, Alphabet::Data, Alphabet::Ucs2] {
            for class in [None, Some(Class::Flash), Some(Class::Phone), Some(Class::Sim)] {
                let dcs = Dcs::new(alphabet, class);
                assert_eq!((dcs.alphabet(), dcs.class()), (alphabet, class));
            }
        }
    }
}
