//! RFC 5626: a phone has a flow to each of two P-CSCFs, and one of them dies in mid-call. The call can be changed
//! and ended from either side over the flow that is left, before anybody registers again, whether the P-CSCFs
//! share what they know or not; and nobody can do that to somebody else's call.

use base::Transport;
use base::time::Duration;
use engine::sim::Weather;
use sip::HeaderName;
use strowger_tests::doors::Doors;
use strowger_tests::ear::Ear;
use strowger_tests::{Network, Phone};
use ue::{By, CallId, UeOrder, What};

/// Two phones, the first of which has two flows, and a call between them.
struct Call {
    doors: Doors,
    phones: [Phone; 2],
    ids: [CallId; 2],
}

/// A call that stands, by either of them; then the P-CSCF dies that it was made over.
fn call(seed: u64, shared: bool, transport: Transport, by_alice: bool) -> Call {
    let mut doors = Doors::new(seed, Weather::CALM, shared);
    let network = &mut doors.network;
    let alice = network.sim_phone(1, move |config| Doors::with_two_flows(config, transport));
    // Of P-CSCFs of one name the S-CSCF takes the first one for everybody, as long as it is there.
    let bob = network.sim_phone(2, move |config| match shared {
        true => Doors::with_two_flows(config, Transport::Udp),
        false => Doors::at_the_second(config),
    });
    network.register(alice);
    network.register(bob);
    network.run(Duration::from_secs(2));
    let scscf = network.hosts[&strowger::plan::Role::Scscf];
    let flows = if shared { 4 } else { 3 };
    assert_eq!(network.census(scscf, "scscf").count("bindings"), flows);
    // The newest flow is taken: the first one has to be it.
    network.register(alice);
    let ids = if by_alice {
        let (caller, called) = network.answered(alice, &bob.tel(), bob);
        [caller, called]
    } else {
        let (caller, called) = network.answered(bob, &alice.tel(), alice);
        [called, caller]
    };
    network.run(Duration::from_secs(2));
    Call { doors, phones: [alice, bob], ids }
}

impl Call {
    fn first_door_dies(&mut self) {
        self.doors.network.heard();
        self.doors.network.sim.crash(self.doors.pcscf[0]);
    }

    /// One side puts the other one on hold and takes it back: two re-INVITEs with their ACKs.
    fn hold_and_resume(&mut self, side: usize) {
        for on in [true, false] {
            let id = self.ids[side];
            let order = if on { UeOrder::Hold(id) } else { UeOrder::Resume(id) };
            self.doors.network.order(self.phones[side], order);
            let peer = self.phones[1 - side].host;
            self.wait(&format!("hold by {side}: {on}"), |host, what| match what {
                What::HeldByPeer { held, .. } => host == peer && *held == on,
                _ => false,
            });
            // Whoever gets no ACK hangs up after 32 seconds.
            quiet(&mut self.doors.network, 40);
        }
    }

    fn hang_up(&mut self, side: usize) {
        self.doors.network.order(self.phones[side], UeOrder::Hangup(self.ids[side]));
        let mut ended = Vec::new();
        self.doors.network.until(Duration::from_secs(40), |host, report| {
            if let What::Ended { by, status, .. } = &report.what {
                ended.push((host, *by, *status));
            }
            (ended.len() == 2).then_some(())
        });
        assert_eq!(ended.len(), 2, "{ended:?}");
        assert!(
            ended.iter().all(|(_, by, status)| *by != By::Failure && *status == 200),
            "{ended:?}"
        );
    }

    fn wait(&mut self, what: &str, wanted: impl Fn(engine::sim::HostId, &What) -> bool) {
        let found =
            self.doors.network.until(Duration::from_secs(40), |host, report| match &report.what {
                What::Registered { .. } => panic!("{host:?} registers again"),
                What::Ended { status, reason, .. } => panic!("{host:?}: {status} {reason}"),
                other => wanted(host, other).then_some(()),
            });
        assert!(found.is_some(), "{what}");
    }
}

