//! Subscribers from elsewhere: Open5GS documents, CSV rows, and documents of our own API.

mod csv;
mod form;
mod open5gs;

use auth::hex;
use auth::milenage::{Amf, Key};
use base::redact::Secret;
use base::store::Change;

use crate::profile::CriteriaError;
use crate::records::{records, sqn_record};
use crate::subscriber::{OperatorKey, Subscriber, SubscriberError};

pub use csv::{COLUMNS, CsvHeader, csv_export, csv_export_header, csv_header, csv_row};
pub use form::form;
pub use open5gs::open5gs;

/// The AMF when none is given: the separation bit of TS 33.102 Annex H.
const AMF: Amf = [0x80, 0];

/// A subscriber from elsewhere, and where his sequence numbers go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The subscriber.
    pub subscriber: Subscriber,
    /// The first SEQ that was not used yet, if that was told.
    pub seq: Option<u64>,
}

/// Why a document or row was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON.
    #[error("not a JSON document: {0}")]
    Json(String),
    /// A field is missing or of a wrong kind.
    #[error("the field {0} is missing or not what it should be")]
    Field(&'static str),
    /// A column of the header is unknown.
    #[error("unknown column {0:?}; known are {columns}", columns = COLUMNS.join(", "))]
    Column(String),
    /// A row has more fields than the header.
    #[error("the row has more fields than the header")]
    Width,
    /// A quote is not closed.
    #[error("a quote is not closed")]
    Quote,
    /// The column `ifc` holds no filter criteria.
    #[error(transparent)]
    Criteria(#[from] CriteriaError),
    /// What it says cannot be a subscriber.
    #[error(transparent)]
    Subscriber(#[from] SubscriberError),
}

impl Imported {
    /// The changes that write the subscriber.
    pub fn records(&self) -> Vec<Change> {
        let mut changes = records(&self.subscriber);
        changes.extend(self.seq.map(|seq| sqn_record(&self.subscriber.impi, seq)));
        changes
    }
}

fn key(text: &str, name: &'static str) -> Result<Key, SubscriberError> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    hex::decode_array(&digits).map(Secret::new).ok_or(SubscriberError::Key(name))
}

fn amf(text: &str) -> Result<Amf, SubscriberError> {
    hex::decode_array(text).ok_or(SubscriberError::Amf)
}

fn operator(opc: Option<&str>, op: Option<&str>) -> Result<OperatorKey, SubscriberError> {
    match (opc, op) {
        (Some(opc), _) => key(opc, "OPc").map(OperatorKey::Opc),
        (None, Some(op)) => key(op, "OP").map(OperatorKey::Op),
        (None, None) => Err(SubscriberError::NoOperatorKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,60}") {
            let header = csv_header("imsi,msisdn,k,opc,name,password").unwrap();
            let _ = csv_header(&text);
            let _ = csv_row(&header, &text, "ex.org");
            let _ = open5gs(&text, "ex.org");
        }
    }
}
