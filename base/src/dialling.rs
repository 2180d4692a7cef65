//! How people dial: national and international prefixes of one place.

/// What people dial before a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialling {
    /// The country code, digits.
    pub country: String,
    /// Before a national number, such as `0`; may be empty.
    pub trunk: String,
    /// Before an international number, such as `00`; empty if only `+` is known.
    pub international: String,
}

impl Dialling {
    /// The E.164 digits, without a plus sign, of what was dialled; `None` if it is no number of the
    /// public network, such as one without the trunk prefix.
    pub fn international(&self, dialled: &str) -> Option<String> {
        let abroad = dialled.strip_prefix(self.international.as_str());
        let digits = match abroad.filter(|_| !self.international.is_empty()) {
            Some(abroad) => abroad.to_owned(),
            None => self.national(dialled.strip_prefix(self.trunk.as_str())?),
        };
        // E.164 §6: a country code begins with no zero, and 15 digits are the most.
        let legal = (3..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit());
        legal.then_some(digits)
    }

    /// The E.164 digits of a national number, without its trunk prefix.
    pub fn national(&self, number: &str) -> String {
        format!("{}{number}", self.country)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialling(country: &str, trunk: &str, international: &str) -> Dialling {
        let [country, trunk, international] = [country, trunk, international].map(str::to_owned);
        Dialling { country, trunk, international }
    }

    #[test]
    fn prefixes_make_a_number_international() {
        let germany = dialling("49", "0", "00");
        assert_eq!(germany.international("030123").as_deref(), Some("4930123"));
        assert_eq!(germany.international("004530123").as_deref(), Some("4530123"));
        for own in ["1234", "110", "", "0", "00", "000123", "0x3", "01234567890123456"] {
            assert_eq!(germany.international(own), None, "{own}");
        }
        let denmark = dialling("45", "", "00");
        assert_eq!(denmark.international("30123456").as_deref(), Some("4530123456"));
        let america = dialling("1", "1", "011");
        assert_eq!(america.international("12125550100").as_deref(), Some("12125550100"));
        assert_eq!(america.international("0114930123").as_deref(), Some("4930123"));
    }
}
