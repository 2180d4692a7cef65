//! The HSS as I- and S-CSCF see it: requests on Cx (TS 29.228 §6.1) and what became of them.

use std::collections::VecDeque;

use base::time::Duration;
use base::{Deadline, Instant, Output, Random};
use diameter::cx::{Body, request};
use diameter::message::Message;
use diameter::node::{AnswerHandle, Event, Failure, Node, NodeConfig, RequestId};
use diameter::result::{ExperimentalCode, Outcome, ResultCode};

use crate::proxy::Refusal;

/// A Cx client: a Diameter node that knows its home realm.
#[derive(Debug)]
pub struct Cx {
    /// The node, for the inputs that are its own.
    pub node: Node,
    realm: String,
    timeout: Duration,
    requests: VecDeque<(AnswerHandle, Message)>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    /// The HSS did it. The code tells first from subsequent registrations, and registered from
    /// unregistered users.
    Success(ExperimentalCode, Message),
    /// The HSS refused: the user's or our fault.
    Refused(Outcome),
    /// The HSS could not be asked, or did not answer in time.
    Unavailable(Failure),
}

impl Answer {
    /// The typed answer of a success; unreadable AVPs count as no answer.
    pub fn body<B: Body>(&self) -> Option<B> {
        match self {
            Answer::Success(_, message) => B::parse(message).ok(),
            _ => None,
        }
    }

    /// The 3GPP code of a refusal.
    pub fn refusal(&self) -> Option<ExperimentalCode> {
        match self {
            Answer::Refused(Outcome::Experimental(code)) => Some(*code),
            _ => None,
        }
    }

    /// The refusal of a REGISTER that this answer leads to, TS 24.229 §5.3.1.3 and §5.4.1.2: 403 if
    /// it is the user's fault; a phone may come back later after the others. `of` names the request.
    pub fn register_refusal(&self, of: &'static str) -> Refusal {
        // Base protocol codes but this one speak of the HSS, not of the user.
        let rejected = Outcome::Base(ResultCode::AUTHORIZATION_REJECTED);
        match self {
            Answer::Unavailable(_) => Refusal::new(504, of),
            Answer::Refused(outcome @ Outcome::Base(_)) if *outcome != rejected => {
                Refusal::new(500, of)
            }
            Answer::Refused(_) | Answer::Success(..) => Refusal::new(403, of),
        }
    }
}

impl core::fmt::Display for Answer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Answer::Success(code, _) => write!(f, "the HSS answered {code}"),
            Answer::Refused(Outcome::Base(code)) => write!(f, "the HSS answered {code}"),
            Answer::Refused(Outcome::Experimental(code)) => write!(f, "the HSS answered {code}"),
            Answer::Unavailable(failure) => write!(f, "{failure}"),
        }
    }
}

impl Cx {
    /// A client of the HSS of this realm. Answers that take longer than `timeout` count as none.
    pub fn new(config: NodeConfig, realm: String, timeout: Duration, random: Random) -> Cx {
        Cx { node: Node::new(config, random), realm, timeout, requests: VecDeque::new() }
    }

    /// Asks. The answer comes from [`Cx::poll`] with the same number.
    pub fn ask<B: Body>(&mut self, now: Instant, body: &B) -> RequestId {
        self.node.request(now, request(body, &self.realm, None), self.timeout)
    }

    /// The next answer.
    pub fn poll(&mut self) -> Option<(RequestId, Answer)> {
        loop {
            match self.node.poll_event()? {
                Event::Answer { id, message } => return Some((id, classify(message))),
                Event::Failed { id, reason } => return Some((id, Answer::Unavailable(reason))),
                Event::Request { handle, message } => self.requests.push_back((handle, message)),
                Event::PeerUp { .. } | Event::PeerDown { .. } => {}
            }
        }
    }

    /// The next request of the HSS, after [`Cx::poll`] has no answer: RTR or PPR, if the node's
    /// application serves them.
    pub fn poll_request(&mut self) -> Option<(AnswerHandle, Message)> {
        self.requests.pop_front()
    }

    /// The next output of the node.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.node.poll_output()
    }

    /// When the node wants to be woken.
    pub fn deadline(&self) -> Option<Deadline> {
        self.node.deadline()
    }
}

/// The private identity of a REGISTER: the user name of its credentials, else derived from the public
/// identity (TS 24.229 §5.3.1.2 and §5.4.1.2.1). A user name without a domain, as softphones without a
/// SIM send it, is one of the home network.
pub fn private_identity(
    credentials: Option<&sip::header::Credentials<'_>>,
    public_identity: &str,
    home_domain: &str,
) -> String {
    match credentials.map(|c| &*c.username).filter(|name| !name.is_empty()) {
        Some(name) if name.contains('@') => name.to_owned(),
        Some(name) => [name, "@", home_domain].concat(),
        None => public_identity.split_once(':').map_or("", |(_, rest)| rest).to_owned(),
    }
}

fn classify(message: Message) -> Answer {
    match message.outcome() {
        Some(Outcome::Base(ResultCode::SUCCESS | ResultCode::LIMITED_SUCCESS)) => {
            Answer::Success(ExperimentalCode(2001), message)
        }
        Some(Outcome::Experimental(code)) if (2000..3000).contains(&code.0) => {
            Answer::Success(code, message)
        }
        Some(outcome) => Answer::Refused(outcome),
        None => Answer::Refused(Outcome::Base(ResultCode::MISSING_AVP)),
    }
}
