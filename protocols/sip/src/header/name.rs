//! Header field names: known ones as an enum, RFC 3261 §20 and its extensions.

macro_rules! names {
    ($($variant:ident $text:literal $compact:literal;)*) => {
        /// A header field name. Comparison is without case (RFC 3261 §7.3.1), so a known name is one
        /// value however it was spelt.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[allow(missing_docs, reason = "each variant is the name it spells")]
        pub enum HeaderName {
            $($variant,)*
            /// A name that this list does not have; the message keeps its spelling.
            Other,
        }

        const NAMES: &[(HeaderName, &str, &str)] = &[$((HeaderName::$variant, $text, $compact),)*];

        impl HeaderName {
            /// The name as the standards spell it; empty for `Other`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(HeaderName::$variant => $text,)*
                    HeaderName::Other => "",
                }
            }
        }
    };
}

names! {
    Accept "Accept" "";
    AcceptContact "Accept-Contact" "a";
    AcceptEncoding "Accept-Encoding" "";
    AcceptLanguage "Accept-Language" "";
    AlertInfo "Alert-Info" "";
    Allow "Allow" "";
    AllowEvents "Allow-Events" "u";
    AuthenticationInfo "Authentication-Info" "";
    Authorization "Authorization" "";
    CallId "Call-ID" "i";
    CallInfo "Call-Info" "";
    Contact "Contact" "m";
    ContentDisposition "Content-Disposition" "";
    ContentEncoding "Content-Encoding" "e";
    ContentLanguage "Content-Language" "";
    ContentLength "Content-Length" "l";
    ContentType "Content-Type" "c";
    CSeq "CSeq" "";
    Date "Date" "";
    ErrorInfo "Error-Info" "";
    Event "Event" "o";
    Expires "Expires" "";
    FeatureCaps "Feature-Caps" "";
    FlowTimer "Flow-Timer" "";
    From "From" "f";
    Geolocation "Geolocation" "";
    HistoryInfo "History-Info" "";
    Identity "Identity" "y";
    InReplyTo "In-Reply-To" "";
    InfoPackage "Info-Package" "";
    Join "Join" "";
    MaxBreadth "Max-Breadth" "";
    MaxForwards "Max-Forwards" "";
    MimeVersion "MIME-Version" "";
    MinExpires "Min-Expires" "";
    MinSe "Min-SE" "";
    Organization "Organization" "";
    PAccessNetworkInfo "P-Access-Network-Info" "";
    PAssertedIdentity "P-Asserted-Identity" "";
    PAssertedService "P-Asserted-Service" "";
    PAssociatedUri "P-Associated-URI" "";
    PCalledPartyId "P-Called-Party-ID" "";
    PChargingFunctionAddresses "P-Charging-Function-Addresses" "";
    PChargingVector "P-Charging-Vector" "";
    PEarlyMedia "P-Early-Media" "";
    PPreferredIdentity "P-Preferred-Identity" "";
    PPreferredService "P-Preferred-Service" "";
    PProfileKey "P-Profile-Key" "";
    PServedUser "P-Served-User" "";
    PUserDatabase "P-User-Database" "";
    PVisitedNetworkId "P-Visited-Network-ID" "";
    Path "Path" "";
    Priority "Priority" "";
    Privacy "Privacy" "";
    ProxyAuthenticate "Proxy-Authenticate" "";
    ProxyAuthorization "Proxy-Authorization" "";
    ProxyRequire "Proxy-Require" "";
    RAck "RAck" "";
    RSeq "RSeq" "";
    Reason "Reason" "";
    RecordRoute "Record-Route" "";
    RecvInfo "Recv-Info" "";
    ReferSub "Refer-Sub" "";
    ReferTo "Refer-To" "r";
    ReferredBy "Referred-By" "b";
    RejectContact "Reject-Contact" "j";
    Replaces "Replaces" "";
    ReplyTo "Reply-To" "";
    RequestDisposition "Request-Disposition" "d";
    Require "Require" "";
    ResourcePriority "Resource-Priority" "";
    RetryAfter "Retry-After" "";
    Route "Route" "";
    SecurityClient "Security-Client" "";
    SecurityServer "Security-Server" "";
    SecurityVerify "Security-Verify" "";
    Server "Server" "";
    ServiceRoute "Service-Route" "";
    SessionExpires "Session-Expires" "x";
    SessionId "Session-ID" "";
    SipEtag "SIP-ETag" "";
    SipIfMatch "SIP-If-Match" "";
    Subject "Subject" "s";
    SubscriptionState "Subscription-State" "";
    Supported "Supported" "k";
    TargetDialog "Target-Dialog" "";
    Timestamp "Timestamp" "";
    To "To" "t";
    Unsupported "Unsupported" "";
    UserAgent "User-Agent" "";
    UserToUser "User-to-User" "";
    Via "Via" "v";
    Warning "Warning" "";
    WwwAuthenticate "WWW-Authenticate" "";
}

