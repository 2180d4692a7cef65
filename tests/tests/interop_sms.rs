//! tshark reads every kind of short message as we mean it, field by field.
#![cfg(feature = "interop")]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base::{Bytes, Instant, Service, Transport};
use ladder::record::{Party, Record};
use sms::header::Ports;
use sms::rp::Direction;
use sms::time_stamp::Zone;
use sms::tpdu::{
    Command, CommandType, Deliver, DeliverReport, Parameters, StatusReport, Submit, SubmitReport,
};
use sms::user_data::Body;
use sms::validity::{Enhanced, Relative};
use sms::{
    Address, Cause, Dcs, Element, FailureCause, Header, Number, ProtocolId, Reference, Rpdu,
    ShortMessage, Status, TimeStamp, UserData, ValidityPeriod,
};
use strowger_tests::interop::{Namespace, Peer, scenario};

/// Fields as tshark calls them, and what it is to show of them.
type Fields = BTreeMap<&'static str, String>;

/// 2011-03-04 05:06:07 at UTC-3:30.
fn time_stamp() -> TimeStamp {
    let at = Instant::from_unix_micros(1_299_227_767_000_000);
    TimeStamp::new(at, Zone::quarters(-14).expect("a zone"))
}

/// All fields of a time stamp, which tshark shows like those of any other.
fn time_fields() -> Vec<(&'static str, &'static str)> {
    vec![
        ("gsm_sms.scts.year", "11"),
        ("gsm_sms.scts.month", "3"),
        ("gsm_sms.scts.day", "4"),
        ("gsm_sms.scts.hour", "5"),
        ("gsm_sms.scts.minutes", "6"),
        ("gsm_sms.scts.seconds", "7"),
    ]
}

fn number(digits: &str) -> Number {
    Number::international(digits).expect("digits")
}

fn text(text: &str) -> ShortMessage {
    ShortMessage::from_text(text).expect("a short text")
}

/// One body of a MESSAGE, and what tshark is to say of it.
struct Case {
    what: &'static str,
    rpdu: Rpdu,
    fields: Fields,
}

/// A case whose fields are given in parts, the last of which counts.
fn case(what: &'static str, rpdu: Rpdu, fields: &[&[(&'static str, &str)]]) -> Case {
    let given = fields.iter().flat_map(|part| part.iter());
    let fields = given.map(|(name, value)| (*name, (*value).to_owned())).collect();
    Case { what, rpdu, fields }
}

