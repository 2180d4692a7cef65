//! The same few verbs everywhere: an input goes in with the time at which it happened, outputs are
//! taken until there are none, and a deadline says when the next timeout is due.

use std::any::Any;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::flow::{Endpoint, Flow, FlowError, Service, Transport};
use crate::log::Event;
use crate::relay;
use crate::store::{Change, CommitId, Durability, LoadId, StoreError, Table};
use crate::time::Instant;

/// A network function: a deterministic state machine that never does I/O itself.
///
/// Whoever drives it calls [`handle`](Function::handle), then [`poll`](Function::poll) until it
/// returns `None`, then reads [`deadline`](Function::deadline) and hands in [`Input::Timeout`] once
/// that time has come.
pub trait Function: Send {
    /// Takes one input and the time at which it happened.
    fn handle(&mut self, now: Instant, input: Input);

    /// The next output, `None` when there are no more.
    fn poll(&mut self) -> Option<Output>;

    /// When this function next wants [`Input::Timeout`].
    fn deadline(&self) -> Option<Deadline>;

    /// Whether something is under way that the end of a drain waits for, such as a call that is being
    /// set up.
    fn is_busy(&self) -> bool {
        false
    }

    /// Tables of other functions of the process whose records this one keeps, in the place of the store.
    /// Who owns such a table hears nothing but its records until [`Output::Ready`].
    fn keeps(&self) -> &[Table] {
        &[]
    }
}

/// When a machine wants to be woken, and which of its parts asked for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline {
    /// The time.
    pub at: Instant,
    /// Who asked, such as `"sip Timer B"`.
    pub reason: &'static str,
}

