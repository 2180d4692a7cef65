//! The store's records as lines of text: for backups, and to be looked through.
//!
//! ```json
//! {"strowger":"store","version":1}
//! {"table":"hss.subscriber","key":"alice@ims.test","value":{…}}
//! {"table":"pcscf.binding","key_hex":"00000000000000a7","value":{…}}
//! ```
//!
//! A value that is not JSON stands as `value_hex`. A backup holds keys and passwords' hashes.

use std::collections::BTreeMap;

use auth::hex;
use base::Bytes;
use base::store::Table;
use hss::records::{
    IDENTITY, REGISTRATION, SQN, SUBSCRIBER, parse_identity, parse_registration, parse_sqn,
    parse_subscriber,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::provision::StoredRecord;

/// All tables, in the order in which they are written: subscribers first.
pub const TABLES: [Table; 14] = [
    SUBSCRIBER,
    IDENTITY,
    SQN,
    REGISTRATION,
    cscf::scscf::TABLE,
    cscf::scscf::WATCHERS,
    cscf::scscf::GRUU_TABLE,
    cscf::bgcf::TABLE,
    cscf::pcscf::TABLE,
    cscf::pcscf::EMERGENCY_TABLE,
    ipsmgw::TABLE,
    media::CALLS,
    media::RELAYS,
    media::CERTIFICATES,
];

/// The version of the lines.
const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    strowger: String,
    version: u32,
}

/// One record.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Line {
    table: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
}

/// Why a line is no record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineError {
    /// Not the JSON that it should be.
    #[error("{0}")]
    Json(String),
    /// The file is none of ours.
    #[error("this is no backup of a store: its first line is not {{\"strowger\":\"store\",…}}")]
    Foreign,
    /// The file is of a newer program.
    #[error("the backup has version {0}; this program reads version {VERSION}")]
    Version(u32),
    /// No table has this name.
    #[error("there is no table {0:?}; known are {known}", known = TABLES.map(|t| t.0).join(", "))]
    Table(String),
    /// Key or value is missing, or stands twice.
    #[error("a record has one `key` or `key_hex` and one `value` or `value_hex`")]
    Half,
}

/// The first line of a backup.
pub fn head() -> String {
    let head = Head { strowger: "store".to_owned(), version: VERSION };
    serde_json::to_string(&head).expect("a number and a text are JSON")
}

/// Checks the first line of a backup.
///
/// # Errors
/// [`LineError::Foreign`] or [`LineError::Version`].
pub fn check_head(line: &str) -> Result<(), LineError> {
    match serde_json::from_str::<Head>(line) {
        Ok(Head { strowger, version: VERSION }) if strowger == "store" => Ok(()),
        Ok(Head { strowger, version }) if strowger == "store" => Err(LineError::Version(version)),
        _ => Err(LineError::Foreign),
    }
}

impl Line {
    /// The line of a record.
    pub fn of(record: &StoredRecord) -> Line {
        let mut line = Line { table: record.table.0.to_owned(), ..Line::default() };
        match std::str::from_utf8(&record.key) {
            Ok(key) if !key.contains('\0') => line.key = Some(key.to_owned()),
            _ => line.key_hex = Some(hex::encode(&record.key)),
        }
        match serde_json::from_slice(&record.value) {
            Ok(value) => line.value = Some(value),
            Err(_) => line.value_hex = Some(hex::encode(&record.value)),
        }
        line
    }

    /// The record of a line.
    ///
    /// # Errors
    /// Why it is none.
    pub fn record(self) -> Result<StoredRecord, LineError> {
        let table = TABLES.into_iter().find(|table| table.0 == self.table);
        let table = table.ok_or(LineError::Table(self.table))?;
        let bytes = |hex: &str| hex::decode(hex).map(Bytes::from).ok_or(LineError::Half);
        let key = match (self.key, self.key_hex) {
            (Some(key), None) => Bytes::from(key),
            (None, Some(key)) => bytes(&key)?,
            _ => return Err(LineError::Half),
        };
        let value = match (self.value, self.value_hex) {
            (Some(value), None) => Bytes::from(value.to_string()),
            (None, Some(value)) => bytes(&value)?,
            _ => return Err(LineError::Half),
        };
        Ok(StoredRecord { table, key, value })
    }

    /// The record of a line of text.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<StoredRecord, LineError> {
        let line: Line =
            serde_json::from_str(text).map_err(|error| LineError::Json(error.to_string()))?;
        line.record()
    }
}

/// Looks through records one by one, in the order of [`TABLES`], for what does not fit together.
#[derive(Default)]
pub struct Check {
    counts: BTreeMap<Table, u64>,
    /// Whose each public identity is, as subscribers say.
    identities: BTreeMap<String, String>,
    subscribers: BTreeMap<String, ()>,
    problems: Vec<String>,
}

