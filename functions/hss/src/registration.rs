//! Registration state, and what each request answers and changes: pure decisions over one
//! subscriber, TS 29.228 §6.1 and §6.2.

use std::collections::{BTreeMap, BTreeSet};

use auth::hex;
use base::fnv::fnv1a;
use diameter::cx::{
    self, Assignment, Authorization, ChargingInformation, Lia, Lir, Saa, Sar, ServerCapabilities,
    Uaa, Uar,
};
use diameter::dictionary::PUBLIC_IDENTITY;
use diameter::{ExperimentalCode, Fault, Outcome, ResultCode, Writer};
use serde::{Deserialize, Serialize};

use crate::password::Hashes;
use crate::subscriber::{Credential, ImplicitSet, Subscriber};
use crate::user_data::user_data;

/// What the HSS remembers of a subscription's registration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Registration {
    /// The SIP URI of the S-CSCF that serves the subscription.
    pub scscf: Option<String>,
    /// The Diameter identity of the S-CSCF that serves the sets: it hears of changes. Records of
    /// older programs do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The state of implicit sets by their first identity; absent is not registered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, State>,
    /// Sets whose authentication is pending, by their first identity.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pending: BTreeSet<String>,
    /// Digests of the service profiles that the S-CSCF has, by the sets' first identities.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, u64>,
    /// S-CSCF reassignment pending, TS 29.228 §6.1.1.1: its S-CSCF is away, and another one may take over.
    #[serde(default, skip_serializing_if = "is_not")]
    pub reassignment: bool,
    /// The S-CSCF that serves the sets while another one authenticates the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// What the S-CSCF left for another one: the contents of SCSCF-Restoration-Info in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoration: Option<Box<str>>,
}

/// An S-CSCF that another one takes over from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Former {
    /// Its SIP URI.
    pub scscf: String,
    /// Its Diameter identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Former {
    /// Its Diameter identity. If it is not known, it is what the SIP URI names.
    pub(crate) fn diameter_host(&self) -> Option<String> {
        self.host.clone().or_else(|| host_of(&self.scscf))
    }
}

/// The host of a SIP URI.
fn host_of(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once(':')?;
    let rest = rest.split([';', '?']).next()?;
    let place = rest.rsplit('@').next()?;
    Some(place.split(':').next()?.to_owned())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_not(flag: &bool) -> bool {
    !flag
}

/// The state of an implicit set that an S-CSCF serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Registered.
    Registered,
    /// Not registered, but an S-CSCF is assigned: for services to the unregistered.
    Unregistered,
}

impl Registration {
    pub(crate) fn state(&self, set: &ImplicitSet) -> Option<State> {
        self.states.get(set.name()).copied()
    }

    /// Whether an S-CSCF serves a set, registered or not.
    pub fn is_served(&self) -> bool {
        !self.states.is_empty()
    }

    /// The Diameter identity of the S-CSCF. If it is not known, it is what the SIP URI names.
    pub(crate) fn diameter_host(&self) -> Option<String> {
        self.host.clone().or_else(|| self.server_host())
    }

    /// The host of the S-CSCF's SIP URI.
    pub(crate) fn server_host(&self) -> Option<String> {
        host_of(self.scscf.as_ref()?)
    }

    fn is_served_by(&self, scscf: &str) -> bool {
        self.scscf.as_deref() == Some(scscf)
    }

    /// Remembers who serves the sets while `scscf` is to take over.
    fn give_way_to(&mut self, scscf: &str) {
        if let Some(old) = self.scscf.as_ref().filter(|old| *old != scscf)
            && self.is_served()
            && self.former.is_none()
        {
            self.former = Some(Former { scscf: old.clone(), host: self.host.clone() });
        }
    }

    /// An S-CSCF is assigned. Returns the one that it takes over from.
    fn assigned(&mut self, scscf: &str, host: Option<&str>) -> Option<Former> {
        self.give_way_to(scscf);
        self.scscf = Some(scscf.to_owned());
        self.host = host.map(str::to_owned);
        self.reassignment = false;
        self.former.take().filter(|former| former.scscf != scscf)
    }

