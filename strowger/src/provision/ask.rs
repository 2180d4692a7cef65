//! What a person asks about subscribers, decided from stored records.
//!
//! [`decide`] is pure: it says which records it still needs, or what to write, or the answer.

use std::collections::{BTreeMap, BTreeSet};

use base::Bytes;
use base::store::{Change, StoreError, Table};
use hss::import::Imported;
use hss::records::{
    IDENTITY, REGISTRATION, SUBSCRIBER, parse_identity, parse_registration, parse_subscriber,
    sqn_record,
};
use hss::registration::Registration;
use hss::subscriber::canonical;
use hss::{Operation, OperationKind, Subscriber};

/// The most subscribers of one [`Ask::Put`] or one page of [`Ask::List`].
pub const PAGE: usize = 200;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Write these subscribers, all or none.
    Put {
        /// At most [`PAGE`].
        subscribers: Vec<Imported>,
        /// Whether subscribers of the same private identities may be replaced.
        replace: bool,
        /// Only say whether it could be done.
        check: bool,
    },
    /// Remove the first subscriber that one of these names belongs to.
    Remove(Vec<String>),
    /// Bar all public identities of the first subscriber that one of these names belongs to, or
    /// unbar them.
    Bar {
        /// The names.
        names: Vec<String>,
        /// Barred from now on.
        barred: bool,
    },
    /// Deregister the first subscriber that one of these names belongs to.
    Deregister {
        /// The names.
        names: Vec<String>,
        /// Whether his phones are to register again at once.
        again: bool,
        /// Why.
        reason: Option<String>,
    },
    /// Show the first subscriber that one of these names belongs to.
    Show(Vec<String>),
    /// A page of a table's records as they are stored, in the order of their keys.
    Dump {
        /// The table.
        table: Table,
        /// The last key of the page before.
        after: Option<Bytes>,
    },
    /// A page of subscribers in the order of their private identities.
    List {
        /// The last private identity of the page before.
        after: Option<String>,
    },
}

/// One record of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredRecord {
    /// Its table.
    pub table: Table,
    /// Its key.
    pub key: Bytes,
    /// What it says.
    pub value: Bytes,
}

/// What was done or found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Found {
    /// The subscribers that were written, removed or asked for.
    pub subscribers: Vec<Subscriber>,
    /// The records that were asked for.
    pub records: Vec<StoredRecord>,
    /// There are more after the last one.
    pub more: bool,
}

impl Found {
    /// How many things were found.
    pub fn len(&self) -> usize {
        self.subscribers.len() + self.records.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leaves the second half for the next page.
    pub fn halve(&mut self) {
        self.subscribers.truncate(self.subscribers.len().div_ceil(2));
        self.records.truncate(self.records.len().div_ceil(2));
        self.more = true;
    }

    fn of(subscribers: Vec<Subscriber>) -> Found {
        Found { subscribers, ..Found::default() }
    }
}

/// Why it was not done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Nobody has this name.
    #[error("there is no subscriber {0:?}; `strowger sub list` shows all of them")]
    Unknown(String),
    /// The private identity is taken.
    #[error("{0} is there already; --replace writes over it")]
    Exists(String),
    /// A public identity belongs to somebody else.
    #[error("{impu} belongs to {impi} already; remove that one first, or use another number")]
    Taken {
        /// The public identity.
        impu: String,
        /// Whose it is.
        impi: String,
    },
    /// Too many at once.
    #[error("more than {PAGE} subscribers at once")]
    TooMany,
    /// There is no registration to be ended.
    #[error("{0} is not registered")]
    NotRegistered(String),
    /// What was asked is the business of a running process.
    #[error(
        "no strowger runs with this state: whoever is registered cannot be told; start \
         `strowger run` first, or keep him out with `strowger sub bar`"
    )]
    NotRunning,
    /// The running process has no HSS.
    #[error("this process runs no HSS: ask the one that does, with its --state DIR")]
    NoHss,
    /// The HSS takes no orders.
    #[error("the HSS is too busy to tell the network of it; try again later")]
    Busy,
    /// A stored record cannot be read.
    #[error("the stored record of {0} cannot be used: {1}")]
    Damaged(String, String),
    /// The disk.
    #[error("{0}: check the disk's space and rights")]
    Store(#[from] StoreError),
}

type Key = (Table, Bytes);
/// Records that were loaded; `None` is one that is not there.
pub(super) type Loaded = BTreeMap<Key, Option<Bytes>>;

/// What comes next.
pub(super) enum Decision {
    /// These records first.
    Need(Vec<Key>),
    /// A page of these keys first.
    Scan { table: Table, after: Option<Bytes>, limit: usize },
    /// Write this, then answer; the HSS is told of it.
    Write(Vec<Change>, Found, Vec<Operation>),
    /// Nothing to write, but to tell the HSS.
    Tell(Found, Operation),
    /// The answer.
    Answer(Result<Found, Refusal>),
}