fn submits() -> Vec<Case> {
    let bob = Address::Number(number("4930201"));
    let centre = || Some(number("4930999"));
    let plain: &[(&str, &str)] = &[
        ("gsm_a.rp.msg_type", "0x00"),
        ("gsm_a.rp.rp_message_reference", "0x07"),
        ("gsm_a.dtap.cld_party_bcd_num", "4930999"),
        ("gsm_sms.tp-mti", "1"),
        ("gsm_sms.tp-rd", "0"),
        ("gsm_sms.tp-vpf", "0"),
        ("gsm_sms.tp-srr", "0"),
        ("gsm_sms.tp-udhi", "0"),
        ("gsm_sms.tp-rp", "0"),
        ("gsm_sms.tp-mr", "9"),
        ("gsm_sms.tp-da", "4930201"),
        ("gsm_sms.dis_field_addr.num_type", "1"),
        ("gsm_sms.dis_field_addr.num_plan", "1"),
        ("gsm_sms.tp-pid", "0"),
        ("gsm_sms.tp-dcs", "0"),
    ];
    let mut cases = Vec::new();

    let submit = Submit::new(9, bob.clone(), text("hellohello"));
    let rpdu = Rpdu::submit(7, centre(), &submit);
    let said = [("gsm_sms.sms_text", "hellohello"), ("gsm_sms.tp.user_data_length", "10")];
    cases.push(case("SMS-SUBMIT", rpdu, &[plain, &said]));

    let mut submit = Submit::new(9, bob.clone(), text("Grüße für 5 € [ok]"));
    submit.reject_duplicates = true;
    submit.status_report = true;
    submit.reply_path = true;
    submit.validity = Some(ValidityPeriod::Relative(Relative(0xaa)));
    let rpdu = Rpdu::submit(7, centre(), &submit);
    let said = [
        ("gsm_sms.tp-rd", "1"),
        ("gsm_sms.tp-srr", "1"),
        ("gsm_sms.tp-rp", "1"),
        ("gsm_sms.tp-vpf", "2"),
        ("gsm_sms.vp.validity_period", "170"),
        ("gsm_sms.sms_text", "Grüße für 5 € [ok]"),
    ];
    cases.push(case("every flag and a relative period", rpdu, &[plain, &said]));

    let mut submit = Submit::new(9, bob.clone(), text("Привет 🙂"));
    submit.validity = Some(ValidityPeriod::Absolute(time_stamp()));
    let rpdu = Rpdu::submit(7, centre(), &submit);
    let said = [
        ("gsm_sms.tp-dcs", "8"),
        ("gsm_sms.tp-vpf", "3"),
        ("gsm_sms.tp.user_data_length", "18"),
        ("gsm_sms.sms_text", "Привет 🙂"),
    ];
    cases.push(case("UTF-16 and an absolute period", rpdu, &[plain, &said, &time_fields()]));

    let mut submit =
        Submit::new(9, Address::Number(Number::unknown("*100#").expect("digits")), text("?"));
    submit.protocol_id = ProtocolId::TYPE_0;
    let period = Enhanced::at_least(base::time::Duration::from_secs(3723)).single_shot();
    submit.validity = Some(ValidityPeriod::Enhanced(period));
    let rpdu = Rpdu::submit(7, centre(), &submit);
    let said = [
        ("gsm_sms.tp-da", "*100#"),
        ("gsm_sms.dis_field_addr.num_type", "0"),
        ("gsm_sms.tp-pid", "64"),
        ("gsm_sms.tp-vpf", "1"),
        ("gsm_sms.vp.single_shot_sm", "1"),
        ("gsm_sms.vp.validity_period_format", "3"),
        ("gsm_sms.vp.validity_period.hour", "1"),
        ("gsm_sms.vp.validity_period.minutes", "2"),
        ("gsm_sms.vp.validity_period.seconds", "3"),
        ("gsm_sms.sms_text", "?"),
    ];
    cases.push(case("a short code and an enhanced period", rpdu, &[plain, &said]));

    let ports = Element::Ports(Ports::Sixteen { destination: 16001, originator: 16002 });
    let header = Header::new(&[ports]).expect("a header");
    let data = UserData::new(Dcs(0xf5), Some(header), Body::Octets(vec![1, 2, 3]));
    let submit = Submit::new(9, bob, data.expect("short data"));
    let rpdu = Rpdu::submit(7, centre(), &submit);
    let said = [
        ("gsm_sms.tp-udhi", "1"),
        ("gsm_sms.tp-dcs", "245"),
        ("gsm_sms.dcs.message_class", "0x01"),
        ("gsm_sms.destination_port", "16001"),
        ("gsm_sms.originator_port", "16002"),
        ("gsm_sms.tp.user_data_length", "10"),
    ];
    cases.push(case("data for a port", rpdu, &[plain, &said]));
    cases
}

