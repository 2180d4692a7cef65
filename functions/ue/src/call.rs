//! One call: its phases, its legs, and what they have in common.
//!
//! ```text
//! caller:  Opening -> Inviting ---------------------> Active -> Closing -> gone
//!                        | CANCEL, 3xx-6xx                          ^
//!                        +-------------------------------------> gone
//! callee:  Opening -> Incoming (183, 180, PRACK, UPDATE) -> Active (200, ACK) -> Closing -> gone
//! ```

mod change;
mod prack;
mod precondition;
mod session_timer;
mod transfer;
mod uac;
mod uas;
mod update;

use std::collections::VecDeque;

use base::slots::Slot;
use base::{Bytes, Instant, Severity};
use sdp::{OfferAnswer, Preconditions};
use sip::session_timer::{MIN_SE, SessionTimer};
use sip::{ClientId, Dialog, HeaderName, Message, Method, ServerId};

use crate::core::{ALLOW, CallTimer, Core, Purpose, TimerKey, description, reason};
use crate::media::{Media, Progress};
use crate::report::{By, CallId, What};
pub(crate) use change::Change;
use change::Changing;
pub(crate) use transfer::{Transfer, status_in};
pub(crate) use uac::refuse_fork;
use uas::Incoming;

/// Early dialogs of one INVITE at most; further forks are not followed.
const MOST_LEGS: usize = 16;
/// Forks that are remembered when they answer too late.
const MOST_FORKS: usize = 64;

pub(crate) struct Call {
    pub(crate) slot: Slot,
    phase: Phase,
    /// The INVITE that made the call, as it was sent or received last.
    pub(crate) invite: Message,
    /// Its transaction, if it is ours.
    launched: Option<ClientId>,
    /// One for each fork while it is early, one from the 2xx on.
    pub(crate) legs: Vec<Leg>,
    /// The offer, to be answered by each leg of its own.
    negotiation: OfferAnswer,
    media: Option<Media>,
    /// When the INVITE was sent or came.
    began: Instant,
    /// When the other side first gave a sign.
    progress: Option<Instant>,
    answered: Option<Instant>,
    rang: bool,
    /// What we want to change next, and what is being changed.
    changes: VecDeque<Change>,
    changing: Option<Changing>,
    /// The 2xx of ours that no ACK came for yet.
    unacknowledged: Option<Unacknowledged>,
    timer: Option<SessionTimer>,
    /// The refresh is under way.
    refreshing: bool,
    /// The largest Min-SE that the other side or a proxy named.
    min_se: u32,
    held_by_peer: bool,
    /// What it has to do with a transfer.
    pub(crate) transfer: Transfer,
    /// The status that it ended with.
    pub(crate) ended: u16,
    /// Who ends it, the status and why, once that is decided.
    verdict: Option<(By, u16, String)>,
}

/// Where the call stands.
enum Phase {
    /// Sockets are asked for.
    Opening(Opening),
    /// Our INVITE is under way.
    Inviting { cancelled: bool },
    /// Their INVITE waits for our answer.
    Incoming(Box<Incoming>),
    /// Answered.
    Active,
    /// A BYE is under way.
    Closing,
    /// To be taken out of the table.
    Over,
}

enum Opening {
    Caller,
    Callee(Box<Incoming>),
}

/// A dialog of the call with its negotiation.
pub(crate) struct Leg {
    pub(crate) dialog: Dialog,
    negotiation: OfferAnswer,
    /// Our table, if preconditions are in use.
    preconditions: Option<Preconditions>,
    /// The peer asked to be told of our reservation.
    confirm: bool,
    /// The peer was told of our reservation.
    told: bool,
    /// The description in its first unreliable response.
    preview: Option<Bytes>,
    /// RSeq of the last reliable response that came.
    rseq: Option<u32>,
    /// PRACKs under way: nothing else overtakes them.
    pracks: u32,
    /// Whether the peer takes UPDATE.
    update: bool,
    /// The ACK of the last 2xx, to be sent again.
    ack: Option<Message>,
}

