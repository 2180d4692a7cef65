//! Session timers, RFC 4028, both roles.

use base::Instant;
use base::time::Duration;
use sip::header::{Refresher, SessionExpires, delta_seconds};
use sip::session_timer::{Answer, Due, MIN_SE, SessionTimer, answer};
use sip::{HeaderName, Message};

use super::*;

impl Call {
    /// Asks for a timer in an INVITE or UPDATE of ours: for the agreed interval, else for the one that
    /// we want, but never for less than the largest Min-SE (§7.4).
    pub(super) fn ask_for_timer(&self, core: &Core, request: &mut Message) {
        let wish = core.config.options.session_timer;
        let seconds = self.timer.map_or(wish, |timer| timer.seconds);
        if seconds == 0 {
            return;
        }
        let seconds = seconds.max(self.min_se);
        // §7.4: a refresh keeps the roles.
        let side = |t: SessionTimer| if t.we_refresh { Refresher::Uac } else { Refresher::Uas };
        let value = SessionExpires { seconds, refresher: self.timer.map(side) };
        request.push(HeaderName::SessionExpires, value.to_string());
        request.push(HeaderName::MinSe, self.min_se.to_string());
    }

    /// Whether a 422 asks for more than its request did; then the request may be made again (§7.3).
    pub(super) fn is_too_small(&mut self, request: &Message, response: &Message) -> bool {
        let asked = request.get(HeaderName::SessionExpires).and_then(SessionExpires::parse);
        let least = response.get(HeaderName::MinSe).and_then(delta_seconds);
        let (422, Some(asked), Some(least)) = (response.status(), asked, least) else {
            return false;
        };
        self.min_se = self.min_se.max(least);
        least > asked.seconds
    }

    /// Answers the timer of an INVITE or UPDATE in its 2xx.
    pub(super) fn answer_timer(&mut self, core: &Core, request: &Message, response: &mut Message) {
        let least = request.get(HeaderName::MinSe).and_then(delta_seconds).unwrap_or(0);
        self.min_se = self.min_se.max(least);
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
