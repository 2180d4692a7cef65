//! Records as JSON, one a line: for the control socket of `strowger trace`.
//!
//! ```json
//! {"at":1700000000000000,"service":"sip","transport":"udp","from":{"endpoint":"10.0.0.9:5060"},
//!  "to":{"endpoint":"10.0.0.1:5060","name":"pcscf"},"flow":7,"title":"INVITE","text":"INVITE sip:…"}
//! ```
//!
//! `at` is microseconds since 1970. The message is `text` if it is UTF-8, else `base64`. `title` is
//! for whoever reads it by eye, and ignored when it is read back.

use std::sync::Arc;

use base::{Bytes, Endpoint, Instant, Service, Transport, WireId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::dissect::dissect;
use crate::record::{Party, Record};

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON.
    #[error("no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A member is missing or has a value that it cannot have.
    #[error("no record: `{0}` is missing or wrong")]
    Member(&'static str),
}

/// The record as one line, without a line end.
pub fn line(record: &Record) -> String {
    let mut object = head(record);
    object.insert("title".into(), dissect(record).title.into());
    match std::str::from_utf8(&record.bytes) {
        Ok(text) => object.insert("text".into(), text.into()),
        Err(_) => object.insert("base64".into(), STANDARD.encode(&record.bytes).into()),
    };
    Value::Object(object).to_string()
}

/// The records as JSON lines.
pub fn lines<'a>(records: impl IntoIterator<Item = &'a Record>) -> String {
    records.into_iter().map(|record| line(record) + "\n").collect()
}

/// Reads a line.
///
/// # Errors
/// [`ReadError`]
pub fn parse(line: &str) -> Result<Record, ReadError> {
    let value: Value = serde_json::from_str(line)?;
    let bytes = match (value["text"].as_str(), value["base64"].as_str()) {
        (Some(text), _) => Bytes::copy_from_slice(text.as_bytes()),
        (None, Some(text)) => {
            STANDARD.decode(text).map_err(|_| ReadError::Member("base64"))?.into()
        }
        (None, None) => return Err(ReadError::Member("text")),
    };
    read_head(&value, bytes)
}

/// All but the message.
pub(crate) fn head(record: &Record) -> Map<String, Value> {
    let party = |party: &Party| match &party.name {
        Some(name) => json!({"endpoint": party.endpoint.to_string(), "name": &**name}),
        None => json!({"endpoint": party.endpoint.to_string()}),
    };
    let mut object = Map::new();
    object.insert("at".into(), record.at.unix_micros().into());
    object.insert("service".into(), service_name(record.service).into());
    object.insert("transport".into(), transport_name(record.transport).into());
    object.insert("from".into(), party(&record.from));
    object.insert("to".into(), party(&record.to));
    object.insert("flow".into(), record.flow.into());
    object
}

pub(crate) fn read_head(value: &Value, bytes: Bytes) -> Result<Record, ReadError> {
    let number = |name| value[name].as_u64().ok_or(ReadError::Member(name));
    let text = |name| value[name].as_str().ok_or(ReadError::Member(name));
    let service = [Service::Sip, Service::Diameter, Service::Ng, Service::Rtp];
    let transport = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Wire];
    let (service_text, transport_text) = (text("service")?, text("transport")?);
    Ok(Record {
        at: Instant::from_unix_micros(number("at")?),
        service: service
            .into_iter()
            .find(|s| service_name(*s) == service_text)
            .ok_or(ReadError::Member("service"))?,
        transport: transport
            .into_iter()
            .find(|t| transport_name(*t) == transport_text)
            .ok_or(ReadError::Member("transport"))?,
        from: party(&value["from"]).ok_or(ReadError::Member("from"))?,
        to: party(&value["to"]).ok_or(ReadError::Member("to"))?,
        bytes,
        flow: number("flow")?,
    })
}

fn party(value: &Value) -> Option<Party> {
    let text = value["endpoint"].as_str()?;
    let endpoint = match text.strip_prefix("wire") {
        Some(number) => Endpoint::Wire(WireId(number.parse().ok()?)),
        None => Endpoint::Ip(text.parse().ok()?),
    };
    Some(Party { endpoint, name: value["name"].as_str().map(Arc::from) })
}

pub(crate) const fn service_name(service: Service) -> &'static str {
    match service {
        Service::Sip => "sip",
        Service::Diameter => "diameter",
        Service::Ng => "ng",
        Service::Rtp => "rtp",
        Service::Resp => "resp",
        Service::Http => "http",
        Service::Cli => "cli",
    }
}

const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Wire => "wire",
    }
}