/// A record that is not loaded yet, or why there is no answer.
enum Stop {
    Need(Vec<Key>),
    Refuse(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refuse(refusal)
    }
}

/// Decides what comes next. `page` is what the last [`Decision::Scan`] found.
pub(super) fn decide(ask: &Ask, page: Option<&[Bytes]>, loaded: &Loaded) -> Decision {
    let decided = match ask {
        Ask::Put { subscribers, replace, check } => {
            put(subscribers, *replace, loaded).map(|decision| match decision {
                Decision::Write(_, found, _) if *check => Decision::Answer(Ok(found)),
                decision => decision,
            })
        }
        Ask::Show(names) => {
            find(names, loaded).map(|subscriber| Decision::Answer(Ok(Found::of(vec![subscriber]))))
        }
        Ask::Remove(names) => find_registered(names, loaded).map(|(subscriber, before)| {
            let changes = hss::removal(&subscriber);
            write(changes, subscriber, OperationKind::Removed { before })
        }),
        Ask::Bar { names, barred } => find_registered(names, loaded).map(|(old, before)| {
            let mut subscriber = old.clone();
            subscriber.set_barred(*barred);
            let changes = hss::replacement(&old, &subscriber);
            write(changes, subscriber, OperationKind::Written { before })
        }),
        Ask::Deregister { names, again, reason } => {
            find_registered(names, loaded).map(|(subscriber, before)| {
                let impi = subscriber.impi.clone();
                if !before.is_served() {
                    return Decision::Answer(Err(Refusal::NotRegistered(impi)));
                }
                let kind = OperationKind::Deregistered { again: *again, info: reason.clone() };
                let found = Found::of(vec![subscriber]);
                Decision::Tell(found, Operation { impi, kind })
            })
        }
        Ask::List { after } => match page {
            Some(page) => list(page, loaded),
            None => {
                let after = after.as_ref().map(|after| Bytes::copy_from_slice(after.as_bytes()));
                Ok(Decision::Scan { table: SUBSCRIBER, after, limit: PAGE + 1 })
            }
        },
        Ask::Dump { table, after } => match page {
            Some(page) => dump(*table, page, loaded),
            None => Ok(Decision::Scan { table: *table, after: after.clone(), limit: PAGE + 1 }),
        },
    };
    match decided {
        Ok(decision) => decision,
        Err(Stop::Need(keys)) => Decision::Need(keys),
        Err(Stop::Refuse(refusal)) => Decision::Answer(Err(refusal)),
    }
}

fn key(table: Table, name: &str) -> Key {
    (table, Bytes::copy_from_slice(name.as_bytes()))
}

/// Asks for all keys that are not loaded.
fn need(keys: impl Iterator<Item = Key>, loaded: &Loaded) -> Result<(), Stop> {
    let missing: Vec<Key> = keys.filter(|key| !loaded.contains_key(key)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Stop::Need(missing)) }
}

fn get(table: Table, name: &str, loaded: &Loaded) -> Option<Bytes> {
    loaded.get(&key(table, name)).cloned().flatten()
}

fn stored(impi: &str, loaded: &Loaded) -> Result<Option<Subscriber>, Refusal> {
    let parse = |value: Bytes| {
        parse_subscriber(&value).map_err(|e| Refusal::Damaged(impi.to_owned(), e.to_string()))
    };
    get(SUBSCRIBER, impi, loaded).map(parse).transpose()
}

/// How somebody is registered; whoever has a record that cannot be read is not.
fn registration(impi: &str, loaded: &Loaded) -> Registration {
    let record = get(REGISTRATION, impi, loaded);
    record.and_then(|value| parse_registration(&value).ok()).unwrap_or_default()
}

fn write(changes: Vec<Change>, subscriber: Subscriber, kind: OperationKind) -> Decision {
    let operation = Operation { impi: subscriber.impi.clone(), kind };
    let found = Found::of(vec![subscriber]);
    Decision::Write(changes, found, vec![operation])
}

fn owner(impu: &str, loaded: &Loaded) -> Result<Option<String>, Refusal> {
    let parse = |value: Bytes| {
        parse_identity(&value).map_err(|e| Refusal::Damaged(impu.to_owned(), e.to_string()))
    };
    get(IDENTITY, impu, loaded).map(parse).transpose()
}