    /// Keeps what the S-CSCF leaves for another one, TS 29.228 §6.1.2.1: of one who leaves nothing, nothing is
    /// kept of those before him either, unless he says that he could.
    fn keep(&mut self, sar: &Sar) {
        if let Some(data) = sar.restoration.first() {
            self.restoration = Some(hex::encode(data).into());
        } else if sar.features & cx::IMS_RESTORATION == 0 {
            self.restoration = None;
        }
    }

    /// What another S-CSCF left, for one that knows what to do with it.
    fn kept_for(&self, sar: &Sar) -> Option<Vec<u8>> {
        let knows = sar.features & cx::IMS_RESTORATION != 0;
        hex::decode(self.restoration.as_deref().filter(|_| knows)?)
    }

    /// Ends the service of a set; the S-CSCF's name goes with the last one.
    fn clear(&mut self, set: &ImplicitSet) {
        self.end(set.name());
    }

    /// Ends the service of the set of this name.
    pub(crate) fn end(&mut self, name: &str) {
        self.states.remove(name);
        self.pending.remove(name);
        self.profiles.remove(name);
        self.forget_restoration();
        self.forget_if_empty();
    }

    /// Nobody is registered whom another S-CSCF could have to reach.
    fn forget_restoration(&mut self) {
        if self.states.values().all(|state| *state != State::Registered) {
            self.restoration = None;
        }
    }

    /// Forgets sets that the subscriber has no longer: they were provisioned anew since.
    pub(crate) fn retain(&mut self, subscriber: &Subscriber) {
        let names = |name: &String| subscriber.sets.iter().any(|set| set.name() == name);
        let before = self.states.len() + self.pending.len();
        self.states.retain(|name, _| names(name));
        self.pending.retain(names);
        self.profiles.retain(|name, _| names(name));
        self.forget_restoration();
        if self.states.len() + self.pending.len() < before {
            self.forget_if_empty();
        }
    }

    fn forget_if_empty(&mut self) {
        if self.states.is_empty() && self.pending.is_empty() {
            self.scscf = None;
            self.host = None;
            self.profiles.clear();
            self.reassignment = false;
            self.former = None;
        }
    }
}

/// An answer and the registration state after it.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) outcome: Outcome,
    pub(crate) avps: Writer,
    pub(crate) after: Registration,
    /// The S-CSCF that the user is taken from.
    pub(crate) former: Option<Former>,
}

/// What a decision is made from.
pub(crate) struct Known<'a> {
    pub(crate) subscriber: &'a Subscriber,
    pub(crate) registration: &'a Registration,
    /// S-CSCFs to recommend, best first.
    pub(crate) scscfs: &'a [String],
}

type Decided = Result<Decision, Outcome>;

