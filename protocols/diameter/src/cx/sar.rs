//! Server-Assignment, TS 29.229 §6.1.3 and §6.1.4.

use super::*;

enumerated! {
    /// Server-Assignment-Type, TS 29.229 §6.3.15.
    Assignment {
        /// NO_ASSIGNMENT: the profile is asked for without a change of state.
        NoAssignment = 0,
        /// REGISTRATION.
        Registration = 1,
        /// RE_REGISTRATION.
        ReRegistration = 2,
        /// UNREGISTERED_USER: a session for somebody who is not registered.
        UnregisteredUser = 3,
        /// TIMEOUT_DEREGISTRATION.
        TimeoutDeregistration = 4,
        /// USER_DEREGISTRATION.
        UserDeregistration = 5,
        /// TIMEOUT_DEREGISTRATION_STORE_SERVER_NAME.
        TimeoutDeregistrationStoreServerName = 6,
        /// USER_DEREGISTRATION_STORE_SERVER_NAME.
        UserDeregistrationStoreServerName = 7,
        /// ADMINISTRATIVE_DEREGISTRATION.
        AdministrativeDeregistration = 8,
        /// AUTHENTICATION_FAILURE.
        AuthenticationFailure = 9,
        /// AUTHENTICATION_TIMEOUT.
        AuthenticationTimeout = 10,
        /// DEREGISTRATION_TOO_MUCH_DATA.
        DeregistrationTooMuchData = 11,
        /// AAA_USER_DATA_REQUEST, of SWx.
        AaaUserDataRequest = 12,
        /// PGW_UPDATE, of SWx.
        PgwUpdate = 13,
        /// RESTORATION, of SWx.
        Restoration = 14,
    }
}

/// Server-Assignment-Request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sar {
    /// User-Name: the private identity; needed unless the S-CSCF knows only a public one.
    pub user_name: Option<String>,
    /// Public-Identity.
    pub public_identities: Vec<String>,
    /// Server-Name: the SIP URI of the S-CSCF that asks.
    pub server_name: String,
    /// Server-Assignment-Type.
    pub assignment: Assignment,
    /// User-Data-Already-Available: whether the S-CSCF has the profile.
    pub has_user_data: bool,
    /// Supported-Features: those of list 1 that the S-CSCF has.
    pub features: u32,
    /// The contents of SCSCF-Restoration-Info, which the HSS keeps as they are: [`Restoration`].
    pub restoration: Vec<Vec<u8>>,
}

impl Body for Sar {
    const COMMAND: u32 = CMD_SERVER_ASSIGNMENT;

    fn parse(message: &Message) -> Result<Sar, Fault> {
        let avps = message.avps();
        let already = avps.clone().require(USER_DATA_ALREADY_AVAILABLE)?;
        let has_user_data = match already.u32()? {
            0 => false,
            1 => true,
            _ => return Err(Fault::value(&already)),
        };
        Ok(Sar {
            user_name: text(avps.clone(), USER_NAME)?,
            public_identities: texts(avps.clone(), PUBLIC_IDENTITY)?,
            server_name: required_text(avps.clone(), SERVER_NAME)?,
            assignment: Assignment::parse(&avps.clone().require(SERVER_ASSIGNMENT_TYPE)?)?,
            has_user_data,
            features: restoration::features_of(avps.clone()),
            restoration: restoration::all(avps),
        })
    }

    fn write(&self, out: &mut Writer) {
        write_text(out, USER_NAME, &self.user_name);
        self.public_identities.iter().for_each(|id| {
            out.utf8(PUBLIC_IDENTITY, id);
        });
        out.utf8(SERVER_NAME, &self.server_name)
            .u32(SERVER_ASSIGNMENT_TYPE, self.assignment as u32)
            .u32(USER_DATA_ALREADY_AVAILABLE, u32::from(self.has_user_data));
        write_features(out, self.features);
        restoration::write_all(out, &self.restoration);
    }
}

/// Server-Assignment-Answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Saa {
    /// User-Name.
    pub user_name: Option<String>,
    /// User-Data: the Cx-User-Data XML document, TS 29.228 Annex B.
    pub user_data: Option<Vec<u8>>,
    /// Charging-Information.
    pub charging: Option<ChargingInformation>,
    /// Associated-Identities: other private identities of the subscription.
    pub associated_identities: Vec<String>,
    /// Server-Name: the S-CSCF that is assigned, where the answer tells it.
    pub server_name: Option<String>,
    /// The contents of SCSCF-Restoration-Info: what an S-CSCF left.
    pub restoration: Vec<Vec<u8>>,
}

impl Body for Saa {
    const COMMAND: u32 = CMD_SERVER_ASSIGNMENT;

    fn parse(message: &Message) -> Result<Saa, Fault> {
        let avps = message.avps();
        Ok(Saa {
            user_name: text(avps.clone(), USER_NAME)?,
            user_data: octets(avps.clone(), USER_DATA),
            charging: ChargingInformation::parse(avps.clone())?,
            associated_identities: associated(avps.clone())?,
            server_name: text(avps.clone(), SERVER_NAME)?,
            restoration: restoration::all(avps),
        })
    }

    fn write(&self, out: &mut Writer) {
        write_text(out, USER_NAME, &self.user_name);
        write_octets(out, USER_DATA, &self.user_data);
        if let Some(charging) = &self.charging {
            charging.write(out);
        }
        write_associated(out, &self.associated_identities);
        write_text(out, SERVER_NAME, &self.server_name);
        restoration::write_all(out, &self.restoration);
    }
}

/// Associated-Identities, TS 29.229 §6.3.33.
pub(super) fn associated(avps: Avps<'_>) -> Result<Vec<String>, Fault> {
    match avps.find(ASSOCIATED_IDENTITIES) {
        Some(avp) => texts(avp.group()?, USER_NAME),
        None => Ok(Vec::new()),
    }
}

pub(super) fn write_associated(out: &mut Writer, identities: &[String]) {
    if !identities.is_empty() {
        out.group(ASSOCIATED_IDENTITIES, |group| {
            identities.iter().for_each(|id| {
                group.utf8(USER_NAME, id);
            });
        });
    }
}
