//! Nodes that share registrations: whoever dies, the others serve his users, before any phone has
//! registered again; and the server that they share may have any bad day.

use base::time::Duration;
use engine::sim::{HostId, Weather};
use strowger::provision::Ask;
use strowger_tests::nodes::Nodes;
use strowger_tests::scenario::WEATHER;
use strowger_tests::valkey::Day;
use strowger_tests::{Network, Phone};
use ue::{By, UeOrder, What};

/// A second is enough for everybody to hear of everything.
const SOON: Duration = Duration::from_secs(1);

/// A call that stands: both ends of it.
struct Call {
    phones: [Phone; 2],
    ids: [ue::CallId; 2],
}

fn call(network: &mut Network, from: Phone, to: Phone) -> Call {
    network.order(from, UeOrder::Call { to: to.tel(), token: 1 });
    let mut ids = [None, None];
    let stands = network.until(Duration::from_secs(60), |host, report| {
        match &report.what {
            What::Registered { .. } => panic!("{host:?} registers again"),
            What::Answered { call, .. } if host == from.host => ids[0] = Some(*call),
            What::Answered { call, .. } if host == to.host => ids[1] = Some(*call),
            What::Ended { status, reason, .. } => panic!("{host:?}: {status} {reason}"),
            _ => {}
        }
        ids.iter().all(Option::is_some).then_some(())
    });
    assert!(stands.is_some(), "the call is answered: {ids:?}");
    // The ACK is through, too, however often it was lost.
    network.run(Duration::from_secs(8));
    Call { phones: [from, to], ids: ids.map(|id| id.expect("it was just seen")) }
}

/// One side puts the call on hold and takes it back: two re-INVITEs.
fn hold_and_resume(network: &mut Network, call: &Call, side: usize) {
    for on in [true, false] {
        let id = call.ids[side];
        let order = if on { UeOrder::Hold(id) } else { UeOrder::Resume(id) };
        network.order(call.phones[side], order);
        let peer = call.phones[1 - side].host;
        let changed = network.until(Duration::from_secs(40), |host, report| match &report.what {
            What::HeldByPeer { held, .. } if host == peer && *held == on => Some(()),
            What::Ended { status, reason, .. } => panic!("{host:?}: {status} {reason}"),
            _ => None,
        });
        assert!(changed.is_some(), "hold: {on}");
    }
}

fn hang_up(network: &mut Network, call: &Call, side: usize) {
    network.order(call.phones[side], UeOrder::Hangup(call.ids[side]));
    let mut ended = Vec::new();
    network.until(Duration::from_secs(40), |host, report| {
        if let What::Ended { by, status, .. } = &report.what {
            ended.push((host, *by, *status));
        }
        (ended.len() == 2).then_some(())
    });
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert!(ended.iter().all(|(_, by, _)| *by != By::Failure), "{ended:?}");
}

fn registered(nodes: &mut Nodes) -> [Phone; 2] {
    let phones = [1, 2].map(|number| nodes.network.sim_phone(number, |_| {}));
    for phone in phones {
        nodes.network.register(phone);
    }
    nodes.network.run(SOON);
    phones
}

/// Soon both S-CSCFs have the same records, and the server has all changes.
fn same_at_both(nodes: &mut Nodes) {
    let [a, b] = nodes.scscf;
    let mut seen = None;
    for _ in 0..10 {
        let (there, here) = (nodes.shares(a), nodes.shares(b));
        if there == here && here.1 == 0 && !here.2 {
            return;
        }
        seen = Some((there, here));
        nodes.network.run(SOON);
    }
    panic!("records, changes that wait, away: {seen:?}");
}

