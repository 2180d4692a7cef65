//! Location-Info, TS 29.229 §6.1.5 and §6.1.6.

use super::*;

/// Location-Info-Request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lir {
    /// Public-Identity.
    pub public_identity: String,
    /// Originating-Request: for a session from this identity instead of to it.
    pub originating: bool,
    /// User-Authorization-Type, only ever REGISTRATION_AND_CAPABILITIES: for restoration, whose feature the
    /// request then says to have.
    pub authorization: Option<Authorization>,
}

impl Body for Lir {
    const COMMAND: u32 = CMD_LOCATION_INFO;

    fn parse(message: &Message) -> Result<Lir, Fault> {
        let avps = message.avps();
        let kind = avps.clone().find(USER_AUTHORIZATION_TYPE);
        Ok(Lir {
            public_identity: required_text(avps.clone(), PUBLIC_IDENTITY)?,
            originating: avps.find(ORIGINATING_REQUEST).is_some(),
            authorization: kind.map(|avp| Authorization::parse(&avp)).transpose()?,
        })
    }

    fn write(&self, out: &mut Writer) {
        if self.originating {
            out.u32(ORIGINATING_REQUEST, 0);
        }
        out.utf8(PUBLIC_IDENTITY, &self.public_identity);
        if let Some(authorization) = self.authorization {
            out.u32(USER_AUTHORIZATION_TYPE, authorization as u32);
            write_features(out, IMS_RESTORATION);
        }
    }
}

/// Location-Info-Answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lia {
    /// Server-Name: the S-CSCF that serves the identity.
    pub server_name: Option<String>,
    /// Server-Capabilities, to choose an S-CSCF by.
    pub capabilities: Option<ServerCapabilities>,
}

impl Body for Lia {
    const COMMAND: u32 = CMD_LOCATION_INFO;

    fn parse(message: &Message) -> Result<Lia, Fault> {
        Ok(Lia {
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
