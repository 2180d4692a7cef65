//! What the P-CSCF remembers of emergency calls: who called from where, and the other end of each dialog.

use std::collections::BTreeMap;

use base::store::{Change, Durability};
use base::time::Duration;
use base::timer::Expiries;
use base::{Bytes, Flow, Instant, Output};
use serde::{Deserialize, Serialize};
use sip::header::{HeaderName, NameAddr};
use sip::{Hop, Message, Stack};

use super::access::Access;
use super::{EMERGENCY_TABLE, Token};

/// How long a call is kept in which nobody says anything.
const QUIET: Duration = Duration::from_secs(6 * 3600);

/// Dialogs of one call: every centre that was asked may have made one.
const DIALOGS: usize = 8;

/// One emergency call. Once it is answered it outlives a restart of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EmergencyCall {
    /// Where the phone called from.
    access: Access,
    pub(super) call_id: String,
    /// By the tag of the other end.
    dialogs: BTreeMap<String, FarEnd>,
    #[serde(skip)]
    answered: bool,
}

/// The other end of a dialog.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct FarEnd {
    /// The route set beyond us, next hop first.
    pub(super) route: Vec<String>,
    /// The remote target.
    pub(super) target: String,
}

impl EmergencyCall {
    pub(super) fn new(flow: Flow, call_id: &str) -> EmergencyCall {
        let (access, call_id) = (Access::new(flow), call_id.to_owned());
        EmergencyCall { access, call_id, dialogs: BTreeMap::new(), answered: false }
    }

    /// Whether a request that has our token comes from the phone: from its address. It need not register,
    /// so it may use UDP for what is small, and a connection for what is not (RFC 3261 §18.1.1).
    pub(super) fn owns(&self, flow: &Flow) -> bool {
        match self.access.remote {
            Some(remote) => flow.remote.ip() == Some(remote.ip()),
            None => self.access.owns(flow),
        }
    }

    /// Where a request to the phone goes: the flow that it called on, else where its Contact says.
    pub(super) fn hop(&self, request: &Message) -> Option<Hop> {
        self.access.flow.map(Hop::Flow).or_else(|| Stack::hop(request.uri()))
    }

    /// The dialog with the end of this tag.
    pub(super) fn dialog(&self, tag: &str) -> Option<&FarEnd> {
        self.dialogs.get(tag)
    }

    /// Learns from a response to the INVITE, RFC 3261 §12.1.2, before our Record-Route is changed.
    pub(super) fn learn(&mut self, id: u64, response: &Message) {
        let tag = response.to_tag();
        let contact = response.list(HeaderName::Contact).next().and_then(NameAddr::parse);
        let (Some(tag), Some(contact)) = (tag, contact) else { return };
        let ours = |element: &&str| {
            let uri = NameAddr::parse(element).and_then(|a| a.parsed_uri()).and_then(sip::Uri::sip);
            let token = uri.and_then(|uri| Token::parse(uri.user?));
            token == Some(Token::Emergency(id))
        };
        let beyond = response.list(HeaderName::RecordRoute).take_while(|element| !ours(element));
        let mut route: Vec<String> = beyond.map(str::to_owned).collect();
        route.reverse();
        if self.dialogs.len() < DIALOGS || self.dialogs.contains_key(tag) {
            let far = FarEnd { route, target: contact.uri.to_owned() };
            self.dialogs.insert(tag.to_owned(), far);
        }
    }

    /// The other end says where it is now, RFC 3261 §12.2.2.
    pub(super) fn moved(&mut self, tag: &str, message: &Message) {
        let contact = message.list(HeaderName::Contact).next().and_then(NameAddr::parse);
        if let (Some(far), Some(contact)) = (self.dialogs.get_mut(tag), contact) {
            far.target = contact.uri.to_owned();
        }
    }
}

/// Whether a record of ours can be read.
pub(super) fn is_record(record_key: &[u8], value: &[u8]) -> bool {
    read(record_key, value).is_some()
}

fn read(record_key: &[u8], value: &[u8]) -> Option<(u64, EmergencyCall)> {
    let id = record_key.try_into().map(u64::from_be_bytes).ok()?;
    Some((id, serde_json::from_slice(value).ok()?))
}

/// All emergency calls, by the number that our Record-Route carries.
#[derive(Debug, Default)]
pub(super) struct EmergencyCalls {
    by_id: BTreeMap<u64, EmergencyCall>,
    expiries: Expiries<u64>,
}

impl EmergencyCalls {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, id: u64) -> Option<&EmergencyCall> {
        self.by_id.get(&id)
    }

    pub(super) fn insert(&mut self, now: Instant, id: u64, call: EmergencyCall) {
        self.by_id.insert(id, call);
        self.expiries.set(now + QUIET, id);
    }

    /// The call of a number, which goes on.
    pub(super) fn touch(&mut self, now: Instant, id: u64) -> Option<&mut EmergencyCall> {
        let call = self.by_id.get_mut(&id)?;
        self.expiries.set(now + QUIET, id);
        Some(call)
    }

    /// A call was answered, or its other end moved; returns what the store has to do.
    pub(super) fn changed(&mut self, id: u64, answered: bool) -> Option<Output> {
        let call = self.by_id.get_mut(&id)?;
        call.answered |= answered;
        let value = call.answered.then(|| serde_json::to_vec(call).unwrap_or_default())?;
        Some(stored(Change::Put { table: EMERGENCY_TABLE, key: key(id), value: value.into() }))
    }

    /// A call is over; returns what the store has to do.
    pub(super) fn remove(&mut self, id: u64) -> Option<Output> {
        self.expiries.remove(&id);
        let known = self.by_id.remove(&id).is_some_and(|call| call.answered);
        known.then(|| stored(Change::Delete { table: EMERGENCY_TABLE, key: key(id) }))
    }

    /// Takes a record of the store, or of another node; what is unreadable is left out.
    pub(super) fn restore(&mut self, now: Instant, key: &[u8], value: &[u8]) {
        if let Some((id, mut call)) = read(key, value) {
            if let Some(known) = self.by_id.get(&id) {
                call.access.keep_flow(&known.access);
            }
            self.insert(now, id, EmergencyCall { answered: true, ..call });
        }
    }

    /// Another node saw the end of the call of this record.
    pub(super) fn forget(&mut self, key: &[u8]) {
        if let Ok(id) = key.try_into().map(u64::from_be_bytes) {
            self.remove(id);
        }
    }

    /// The next call whose end nobody told.
    pub(super) fn expired(&mut self, now: Instant) -> Option<u64> {
        self.expiries.due(now)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }

    /// A connection ended: its phone is reached at its address, if at all.
    pub(super) fn flow_closed(&mut self, flow: &Flow) {
        if flow.transport.is_reliable() {
            self.by_id.values_mut().for_each(|call| call.access.closed(flow));
        }
    }
}

fn key(id: u64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn stored(change: Change) -> Output {
    Output::Store { durability: Durability::Behind, changes: vec![change], commit: None }
}
