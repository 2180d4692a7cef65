//! Offers and wishes.

use super::Wish;

/// An offer with wishes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// The offer's name.
    pub name: &'static str,
    /// The offer.
    pub offer: String,
    /// The wishes.
    pub flags: &'static [Wish],
}

/// Every offer with every wish.
pub fn cases() -> Vec<Case> {
    let offers = OFFERS.iter().flat_map(|(name, head, sections)| {
        let offer = format!("{head}{sections}").replace('\n', "\r\n");
        WISHES.iter().map(move |flags| Case { name, offer: offer.clone(), flags })
    });
    offers.collect()
}

const HEAD: &str = "v=0\no=caller 11 12 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";
const BARE: &str = "v=0\no=caller 11 12 IN IP4 192.0.2.1\ns=-\nt=0 0\n";

const OFFERS: [(&str, &str, &str); 14] = [
    (
        "telephone",
        HEAD,
        "m=audio 4000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\na=sendrecv\n",
    ),
    (
        "codecs",
        HEAD,
        "m=audio 4000 RTP/AVP 96 9 8 3 101\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\na=rtpmap:9 G722/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:3 GSM/8000\na=rtpmap:101 telephone-event/8000\n",
    ),
    (
        "RTCP elsewhere",
        HEAD,
        "m=audio 4000 RTP/AVP 0\na=rtcp:4011 IN IP4 192.0.2.1\na=rtpmap:0 PCMU/8000\n",
    ),
    ("RTCP multiplexed", HEAD, "m=audio 4000 RTP/AVP 0\na=rtcp-mux\na=rtcp:4000\n"),
    (
        "sound and pictures",
        BARE,
        "m=audio 4000 RTP/AVP 0 8\nc=IN IP4 192.0.2.1\nm=video 4002 RTP/AVP 97\nc=IN IP4 192.0.2.1\na=rtpmap:97 H264/90000\na=fmtp:97 profile-level-id=42e01f\n",
    ),
    (
        "feedback",
        HEAD,
        "m=video 4002 RTP/AVPF 97\na=rtpmap:97 VP8/90000\na=rtcp-fb:97 nack pli\na=rtcp-fb:* ccm fir\n",
    ),
    ("hold", HEAD, "m=audio 4000 RTP/AVP 8\na=sendonly\n"),
    (
        "old hold",
        "v=0\no=caller 11 12 IN IP4 192.0.2.1\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\n",
        "m=audio 4000 RTP/AVP 8\n",
    ),
    (
        "refused section",
        HEAD,
        "m=audio 4000 RTP/AVP 8\nm=video 0 RTP/AVP 97\na=rtpmap:97 H264/90000\n",
    ),
    (
        "strange words",
        HEAD,
        "b=AS:80\nm=audio 4000 RTP/AVP 8\ni=hello\nb=TIAS:64000\na=label:7\na=x-unheard-of:1 2 3\na=silenceSupp:off - - - -\n",
    ),
    (
        "keys",
        HEAD,
        "m=audio 4000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBS\n",
    ),
    (
        "candidates",
        HEAD,
        "m=audio 4000 RTP/AVP 8\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\na=candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host\na=candidate:1 2 UDP 2130706430 192.0.2.1 4001 typ host\n",
    ),
    (
        "browser",
        "v=0\no=- 11 12 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0\na=msid-semantic: WMS stream\n",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 111 8 110\nc=IN IP4 192.0.2.1\na=rtcp:9 IN IP4 0.0.0.0\na=candidate:1 1 udp 2122260223 192.0.2.1 4000 typ host generation 0\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\na=fingerprint:sha-256 01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F:20\na=setup:actpass\na=mid:0\na=sendrecv\na=rtcp-mux\na=rtpmap:111 opus/48000/2\na=rtcp-fb:111 transport-cc\na=fmtp:111 minptime=10;useinbandfec=1\na=rtpmap:8 PCMA/8000\na=rtpmap:110 telephone-event/48000\n",
    ),
    (
        "names",
        "v=0\no=caller 11 12 IN IP4 192.0.2.1\ns=A call\ni=about\nc=IN IP4 192.0.2.1\nt=0 0\na=recvonly\n",
        "m=audio 4000 RTP/AVP 18 8\na=mid:sound\na=fmtp:18 annexb=no\n",
    ),
];

use Wish::{Flag, Key, List};

const WISHES: [&[Wish]; 34] = [
    &[],
    &[List("replace", &["origin"])],
    &[List("replace", &["session-connection"])],
    &[List("replace", &["origin", "session-connection"])],
    &[List("replace", &["zero-address"])],
    &[Flag("trust-address")],
    &[Flag("symmetric")],
    &[Flag("asymmetric")],
    &[Flag("strict-source")],
    &[Flag("port-latching")],
    &[Flag("no-rtcp-attribute")],
    &[Flag("full-rtcp-attribute")],
    &[Flag("generate-mid")],
    &[Key("media-address", "198.51.100.7")],
    &[Key("ICE", "remove")],
    &[Key("ICE", "force")],
    &[Key("ICE", "force"), Key("ICE-lite", "both")],
    &[Key("transport-protocol", "RTP/AVP")],
    &[Key("transport-protocol", "RTP/AVPF")],
    &[Key("transport-protocol", "RTP/SAVP")],
    &[Key("transport-protocol", "RTP/SAVP"), List("SDES", &["only-AES_CM_128_HMAC_SHA1_80"])],
    &[Key("transport-protocol", "RTP/SAVPF"), Key("ICE", "force")],
    &[Key("transport-protocol", "UDP/TLS/RTP/SAVP")],
    &[
        Key("transport-protocol", "UDP/TLS/RTP/SAVPF"),
        Key("ICE", "force"),
        List("rtcp-mux", &["require"]),
    ],
    &[Key("transport-protocol", "RTP/AVP"), Key("ICE", "remove"), List("rtcp-mux", &["demux"])],
    &[List("rtcp-mux", &["offer"])],
    &[List("rtcp-mux", &["require"])],
    &[List("rtcp-mux", &["demux"])],
    &[List("rtcp-mux", &["accept"])],
    &[List("rtcp-mux", &["reject"])],
    &[Flag("codec-transcode-PCMU")],
    &[Flag("codec-strip-PCMA")],
    &[Flag("codec-mask-all"), Flag("codec-transcode-PCMA")],
    &[Key("ptime", "40")],
];
