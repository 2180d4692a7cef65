//! The users that this S-CSCF serves and their contacts: TS 24.229 §5.4.1, RFC 3261 §10.3.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base::store::{Change, Durability};
use base::timer::Expiries;
use base::{Instant, Output};
use diameter::cx::Saa;
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::TABLE;
use super::gruu::Registration;
use super::profile::Profile;
use crate::emergency::is_emergency_contact;
use crate::lifetime::Lifetime;

/// A user whom the HSS assigned to us.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct User {
    /// The private identity.
    pub(super) impi: String,
    /// The document that the HSS sent; `profile` is read from it. Both are shared by copies.
    user_data: Arc<str>,
    #[serde(skip)]
    pub(super) profile: Arc<Profile>,
    pub(super) contacts: Vec<Contact>,
    /// The HSS told us of him since we know him. One whom the store or another node told us of may have
    /// been deregistered there meanwhile.
    #[serde(skip)]
    pub(super) confirmed: bool,
}

/// One contact of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contact {
    /// The Contact element without its `expires`, to be echoed.
    pub(super) element: String,
    /// Its URI.
    pub(super) uri: String,
    /// The `+sip.instance`, if it has one.
    pub(super) instance: Option<String>,
    /// Which temporary GRUUs of the instance are good, RFC 5627.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gruu: Option<Registration>,
    /// Which of the phone's flows it is, if it has several: RFC 5626 §4.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reg_id: Option<u32>,
    /// The Path that its REGISTER came by, next hop first.
    pub(super) path: Vec<String>,
    pub(super) lifetime: Lifetime,
    /// Call-ID and CSeq of the last REGISTER, RFC 3261 §10.3 step 7.
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// Preference in thousandths.
    pub(super) q: u16,
    /// Whether it is for emergency calls only, TS 24.229 §5.4.1.2.2.
    #[serde(default)]
    pub(super) emergency: bool,
}

impl Contact {
    pub(super) fn new(element: String, uri: String, lifetime: Lifetime) -> Contact {
        Contact {
            element,
            emergency: is_emergency_contact(&uri),
            uri,
            instance: None,
            gruu: None,
            reg_id: None,
            path: Vec::new(),
            lifetime,
            call_id: String::new(),
            cseq: 0,
            q: 1000,
        }
    }

    pub(super) fn expires(&self) -> Instant {
        self.lifetime.end()
    }

    /// Whether two are the same binding: the same flow of the same instance, or the same URI. One for
    /// emergency calls is another one.
    pub(super) fn is_same(&self, other: &Contact) -> bool {
        if self.emergency != other.emergency {
            return false;
        }
        match (&self.instance, &other.instance) {
            (Some(a), Some(b)) => {
                // Without a reg-id it was the phone's only flow.
                let flows = self.reg_id.zip(other.reg_id);
                a == b && flows.is_none_or(|(a, b)| a == b)
            }
            _ => sip::uri::equal(&self.uri, &other.uri),
        }
    }
}

impl User {
    pub(super) fn new(impi: String, user_data: String) -> Option<User> {
        let profile = Profile::parse(&user_data)?;
        let (user_data, profile) = (user_data.into(), Arc::new(profile));
        Some(User { impi, user_data, profile, contacts: Vec::new(), confirmed: true })
    }

    /// The user whom an SAA tells of, without contacts.
    pub(super) fn of_answer(saa: &Saa) -> Option<User> {
        let data = String::from_utf8_lossy(saa.user_data.as_deref()?).into_owned();
        let impi = Profile::parse(&data)?.private_identity;
        User::new(impi, data)
    }

    /// Whether there is a contact for more than emergency calls.
    pub(super) fn is_registered(&self) -> bool {
        self.contacts.iter().any(|contact| !contact.emergency)
    }

    /// The identities as addresses of record.
    fn aors(&self) -> Vec<String> {
        let aor = |uri: &str| sip::Uri::parse(uri).map(|uri| uri.aor());
        self.profile.identities().filter_map(|i| aor(&i.uri)).collect()
    }
}

/// All users.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Hashed with no seed: identities are the HSS's, no stranger chooses them. The same below.
    by_impi: HashMap<String, User, FixedState>,
    by_aor: HashMap<String, String, FixedState>,
    /// Those with identities that stand for several.
    wildcarded: BTreeSet<String>,
    expiries: Expiries<String>,
    /// Contacts of all users: asked for by every scrape, so they are not counted anew.
    contacts: usize,
}

impl Users {
    pub(super) fn len(&self) -> usize {
        self.by_impi.values().filter(|user| user.is_registered()).count()
    }

    /// Contacts of all users.
    pub(super) fn contacts(&self) -> usize {
        self.contacts
    }

    pub(super) fn get(&self, impi: &str) -> Option<&User> {
        self.by_impi.get(impi)
    }

