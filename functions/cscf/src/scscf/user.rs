//! The users that this S-CSCF serves: TS 24.229 §5.4.1, RFC 3261 §10.3.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use base::slots::{Slot, Slots};
use base::store::{Change, Durability};
use base::timer::Expiries;
use base::{Instant, Output};
use diameter::cx::Saa;
use serde::{Deserialize, Serialize};

use super::TABLE;
use super::contact::Contact;
use super::ifc::Criterion;
use super::profile::{Profile, PublicIdentity, Subscription};
use crate::index::Index;

/// A user whom the HSS assigned to us. Copies share what is large.
#[derive(Clone, Debug, Serialize)]
pub(super) struct User {
    /// The private identity.
    pub(super) impi: Arc<str>,
    pub(super) profile: Arc<Profile>,
    pub(super) contacts: Vec<Contact>,
    /// The HSS told us of him since we know him. One whom the store or another node told us of may have
    /// been deregistered there meanwhile.
    #[serde(skip)]
    pub(super) confirmed: bool,
}

impl User {
    /// A user with the profile that the HSS sent.
    pub(super) fn new(impi: &str, profile: Profile) -> User {
        let (impi, profile) = (impi.into(), Arc::new(profile));
        User { impi, profile, contacts: Vec::new(), confirmed: true }
    }

    /// The user whom an SAA tells of, without contacts.
    pub(super) fn of_answer(saa: &Saa) -> Option<User> {
        let data = String::from_utf8_lossy(saa.user_data.as_deref()?);
        let Subscription { private_identity, profile } = Subscription::parse(&data)?;
        Some(User::new(&private_identity, profile))
    }

    /// Whether there is a contact for more than emergency calls.
    pub(super) fn is_registered(&self) -> bool {
        self.contacts.iter().any(|contact| !contact.emergency)
    }

    /// The identities as addresses of record.
    fn aors(&self) -> Vec<String> {
        self.profile.identities().filter_map(PublicIdentity::aor).collect()
    }
}

/// Users with the same criteria share them: the last different ones that came.
#[derive(Debug, Default)]
struct KnownCriteria(VecDeque<Arc<[Criterion]>>);

impl KnownCriteria {
    /// How many are remembered: what subscribers have is of few kinds.
    const MOST: usize = 32;

    fn share(&mut self, profile: &mut Profile) {
        for service in profile.services.iter_mut().filter(|service| !service.criteria.is_empty()) {
            match self.0.iter().find(|known| **known == service.criteria) {
                Some(known) => service.criteria = Arc::clone(known),
                None => {
                    self.0.push_front(Arc::clone(&service.criteria));
                    self.0.truncate(KnownCriteria::MOST);
                }
            }
        }
    }
}

/// All users.
#[derive(Debug, Default)]
pub(super) struct Users {
    users: Slots<User>,
    by_impi: Index<Slot>,
    /// By each identity; of several users with the same one the newest.
    by_aor: Index<Slot>,
    /// Those with identities that stand for several, by their private identities.
    wildcarded: BTreeSet<(Arc<str>, Slot)>,
    expiries: Expiries<Slot>,
    /// Contacts of all users: asked for by every scrape, so they are not counted anew.
    contacts: usize,
    known_criteria: KnownCriteria,
}

impl Users {
    pub(super) fn len(&self) -> usize {
        self.users.iter().filter(|(_, user)| user.is_registered()).count()
    }

    /// Contacts of all users.
    pub(super) fn contacts(&self) -> usize {
        self.contacts
    }

    fn slot_of(&self, impi: &str) -> Option<Slot> {
        let is = |slot| self.users.get(slot).is_some_and(|user| &*user.impi == impi);
        self.by_impi.find(impi, is)
    }

    pub(super) fn get(&self, impi: &str) -> Option<&User> {
        self.users.get(self.slot_of(impi)?)
    }

    /// The user of an address of record.
    pub(super) fn of(&self, aor: &str) -> Option<&User> {
        let wildcarded = || {
            let meant = |user: &&User| user.profile.find(aor).is_some();
            self.wildcarded.iter().filter_map(|(_, slot)| self.users.get(*slot)).find(meant)
        };
        let is = |slot| self.users.get(slot).is_some_and(|user| user.profile.names(aor));
        let named = self.by_aor.find(aor, is);
        named.and_then(|slot| self.users.get(slot)).or_else(wildcarded)
    }

    /// Puts a user in, or replaces it. The store hears of it unless only expiries moved and more
    /// than half of what it knows is left.
    pub(super) fn save(&mut self, now: Instant, mut user: User) -> Option<Output> {
        let old = self.get(&user.impi);
        let unchanged = old.filter(|old| is_refresh(now, old, &user));
        match unchanged {
            Some(old) => {
                for (new, old) in user.contacts.iter_mut().zip(&old.contacts) {
                    new.lifetime.keep_stored(&old.lifetime);
                }
            }
            None => user.contacts.iter_mut().for_each(|contact| contact.lifetime.mark_stored()),
        }
        let change = unchanged.is_none().then(|| {
            let value = serde_json::to_vec(&user).unwrap_or_default();
            let key = user.impi.as_bytes().to_vec().into();
            Change::Put { table: TABLE, key, value: value.into() }
        });
        self.insert(user);
        change.map(stored)
    }

