//! Overload control, the parameters `oc`, `oc-algo`, `oc-validity` and `oc-seq` of Via: RFC 7339 §4.

use core::fmt;

use base::time::Duration;

use super::Via;
use crate::lex::unquote;

/// What a client adds to its Via that can send less: §4.1 and §4.4. Nothing but the loss algorithm is known
/// here.
pub const OFFER: &str = ";oc;oc-algo=\"loss\"";

/// How long a request for less counts that does not say so, §4.2.
const DEFAULT_VALIDITY: Duration = Duration::from_millis(500);
/// The longest that is believed.
const LONGEST: Duration = Duration::from_secs(60);

/// What a server asks of a client: to send less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverloadControl {
    /// `oc`: so many requests of a hundred are not to be sent.
    pub reduction: u8,
    /// `oc-validity`: how long; zero ends it.
    pub validity: Duration,
    /// `oc-seq`: which of two is the newer one.
    pub sequence: Sequence,
}

/// The value of `oc-seq`, §4.3: up to twelve digits, a point and up to five.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Sequence(u64);

/// Steps of a sequence in each unit.
const STEPS: u64 = 100_000;

impl Sequence {
    /// The sequence of a time in microseconds.
    pub fn of_micros(micros: u64) -> Sequence {
        Sequence(micros / 10)
    }

    fn parse(text: &str) -> Option<Sequence> {
        let (whole, part) = text.split_once('.')?;
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(whole, 12) || !digits(part, 5) {
            return None;
        }
        let part = part.parse::<u64>().ok()? * 10u64.pow(5 - part.len() as u32);
        Some(Sequence(whole.parse::<u64>().ok()? * STEPS + part))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:05}", self.0 / STEPS, self.0 % STEPS)
    }
}

/// Whether the client of this Via can be asked for less, by the loss algorithm.
pub fn is_offered(via: &Via<'_>) -> bool {
    let algorithms = unquote(via.params.get("oc-algo").unwrap_or(""));
    let knows = algorithms.split(',').any(|name| name.trim().eq_ignore_ascii_case("loss"));
    via.params.get("oc") == Some("") && knows
}

impl OverloadControl {
    /// What a server put into our Via; `None` if it asks for nothing, or by another algorithm.
    pub fn parse(via: &Via<'_>) -> Option<OverloadControl> {
        let reduction = via.params.get("oc")?.parse().ok().filter(|percent| *percent <= 100)?;
        let algorithm = unquote(via.params.get("oc-algo").unwrap_or("loss"));
        if !algorithm.trim().eq_ignore_ascii_case("loss") {
            return None;
        }
        let validity = match via.params.get("oc-validity") {
            Some(text) => Duration::from_millis(text.parse().ok()?),
            None => DEFAULT_VALIDITY,
        };
        let sequence = Sequence::parse(via.params.get("oc-seq").unwrap_or("0.0"))?;
        Some(OverloadControl { reduction, validity: validity.min(LONGEST), sequence })
    }

    /// The Via of a client, with what is asked of it instead of its offer.
    pub fn put_into(&self, via: &Via<'_>) -> String {
        let mut out = format!("SIP/2.0/{} {}", via.transport, via.host);
        if let Some(port) = via.port {
            out.push_str(&format!(":{port}"));
        }
        let OverloadControl { reduction, validity, sequence } = self;
        let validity = validity.as_millis();
        // First, so that no open quote of others swallows it.
        out.push_str(&format!(
            ";oc={reduction};oc-algo=\"loss\";oc-validity={validity};oc-seq={sequence}"
        ));
        via.params.write_others(&mut out, &["oc", "oc-algo", "oc-validity", "oc-seq"]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(params: &str) -> String {
        format!("SIP/2.0/UDP p1.example.net:5070;branch=z9hG4bK2d4{params}")
    }

    fn parse(params: &str) -> Option<OverloadControl> {
        OverloadControl::parse(&Via::parse(&via(params)).unwrap())
    }

    #[test]
    fn what_a_server_asks_replaces_the_offer() {
        let offer = via(&format!("{OFFER};received=192.0.2.111"));
        let offer = Via::parse(&offer).unwrap();
        assert!(is_offered(&offer) && OverloadControl::parse(&offer).is_none());
        let asked = OverloadControl {
            reduction: 20,
            validity: Duration::from_millis(500),
            sequence: Sequence::of_micros(1_282_321_615_782_000),
        };
        let told = asked.put_into(&offer);
        assert_eq!(
            told,
            "SIP/2.0/UDP p1.example.net:5070;oc=20;oc-algo=\"loss\";oc-validity=500;\
             oc-seq=1282321615.78200;branch=z9hG4bK2d4;received=192.0.2.111"
        );
        assert_eq!(OverloadControl::parse(&Via::parse(&told).unwrap()), Some(asked));
        assert!(!is_offered(&Via::parse(&told).unwrap()));
    }

    #[test]
    fn other_algorithms_and_nonsense_are_overlooked() {
        for legal in [";oc=0", ";oc=100;oc-algo=\"loss\";oc-validity=0;oc-seq=1.5"] {
            assert!(parse(legal).is_some(), "{legal}");
        }
        for wrong in [
            "",
            ";oc",
            ";oc=101",
            ";oc=-1",
            ";oc=x",
            ";oc=20;oc-algo=\"rate\"",
            ";oc=20;oc-validity=x",
            ";oc=20;oc-seq=1",
            ";oc=20;oc-seq=1.123456",
            ";oc=20;oc-seq=1234567890123.0",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse(";oc=5;oc-validity=99999999").unwrap().validity, LONGEST);
        for none in [";oc", ";oc-algo=\"loss\"", ";oc;oc-algo=\"rate\"", ";oc=3;oc-algo=\"loss\""] {
            assert!(!is_offered(&Via::parse(&via(none)).unwrap()), "{none}");
        }
        assert!(is_offered(&Via::parse(&via(";oc;oc-algo=\"A, LOSS\"")).unwrap()));
    }

    #[test]
    fn sequences_are_numbers() {
        let of = |text| Sequence::parse(text).unwrap();
        assert!(of("1.2") > of("1.10") && of("10.0") > of("9.99999"));
        assert_eq!(of("1.2").to_string(), "1.20000");
    }
}
