//! ICE in descriptions, RFC 8839: the relay is an end of its own towards each party, with one candidate for each
//! component. What parties said of themselves never goes on: it would lead media past the relay.

use std::net::{IpAddr, SocketAddr};

use base::Random;
use base::redact::Secret;
use base::relay::{Candidate, CandidateKind, Command, Component, Credentials, Ice, Remote};
use ng::Request;
use ng::request::Ice as Wish;
use sdp::Session;
use serde::{Deserialize, Serialize};

use crate::call::{Dialogue, Leg, Who};
use crate::rewrite::{relayed, shares_port};

/// Candidates that are looked at.
const MAX_CANDIDATES: usize = 32;

/// ICE with the party of one leg.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Connectivity {
    /// Our name and password, until it restarts.
    local: Option<Credentials>,
    tie_breaker: u64,
    /// Whether we only answer its checks.
    lite: bool,
    /// What the party's last offer said.
    theirs: Option<Remote>,
    /// Whether our last offer to it had candidates.
    offered: bool,
    /// Whether its description shows our candidates, and if so, whether one for RTCP.
    shown: Option<bool>,
    /// What was agreed, or offered and not answered yet.
    used: Option<Ice>,
    /// What the packet path was told.
    told: Option<Ice>,
    /// An answer said how the party does it: until the next one, whatever is offered.
    settled: bool,
}

/// What a party says of itself in a section, or in the session for all of them.
pub(crate) fn remote_of(session: &Session, index: usize) -> Option<Remote> {
    let section = session.media().get(index)?.section();
    let of = |name: &str| section.attribute(name).or_else(|| session.head().attribute(name));
    let (ufrag, pwd) = (of("ice-ufrag")?.to_owned(), Secret::new(of("ice-pwd")?.to_owned()));
    let lines = section.attributes("candidate").take(MAX_CANDIDATES);
    Some(Remote {
        credentials: Credentials { ufrag, pwd },
        candidates: lines.filter_map(ice::parse_candidate).collect(),
        lite: session.head().has_attribute("ice-lite"),
    })
}

/// An offer of `who`: the other party is offered candidates if the asker says so, or if `who` offers some.
pub(crate) fn offer(
    session: &Session,
    request: &Request,
    who: Who,
    dialogue: &mut Dialogue,
    random: &mut Random,
) {
    for (index, stream) in relayed(session, dialogue) {
        let own = &mut stream.legs[who as usize].connectivity;
        let theirs = remote_of(session, index);
        own.restart_if_they_did(theirs.as_ref());
        let offers = theirs.is_some();
        own.theirs = theirs;
        own.lite = lite(request, "backward").unwrap_or(own.lite);
        (own.offered, own.shown) = (false, None);
        let far = &mut stream.legs[who.other() as usize];
        let offered = match request.ice {
            Some(Wish::Remove) => false,
            Some(Wish::Force | Wish::ForceRelay | Wish::Optional) => true,
            Some(Wish::Default) | None => offers,
        };
        far.connectivity.lite = lite(request, "forward").unwrap_or(far.connectivity.lite);
        far.connectivity.offered = offered;
        far.connectivity.shown = offered.then_some(!shares_port(request, far));
        far.connectivity.used = match offered {
            true => far.ice(request.media_address, None, (true, true), random),
            false => None,
        };
    }
}

/// Whether the asker wants us to only answer checks in a direction; `None` leaves it as it was.
fn lite(request: &Request, direction: &str) -> Option<bool> {
    let said = request.other.text("ICE-lite")?;
    Some(said.eq_ignore_ascii_case(direction) || said.eq_ignore_ascii_case("both"))
}

/// An answer of `who`: whether it took our offer, and what the offerer gets.
pub(crate) fn answer(
    session: &Session,
    request: &Request,
    who: Who,
    dialogue: &mut Dialogue,
    random: &mut Random,
) {
    for (index, stream) in relayed(session, dialogue) {
        let own = &mut stream.legs[who as usize];
        let connectivity = &own.connectivity;
        let usable = |remote: &Remote| connectivity.offered && !(remote.lite && connectivity.lite);
        let theirs = remote_of(session, index).filter(usable);
        let rtcp = !own.mux;
        let before = own.connectivity.used.take();
        own.connectivity.used =
            before.zip(theirs).map(|(ice, remote)| Ice { remote: Some(remote), rtcp, ..ice });
        (own.connectivity.shown, own.connectivity.settled) = (None, false);
        let far = &mut stream.legs[who.other() as usize];
        let theirs = far.connectivity.theirs.clone().filter(|_| request.ice != Some(Wish::Remove));
        let rtcp = !far.mux;
        far.connectivity.shown = theirs.is_some().then_some(rtcp);
        let controlling = theirs.as_ref().is_some_and(|remote| remote.lite);
        far.connectivity.used = match theirs {
            Some(remote) => {
                far.ice(request.media_address, Some(remote), (controlling, rtcp), random)
            }
            None => None,
        };
        far.connectivity.settled = false;
    }
}

