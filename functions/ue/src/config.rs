//! What one phone is told about itself and its network.

use std::net::IpAddr;
use std::sync::Arc;

use auth::milenage::{Amf, Key};
use auth::sqn::Sqn;
use base::Transport;
use base::machine::Name;
use base::redact::Secret;
use base::time::Duration;
use sdp::Codec;
use sip::transaction::TimerValues;

/// One phone.
#[derive(Clone, Debug)]
pub struct UeConfig {
    /// The private identity (IMPI), or the user name of a plain SIP account.
    pub username: String,
    /// The public identity (IMPU), or the address of record, as a `sip:` URI. Further ones are
    /// learned from P-Associated-URI.
    pub identity: String,
    /// What proves the identity.
    pub credential: Credential,
    /// The home domain: the realm of credentials, and the host of numbers that are called.
    pub realm: String,
    /// The URI that REGISTER goes to, such as `sip:ims.mnc001.mcc001.3gppnetwork.org`.
    pub registrar: String,
    /// The P-CSCF or outbound proxy; `None` follows the URIs (RFC 3261 §8.1.2).
    pub proxy: Option<Name>,
    /// Further P-CSCFs: the phone keeps a flow to each beside that to `proxy`, RFC 5626. Needs an
    /// `instance` and a `reg_id`, which further flows count up from.
    pub further_proxies: Vec<Name>,
    /// The transport that Contact asks for; the way out is that of `proxy`.
    pub transport: Transport,
    /// `host:port` of our SIP listener, for Contact and Via.
    pub contact: String,
    /// P-Access-Network-Info as it is sent; empty sends none.
    pub access_network: String,
    /// The lifetime of a registration that is asked for, in seconds.
    pub expires: u32,
    /// What the phone can and wants.
    pub options: Options,
    /// Codecs in order of preference; `PCMA`, `PCMU` and `telephone-event` can be spoken.
    pub codecs: Vec<Codec>,
    /// What is said in calls.
    pub audio: Audio,
    /// How it is said and heard.
    pub media: MediaConfig,
    /// What is done with calls that come in.
    pub incoming: Incoming,
    /// T1, T2 and T4.
    pub timers: TimerValues,
    /// How soon a failed registration is tried again.
    pub retry: Retry,
    /// The text of User-Agent and Server.
    pub product: String,
}

impl UeConfig {
    /// A phone with everything that IR.92 asks for switched on. It is silent, answers after a
    /// second, and hears on the loopback address.
    pub fn new(username: &str, identity: &str, credential: Credential, realm: &str) -> UeConfig {
        UeConfig {
            username: username.to_owned(),
            identity: identity.to_owned(),
            credential,
            realm: realm.to_owned(),
            registrar: format!("sip:{realm}"),
            proxy: None,
            further_proxies: Vec::new(),
            transport: Transport::Udp,
            contact: "127.0.0.1:5060".to_owned(),
            access_network: "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010019b01".to_owned(),
            expires: 600_000,
            options: Options::default(),
            codecs: vec![Codec::pcma(), Codec::pcmu(), Codec::telephone_event(101)],
            audio: Audio::default(),
            media: MediaConfig::default(),
            incoming: Incoming::Answer { ring: Duration::from_secs(1) },
            timers: TimerValues::RFC3261,
            retry: Retry::default(),
            product: "Strowger".to_owned(),
        }
    }
}

/// What proves an identity.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A USIM: Digest-AKA, RFC 3310 and TS 33.203.
    Sim {
        /// The subscriber's key.
        k: Key,
        /// The operator's code, derived for this subscriber.
        opc: Key,
        /// The Authentication Management Field that the operator uses; a USIM checks none.
        amf: Amf,
        /// The sequence number accepted last.
        sqn: Sqn,
    },
    /// A password: Digest, RFC 7616.
    Password(Secret<String>),
}