/// Longest name in the list, plus one.
const LENGTHS: usize = 30;
/// The places of a first letter, whatever its case.
const LETTERS: usize = 32;

/// Where names of this length and first letter are in [`SORTED`].
const fn place(length: usize, first: u8) -> usize {
    length * LETTERS + (first % LETTERS as u8) as usize
}

/// For each place, the first of its names in [`SORTED`].
const fn starts() -> [u8; LENGTHS * LETTERS + 1] {
    let mut counts = [0; LENGTHS * LETTERS + 1];
    let mut i = 0;
    while i < NAMES.len() {
        counts[place(NAMES[i].1.len(), NAMES[i].1.as_bytes()[0]) + 1] += 1;
        i += 1;
    }
    let mut at = 1;
    while at < counts.len() {
        counts[at] += counts[at - 1];
        at += 1;
    }
    counts
}

static STARTS: [u8; LENGTHS * LETTERS + 1] = starts();

/// The names in the order of their places.
static SORTED: [(HeaderName, &str); NAMES.len()] = {
    let mut out = [(HeaderName::Other, ""); NAMES.len()];
    let mut next = starts();
    let mut i = 0;
    while i < NAMES.len() {
        let place = place(NAMES[i].1.len(), NAMES[i].1.as_bytes()[0]);
        out[next[place] as usize] = (NAMES[i].0, NAMES[i].1);
        next[place] += 1;
        i += 1;
    }
    out
};

impl HeaderName {
    /// The name of this token, compact forms (RFC 3261 §7.3.3) included.
    pub fn parse(token: &[u8]) -> HeaderName {
        if let [letter] = token {
            let letter = letter.to_ascii_lowercase();
            return NAMES
                .iter()
                .find(|(_, _, compact)| compact.as_bytes() == [letter])
                .map_or(HeaderName::Other, |(name, _, _)| *name);
        }
        let Some(first) = token.first().filter(|_| token.len() < LENGTHS) else {
            return HeaderName::Other;
        };
        let place = place(token.len(), *first);
        let (start, end) = (usize::from(STARTS[place]), usize::from(STARTS[place + 1]));
        // Nearly all are spelt as the standards spell them.
        SORTED[start..end]
            .iter()
            .find(|(_, text)| {
                text.as_bytes() == token || text.as_bytes().eq_ignore_ascii_case(token)
            })
            .map_or(HeaderName::Other, |(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for (name, text, compact) in NAMES {
            assert_eq!(HeaderName::parse(text.as_bytes()), *name);
            assert_eq!(HeaderName::parse(text.to_uppercase().as_bytes()), *name);
            assert_eq!(name.as_str(), *text);
            if !compact.is_empty() {
                assert_eq!(HeaderName::parse(compact.as_bytes()), *name);
            }
        }
        assert_eq!(HeaderName::parse(b"X-Strange"), HeaderName::Other);
        assert_eq!(HeaderName::parse(b"q"), HeaderName::Other);
        assert_eq!(HeaderName::parse(&[b'a'; 300]), HeaderName::Other);
    }
}