impl Connectivity {
    /// Whether its description has candidates of ours.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown.is_some()
    }

    /// Whether its description says that we only answer checks.
    pub(crate) fn shows_lite(&self) -> bool {
        self.lite && self.shown.is_some()
    }

    /// How the party speaks, in rtpengine's words.
    pub(crate) fn ways(&self) -> Vec<&'static str> {
        let Some(ice) = &self.used else { return Vec::new() };
        let peer = ice.remote.as_ref().is_some_and(|remote| remote.lite);
        let words = [
            (true, "ICE"),
            (ice.controlling && !ice.lite, "ICE controlling"),
            (peer, "ICE-lite peer"),
            (ice.lite, "ICE-lite self"),
        ];
        words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect()
    }

    /// Whether the party's last offer had it, or its last answer.
    pub(crate) fn is_spoken(&self) -> bool {
        self.theirs.is_some() || self.used.as_ref().is_some_and(|ice| ice.remote.is_some())
    }

    /// Other credentials than before are a restart, which ours answer with other ones too, RFC 8839 §4.4.1.
    fn restart_if_they_did(&mut self, theirs: Option<&Remote>) {
        let before = self.used.as_ref().and_then(|used| used.remote.as_ref());
        if let (Some(before), Some(now)) = (before, theirs)
            && before.credentials != now.credentials
        {
            self.local = None;
        }
    }
}

impl Leg {
    /// ICE with its party from here on. Whoever chooses goes on choosing as long as nothing restarts.
    fn ice(
        &mut self,
        shown: Option<IpAddr>,
        remote: Option<Remote>,
        (controlling, rtcp): (bool, bool),
        random: &mut Random,
    ) -> Option<Ice> {
        let address = SocketAddr::new(shown.unwrap_or(self.advertised), self.opened?);
        let connectivity = &mut self.connectivity;
        if connectivity.tie_breaker == 0 {
            connectivity.tie_breaker = random.u64();
        }
        let local = connectivity.local.get_or_insert_with(|| ice::credentials(random)).clone();
        let before = connectivity.told.as_ref().filter(|told| told.local == local);
        let controlling = before.map_or(controlling, |told| told.controlling);
        let lite = connectivity.lite;
        let remote = remote.or_else(|| before.and_then(|told| told.remote.clone()));
        let tie_breaker = connectivity.tie_breaker;
        Some(Ice { local, address, remote, lite, controlling, tie_breaker, rtcp })
    }

    /// The attributes that its description shows of it.
    pub(crate) fn connectivity_lines(&self) -> Vec<(&'static str, String)> {
        let Connectivity { used: Some(ice), shown: Some(rtcp), .. } = &self.connectivity else {
            return Vec::new();
        };
        let mut lines = vec![
            ("ice-ufrag", ice.local.ufrag.clone()),
            ("ice-pwd", ice.local.pwd.reveal().clone()),
        ];
        let components = [Component::Rtp, Component::Rtcp];
        for component in components.into_iter().take(if *rtcp { 2 } else { 1 }) {
            let mut address = ice.address;
            address.set_port(address.port() + u16::from(component == Component::Rtcp));
            let kind = CandidateKind::Host;
            let priority = ice::priority(kind, u16::MAX, component);
            let foundation = "1".to_owned();
            let host = Candidate { foundation, component, priority, address, kind };
            lines.push(("candidate", ice::candidate(&host)));
        }
        lines.push(("end-of-candidates", String::new()));
        lines
    }

    /// What the packet path was told of it, for another one.
    pub(crate) fn connected(&self) -> Option<Command> {
        let ice = self.connectivity.told.clone();
        ice.is_some().then_some(Command::Connect { port: self.port, ice })
    }

    /// What the packet path is to be told of it, if it does not know. After an answer that lasts until the next one.
    pub(crate) fn connect(&mut self, answered: bool) -> Option<Command> {
        let connectivity = &mut self.connectivity;
        if connectivity.settled {
            return None;
        }
        connectivity.settled = answered;
        if connectivity.told == connectivity.used {
            return None;
        }
        connectivity.told.clone_from(&connectivity.used);
        Some(Command::Connect { port: self.port, ice: connectivity.used.clone() })
    }
}
