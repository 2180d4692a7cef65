//! Who a subscriber is: private identity, credential, implicit registration sets; and how all of it
//! follows from a SIM or from a name and a password, TS 23.003 §13.

use std::collections::BTreeSet;

use auth::digest::Hash;
use auth::milenage::{Amf, Key, opc};
use base::identity::{IdentityError, Imsi, Msisdn};
use base::redact::Secret;

use crate::password::Hashes;
use crate::profile::{Condition, FilterCriteria};

/// A subscriber of the home network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscriber {
    /// The private identity, TS 23.003 §13.3: `name@realm`.
    pub impi: String,
    /// The IMSI of the SIM, if there is one.
    pub imsi: Option<Imsi>,
    /// Telephone numbers.
    pub msisdns: Vec<Msisdn>,
    /// How the subscriber proves to be who he says.
    pub credential: Credential,
    /// Implicit registration sets, at least one, TS 23.228 §5.2.1a.
    pub sets: Vec<ImplicitSet>,
    /// What the S-CSCF must and should be able to do.
    pub capabilities: Capabilities,
    /// Charging functions.
    pub charging: Charging,
    /// Visited networks that are allowed; `None` is all.
    pub roaming: Option<Vec<String>>,
}

/// How a subscriber proves to be who he says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// A SIM: Digest-AKAv1-MD5 with Milenage.
    Aka {
        /// The long-term key.
        k: Key,
        /// OPc.
        opc: Key,
        /// Authentication Management Field.
        amf: Amf,
    },
    /// A password: SIP Digest.
    Digest {
        /// The realm.
        realm: String,
        /// H(A1) with MD5.
        md5: Hashes,
        /// H(A1) with SHA-256, RFC 7616; not there if only H(A1) with MD5 was given.
        sha256: Option<Hashes>,
    },
}

/// OP or OPc: what the operator knows of the SIM beside K.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OperatorKey {
    /// OP, the same for all SIMs of an operator.
    Op(Key),
    /// OPc, derived for one SIM.
    Opc(Key),
}

/// Public identities that are registered together; they share a service profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImplicitSet {
    /// The identities; the first that is not barred is the default one.
    pub identities: Vec<PublicIdentity>,
    /// Initial filter criteria.
    pub criteria: Vec<FilterCriteria>,
}

/// A public identity, TS 23.003 §13.4.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicIdentity {
    /// A `sip:` or `tel:` URI in canonical form, see [`canonical`].
    pub uri: String,
    /// Whether it may only be used to register.
    pub barred: bool,
}

/// Server-Capabilities of a subscriber, TS 29.229 §6.3.4.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// Mandatory-Capability.
    pub mandatory: Vec<u32>,
    /// Optional-Capability.
    pub optional: Vec<u32>,
}

/// Charging functions of a subscriber, as DiameterURIs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Charging {
    /// Primary-Event-Charging-Function-Name: the OCS.
    pub ocs: Option<String>,
    /// Primary-Charging-Collection-Function-Name: the CDF.
    pub cdf: Option<String>,
}