    /// The user of an address of record.
    pub(super) fn of(&self, aor: &str) -> Option<&User> {
        let wildcarded = || {
            let meant = |user: &&User| user.profile.find(aor).is_some();
            self.wildcarded.iter().filter_map(|impi| self.by_impi.get(impi)).find(meant)
        };
        let named = self.by_aor.get(aor).and_then(|impi| self.by_impi.get(impi));
        named.or_else(wildcarded)
    }

    /// Puts a user in, or replaces it. The store hears of it unless only expiries moved and more
    /// than half of what it knows is left.
    pub(super) fn save(&mut self, now: Instant, mut user: User) -> Option<Output> {
        let old = self.by_impi.get(&user.impi);
        let unchanged = old.is_some_and(|old| is_refresh(now, old, &user));
        // Most REGISTERs change no identity.
        let renamed = old.is_none_or(|old| old.user_data != user.user_data);
        let stale = old.filter(|_| renamed).map(User::aors).unwrap_or_default();
        if let Some(old) = old.filter(|_| unchanged) {
            for (new, old) in user.contacts.iter_mut().zip(&old.contacts) {
                new.lifetime.keep_stored(&old.lifetime);
            }
        }
        for aor in stale {
            self.by_aor.remove(&aor);
        }
        for contact in user.contacts.iter_mut().filter(|_| !unchanged) {
            contact.lifetime.mark_stored();
        }
        let value = (!unchanged).then(|| serde_json::to_vec(&user).unwrap_or_default());
        let key = user.impi.clone().into_bytes().into();
        if renamed {
            self.name(&user);
        }
        self.insert(user);
        value.map(|value| stored(Change::Put { table: TABLE, key, value: value.into() }))
    }

    fn name(&mut self, user: &User) {
        for aor in user.aors() {
            self.by_aor.insert(aor, user.impi.clone());
        }
        if user.profile.is_wildcarded() {
            self.wildcarded.insert(user.impi.clone());
        } else {
            self.wildcarded.remove(&user.impi);
        }
    }

    fn insert(&mut self, user: User) {
        match user.contacts.iter().map(Contact::expires).min() {
            Some(at) => self.expiries.refresh(at, user.impi.as_str()),
            None => self.expiries.remove(&user.impi),
        }
        self.contacts += user.contacts.len();
        let old = self.by_impi.insert(user.impi.clone(), user);
        self.contacts -= old.map_or(0, |old| old.contacts.len());
    }

    /// Takes a user out.
    pub(super) fn remove(&mut self, impi: &str) -> Option<(User, Output)> {
        let user = self.by_impi.remove(impi)?;
        self.contacts -= user.contacts.len();
        self.expiries.remove(&user.impi);
        self.wildcarded.remove(&user.impi);
        for aor in user.aors() {
            self.by_aor.remove(&aor);
        }
        let key = impi.as_bytes().to_vec().into();
        Some((user, stored(Change::Delete { table: TABLE, key })))
    }

    /// Takes a record of the store, or of another node; what is unreadable is left out.
    pub(super) fn restore(&mut self, value: &[u8]) {
        let Some(mut user) = read(value) else { return };
        for contact in &mut user.contacts {
            contact.lifetime = contact.lifetime.restored();
        }
        for aor in self.by_impi.get(&user.impi).map(User::aors).unwrap_or_default() {
            self.by_aor.remove(&aor);
        }
        self.name(&user);
        self.insert(user);
    }

    /// Another node took the user of this record out.
    pub(super) fn forget(&mut self, key: &[u8]) {
        if let Ok(impi) = std::str::from_utf8(key) {
            self.remove(impi);
        }
    }

    /// The next user with a contact whose time is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<String> {
        self.expiries.due(now)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }
}

/// Whether nothing but lifetimes changed, and what is stored of them is good enough.
fn is_refresh(now: Instant, old: &User, new: &User) -> bool {
    old.user_data == new.user_data
        && old.contacts.len() == new.contacts.len()
        && old.contacts.iter().zip(&new.contacts).all(|(a, b)| {
            a.uri == b.uri
                && a.path == b.path
                && a.element == b.element
                && a.gruu == b.gruu
                && b.lifetime.is_covered(&a.lifetime, now)
        })
}

/// Whether a record of ours can be read.
pub(super) fn is_record(key: &[u8], value: &[u8]) -> bool {
    read(value).is_some_and(|user| user.impi.as_bytes() == key)
}

fn read(value: &[u8]) -> Option<User> {
    let mut user: User = serde_json::from_slice(value).ok()?;
    user.profile = Arc::new(Profile::parse(&user.user_data)?);
    Some(user)
}

fn stored(change: Change) -> Output {
    Output::Store { durability: Durability::Behind, changes: vec![change], commit: None }
}
