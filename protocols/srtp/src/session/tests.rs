use proptest::prelude::*;

use super::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    digits.chunks(2).map(pair).collect::<Result<_, _>>().expect("hexadecimal")
}

/// A key of a suite.
fn key(suite: Suite) -> MasterKey {
    let octets: Vec<u8> = (0..MasterKey::length(suite) as u8).map(|n| n.wrapping_mul(37)).collect();
    MasterKey::new(suite, &octets).expect("a key")
}

fn with(suite: Suite, mki: &[u8]) -> MasterKey {
    let mut key = key(suite);
    key.mki = mki.to_vec();
    key
}

fn rtp(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 160, 0xca, 0xfe, 0xba, 0xbe]);
    packet.extend(payload);
    packet
}

/// A packet in a buffer that has room for it when it is protected.
fn protected(
    out: &mut Outbound,
    packet: &[u8],
    protect: impl Fn(&mut Outbound, &mut [u8], usize) -> Result<usize, SrtpError>,
) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + out.overhead(), 0);
    let length = protect(out, &mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn taken(
    inbound: &mut Inbound,
    packet: &[u8],
    take: impl Fn(&mut Inbound, &mut [u8], usize) -> Result<usize, SrtpError>,
) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let length = take(inbound, &mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

/// What libsrtp makes of a packet with these master keys.
#[test]
fn packets_are_those_of_libsrtp() {
    let plain = octets("800f1234decafbadcafebabe abababababababababababababababab");
    let plain_rtcp = octets("81c8000bcafebabe abababababababababababababababab");
    for (suite, key, secure, secure_rtcp) in [
        (
            Suite::AesCm128HmacSha1_80,
            "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
            "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798",
        ),
        (
            Suite::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab",
            "800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            "81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
        ),
    ] {
        let key = MasterKey::new(suite, &octets(key)).expect("a key");
        let mut out = Outbound::new(&key);
        assert_eq!(protected(&mut out, &plain, Outbound::protect), Ok(octets(secure)), "{suite:?}");
        // Theirs begins with 1.
        let first = protected(&mut out, &plain_rtcp, Outbound::protect_rtcp).expect("a packet");
        assert_ne!(first, octets(secure_rtcp));
        let second = protected(&mut out, &plain_rtcp, Outbound::protect_rtcp);
        assert_eq!(second, Ok(octets(secure_rtcp)), "{suite:?}");
        let mut inbound = Inbound::new(&key);
        assert_eq!(taken(&mut inbound, &octets(secure), Inbound::unprotect), Ok(plain.clone()));
        let rtcp = taken(&mut inbound, &octets(secure_rtcp), Inbound::unprotect_rtcp);
        assert_eq!(rtcp, Ok(plain_rtcp.clone()));
    }
}

/// RFC 7714 §16.1.1, with its session key.
#[test]
fn gcm_is_that_of_the_standard() {
    let mut salt = [0; 14];
    salt[..12].copy_from_slice(b"Quid pro quo");
    let encryption: Vec<u8> = (0..16).collect();
    let keys = || SessionKeys { encryption: encryption.clone(), authentication: [0; 20], salt };
    let suite = Suite::AeadAes128Gcm;
    let mut out = Outbound::new(&key(suite));
    out.keys.rtp = Transform::new(suite, &keys());
    let plain =
        [&octets("8040f17b8041f8d35501a0b2")[..], b"Gallia est omnis divisa in partes tres"]
            .concat();
    let secure = octets(
        "8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833
         899d7f27beb16a9152cf765ee4390cce",
    );
    assert_eq!(protected(&mut out, &plain, Outbound::protect), Ok(secure));
}

/// RFC 3711 §B.1, whose salt has 32 bits: what it masks the key with.
#[test]
fn f8_is_that_of_the_standard() {
    let mut salt = [0x55; 14];
    salt[..4].copy_from_slice(&octets("32f2870d"));
    let encryption = octets("234829008467be186c3de14aae72d62c");
    let keys = SessionKeys { encryption, authentication: [0; 20], salt };
    let suite = Suite::F8128HmacSha1_80;
    let transform = Transform::new(suite, &keys);
    let header = octets("806e5cba50681de55c621599");
    let f8 = f8_vector(&header, 0xd462_564a_0000);
    assert_eq!(f8[..], octets("006e5cba50681de55c621599d462564a"));
    let mut data = *b"pseudorandomness is the next best thing";
    transform.crypt(&Place { ssrc: 0, index: 0, f8 }, &mut data);
    let secret =
        octets("019ce7a26e7854014a6366aa95d4eefd 1ad4172a14f9faf455b7f1d4b62bd08f 562c0eef7c4802");
    assert_eq!(data[..], secret);
}

#[test]
fn each_suite_goes_there_and_back_over_wraps_losses_and_disorder() {
    for suite in Suite::ALL {
        let mki: &[u8] = if suite.is_aead() { &[] } else { &[0, 7] };
        let (mut out, mut inbound) =
            (Outbound::new(&with(suite, mki)), Inbound::new(&with(suite, mki)));
        let mut late = None;
        for number in 65_000..70_000u32 {
            let packet = rtp(number as u16, &number.to_be_bytes());
            let secure = protected(&mut out, &packet, Outbound::protect).expect("a packet");
            assert_eq!(secure.len(), packet.len() + suite.tag_length() + mki.len());
            match number % 50 {
                3 => continue,
                7 => late = Some((packet, secure)),
                _ => {
                    let got = taken(&mut inbound, &secure, Inbound::unprotect);
                    assert_eq!(got, Ok(packet), "{suite:?} {number}");
                    let again = taken(&mut inbound, &secure, Inbound::unprotect);
                    assert_eq!(again, Err(SrtpError::Replayed));
                }
            }
            if let Some((packet, secure)) = late.take_if(|_| number % 50 == 20) {
                assert_eq!(taken(&mut inbound, &secure, Inbound::unprotect), Ok(packet));
            }
        }
        let indices: Vec<_> = out.sources.indices().collect();
        assert_eq!(indices, [(0xcafe_babe, Some(69_999), None)]);
        let again = protected(&mut out, &rtp(69_999u32 as u16, b"other"), Outbound::protect);
        assert_eq!(again, Err(SrtpError::Replayed), "no key stream is used twice");
    }
}

/// A node that goes on with what another one left: no index is used twice, the roll-over counter is right.
#[test]
fn another_one_goes_on() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut out, mut inbound) = (Outbound::new(&key(suite)), Inbound::new(&key(suite)));
    for number in 65_500..65_600u32 {
        let secure = protected(&mut out, &rtp(number as u16, b"a"), Outbound::protect).unwrap();
        taken(&mut inbound, &secure, Inbound::unprotect).expect("genuine");
    }
    let mut other = Outbound::new(&key(suite));
    for (ssrc, rtp, rtcp) in out.sources.indices() {
        other.sources.resume(ssrc, rtp.map(|index| index + 1000), rtcp).expect("room");
    }
    let lost = protected(&mut other, &rtp(66_000u32 as u16, b"a"), Outbound::protect);
    assert_eq!(lost, Err(SrtpError::Replayed));
    let secure = protected(&mut other, &rtp(66_700u32 as u16, b"a"), Outbound::protect).unwrap();
    assert_eq!(taken(&mut inbound, &secure, Inbound::unprotect), Ok(rtp(66_700u32 as u16, b"a")));
    // A receiver that begins anew does not know how often the number has wrapped.
    let mut fresh = Inbound::new(&key(suite));
    let taken_by = |fresh: &mut Inbound| taken(fresh, &secure, Inbound::unprotect);
    assert_eq!(taken_by(&mut fresh), Err(SrtpError::NotAuthentic));
    fresh.sources.resume(0xcafe_babe, Some(66_000), None).expect("room");
    assert!(taken_by(&mut fresh).is_ok());
}