/// Why a subscriber was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubscriberError {
    /// An IMSI or number is not one.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The private identity is not `name@realm`.
    #[error("the private identity {0:?} is not of the form name@realm")]
    Impi(String),
    /// A domain is empty or has characters that a host name cannot have.
    #[error("the domain {0:?} is not a host name")]
    Domain(String),
    /// A public identity is not a `sip:` or `tel:` URI.
    #[error("the public identity {0:?} is neither sip:name@domain nor tel:+number")]
    Impu(String),
    /// A public identity stands twice.
    #[error("the public identity {0:?} stands twice")]
    Twice(String),
    /// There is no public identity.
    #[error("a subscriber needs at least one public identity in each implicit set")]
    NoIdentity,
    /// A key is not 32 hexadecimal digits.
    #[error("{0} must be 32 hexadecimal digits")]
    Key(&'static str),
    /// The AMF is not 4 hexadecimal digits.
    #[error("AMF must be 4 hexadecimal digits")]
    Amf,
    /// Neither OP nor OPc was given.
    #[error("a SIM needs OP or OPc beside K")]
    NoOperatorKey,
    /// An H(A1) has other digits than its hash function.
    #[error("H(A1) must be 32 hexadecimal digits (MD5) or 64 (SHA-256)")]
    Ha1,
    /// Neither a SIM's keys nor a password was given.
    #[error("a subscriber needs K and OPc, or a password")]
    NoCredential,
    /// Filter criteria that the schema does not allow.
    #[error("initial filter criteria of priority {0}: {1}")]
    Criteria(u32, &'static str),
}

impl Subscriber {
    /// A subscriber with a SIM, TS 23.003 §13.3 and §13.4B: the private identity is
    /// `imsi@home_domain`; public ones are `sip:+number@home_domain` and `tel:+number` for each
    /// number, and one derived from the IMSI, which is barred unless there is nothing else.
    pub fn from_sim(
        imsi: &str,
        msisdns: &[String],
        k: Key,
        operator: OperatorKey,
        amf: Amf,
        home_domain: &str,
    ) -> Result<Subscriber, SubscriberError> {
        let imsi = Imsi::new(imsi)?;
        let domain = checked_domain(home_domain)?;
        let opc = match operator {
            OperatorKey::Op(op) => opc(&k, &op),
            OperatorKey::Opc(opc) => opc,
        };
        let barred = !msisdns.is_empty();
        let first = PublicIdentity { uri: format!("sip:{imsi}@{domain}"), barred };
        let impi = format!("{imsi}@{domain}");
        let credential = Credential::Aka { k, opc, amf };
        let mut subscriber = Subscriber::of(impi, credential, first, msisdns, &domain)?;
        subscriber.imsi = Some(imsi);
        Ok(subscriber)
    }

    /// A subscriber with a password: private identity `name@domain`, which is also the Digest user
    /// name; public ones `sip:name@domain` and, for each number, `sip:+number@domain` and
    /// `tel:+number`.
    pub fn with_password(
        name: &str,
        password: &Secret<String>,
        msisdns: &[String],
        domain: &str,
    ) -> Result<Subscriber, SubscriberError> {
        let domain = checked_domain(domain)?;
        let impi = format!("{name}@{domain}");
        let hashes = |hash| Hashes::of(hash, name, &domain, password);
        let (md5, sha256) = (hashes(Hash::Md5), Some(hashes(Hash::Sha256)));
        let first = PublicIdentity { uri: format!("sip:{impi}"), barred: false };
        let credential = Credential::Digest { realm: domain.clone(), md5, sha256 };
        Subscriber::of(impi, credential, first, msisdns, &domain)
    }

    fn of(
        impi: String,
        credential: Credential,
        first: PublicIdentity,
        msisdns: &[String],
        domain: &str,
    ) -> Result<Subscriber, SubscriberError> {
        let msisdns: Vec<Msisdn> =
            msisdns.iter().map(|m| Msisdn::new(m)).collect::<Result<_, _>>()?;
        let mut identities = vec![first];
        for number in &msisdns {
            for uri in [format!("sip:+{number}@{domain}"), format!("tel:+{number}")] {
                identities.push(PublicIdentity { uri, barred: false });
            }
        }
        let subscriber = Subscriber {
            impi,
            imsi: None,
            msisdns,
            credential,
            sets: vec![ImplicitSet { identities, criteria: Vec::new() }],
            capabilities: Capabilities::default(),
            charging: Charging::default(),
            roaming: None,
        };
        subscriber.validate()?;
        Ok(subscriber)
    }

    /// The subscriber with these filter criteria in his first implicit set.
    pub fn with_criteria(
        mut self,
        criteria: Vec<FilterCriteria>,
    ) -> Result<Subscriber, SubscriberError> {
        if let Some(set) = self.sets.first_mut() {
            set.criteria = criteria;
        }
        self.validate()?;
        Ok(self)
    }

    /// Bars all public identities, so that nobody can register them or call with them; or gives them
    /// back what [`from_sim`](Subscriber::from_sim) derives: the one of the IMSI stays barred if there
    /// is another.
    pub fn set_barred(&mut self, barred: bool) {
        let of_imsi = self.imsi.as_ref().map(|_| format!("sip:{}", self.impi));
        let alone = self.identities().count() == 1;
        for identity in self.sets.iter_mut().flat_map(|set| &mut set.identities) {
            identity.barred = barred || (!alone && of_imsi.as_ref() == Some(&identity.uri));
        }
    }

    /// Adds filter criteria that all subscribers share to every set. Where a priority is taken, the
    /// shared one comes after.
    pub fn share(&mut self, criteria: &[FilterCriteria]) {
        for set in &mut self.sets {
            for shared in criteria {
                let mut shared = shared.clone();
                while set.criteria.iter().any(|own| own.priority == shared.priority) {
                    shared.priority += 1;
                }
                set.criteria.push(shared);
            }
        }
    }

    /// Checks what the types alone do not say.
    pub fn validate(&self) -> Result<(), SubscriberError> {
        let parts = self.impi.split_once('@');
        if !parts.is_some_and(|(name, realm)| is_user(name) && is_domain(realm)) {
            return Err(SubscriberError::Impi(self.impi.clone()));
        }
        if self.sets.is_empty() || self.sets.iter().any(|set| set.identities.is_empty()) {
            return Err(SubscriberError::NoIdentity);
        }
        let mut seen = BTreeSet::new();
        for identity in self.identities() {
            if canonical(&identity.uri).as_deref() != Some(&identity.uri) {
                return Err(SubscriberError::Impu(identity.uri.clone()));
            }
            if !seen.insert(&identity.uri) {
                return Err(SubscriberError::Twice(identity.uri.clone()));
            }
        }
        if let Credential::Digest { md5, sha256, .. } = &self.credential {
            let legal = |hash| move |hashes: &Hashes| hashes.are_of(hash);
            if !legal(Hash::Md5)(md5) || !sha256.as_ref().is_none_or(legal(Hash::Sha256)) {
                return Err(SubscriberError::Ha1);
            }
        }
        self.sets.iter().try_for_each(|set| validate_criteria(&set.criteria))
    }

    /// Every public identity.
    pub fn identities(&self) -> impl Iterator<Item = &PublicIdentity> {
        self.sets.iter().flat_map(|set| &set.identities)
    }

    /// The implicit registration set that `impu` (in canonical form) belongs to.
    pub fn set_of(&self, impu: &str) -> Option<&ImplicitSet> {
        self.sets.iter().find(|set| set.identities.iter().any(|identity| identity.uri == impu))
    }

    /// Whether the visited network may be used.
    pub fn may_roam_to(&self, network: &[u8]) -> bool {
        self.roaming.as_ref().is_none_or(|allowed| {
            allowed.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(network))
        })
    }
}