fn to_the_phone() -> Vec<Case> {
    let centre = || Some(number("4930999"));
    let plain: &[(&str, &str)] = &[
        ("gsm_a.rp.msg_type", "0x01"),
        ("gsm_a.rp.rp_message_reference", "0x2a"),
        ("gsm_a.dtap.cld_party_bcd_num", "4930999"),
        ("gsm_sms.tp-mti", "0"),
        ("gsm_sms.tp-mms", "1"),
        ("gsm_sms.tp-lp", "0"),
        ("gsm_sms.tp-sri", "0"),
        ("gsm_sms.tp-rp", "0"),
        ("gsm_sms.tp-udhi", "0"),
        ("gsm_sms.tp-oa", "Strowger@1"),
        ("gsm_sms.dis_field_addr.num_type", "5"),
    ];
    let from = Address::name("Strowger@1").expect("a short name");
    let mut cases = Vec::new();

    let deliver = Deliver::new(from.clone(), time_stamp(), text("Watson, come here"));
    let rpdu = Rpdu::deliver(42, centre(), &deliver);
    let said = [("gsm_sms.sms_text", "Watson, come here")];
    cases.push(case("SMS-DELIVER from a name", rpdu, &[plain, &time_fields(), &said]));

    let mut deliver = Deliver::new(Address::Number(number("493020")), time_stamp(), text("1"));
    deliver.more_messages = true;
    deliver.loop_prevention = true;
    deliver.status_report = true;
    deliver.reply_path = true;
    let rpdu = Rpdu::deliver(42, centre(), &deliver);
    let said = [
        ("gsm_sms.tp-mms", "0"),
        ("gsm_sms.tp-lp", "1"),
        ("gsm_sms.tp-sri", "1"),
        ("gsm_sms.tp-rp", "1"),
        ("gsm_sms.tp-oa", "493020"),
        ("gsm_sms.dis_field_addr.num_type", "1"),
        ("gsm_sms.sms_text", "1"),
    ];
    cases.push(case("SMS-DELIVER with every flag", rpdu, &[plain, &time_fields(), &said]));

    let long = "The quick brown fox jumps over the lazy dog. ".repeat(5);
    for (part, number) in
        sms::split(&long, Reference::Eight(0xa5)).expect("parts").into_iter().zip(["1", "2"])
    {
        let said = part.text().expect("a text");
        let rpdu = Rpdu::deliver(42, centre(), &Deliver::new(from.clone(), time_stamp(), part));
        let said = [
            ("gsm_sms.tp-udhi", "1"),
            ("gsm_sms.udh.mm.msg_id", "165"),
            ("gsm_sms.udh.mm.msg_parts", "2"),
            ("gsm_sms.udh.mm.msg_part", number),
            ("gsm_sms.sms_text", &said),
        ];
        cases.push(case("a part", rpdu, &[plain, &time_fields(), &said]));
    }
    let parts = sms::split(&"щ".repeat(71), Reference::Sixteen(0x1234)).expect("parts");
    let said = parts[0].text().expect("a text");
    let part = parts.into_iter().next().expect("two parts");
    let rpdu = Rpdu::deliver(42, centre(), &Deliver::new(from, time_stamp(), part));
    let said = [
        ("gsm_sms.tp-udhi", "1"),
        ("gsm_sms.udh.mm.msg_id", "4660"),
        ("gsm_sms.udh.mm.msg_parts", "2"),
        ("gsm_sms.udh.mm.msg_part", "1"),
        ("gsm_sms.sms_text", &said),
    ];
    cases.push(case("a part with a long reference", rpdu, &[plain, &time_fields(), &said]));

    let bob = Address::Number(number("4930201"));
    let report = StatusReport::new(9, bob, time_stamp(), time_stamp(), Status::VALIDITY_EXPIRED);
    let rpdu = Rpdu::status_report(42, centre(), &report);
    let said = [
        ("gsm_a.rp.msg_type", "0x01"),
        ("gsm_a.rp.rp_message_reference", "0x2a"),
        ("gsm_sms.tp-mti", "2"),
        ("gsm_sms.tp-mms", "1"),
        ("gsm_sms.tp-srq", "0"),
        ("gsm_sms.tp-mr", "9"),
        ("gsm_sms.tp-ra", "4930201"),
        ("gsm_sms.dis_field.st_error", "2"),
        ("gsm_sms.dis.field_st_reason", "6"),
    ];
    let twice: Vec<_> =
        time_fields().into_iter().map(|(name, value)| (name, format!("{value},{value}"))).collect();
    let twice: Vec<_> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    cases.push(case("SMS-STATUS-REPORT", rpdu, &[&said, &twice]));
    cases
}

