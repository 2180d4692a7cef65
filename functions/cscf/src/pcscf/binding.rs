//! What the P-CSCF remembers of a registered phone, TS 24.229 §5.2.2.1.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use base::flow::Transport;
use base::store::{Change, Durability};
use base::time::Duration;
use base::timer::Expiries;
use base::{Bytes, Flow, Instant, Output, Random};
use serde::{Deserialize, Serialize};
use sip::uri::equal;
use sip::{Hop, Uri};

use super::TABLE;
use super::access::{Access, key};
use crate::emergency::{is_emergency_contact, same_contact};
use crate::index::Index;
use crate::lifetime::Lifetime;

/// GRUUs of each kind that are remembered of a phone.
const MAX_GRUUS: usize = 16;

/// One registered phone, or one identity of a phone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Binding {
    /// Its number: what Path and Record-Route carry.
    #[serde(skip)]
    pub(super) id: u64,
    /// The public identity in To of its REGISTER.
    pub(super) aor: Arc<str>,
    /// P-Associated-URI: what may be asserted, the default first.
    pub(super) identities: Vec<Arc<str>>,
    /// The Contact URI.
    pub(super) contact: Arc<str>,
    /// Its public GRUUs, which it may put into Contact instead, RFC 5627.
    #[serde(default)]
    pub(super) public_gruus: Vec<String>,
    /// Its newest temporary ones; they change with every refresh.
    #[serde(skip)]
    pub(super) temporary_gruus: Vec<String>,
    /// The route to the S-CSCF, RFC 3608.
    pub(super) service_route: Arc<[String]>,
    /// How long it lasts.
    pub(super) lifetime: Lifetime,
    /// Whether it is for emergency calls only, TS 24.229 §5.2.2.
    #[serde(default)]
    pub(super) emergency: bool,
    /// Which of the phone's flows it is, if the registrar treats it by RFC 5626; records of older
    /// programs do not say so.
    #[serde(default)]
    pub(super) reg_id: Option<u32>,
    /// The Call-ID of our subscription to its reg event, if there is one.
    #[serde(default)]
    pub(super) subscription: Option<Arc<str>>,
    /// Where it registered from.
    #[serde(flatten)]
    pub(super) access: Access,
}

impl Binding {
    pub(super) fn new(
        id: u64,
        aor: &str,
        contact: &str,
        flow: Flow,
        lifetime: Lifetime,
    ) -> Binding {
        Binding {
            id,
            aor: aor.into(),
            identities: Vec::new(),
            emergency: is_emergency_contact(contact),
            contact: contact.into(),
            public_gruus: Vec::new(),
            temporary_gruus: Vec::new(),
            service_route: Arc::default(),
            lifetime,
            reg_id: None,
            subscription: None,
            access: Access::new(flow),
        }
    }

    /// Whether nothing but the lifetime changed, and what is stored of it is good enough.
    fn is_refresh_of(&self, old: &Binding, now: Instant) -> bool {
        self.aor == old.aor
            && self.identities == old.identities
            && self.contact == old.contact
            && self.service_route == old.service_route
            && self.public_gruus == old.public_gruus
            && self.reg_id == old.reg_id
            && self.subscription == old.subscription
            && self.access.is_like(&old.access)
            && self.lifetime.is_covered(&old.lifetime, now)
    }

    /// Whether a Contact is the phone's, as far as the Contact tells.
    fn has_contact(&self, contact: &str) -> bool {
        same_contact(&self.contact, contact)
            || [&self.public_gruus, &self.temporary_gruus]
                .into_iter()
                .flatten()
                .any(|gruu| equal(gruu, contact))
    }

    /// The registrar gave the contact these GRUUs, for one identity or another.
    pub(super) fn learn_gruus(&mut self, public: Option<String>, temporary: Option<String>) {
        for (known, gruu) in
            [(&mut self.public_gruus, public), (&mut self.temporary_gruus, temporary)]
        {
            let new = gruu.filter(|gruu| !known.contains(gruu));
            known.extend(new);
            known.drain(..known.len().saturating_sub(MAX_GRUUS));
        }
    }

    /// The registered identity that a URI names.
    pub(super) fn identity(&self, uri: &str) -> Option<Arc<str>> {
        let wanted = Uri::parse(uri)?.aor();
        let same = |known: &&Arc<str>| {
            ***known == *wanted || Uri::parse(known).is_some_and(|known| known.aor() == wanted)
        };
        self.identities.iter().find(same).cloned()
    }

    /// Whether the flow is the phone's.
    pub(super) fn owns(&self, flow: &Flow) -> bool {
        self.access.owns(flow)
    }

    /// Whether the flow is gone by which alone the phone wants to be reached, RFC 5626 §5.3.
    pub(super) fn is_lost(&self) -> bool {
        self.reg_id.is_some() && self.access.is_lost()
    }