impl ImplicitSet {
    /// The name under which the set's registration state is kept: its first identity.
    pub fn name(&self) -> &str {
        self.identities.first().map_or("", |identity| &identity.uri)
    }

    /// Whether all identities are barred.
    pub fn is_barred(&self) -> bool {
        self.identities.iter().all(|identity| identity.barred)
    }
}

/// The canonical form of a public identity, TS 23.003 §13.4: no parameters or headers, scheme and
/// host in lower case, a telephone number without visual separators. `None` if it is neither
/// `sip:user@host` nor `tel:+number`.
pub fn canonical(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let rest = rest.split([';', '?']).next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("tel") {
        let number: String = rest.chars().filter(|c| !"-.()".contains(*c)).collect();
        let digits = number.strip_prefix('+')?;
        let legal = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        return legal.then(|| format!("tel:{number}"));
    }
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
        return None;
    }
    let (user, host) = rest.split_once('@')?;
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":5060").unwrap_or(&host);
    (is_user(user) && is_domain(host)).then(|| format!("sip:{user}@{host}"))
}

fn checked_domain(domain: &str) -> Result<String, SubscriberError> {
    let lower = domain.to_ascii_lowercase();
    if is_domain(&lower) { Ok(lower) } else { Err(SubscriberError::Domain(domain.to_owned())) }
}

fn is_user(text: &str) -> bool {
    // RFC 3261 §25.1: unreserved, escaped and user-unreserved, and nothing that would end the user.
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'()%&=+$,/".contains(&b))
}

fn is_domain(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}

/// Checks criteria that stand in one service profile.
pub fn validate_criteria(all: &[FilterCriteria]) -> Result<(), SubscriberError> {
    let mut priorities = BTreeSet::new();
    for criteria in all {
        let checked = if priorities.insert(criteria.priority) {
            legal(criteria)
        } else {
            Err("another one has the same priority")
        };
        checked.map_err(|what| SubscriberError::Criteria(criteria.priority, what))?;
    }
    Ok(())
}

