//! Session timers, RFC 4028, both roles.

use base::Instant;
use base::time::Duration;
use sip::header::{Refresher, SessionExpires};
use sip::session_timer::{Answer, Due, MIN_SE, SessionTimer, answer};
use sip::{HeaderName, Message};

use super::*;

impl Call {
    /// Asks for a timer in an INVITE or UPDATE of ours.
    pub(super) fn ask_for_timer(&self, request: &mut Message) {
        let seconds = self.timer.map_or(self.interval, |timer| timer.seconds.max(self.interval));
        if seconds == 0 {
            return;
        }
        // §7.4: a refresh keeps the roles.
        let side = |t: SessionTimer| if t.we_refresh { Refresher::Uac } else { Refresher::Uas };
        let value = SessionExpires { seconds, refresher: self.timer.map(side) };
        request.push(HeaderName::SessionExpires, value.to_string());
        request.push(HeaderName::MinSe, MIN_SE.to_string());
    }

    /// Answers the timer of an INVITE or UPDATE in its 2xx.
    pub(super) fn answer_timer(&self, core: &Core, request: &Message, response: &mut Message) {
        let preferred = self.timer.map_or(core.config.options.session_timer, |t| t.seconds);
        if let Answer::Accept { value, require } = answer(request, preferred, MIN_SE) {
            response.push(HeaderName::SessionExpires, value.to_string());
            if require {
                response.push(HeaderName::Require, "timer");
            }
        }
    }

    /// The timer that a 2xx agreed on runs from now.
    pub(super) fn start_timer(
        &mut self,
        core: &mut Core,
        now: Instant,
        response: &Message,
        we_sent: bool,
    ) {
        self.timer = SessionTimer::agreed(now, response, we_sent);
        self.refreshing = false;
        match &self.timer {
            Some(timer) => core.arm(self.key(CallTimer::Session), timer.due().0),
            None => core.disarm(self.key(CallTimer::Session)),
        }
    }

    pub(super) fn session_due(&mut self, core: &mut Core, now: Instant) {
        let Some(timer) = self.timer else { return };
        match timer.due().1 {
            Due::Refresh if !self.refreshing => {
                self.refreshing = true;
                // If nothing comes of it, the session ends when the peer ends it, too (§10).
                let seconds = u64::from(timer.seconds);
                let rest = seconds - seconds / 2 - 32.min(seconds / 3);
                core.arm(self.key(CallTimer::Session), now + Duration::from_secs(rest));
                self.want(core, now, Change::Refresh);
            }
            _ => self.finish(core, now, By::Failure, 408, "the session timer expired".into()),
        }
    }
}