/// An S-CSCF dies in mid-call: the other one serves its users. Calls that stand can be changed and ended
/// from either side, new ones come in, and the network can still end a registration.
#[test]
fn another_s_cscf_serves_the_users_of_one_that_died() {
    for seed in 1..=10 {
        for weather in [Weather::CALM, WEATHER] {
            let mut nodes = Nodes::new(seed, weather);
            let [alice, bob] = registered(&mut nodes);
            same_at_both(&mut nodes);
            let standing = call(&mut nodes.network, alice, bob);
            let [a, _] = nodes.scscf;
            nodes.network.sim.crash(a);
            let side = seed as usize % 2;
            hold_and_resume(&mut nodes.network, &standing, side);
            hang_up(&mut nodes.network, &standing, 1 - side);
            let again = call(&mut nodes.network, bob, alice);
            hang_up(&mut nodes.network, &again, side);
        }
    }
}

/// What one S-CSCF forgets, the other one forgets, too.
#[test]
fn a_user_who_leaves_is_gone_everywhere() {
    let mut nodes = Nodes::new(1, Weather::CALM);
    let [_, bob] = registered(&mut nodes);
    let [a, b] = nodes.scscf;
    nodes.network.order(bob, UeOrder::Deregister);
    nodes.network.run(Duration::from_secs(2));
    for host in [a, b] {
        let census = nodes.network.census(host, "scscf");
        assert_eq!((census.count("bindings"), census.count("watchers")), (1, 2));
    }
    nodes.network.sim.crash(a);
    nodes.network.order(bob, UeOrder::Register);
    nodes.network.run(Duration::from_secs(40));
    assert_eq!(nodes.network.census(b, "scscf").count("bindings"), 2);
}

/// The HSS ends a registration at the S-CSCF that is there, which tells the P-CSCF, and the phone, as they
/// asked the one that died.
#[test]
fn the_network_ends_a_registration_at_another_node() {
    let mut nodes = Nodes::new(1, Weather::CALM);
    let [_, bob] = registered(&mut nodes);
    let [a, b] = nodes.scscf;
    nodes.network.sim.crash(a);
    nodes.network.run(SOON);
    let names = vec![format!("00101{:010}@{}", bob.number, strowger_tests::network::DOMAIN)];
    let ask = Ask::Deregister { names, again: false, reason: None };
    nodes.network.operator(ask).expect("bob is a subscriber");
    nodes.network.run(SOON);
    assert_eq!(nodes.network.census(b, "scscf").count("bindings"), 1);
    let pcscf = nodes.pcscf;
    assert_eq!(nodes.network.census(pcscf, "pcscf").count("bindings"), 1);
}

/// It comes back and knows everything that happened meanwhile.
#[test]
fn an_s_cscf_that_comes_back_knows_what_happened() {
    let mut nodes = Nodes::new(1, Weather::CALM);
    let [alice, bob] = registered(&mut nodes);
    let [a, b] = nodes.scscf;
    nodes.network.sim.crash(a);
    nodes.network.order(bob, UeOrder::Deregister);
    nodes.network.run(Duration::from_secs(40));
    let carol = nodes.network.sim_phone(3, |_| {});
    nodes.network.register(carol);
    nodes.network.sim.restart(a);
    nodes.network.run(SOON);
    same_at_both(&mut nodes);
    nodes.network.sim.crash(b);
    let standing = call(&mut nodes.network, alice, carol);
    hang_up(&mut nodes.network, &standing, 0);
}

/// A P-CSCF dies, and its address moves to a node that has nothing but what is shared.
#[test]
fn another_p_cscf_at_the_same_address_knows_the_phones() {
    for seed in 1..=10 {
        let mut nodes = Nodes::new(seed, Weather::CALM);
        let [alice, bob] = registered(&mut nodes);
        let standing = call(&mut nodes.network, alice, bob);
        let host = nodes.pcscf;
        nodes.network.sim.restart(host);
        nodes.network.run(SOON);
        assert_eq!(nodes.shares(host), (2, 0, false), "its records are those of the phones");
        let side = seed as usize % 2;
        hold_and_resume(&mut nodes.network, &standing, side);
        hang_up(&mut nodes.network, &standing, 1 - side);
        let again = call(&mut nodes.network, bob, alice);
        hang_up(&mut nodes.network, &again, side);
        // The S-CSCF still tells the P-CSCF, which asked for that before it died, what becomes of a phone.
        nodes.network.order(bob, UeOrder::Deregister);
        nodes.network.run(Duration::from_secs(40));
        assert_eq!(nodes.network.census(host, "pcscf").count("bindings"), 1);
    }
}

