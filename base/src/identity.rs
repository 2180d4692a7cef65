//! Identities of subscribers and networks, TS 23.003.

use core::fmt;

/// International Mobile Subscriber Identity, TS 23.003 §2.2: 6 to 15 digits, MCC first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imsi(String);

/// Why an identity was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdentityError {
    /// An IMSI is 6 to 15 decimal digits.
    #[error("an IMSI is 6 to 15 decimal digits")]
    Imsi,
    /// An MSISDN is up to 15 decimal digits without a plus sign.
    #[error("an MSISDN is 3 to 15 decimal digits, country code first")]
    Msisdn,
    /// MCC is 3 digits, MNC 2 or 3.
    #[error("a PLMN is 3 digits of MCC and 2 or 3 of MNC")]
    Plmn,
}

impl Imsi {
    /// Checks and takes the digits.
    pub fn new(digits: &str) -> Result<Imsi, IdentityError> {
        let legal = (6..=15).contains(&digits.len()) && all_digits(digits);
        if legal { Ok(Imsi(digits.to_owned())) } else { Err(IdentityError::Imsi) }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Imsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Imsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Mobile subscriber number, E.164 without the plus sign, TS 23.003 §3.3.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msisdn(String);

impl Msisdn {
    /// Checks and takes the digits; a leading plus sign is dropped.
    pub fn new(digits: &str) -> Result<Msisdn, IdentityError> {
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let legal = (3..=15).contains(&digits.len()) && all_digits(digits);
        if legal { Ok(Msisdn(digits.to_owned())) } else { Err(IdentityError::Msisdn) }
    }

    /// The digits, without a plus sign.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mobile network, TS 23.003 §12.1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Plmn {
    /// Mobile country code, 3 digits.
    pub mcc: String,
    /// Mobile network code, 2 or 3 digits.
    pub mnc: String,
}

impl Plmn {
    /// Checks and takes the digits.
    pub fn new(mcc: &str, mnc: &str) -> Result<Plmn, IdentityError> {
        let legal =
            mcc.len() == 3 && (2..=3).contains(&mnc.len()) && all_digits(mcc) && all_digits(mnc);
        if legal {
            Ok(Plmn { mcc: mcc.to_owned(), mnc: mnc.to_owned() })
        } else {
            Err(IdentityError::Plmn)
        }
    }

    /// The home network domain name, TS 23.003 §13.2: `ims.mncNNN.mccNNN.3gppnetwork.org`.
    pub fn home_domain(&self) -> String {
        format!("ims.mnc{:0>3}.mcc{}.3gppnetwork.org", self.mnc, self.mcc)
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_domain_pads_the_mnc() {
        let plmn = Plmn::new("001", "01").unwrap();
        assert_eq!(plmn.home_domain(), "ims.mnc001.mcc001.3gppnetwork.org");
    }

    #[test]
    fn wrong_digits_are_refused() {
        assert_eq!(Imsi::new("00101x"), Err(IdentityError::Imsi));
        assert_eq!(Imsi::new("0010100000000012"), Err(IdentityError::Imsi));
        assert_eq!(Msisdn::new("+1"), Err(IdentityError::Msisdn));
        assert_eq!(Msisdn::new("+49123456").unwrap().as_str(), "49123456");
        assert!(Plmn::new("01", "01").is_err());
    }
}
