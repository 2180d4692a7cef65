//! User-Authorization, TS 29.229 §6.1.1 and §6.1.2.

use super::*;

enumerated! {
    /// User-Authorization-Type, TS 29.229 §6.3.24.
    Authorization {
        /// REGISTRATION, also what an absent AVP means.
        Registration = 0,
        /// DE_REGISTRATION.
        DeRegistration = 1,
        /// REGISTRATION_AND_CAPABILITIES.
        RegistrationAndCapabilities = 2,
    }
}

/// User-Authorization-Request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uar {
    /// User-Name: the private identity.
    pub user_name: String,
    /// Public-Identity.
    pub public_identity: String,
    /// Visited-Network-Identifier.
    pub visited_network: Vec<u8>,
    /// User-Authorization-Type.
    pub authorization: Authorization,
    /// UAR-Flags, TS 29.229 §6.3.44.
    pub flags: u32,
}

impl Uar {
    /// Whether it is for an emergency registration: bit 0 of UAR-Flags.
    pub fn is_emergency(&self) -> bool {
        self.flags & 1 != 0
    }
}

impl Body for Uar {
    const COMMAND: u32 = CMD_USER_AUTHORIZATION;

    fn parse(message: &Message) -> Result<Uar, Fault> {
        let avps = message.avps();
        let kind = avps.clone().find(USER_AUTHORIZATION_TYPE);
        Ok(Uar {
            user_name: required_text(avps.clone(), USER_NAME)?,
            public_identity: required_text(avps.clone(), PUBLIC_IDENTITY)?,
            visited_network: avps.clone().require(VISITED_NETWORK_IDENTIFIER)?.data.to_vec(),
            authorization: kind
                .map_or(Ok(Authorization::Registration), |avp| Authorization::parse(&avp))?,
            flags: number(avps, UAR_FLAGS)?.unwrap_or(0),
        })
    }

    fn write(&self, out: &mut Writer) {
        out.utf8(USER_NAME, &self.user_name)
            .utf8(PUBLIC_IDENTITY, &self.public_identity)
            .bytes(VISITED_NETWORK_IDENTIFIER, &self.visited_network)
            .u32(USER_AUTHORIZATION_TYPE, self.authorization as u32);
        if self.flags != 0 {
            out.u32(UAR_FLAGS, self.flags);
        }
    }
}

/// User-Authorization-Answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Uaa {
    /// Server-Name: the S-CSCF that serves the subscriber.
    pub server_name: Option<String>,
    /// Server-Capabilities, to choose an S-CSCF by.
    pub capabilities: Option<ServerCapabilities>,
}

impl Body for Uaa {
    const COMMAND: u32 = CMD_USER_AUTHORIZATION;

    fn parse(message: &Message) -> Result<Uaa, Fault> {
        Ok(Uaa {
            server_name: text(message.avps(), SERVER_NAME)?,
            capabilities: ServerCapabilities::parse(message.avps())?,
        })
    }

    fn write(&self, out: &mut Writer) {
        write_text(out, SERVER_NAME, &self.server_name);
        if let Some(capabilities) = &self.capabilities {
            capabilities.write(out);
        }
    }
}