impl Check {
    /// Takes one record.
    pub fn take(&mut self, record: &StoredRecord) {
        *self.counts.entry(record.table).or_default() += 1;
        let key = String::from_utf8_lossy(&record.key).into_owned();
        let problem = match record.table {
            SUBSCRIBER => match parse_subscriber(&record.value) {
                Ok(subscriber) => {
                    for identity in subscriber.identities() {
                        self.identities.insert(identity.uri.clone(), key.clone());
                    }
                    self.subscribers.insert(key.clone(), ());
                    (subscriber.impi != key).then(|| format!("it is of {}", subscriber.impi))
                }
                Err(error) => Some(error.to_string()),
            },
            IDENTITY => match parse_identity(&record.value) {
                Ok(impi) if self.identities.get(&key) == Some(&impi) => {
                    self.identities.remove(&key);
                    None
                }
                Ok(impi) => Some(format!("{impi} has no such identity")),
                Err(error) => Some(error.to_string()),
            },
            SQN => parse_sqn(&record.value).err().map(|e| e.to_string()).or(self.orphan(&key)),
            REGISTRATION => {
                let error = parse_registration(&record.value).err().map(|e| e.to_string());
                error.or(self.orphan(&key))
            }
            table => {
                let is_record = match table {
                    cscf::scscf::TABLE => cscf::scscf::is_record,
                    cscf::scscf::WATCHERS => cscf::scscf::is_watcher_record,
                    cscf::scscf::GRUU_TABLE => cscf::scscf::is_gruu_record,
                    cscf::bgcf::TABLE => cscf::bgcf::is_record,
                    cscf::pcscf::TABLE => cscf::pcscf::is_record,
                    cscf::pcscf::EMERGENCY_TABLE => cscf::pcscf::is_emergency_record,
                    media::CALLS => media::is_call,
                    media::RELAYS => media::is_relay,
                    media::CERTIFICATES => media::is_certificate,
                    _ => ipsmgw::is_record,
                };
                let good = is_record(&record.key, &record.value);
                (!good).then(|| "it cannot be read".to_owned())
            }
        };
        if let Some(problem) = problem {
            let key = Line::of(record);
            let key = key.key.or(key.key_hex).unwrap_or_default();
            self.problems.push(format!("{} {key}: {problem}", record.table.0));
        }
    }

    fn orphan(&self, impi: &str) -> Option<String> {
        (!self.subscribers.contains_key(impi)).then(|| "there is no such subscriber".to_owned())
    }

    /// How many records each table has, and what is wrong, a line each.
    pub fn end(mut self) -> (BTreeMap<Table, u64>, Vec<String>) {
        for (impu, impi) in self.identities {
            let table = IDENTITY.0;
            self.problems.push(format!("{table} {impu}: it is missing, though {impi} has it"));
        }
        (self.counts, self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::redact::Secret;
    use base::store::Change;
    use hss::Subscriber;
    use proptest::prelude::*;

    fn records() -> Vec<StoredRecord> {
        let password = Secret::new("p".to_owned());
        let numbers = ["491701".to_owned()];
        let alice = Subscriber::with_password("alice", &password, &numbers, "ex.org").unwrap();
        let puts = hss::records(&alice).into_iter().map(|change| match change {
            Change::Put { table, key, value } => StoredRecord { table, key, value },
            Change::Delete { .. } => unreachable!("he is written"),
        });
        puts.collect()
    }

    fn problems(records: &[StoredRecord]) -> Vec<String> {
        let mut check = Check::default();
        records.iter().for_each(|record| check.take(record));
        check.end().1
    }

    #[test]
    fn what_fits_together_is_well_and_what_does_not_is_named() {
        let all = records();
        assert_eq!(problems(&all), Vec::<String>::new());
        let missing = problems(&all[..all.len() - 1]);
        assert!(missing[0].ends_with("it is missing, though alice@ex.org has it"), "{missing:?}");
        let orphans = problems(&all[1..]);
        assert_eq!(orphans.len(), all.len() - 1);
        assert!(orphans[0].ends_with("alice@ex.org has no such identity"), "{orphans:?}");
        let mut damaged = all.clone();
        damaged[0].value = Bytes::from_static(b"{}");
        assert!(
            problems(&damaged)[0].contains("hss.subscriber alice@ex.org: the record is damaged")
        );
        let binding = StoredRecord {
            table: cscf::pcscf::TABLE,
            key: Bytes::from_static(&[0; 8]),
            value: Bytes::from_static(b"x"),
        };
        let text = "pcscf.binding 0000000000000000: it cannot be read";
        assert_eq!(problems(&[binding]), [text]);
    }

    #[test]
    fn heads_are_told_apart() {
        assert_eq!(check_head(&head()), Ok(()));
        let newer = r#"{"strowger":"store","version":2}"#;
        assert_eq!(check_head(newer), Err(LineError::Version(2)));
        assert_eq!(check_head(r#"{"at":1}"#), Err(LineError::Foreign));
    }

    proptest! {
        #[test]
        fn every_record_comes_back(table in 0..TABLES.len(), key: Vec<u8>, value: Vec<u8>) {
            let (key, value) = (Bytes::from(key), Bytes::from(value));
            let record = StoredRecord { table: TABLES[table], key, value };
            let line = serde_json::to_string(&Line::of(&record)).unwrap();
            let back = Line::parse(&line).unwrap();
            // A value that is JSON comes back as the same JSON.
            let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
            prop_assert_eq!((back.table, &back.key), (record.table, &record.key));
            prop_assert!(back.value == record.value || json(&back.value) == json(&record.value));
        }

        #[test]
        fn any_line_is_answered(text in ".{0,80}") {
            let _ = Line::parse(&text);
            let _ = check_head(&text);
        }
    }
}
