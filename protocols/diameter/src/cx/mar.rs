//! Multimedia-Auth, TS 29.229 §6.1.7 and §6.1.8.

use super::*;

/// Multimedia-Auth-Request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mar {
    /// User-Name: the private identity.
    pub user_name: String,
    /// Public-Identity.
    pub public_identity: String,
    /// SIP-Number-Auth-Items: how many vectors are asked for.
    pub items: u32,
    /// SIP-Auth-Data-Item: the scheme, and RAND || AUTS after a synchronisation failure.
    pub auth_data: AuthData,
    /// Server-Name: the SIP URI of the S-CSCF that asks.
    pub server_name: String,
}

impl Body for Mar {
    const COMMAND: u32 = CMD_MULTIMEDIA_AUTH;

    fn parse(message: &Message) -> Result<Mar, Fault> {
        let avps = message.avps();
        Ok(Mar {
            user_name: required_text(avps.clone(), USER_NAME)?,
            public_identity: required_text(avps.clone(), PUBLIC_IDENTITY)?,
            items: avps.clone().require(SIP_NUMBER_AUTH_ITEMS)?.u32()?,
            auth_data: AuthData::parse(&avps.clone().require(SIP_AUTH_DATA_ITEM)?)?,
            server_name: required_text(avps, SERVER_NAME)?,
        })
    }

    fn write(&self, out: &mut Writer) {
        out.utf8(USER_NAME, &self.user_name)
            .utf8(PUBLIC_IDENTITY, &self.public_identity)
            .u32(SIP_NUMBER_AUTH_ITEMS, self.items);
        self.auth_data.write(out);
        out.utf8(SERVER_NAME, &self.server_name);
    }
}

/// Multimedia-Auth-Answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Maa {
    /// User-Name.
    pub user_name: Option<String>,
    /// Public-Identity.
    pub public_identity: Option<String>,
    /// SIP-Auth-Data-Item: the vectors; their count is written as SIP-Number-Auth-Items.
    pub auth_data: Vec<AuthData>,
}

impl Body for Maa {
    const COMMAND: u32 = CMD_MULTIMEDIA_AUTH;

    fn parse(message: &Message) -> Result<Maa, Fault> {
        let items = message.all(SIP_AUTH_DATA_ITEM);
        Ok(Maa {
            user_name: text(message.avps(), USER_NAME)?,
            public_identity: text(message.avps(), PUBLIC_IDENTITY)?,
            auth_data: items.map(|avp| AuthData::parse(&avp)).collect::<Result<_, _>>()?,
        })
    }

    fn write(&self, out: &mut Writer) {
        write_text(out, USER_NAME, &self.user_name);
        write_text(out, PUBLIC_IDENTITY, &self.public_identity);
        if !self.auth_data.is_empty() {
            out.u32(SIP_NUMBER_AUTH_ITEMS, self.auth_data.len() as u32);
        }
        self.auth_data.iter().for_each(|item| item.write(out));
    }
}
