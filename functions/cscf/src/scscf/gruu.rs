//! GRUUs of registered phones: RFC 5627 as TS 24.229 §5.4.7A has it.
//!
//! A public GRUU follows from the identity and the instance. A temporary one is sealed: it holds the identity
//! and the number of the registration that it was given for, so that nothing has to be kept of it. All
//! of an instance end with that number: when its last contact is gone, or when it registers with another
//! Call-ID. The key is in the store, so that they outlive a restart.

use base::{Instant, Output, Random};
use serde::{Deserialize, Serialize};
use sip::gruu::{self, Gruu};
use sip::lex::unquote;
use sip::reginfo::{ContactEvent, RegInfo, State};
use sip::{SipUri, Uri};

use super::GRUU_TABLE;
use super::contact::Contact;
use super::user::Users;
use crate::key::StoredKey;

/// The user part of a temporary GRUU begins so.
const PREFIX: &str = "tgruu.";
/// An identity of the home domain is sealed without it.
const HOME: &str = "@";

/// Which of the temporary GRUUs of an instance are good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Registration {
    /// What they hold.
    number: u64,
    /// The CSeq of the REGISTER that the first of them was given for, RFC 5628 §4.
    first_cseq: u32,
}

/// Mints GRUUs and reads them.
#[derive(Debug)]
pub(super) struct Gruus {
    key: StoredKey,
}

/// Whom a Request-URI is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Called {
    /// All contacts of this identity.
    Identity(String),
    /// The instance of this identity whose public GRUU has this `gr`.
    Instance(String, String),
    /// The instance with this registration.
    Registration(String, u64),
    /// A temporary GRUU that was never given.
    Nobody,
}

impl Called {
    /// The address of record; `None` if there is none.
    pub(super) fn aor(&self) -> Option<&str> {
        match self {
            Called::Identity(aor) | Called::Instance(aor, _) | Called::Registration(aor, _) => {
                Some(aor)
            }
            Called::Nobody => None,
        }
    }
}

impl Gruus {
    pub(super) fn new(random: Random) -> Gruus {
        Gruus { key: StoredKey::new(GRUU_TABLE, random) }
    }

    /// The store has a key.
    pub(super) fn restore(&mut self, value: &[u8]) {
        self.key.restore(value);
    }

    /// The first start: the key is written down.
    pub(super) fn start(&mut self) -> Option<Output> {
        self.key.start()
    }

    /// RFC 5627 §5.1: a contact that takes the place of `replaced` keeps the temporary GRUUs of its instance,
    /// unless the Call-ID is another one.
    pub(super) fn register(
        &self,
        now: Instant,
        others: &mut [Contact],
        replaced: Option<&Contact>,
        contact: &mut Contact,
    ) {
        let instance = contact.instance().filter(|_| !contact.emergency).map(str::to_owned);
        let Some(instance) = instance else { return };
        let same = |other: &Contact| !other.emergency && other.instance() == Some(&instance);
        let known = match replaced {
            Some(old) if old.call_id() != contact.call_id() => None,
            Some(old) => old.gruu,
            None => others.iter().find(|other| same(other)).and_then(|other| other.gruu),
        };
        let new = || {
            let when = now.unix_micros().to_be_bytes();
            let parts = [instance.as_bytes(), contact.call_id().as_bytes(), &when];
            let mut number = [0; 8];
            number.copy_from_slice(&self.key.seal().fingerprint("registration", &parts)[..8]);
            Registration { number: u64::from_be_bytes(number), first_cseq: contact.cseq }
        };
        contact.gruu = Some(known.unwrap_or_else(new));
        for other in others.iter_mut().filter(|other| same(other)) {
            other.gruu = contact.gruu;
        }
    }

    /// `gr` of an instance. What shows which device it is, is hidden: TS 24.229 §5.4.7A.2, RFC 4122 §4.3.
    fn gr(&self, contact: &Contact) -> Option<String> {
        let instance = unquote(contact.instance()?);
        let urn = instance.trim_start_matches('<').trim_end_matches('>');
        let is_device = ["urn:gsma:", "urn:3gpp:", "urn:meid:"]
            .iter()
            .any(|kind| urn.get(..kind.len()).is_some_and(|s| s.eq_ignore_ascii_case(kind)));
        if !is_device {
            return (!urn.is_empty()).then(|| urn.to_owned());
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&self.key.seal().fingerprint("instance", &[urn.as_bytes()])[..16]);
        // RFC 9562 §5.8: a name-based one with a hash function of our own.
        uuid[6] = uuid[6] & 0x0f | 0x80;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        let hex = auth::hex::encode(&uuid);
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Some(format!("urn:uuid:{}", parts.join("-")))
    }