/// Time in which no call ends and nobody registers.
fn quiet(network: &mut Network, seconds: u64) {
    for (host, report) in network.run(Duration::from_secs(seconds)) {
        let loud = matches!(report.what, What::Ended { .. } | What::Registered { .. });
        assert!(!loud, "{host:?}: {:?}", report.what);
    }
}

fn survives(shared: bool, transport: Transport) {
    for seed in 0..8 {
        let (by_alice, first, last) =
            (seed & 1 == 0, (seed >> 1) as usize & 1, (seed >> 2) as usize & 1);
        let mut call = call(seed, shared, transport, by_alice);
        call.first_door_dies();
        call.hold_and_resume(first);
        call.hold_and_resume(1 - first);
        call.hang_up(last);
    }
}

#[test]
fn a_call_goes_on_over_the_other_flow() {
    survives(false, Transport::Udp);
}

#[test]
fn a_call_goes_on_over_the_other_connection() {
    survives(false, Transport::Tcp);
}

#[test]
fn a_call_goes_on_over_a_p_cscf_that_knows_the_same() {
    survives(true, Transport::Udp);
}

/// The BYE is the first that hears of it.
#[test]
fn a_call_is_ended_over_the_other_flow() {
    for (seed, shared) in [(0, false), (1, false), (2, true), (3, true)] {
        for side in [0, 1] {
            let mut call = call(seed, shared, Transport::Udp, seed % 2 == 0);
            call.first_door_dies();
            call.hang_up(side);
        }
    }
}

/// Mallory has two flows as well, and knows everything that is said in Alice's call.
#[test]
fn nobody_ends_the_call_of_another_phone() {
    for shared in [false, true] {
        let mut call = call(7, shared, Transport::Udp, true);
        let ear = Ear::at(&mut call.doors.network);
        let network = &mut call.doors.network;
        let mallory = network.sim_phone(3, |config| Doors::with_two_flows(config, Transport::Udp));
        network.register(mallory);
        network.run(Duration::from_secs(2));
        // What Alice says over her first flow.
        network.order(call.phones[0], UeOrder::Hold(call.ids[0]));
        network.run(Duration::from_secs(2));
        let theirs = ear.sent(call.phones[0].host, "INVITE").pop().expect("a re-INVITE");
        let field = |name| theirs.get(name).unwrap_or("").to_owned();
        call.first_door_dies();
        let bob = call.phones[1].tel();
        let ask = |network: &mut Network| {
            network.order(mallory, UeOrder::Options { to: bob.clone(), token: 1 });
            network.run(Duration::from_secs(1));
        };
        // Mallory notices, and what she says goes over her second flow from now on.
        ask(&mut call.doors.network);
        let routes: Vec<&str> = theirs.list(HeaderName::Route).collect();
        let own: Vec<String> = routes
            .iter()
            .map(|route| route.replacen("lr>", &format!("lr;flow={}>", "1"), 1))
            .collect();
        for (number, routes) in [routes.join(", "), own.join(", ")].into_iter().enumerate() {
            let bye = format!(
                "BYE {} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.4:5060;branch=z9hG4bKforged{number};rport\r\n\
                 Max-Forwards: 70\r\nRoute: {routes}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n\
                 CSeq: 100 BYE\r\nContent-Length: 0\r\n\r\n",
                theirs.uri(),
                field(HeaderName::From),
                field(HeaderName::To),
                field(HeaderName::CallId),
            );
            ask(&mut call.doors.network);
            ear.forget();
            call.doors.network.send(mallory, bye.into_bytes());
            quiet(&mut call.doors.network, 5);
            let statuses: Vec<u16> =
                ear.answers(mallory.host, "BYE").iter().map(sip::Message::status).collect();
            assert_eq!(statuses, [403], "shared: {shared}, {number}");
        }
    }
}
