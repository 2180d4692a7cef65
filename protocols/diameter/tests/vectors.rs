//! Messages written down byte by byte from RFC 6733 §3, §4.1, §5.3.1 and TS 29.229 §6.1.7.

use std::net::IpAddr;

use base::redact::Secret;
use bytes::Bytes;
use diameter::cx::{self, AuthData, Body, DigestAuthenticate, Maa, Mar};
use diameter::dictionary::*;
use diameter::header::{Flags, Header};
use diameter::redact::secrets;
use diameter::{Avps, Message, Writer};
use proptest::prelude::*;

/// A Capabilities-Exchange-Request.
#[rustfmt::skip]
const CER: &[u8] = &[
    1, 0, 0, 132,  0x80, 0, 1, 1,  0, 0, 0, 0,  0x11, 0x22, 0x33, 0x44,  0x55, 0x66, 0x77, 0x88,
    0, 0, 1, 8,   0x40, 0, 0, 14,  b'a', b'.', b'e', b'x', b'.', b'y', 0, 0,       // Origin-Host
    0, 0, 1, 40,  0x40, 0, 0, 12,  b'e', b'x', b'.', b'y',                          // Origin-Realm
    0, 0, 1, 1,   0x40, 0, 0, 14,  0, 1, 192, 0, 2, 9, 0, 0,                        // Host-IP-Address
    0, 0, 1, 10,  0x40, 0, 0, 12,  0, 0, 0, 0,                                      // Vendor-Id
    0, 0, 1, 13,  0x00, 0, 0, 9,   b'S', 0, 0, 0,                                   // Product-Name
    0, 0, 1, 9,   0x40, 0, 0, 12,  0, 0, 0x28, 0xaf,                                // Supported-Vendor-Id
    0, 0, 1, 4,   0x40, 0, 0, 32,                                // Vendor-Specific-Application-Id
    0, 0, 1, 10,  0x40, 0, 0, 12,  0, 0, 0x28, 0xaf,             //   Vendor-Id
    0, 0, 1, 2,   0x40, 0, 0, 12,  1, 0, 0, 0,                   //   Auth-Application-Id
];

/// The Cx part of a Multimedia-Auth-Request after a synchronisation failure.
#[rustfmt::skip]
const MAR: &[u8] = &[
    1, 0, 0, 172,  0xc0, 0, 1, 0x2f,  1, 0, 0, 0,  0, 0, 0, 1,  0, 0, 0, 2,
    0, 0, 0, 1,   0x40, 0, 0, 11,  b'u', b'@', b'h', 0,                              // User-Name
    0, 0, 2, 0x59, 0xc0, 0, 0, 17, 0, 0, 0x28, 0xaf, b's', b'i', b'p', b':', b'u', 0, 0, 0,
    0, 0, 2, 0x5f, 0xc0, 0, 0, 16, 0, 0, 0x28, 0xaf, 0, 0, 0, 1,                     // 607
    0, 0, 2, 0x64, 0xc0, 0, 0, 84, 0, 0, 0x28, 0xaf,                                 // 612
    0, 0, 2, 0x60, 0xc0, 0, 0, 28, 0, 0, 0x28, 0xaf,                                 //   608
        b'D', b'i', b'g', b'e', b's', b't', b'-', b'A', b'K', b'A', b'v', b'1', b'-', b'M', b'D', b'5',
    0, 0, 2, 0x62, 0xc0, 0, 0, 42, 0, 0, 0x28, 0xaf,                                 //   610
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0,
    0, 0, 2, 0x5a, 0xc0, 0, 0, 17, 0, 0, 0x28, 0xaf, b's', b'i', b'p', b':', b's', 0, 0, 0,
];

