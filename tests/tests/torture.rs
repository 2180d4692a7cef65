//! The torture messages of RFC 4475 and RFC 5118, sent by a registered phone to a running P-CSCF, one test
//! each. Why, in short, stands with each; the parser's half is in `protocols/sip/tests/torture`.
//!
//! Afterwards the P-CSCF has no transaction left, and the phone's call still works.

use std::cell::RefCell;
use std::rc::Rc;

use base::time::Duration;
use base::{Bytes, Endpoint};
use engine::shard::Direction;
use engine::sim::Weather;
use sip::{HeaderName, Message};
use strowger::plan::Role;
use strowger_tests::{Network, Phone};
use ue::{UeOrder, What};

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// The P-CSCF answers by itself.
    Answered(u16),
    /// It goes on into the network, whose final answer comes back.
    Forwarded(u16),
    /// Nobody says or gets anything.
    Dropped,
}
use Fate::{Answered, Dropped, Forwarded};

/// What crossed at the P-CSCF since the tap was set: the messages that it sent.
type Sent = Rc<RefCell<Vec<(Endpoint, Bytes)>>>;

fn fate(bytes: &'static [u8]) -> Fate {
    let mut network = Network::spread(1, Weather::CALM, None);
    let [alice, bob] = [1, 2].map(|number| network.sim_phone(number, |_| {}));
    network.register(alice);
    network.register(bob);
    network.run(Duration::from_secs(2));
    let pcscf = network.hosts[&Role::Pcscf];
    let sent = Sent::default();
    let seen = Rc::clone(&sent);
    network.sim.tap(move |_, host, crossing| {
        if host == pcscf && crossing.direction == Direction::Sent {
            seen.borrow_mut().push((crossing.to.endpoint, Bytes::clone(crossing.bytes)));
        }
    });
    network.send(alice, bytes);
    // Longer than any transaction lives.
    network.run(Duration::from_secs(100));
    let fate = what_happened(&sent.borrow());
    let census = network.census(pcscf, "pcscf");
    let idle = ["client transactions", "server transactions", "contexts"];
    let left = census.0.iter().filter(|(what, n)| idle.contains(what) && *n > 0);
    assert_eq!(left.count(), 0, "{census:?}");
    call(&mut network, alice, bob);
    fate
}

fn what_happened(sent: &[(Endpoint, Bytes)]) -> Fate {
    let messages =
        sent.iter().filter_map(|(to, bytes)| Some((to, Message::parse(bytes.clone()).ok()?)));
    let (mut forwarded, mut status) = (false, None);
    for (to, message) in messages {
        let to_phone = to.ip() == Some([10, 0, 0, 2].into());
        if message.is_request() {
            assert!(!to_phone, "nothing is sent back: {}", message.uri());
            forwarded = true;
        } else if to_phone && message.status() >= 200 {
            assert!(message.has(HeaderName::Via) && status.is_none_or(|s| s == message.status()));
            status = Some(message.status());
        }
    }
    match (forwarded, status) {
        (true, Some(status)) => Forwarded(status),
        (false, Some(status)) => Answered(status),
        (false, None) => Dropped,
        (true, None) => panic!("what goes on is answered"),
    }
}

fn call(network: &mut Network, from: Phone, to: Phone) {
    network.order(from, UeOrder::Call { to: to.tel(), token: 1 });
    let answered = network.until(Duration::from_secs(10), |host, report| match &report.what {
        What::Answered { .. } if host == from.host => Some(()),
        What::Ended { status, reason, .. } => panic!("the call fails: {status} {reason}"),
        _ => None,
    });
    assert!(answered.is_some(), "a call works afterwards");
}

macro_rules! torture {
    ($rfc:literal: $($name:ident $file:literal $fate:expr, $why:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let bytes = include_bytes!(concat!("../../protocols/sip/corpus/", $rfc, "/", $file, ".dat"));
                assert_eq!(fate(bytes), $fate, $why);
            }
        )*
    };
}

mod rfc4475 {
    use super::*;