struct Unacknowledged {
    server: ServerId,
    response: Message,
    interval: base::time::Duration,
    give_up: Instant,
    /// BYE may be sent when the ACK is there, RFC 3261 §15.
    hang_up: bool,
}

impl Call {
    fn new(core: &mut Core, now: Instant, slot: Slot, phase: Phase, invite: Message) -> Call {
        let negotiation = OfferAnswer::new(core.config.codecs.clone(), core.random.u64());
        Call {
            slot,
            phase,
            invite,
            launched: None,
            legs: Vec::new(),
            negotiation,
            media: None,
            began: now,
            progress: None,
            answered: None,
            rang: false,
            changes: VecDeque::new(),
            changing: None,
            unacknowledged: None,
            timer: None,
            refreshing: false,
            min_se: MIN_SE,
            held_by_peer: false,
            transfer: Transfer::default(),
            ended: 0,
            verdict: None,
        }
    }

    pub(crate) fn id(&self) -> CallId {
        self.slot.into()
    }

    /// Whether the call may be taken out of the table.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether nobody wants an answer to our INVITE any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        !matches!(self.phase, Phase::Inviting { cancelled: false, .. })
    }

    fn key(&self, timer: CallTimer) -> TimerKey {
        TimerKey::Call(self.slot, timer)
    }

    pub(crate) fn leg_of(&self, owns: impl Fn(&Dialog) -> bool) -> Option<usize> {
        self.legs.iter().position(|leg| owns(&leg.dialog))
    }

    /// The leg that a request of ours went to.
    fn leg_to(&self, request: &Message) -> Option<usize> {
        let to = request.get(HeaderName::To);
        self.leg_of(|dialog| to == Some(dialog.remote.as_str()))
    }

    // ---- sockets

    /// The sockets are there, or will never be.
    pub(crate) fn media_changed(&mut self, core: &mut Core, now: Instant) {
        let progress = self.media.as_ref().map_or(Progress::Failed, Media::progress);
        if progress == Progress::Waiting || !matches!(self.phase, Phase::Opening(_)) {
            return;
        }
        let Phase::Opening(opening) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        match (progress, opening) {
            (Progress::Ready, Opening::Caller) => self.send_invite(core, now),
            (Progress::Ready, Opening::Callee(incoming)) => {
                self.phase = Phase::Incoming(incoming);
                self.advance(core, now);
            }
            (_, opening) => {
                if let Opening::Callee(incoming) = opening {
                    core.reply(now, incoming.server, &incoming.request, 500);
                }
                self.over(core, now, By::Failure, 500, "no local port for media".into());
            }
        }
    }

    fn address(&self, core: &Core) -> std::net::SocketAddr {
        let configured = core.config.media.address;
        let own = self.media.as_ref().and_then(|m| m.described(configured));
        own.unwrap_or((configured, 9).into())
    }

    pub(crate) fn media(&mut self) -> Option<&mut Media> {
        self.media.as_mut()
    }

    /// Makes the sound follow what leg `index` agreed on.
    fn agree(&mut self, core: &mut Core, now: Instant, index: usize) {
        let speak = self.answered.is_some()
            || (core.config.options.early_media && matches!(self.phase, Phase::Incoming(_)));
        let agreed = self.legs.get(index).and_then(|leg| leg.negotiation.negotiated()).cloned();
        let (Some(agreed), Some(media)) = (agreed, &mut self.media) else { return };
        media.agree(core, now, &agreed, speak);
    }

    /// Tells when the other side holds us or takes us back.
    fn watch_hold(&mut self, core: &mut Core, now: Instant) {
        // While we hold, whatever the other side says is an answer to that.
        let Some(leg) = self.legs.first().filter(|leg| !leg.negotiation.holds()) else { return };
        let agreed = leg.negotiation.negotiated();
        let held = agreed.is_some_and(|n| !n.direction.sends());
        if held != self.held_by_peer && self.answered.is_some() {
            self.held_by_peer = held;
            core.report(now, What::HeldByPeer { call: self.id(), held });
        }
    }

    // ---- the end

    /// Ends the call as the user wants it.
    pub(crate) fn hang_up(&mut self, core: &mut Core, now: Instant) {
        self.finish(core, now, By::Local, 200, "hung up".into());
    }

    /// Ends the call in the way that its phase wants.
    fn finish(&mut self, core: &mut Core, now: Instant, by: By, status: u16, reason: String) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Opening(Opening::Caller) => self.over(core, now, by, 487, reason),
            Phase::Opening(Opening::Callee(incoming)) | Phase::Incoming(incoming) => {
                let status = if by == By::Local && status == 200 { 603 } else { status };
                let response = self.tagged(&incoming.request, status);
                core.stack.respond(now, incoming.server, response);
                self.over(core, now, by, status, reason);
            }
            Phase::Inviting { cancelled } => {
                self.phase = Phase::Inviting { cancelled: true };
                if !cancelled {
                    let cause = (by == By::Failure).then(|| format!("SIP;cause={status}"));
                    self.cancel(core, now, cause);
                    core.arm(self.key(CallTimer::Cancel), now + core.config.timers.give_up());
                    self.verdict = Some((by, if status == 200 { 487 } else { status }, reason));
                }
            }
            Phase::Active => {
                self.verdict.get_or_insert((by, status, reason));
                if let Some(unacknowledged) = &mut self.unacknowledged
                    && by == By::Local
                {
                    unacknowledged.hang_up = true;
                    self.phase = Phase::Active;
                    return;
                }
                self.bye(core, now);
            }
            phase @ (Phase::Closing | Phase::Over) => self.phase = phase,
        }
    }

    fn cancel(&self, core: &mut Core, now: Instant, cause: Option<String>) {
        if let Some(client) = self.launched {
            core.stack.cancel(now, client, cause);
        }
    }

    fn bye(&mut self, core: &mut Core, now: Instant) {
        self.stop(core, now);
        let Some(leg) = self.legs.first_mut() else {
            let (by, status, reason) = self.take_verdict();
            return self.over(core, now, by, status, reason);
        };
        self.phase = Phase::Closing;
        let mut bye = leg.dialog.request(Method::Bye);
        if let Some((By::Failure, status, text)) = &self.verdict
            && *status != 200
        {
            let text = text.replace(['"', '\\'], "'");
            bye.push(HeaderName::Reason, format!("SIP;cause={status};text=\"{text}\""));
        }
        core.send_in(now, Purpose::Bye(self.slot), bye, &leg.dialog);
    }

    /// Stops everything that runs by itself.
    fn stop(&mut self, core: &mut Core, now: Instant) {
        self.unacknowledged = None;
        self.changes.clear();
        if let Some(changing) = self.changing.take() {
            // Whoever took a re-INVITE may have died since: then nobody else ends it.
            core.stack.cancel(now, changing.client, None);
        }
        self.timer = None;
        core.disarm_call(self.slot);
    }

    fn take_verdict(&mut self) -> (By, u16, String) {
        self.verdict.take().unwrap_or((By::Failure, 500, "ended without a reason".into()))
    }

    /// The BYE was answered, or will never be.
    pub(crate) fn bye_done(&mut self, core: &mut Core, now: Instant, status: u16) {
        let (by, mut code, mut reason) = self.take_verdict();
        if !(200..300).contains(&status) && status != 481 && code == 200 {
            (code, reason) = (status, format!("{reason}; BYE got {status}"));
        }
        self.over(core, now, by, code, reason);
    }

    /// The call is gone.
    fn over(&mut self, core: &mut Core, now: Instant, by: By, status: u16, reason: String) {
        self.stop(core, now);
        self.disown(core, |_| true);
        self.phase = Phase::Over;
        self.ended = status;
        let media = self.media.take().map(|m| m.close(core, now)).unwrap_or_default();
        let (call, media) = (self.id(), Box::new(media));
        core.report(now, What::Ended { call, by, status, reason, media });
    }

    /// The other side hangs up.
    pub(crate) fn bye_received(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        request: &Message,
    ) {
        core.reply(now, server, request, 200);
        let text = request.get(HeaderName::Reason).unwrap_or("hung up").to_owned();
        match std::mem::replace(&mut self.phase, Phase::Over) {
            // RFC 3261 §15.1.2: the INVITE still wants its answer.
            Phase::Incoming(incoming) | Phase::Opening(Opening::Callee(incoming)) => {
                core.reply(now, incoming.server, &incoming.request, 487);
                self.over(core, now, By::Remote, 487, text);
            }
            Phase::Inviting { .. } => {
                self.cancel(core, now, None);
                self.over(core, now, By::Remote, 487, text);
            }
            Phase::Closing => {
                let (by, status, reason) = self.take_verdict();
                self.over(core, now, by, status, reason);
            }
            _ => self.over(core, now, By::Remote, 200, text),
        }
    }

    // ---- timers

    pub(crate) fn timeout(&mut self, core: &mut Core, now: Instant, at: Instant, timer: CallTimer) {
        match timer {
            CallTimer::Cancel => {
                let (by, status, reason) = self.take_verdict();
                self.over(core, now, by, status, format!("{reason}; no answer to CANCEL"));
            }
            CallTimer::Ring => self.answer(core, now),
            CallTimer::Unanswered => self.unanswered(core, now),
            CallTimer::Provisional => self.repeat_provisional(core, now),
            CallTimer::Success => self.repeat_success(core, now),
            CallTimer::Reserve => self.reserved(core, now),
            CallTimer::Glare => self.next_change(core, now),
            CallTimer::Session => self.session_due(core, now),
            CallTimer::Send => {
                if let Some(media) = &mut self.media {
                    media.send(core, now, at);
                }
            }
            CallTimer::Play => {
                if let Some(media) = &mut self.media {
                    media.play(core, now);
                }
            }
            CallTimer::Control => {
                if let Some(media) = &mut self.media {
                    media.report(core, now);
                }
            }
        }
    }

    /// A request of ours in this call is sent again with credentials and a new CSeq number.
    pub(crate) fn repeated(
        &mut self,
        purpose: &Purpose,
        request: &Message,
        client: ClientId,
        cseq: u32,
    ) {
        match purpose {
            Purpose::Invite(_) => {
                self.invite = request.clone();
                self.legs.clear();
                self.launched = Some(client);
            }
            _ => {
                if let (Purpose::Change(_), Some(changing)) = (purpose, &mut self.changing) {
                    changing.client = client;
                }
                if let Some(index) = self.leg_to(request) {
                    self.legs[index].dialog.local_cseq = cseq;
                }
            }
        }
    }

    /// The highest CSeq number that we used in the dialog of this request.
    pub(crate) fn last_cseq(&self, request: &Message) -> u32 {
        self.leg_to(request).map_or(0, |index| self.legs[index].dialog.local_cseq)
    }

    fn trouble(&self, core: &mut Core, counter: &'static str, text: &str) {
        let text = format!("call {:x}: {text}", self.slot.to_bits());
        core.log(Severity::Warning, counter, text);
    }
}

impl Leg {
    fn new(dialog: Dialog, negotiation: OfferAnswer, first: &Message) -> Leg {
        let update = first.lists(HeaderName::Allow, "UPDATE");
        Leg {
            dialog,
            negotiation,
            preconditions: None,
            confirm: false,
            told: false,
            preview: None,
            rseq: None,
            pracks: 0,
            update,
            ack: None,
        }
    }

    /// Learns whether the peer takes UPDATE; a message without Allow says nothing.
    fn learn(&mut self, message: &Message) {
        if message.has(HeaderName::Allow) {
            self.update = message.lists(HeaderName::Allow, "UPDATE");
        }
    }
}

/// What every INVITE, UPDATE and their 2xx say about us.
fn introduce(core: &Core, message: &mut Message) {
    message.push(HeaderName::Contact, core.contact());
    message.push(HeaderName::Allow, ALLOW);
    message.push(HeaderName::Supported, core.supported().join(", "));
    // RFC 6086 §4.2.2: no packages, but INFO as such.
    message.push(HeaderName::RecvInfo, "");
}
