//! REGISTER at the I-CSCF: User-Authorization, TS 24.229 §5.3.1, TS 29.228 §6.1.1.

use base::Instant;
use diameter::cx::{Authorization, Uaa, Uar};
use diameter::result::ExperimentalCode;
use sip::Message;
use sip::header::{Credentials, HeaderName, NameAddr, delta_seconds};
use sip::lex;

use super::next::Kind;
use super::{Asked, Icscf, Waiting};
use crate::cx::{Answer, private_identity};
use crate::emergency::is_emergency_registration;
use crate::proxy::{Refusal, Upstream};

impl Icscf {
    pub(super) fn authorize(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: Message,
    ) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::new(503, "shutting down"));
        }
        let authorization = if is_deregistration(&request) {
            Authorization::DeRegistration
        } else {
            Authorization::Registration
        };
        let uar = self.uar(&request, authorization)?;
        let id = self.cx.ask(now, &uar);
        let asked = Asked::UserAuthorization;
        self.waiting.insert(id, Waiting { upstream: upstream.clone(), request, asked });
        Ok(())
    }

    /// What the HSS is asked about a REGISTER.
    pub(super) fn uar(
        &self,
        request: &Message,
        authorization: Authorization,
    ) -> Result<Uar, Refusal> {
        let public_identity = request
            .get(HeaderName::To)
            .and_then(NameAddr::parse)
            .and_then(|to| to.parsed_uri())
            .map(|uri| uri.aor())
            .ok_or(Refusal::new(400, "To is no URI"))?;
        Ok(Uar {
            user_name: private_identity(
                request.get(HeaderName::Authorization).and_then(Credentials::parse).as_ref(),
                &public_identity,
                &self.config.home_domain,
            ),
            public_identity,
            visited_network: visited_network(request, &self.config.home_domain).into_bytes(),
            authorization,
            // TS 29.228 §6.3.51: neither barring nor roaming rules hold for an emergency.
            flags: u32::from(is_emergency_registration(request)),
        })
    }

    pub(super) fn authorized(
        &mut self,
        now: Instant,
        mut waiting: Waiting,
        answer: &Answer,
    ) -> Result<(), Refusal> {
        // §5.3.1.3: unknown users, wrong pairs and forbidden roaming are a 403.
        let why = match answer.refusal() {
            Some(ExperimentalCode::ERROR_USER_UNKNOWN) => "the user is unknown",
            Some(ExperimentalCode::ERROR_IDENTITIES_DONT_MATCH) => "IMPI and IMPU do not match",
            Some(ExperimentalCode::ERROR_ROAMING_NOT_ALLOWED) => "roaming is not allowed",
            _ => "no User-Authorization",
        };
        let uaa = answer.body::<Uaa>().ok_or_else(|| answer.register_refusal(why))?;
        let serves = uaa.server_name.is_some();
        let choice = self
            .choose(now, uaa.server_name, uaa.capabilities.as_ref(), &[])
            .ok_or(Refusal::new(600, "no S-CSCF has the capabilities that the HSS asks for"))?;
        // Who leaves needs no other S-CSCF.
        if is_deregistration(&waiting.request) {
            waiting.request.set_uri(choice.uri.as_str());
            return self.forward(now, waiting, &choice, None);
        }
        let capabilities = (!serves).then_some(uaa.capabilities);
        self.begin_trying(now, Kind::Register, waiting, &choice, capabilities)
    }
}

fn visited_network(request: &Message, home: &str) -> String {
    let value = request.list(HeaderName::PVisitedNetworkId).next();
    let name = value.and_then(|v| v.split(';').next()).map(str::trim);
    name.map_or_else(|| home.to_owned(), |name| lex::unquote(name).into_owned())
}

/// Whether every contact goes: Expires 0 and no contact that says otherwise.
fn is_deregistration(request: &Message) -> bool {
    let default = request.get(HeaderName::Expires).and_then(delta_seconds);
    let mut contacts = request.list(HeaderName::Contact).filter_map(NameAddr::parse).peekable();
    contacts.peek().is_some() && contacts.all(|c| c.expires().or(default) == Some(0))
        || request.list(HeaderName::Contact).any(|c| c == "*")
}