impl Known<'_> {
    /// UAR, TS 29.228 §6.1.1.1.
    pub(crate) fn authorize(&self, uar: &Uar, impu: &str) -> Decided {
        let set = self.set(impu)?;
        // An emergency call is for everybody, everywhere.
        let emergency = uar.is_emergency();
        if set.is_barred() && !emergency {
            return Err(ResultCode::AUTHORIZATION_REJECTED.into());
        }
        let roaming = || match emergency || self.subscriber.may_roam_to(&uar.visited_network) {
            true => Ok(()),
            false => Err(Outcome::from(ExperimentalCode::ERROR_ROAMING_NOT_ALLOWED)),
        };
        let scscf = self.registration.scscf.clone();
        match uar.authorization {
            Authorization::RegistrationAndCapabilities => {
                roaming()?;
                // The one that is assigned does not answer: TS 23.380 §4.3.
                let mut after = self.registration.clone();
                after.reassignment = after.scscf.is_some();
                let avps = cx::answer(&self.recommend_uaa());
                Ok(Decision { outcome: ResultCode::SUCCESS.into(), avps, after, former: None })
            }
            Authorization::Registration => {
                roaming()?;
                let (code, uaa) = match scscf {
                    Some(_) => (
                        ExperimentalCode::SUBSEQUENT_REGISTRATION,
                        Uaa { server_name: scscf, capabilities: None },
                    ),
                    None => (ExperimentalCode::FIRST_REGISTRATION, self.recommend_uaa()),
                };
                self.unchanged(code.into(), &uaa)
            }
            Authorization::DeRegistration => match scscf {
                Some(_) => {
                    let uaa = Uaa { server_name: scscf, capabilities: None };
                    self.unchanged(ResultCode::SUCCESS.into(), &uaa)
                }
                None => Err(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED.into()),
            },
        }
    }

    /// LIR, TS 29.228 §6.1.4.1.
    pub(crate) fn locate(&self, lir: &Lir, impu: &str) -> Decided {
        let set = self.set(impu)?;
        let recommend = || Lia { server_name: None, capabilities: self.recommend() };
        if lir.authorization == Some(Authorization::RegistrationAndCapabilities) {
            // As for a REGISTER: the one that is assigned does not answer.
            let mut after = self.registration.clone();
            after.reassignment = after.scscf.is_some();
            let avps = cx::answer(&recommend());
            return Ok(Decision { outcome: ResultCode::SUCCESS.into(), avps, after, former: None });
        }
        let serves = || set.criteria.iter().any(|criteria| criteria.serves_unregistered());
        let state = self.registration.state(set);
        match &self.registration.scscf {
            Some(scscf) if state.is_some() || serves() && !self.registration.states.is_empty() => {
                let lia = Lia { server_name: Some(scscf.clone()), capabilities: None };
                self.unchanged(ResultCode::SUCCESS.into(), &lia)
            }
            _ if serves() => {
                self.unchanged(ExperimentalCode::UNREGISTERED_SERVICE.into(), &recommend())
            }
            _ => Err(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED.into()),
        }
    }

    /// SAR, TS 29.228 §6.1.2.1. `impus` are canonical and the subscriber's own; none means all.
    /// `host` is the Diameter identity of the S-CSCF; `repeated` if it may have been decided before
    /// (T-bit).
    pub(crate) fn assign(
        &self,
        sar: &Sar,
        impus: &[String],
        host: Option<&str>,
        repeated: bool,
    ) -> Decided {
        use Assignment::*;
        let mut sets = Vec::new();
        for set in impus.iter().map(|impu| self.set(impu)) {
            let set = set?;
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        if sets.is_empty() {
            sets.extend(&self.subscriber.sets);
        }
        let mut after = self.registration.clone();
        let assigned = after.scscf.clone();
        let other = assigned.as_ref().is_some_and(|name| *name != sar.server_name);
        match sar.assignment {
            Registration | ReRegistration => {
                if other && !after.reassignment {
                    return Err(ResultCode::UNABLE_TO_COMPLY.into());
                }
                let former = after.assigned(&sar.server_name, host);
                // Whoever takes over hears of the user's other contacts, too.
                let kept = after.kept_for(sar).filter(|_| former.is_some());
                for set in &sets {
                    after.pending.remove(set.name());
                    after.states.insert(set.name().to_owned(), State::Registered);
                }
                after.keep(sar);
                let decision = self.profile(sar, &sets, after, kept)?;
                Ok(Decision { former, ..decision })
            }
            UnregisteredUser => {
                if other && !after.reassignment {
                    let code = ExperimentalCode::ERROR_IDENTITY_ALREADY_REGISTERED;
                    return Err(code.into());
                }
                let registered = |set: &&ImplicitSet| after.state(set) == Some(State::Registered);
                let kept = if sets.iter().any(registered) {
                    // TS 23.380 §4.4.3: he is registered, and who asks lost him, or takes him over.
                    let error = Outcome::from(ExperimentalCode::ERROR_IN_ASSIGNMENT_TYPE);
                    Some(after.kept_for(sar).ok_or(error)?)
                } else {
                    None
                };
                let former = after.assigned(&sar.server_name, host);
                if kept.is_none() {
                    for set in &sets {
                        after.states.insert(set.name().to_owned(), State::Unregistered);
                    }
                }
                let decision = self.profile(sar, &sets, after, kept)?;
                Ok(Decision { former, ..decision })
            }
            NoAssignment => {
                if !after.is_served_by(&sar.server_name) {
                    return Err(ResultCode::UNABLE_TO_COMPLY.into());
                }
                let kept = after.kept_for(sar);
                self.profile(sar, &sets, after, kept)
            }
            TimeoutDeregistration
            | UserDeregistration
            | AdministrativeDeregistration
            | DeregistrationTooMuchData
            | TimeoutDeregistrationStoreServerName
            | UserDeregistrationStoreServerName => {
                if other {
                    return Err(ResultCode::UNABLE_TO_COMPLY.into());
                }
                if sets.iter().all(|set| after.state(set).is_none()) {
                    if repeated {
                        return self.done(after);
                    }
                    return Err(ExperimentalCode::ERROR_IDENTITY_NOT_REGISTERED.into());
                }
                let keep = matches!(
                    sar.assignment,
                    TimeoutDeregistrationStoreServerName | UserDeregistrationStoreServerName
                );
                if keep {
                    sets.retain(|set| after.state(set).is_some());
                }
                for set in &sets {
                    if keep {
                        after.pending.remove(set.name());
                        after.states.insert(set.name().to_owned(), State::Unregistered);
                    } else {
                        after.clear(set);
                    }
                }
                after.forget_restoration();
                self.done(after)
            }
            AuthenticationFailure | AuthenticationTimeout => {
                if other {
                    return Err(ResultCode::UNABLE_TO_COMPLY.into());
                }
                for set in &sets {
                    after.pending.remove(set.name());
                    if after.state(set).is_none() {
                        after.clear(set);
                    }
                }
                // Whoever cannot prove that he is the user takes him from nobody.
                if let Some(former) = after.former.take_if(|_| after.pending.is_empty()) {
                    after.scscf = Some(former.scscf);
                }
                self.done(after)
            }
            // These belong to SWx.
            AaaUserDataRequest | PgwUpdate | Restoration => {
                Err(ExperimentalCode::ERROR_IN_ASSIGNMENT_TYPE.into())
            }
        }
    }

    /// The state after vectors were handed to `scscf`, TS 29.228 §6.3.1: its name is stored, and
    /// authentication is pending unless it serves the set already.
    pub(crate) fn challenged(&self, impu: &str, scscf: &str) -> Result<Registration, Outcome> {
        let set = self.set(impu)?;
        let mut after = self.registration.clone();
        if !after.is_served_by(scscf) || after.state(set) != Some(State::Registered) {
            after.give_way_to(scscf);
            after.scscf = Some(scscf.to_owned());
            after.pending.insert(set.name().to_owned());
        }
        Ok(after)
    }

    fn set(&self, impu: &str) -> Result<&ImplicitSet, Outcome> {
        let unknown = Outcome::from(ExperimentalCode::ERROR_USER_UNKNOWN);
        self.subscriber.set_of(impu).ok_or(unknown)
    }

    /// The profile; and `kept`, what another S-CSCF left.
    fn profile(
        &self,
        sar: &Sar,
        sets: &[&ImplicitSet],
        mut after: Registration,
        kept: Option<Vec<u8>>,
    ) -> Decided {
        let document =
            (!sar.has_user_data).then(|| user_data(self.subscriber, sets.iter().copied()));
        if let Some(document) = &document {
            for set in sets.iter().filter(|set| after.states.contains_key(set.name())) {
                let digest = match sets {
                    // Nearly always.
                    [_] => digest(self.subscriber, document),
                    _ => digest(self.subscriber, &user_data(self.subscriber, [*set])),
                };
                after.profiles.insert(set.name().to_owned(), digest);
            }
        }
        let saa = Saa {
            user_name: Some(self.subscriber.impi.clone()),
            user_data: document.map(String::into_bytes),
            charging: charging(self.subscriber),
            restoration: kept.into_iter().collect(),
            ..Saa::default()
        };
        let outcome = ResultCode::SUCCESS.into();
        Ok(Decision { outcome, avps: cx::answer(&saa), after, former: None })
    }

    fn done(&self, after: Registration) -> Decided {
        let saa = Saa { user_name: Some(self.subscriber.impi.clone()), ..Saa::default() };
        let outcome = ResultCode::SUCCESS.into();
        Ok(Decision { outcome, avps: cx::answer(&saa), after, former: None })
    }

    fn unchanged(&self, outcome: Outcome, answer: &impl cx::Body) -> Decided {
        let after = self.registration.clone();
        Ok(Decision { outcome, avps: cx::answer(answer), after, former: None })
    }

    fn recommend_uaa(&self) -> Uaa {
        Uaa { server_name: None, capabilities: self.recommend() }
    }

    fn recommend(&self) -> Option<ServerCapabilities> {
        let capabilities = ServerCapabilities {
            mandatory: self.subscriber.capabilities.mandatory.clone(),
            optional: self.subscriber.capabilities.optional.clone(),
            server_names: self.scscfs.to_vec(),
        };
        (capabilities != ServerCapabilities::default()).then_some(capabilities)
    }
}

