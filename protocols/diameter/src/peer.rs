//! The peer state machine, RFC 6733 §5.6. Pure: a state and an event give the next state and what is
//! to be done; the node does it.
//!
//! I and R are the connection that we initiated and the one that we responded to.

use base::{Flow, Transport};

/// RFC 6733 §5.6, the first column of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No connection.
    Closed,
    /// We are connecting.
    WaitConnAck,
    /// Our CER is sent.
    WaitICea {
        /// Our connection.
        i: Flow,
    },
    /// We are connecting, and the peer has connected to us.
    WaitConnAckElect {
        /// The peer's connection.
        r: Flow,
    },
    /// Both are connected, and the election is lost or not yet known to the peer.
    WaitReturns {
        /// Our connection.
        i: Flow,
        /// The peer's connection.
        r: Flow,
    },
    /// I-Open or R-Open.
    Open {
        /// The connection.
        flow: Flow,
    },
    /// DPR or DPA is sent.
    Closing {
        /// The connection.
        flow: Flow,
    },
}

/// RFC 6733 §5.6.1, the second column of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Begin to connect.
    Start,
    /// Disconnect in good order.
    Stop,
    /// It took too long.
    Timeout,
    /// Our connection is open.
    ConnAck(Flow),
    /// Our connection cannot be opened.
    ConnNack,
    /// A CER arrived that is acceptable; `wins` if we would win the election, RFC 6733 §5.6.4.
    Cer {
        /// The connection.
        flow: Flow,
        /// Whether our Origin-Host is the greater one.
        wins: bool,
    },
    /// A CEA arrived.
    Cea {
        /// The connection.
        flow: Flow,
        /// Whether it says success and we have something in common.
        accepted: bool,
    },
    /// Something else arrived where a CEA was due.
    NonCea(Flow),
    /// DPR arrived.
    Dpr(Flow),
    /// DPA arrived.
    Dpa(Flow),
    /// The connection ended.
    Disconnected(Flow),
}

/// RFC 6733 §5.6.2, the third column of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// I-Snd-Conn-Req.
    Connect,
    /// Forget the attempt to connect.
    Cancel,
    /// I-Snd-CER.
    SendCer(Flow),
    /// R-Snd-CEA with success.
    SendCea(Flow),
    /// R-Reject: another connection is in use.
    Reject(Flow),
    /// I-Disc or R-Disc.
    Disconnect(Flow),
    /// Snd-DPR.
    SendDpr(Flow),
    /// Snd-DPA.
    SendDpa(Flow),
    /// The peer is open on this connection.
    Up(Flow),
    /// The peer is no longer open.
    Down(Flow),
}