#[test]
fn cer() {
    let message = Message::parse(Bytes::from_static(CER)).unwrap();
    assert_eq!(message.origin_host(), Some("a.ex.y"));
    let address: IpAddr = "192.0.2.9".parse().unwrap();
    assert_eq!(message.require(HOST_IP_ADDRESS).unwrap().address(), Ok(address));
    let built = Message::write(*message.header(), |out| {
        out.utf8(ORIGIN_HOST, "a.ex.y").utf8(ORIGIN_REALM, "ex.y");
        out.address(HOST_IP_ADDRESS, address);
        out.u32(VENDOR_ID, 0).utf8(PRODUCT_NAME, "S").u32(SUPPORTED_VENDOR_ID, 10415);
        out.group(VENDOR_SPECIFIC_APPLICATION_ID, |group| {
            group.u32(VENDOR_ID, 10415).u32(AUTH_APPLICATION_ID, 16_777_216);
        });
    });
    assert_eq!(built.bytes(), CER);
    assert_eq!(check(&message), Ok(()));
}

#[test]
fn mar() {
    let message = Message::parse(Bytes::from_static(MAR)).unwrap();
    let mar = Mar::parse(&message).unwrap();
    assert_eq!(mar.user_name, "u@h");
    assert_eq!(mar.public_identity, "sip:u");
    assert_eq!(mar.items, 1);
    assert_eq!(mar.auth_data.scheme.as_deref(), Some("Digest-AKAv1-MD5"));
    let resync = mar.auth_data.authorization.clone().unwrap();
    assert_eq!(resync.reveal()[..], [[1; 16].as_slice(), &[2; 14]].concat());
    assert_eq!(mar.server_name, "sip:s");
    let built = Message::write(*message.header(), |out| mar.write(out));
    assert_eq!(built.bytes(), MAR);
    assert_eq!(check(&message), Ok(()));
    assert!(secrets(MAR).is_empty(), "RAND and AUTS are not secret");
}

#[test]
fn key_material_is_found_and_not_shown() {
    let maa = Maa {
        user_name: Some("u@h".to_owned()),
        public_identity: None,
        auth_data: vec![AuthData {
            authenticate: Some(vec![9; 32]),
            authorization: Some(Secret::new(vec![0xa1; 8])),
            confidentiality_key: Some(Secret::new(vec![0xa2; 16])),
            integrity_key: Some(Secret::new(vec![0xa3; 16])),
            digest: Some(DigestAuthenticate {
                realm: "r".to_owned(),
                algorithm: None,
                qop: "auth".to_owned(),
                ha1: Secret::new("d".repeat(32)),
            }),
            ..AuthData::default()
        }],
    };
    let header = Header {
        flags: Flags::PROXIABLE,
        command: Maa::COMMAND,
        application: cx::APPLICATION,
        hop_by_hop: 1,
        end_to_end: 1,
    };
    let message = Message::write(header, |out| maa.write(out));
    let found: Vec<&[u8]> =
        secrets(message.bytes()).into_iter().map(|range| &message.bytes()[range]).collect();
    assert_eq!(found, [&[0xa1; 8][..], &[0xa2; 16], &[0xa3; 16], &[b'd'; 32]]);
    let shown = message.to_string();
    assert!(shown.starts_with("MAA flags=-P-- app=16777216"), "{shown}");
    assert!(shown.contains("Integrity-Key = <16 secret bytes>"), "{shown}");
    for leak in ["a1a1", "a2a2", "a3a3", "dddd"] {
        assert!(!shown.contains(leak), "{shown}");
    }
    assert_eq!(Maa::parse(&message).unwrap(), maa);
    assert!(!format!("{maa:?}").contains("dddd"));
}