fn legal(criteria: &FilterCriteria) -> Result<(), &'static str> {
    if criteria.priority > i32::MAX as u32 {
        return Err("the priority is too great");
    }
    let server = &criteria.server.name;
    let rest = server.strip_prefix("sip:").or_else(|| server.strip_prefix("sips:"));
    let in_uri = |c: char| !c.is_whitespace() && !c.is_control() && !"<>\"".contains(c);
    if !rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(in_uri)) {
        return Err("the application server's name must be a SIP URI");
    }
    let Some(trigger) = &criteria.trigger else { return Ok(()) };
    if trigger.spts.is_empty() {
        return Err("a trigger point needs an SPT");
    }
    trigger.spts.iter().try_for_each(|spt| {
        let token = match &spt.condition {
            Condition::Method(token) => token,
            Condition::Header { header: token, .. } => token,
            Condition::SessionDescription { line: token, .. } => token,
            Condition::RequestUri(_) | Condition::SessionCase(_) => "-",
        };
        // RFC 3261 §25.1.
        let in_token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
        if spt.groups.is_empty() {
            Err("an SPT needs a group")
        } else if spt.registration_types.len() > 2 {
            Err("an SPT has at most two registration types")
        } else if token.is_empty() || !token.bytes().all(in_token) {
            Err("a method, a header or an SDP line has a name of letters, digits and hyphens")
        } else {
            Ok(())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sim_gives_the_identities_of_ts_23_003() {
        let k = Secret::new([1; 16]);
        let operator = OperatorKey::Op(Secret::new([2; 16]));
        let numbers = ["+491701".to_owned()];
        let domain = "ims.mnc001.mcc001.3gppnetwork.org";
        let imsi = "001010000000001";
        let sim = Subscriber::from_sim(imsi, &numbers, k, operator, [0x80, 0], domain).unwrap();
        assert_eq!(sim.impi, "001010000000001@ims.mnc001.mcc001.3gppnetwork.org");
        let identities: Vec<_> = sim.identities().map(|i| (i.uri.as_str(), i.barred)).collect();
        assert_eq!(
            identities,
            [
                ("sip:001010000000001@ims.mnc001.mcc001.3gppnetwork.org", true),
                ("sip:+491701@ims.mnc001.mcc001.3gppnetwork.org", false),
                ("tel:+491701", false),
            ]
        );
        assert!(!format!("{sim:?}").contains("[1, 1"));
    }

    #[test]
    fn who_is_barred_and_unbarred_is_as_before() {
        let k = Secret::new([1; 16]);
        let operator = OperatorKey::Op(Secret::new([2; 16]));
        let sim = |numbers: &[String]| {
            let (k, operator) = (k.clone(), operator.clone());
            Subscriber::from_sim("001010000000001", numbers, k, operator, [0x80, 0], "ex.org")
        };
        let password = Secret::new("p".to_owned());
        let alice = Subscriber::with_password("a", &password, &["491".to_owned()], "ex.org");
        for before in [sim(&[]), sim(&["491701".to_owned()]), alice] {
            let before = before.unwrap();
            let mut subscriber = before.clone();
            subscriber.set_barred(true);
            assert!(subscriber.sets[0].is_barred());
            subscriber.set_barred(false);
            assert_eq!(subscriber, before);
        }
    }

    #[test]
    fn refusals_are_clear() {
        let password = Secret::new("p".to_owned());
        let refuse = |name: &str, numbers: &[String], domain: &str| {
            Subscriber::with_password(name, &password, numbers, domain).unwrap_err().to_string()
        };
        assert_eq!(
            refuse("a b", &[], "ex.org"),
            "the private identity \"a b@ex.org\" is not of the form name@realm"
        );
        assert_eq!(refuse("a", &[], "ex org"), "the domain \"ex org\" is not a host name");
        assert!(refuse("a", &["12x".to_owned()], "ex.org").contains("MSISDN"));
        let twice = ["4917".to_owned(), "+4917".to_owned()];
        assert!(refuse("a", &twice, "ex.org").contains("stands twice"));
    }

    #[test]
    fn filter_criteria_are_checked_and_shared() {
        let criteria = |text| FilterCriteria::parse_all([text]).unwrap();
        let password = Secret::new("p".to_owned());
        let alice = || Subscriber::with_password("a", &password, &[], "ex.org").unwrap();
        for wrong in ["sip:a ; sip:b priority=0", "sip:", "sip:<a>", "sip:a when method=A,B"] {
            assert!(alice().with_criteria(criteria(wrong)).is_err(), "{wrong}");
        }
        let mut alice = alice().with_criteria(criteria("sip:a ; sip:b")).unwrap();
        alice.share(&criteria("sip:c ; sip:d"));
        assert_eq!(alice.validate(), Ok(()));
        let shown = alice.sets[0].criteria.iter().map(|c| (c.server.name.as_str(), c.priority));
        let expected = [("sip:a", 0), ("sip:b", 1), ("sip:c", 2), ("sip:d", 3)];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn canonical_forms() {
        for (uri, expected) in [
            ("SIP:+49170@Ex.Org;user=phone", Some("sip:+49170@ex.org")),
            ("sip:alice@ex.org:5060?x=y", Some("sip:alice@ex.org")),
            ("tel:+49-170.1(2);phone-context=x", Some("tel:+4917012")),
            ("tel:110", None),
            ("sip:ex.org", None),
            ("mailto:a@b", None),
            ("", None),
        ] {
            assert_eq!(canonical(uri).as_deref(), expected, "{uri}");
        }
    }
}