    // Names below example.com are nowhere: what goes on comes back as a 504.
    torture! { "rfc4475":
        wsinv "wsinv" Answered(481), "§3.1.1.1: it has a To tag, and none of our Record-Route";
        intmeth "intmeth" Forwarded(504), "§3.1.1.2: a method that nobody knows goes on";
        esc01 "esc01" Forwarded(504), "§3.1.1.3";
        escnull "escnull" Forwarded(403), "§3.1.1.4: the HSS knows no such user";
        esc02 "esc02" Forwarded(504), "§3.1.1.5: RE%47IST%45R is no REGISTER";
        lwsdisp "lwsdisp" Forwarded(504), "§3.1.1.6";
        longreq "longreq" Forwarded(504), "§3.1.1.7";
        dblreq "dblreq" Forwarded(403), "§3.1.1.8: one REGISTER, no INVITE";
        semiuri "semiuri" Forwarded(504), "§3.1.1.9";
        transports "transports" Forwarded(504), "§3.1.1.10";
        mpart01 "mpart01" Forwarded(504), "§3.1.1.11: the Route is not ours to follow";
        unreason "unreason" Dropped, "§3.1.1.12: it answers nothing";
        noreason "noreason" Dropped, "§3.1.1.13: it answers nothing";
        badinv01 "badinv01" Answered(400), "§3.1.2.1";
        clerr "clerr" Answered(400), "§3.1.2.2";
        ncl "ncl" Answered(400), "§3.1.2.3";
        scalar02 "scalar02" Answered(400), "§3.1.2.4";
        scalarlg "scalarlg" Dropped, "§3.1.2.5";
        quotbal "quotbal" Answered(400), "§3.1.2.6";
        ltgtruri "ltgtruri" Answered(400), "§3.1.2.7";
        lwsruri "lwsruri" Answered(400), "§3.1.2.8";
        lwsstart "lwsstart" Answered(400), "§3.1.2.9";
        trws "trws" Forwarded(504), "§3.1.2.10: blanks at the end of the line are overlooked";
        escruri "escruri" Answered(400), "§3.1.2.11: the Route in the URI is not honoured";
        baddate "baddate" Forwarded(504), "§3.1.2.12: a proxy needs no date";
        regbadct "regbadct" Answered(400), "§3.1.2.13";
        badaspec "badaspec" Forwarded(504), "§3.1.2.14: blanks within <> are overlooked";
        baddn "baddn" Forwarded(504), "§3.1.2.15: the comma is overlooked";
        badvers "badvers" Answered(505), "§3.1.2.16";
        mismatch01 "mismatch01" Answered(400), "§3.1.2.17";
        mismatch02 "mismatch02" Answered(400), "§3.1.2.18";
        bigcode "bigcode" Dropped, "§3.1.2.19";
        badbranch "badbranch" Forwarded(504), "§3.2.1: RFC 2543 tells transactions apart";
        insuf "insuf" Answered(400), "§3.3.1";
        unkscm "unkscm" Forwarded(416), "§3.3.2: the S-CSCF has no route there";
        novelsc "novelsc" Forwarded(416), "§3.3.3";
        unksm2 "unksm2" Forwarded(403), "§3.3.4: nobody is called isbn:2983792873";
        bext01 "bext01" Answered(420), "§3.3.5: what Proxy-Require asks for is not there";
        invut "invut" Forwarded(504), "§3.3.6: a body is the phones' business";
        regaut01 "regaut01" Answered(403), "§3.3.7: it has no Contact, TS 24.229 §5.2.2.1";
        multi01 "multi01" Answered(400), "§3.3.8";
        mcl01 "mcl01" Answered(400), "§3.3.9";
        bcast "bcast" Dropped, "§3.3.10: least of all is it sent to 255.255.255.255";
        zeromf "zeromf" Answered(483), "§3.3.11";
        cparam01 "cparam01" Forwarded(403), "§3.3.12";
        cparam02 "cparam02" Forwarded(403), "§3.3.13";
        regescrt "regescrt" Forwarded(403), "§3.3.14";
        sdp01 "sdp01" Forwarded(504), "§3.3.15: what is acceptable is the phones' business";
        inv2543 "inv2543" Forwarded(504), "§3.4.1";
    }
}

mod rfc5118 {
    use super::*;

    torture! { "rfc5118":
        ipv6_good "ipv6-good" Forwarded(403), "§4.1";
        ipv6_bad "ipv6-bad" Answered(400), "§4.2: an IPv6 address without brackets";
        port_ambiguous "port-ambiguous" Forwarded(403), "§4.3: 5070 is part of the address";
        port_unambiguous "port-unambiguous" Forwarded(403), "§4.4";
        received_bare "via-received-param-no-delim" Forwarded(504), "§4.5";
        received_delimited "via-received-param-with-delim" Answered(481), "§4.5: a BYE of no dialog here";
        ipv6_in_sdp "ipv6-in-sdp" Forwarded(504), "§4.6";
        mult_ip_in_header "mult-ip-in-header" Answered(481), "§4.7: a BYE of no dialog here";
        mult_ip_in_sdp "mult-ip-in-sdp" Forwarded(504), "§4.8";
        ipv4_mapped_ipv6 "ipv4-mapped-ipv6" Forwarded(504), "§4.9";
        three_colons "ipv6-bug-abnf-3-colons" Forwarded(504), "§4.10: three colons are read as two";
        two_colons "ipv6-correct-abnf-2-colons" Forwarded(504), "§4.10";
    }
}
