//! The response context of one request, RFC 3261 §16.7.

use base::{Flow, Instant};
use sip::{ClientId, HeaderName, Message, ServerId};

use super::{Upstream, Way};

/// A request that was forwarded.
#[derive(Debug)]
pub(super) struct Context<T> {
    pub(super) server: ServerId,
    /// `None` once it is answered for good.
    pub(super) upstream: Option<Box<Upstream>>,
    pub(super) invite: bool,
    pub(super) keep: T,
    pub(super) branches: Vec<Branch>,
    /// A final response went, or goes, upstream.
    pub(super) answered: bool,
    /// Whoever sent it no longer wants it.
    pub(super) cancelled: bool,
    pub(super) timer_c: Option<Instant>,
    /// Its branches were cancelled: none begins any more.
    pub(super) ending: bool,
}

/// One copy of the request.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) client: ClientId,
    /// How it ended: `Some(None)` with a 2xx.
    pub(super) last: Option<Option<Box<Failed>>>,
    pub(super) spare: Option<Box<Spare>>,
    /// Whether whoever got it said anything, 100 included.
    pub(super) heard: bool,
}

/// A failure, and where it came from.
pub(super) type Failed = (Message, Option<Flow>);

/// The copy and the ways that it may still take, the best one last.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) request: Message,
    pub(super) ways: Vec<Way>,
    /// The one that it took when those before were gone.
    pub(super) taken: Option<Way>,
}

impl Spare {
    pub(super) fn new(request: Message, ways: Vec<Way>) -> Spare {
        Spare { request, ways, taken: None }
    }
}

impl Branch {
    pub(super) fn new(client: ClientId, spare: Option<Box<Spare>>) -> Branch {
        Branch { client, last: None, spare, heard: false }
    }
}

impl<T> Context<T> {
    pub(super) fn new(upstream: Upstream, invite: bool, keep: T) -> Context<T> {
        Context {
            server: upstream.server,
            upstream: Some(Box::new(upstream)),
            invite,
            keep,
            branches: Vec::with_capacity(1),
            answered: false,
            cancelled: false,
            timer_c: None,
            ending: false,
        }
    }

    pub(super) fn finish(&mut self, client: ClientId, failure: Option<Failed>) {
        if let Some(branch) = self.branches.iter_mut().find(|b| b.client == client) {
            branch.last = Some(failure.map(Box::new));
        }
    }

    /// The best of the failures: any 6xx, else the lowest class, and in 4xx the ones that tell the
    /// caller what to do first (§16.7 step 6).
    pub(super) fn best_failure(&mut self) -> Option<Failed> {
        let rank = |status: u16| match status {
            600.. => 0,
            401 | 407 | 415 | 420 | 484 => 1,
            300..400 => 2,
            400..500 => 3,
            _ => 4,
        };
        let best =
            self.branches.iter_mut().filter(|b| matches!(b.last, Some(Some(_)))).min_by_key(
                |b| b.last.as_ref().and_then(Option::as_ref).map(|failed| rank(failed.0.status())),
            )?;
        let (mut response, flow) = *best.last.as_mut()?.take()?;
        if matches!(response.status(), 401 | 407) {
            self.add_challenges(&mut response);
        }
        Some((response, flow))
    }

    /// §16.7 step 7: the client answers the challenges of all branches at once.
    fn add_challenges(&self, response: &mut Message) {
        let others = self.branches.iter().filter_map(|branch| branch.last.as_ref()?.as_ref());
        let others = others.map(|failed| &failed.0);
        for other in others.filter(|other| matches!(other.status(), 401 | 407)) {
            for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
                for challenge in other.lines(name) {
                    response.push(name, challenge);
                }
            }
        }
    }
}