#[test]
fn strangers_leave_nothing_behind() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut inbound = Inbound::new(&key(suite));
    for ssrc in 0..1000u32 {
        let mut packet = rtp(1, &[0; 40]);
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        let got = taken(&mut inbound, &packet, Inbound::unprotect);
        assert_eq!(got, Err(SrtpError::NotAuthentic));
    }
    assert_eq!(inbound.sources.indices().count(), 0);
    let mut out = Outbound::new(&key(suite));
    let sent = |ssrc: u32| {
        let mut packet = rtp(1, b"a");
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        protected(&mut out, &packet, Outbound::protect).map(|_| ())
    };
    let sent: Vec<_> = (0..65).map(sent).collect();
    assert!(sent[..64].iter().all(Result::is_ok));
    assert_eq!(sent[64], Err(SrtpError::TooManySources));
}

/// An unencrypted SRTCP packet, which the flag E tells, is authenticated all the same.
#[test]
fn rtcp_that_is_not_encrypted_is_taken() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm] {
        let plain = octets("81c8000bcafebabe abababababababababababababababab");
        let keys = Keys::new(&key(suite));
        let trailer = 5u32.to_be_bytes();
        let mut packet = plain.clone();
        if suite.is_aead() {
            let place = Place { ssrc: 0xcafe_babe, index: 5, f8: [0; 16] };
            let aad = [&plain[..], &trailer].concat();
            packet.extend(keys.rtcp.seal(&place, &aad, &mut []).expect("a tag"));
            packet.extend(trailer);
        } else {
            packet.extend(trailer);
            let tag = keys.rtcp.tag([&packet, &[]]);
            packet.extend(&tag[..10]);
        }
        let mut inbound = Inbound::new(&key(suite));
        let got = taken(&mut inbound, &packet, Inbound::unprotect_rtcp);
        assert_eq!(got, Ok(plain), "{suite:?}");
        packet[10] ^= 1;
        let mut inbound = Inbound::new(&key(suite));
        let got = taken(&mut inbound, &packet, Inbound::unprotect_rtcp);
        assert_eq!(got, Err(SrtpError::NotAuthentic), "{suite:?}");
    }
}