    /// Where requests to the phone go.
    pub(super) fn hop(&self) -> Hop {
        self.access.hop()
    }
}

/// All registered phones. They are found by what stands in their bindings.
#[derive(Debug)]
pub(super) struct Bindings {
    by_id: BTreeMap<u64, Box<Binding>>,
    by_flow: Index<u64>,
    by_address: Index<u64>,
    by_aor: Index<u64>,
    expiries: Expiries<u64>,
    /// Phones that left: the last NOTIFY of their own subscription is still to reach them.
    departed: BTreeMap<u64, Box<Binding>>,
    departures: Expiries<u64>,
    /// Routes to the S-CSCFs that came last: all phones of one share it.
    known_routes: VecDeque<Arc<[String]>>,
}

/// Different routes that are remembered.
const MOST_ROUTES: usize = 32;

/// How long a phone that left can be reached within its dialogs: 64*T1.
const FAREWELL: Duration = Duration::from_secs(32);

impl Bindings {
    /// None. Phones choose what they are found by, so the seed is a secret.
    pub(super) fn new(random: &mut Random) -> Bindings {
        Bindings {
            by_id: BTreeMap::new(),
            by_flow: Index::with_seed(random.u64()),
            by_address: Index::with_seed(random.u64()),
            by_aor: Index::with_seed(random.u64()),
            expiries: Expiries::default(),
            departed: BTreeMap::new(),
            departures: Expiries::default(),
            known_routes: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, id: u64) -> Option<&Binding> {
        self.by_id.get(&id).map(|binding| &**binding)
    }

    /// A phone that is registered, or was until a moment ago.
    pub(super) fn get_or_departed(&self, id: u64) -> Option<&Binding> {
        self.get(id).or_else(|| self.departed.get(&id).map(|binding| &**binding))
    }

    /// Whether what is said of a binding is true.
    fn holds(&self, id: u64, is: impl FnOnce(&Binding) -> bool) -> bool {
        self.get(id).is_some_and(is)
    }

    /// The phones that registered on this flow.
    pub(super) fn on_flow(&self, flow: &Flow) -> impl Iterator<Item = &Binding> + Clone {
        let key = key(flow);
        let is = |id| self.holds(id, |binding| binding.access.key() == Some(key));
        self.by_flow.all(&key, is).into_iter().filter_map(|id| self.get(id))
    }

    /// Whether a phone registered on this flow.
    pub(super) fn is_access(&self, flow: &Flow) -> bool {
        let key = key(flow);
        let is = |id| self.holds(id, |binding| binding.access.key() == Some(key));
        self.by_flow.find(&key, is).is_some()
    }

    fn is_at(&self, id: u64, ip: IpAddr) -> bool {
        self.holds(id, |binding| binding.access.remote.map(|remote| remote.ip()) == Some(ip))
    }

    /// Whether a phone registered from this address.
    pub(super) fn has_address(&self, flow: &Flow) -> bool {
        let ip = flow.remote.ip();
        ip.is_some_and(|ip| self.by_address.find(&ip, |id| self.is_at(id, ip)).is_some())
    }

    /// The phone that opened a further connection from its address, told by its Contact.
    pub(super) fn on_connection(&self, flow: &Flow, contact: &str) -> Option<&Binding> {
        let ip = flow.remote.ip()?;
        let ids = self.by_address.all(&ip, |id| self.is_at(id, ip));
        let same = |b: &&Binding| b.owns(flow) && b.has_contact(contact);
        ids.into_iter().filter_map(|id| self.get(id)).find(same)
    }

    /// The binding that a REGISTER on this flow refreshes: the same identity from the same address,
    /// or the same contact on a new connection. One for emergency calls is kept apart.
    pub(super) fn matching(
        &self,
        aor: &str,
        contact: &str,
        reg_id: Option<u32>,
        flow: &Flow,
    ) -> Option<&Binding> {
        let emergency = is_emergency_contact(contact);
        let ids = self.by_aor.all(aor, |id| self.holds(id, |binding| &*binding.aor == aor));
        let bindings = || {
            let known = ids.iter().filter_map(|id| self.get(*id));
            known.filter(|binding| binding.emergency == emergency)
        };
        let same = |b: &&Binding| {
            let flow = b.reg_id.is_none() || b.reg_id == reg_id;
            b.access.flow.is_none() && &*b.contact == contact && flow
        };
        bindings().find(|b| b.access.is(flow)).or_else(|| bindings().find(same))
    }

    /// Puts a binding in, or replaces it; returns what the store has to do.
    pub(super) fn save(&mut self, now: Instant, mut binding: Binding) -> Option<Output> {
        let old = self.by_id.get(&binding.id);
        if let Some(old) = old.filter(|old| binding.is_refresh_of(old, now)) {
            binding.lifetime.keep_stored(&old.lifetime);
            self.insert(binding);
            return None;
        }
        binding.lifetime.mark_stored();
        let value = serde_json::to_vec(&binding).unwrap_or_default();
        let change = Change::Put { table: TABLE, key: record_key(binding.id), value: value.into() };
        self.insert(binding);
        Some(stored(change))
    }

    fn insert(&mut self, mut binding: Binding) {
        let id = binding.id;
        self.share(&mut binding);
        self.expiries.refresh(binding.lifetime.end(), &id);
        let known = self.by_id.get_mut(&id);
        // Most REGISTERs change nothing that a phone is found by.
        let moved = known.as_ref().is_none_or(|known| {
            known.access.key() != binding.access.key()
                || known.access.remote != binding.access.remote
                || known.aor != binding.aor
        });
        if moved {
            self.unlink(id);
            if let Some(key) = binding.access.key() {
                self.by_flow.add(&key, id);
            }
            self.by_aor.add(&*binding.aor, id);
            if let Some(remote) = binding.access.remote {
                self.by_address.add(&remote.ip(), id);
            }
        }
        match self.by_id.get_mut(&id) {
            Some(known) => **known = binding,
            None => drop(self.by_id.insert(id, Box::new(binding))),
        }
    }

    /// Keeps no text twice.
    fn share(&mut self, binding: &mut Binding) {
        binding.identities.shrink_to_fit();
        if let Some(same) = binding.identities.iter().find(|identity| **identity == binding.aor) {
            binding.aor = Arc::clone(same);
        }
        match self.known_routes.iter().find(|known| **known == binding.service_route) {
            Some(known) => binding.service_route = Arc::clone(known),
            None => {
                self.known_routes.push_front(Arc::clone(&binding.service_route));
                self.known_routes.truncate(MOST_ROUTES);
            }
        }
    }

    /// Takes a binding out; returns what the store has to do.
    pub(super) fn remove(&mut self, now: Instant, id: u64) -> Option<Output> {
        self.unlink(id);
        self.expiries.remove(&id);
        self.departed.insert(id, self.by_id.remove(&id)?);
        self.departures.set(now + FAREWELL, id);
        Some(stored(Change::Delete { table: TABLE, key: record_key(id) }))
    }

    /// Takes a record of the store, or of another node: the binding, unless it ran out while we were down;
    /// then what the store has to do. What is unreadable is left out.
    pub(super) fn restore(
        &mut self,
        now: Instant,
        key: &[u8],
        value: &[u8],
    ) -> Option<Result<&Binding, Output>> {
        let mut binding = read(key, value)?;
        let id = binding.id;
        binding.lifetime = binding.lifetime.restored();
        if binding.lifetime.end() <= now {
            let change = Change::Delete { table: TABLE, key: record_key(id) };
            return Some(Err(stored(change)));
        }
        if let Some(known) = self.by_id.get(&id) {
            binding.access.keep_flow(&known.access);
        }
        self.insert(binding);
        self.get(id).map(Ok)
    }

    /// Another node forgot the phone of this record.
    pub(super) fn forget(&mut self, now: Instant, key: &[u8]) -> Option<u64> {
        let id = key.try_into().map(u64::from_be_bytes).ok()?;
        self.remove(now, id).map(|_| id)
    }

    /// The next binding whose time is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<u64> {
        while let Some(id) = self.departures.due(now) {
            self.departed.remove(&id);
        }
        self.expiries.due(now)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        [self.expiries.next(), self.departures.next()].into_iter().flatten().min()
    }