fn put(subscribers: &[Imported], replace: bool, loaded: &Loaded) -> Result<Decision, Stop> {
    if subscribers.len() > PAGE {
        return Err(Refusal::TooMany.into());
    }
    let keys = subscribers.iter().flat_map(|Imported { subscriber, .. }| {
        let identities = subscriber.identities().map(|identity| key(IDENTITY, &identity.uri));
        std::iter::once(key(SUBSCRIBER, &subscriber.impi)).chain(identities)
    });
    need(keys, loaded)?;
    let replaced = subscribers.iter().map(|imported| imported.subscriber.impi.as_str());
    let replaced = replaced.filter(|impi| get(SUBSCRIBER, impi, loaded).is_some());
    need(replaced.map(|impi| key(REGISTRATION, impi)), loaded)?;
    let (mut changes, mut operations) = (Vec::new(), Vec::new());
    // Identities of this very batch are not in the store yet.
    let mut batch: BTreeMap<&str, &str> = BTreeMap::new();
    let mut impis = BTreeSet::new();
    for Imported { subscriber, seq } in subscribers {
        let old = stored(&subscriber.impi, loaded)?;
        if !impis.insert(&subscriber.impi) || (old.is_some() && !replace) {
            return Err(Refusal::Exists(subscriber.impi.clone()).into());
        }
        for identity in subscriber.identities() {
            let impu = identity.uri.as_str();
            let here = batch.insert(impu, &subscriber.impi).map(str::to_owned);
            let other = here.or(owner(impu, loaded)?).filter(|impi| *impi != subscriber.impi);
            if let Some(impi) = other {
                return Err(Refusal::Taken { impu: impu.to_owned(), impi }.into());
            }
        }
        changes.extend(match &old {
            Some(old) => {
                let impi = subscriber.impi.clone();
                let before = registration(&impi, loaded);
                operations.push(Operation { impi, kind: OperationKind::Written { before } });
                hss::replacement(old, subscriber)
            }
            None => hss::records(subscriber),
        });
        changes.extend(seq.map(|seq| sqn_record(&subscriber.impi, seq)));
    }
    let subscribers = subscribers.iter().map(|imported| imported.subscriber.clone()).collect();
    Ok(Decision::Write(changes, Found::of(subscribers), operations))
}

fn find(names: &[String], loaded: &Loaded) -> Result<Subscriber, Stop> {
    let place = |name: &String| match canonical(name) {
        Some(impu) => key(IDENTITY, &impu),
        None => key(SUBSCRIBER, name),
    };
    need(names.iter().map(place), loaded)?;
    for name in names {
        let impi = match canonical(name) {
            Some(impu) => owner(&impu, loaded)?,
            None => Some(name.clone()),
        };
        let Some(impi) = impi else { continue };
        need([key(SUBSCRIBER, &impi)].into_iter(), loaded)?;
        if let Some(subscriber) = stored(&impi, loaded)? {
            return Ok(subscriber);
        }
    }
    Err(Refusal::Unknown(names.first().cloned().unwrap_or_default()).into())
}

fn find_registered(names: &[String], loaded: &Loaded) -> Result<(Subscriber, Registration), Stop> {
    let subscriber = find(names, loaded)?;
    need([key(REGISTRATION, &subscriber.impi)].into_iter(), loaded)?;
    let before = registration(&subscriber.impi, loaded);
    Ok((subscriber, before))
}

fn list(page: &[Bytes], loaded: &Loaded) -> Result<Decision, Stop> {
    let (shown, rest) = page.split_at(page.len().min(PAGE));
    need(shown.iter().map(|impi| (SUBSCRIBER, impi.clone())), loaded)?;
    let mut subscribers = Vec::new();
    for impi in shown {
        subscribers.extend(stored(&String::from_utf8_lossy(impi), loaded)?);
    }
    Ok(Decision::Answer(Ok(Found { subscribers, more: !rest.is_empty(), ..Found::default() })))
}

fn dump(table: Table, page: &[Bytes], loaded: &Loaded) -> Result<Decision, Stop> {
    let (shown, rest) = page.split_at(page.len().min(PAGE));
    need(shown.iter().map(|key| (table, key.clone())), loaded)?;
    // A record may have gone since its key was seen.
    let record = |key: &Bytes| {
        let value = loaded.get(&(table, key.clone())).cloned().flatten()?;
        Some(StoredRecord { table, key: key.clone(), value })
    };
    let records = shown.iter().filter_map(record).collect();
    Ok(Decision::Answer(Ok(Found { records, more: !rest.is_empty(), ..Found::default() })))
}

/// The names that `who` may mean, most likely first: an identity as it stands, a telephone number,
/// an IMSI or a name in `domain`.
pub fn names(who: &str, domain: &str) -> Vec<String> {
    let mut names = vec![who.to_owned()];
    let digits = who.strip_prefix('+').unwrap_or(who);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        names.push(format!("tel:+{digits}"));
    }
    if !who.contains(['@', ':']) {
        names.push(format!("{who}@{domain}"));
    } else if !who.contains(':') {
        names.push(format!("sip:{who}"));
    }
    names
}