fn suites() -> impl Strategy<Value = Suite> {
    proptest::sample::select(Suite::ALL.to_vec())
}

proptest! {
    /// Whatever comes, nothing is read or written beyond it.
    #[test]
    fn any_bytes_are_taken_or_not(
        suite in suites(),
        mki in proptest::collection::vec(any::<u8>(), 0..5),
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut inbound = Inbound::new(&with(suite, &mki));
        let mut buffer = bytes.clone();
        prop_assert!(inbound.unprotect(&mut buffer, bytes.len()).is_err());
        let mut buffer = bytes.clone();
        prop_assert!(inbound.unprotect_rtcp(&mut buffer, bytes.len()).is_err());
        prop_assert!(inbound.unprotect(&mut buffer, bytes.len() + 1).is_err());
        let mut out = Outbound::new(&with(suite, &mki));
        let mut buffer = bytes.clone();
        prop_assert!(out.protect(&mut buffer, bytes.len()).is_err());
    }

    /// A bit that changes on the way is noticed, wherever it is.
    #[test]
    fn a_changed_bit_is_noticed(
        suite in suites(),
        payload in proptest::collection::vec(any::<u8>(), 1..60),
        at in any::<proptest::sample::Index>(),
        bit in 0..8u8,
        control in any::<bool>(),
    ) {
        let mut out = Outbound::new(&key(suite));
        let packet = rtp(3, &payload);
        let secure = if control {
            protected(&mut out, &packet, Outbound::protect_rtcp)
        } else {
            protected(&mut out, &packet, Outbound::protect)
        };
        let mut secure = secure.expect("a packet");
        let at = at.index(secure.len());
        secure[at] ^= 1 << bit;
        let mut inbound = Inbound::new(&key(suite));
        let got = if control {
            taken(&mut inbound, &secure, Inbound::unprotect_rtcp)
        } else {
            taken(&mut inbound, &secure, Inbound::unprotect)
        };
        prop_assert!(got.is_err());
        prop_assert_eq!(inbound.sources.indices().count(), 0);
    }
}