/// Every Cx command survives the wire.
#[test]
fn cx_commands_there_and_back() {
    fn round<B: Body + PartialEq + std::fmt::Debug>(body: B) {
        let header = Header {
            flags: Flags::default(),
            command: B::COMMAND,
            application: cx::APPLICATION,
            hop_by_hop: 0,
            end_to_end: 0,
        };
        let avps = cx::answer(&body);
        let message = Message::build(header, avps.as_slice());
        let message = Message::parse(message.bytes().clone()).unwrap();
        assert_eq!(check(&message), Ok(()));
        assert_eq!(B::parse(&message).unwrap(), body);
    }
    let capabilities = cx::ServerCapabilities {
        mandatory: vec![1, 2],
        optional: vec![3],
        server_names: vec!["sip:s1".to_owned()],
    };
    let charging = cx::ChargingInformation {
        primary_ecf: Some("aaa://ocs.example".to_owned()),
        secondary_ccf: Some("aaa://cdf.example".to_owned()),
        ..Default::default()
    };
    for authorization in cx::Authorization::ALL {
        round(cx::Uar {
            user_name: "u@h".to_owned(),
            public_identity: "sip:u".to_owned(),
            visited_network: b"net".to_vec(),
            authorization: *authorization,
            flags: 1,
        });
    }
    round(cx::Uaa {
        server_name: Some("sip:s".to_owned()),
        capabilities: Some(capabilities.clone()),
    });
    for assignment in cx::Assignment::ALL {
        round(cx::Sar {
            user_name: Some("u@h".to_owned()),
            public_identities: vec!["sip:u".to_owned(), "tel:+1".to_owned()],
            server_name: "sip:s".to_owned(),
            assignment: *assignment,
            has_user_data: true,
            features: cx::IMS_RESTORATION,
            restoration: vec![cx::Restoration::default().to_bytes()],
        });
    }
    round(cx::Saa {
        user_name: Some("u@h".to_owned()),
        user_data: Some(b"<IMSSubscription/>".to_vec()),
        charging: Some(charging.clone()),
        associated_identities: vec!["v@h".to_owned()],
        server_name: None,
        restoration: vec![cx::Restoration::default().to_bytes()],
    });
    round(cx::Lir {
        public_identity: "sip:u".to_owned(),
        originating: true,
        authorization: Some(cx::Authorization::RegistrationAndCapabilities),
    });
    round(cx::Lia { server_name: None, capabilities: Some(capabilities) });
    round(cx::Rtr {
        user_name: "u@h".to_owned(),
        associated_identities: vec!["v@h".to_owned()],
        public_identities: vec!["sip:u".to_owned()],
        reason: cx::DeregistrationReason {
            code: cx::ReasonCode::NewServerAssigned,
            info: Some("moved".to_owned()),
        },
    });
    round(cx::Rta { associated_identities: vec!["v@h".to_owned()] });
    round(cx::Ppr {
        user_name: "u@h".to_owned(),
        user_data: Some(b"<x/>".to_vec()),
        charging: Some(charging),
    });
    round(cx::Ppa);
}

proptest! {
    /// Unknown AVPs of any content are kept byte for byte and in their order.
    #[test]
    fn avps_are_kept(avps in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<bool>(),
        proptest::collection::vec(any::<u8>(), 0..40)), 0..12)) {
        let mut out = Writer::new();
        for (code, vendor, mandatory, data) in &avps {
            out.bytes(diameter::Key { code: *code, vendor: *vendor, mandatory: *mandatory }, data);
        }
        let mut copy = Writer::new();
        let mut count = 0;
        for (avp, (code, vendor, mandatory, data)) in Avps::new(out.as_slice()).zip(&avps) {
            prop_assert_eq!((avp.code, avp.vendor, avp.data), (*code, *vendor, &data[..]));
            prop_assert_eq!(avp.is_mandatory(), *mandatory);
            copy.copy(&avp);
            count += 1;
        }
        prop_assert_eq!(count, avps.len());
        prop_assert_eq!(copy, out);
    }

    /// Arbitrary bytes, and messages with arbitrary bytes in them, never panic anything.
    #[test]
    fn arbitrary_bytes(body: Vec<u8>, change in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..6)) {
        let _ = diameter::frame(&body);
        let _ = secrets(&body);
        let _ = Message::parse(body.into());
        for sample in [CER, MAR] {
            let mut bytes = sample.to_vec();
            for (at, byte) in &change {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *byte;
            }
            let _ = secrets(&bytes);
            if let Ok(message) = Message::parse(bytes.into()) {
                let _ = message.to_string();
                let _ = check(&message);
                let _ = (Mar::parse(&message), Maa::parse(&message), cx::Sar::parse(&message));
            }
        }
    }
}
