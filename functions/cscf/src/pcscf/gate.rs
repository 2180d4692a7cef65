//! What counts against the limits of a phone's address.

use base::Flow;
use sip::Message;
use sip::header::HeaderName;

use super::Token;
use super::binding::Bindings;
use super::config::PcscfConfig;
use super::emergency::token_of;
use super::emergency_call::EmergencyCalls;
use crate::emergency::{EmergencyNumbers, is_emergency_registration};
use crate::limits::{Judge, Kind, Standing};
use crate::proxy::in_dialog;

/// What a P-CSCF knows of those who send.
pub(super) struct Gate<'a> {
    pub(super) config: &'a PcscfConfig,
    pub(super) bindings: &'a Bindings,
    pub(super) emergency_calls: &'a EmergencyCalls,
}

impl Judge for Gate<'_> {
    fn standing(&self, flow: &Flow) -> Standing {
        match Standing::of(&self.config.trust, flow) {
            Standing::Stranger if self.bindings.has_address(flow) => Standing::Known,
            other => other,
        }
    }

    /// A request belongs to a dialog if it has our token, and comes from whose dialog it is.
    fn kind(&self, request: &Message, flow: &Flow) -> Kind {
        let within = match token_of(request).filter(|_| in_dialog(request)) {
            Some(Token::Dialog(id)) => {
                self.bindings.get_or_departed(id).is_some_and(|binding| binding.owns(flow))
            }
            Some(Token::Emergency(id)) => {
                let call = self.emergency_calls.get(id).filter(|call| call.owns(flow));
                call.is_some_and(|call| request.get(HeaderName::CallId) == Some(&call.call_id))
            }
            _ => false,
        };
        let emergency = || {
            let called = self.config.emergency_numbers.called(request).is_some();
            called || is_emergency_registration(request)
        };
        match within {
            true => Kind::Within,
            false if emergency() => Kind::Emergency,
            false => Kind::Begins,
        }
    }

    fn emergency_numbers(&self) -> Option<&EmergencyNumbers> {
        Some(&self.config.emergency_numbers)
    }
}
