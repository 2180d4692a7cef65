//! What is written is read again as the same; no bytes make a parser panic; any text survives.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use base::Instant;
use base::identity::Msisdn;
use base::time::Duration;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sms::address::{Digits, NumberingPlan, TypeOfNumber};
use sms::header::Ports;
use sms::reassembly::Taken;
use sms::rp::{Direction, RpUserData};
use sms::time_stamp::Zone;
use sms::tpdu::*;
use sms::user_data::Body;
use sms::validity::{Enhanced, Relative};
use sms::*;

fn number() -> impl Strategy<Value = Number> {
    use TypeOfNumber::*;
    let kinds =
        [Unknown, International, National, NetworkSpecific, Subscriber, Abbreviated, Extension];
    (prop::sample::select(kinds.to_vec()), any::<u8>(), "[0-9*#abc]{0,20}").prop_map(
        |(kind, plan, digits)| Number {
            kind,
            plan: NumberingPlan::from_bits(plan),
            digits: Digits::new(&digits).unwrap(),
        },
    )
}

fn address() -> impl Strategy<Value = Address> {
    let name = "[A-Za-z0-9@£ Δ€{}ß]{0,11}";
    prop_oneof![
        number().prop_map(Address::Number),
        name.prop_filter_map("at most 11 septets", |name| Address::name(&name).ok()),
    ]
}

fn element() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let known = prop_oneof![Just(0u8), Just(4), Just(5), Just(8), Just(0x24)];
    (prop_oneof![known, any::<u8>()], vec(any::<u8>(), 0..8))
}

fn header() -> impl Strategy<Value = Header> {
    let elements = vec(element(), 0..4).prop_map(|elements| {
        let elements: Vec<_> = elements.iter().map(|(id, data)| Element::new(*id, data)).collect();
        Header::new(&elements).unwrap()
    });
    let any_octets = vec(any::<u8>(), 0..30).prop_map(|o| Header::from_octets(&o).unwrap());
    prop_oneof![elements, any_octets]
}

fn user_data<const MOST: usize>() -> impl Strategy<Value = UserData<MOST>> {
    let dcs = prop_oneof![Just(0u8), Just(4), Just(8), any::<u8>()];
    (dcs, option::of(header()), vec(any::<u8>(), 0..=MOST)).prop_filter_map(
        "too long",
        |(dcs, header, octets)| {
            let septets = || octets.iter().map(|octet| octet & 0x7f).collect::<Vec<_>>();
            let body = match Dcs(dcs).counts_septets() {
                true => Body::Septets(Septets::new(septets()).unwrap()),
                false => Body::Octets(octets),
            };
            UserData::new(Dcs(dcs), header, body).ok()
        },
    )
}

fn parameters<const MOST: usize>() -> impl Strategy<Value = Parameters<MOST>> {
    (option::of(any::<u8>()), option::of(user_data()))
        .prop_map(|(pid, user_data)| Parameters { protocol_id: pid.map(ProtocolId), user_data })
}

fn time_stamp() -> impl Strategy<Value = TimeStamp> {
    any::<[u8; 7]>().prop_map(TimeStamp)
}

fn validity() -> impl Strategy<Value = ValidityPeriod> {
    prop_oneof![
        any::<u8>().prop_map(|octet| ValidityPeriod::Relative(Relative(octet))),
        time_stamp().prop_map(ValidityPeriod::Absolute),
        any::<[u8; 7]>().prop_map(|octets| ValidityPeriod::Enhanced(Enhanced(octets))),
    ]
}

fn deliver() -> impl Strategy<Value = Deliver> {
    (any::<[bool; 4]>(), address(), any::<u8>(), time_stamp(), user_data()).prop_map(
        |(flags, originator, pid, time_stamp, user_data)| Deliver {
            more_messages: flags[0],
            loop_prevention: flags[1],
            status_report: flags[2],
            reply_path: flags[3],
            originator,
            protocol_id: ProtocolId(pid),
            time_stamp,
            user_data,
        },
    )
}

fn submit() -> impl Strategy<Value = Submit> {
    let validity = option::of(validity());
    (any::<[bool; 3]>(), any::<[u8; 2]>(), address(), validity, user_data()).prop_map(
        |(flags, octets, destination, validity, user_data)| Submit {
            reject_duplicates: flags[0],
            status_report: flags[1],
            reply_path: flags[2],
            reference: octets[0],
            destination,
            protocol_id: ProtocolId(octets[1]),
            validity,
            user_data,
        },
    )
}

