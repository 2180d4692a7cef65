//! Push-Profile, TS 29.229 §6.1.11 and §6.1.12.

use super::*;

/// Push-Profile-Request, from the HSS to the S-CSCF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ppr {
    /// User-Name: the private identity.
    pub user_name: String,
    /// User-Data: the new Cx-User-Data XML document.
    pub user_data: Option<Vec<u8>>,
    /// Charging-Information.
    pub charging: Option<ChargingInformation>,
}

impl Body for Ppr {
    const COMMAND: u32 = CMD_PUSH_PROFILE;

    fn parse(message: &Message) -> Result<Ppr, Fault> {
        Ok(Ppr {
            user_name: required_text(message.avps(), USER_NAME)?,
            user_data: octets(message.avps(), USER_DATA),
            charging: ChargingInformation::parse(message.avps())?,
        })
    }

    fn write(&self, out: &mut Writer) {
        out.utf8(USER_NAME, &self.user_name);
        write_octets(out, USER_DATA, &self.user_data);
        if let Some(charging) = &self.charging {
            charging.write(out);
        }
    }
}

/// Push-Profile-Answer: nothing but its outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ppa;

impl Body for Ppa {
    const COMMAND: u32 = CMD_PUSH_PROFILE;

    fn parse(_: &Message) -> Result<Ppa, Fault> {
        Ok(Ppa)
    }

    fn write(&self, _: &mut Writer) {}
}
