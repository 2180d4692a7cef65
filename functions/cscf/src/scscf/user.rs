//! The users that this S-CSCF serves and their contacts: TS 24.229 §5.4.1, RFC 3261 §10.3.

use std::collections::BTreeMap;

use base::store::{Change, Durability};
use base::timer::Timers;
use base::{Instant, Output};
use serde::{Deserialize, Serialize};

use super::TABLE;
use super::profile::Profile;

/// A user whom the HSS assigned to us.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct User {
    /// The private identity.
    pub(super) impi: String,
    /// The document that the HSS sent; `profile` is read from it.
    user_data: String,
    #[serde(skip)]
    pub(super) profile: Profile,
    pub(super) contacts: Vec<Contact>,
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
    /// The Path that its REGISTER came by, next hop first.
    pub(super) path: Vec<String>,
    /// When it ends, microseconds since 1970.
    expires: u64,
    /// When the stored record says that it ends.
    #[serde(skip)]
    stored_expires: u64,
    /// Call-ID and CSeq of the last REGISTER, RFC 3261 §10.3 step 7.
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// Preference in thousandths.
    pub(super) q: u16,
}

impl Contact {
    pub(super) fn new(element: String, uri: String, expires: Instant) -> Contact {
        Contact {
            element,
            uri,
            instance: None,
            path: Vec::new(),
            expires: expires.unix_micros(),
            stored_expires: 0,
            call_id: String::new(),
            cseq: 0,
            q: 1000,
        }
    }

    pub(super) fn expires(&self) -> Instant {
        Instant::from_unix_micros(self.expires)
    }

    /// Seconds that are left.
    pub(super) fn left(&self, now: Instant) -> u32 {
        self.expires().since(now).as_micros().div_ceil(1_000_000) as u32
    }

    /// Whether two are the same binding: the same instance, or the same URI.
    pub(super) fn is_same(&self, other: &Contact) -> bool {
        match (&self.instance, &other.instance) {
            (Some(a), Some(b)) => a == b,
            _ => sip::uri::equal(&self.uri, &other.uri),
        }
    }
}

impl User {
    pub(super) fn new(impi: String, user_data: String) -> Option<User> {
        let profile = Profile::parse(&user_data)?;
        Some(User { impi, user_data, profile, contacts: Vec::new() })
    }

    pub(super) fn is_registered(&self) -> bool {
        !self.contacts.is_empty()
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
    by_impi: BTreeMap<String, User>,
    by_aor: BTreeMap<String, String>,
    expiries: Timers<String>,
}

impl Users {
    pub(super) fn len(&self) -> usize {
        self.by_impi.values().filter(|user| user.is_registered()).count()
    }

    /// Contacts of all users.
    pub(super) fn contacts(&self) -> usize {
        self.by_impi.values().map(|user| user.contacts.len()).sum()
    }

    pub(super) fn get(&self, impi: &str) -> Option<&User> {
        self.by_impi.get(impi)
    }

    /// The user of an address of record.
    pub(super) fn of(&self, aor: &str) -> Option<&User> {
        self.by_impi.get(self.by_aor.get(aor)?)
    }

    /// Puts a user in, or replaces it. The store hears of it unless only expiries moved and more
    /// than half of what it knows is left.
    pub(super) fn save(&mut self, now: Instant, mut user: User) -> Option<Output> {
        let old = self.by_impi.get(&user.impi);
        let unchanged = old.is_some_and(|old| is_refresh(now, old, &user));
        let stale: Vec<String> = old.map(User::aors).unwrap_or_default();
        if let Some(old) = old.filter(|_| unchanged) {
            for (new, old) in user.contacts.iter_mut().zip(&old.contacts) {
                new.stored_expires = old.stored_expires;
            }
        }
        for aor in stale {
            self.by_aor.remove(&aor);
        }
        for aor in user.aors() {
            self.by_aor.insert(aor, user.impi.clone());
        }
        if let Some(at) = user.contacts.iter().map(Contact::expires).min() {
            self.expiries.arm(at, user.impi.clone());
        }
        for contact in user.contacts.iter_mut().filter(|_| !unchanged) {
            contact.stored_expires = contact.expires;
        }
        let value = (!unchanged).then(|| serde_json::to_vec(&user).unwrap_or_default());
        let key = user.impi.clone().into_bytes().into();
        self.by_impi.insert(user.impi.clone(), user);
        value.map(|value| stored(Change::Put { table: TABLE, key, value: value.into() }))
    }

    /// Takes a user out.
    pub(super) fn remove(&mut self, impi: &str) -> Option<(User, Output)> {
        let user = self.by_impi.remove(impi)?;
        for aor in user.aors() {
            self.by_aor.remove(&aor);
        }
        let key = impi.as_bytes().to_vec().into();
        Some((user, stored(Change::Delete { table: TABLE, key })))
    }

    /// Takes a record of the store; what is unreadable is left out.
    pub(super) fn restore(&mut self, now: Instant, value: &[u8]) {
        let Ok(mut user) = serde_json::from_slice::<User>(value) else { return };
        let Some(profile) = Profile::parse(&user.user_data) else { return };
        user.profile = profile;
        let _already_stored = self.save(now, user);
    }

    /// The next user with a contact whose time is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<String> {
        while let Some((_, impi)) = self.expiries.due(now) {
            let over = |c: &Contact| c.expires() <= now;
            if self.by_impi.get(&impi).is_some_and(|user| user.contacts.iter().any(over)) {
                return Some(impi);
            }
        }
        None
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }
}

/// Whether nothing but expiries changed, and the stored ones still have half their time.
fn is_refresh(now: Instant, old: &User, new: &User) -> bool {
    old.user_data == new.user_data
        && old.contacts.len() == new.contacts.len()
        && old.contacts.iter().zip(&new.contacts).all(|(a, b)| {
            let stored = Instant::from_unix_micros(a.stored_expires);
            a.uri == b.uri
                && a.path == b.path
                && a.element == b.element
                && stored.since(now) * 2 > b.expires().since(now)
        })
}

fn stored(change: Change) -> Output {
    Output::Store { durability: Durability::Behind, changes: vec![change], commit: None }
}