fn status_report() -> impl Strategy<Value = StatusReport> {
    let octets = any::<[u8; 2]>();
    (any::<[bool; 3]>(), octets, address(), time_stamp(), time_stamp(), parameters()).prop_map(
        |(flags, octets, recipient, time_stamp, discharge, parameters)| StatusReport {
            more_messages: flags[0],
            loop_prevention: flags[1],
            by_command: flags[2],
            reference: octets[0],
            recipient,
            time_stamp,
            discharge,
            status: Status(octets[1]),
            parameters,
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    (any::<[bool; 2]>(), any::<[u8; 4]>(), address(), vec(any::<u8>(), 0..=156)).prop_map(
        |(flags, octets, destination, data)| Command {
            has_header: flags[0],
            status_report: flags[1],
            reference: octets[0],
            protocol_id: ProtocolId(octets[1]),
            kind: CommandType(octets[2]),
            message: octets[3],
            destination,
            data: Octets::new(data).unwrap(),
        },
    )
}

fn deliver_report() -> impl Strategy<Value = DeliverReport> {
    prop_oneof![
        parameters().prop_map(DeliverReport::Ack),
        (any::<u8>(), parameters()).prop_map(|(cause, parameters)| {
            DeliverReport::Error(FailureCause(cause), parameters)
        }),
    ]
}

fn submit_report() -> impl Strategy<Value = SubmitReport> {
    prop_oneof![
        (time_stamp(), parameters()).prop_map(|(at, p)| SubmitReport::Ack(at, p)),
        (any::<u8>(), time_stamp(), parameters()).prop_map(|(cause, at, parameters)| {
            SubmitReport::Error(FailureCause(cause), at, parameters)
        }),
    ]
}

fn tpdu() -> impl Strategy<Value = Tpdu> {
    prop_oneof![
        deliver().prop_map(Tpdu::Deliver),
        deliver_report().prop_map(Tpdu::DeliverReport),
        submit().prop_map(Tpdu::Submit),
        submit_report().prop_map(Tpdu::SubmitReport),
        status_report().prop_map(Tpdu::StatusReport),
        command().prop_map(Tpdu::Command),
    ]
}

/// Each RPDU with the TPDU in it.
fn carried() -> impl Strategy<Value = (Rpdu, Tpdu)> {
    (any::<u8>(), option::of(number()), any::<u8>(), tpdu()).prop_map(
        |(mr, centre, cause, tpdu)| {
            let cause = Cause::from_bits(cause);
            let rpdu = match &tpdu {
                Tpdu::Deliver(deliver) => Rpdu::deliver(mr, centre, deliver),
                Tpdu::DeliverReport(report) => Rpdu::deliver_report(mr, report, cause),
                Tpdu::Submit(submit) => Rpdu::submit(mr, centre, submit),
                Tpdu::SubmitReport(report) => Rpdu::submit_report(mr, report, cause),
                Tpdu::StatusReport(report) => Rpdu::status_report(mr, centre, report),
                Tpdu::Command(command) => Rpdu::command(mr, centre, command),
            };
            (rpdu, tpdu)
        },
    )
}

fn rpdu() -> impl Strategy<Value = Rpdu> {
    let way = prop_oneof![Just(Direction::ToNetwork), Just(Direction::ToMobile)];
    let octets = || vec(any::<u8>(), 0..=232).prop_map(|o| RpUserData::new(o).unwrap());
    prop_oneof![
        any::<u8>().prop_map(|reference| Rpdu::Smma { reference }),
        (way.clone(), any::<u8>(), option::of(number()), octets()).prop_map(
            |(direction, reference, service_centre, user_data)| {
                Rpdu::Data { direction, reference, service_centre, user_data }
            }
        ),
        (way.clone(), any::<u8>(), option::of(octets())).prop_map(
            |(direction, reference, user_data)| Rpdu::Ack { direction, reference, user_data }
        ),
        (way, any::<u8>(), any::<u8>(), option::of(any::<u8>()), option::of(octets())).prop_map(
            |(direction, reference, cause, diagnostic, user_data)| {
                let cause = Cause::from_bits(cause);
                Rpdu::Error { direction, reference, cause, diagnostic, user_data }
            }
        ),
    ]
}

const CARRIERS: [Carrier; 6] = [
    Carrier::DataToNetwork,
    Carrier::DataToMobile,
    Carrier::AckToNetwork,
    Carrier::AckToMobile,
    Carrier::ErrorToNetwork,
    Carrier::ErrorToMobile,
];

/// Reads bytes in every way; what can be read is written and read again as the same.
fn read_in_every_way(bytes: &[u8]) {
    let _ = rp::reference_of(bytes);
    if let Ok(rpdu) = Rpdu::parse(bytes) {
        assert_eq!(Rpdu::parse(&rpdu.emit()).as_ref(), Ok(&rpdu));
        let _ = (rpdu.tpdu(), rpdu.name());
    }
    for carrier in CARRIERS {
        match Tpdu::parse(carrier, bytes) {
            Ok(tpdu) => {
                assert_eq!(tpdu.carrier(), carrier);
                assert!(tpdu.emit().len() <= 174);
                assert_eq!(Tpdu::parse(carrier, &tpdu.emit()).as_ref(), Ok(&tpdu));
                let _ = format!("{tpdu:?}");
                look_at(&tpdu);
            }
            Err(error) => assert!(error.offset <= bytes.len() && !error.field.is_empty()),
        }
    }
}

fn look_at(tpdu: &Tpdu) {
    let now = Instant::from_unix_micros(1_700_000_000_000_000);
    match tpdu {
        Tpdu::Deliver(deliver) => {
            let _ = (deliver.user_data.text(), deliver.user_data.concatenation());
            let _ = (deliver.originator.to_string(), deliver.time_stamp.instant());
            let _ = deliver.originator.number().and_then(Number::msisdn);
            if let Some(header) = deliver.user_data.header() {
                let _ = (header.ports(), header.has_national_language());
            }
        }
        Tpdu::Submit(submit) => {
            let _ = (submit.user_data.text(), submit.protocol_id.name());
            let _ = submit.validity.and_then(|validity| validity.end(now));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_tpdu_is_read_as_it_was_written((rpdu, tpdu) in carried()) {
        let read = Rpdu::parse(&rpdu.emit()).unwrap();
        prop_assert_eq!(&read, &rpdu);
        prop_assert_eq!(read.tpdu(), Some(Ok(tpdu)));
    }

    #[test]
    fn every_rpdu_is_read_as_it_was_written(rpdu in rpdu()) {
        prop_assert_eq!(Rpdu::parse(&rpdu.emit()), Ok(rpdu));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..260)) {
        read_in_every_way(&bytes);
    }

    #[test]
    fn damaged_messages_are_read_without_panic(
        (_, tpdu) in carried(),
        length in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = tpdu.emit();
        for (at, octet) in changes {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        read_in_every_way(&bytes);
    }

    #[test]
    fn more_octets_than_are_known_are_ignored(
        (_, tpdu) in carried(),
        more in vec(any::<u8>(), 1..9),
    ) {
        let bytes = [tpdu.emit(), more].concat();
        let read = Tpdu::parse(tpdu.carrier(), &bytes);
        // An optional TP-PI is all that makes a status report longer.
        if !matches!(&tpdu, Tpdu::StatusReport(r) if r.parameters == Parameters::NONE) {
            prop_assert_eq!(read, Ok(tpdu));
        }
    }

    #[test]
    fn a_truncated_message_is_never_taken(
        (_, tpdu) in carried(),
        length in any::<prop::sample::Index>(),
    ) {
        let bytes = tpdu.emit();
        let cut = &bytes[..length.index(bytes.len())];
        match Tpdu::parse(tpdu.carrier(), cut) {
            Err(error) => {
                let truncated = matches!(error.fault, Fault::Truncated { .. });
                prop_assert!(truncated && error.offset <= cut.len(), "{}", error);
            }
            // What comes last in these may be left out.
            Ok(read) => prop_assert!(
                matches!(tpdu, Tpdu::StatusReport(_) | Tpdu::DeliverReport(_)),
                "{:?}",
                read
            ),
        }
    }

    #[test]
    fn septets_are_unpacked_as_they_were_packed(codes in vec(0u8..0x80, 0..200)) {
        let septets = Septets::new(codes).unwrap();
        let packed = septets.pack();
        prop_assert_eq!(packed.len(), (septets.codes().len() * 7).div_ceil(8));
        prop_assert_eq!(Septets::unpack(&packed, septets.codes().len()), septets);
    }

    #[test]
    fn times_are_read_as_they_were_written(
        second in 631_152_000u64..3_786_739_200,
        quarters in -79i8..=79,
    ) {
        // From 1990 to 2089, less the days that a zone may be away.
        let at = Instant::from_unix_micros((second + 86_400) * 1_000_000);
        let time_stamp = TimeStamp::new(at, Zone::quarters(quarters).unwrap());
        prop_assert_eq!(time_stamp.instant(), Some(at));
        prop_assert_eq!(time_stamp.read().map(|t| t.zone.as_quarters()), Some(quarters));
    }

    #[test]
    fn periods_are_long_enough(seconds in 1u64..63 * 7 * 86_400) {
        let period = Duration::from_secs(seconds);
        let relative = Relative::at_least(period);
        prop_assert!(relative.period() >= period);
        prop_assert!(relative.0 == 0 || Relative(relative.0 - 1).period() < period);
        prop_assert!(Enhanced::at_least(period).period().unwrap() >= period);
    }

    #[test]
    fn any_text_survives_in_any_order_and_twice(
        text in prop_oneof![
            "\\PC{0,400}",
            "[a-zA-Z €\\[\\]^ßΔ\n]{0,900}",
            "[ж🙂a]{0,300}",
        ],
        wide in any::<bool>(),
        order in vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let reference = if wide { Reference::Sixteen(0x1234) } else { Reference::Eight(7) };
        let parts = split(&text, reference).unwrap();
        prop_assert_eq!(text_of(&parts), Some(text.clone()));
        let mut reassembler = Reassembler::new(2, Duration::from_secs(60));
        let now = Instant::from_unix_micros(0);
        // Some, in any order and some of them twice; then all, so that the last is not lost.
        let some = order.iter().map(|at| at.index(parts.len()));
        let mut whole = Vec::new();
        for at in some.chain(0..parts.len()) {
            // As another reads it.
            let submit = Submit::new(1, Address::name("x").unwrap(), parts[at].clone());
            let bytes = Rpdu::submit(1, None, &submit).emit();
            let Some(Ok(Tpdu::Submit(submit))) = Rpdu::parse(&bytes).unwrap().tpdu() else {
                panic!("an SMS-SUBMIT was written");
            };
            match reassembler.take(now, "alice", submit.user_data) {
                Taken::Whole(parts) => whole.push(text_of(&parts).unwrap()),
                Taken::Waiting { given_up } => prop_assert_eq!(given_up, None),
                Taken::Duplicate => {}
            }
        }
        // Twice the same message without parts is two messages.
        let expected = if parts.len() == 1 { order.len() + 1 } else { 1 };
        prop_assert_eq!(whole, vec![text; expected]);
    }

    #[test]
    fn a_reassembler_stays_bounded(
        parts in vec((0u8..3, 0u8..4, 1u8..4, 1u8..4, any::<u8>(), 0u64..40), 0..200),
    ) {
        let mut reassembler = Reassembler::new(3, Duration::from_secs(60));
        let mut second = 0;
        for (from, reference, total, number, letter, pause) in parts {
            second += pause;
            let now = Instant::from_unix_micros(second * 1_000_000);
            while reassembler.expire(now).is_some() {}
            let Some(part) = Concatenation::new(Reference::Eight(reference), total, number) else {
                continue;
            };
            let header = Header::new(&[Element::Concatenation(part)]).unwrap();
            let body = Body::Octets(vec![letter & 1]);
            let data = ShortMessage::new(Dcs::DATA, Some(header), body).unwrap();
            if let Taken::Whole(parts) = reassembler.take(now, from, data) {
                let numbers: Vec<u8> =
                    parts.iter().map(|p| p.concatenation().unwrap().number()).collect();
                prop_assert_eq!(numbers, (1..=total).collect::<Vec<_>>());
            }
            prop_assert!(reassembler.len() <= 3);
            prop_assert!(reassembler.deadline().is_some_and(|at| at > now));
        }
    }
}

#[test]
fn numbers_and_ports_have_a_plain_way() {
    let msisdn = Msisdn::new("+4930201").unwrap();
    assert_eq!(Number::from(&msisdn).to_string(), "+4930201");
    let ports = Ports::Sixteen { destination: 2948, originator: 9200 };
    let header = Header::new(&[Element::Ports(ports)]).unwrap();
    assert_eq!(header.ports(), Some(ports));
}
