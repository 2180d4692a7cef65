//! The header fields that the border reads and writes.

use sip::header::{HeaderName, NameAddr, Replaces};
use sip::{Message, Uri};

/// Contact parameters that tell a device or one of its flows: RFC 5626 §4.1, RFC 5627.
const OF_THE_DEVICE: [&str; 4] = ["+sip.instance", "reg-id", "pub-gruu", "temp-gruu"];

/// Fields with URIs beyond those of the dialog: RFC 3515, RFC 3892, RFC 7044.
const WITH_URIS: [HeaderName; 3] =
    [HeaderName::ReferTo, HeaderName::ReferredBy, HeaderName::HistoryInfo];
/// The one that History-Info took the place of, RFC 5806.
const DIVERSION: &str = "Diversion";

/// Fields that begin with the Call-ID of a dialog: RFC 3891, RFC 3911, RFC 4538.
const OF_DIALOGS: [HeaderName; 3] =
    [HeaderName::Replaces, HeaderName::Join, HeaderName::TargetDialog];

/// All elements of a list.
pub(super) fn all(message: &Message, name: HeaderName) -> Vec<String> {
    message.list(name).map(str::to_owned).collect()
}

/// Makes these the elements of a list.
pub(super) fn put(message: &mut Message, name: HeaderName, elements: &[String]) {
    message.remove(name);
    for element in elements.iter().rev() {
        message.push_front(name, element.as_str());
    }
}

pub(super) fn set_call_id(message: &mut Message, call: String) {
    message.set(HeaderName::CallId, call);
}

/// The user part of an element's URI.
pub(super) fn user_of(element: &str) -> Option<String> {
    let uri = NameAddr::parse(element)?.parsed_uri()?.sip()?;
    uri.user.map(str::to_owned)
}

/// Replaces the URIs of all Contacts for which there is another one. What tells the device goes with it.
pub(super) fn map_contacts(message: &mut Message, map: impl Fn(&str) -> Option<String>) {
    let other = |element: &str| {
        let contact = NameAddr::parse(element)?;
        let uri = map(contact.uri)?;
        Some(with_uri(&contact, &uri, &OF_THE_DEVICE))
    };
    replace(message, HeaderName::Contact, other);
}

/// The same for the URIs of other fields; a dialog that such a URI names stays.
pub(super) fn map_uris(message: &mut Message, map: impl Fn(&str) -> Option<String>) {
    let other = |element: &str| {
        let address = NameAddr::parse(element)?;
        let headers = Uri::parse(address.uri)?.sip()?.headers;
        let end = headers.map_or(address.uri.len(), |fields| address.uri.len() - fields.len() - 1);
        let (uri, headers) = address.uri.split_at(end);
        Some(with_uri(&address, &format!("{}{headers}", map(uri)?), &[]))
    };
    for name in WITH_URIS {
        replace(message, name, other);
    }
    let diversion = message.get_other(DIVERSION).and_then(other);
    if let Some(diversion) = diversion {
        message.remove_other(DIVERSION);
        message.push_other(DIVERSION, diversion);
    }
}

/// Replaces the Call-IDs of other dialogs.
pub(super) fn map_dialogs(message: &mut Message, map: impl Fn(&str) -> Option<String>) {
    for name in OF_DIALOGS {
        let Some(value) = message.get(name) else { continue };
        let end = value.find(';').unwrap_or(value.len());
        if let Some(call) = map(value[..end].trim()) {
            let value = format!("{call}{}", &value[end..]);
            message.set(name, value);
        }
    }
    let other = |element: &str| {
        let address = NameAddr::parse(element)?;
        let headers = Uri::parse(address.uri)?.sip()?.headers?;
        let replaces = Replaces::of_uri(headers)?;
        let call_id = map(&replaces.call_id)?;
        let field = |field: &str| match field.split_once('=') {
            Some((name, _)) if name.eq_ignore_ascii_case("Replaces") => {
                Replaces { call_id: call_id.clone(), ..replaces.clone() }.in_uri()
            }
            _ => field.to_owned(),
        };
        let fields: Vec<String> = headers.split('&').map(field).collect();
        let uri = &address.uri[..address.uri.len() - headers.len()];
        Some(with_uri(&address, &format!("{uri}{}", fields.join("&")), &[]))
    };
    replace(message, HeaderName::ReferTo, other);
    let in_reply = |call: &str| map(call.trim());
    replace(message, HeaderName::InReplyTo, in_reply);
}

/// Replaces the elements of a list for which there is another one.
fn replace(message: &mut Message, name: HeaderName, other: impl Fn(&str) -> Option<String>) {
    if !message.has(name) {
        return;
    }
    let others: Vec<_> =
        message.list(name).map(|element| (element.to_owned(), other(element))).collect();
    if others.iter().all(|(_, other)| other.is_none()) {
        return;
    }
    let elements: Vec<String> =
        others.into_iter().map(|(element, other)| other.unwrap_or(element)).collect();
    put(message, name, &elements);
}

/// The same element with another URI, without these parameters.
fn with_uri(address: &NameAddr<'_>, uri: &str, without: &[&str]) -> String {
    let mut out = String::new();
    if !address.display.is_empty() {
        out.push_str(address.display);
        out.push(' ');
    }
    out.push('<');
    out.push_str(uri);
    out.push('>');
    address.params.write_others(&mut out, without);
    out
}
