//! The phone's GRUUs, RFC 5627: learned from the 200 to REGISTER and from reg event (RFC 5628), used as
//! Contact in dialogs.

use sip::gruu::Granted;
use sip::reginfo::{Contact, RegInfo, State};
use sip::uri::Uri;

use crate::core::Core;
use crate::registration::same;

/// Identities at most whose GRUUs are remembered.
const MOST_IDENTITIES: usize = 32;

impl Core {
    /// Whether GRUUs are asked for.
    pub(crate) fn wants_gruus(&self) -> bool {
        self.config.options.gruu && self.config.options.instance.is_some()
    }

    /// The registrar gave an identity these GRUUs: that of REGISTER if none is named.
    pub(crate) fn learn_gruus(&mut self, aor: Option<&str>, granted: &Granted) {
        let uri = Uri::parse(aor.unwrap_or(&self.config.identity));
        let Some(aor) = uri.map(|uri| uri.aor()).filter(|_| self.wants_gruus()) else { return };
        let gruus = &mut self.service.gruus;
        let room = gruus.len() < MOST_IDENTITIES || gruus.contains_key(&aor);
        if room && *granted != Granted::default() {
            gruus.insert(aor, granted.clone());
        }
    }

    /// RFC 5628: identities that no REGISTER named have GRUUs, too.
    pub(crate) fn learn_gruus_of(&mut self, document: &str) {
        let registrations = RegInfo::parse(document).map(|info| info.registrations);
        let own = self.contact_uri();
        for registration in registrations.unwrap_or_default() {
            let ours = |c: &Contact| c.state == State::Active && same(&c.uri, &own);
            if let Some(contact) = registration.contacts.into_iter().find(ours) {
                let temporary = contact.temporary_gruu.map(|(gruu, _)| gruu);
                let granted = Granted { public: contact.public_gruu, temporary };
                self.learn_gruus(Some(&registration.aor), &granted);
            }
        }
    }

    /// The GRUU of the identity that requests are made as: a temporary one if it is to be kept private,
    /// TS 24.229 §5.1.2A.1.1.
    pub(crate) fn gruu(&self) -> Option<&String> {
        let granted = self.service.gruus.get(&Uri::parse(self.identity())?.aor())?;
        match self.config.options.privacy {
            Some(_) => granted.temporary.as_ref(),
            None => granted.public.as_ref(),
        }
    }
}