impl State {
    /// One line of the table. `wins` is remembered by the caller for
    /// [`WaitConnAckElect`](State::WaitConnAckElect), where the election comes after the CER.
    #[must_use]
    pub fn step(self, event: Event, wins: bool) -> (State, Vec<Action>) {
        use Action::*;
        use State::*;
        let event = match (self, event) {
            // Whoever answers our CER with a CER has not answered it.
            (WaitICea { i } | WaitReturns { i, .. }, Event::Cer { flow, .. })
                if flow.id == i.id =>
            {
                Event::NonCea(flow)
            }
            // Said already: its answer is on the way, or comes with the end of the election.
            (
                WaitConnAckElect { r: own } | WaitReturns { r: own, .. } | Closing { flow: own },
                Event::Cer { flow, .. },
            ) if flow.id == own.id => return (self, vec![]),
            (_, event) => event,
        };
        match (self, event) {
            (Closed, Event::Start) => (WaitConnAck, vec![Connect]),
            (Closed, Event::Cer { flow, .. }) => (Open { flow }, vec![SendCea(flow), Up(flow)]),

            (WaitConnAck, Event::ConnAck(i)) => (WaitICea { i }, vec![SendCer(i)]),
            (WaitConnAck, Event::ConnNack) => (Closed, vec![]),
            (WaitConnAck, Event::Cer { flow, .. }) => (WaitConnAckElect { r: flow }, vec![]),
            (WaitConnAck, Event::Timeout | Event::Stop) => (Closed, vec![Cancel]),

            (WaitICea { i }, Event::Cea { flow, accepted: true }) if flow.id == i.id => {
                (Open { flow: i }, vec![Up(i)])
            }
            (WaitICea { i }, Event::Cer { flow: r, wins }) => elect(i, r, wins),
            (WaitICea { i }, Event::Disconnected(flow)) if flow.id == i.id => (Closed, vec![]),
            (WaitICea { i }, Event::Cea { flow, accepted: false } | Event::NonCea(flow))
                if flow.id == i.id =>
            {
                (Closed, vec![Disconnect(i)])
            }
            (WaitICea { i }, Event::Timeout | Event::Stop) => (Closed, vec![Disconnect(i)]),

            (WaitConnAckElect { r }, Event::ConnAck(i)) => {
                let (state, mut actions) = elect(i, r, wins);
                if state == (WaitReturns { i, r }) {
                    actions.insert(0, SendCer(i));
                }
                (state, actions)
            }
            (WaitConnAckElect { r }, Event::ConnNack) => {
                (Open { flow: r }, vec![SendCea(r), Up(r)])
            }
            (WaitConnAckElect { r }, Event::Disconnected(flow)) if flow.id == r.id => {
                (WaitConnAck, vec![])
            }
            (WaitConnAckElect { r }, Event::Timeout | Event::Stop) => {
                (Closed, vec![Cancel, Disconnect(r)])
            }

            (WaitReturns { i, r }, Event::Disconnected(flow)) if flow.id == i.id => {
                (Open { flow: r }, vec![SendCea(r), Up(r)])
            }
            (WaitReturns { i, r }, Event::Cea { flow, accepted }) if flow.id == i.id => {
                if accepted {
                    (Open { flow: i }, vec![Disconnect(r), Up(i)])
                } else {
                    (Open { flow: r }, vec![Disconnect(i), SendCea(r), Up(r)])
                }
            }
            (WaitReturns { i, r }, Event::Disconnected(flow)) if flow.id == r.id => {
                (WaitICea { i }, vec![])
            }
            (WaitReturns { i, r }, Event::Timeout | Event::Stop | Event::NonCea(_)) => {
                (Closed, vec![Disconnect(i), Disconnect(r)])
            }

            (Open { flow }, Event::Cer { flow: r, .. }) if r.id == flow.id => {
                (self, vec![SendCea(flow)])
            }
            // A function of this process has one wire to us: the old one is gone.
            (Open { flow }, Event::Cer { flow: r, .. }) if r.transport == Transport::Wire => {
                (Open { flow: r }, vec![Down(flow), Disconnect(flow), SendCea(r), Up(r)])
            }
            (Open { flow }, Event::Stop) => (Closing { flow }, vec![Down(flow), SendDpr(flow)]),
            (Open { flow }, Event::Dpr(from)) if from.id == flow.id => {
                (Closing { flow }, vec![Down(flow), SendDpa(flow)])
            }
            (Open { flow }, Event::Disconnected(from)) if from.id == flow.id => {
                (Closed, vec![Down(flow)])
            }
            // The watchdog gave the connection up.
            (Open { flow }, Event::Timeout) => (Closed, vec![Down(flow), Disconnect(flow)]),

            (Closing { flow }, Event::Dpr(from)) if from.id == flow.id => {
                (self, vec![SendDpa(flow)])
            }
            (Closing { flow }, Event::Dpa(from)) if from.id == flow.id => {
                (Closed, vec![Disconnect(flow)])
            }
            (Closing { flow }, Event::Timeout) => (Closed, vec![Disconnect(flow)]),
            (Closing { flow }, Event::Disconnected(from)) if from.id == flow.id => (Closed, vec![]),

            // A second connection of a peer that has one, RFC 6733 §5.6 R-Reject.
            (_, Event::Cer { flow, .. }) => (self, vec![Reject(flow)]),
            // A connection that comes too late for what it was opened for.
            (_, Event::ConnAck(flow)) => (self, vec![Disconnect(flow)]),
            _ => (self, vec![]),
        }
    }

    /// The connection, if the peer is open.
    pub fn open(&self) -> Option<Flow> {
        match self {
            State::Open { flow } => Some(*flow),
            _ => None,
        }
    }
}

/// RFC 6733 §5.6.4: the winner keeps the connection that it responded to.
fn elect(i: Flow, r: Flow, wins: bool) -> (State, Vec<Action>) {
    if wins {
        let actions = vec![Action::Disconnect(i), Action::SendCea(r), Action::Up(r)];
        (State::Open { flow: r }, actions)
    } else {
        (State::WaitReturns { i, r }, vec![])
    }
}

/// Whether `ours` wins against `theirs`: the octets are compared, RFC 6733 §5.6.4.
pub fn wins_election(ours: &str, theirs: &str) -> bool {
    ours.to_ascii_lowercase().as_bytes() > theirs.to_ascii_lowercase().as_bytes()
}
