//! Server-Capabilities, TS 29.229 §6.3.4.

use super::*;

/// What an S-CSCF for this subscriber must and should be able to do, and which ones to prefer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerCapabilities {
    /// Mandatory-Capability.
    pub mandatory: Vec<u32>,
    /// Optional-Capability.
    pub optional: Vec<u32>,
    /// Server-Name: SIP URIs of S-CSCFs, best first.
    pub server_names: Vec<String>,
}

impl ServerCapabilities {
    pub(super) fn parse(avps: Avps<'_>) -> Result<Option<ServerCapabilities>, Fault> {
        let Some(avp) = avps.find(SERVER_CAPABILITIES) else {
            return Ok(None);
        };
        let group = avp.group()?;
        let numbers = |key| {
            let found = group.clone().filter(move |avp| avp.is(key));
            found.map(|avp| avp.u32()).collect::<Result<Vec<u32>, Fault>>()
        };
        Ok(Some(ServerCapabilities {
            mandatory: numbers(MANDATORY_CAPABILITY)?,
            optional: numbers(OPTIONAL_CAPABILITY)?,
            server_names: texts(group.clone(), SERVER_NAME)?,
        }))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.group(SERVER_CAPABILITIES, |group| {
            self.mandatory.iter().for_each(|n| {
                group.u32(MANDATORY_CAPABILITY, *n);
            });
            self.optional.iter().for_each(|n| {
                group.u32(OPTIONAL_CAPABILITY, *n);
            });
            self.server_names.iter().for_each(|name| {
                group.utf8(SERVER_NAME, name);
            });
        });
    }
}
