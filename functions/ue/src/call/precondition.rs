//! Preconditions, RFC 3312 and RFC 4032 as TS 24.229 §5.1.3.1 and §5.1.4.1 use them.
//!
//! ```text
//! caller                                   callee
//!   INVITE  curr local none, des mandatory   |
//!   |--------------------------------------->|
//!   |<------ 183 curr local none, conf ------|  both reserve
//!   |------- PRACK / 200 ------------------->|
//!   |------- UPDATE curr local sendrecv ---->|
//!   |<------ 200 curr local sendrecv --------|
//!   |<------ 180 ----------------------------|  only now the telephone rings
//! ```

use base::Instant;
use sdp::Preconditions;
use sdp::precondition::Reserved;
use sip::Message;

use super::*;

impl Leg {
    /// Takes in what the peer wrote. A peer that wrote nothing does not do preconditions.
    pub(super) fn hear(&mut self, peer: Option<Preconditions>) {
        match (peer, &mut self.preconditions) {
            (Some(peer), Some(own)) => {
                own.hear(&peer);
                self.confirm |= peer.confirm.is_some();
            }
            (None, own) => *own = None,
            (Some(_), None) => {}
        }
    }

    /// Whether our reservation is done, and the peer was not told of it.
    pub(super) fn has_news(&self) -> bool {
        !self.told && self.preconditions.is_some_and(|p| p.local.current == Reserved::SENDRECV)
    }

    /// Whether the telephone may ring.
    pub(super) fn may_ring(&self) -> bool {
        self.preconditions.as_ref().is_none_or(Preconditions::met)
    }
}

impl Call {
    /// As caller: the answer is there, our reservation begins.
    pub(super) fn reserve_after_answer(&mut self, core: &mut Core, now: Instant, index: usize) {
        let leg = &self.legs[index];
        let answered = leg.negotiation.negotiated().is_some() && !leg.negotiation.is_pending();
        let missing = leg.preconditions.is_some_and(|p| p.local.current != Reserved::SENDRECV);
        if answered && missing {
            self.begin_reservation(core, now);
        }
    }

    pub(super) fn begin_reservation(&mut self, core: &mut Core, now: Instant) {
        let key = self.key(CallTimer::Reserve);
        if !core.is_armed(key) {
            core.arm(key, now + core.config.options.preconditions.unwrap_or_default());
        }
    }

    /// Our reservation is done: the other side is told, or the telephone rings.
    pub(super) fn reserved(&mut self, core: &mut Core, now: Instant) {
        let caller = matches!(self.phase, Phase::Inviting { .. });
        for leg in &mut self.legs {
            if let Some(table) = &mut leg.preconditions {
                table.reserve();
                table.confirm = None;
            }
        }
        // The caller always tells; the callee if it was asked to and the 180 will not say it.
        let met = self.legs.first().is_some_and(Leg::may_ring);
        let asked = self.legs.iter().any(|leg| leg.confirm);
        if caller || (asked && !met) {
            self.want(core, now, Change::Reserve);
        }
        self.advance(core, now);
    }

    /// As callee: whether this call begins with preconditions.
    pub(super) fn wants_preconditions(core: &Core, request: &Message, reliable: bool) -> bool {
        let says = |name| request.lists(name, "precondition");
        core.config.options.preconditions.is_some()
            && reliable
            && (says(HeaderName::Supported) || says(HeaderName::Require))
    }
}