fn answers() -> Vec<Case> {
    let mut cases = Vec::new();
    let (way, reference) = (Direction::ToNetwork, 42);
    let of = |kind: &'static str| {
        [("gsm_a.rp.msg_type", kind), ("gsm_a.rp.rp_message_reference", "0x2a")]
    };

    let rpdu = Rpdu::Ack { direction: way, reference, user_data: None };
    cases.push(case("a bare RP-ACK", rpdu, &[&of("0x02")]));

    let rpdu = Rpdu::Smma { reference };
    cases.push(case("RP-SMMA", rpdu, &[&of("0x06")]));

    let rpdu = Rpdu::Error {
        direction: Direction::ToMobile,
        reference,
        cause: Cause::CONGESTION,
        diagnostic: None,
        user_data: None,
    };
    cases.push(case("a bare RP-ERROR", rpdu, &[&of("0x05"), &[("gsm_a.rp.cause", "42")]]));

    let report = DeliverReport::Ack(Parameters::NONE);
    let rpdu = Rpdu::deliver_report(reference, &report, Cause::PROTOCOL_ERROR);
    let said = [("gsm_sms.tp-mti", "0"), ("gsm_sms.tp.parameter_indicator", "0x00")];
    cases.push(case("SMS-DELIVER-REPORT in RP-ACK", rpdu, &[&of("0x02"), &said]));

    let parameters = Parameters {
        protocol_id: Some(ProtocolId::SIM_DOWNLOAD),
        user_data: Some(UserData::from_text("why not").expect("a short text")),
    };
    let report = DeliverReport::Error(FailureCause::MEMORY_CAPACITY_EXCEEDED, parameters);
    let rpdu = Rpdu::deliver_report(reference, &report, Cause::MEMORY_CAPACITY_EXCEEDED);
    let said = [
        ("gsm_a.rp.cause", "22"),
        ("gsm_sms.tp-mti", "0"),
        ("gsm_sms.tp-fcs", "0xd3"),
        ("gsm_sms.tp.parameter_indicator", "0x07"),
        ("gsm_sms.tp-pid", "127"),
        ("gsm_sms.tp-dcs", "0"),
        ("gsm_sms.sms_text", "why not"),
    ];
    cases.push(case("SMS-DELIVER-REPORT in RP-ERROR", rpdu, &[&of("0x04"), &said]));

    let report = SubmitReport::Ack(time_stamp(), Parameters::NONE);
    let rpdu = Rpdu::submit_report(reference, &report, Cause::PROTOCOL_ERROR);
    let said = [("gsm_sms.tp-mti", "1"), ("gsm_sms.tp.parameter_indicator", "0x00")];
    let parts: [&[_]; 3] = [&of("0x03"), &said, &time_fields()];
    cases.push(case("SMS-SUBMIT-REPORT in RP-ACK", rpdu, &parts));

    let report = SubmitReport::Error(FailureCause::SC_BUSY, time_stamp(), Parameters::NONE);
    let rpdu = Rpdu::submit_report(reference, &report, Cause::CONGESTION);
    let said = [
        ("gsm_a.rp.cause", "42"),
        ("gsm_sms.tp-mti", "1"),
        ("gsm_sms.tp-fcs", "0xc0"),
        ("gsm_sms.tp.parameter_indicator", "0x00"),
    ];
    let parts: [&[_]; 3] = [&of("0x05"), &said, &time_fields()];
    cases.push(case("SMS-SUBMIT-REPORT in RP-ERROR", rpdu, &parts));

    let bob = Address::Number(number("4930201"));
    let mut command = Command::new(10, CommandType::DELETE, 9, bob);
    command.status_report = true;
    command.data = sms::Octets::new([1, 2, 3]).expect("three octets");
    let rpdu = Rpdu::command(reference, Some(number("4930999")), &command);
    let said = [
        ("gsm_sms.tp-mti", "2"),
        ("gsm_sms.tp-srr", "1"),
        ("gsm_sms.tp-mr", "10"),
        ("gsm_sms.tp.command_type", "2"),
        ("gsm_sms.tp.message_number", "9"),
        ("gsm_sms.tp-da", "4930201"),
        ("gsm_sms.tp.command_data_length", "3"),
    ];
    cases.push(case("SMS-COMMAND", rpdu, &[&of("0x00"), &said]));
    cases
}

