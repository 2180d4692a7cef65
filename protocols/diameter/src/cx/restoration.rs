//! S-CSCF restoration, TS 23.380 §4: what an S-CSCF leaves with the HSS of a registration, so that another one
//! can go on with it. TS 29.229, SCSCF-Restoration-Info and Restoration-Info; the feature of
//! §7.1.1 says that a sender knows of it.

use super::*;

/// IMSRestorationInd, a bit of Feature-List 1: TS 29.229 §7.1.1.
pub const IMS_RESTORATION: u32 = 1 << 2;

/// The list that all features of Cx are in.
const LIST: u32 = 1;

/// SCSCF-Restoration-Info of one private identity.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Restoration {
    /// User-Name.
    pub user_name: String,
    /// One Restoration-Info for each contact.
    pub contacts: Vec<RestoredContact>,
}

/// Restoration-Info.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RestoredContact {
    /// Path: the elements of the header field with commas between them.
    pub path: String,
    /// Contact: one element with its parameters.
    pub contact: String,
    /// Initial-CSeq-Sequence-Number, of a REGISTER.
    pub cseq: Option<u32>,
    /// Call-ID-SIP-Header, of the same.
    pub call_id: Option<String>,
}

impl Restoration {
    /// Reads what is in the AVP. Others than ours may have left it: what we do not know is passed over.
    ///
    /// # Errors
    /// If User-Name, Path or Contact is missing or no text.
    pub fn parse(data: &[u8]) -> Result<Restoration, Fault> {
        let avps = Avps::new(data);
        let contact = |avp: crate::avp::Avp<'_>| {
            let group = avp.group()?;
            let text = |key| required_text(group.clone(), key);
            Ok(RestoredContact {
                path: text(PATH)?,
                contact: text(CONTACT)?,
                cseq: number(group.clone(), INITIAL_CSEQ_SEQUENCE_NUMBER)?,
                call_id: super::text(group.clone(), CALL_ID_SIP_HEADER)?,
            })
        };
        let contacts = avps.clone().filter(|avp| avp.is(RESTORATION_INFO)).map(contact);
        Ok(Restoration {
            user_name: required_text(avps, USER_NAME)?,
            contacts: contacts.collect::<Result<_, Fault>>()?,
        })
    }

    /// What goes into the AVP.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.utf8(USER_NAME, &self.user_name);
        for contact in &self.contacts {
            out.group(RESTORATION_INFO, |group| {
                group.bytes(PATH, contact.path.as_bytes());
                group.bytes(CONTACT, contact.contact.as_bytes());
                if let Some(cseq) = contact.cseq {
                    group.u32(INITIAL_CSEQ_SEQUENCE_NUMBER, cseq);
                }
                write_octets(group, CALL_ID_SIP_HEADER, &contact.call_id.as_ref().map(bytes_of));
            });
        }
        out.finish().to_vec()
    }
}

fn bytes_of(text: &String) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// The contents of all SCSCF-Restoration-Info of a message.
pub(super) fn all(avps: Avps<'_>) -> Vec<Vec<u8>> {
    avps.filter(|avp| avp.is(SCSCF_RESTORATION_INFO)).map(|avp| avp.data.to_vec()).collect()
}

pub(super) fn write_all(out: &mut Writer, all: &[Vec<u8>]) {
    for data in all {
        out.bytes(SCSCF_RESTORATION_INFO, data);
    }
}

/// The features that the sender of a message has, TS 29.229 §7.2: those of Feature-List 1.
pub fn features(message: &Message) -> u32 {
    features_of(message.avps())
}

pub(super) fn features_of(avps: Avps<'_>) -> u32 {
    let bits = avps.filter(|avp| avp.is(SUPPORTED_FEATURES)).filter_map(|avp| {
        let number = |key| avp.members().find(key)?.u32().ok();
        let ours = number(VENDOR_ID) == Some(VENDOR_3GPP) && number(FEATURE_LIST_ID) == Some(LIST);
        number(FEATURE_LIST).filter(|_| ours)
    });
    bits.fold(0, |all, bits| all | bits)
}

/// Says which features we have, if any.
pub fn write_features(out: &mut Writer, features: u32) {
    if features != 0 {
        out.group(SUPPORTED_FEATURES, |group| {
            group.u32(VENDOR_ID, VENDOR_3GPP).u32(FEATURE_LIST_ID, LIST);
            group.u32(FEATURE_LIST, features);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AVP 639 of TS 29.229, byte for byte.
    #[test]
    fn restoration_info_is_written_as_the_standard_says() {
        let restoration = Restoration {
            user_name: "u@h".to_owned(),
            contacts: vec![RestoredContact {
                path: "<sip:p>".to_owned(),
                contact: "<sip:c>".to_owned(),
                cseq: Some(7),
                call_id: Some("i".to_owned()),
            }],
        };
        #[rustfmt::skip]
        let bytes = [
            0, 0, 0, 1,     0x40, 0, 0, 11, b'u', b'@', b'h', 0,
            0, 0, 2, 0x89,  0x80, 0, 0, 84, 0, 0, 0x28, 0xaf,                           // 649
            0, 0, 2, 0x80,  0x80, 0, 0, 19, 0, 0, 0x28, 0xaf, b'<', b's', b'i', b'p', b':', b'p', b'>', 0,
            0, 0, 2, 0x81,  0x80, 0, 0, 19, 0, 0, 0x28, 0xaf, b'<', b's', b'i', b'p', b':', b'c', b'>', 0,
            0, 0, 2, 0x8e,  0x80, 0, 0, 16, 0, 0, 0x28, 0xaf, 0, 0, 0, 7,               // 654
            0, 0, 2, 0x83,  0x80, 0, 0, 13, 0, 0, 0x28, 0xaf, b'i', 0, 0, 0,            // 643
        ];
        assert_eq!(restoration.to_bytes(), bytes);
        assert_eq!(Restoration::parse(&bytes), Ok(restoration));
        // Without a Path, and without a user.
        assert!(Restoration::parse(&bytes[12..]).is_err());
        let mut lame = Writer::new();
        lame.utf8(USER_NAME, "u@h").group(RESTORATION_INFO, |group| {
            group.bytes(CONTACT, b"<sip:c>");
        });
        assert!(Restoration::parse(lame.as_slice()).is_err());
    }

    #[test]
    fn features_are_those_of_the_first_list() {
        let mut out = Writer::new();
        out.group(SUPPORTED_FEATURES, |group| {
            group.u32(VENDOR_ID, VENDOR_3GPP).u32(FEATURE_LIST_ID, 2).u32(FEATURE_LIST, 1);
        });
        assert_eq!(features_of(Avps::new(out.as_slice())), 0);
        write_features(&mut out, IMS_RESTORATION);
        assert_eq!(features_of(Avps::new(out.as_slice())), IMS_RESTORATION);
        let before = out.as_slice().len();
        write_features(&mut out, 0);
        assert_eq!(out.as_slice().len(), before);
    }
}