/// What a phone can and wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The P- header fields and feature tags of TS 24.229.
    pub ims: bool,
    /// Reliable provisional responses, RFC 3262.
    pub prack_100rel: bool,
    /// Preconditions, RFC 3312; needs `prack_100rel`. The time is how long our own reservation
    /// takes once the session is described at both ends.
    pub preconditions: Option<Duration>,
    /// The session interval that is asked for, in seconds; 0 asks for none (RFC 4028).
    pub session_timer: u32,
    /// As callee: describe the session while ringing, and speak from then on (RFC 5009).
    pub early_media: bool,
    /// Subscribe to the own registration's state, RFC 3680.
    pub reg_event: bool,
    /// Requests take the flow of the registration to the proxy (RFC 5626 §4.3), large ones too;
    /// otherwise large ones go over TCP where the proxy takes it (RFC 3261 §18.1.1).
    pub same_flow: bool,
    /// `+sip.instance`, a URN without brackets, such as `urn:gsma:imei:90420156-025763-0`.
    pub instance: Option<String>,
    /// `reg-id`, RFC 5626 §4.2: which of the flows of the instance this phone is.
    pub reg_id: Option<u32>,
    /// Ask for GRUUs, RFC 5627, and use them; needs `instance`.
    pub gruu: bool,
    /// What is to be kept private of calls and texts, as a Privacy header field says it: `id`
    /// (RFC 3325), `header;session`. The caller is anonymous then, TS 24.229 §5.1.2A.1.1.
    pub privacy: Option<String>,
    /// `+g.3gpp.smsip`, TS 24.341.
    pub smsip: bool,
    /// What comes as SMS over IP is reported as it is, and nobody answers the service centre.
    pub raw_sms: bool,
    /// Register for emergency calls only, TS 24.229 §5.1.6.2.
    pub emergency: bool,
    /// Priority of calls, such as `psap-callback` for an emergency centre (RFC 7090).
    pub priority: Option<String>,
    /// What Call-IDs end with, as those of many phones do: RFC 3261 §20.8.
    pub call_id_host: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            ims: true,
            prack_100rel: true,
            preconditions: Some(Duration::ZERO),
            session_timer: 1800,
            early_media: false,
            reg_event: true,
            same_flow: true,
            instance: None,
            reg_id: None,
            gruu: true,
            privacy: None,
            smsip: true,
            raw_sms: false,
            emergency: false,
            priority: None,
            call_id_host: None,
        }
    }
}

/// Sound that is spoken: 8000 samples in a second.
#[derive(Clone, Debug)]
pub struct Audio {
    /// The samples; none is silence.
    pub samples: Arc<[i16]>,
    /// Whether they are said again and again; otherwise silence follows.
    pub repeat: bool,
}

impl Default for Audio {
    fn default() -> Audio {
        Audio { samples: Arc::from([]), repeat: true }
    }
}

/// How calls are said and heard.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Without media no socket is opened and nothing is said, though it is described.
    pub enabled: bool,
    /// Our address for RTP and RTCP: a real one, since it is described to the other side.
    pub address: IpAddr,
    /// No packet is sent later than this in a call; `None` sends as long as it lasts.
    pub talk: Option<Duration>,
    /// How much of what is heard is kept.
    pub recording: Duration,
    /// The delay of the playout buffer.
    pub playout: Duration,
}

impl Default for MediaConfig {
    fn default() -> MediaConfig {
        MediaConfig {
            enabled: true,
            address: IpAddr::from([127, 0, 0, 1]),
            talk: None,
            recording: Duration::from_secs(60),
            playout: Duration::from_millis(60),
        }
    }
}

/// What is done with calls that come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// They ring for a while and are answered.
    Answer {
        /// How long they ring.
        ring: Duration,
    },
    /// They are rejected with this status, 300 to 699.
    Reject(u16),
    /// They ring until an order says what to do.
    Manual,
}

/// RFC 5626 §4.5: how long to wait after a failed registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    /// The wait after the first failure; it doubles with each further one.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { base: Duration::from_secs(30), max: Duration::from_secs(1800) }
    }
}
