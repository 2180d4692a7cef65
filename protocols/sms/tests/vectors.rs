//! Messages as others publish them.
//!
//! Most are in the form of TS 27.005 (AT commands): the service centre's address is before the TPDU,
//! and is coded as RP-DATA codes it; so RP-DATA is made of them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use sms::tpdu::*;
use sms::validity::Relative;
use sms::*;

fn octets(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

/// A TPDU and the service centre; what was read is written octet for octet.
fn read(hex: &str, to_mobile: bool) -> (String, Tpdu) {
    let bytes = octets(hex);
    let (centre, tpdu) = bytes.split_at(1 + usize::from(bytes[0]));
    let addresses = if to_mobile { [centre, &[0]] } else { [&[0], centre] };
    let body = [&[u8::from(to_mobile), 42], &*addresses.concat(), &[tpdu.len() as u8], tpdu];
    let body = body.concat();
    let rpdu = Rpdu::parse(&body).unwrap();
    assert_eq!(rpdu.emit(), body);
    let Rpdu::Data { service_centre, .. } = &rpdu else { panic!("{rpdu:?}") };
    let read = rpdu.tpdu().unwrap().unwrap();
    assert_eq!(read.emit(), tpdu, "{read:?}");
    (service_centre.as_ref().map(Number::to_string).unwrap_or_default(), read)
}

fn deliver(hex: &str) -> (String, Deliver) {
    match read(hex, true) {
        (centre, Tpdu::Deliver(deliver)) => (centre, deliver),
        (_, other) => panic!("{other:?}"),
    }
}

fn submit(hex: &str) -> (String, Submit) {
    match read(hex, false) {
        (centre, Tpdu::Submit(submit)) => (centre, submit),
        (_, other) => panic!("{other:?}"),
    }
}

/// The pair that nearly every text on the PDU format has.
#[test]
fn hellohello_is_delivered_and_submitted() {
    let hex = "07917283010010F5 040BC87238880900F10000993092516195800AE8329BFD4697D9EC37";
    let (centre, message) = deliver(hex);
    assert_eq!(centre, "+27381000015");
    assert_eq!(message.originator.to_string(), "27838890001");
    assert_eq!(message.time_stamp.read().unwrap().to_string(), "1999-03-29T15:16:59+02:00");
    assert_eq!(message.user_data.text().as_deref(), Some("hellohello"));
    assert!(!message.more_messages && !message.status_report && !message.reply_path);

    let hex = "00 11000B916407281553F80000AA0AE8329BFD4697D9EC37";
    let (centre, message) = submit(hex);
    assert_eq!((centre.as_str(), message.destination.to_string().as_str()), ("", "+46708251358"));
    assert_eq!(message.validity, Some(ValidityPeriod::Relative(Relative(0xaa))));
    assert_eq!(Relative(0xaa).period().as_secs(), 4 * 86_400);

    let destination = Address::Number(Number::international("+46708251358").unwrap());
    let mut ours = Submit::new(0, destination, ShortMessage::from_text("hellohello").unwrap());
    ours.validity = message.validity;
    assert_eq!(ours, message);
}

/// Of the Android Open Source Project's `GsmSmsTest.testAddressing`.
#[test]
fn androids_messages_are_read() {
    let hex = "07914151551512f2 040B916105551511f100006060605130308A04D4F29C0E";
    let (centre, message) = deliver(hex);
    assert_eq!(centre, "+14155551212");
    assert_eq!(message.originator.to_string(), "+16505551111");
    assert_eq!(message.user_data.text().as_deref(), Some("Test"));
    assert_eq!(message.time_stamp.read().unwrap().to_string(), "2006-06-06T15:03:03-07:00");

    // Its alphabet is reserved (DCS 3 without a class), so it is the default one.
    let hex = "07914151551512f2 040B916105551511f100036060924180008A0DA8695DAC2E8FE9296A794E07";
    assert_eq!(deliver(hex).1.user_data.text().as_deref(), Some("(Subject)Test"));
}

/// Of python-messaging and its relatives.
#[test]
fn messages_of_real_networks_are_read() {
    let hex = "0791448720900253 040C914497035290960000500151614414400DD4F29C9E769F41E17338ED06";
    let (_, message) = deliver(hex);
    assert_eq!(message.originator.to_string(), "+447930250969");
    assert_eq!(message.user_data.text().as_deref(), Some("Testing again"));
    assert_eq!(message.time_stamp.read().unwrap().to_string(), "2005-10-15T16:44:41+01:00");

    let hex = "0791227167830001 040C912271271640910008906012024514001C\
               002E004020AC00A300680065006C006C006F002000E900EC006B00F0";
    let (_, message) = deliver(hex);
    assert_eq!(message.user_data.dcs(), Dcs::UCS2);
    assert_eq!(message.user_data.text().as_deref(), Some(".@€£hello éìkð"));

    let hex = "0791447779070652 0414D06176198F0EE361F2321900005001610013334014\
               C324350B9287D12079180D92A3416134480E";
    let (_, message) = deliver(hex);
    assert_eq!(message.originator, Address::name("alexhax0red").unwrap());
    assert_eq!(message.user_data.text().as_deref(), Some("CITY rah rah rh ah r"));
}

/// Of the same: two parts whose septets begin behind one fill bit.
#[test]
fn parts_of_a_real_network_make_a_whole() {
    let first = "0791448720003023 440C91449703529096000050015132532240A00500037A020190E9339A9D3EA3E9\
                 20FA1B1466B341E472193E079DD3EE73D85DA7EB41E7B41C1407C1CBF43228CC26E3416137390F3AAB\
                 CFEAB3FAAC3EABCFEAB3FAAC3EABCFEAB3FAAC3EABCFEAB3FADC3EB7CFED73FBDC3EBF5D4416D94574\
                 11596457137D87B7E16438194E86BBCF6D16D9055D429548A28BE822BA882E6370196C2A8950E291E8\
                 22BA88";
    let second = "0791448720003023 440C91449703529096000050015132537240310500037A02025C4417D1D5242289\
                  4EE5B17824BA8EC423F1483C129BC725315464118FCDE011247C4A8B44";
    let mut reassembler = Reassembler::new(1, base::time::Duration::from_secs(60));
    let now = base::Instant::from_unix_micros(0);
    let mut take = |hex| {
        let (_, message) = deliver(hex);
        reassembler.take(now, message.originator, message.user_data)
    };
    assert_eq!(take(second), sms::reassembly::Taken::Waiting { given_up: None });
    let sms::reassembly::Taken::Whole(parts) = take(first) else { panic!("all parts are there") };
    let text = text_of(&parts).unwrap();
    assert!(text.starts_with("Highlight to all deeps"), "{text}");
    assert!(text.ends_with("DGMAG BORED"), "{text}");
    assert_eq!(text.chars().count(), 153 + 42);
}

/// Of ModemManager's tests.
#[test]
fn a_status_report_is_read() {
    let hex = "07914356060013F1 0659098136395339F6219011707193802190117071938030";
    let (_, tpdu) = read(hex, true);
    let Tpdu::StatusReport(report) = tpdu else { panic!("{tpdu:?}") };
    assert_eq!((report.reference, report.recipient.to_string().as_str()), (0x59, "639335936"));
    assert_eq!(report.time_stamp.read().unwrap().to_string(), "2012-09-11T07:17:39+02:00");
    assert_eq!(report.discharge, report.time_stamp);
    assert_eq!(report.status.outcome(), sms::status::Outcome::StillTrying);
    assert!(!report.more_messages && !report.by_command);
}

/// TS 24.011 §7.3 and §8.2, written out by hand.
#[test]
fn answers_are_read_and_written() {
    let parse = |hex| Rpdu::parse(&octets(hex));
    let to_network = sms::rp::Direction::ToNetwork;
    let to_mobile = sms::rp::Direction::ToMobile;

    let bare = Rpdu::Ack { direction: to_network, reference: 0x2a, user_data: None };
    assert_eq!((parse("022A").as_ref(), octets("022A")), (Ok(&bare), bare.emit()));

    // An SMS-SUBMIT-REPORT with nothing but the time stamp.
    let ack = parse("032A 4109 0100 11304050607041").unwrap();
    let time_stamp = TimeStamp([0x11, 0x30, 0x40, 0x50, 0x60, 0x70, 0x41]);
    let report = SubmitReport::Ack(time_stamp, Parameters::NONE);
    assert_eq!(ack, Rpdu::submit_report(0x2a, &report, Cause::PROTOCOL_ERROR));
    assert_eq!(ack.tpdu(), Some(Ok(Tpdu::SubmitReport(report))));

    // An SMS-DELIVER-REPORT: the memory is full.
    let error = parse("042A 0116 4103 00D300").unwrap();
    let report = DeliverReport::Error(FailureCause::MEMORY_CAPACITY_EXCEEDED, Parameters::NONE);
    assert_eq!(error, Rpdu::deliver_report(0x2a, &report, Cause::MEMORY_CAPACITY_EXCEEDED));
    assert_eq!(error.tpdu(), Some(Ok(Tpdu::DeliverReport(report))));

    let (cause, diagnostic) = (Cause::INVALID_REFERENCE, Some(0x2a));
    let (direction, reference) = (to_mobile, 0x2a);
    let error = Rpdu::Error { direction, reference, cause, diagnostic, user_data: None };
    assert_eq!((parse("052A 02512A").as_ref(), octets("052A02512A")), (Ok(&error), error.emit()));

    let smma = Rpdu::Smma { reference: 0x2a };
    assert_eq!((parse("062A").as_ref(), octets("062A")), (Ok(&smma), smma.emit()));
    assert_eq!((smma.direction(), smma.tpdu()), (to_network, None));

    // Elements that nobody knows, with and without a length, are before the one that is known.
    assert_eq!(parse("032A 9F 5502FFFF 4109 0100 11304050607041"), Ok(ack));
    assert_eq!(parse("022A 55FF00"), Ok(bare));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let said = |hex: &str| Rpdu::parse(&octets(hex)).map_err(|error| error.to_string());
    let missing = "RP-Message-Reference at offset 1: octets missing: 1";
    assert_eq!(said("00").unwrap_err(), missing);
    assert_eq!(said("072A").unwrap_err(), "RP-MTI at offset 0: no message of type 7 can be here");
    let digit = "RP-Destination-Address at offset 3: there is no digit 0xf";
    assert_eq!(said("002A 00 0391F132 00").unwrap_err(), digit);
    let missing = "RP-User-Data at offset 5: octets missing: 3";
    assert_eq!(said("002A 00 00 04 11").unwrap_err(), missing);
    let long = "RP-User-Data at offset 4: its length is 233 where at most 232 have room";
    assert_eq!(said(&format!("002A 00 00 E9 {}", "00".repeat(233))).unwrap_err(), long);
    assert_eq!(said("042A 00").unwrap_err(), "RP-Cause at offset 2: octets missing: 1");

    // RP-ACK to a mobile station carries SMS-SUBMIT-REPORT and nothing else.
    let report = Rpdu::parse(&octets("032A 4102 0000")).unwrap().tpdu().unwrap();
    let kind = "TP-MTI at offset 0: no message of type 0 can be here";
    assert_eq!(report.unwrap_err().to_string(), kind);

    // What can be answered with RP-ERROR although it cannot be read.
    let reference = |hex| sms::rp::reference_of(&octets(hex));
    assert_eq!((reference("002A"), reference("062A")), (Some(0x2a), Some(0x2a)));
    assert_eq!((reference("00"), reference("022A"), reference("052A")), (None, None, None));
}