/// Both S-CSCFs live but do not hear from the server: each goes on. When it is back they agree.
fn degraded(seed: u64, day: impl Fn(&mut Nodes), better: impl Fn(&mut Nodes), counter: &str) {
    let mut nodes = Nodes::new(seed, Weather::CALM);
    let [alice, bob] = registered(&mut nodes);
    nodes.network.sim.logs();
    day(&mut nodes);
    nodes.network.run(Duration::from_secs(2));
    let carol = nodes.network.sim_phone(3, |_| {});
    nodes.network.register(carol);
    let standing = call(&mut nodes.network, alice, carol);
    hang_up(&mut nodes.network, &standing, 0);
    let standing = call(&mut nodes.network, carol, bob);
    hang_up(&mut nodes.network, &standing, 1);
    nodes.network.run(Duration::from_secs(8));
    let told = nodes.network.sim.logs();
    assert!(told.iter().any(|line| line.event.counter == counter), "{counter}: {told:?}");
    better(&mut nodes);
    nodes.network.run(Duration::from_secs(10));
    same_at_both(&mut nodes);
    let [a, _] = nodes.scscf;
    nodes.network.sim.crash(a);
    let standing = call(&mut nodes.network, bob, carol);
    hang_up(&mut nodes.network, &standing, 0);
}

#[test]
fn a_slow_server_stops_nobody() {
    let slow = |nodes: &mut Nodes| nodes.server(Day::Slow(Duration::from_millis(1500)));
    degraded(1, slow, |nodes| nodes.server(Day::Good), "shared.slow");
}

#[test]
fn a_server_that_does_not_answer_stops_nobody() {
    degraded(2, |nodes| nodes.server(Day::Silent), |nodes| nodes.server(Day::Good), "shared.away");
}

#[test]
fn a_full_server_stops_nobody() {
    degraded(3, |nodes| nodes.server(Day::Full), |nodes| nodes.server(Day::Good), "shared.full");
}

#[test]
fn a_server_that_dies_with_all_it_had_stops_nobody() {
    let dies = |nodes: &mut Nodes| nodes.network.sim.crash(nodes.valkey);
    degraded(4, dies, |nodes| nodes.network.sim.restart(nodes.valkey), "shared.away");
}

#[test]
fn a_server_that_forgets_everything_is_told_again() {
    degraded(5, |nodes| nodes.server(Day::Forgetful), |_| {}, "shared.away");
}

#[test]
fn a_node_that_is_cut_off_goes_on_and_agrees_later() {
    let cut = |nodes: &mut Nodes| nodes.network.sim.partition(nodes.scscf[0], nodes.valkey);
    let heal = |nodes: &mut Nodes| nodes.network.sim.heal(nodes.scscf[0], nodes.valkey);
    degraded(6, cut, heal, "shared.away");
}

/// A node that starts while nobody can be asked takes what comes, and keeps it when the server is back.
#[test]
fn a_node_starts_without_the_server() {
    let mut nodes = Nodes::new(7, Weather::CALM);
    let (valkey, [a, b]) = (nodes.valkey, nodes.scscf);
    nodes.network.sim.crash(valkey);
    let hosts: Vec<HostId> = vec![a, b, nodes.pcscf];
    hosts.into_iter().for_each(|host| nodes.network.sim.restart(host));
    nodes.network.run(Duration::from_secs(3));
    let [alice, bob] = registered(&mut nodes);
    nodes.network.sim.restart(valkey);
    nodes.network.run(Duration::from_secs(10));
    same_at_both(&mut nodes);
    nodes.network.sim.crash(a);
    let standing = call(&mut nodes.network, alice, bob);
    hang_up(&mut nodes.network, &standing, 1);
}
