//! Diameter: commands by their abbreviations, results, and the identities of Cx.

use base::{Bytes, Service};
use diameter::dictionary::{
    self, DESTINATION_HOST, FRAMED_IP_ADDRESS, ORIGIN_HOST, PUBLIC_IDENTITY,
    SERVER_ASSIGNMENT_TYPE, SERVER_NAME, SESSION_ID, USER_AUTHORIZATION_TYPE, USER_NAME,
};
use diameter::{Key as AvpKey, Message};

use super::{Key, Summary};

/// Applications by the names of their reference points.
const REFERENCE_POINTS: [(u32, &str); 8] = [
    (4, "Ro"),
    (16_777_216, "Cx"),
    (16_777_217, "Sh"),
    (16_777_236, "Rx"),
    (16_777_238, "Gx"),
    (16_777_251, "S6a"),
    (16_777_272, "S6b"),
    (16_777_302, "Sy"),
];

/// Commands that the dictionary does not have: application (0 for any), code, request, answer.
const COMMANDS: [(u32, u32, &str, &str); 9] = [
    (0, 265, "AAR", "AAA"),
    (0, 272, "CCR", "CCA"),
    (16_777_217, 306, "UDR", "UDA"),
    (16_777_217, 307, "PUR", "PUA"),
    (16_777_217, 308, "SNR", "SNA"),
    (16_777_217, 309, "PNR", "PNA"),
    (16_777_251, 316, "ULR", "ULA"),
    (16_777_251, 318, "AIR", "AIA"),
    (16_777_302, 8_388_635, "SLR", "SLA"),
];

pub(super) fn summary(bytes: &Bytes) -> Summary {
    let message = match Message::parse(bytes.clone()) {
        Ok(message) => message,
        Err(error) => {
            let title = format!("malformed Diameter: {}", error.fault);
            return Summary::new(Service::Diameter, title);
        }
    };
    let header = message.header();
    let (request, answer) = abbreviations(header.application, header.command);
    let point = REFERENCE_POINTS.iter().find(|(id, _)| *id == header.application);
    let prefix = point.map(|(_, name)| format!("{name} ")).unwrap_or_default();
    let outcome = message.outcome();
    let title = match (header.is_request(), outcome) {
        (true, _) => format!("{prefix}{request}"),
        (false, Some(outcome)) => format!("{prefix}{answer} {}", outcome.number()),
        (false, None) => format!("{prefix}{answer}"),
    };
    let mut out = Summary::new(Service::Diameter, title);
    out.answer = (!header.is_request()).then(|| outcome.map_or(0, |o| o.number()));
    out.transaction = format!("{:08x} {:08x}", header.hop_by_hop, header.end_to_end);
    out.verb = request;
    for (name, key) in [
        ("User-Name", USER_NAME),
        ("Public-Identity", PUBLIC_IDENTITY),
        ("Server-Name", SERVER_NAME),
    ] {
        out.push_detail(name, message.text(key));
    }
    for (name, key) in [
        ("User-Authorization-Type", USER_AUTHORIZATION_TYPE),
        ("Server-Assignment-Type", SERVER_ASSIGNMENT_TYPE),
    ] {
        let number = message.find(key).and_then(|avp| avp.u32().ok());
        out.push_detail(name, number.and_then(|n| dictionary::value(name, n)));
    }
    out.push_detail("Result", outcome.map(|o| o.to_string()));
    out.push_detail("Origin-Host", message.text(ORIGIN_HOST));
    out.push_detail("Destination-Host", message.text(DESTINATION_HOST));
    out.push_detail("Session-Id", message.text(SESSION_ID));
    keys(&message, &mut out);
    out
}

pub(super) fn full(bytes: &Bytes) -> Option<String> {
    Message::parse(bytes.clone()).ok().map(|message| message.to_string())
}

fn abbreviations(application: u32, code: u32) -> (String, String) {
    if let Some(entry) = dictionary::command(application, code) {
        return (entry.request.to_owned(), entry.answer.to_owned());
    }
    let known =
        COMMANDS.iter().find(|(app, c, ..)| *c == code && (*app == 0 || *app == application));
    match known {
        Some((_, _, request, answer)) => ((*request).to_owned(), (*answer).to_owned()),
        None => (format!("request {code}"), format!("answer {code}")),
    }
}

fn keys(message: &Message, out: &mut Summary) {
    let texts = |key: AvpKey| {
        let all = message.all(key).filter_map(|avp| avp.utf8().ok());
        all.filter(|text| !text.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    texts(SESSION_ID).into_iter().for_each(|id| out.push_key(Key::SessionId(id)));
    texts(USER_NAME).into_iter().for_each(|impi| out.push_key(Key::Impi(impi)));
    for identity in texts(PUBLIC_IDENTITY) {
        let aor = sip::Uri::parse(&identity).map(|uri| uri.aor());
        out.push_key(Key::Impu(aor.unwrap_or(identity)));
    }
    let address =
        message.find(FRAMED_IP_ADDRESS).and_then(|avp| avp.data.first_chunk::<4>().copied());
    if let Some(octets) = address {
        out.push_key(Key::UeAddress(std::net::Ipv4Addr::from(octets).into()));
    }
}
