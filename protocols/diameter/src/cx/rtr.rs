//! Registration-Termination, TS 29.229 §6.1.9 and §6.1.10.

use super::sar::{associated, write_associated};
use super::*;

enumerated! {
    /// Reason-Code, TS 29.229 §6.3.17.
    ReasonCode {
        /// PERMANENT_TERMINATION.
        PermanentTermination = 0,
        /// NEW_SERVER_ASSIGNED.
        NewServerAssigned = 1,
        /// SERVER_CHANGE.
        ServerChange = 2,
        /// REMOVE_S-CSCF.
        RemoveScscf = 3,
    }
}

/// Deregistration-Reason, TS 29.229 §6.3.16.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeregistrationReason {
    /// Reason-Code.
    pub code: ReasonCode,
    /// Reason-Info: text that may be shown to the subscriber.
    pub info: Option<String>,
}

/// Registration-Termination-Request, from the HSS to the S-CSCF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rtr {
    /// User-Name: the private identity.
    pub user_name: String,
    /// Associated-Identities: more private identities.
    pub associated_identities: Vec<String>,
    /// Public-Identity; none means all.
    pub public_identities: Vec<String>,
    /// Deregistration-Reason.
    pub reason: DeregistrationReason,
}

impl Body for Rtr {
    const COMMAND: u32 = CMD_REGISTRATION_TERMINATION;

    fn parse(message: &Message) -> Result<Rtr, Fault> {
        let avps = message.avps();
        let reason = avps.clone().require(DEREGISTRATION_REASON)?.group()?;
        Ok(Rtr {
            user_name: required_text(avps.clone(), USER_NAME)?,
            associated_identities: associated(avps.clone())?,
            public_identities: texts(avps, PUBLIC_IDENTITY)?,
            reason: DeregistrationReason {
                code: ReasonCode::parse(&reason.clone().require(REASON_CODE)?)?,
                info: text(reason, REASON_INFO)?,
            },
        })
    }

    fn write(&self, out: &mut Writer) {
        out.utf8(USER_NAME, &self.user_name);
        write_associated(out, &self.associated_identities);
        self.public_identities.iter().for_each(|id| {
            out.utf8(PUBLIC_IDENTITY, id);
        });
        out.group(DEREGISTRATION_REASON, |group| {
            group.u32(REASON_CODE, self.reason.code as u32);
            write_text(group, REASON_INFO, &self.reason.info);
        });
    }
}

/// Registration-Termination-Answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rta {
    /// Associated-Identities: private identities that were deregistered too.
    pub associated_identities: Vec<String>,
}

impl Body for Rta {
    const COMMAND: u32 = CMD_REGISTRATION_TERMINATION;

    fn parse(message: &Message) -> Result<Rta, Fault> {
        Ok(Rta { associated_identities: associated(message.avps())? })
    }

    fn write(&self, out: &mut Writer) {
        write_associated(out, &self.associated_identities);
    }
}
