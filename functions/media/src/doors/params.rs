//! The parameters that commands show and set, with rtpengine's words. What is set lasts until the configuration is read
//! anew.

use base::time::Duration;

use crate::config::MediaConfig;

/// One of them.
pub(super) struct Parameter {
    /// The word behind `list` and `set`.
    pub(super) word: &'static str,
    /// Its name in the configuration of rtpengine.
    pub(super) name: &'static str,
    /// What `list` writes before the number.
    pub(super) before: &'static str,
    get: fn(&mut MediaConfig) -> Slot<'_>,
}

/// Where a number is kept, and what it means there.
enum Slot<'a> {
    /// A negative number is no limit.
    Most(&'a mut usize),
    Seconds(&'a mut Duration),
    /// 0 is no limit.
    Limit(&'a mut Option<Duration>),
}

pub(super) const ALL: [Parameter; 6] = [
    Parameter {
        word: "maxsessions",
        name: "max-sessions",
        before: "Maximum sessions configured on rtpengine: ",
        get: |config| Slot::Most(&mut config.max_sessions),
    },
    Parameter {
        word: "timeout",
        name: "timeout",
        before: "TIMEOUT=",
        get: |config| Slot::Seconds(&mut config.timeouts.timeout),
    },
    Parameter {
        word: "silenttimeout",
        name: "silent-timeout",
        before: "SILENT_TIMEOUT=",
        get: |config| Slot::Seconds(&mut config.timeouts.silent),
    },
    Parameter {
        word: "finaltimeout",
        name: "final-timeout",
        before: "FINAL_TIMEOUT=",
        get: |config| Slot::Limit(&mut config.timeouts.final_timeout),
    },
    Parameter {
        word: "offertimeout",
        name: "offer-timeout",
        before: "OFFER_TIMEOUT=",
        get: |config| Slot::Seconds(&mut config.timeouts.offer),
    },
    Parameter {
        word: "deletedelay",
        name: "delete-delay",
        before: "",
        get: |config| Slot::Seconds(&mut config.timeouts.delete_delay),
    },
];

impl Parameter {
    pub(super) fn of(word: &str) -> Option<&'static Parameter> {
        ALL.iter().find(|parameter| parameter.word == word)
    }

    pub(super) fn value(&self, config: &mut MediaConfig) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        match (self.get)(config) {
            Slot::Most(most) => i64::try_from(*most).unwrap_or(-1),
            Slot::Seconds(time) => seconds(*time),
            Slot::Limit(time) => time.map_or(0, seconds),
        }
    }

    /// Sets it; `None` if the number means nothing here.
    pub(super) fn set(&self, config: &mut MediaConfig, value: i64) -> Option<()> {
        let seconds = || u32::try_from(value).ok().map(|value| Duration::from_secs(value.into()));
        match (self.get)(config) {
            Slot::Most(most) => *most = usize::try_from(value).unwrap_or(usize::MAX),
            Slot::Seconds(time) => *time = seconds()?,
            Slot::Limit(time) => *time = Some(seconds()?).filter(|time| !time.is_zero()),
        }
        Some(())
    }
}