/// Charging-Information of a subscriber, if he has any.
pub(crate) fn charging(subscriber: &Subscriber) -> Option<ChargingInformation> {
    let charging = ChargingInformation {
        primary_ecf: subscriber.charging.ocs.clone(),
        primary_ccf: subscriber.charging.cdf.clone(),
        ..ChargingInformation::default()
    };
    (charging != ChargingInformation::default()).then_some(charging)
}

/// A digest (FNV-1a) of all that an S-CSCF is told of a set, whose document this is, and of the H(A1)
/// that it may keep: two that differ are worth a PPR.
pub(crate) fn digest(subscriber: &Subscriber, document: &str) -> u64 {
    let charging = charging(subscriber).map(|charging| format!("{charging:?}"));
    let hashes = match &subscriber.credential {
        Credential::Digest { md5, sha256, .. } => vec![Some(md5), sha256.as_ref()],
        Credential::Aka { .. } => Vec::new(),
    };
    let hashes = hashes.into_iter().flatten().flat_map(Hashes::iter);
    let hashes = hashes.flat_map(|hash| hash.reveal().bytes());
    let told = document.bytes().chain(charging.iter().flat_map(|text| text.bytes()));
    fnv1a(told.chain(hashes))
}

/// Whether the SAR names as many identities as its type allows, TS 29.228 §6.1.2.1.
pub(crate) fn check_sar(sar: &Sar) -> Result<(), Fault> {
    use Assignment::*;
    if sar.user_name.is_none() && sar.public_identities.is_empty() {
        return Err(Fault::missing(PUBLIC_IDENTITY));
    }
    let deregisters = matches!(
        sar.assignment,
        TimeoutDeregistration
            | UserDeregistration
            | TimeoutDeregistrationStoreServerName
            | UserDeregistrationStoreServerName
            | AdministrativeDeregistration
            | DeregistrationTooMuchData
    );
    match sar.public_identities.len() {
        0 if !deregisters => Err(Fault::missing(PUBLIC_IDENTITY)),
        0 | 1 => Ok(()),
        _ if deregisters => Ok(()),
        // RFC 6733 §7.1.5: the first that is too many.
        _ => {
            let mut second = Writer::new();
            second.utf8(PUBLIC_IDENTITY, &sar.public_identities[1]);
            let code = ResultCode::AVP_OCCURS_TOO_MANY_TIMES;
            Err(Fault { code, failed: second.finish() })
        }
    }
}