    /// The public GRUU of a contact for an identity.
    pub(super) fn public(&self, aor: &str, contact: &Contact) -> Option<String> {
        let gr = self.gr(contact).filter(|_| aor.starts_with("sip:") && !contact.emergency)?;
        Some(gruu::public(aor, &gr))
    }

    /// The temporary GRUU of a contact for an identity, at this host: another one after each REGISTER.
    pub(super) fn temporary(
        &self,
        aor: &str,
        contact: &Contact,
        host: &str,
        home: &str,
    ) -> Option<String> {
        let identity = aor.strip_prefix("sip:")?;
        let identity = match identity.strip_suffix(home) {
            Some(user) if user.ends_with(HOME) => user,
            _ => identity,
        };
        let mut plain = contact.gruu?.number.to_be_bytes().to_vec();
        plain.extend_from_slice(&contact.cseq.to_be_bytes());
        plain.extend_from_slice(identity.as_bytes());
        Some(format!("sip:{PREFIX}{}@{host};gr", self.key.seal().close(&plain)))
    }

    /// What a reg event document about these contacts says of their GRUUs, RFC 5628.
    pub(super) fn tell(
        &self,
        mut info: RegInfo,
        events: &[(Contact, ContactEvent)],
        host: &str,
        home: &str,
    ) -> RegInfo {
        for registration in &mut info.registrations {
            let Some(aor) = Uri::parse(&registration.aor).map(|uri| uri.aor()) else { continue };
            let told = registration.contacts.iter_mut().zip(events);
            for (told, (contact, _)) in told.filter(|(told, _)| told.state == State::Active) {
                told.public_gruu = self.public(&aor, contact);
                let first = contact.gruu.map_or(0, |gruu| gruu.first_cseq);
                told.temporary_gruu =
                    self.temporary(&aor, contact, host, home).map(|gruu| (gruu, first));
            }
        }
        info
    }

    /// Whom a Request-URI is for; `None` if it names nobody.
    pub(super) fn called(&self, uri: &str, home: &str) -> Option<Called> {
        let uri = Uri::parse(uri)?;
        let aor = uri.aor();
        let gruu = uri.sip().and_then(|uri| Some((uri, Gruu::of(&uri)?)));
        Some(match gruu {
            None => Called::Identity(aor),
            Some((_, Gruu::Public(gr))) => Called::Instance(aor, gr),
            Some((uri, Gruu::Temporary)) => self.open(&uri, home).unwrap_or(Called::Nobody),
        })
    }

    fn open(&self, uri: &SipUri<'_>, home: &str) -> Option<Called> {
        let plain = self.key.seal().open(uri.user?.strip_prefix(PREFIX)?)?;
        let (number, rest) = plain.split_first_chunk()?;
        let identity = std::str::from_utf8(rest.get(4..)?).ok()?;
        let home = if identity.ends_with(HOME) { home } else { "" };
        Some(Called::Registration(format!("sip:{identity}{home}"), u64::from_be_bytes(*number)))
    }

    /// Whether a contact is among those that are called.
    pub(super) fn reaches(&self, called: &Called, contact: &Contact) -> bool {
        match called {
            Called::Identity(_) => true,
            Called::Instance(_, gr) => self.gr(contact).as_ref() == Some(gr),
            Called::Registration(_, number) => {
                contact.gruu.is_some_and(|gruu| gruu.number == *number)
            }
            Called::Nobody => false,
        }
    }

    /// RFC 5627 §5.4: whether a temporary GRUU is good no more, or never was.
    pub(super) fn is_void(&self, called: &Called, users: &Users) -> bool {
        match called {
            Called::Identity(_) | Called::Instance(..) => false,
            Called::Registration(aor, _) => {
                let contacts = users.of(aor).map(|user| &user.contacts[..]).unwrap_or_default();
                !contacts.iter().any(|contact| self.reaches(called, contact))
            }
            Called::Nobody => true,
        }
    }
}

/// Whether a URI is a temporary GRUU as S-CSCFs like this one mint them: its host is the S-CSCF's.
pub(crate) fn is_temporary(uri: &SipUri<'_>) -> bool {
    Gruu::of(uri) == Some(Gruu::Temporary) && uri.user.is_some_and(|u| u.starts_with(PREFIX))
}