impl Deadline {
    /// The earlier of two deadlines.
    pub fn earliest(a: Option<Deadline>, b: Option<Deadline>) -> Option<Deadline> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// A number that the asker chose to recognise the answer to [`Output::Open`] by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpenId(pub u64);

/// A number that the asker chose to recognise the answer to [`Output::Resolve`] or [`Output::LookUp`] by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueryId(pub u64);

/// What happens to a machine.
#[derive(Debug)]
pub enum Input {
    /// A stored record of a table that belongs to this function. All of them come before
    /// [`Input::Start`]; later ones are of a table that several nodes share, as another node wrote them.
    Restored {
        /// The table.
        table: Table,
        /// The record's key.
        key: Bytes,
        /// The record's value.
        value: Bytes,
    },
    /// Another node deleted this record of a table that several nodes share.
    Forgotten {
        /// The table.
        table: Table,
        /// The record's key.
        key: Bytes,
    },
    /// To a function that keeps records: others changed these.
    Keep {
        /// The changes, in order.
        changes: Vec<Change>,
    },
    /// To a function that keeps records: who owns these tables has lost them and wants all.
    Recall {
        /// The tables.
        tables: Vec<Table>,
    },
    /// Everything is restored and the listeners are open: begin.
    Start,
    /// The deadline has come.
    Timeout,
    /// A whole message arrived.
    Received {
        /// Where it came from.
        flow: Flow,
        /// Its bytes; a receiver may slice and keep them.
        message: Bytes,
    },
    /// [`Output::Open`] succeeded.
    Opened {
        /// The asker's number.
        open: OpenId,
        /// The new flow.
        flow: Flow,
    },
    /// [`Output::Open`] failed.
    OpenFailed {
        /// The asker's number.
        open: OpenId,
        /// Why.
        error: FlowError,
    },
    /// A connection or wire ended, or a message could not be sent on this flow.
    Closed {
        /// The flow that ended.
        flow: Flow,
        /// Why.
        error: FlowError,
    },
    /// The answer to [`Output::Resolve`], best target first; empty if there is no such name.
    Resolved {
        /// The asker's number.
        query: QueryId,
        /// Where to try, in this order.
        targets: Vec<Target>,
    },
    /// The answer to [`Output::LookUp`]; empty if there are none, or nobody could be asked.
    Naptr {
        /// The asker's number.
        query: QueryId,
        /// The records, in no order.
        records: Vec<Naptr>,
    },
    /// The answer to [`Output::Load`].
    Loaded {
        /// The asker's number.
        load: LoadId,
        /// The value, `None` if there is no such record.
        value: Result<Option<Bytes>, StoreError>,
    },
    /// The answer to [`Output::Scan`].
    Scanned {
        /// The asker's number.
        load: LoadId,
        /// The keys, in their order.
        keys: Result<Vec<Bytes>, StoreError>,
    },
    /// The answer to an [`Output::Store`] that asked for one.
    Committed {
        /// The asker's number.
        commit: CommitId,
        /// Whether the changes are durable.
        result: Result<(), StoreError>,
    },
    /// The media relay's packet path reports.
    Relay(relay::Event),
    /// The program's own command to this function, such as "call this number" to a test phone.
    Order(Order),
    /// What drives this function does not keep up: so many of a hundred requests from the network that begin
    /// something are to be refused. With 0 it does again.
    Overload {
        /// 0 to 100.
        percent: u8,
    },
    /// Take no new work, finish what is running.
    Drain,
}

/// What a machine wants done.
#[derive(Debug)]
pub enum Output {
    /// Send a whole message.
    Transmit {
        /// Where to.
        flow: Flow,
        /// The encoded message.
        message: Bytes,
    },
    /// Open a connection, or find the socket for a UDP destination, or (`remote: None`) bind a new
    /// UDP socket. Answered by [`Input::Opened`] or [`Input::OpenFailed`].
    Open {
        /// The asker's number.
        open: OpenId,
        /// The protocol to be spoken.
        service: Service,
        /// How bytes travel.
        transport: Transport,
        /// The other end; `None` binds a UDP socket that any remote may use.
        remote: Option<Endpoint>,
        /// Our end, if it matters. Port 0 is any free port; `None` is any listener of this function
        /// for the same service and IP version, else any free port.
        local: Option<SocketAddr>,
        /// For TLS: whose certificate the other end has to show, RFC 5922 §7.3; `None` is its address's.
        name: Option<String>,
    },
    /// Close a connection or an own UDP socket.
    Close {
        /// The flow.
        flow: Flow,
    },
    /// Find the targets of a name: RFC 3263 for SIP, the configured topology before DNS.
    Resolve {
        /// The asker's number.
        query: QueryId,
        /// What to look up.
        name: Name,
    },
    /// Read the NAPTR records of a domain, RFC 3403: what an application such as ENUM (RFC 6116) makes its
    /// own rules of.
    LookUp {
        /// The asker's number.
        query: QueryId,
        /// The domain.
        domain: String,
    },
    /// Read a record.
    Load {
        /// The asker's number.
        load: LoadId,
        /// The table.
        table: Table,
        /// The record's key.
        key: Bytes,
    },
    /// Read the keys of a table in their order.
    Scan {
        /// The asker's number.
        load: LoadId,
        /// The table.
        table: Table,
        /// Only keys beyond this one.
        after: Option<Bytes>,
        /// So many keys at most.
        limit: usize,
    },
    /// Write records, all or none.
    Store {
        /// How soon they must be durable.
        durability: Durability,
        /// The changes, in order.
        changes: Vec<Change>,
        /// Set if the asker waits for [`Input::Committed`].
        commit: Option<CommitId>,
    },
    /// A record that this function keeps, as it was found or as another node wrote it; `None` if it is
    /// gone. Its owner hears of it.
    Kept {
        /// The table.
        table: Table,
        /// The record's key.
        key: Bytes,
        /// The record's value.
        value: Option<Bytes>,
    },
    /// All records that this function keeps were handed out, or cannot be had now: their owners may begin.
    Ready,
    /// Tell the media relay's packet path.
    Relay(relay::Command),
    /// One counter and one log line.
    Log(Event),
    /// Tell the program something, such as "this test phone is registered".
    Report(Report),
}

/// A name to be resolved, RFC 3263 §4.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Name {
    /// The protocol that will be spoken.
    pub service: Service,
    /// A host name, or an IP address as text (IPv6 with or without brackets).
    pub host: String,
    /// The port, if one was given: then no SRV lookup is made (RFC 3263 §4.2).
    pub port: Option<u16>,
    /// The transport, if one was given.
    pub transport: Option<Transport>,
}

/// One place to try.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// How to get there.
    pub transport: Transport,
    /// The address.
    pub endpoint: Endpoint,
}

impl Target {
    /// The target's IP address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.endpoint.ip()
    }
}

/// A NAPTR record, RFC 3403 §4.1. Flags, services and replacement are in lower case.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Naptr {
    /// Lower ones must be taken first.
    pub order: u16,
    /// Among equal ones, lower ones should be.
    pub preference: u16,
    /// What the rule leads to, such as `u`: a URI.
    pub flags: String,
    /// What is there, such as `e2u+sip`.
    pub services: String,
    /// A substitution expression, RFC 3402 §3.2; empty if there is a replacement.
    pub regexp: String,
    /// The next domain, without a final dot; empty if there is none.
    pub replacement: String,
}

/// A command of the program to one function; the function says which type it takes.
pub struct Order(pub Box<dyn Any + Send>);

impl Order {
    /// The command, if it is of this type; the order itself if it is not.
    ///
    /// # Errors
    /// The order, for whoever takes another type.
    pub fn take<T: Any>(self) -> Result<T, Order> {
        self.0.downcast().map(|command| *command).map_err(Order)
    }
}

/// A function's message to the program; the function says which type it sends.
pub struct Report(pub Box<dyn Any + Send>);

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order")
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Report")
    }
}
