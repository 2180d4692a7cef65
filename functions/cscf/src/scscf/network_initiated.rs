//! What the HSS starts: RTR ends registrations (TS 24.229 §5.4.1.5, TS 29.228 §6.1.3), PPR changes
//! the profile of a user while he is registered (TS 29.228 §6.2.2). The watchers hear of both.
//!
//! The identities of a user here are one implicit registration set: who loses one of them by an RTR
//! loses all (TS 23.228 §5.2.1a.1). An identity alone comes or goes by a PPR, which has the whole set
//! (TS 29.228 §6.5.2.1).

use base::{Instant, Severity};
use diameter::cx::{self, Body, Ppa, Ppr, ReasonCode, Rta, Rtr};
use diameter::node::AnswerHandle;
use diameter::result::{ExperimentalCode, Outcome, ResultCode};
use diameter::{Fault, Message};
use sip::reginfo::ContactEvent;

use super::Scscf;
use super::profile::Subscription;
use super::user::User;

/// The Cx commands whose requests an S-CSCF takes.
pub const SERVES: [u32; 2] = [Rtr::COMMAND, Ppr::COMMAND];

const UNKNOWN: Outcome = Outcome::Experimental(ExperimentalCode::ERROR_USER_UNKNOWN);

impl Scscf {
    /// A request of the HSS.
    pub(super) fn network_initiated(
        &mut self,
        now: Instant,
        handle: AnswerHandle,
        message: &Message,
    ) {
        let done = match message.header().command {
            Rtr::COMMAND => Rtr::parse(message).map(|rtr| {
                let (outcome, rta) = self.terminate(now, &rtr);
                (outcome, cx::answer(&rta))
            }),
            Ppr::COMMAND => Ppr::parse(message).map(|ppr| {
                let outcome = self.push(now, &ppr).map_or_else(|refused| refused, |()| SUCCESS);
                (outcome, cx::answer(&Ppa))
            }),
            _ => Err(Fault::of(ResultCode::COMMAND_UNSUPPORTED)),
        };
        match done {
            Ok((outcome, avps)) => self.cx.node.answer(now, handle, outcome, avps),
            Err(fault) => self.cx.node.refuse(now, handle, &fault),
        }
    }

    /// RTR: the users whom it names and their contacts go, also those of Associated-Identities.
    fn terminate(&mut self, now: Instant, rtr: &Rtr) -> (Outcome, Rta) {
        let event = match rtr.reason.code {
            ReasonCode::PermanentTermination => Some(ContactEvent::Rejected),
            // Another S-CSCF will be his: TS 24.229 §5.4.1.5, the phone is to register again.
            ReasonCode::ServerChange | ReasonCode::RemoveScscf => Some(ContactEvent::Deactivated),
            // Another S-CSCF is his, and his registration goes on: nobody is told.
            ReasonCode::NewServerAssigned => None,
        };
        let aor = |impu: &String| sip::Uri::parse(impu).map(|uri| uri.aor());
        let named: Vec<String> = rtr.public_identities.iter().filter_map(aor).collect();
        let is_named = |user: &User| {
            rtr.public_identities.is_empty()
                || named.iter().any(|aor| user.profile.find(aor).is_some())
        };
        let impis = std::iter::once(&rtr.user_name).chain(&rtr.associated_identities);
        let known = |impi: &&String| self.users.get(impi).is_some_and(is_named);
        let ended: Vec<String> = impis.filter(known).cloned().collect();
        for impi in &ended {
            let why = rtr.reason.info.as_deref().unwrap_or("no reason given");
            let text = format!("{impi} by the HSS: {:?}, {why}", rtr.reason.code);
            self.log(Severity::Info, "scscf.network_initiated_deregistration", text);
            self.challenges.forget(impi);
            match event {
                Some(event) => self.unbind(now, impi, event),
                None => self.forget_user(impi),
            }
        }
        let outcome = if ended.is_empty() { UNKNOWN } else { SUCCESS };
        let others = ended.into_iter().filter(|impi| *impi != rtr.user_name);
        (outcome, Rta { associated_identities: others.collect() })
    }

    /// PPR: the profile changes, the contacts stay. Charging functions are not used here yet, as those
    /// of an SAA are not.
    fn push(&mut self, now: Instant, ppr: &Ppr) -> Result<(), Outcome> {
        let old = self.users.get(&ppr.user_name).cloned().ok_or(UNKNOWN)?;
        let Some(data) = &ppr.user_data else { return Ok(()) };
        let subscription =
            Subscription::parse(&String::from_utf8_lossy(data)).ok_or_else(|| {
                let text =
                    format!("{}: the HSS pushed a profile that cannot be read", ppr.user_name);
                self.log(Severity::Warning, "scscf.bad_profile", text);
                Outcome::from(ExperimentalCode::ERROR_NOT_SUPPORTED_USER_DATA)
            })?;
        let mut user = User::new(&old.impi, subscription.profile);
        user.contacts = old.contacts;
        // The password may be another one, too: the next REGISTER has the HSS asked.
        self.challenges.forget(&user.impi);
        let text = format!("{} has another profile", user.impi);
        let save = self.users.save(now, user);
        self.outputs.extend(save);
        self.log(Severity::Info, "scscf.profile_pushed", text);
        self.identities_changed(now, &ppr.user_name, &old.profile);
        Ok(())
    }
}

const SUCCESS: Outcome = Outcome::Base(ResultCode::SUCCESS);