    /// A connection ended: its phones have to be reached at their address, or register again.
    pub(super) fn flow_closed(&mut self, flow: &Flow) {
        if flow.transport == Transport::Udp {
            return;
        }
        let key = key(flow);
        let connected = |binding: &Binding| binding.access.key() == Some(key);
        self.departed.retain(|_, binding| !connected(binding));
        for id in self.by_flow.all(&key, |id| self.holds(id, connected)) {
            self.by_flow.remove(&key, id);
            if let Some(binding) = self.by_id.get_mut(&id) {
                binding.access.closed(flow);
            }
        }
    }

    fn unlink(&mut self, id: u64) {
        let Some(binding) = self.by_id.get(&id) else { return };
        self.by_aor.remove(&*binding.aor, id);
        if let Some(remote) = binding.access.remote {
            self.by_address.remove(&remote.ip(), id);
        }
        if let Some(key) = binding.access.key() {
            self.by_flow.remove(&key, id);
        }
    }
}

/// Whether a record of ours can be read.
pub(super) fn is_record(key: &[u8], value: &[u8]) -> bool {
    read(key, value).is_some()
}

fn read(key: &[u8], value: &[u8]) -> Option<Binding> {
    let id = key.try_into().map(u64::from_be_bytes).ok()?;
    let binding: Binding = serde_json::from_slice(value).ok()?;
    Some(Binding { id, ..binding })
}

fn record_key(id: u64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn stored(change: Change) -> Output {
    Output::Store { durability: Durability::Behind, changes: vec![change], commit: None }
}
