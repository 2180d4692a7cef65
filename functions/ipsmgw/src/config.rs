//! How an IP-SM-GW is set up.

use base::Flow;
pub use base::dialling::Dialling;
use base::machine::Name;
use base::time::Duration;
use base::trust::Networks;
use sip::Uri;
use sms::address::TypeOfNumber;
use sms::time_stamp::Zone;
use sms::{Address, Number};

/// Configuration of an IP-SM-GW.
#[derive(Clone, Debug)]
pub struct IpSmGwConfig {
    /// Its configured host name.
    pub host: String,
    /// Its port in URIs; `None` leaves it out.
    pub port: Option<u16>,
    /// The I-CSCF through which texts are delivered.
    pub icscf: Name,
    /// The number of the service centre that it is.
    pub service_centre: Number,
    /// The time zone of the time stamps.
    pub zone: Zone,
    /// How numbers that are not international are read; `None` refuses them.
    pub dialling: Option<Dialling>,
    /// Whose assertions are believed; others are refused.
    pub trust: Networks,
    /// How many texts it keeps.
    pub limits: Limits,
    /// How long it waits.
    pub patience: Patience,
}

/// How many texts are kept, status reports included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For one recipient.
    pub per_recipient: usize,
    /// In all.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_recipient: 100, total: 100_000 }
    }
}

/// How long the gateway waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For the phone's answer (RP-ACK or RP-ERROR) to what was delivered; TS 24.011 §10 gives the network
    /// 35 s to 45 s.
    pub answer: Duration,
    /// Before the second attempt; doubled before each further one.
    pub retry: Duration,
    /// Between two attempts at most.
    pub longest_retry: Duration,
    /// The validity period of a text that has none.
    pub validity: Duration,
    /// The longest validity period that is granted.
    pub longest_validity: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        const DAY: u64 = 86_400;
        Patience {
            answer: Duration::from_secs(40),
            retry: Duration::from_secs(60),
            longest_retry: Duration::from_secs(3600),
            validity: Duration::from_secs(3 * DAY),
            longest_validity: Duration::from_secs(14 * DAY),
        }
    }
}

impl IpSmGwConfig {
    /// `host` or `host:port`.
    pub fn sent_by(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Its own SIP URI.
    pub fn uri(&self) -> String {
        format!("sip:{}", self.sent_by())
    }

    /// Whether a URI names this gateway: by its name, or by the address that a message came in at.
    pub(crate) fn is_us(&self, uri: &str, flow: &Flow) -> bool {
        let Some(uri) = Uri::parse(uri).and_then(Uri::sip) else { return false };
        let port = uri.port.unwrap_or(5060);
        if uri.host.eq_ignore_ascii_case(&self.host) {
            return port == self.port.unwrap_or(5060);
        }
        let local = flow.local.socket_addr();
        local.is_some_and(|l| sip::uri::literal(uri.host) == Some(l.ip()) && port == l.port())
    }

    /// The `tel:` URI of a destination; `None` of one that nobody has.
    pub(crate) fn recipient(&self, destination: &Address) -> Option<String> {
        let number = destination.number()?;
        let digits = number.digits.as_str();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let dialling = self.dialling.as_ref();
        let international = match number.kind {
            TypeOfNumber::International => digits.to_owned(),
            TypeOfNumber::National => dialling?.national(digits),
            _ => dialling?.international(digits)?,
        };
        Some(format!("tel:+{international}"))
    }
}