/// The body in a MESSAGE, as a phone or an IP-SM-GW sends it.
fn record(number: usize, case: &Case) -> Record {
    let body = case.rpdu.emit();
    let head = format!(
        "MESSAGE tel:+4930201 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@ims.test>;tag=1\r\nTo: <tel:+4930201>\r\n\
         Call-ID: {number}\r\nCSeq: 1 MESSAGE\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        sms::CONTENT_TYPE,
        body.len(),
    );
    let end = |text: &str| Party::unnamed(text.parse::<SocketAddr>().expect("an address"));
    Record {
        at: Instant::from_unix_micros(1_300_000_000_000_000 + number as u64),
        service: Service::Sip,
        transport: Transport::Udp,
        from: end("192.0.2.1:5060"),
        to: end("192.0.2.2:5060"),
        bytes: Bytes::from([head.as_bytes(), &body].concat()),
        flow: 1,
    }
}

/// What tshark says of the given fields, packet by packet.
fn tshark(namespace: &Namespace, capture: &str, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    // Parts are not to be joined: each packet is compared by itself.
    let options = ["-o", "gsm_sms.reassemble:FALSE", "-T", "fields", "-E", "separator=/t"];
    let mut args = vec!["-r", capture, "-Y", filter];
    args.extend(options);
    args.extend(fields.iter().flat_map(|field| ["-e", field]));
    let said = Peer::start(namespace, "/usr/bin/tshark", args).succeeds();
    let lines = said.lines().filter(|line| !line.starts_with("Running as user"));
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn tshark_reads_every_kind_of_short_message_as_it_is_meant() {
    scenario("sms", |namespace| {
        let cases: Vec<Case> =
            [submits(), to_the_phone(), answers()].into_iter().flatten().collect();
        let records: Vec<Record> = cases.iter().enumerate().map(|(i, c)| record(i, c)).collect();
        let capture = namespace.folder().join("sms.pcapng");
        std::fs::write(&capture, ladder::pcapng::write(&records)).expect("the capture is written");
        let capture = capture.display().to_string();

        let mut names: Vec<&str> = cases.iter().flat_map(|c| c.fields.keys().copied()).collect();
        names.sort_unstable();
        names.dedup();
        let rows = tshark(namespace, &capture, "sip", &names);
        assert_eq!(rows.len(), cases.len(), "tshark sees every message");
        let mut wrong = Vec::new();
        for (case, row) in cases.iter().zip(rows) {
            for (name, said) in names.iter().zip(row) {
                if let Some(meant) = case.fields.get(name).filter(|meant| **meant != said) {
                    wrong.push(format!("{}: {name}: {meant:?} is meant, {said:?} read", case.what));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));

        let bad = "_ws.malformed || _ws.expert.severity == 0x00800000 || gsm_sms.short_data || \
                   gsm_sms.unexpected_data_length || gsm_a.rp.missing_mandatory_element || \
                   gsm_a.rp.extraneous_data || gsm_sms.message_dissector_not_implemented";
        let remarks = tshark(namespace, &capture, bad, &["frame.number", "_ws.expert.message"]);
        assert!(remarks.is_empty(), "tshark complains: {remarks:?}");
    });
}