    fn insert(&mut self, mut user: User) {
        user.contacts.shrink_to_fit();
        let known = self.slot_of(&user.impi);
        let old = known.and_then(|slot| self.users.get(slot));
        // Most REGISTERs change no identity.
        let same =
            old.filter(|old| old.profile == user.profile).map(|old| Arc::clone(&old.profile));
        let is_new = same.is_none();
        match same {
            Some(profile) => user.profile = profile,
            None => self.known_criteria.share(Arc::make_mut(&mut user.profile)),
        }
        let first = user.contacts.iter().map(Contact::expires).min();
        self.contacts += user.contacts.len();
        let slot = match known {
            Some(slot) => {
                if is_new {
                    self.unname(slot);
                }
                if let Some(old) = self.users.get_mut(slot) {
                    self.contacts -= old.contacts.len();
                    *old = user;
                }
                slot
            }
            None => {
                let impi = Arc::clone(&user.impi);
                let slot = self.users.insert(user);
                self.by_impi.insert(&impi, slot, |_| false);
                slot
            }
        };
        if is_new {
            self.name(slot);
        }
        match first {
            Some(at) => self.expiries.refresh(at, &slot),
            None => self.expiries.remove(&slot),
        }
    }

    /// The user is found by his identities.
    fn name(&mut self, slot: Slot) {
        let Some(user) = self.users.get(slot) else { return };
        for aor in user.aors() {
            let is = |slot| self.users.get(slot).is_some_and(|user| user.profile.names(&aor));
            self.by_aor.insert(&aor, slot, is);
        }
        if user.profile.is_wildcarded() {
            self.wildcarded.insert((Arc::clone(&user.impi), slot));
        }
    }

    fn unname(&mut self, slot: Slot) {
        let Some(user) = self.users.get(slot) else { return };
        user.aors().iter().for_each(|aor| self.by_aor.remove(aor, slot));
        self.wildcarded.remove(&(Arc::clone(&user.impi), slot));
    }

    /// Takes a user out.
    pub(super) fn remove(&mut self, impi: &str) -> Option<(User, Output)> {
        let slot = self.slot_of(impi)?;
        self.unname(slot);
        self.by_impi.remove(impi, slot);
        self.expiries.remove(&slot);
        let user = self.users.remove(slot)?;
        self.contacts -= user.contacts.len();
        let key = impi.as_bytes().to_vec().into();
        Some((user, stored(Change::Delete { table: TABLE, key })))
    }

    /// Takes a record of the store, or of another node; what is unreadable is left out.
    pub(super) fn restore(&mut self, value: &[u8]) {
        let Some(mut user) = read(value) else { return };
        for contact in &mut user.contacts {
            contact.lifetime = contact.lifetime.restored();
        }
        self.insert(user);
    }

    /// Another node took the user of this record out.
    pub(super) fn forget(&mut self, key: &[u8]) {
        if let Ok(impi) = std::str::from_utf8(key) {
            self.remove(impi);
        }
    }

    /// The next user with a contact whose time is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Arc<str>> {
        let slot = self.expiries.due(now)?;
        self.users.get(slot).map(|user| Arc::clone(&user.impi))
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }
}

/// Whether nothing but lifetimes changed, and what is stored of them is good enough.
fn is_refresh(now: Instant, old: &User, new: &User) -> bool {
    old.profile == new.profile
        && old.contacts.len() == new.contacts.len()
        && old.contacts.iter().zip(&new.contacts).all(|(a, b)| {
            a.is_said_as(b) && a.gruu == b.gruu && b.lifetime.is_covered(&a.lifetime, now)
        })
}

/// Whether a record of ours can be read.
pub(super) fn is_record(key: &[u8], value: &[u8]) -> bool {
    read(value).is_some_and(|user| user.impi.as_bytes() == key)
}

fn read(value: &[u8]) -> Option<User> {
    let Record { impi, profile, user_data, contacts } = serde_json::from_slice(value).ok()?;
    let old = || Some(Subscription::parse(&user_data?)?.profile);
    let user = User::new(&impi, profile.or_else(old)?);
    Some(User { contacts, confirmed: false, ..user })
}

/// What is stored of a user.
#[derive(Deserialize)]
struct Record {
    impi: String,
    profile: Option<Profile>,
    /// Of older programs: the document that the HSS sent.
    user_data: Option<String>,
    contacts: Vec<Contact>,
}

fn stored(change: Change) -> Output {
    Output::Store { durability: Durability::Behind, changes: vec![change], commit: None }
}
