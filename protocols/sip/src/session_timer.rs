//! Session timers of a user agent, RFC 4028.

use base::Instant;
use base::time::Duration;

use crate::header::{HeaderName, Refresher, SessionExpires, delta_seconds};
use crate::message::Message;

/// The smallest legal Min-SE, §5.
pub const MIN_SE: u32 = 90;

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// We refresh: send an UPDATE or re-INVITE.
    Refresh,
    /// The peer did not refresh: send a BYE (§10).
    Expired,
}

/// The running timer of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionTimer {
    /// The session interval in seconds.
    pub seconds: u32,
    /// Whether we refresh.
    pub we_refresh: bool,
    refreshed: Instant,
}

impl SessionTimer {
    /// The timer that a 2xx agrees on; `None` if there is none. `we_sent` says whether the request
    /// was ours.
    pub fn agreed(now: Instant, response: &Message, we_sent: bool) -> Option<SessionTimer> {
        let value = response.get(HeaderName::SessionExpires).and_then(SessionExpires::parse)?;
        // §7.2: a missing refresher in a response is an error of the peer; then the UAC refreshes.
        let uac = value.refresher != Some(Refresher::Uas);
        let we_refresh = uac == we_sent;
        Some(SessionTimer { seconds: value.seconds.max(MIN_SE), we_refresh, refreshed: now })
    }

    /// When something is due, and what: a refresh after half the interval, the end when a third of it
    /// or 32 s are left, whichever is less (§10).
    pub fn due(&self) -> (Instant, Due) {
        let seconds = u64::from(self.seconds);
        if self.we_refresh {
            return (self.refreshed + Duration::from_secs(seconds / 2), Due::Refresh);
        }
        let margin = 32.min(seconds / 3);
        (self.refreshed + Duration::from_secs(seconds - margin), Due::Expired)
    }
}

/// What a UAS does with the Session-Expires of a request, §9.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// No timer runs.
    None,
    /// Put this into the 2xx; with `require`, Require: timer as well.
    Accept {
        /// The value.
        value: SessionExpires,
        /// Whether the UAC supports timers and has to know.
        require: bool,
    },
    /// Answer 422 with this Min-SE.
    TooSmall(u32),
}

/// Negotiates as UAS. `preferred` is the interval that we want when the request has none; 0 is none.
pub fn answer(request: &Message, preferred: u32, min_se: u32) -> Answer {
    let supported = request.lists(HeaderName::Supported, "timer");
    let asked = request.get(HeaderName::SessionExpires).and_then(SessionExpires::parse);
    match asked {
        Some(asked) if asked.seconds < min_se && supported => Answer::TooSmall(min_se),
        Some(asked) => {
            let refresher = match asked.refresher {
                Some(side) if supported => side,
                _ if supported => Refresher::Uac,
                _ => Refresher::Uas,
            };
            let seconds = asked.seconds.max(min_se);
            let value = SessionExpires { seconds, refresher: Some(refresher) };
            Answer::Accept { value, require: refresher == Refresher::Uac }
        }
        None if preferred == 0 => Answer::None,
        None => {
            let least = request.get(HeaderName::MinSe).and_then(delta_seconds).unwrap_or(0);
            let refresher = if supported { Refresher::Uac } else { Refresher::Uas };
            let value =
                SessionExpires { seconds: preferred.max(least), refresher: Some(refresher) };
            Answer::Accept { value, require: supported }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Method;

    fn request(expires: &str, supported: bool) -> Message {
        let mut request = Message::request(Method::Invite, "sip:b");
        if !expires.is_empty() {
            request.push(HeaderName::SessionExpires, expires);
        }
        if supported {
            request.push(HeaderName::Supported, "100rel, timer");
        }
        request
    }

    #[test]
    fn the_uas_negotiates() {
        assert_eq!(answer(&request("60", true), 0, 90), Answer::TooSmall(90));
        assert_eq!(answer(&request("", false), 0, 90), Answer::None);
        let value = |seconds, refresher| SessionExpires { seconds, refresher: Some(refresher) };
        assert_eq!(
            answer(&request("1800;refresher=uas", true), 0, 90),
            Answer::Accept { value: value(1800, Refresher::Uas), require: false }
        );
        assert_eq!(
            answer(&request("60", false), 0, 90),
            Answer::Accept { value: value(90, Refresher::Uas), require: false }
        );
        assert_eq!(
            answer(&request("", true), 600, 90),
            Answer::Accept { value: value(600, Refresher::Uac), require: true }
        );
    }

    #[test]
    fn one_side_refreshes_at_half_and_the_other_gives_up_before_the_end() {
        let now = Instant::from_unix_micros(0);
        let mut ok = Message::response(200);
        ok.push(HeaderName::SessionExpires, "90;refresher=uac");
        let ours = SessionTimer::agreed(now, &ok, true).unwrap();
        let theirs = SessionTimer::agreed(now, &ok, false).unwrap();
        assert_eq!(ours.due(), (now + Duration::from_secs(45), Due::Refresh));
        assert_eq!(theirs.due(), (now + Duration::from_secs(60), Due::Expired));
    }
}
