//! What two ends agree on about AMR and AMR-WB: the media type parameters of RFC 4867 §8.1 and §8.2.

use serde::{Deserialize, Serialize};

/// AMR or AMR-WB, one channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Amr {
    /// AMR-WB, at 16,000 Hz.
    pub wide: bool,
    /// Each part of a payload begins with a byte of its own (`octet-align=1`, RFC 4867 §4.4); the usual one, bandwidth-efficient,
    /// does not.
    pub octet_aligned: bool,
    /// The modes that may be sent, one bit each, the lowest for mode 0; 0 if all may (`mode-set`).
    pub modes: u16,
}

impl Amr {
    /// As `a=fmtp` describes it; `None` if that asks for what we do not do: CRCs, robust sorting, interleaving, or
    /// modes that there are not.
    pub fn described(wide: bool, fmtp: Option<&str>) -> Option<Amr> {
        let mut amr = Amr { wide, ..Amr::default() };
        for parameter in fmtp.unwrap_or_default().split(';') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (name, value) = (name.trim(), value.trim());
            match name.to_ascii_lowercase().as_str() {
                "octet-align" => amr.octet_aligned = value == "1",
                "mode-set" => amr.modes = mode_set(value, amr.most())?,
                "crc" | "robust-sorting" if value == "1" => return None,
                "interleaving" => return None,
                _ => {}
            }
        }
        Some(amr)
    }

    /// The value of `a=fmtp`, if it says anything.
    pub fn fmtp(self) -> Option<String> {
        let aligned = self.octet_aligned.then(|| "octet-align=1".to_owned());
        let modes: Vec<String> = (0..self.most())
            .filter(|mode| self.modes & 1 << mode != 0)
            .map(|mode| mode.to_string())
            .collect();
        let modes = (!modes.is_empty()).then(|| format!("mode-set={}", modes.join(",")));
        let all: Vec<String> = aligned.into_iter().chain(modes).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// How many modes there are: 4.75 to 12.2 kbit/s, or 6.6 to 23.85.
    fn most(self) -> u16 {
        if self.wide { 9 } else { 8 }
    }
}

fn mode_set(text: &str, most: u16) -> Option<u16> {
    text.split(',').try_fold(0, |modes, mode| {
        let mode: u16 = mode.trim().parse().ok().filter(|mode| *mode < most)?;
        Some(modes | 1 << mode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_described_again() {
        let of = |fmtp| Amr::described(true, Some(fmtp));
        let amr = of("mode-set=0, 2,8;mode-change-capability=2 ; Octet-Align=1").unwrap();
        assert_eq!(amr, Amr { wide: true, octet_aligned: true, modes: 0b1_0000_0101 });
        assert_eq!(amr.fmtp().unwrap(), "octet-align=1; mode-set=0,2,8");
        assert_eq!(of(&amr.fmtp().unwrap()), Some(amr));
        assert_eq!(Amr::described(false, None).unwrap().fmtp(), None);
    }

    #[test]
    fn what_we_do_not_do_is_not_ours() {
        for fmtp in ["crc=1", "octet-align=1;robust-sorting=1", "interleaving=4", "mode-set=8"] {
            assert_eq!(Amr::described(false, Some(fmtp)), None, "{fmtp}");
        }
        assert!(Amr::described(false, Some("crc=0;max-red=220")).is_some());
    }
}
