//! Contacts that are tried one after the other, RFC 3841 §9.1: it is the next one's turn when one has refused, or
//! has rung for long enough (RFC 3261 §16.6 step 10).

use base::Instant;
use base::time::Duration;
use base::timer::Delays;

use super::Scscf;
use super::session::Then;
use crate::proxy::ContextId;

/// How long one phone rings while others wait for their turn: some four rings.
const TURN: Duration = Duration::from_secs(20);

/// A request, and how many of its copies wait.
type Turn = (ContextId, usize);

/// When turns end.
#[derive(Debug, Default)]
pub(super) struct Turns(Delays<Turn>);

impl Turns {
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.next()
    }
}

impl Scscf {
    /// A copy of a request was sent: its turn ends if others wait.
    pub(super) fn begin_turn(&mut self, now: Instant, context: ContextId) {
        let left = self.waiting_copies(context);
        if left > 0 {
            self.turns.0.after(now, TURN, (context, left));
        }
    }

    /// One contact has refused: the next one's turn.
    pub(super) fn tries_next(&mut self, now: Instant, context: ContextId, status: u16) -> bool {
        let Some(leg) = self.proxy.kept(context).filter(|_| (300..600).contains(&status)) else {
            return false;
        };
        let Then::Copies(copies) = &mut leg.then else { return false };
        let next: Vec<_> = copies.drain(..1.min(copies.len())).collect();
        if next.is_empty() {
            return false;
        }
        self.proxy.again(now, context, next);
        self.begin_turn(now, context);
        true
    }

    /// Nobody took the phone for a whole turn: it stops ringing, and what it says to that has refused.
    pub(super) fn end_turns(&mut self, now: Instant) {
        while let Some((_, (context, left))) = self.turns.0.due(now) {
            if self.waiting_copies(context) == left {
                self.proxy.cancel_copies(now, context);
            }
        }
    }

    fn waiting_copies(&mut self, context: ContextId) -> usize {
        match self.proxy.kept(context).map(|leg| &leg.then) {
            Some(Then::Copies(copies)) => copies.len(),
            _ => 0,
        }
    }
}
