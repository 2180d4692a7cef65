//! What the store holds: versioned JSON, one record each for a subscriber, a public identity, a
//! block of sequence numbers and a registration.

use auth::hex;
use base::identity::{Imsi, Msisdn};
use base::redact::Secret;
use base::store::{Change, Table};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::password::Hashes;
use crate::profile::FilterCriteria;
use crate::registration::Registration;
use crate::subscriber::{
    Capabilities, Charging, Credential, ImplicitSet, PublicIdentity, Subscriber, SubscriberError,
};

/// Subscribers by private identity.
pub const SUBSCRIBER: Table = Table("hss.subscriber");
/// Private identities by public identity.
pub const IDENTITY: Table = Table("hss.identity");
/// The first SEQ that is not reserved, by private identity.
pub const SQN: Table = Table("hss.sqn");
/// Registration state by private identity.
pub const REGISTRATION: Table = Table("hss.registration");

/// The version that this program writes, and the newest that it reads.
const VERSION: u32 = 1;

/// Why a stored record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not the JSON that it should be.
    #[error("the record is damaged: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a newer program.
    #[error("the record has version {0}; this program reads versions up to {VERSION}")]
    Version(u32),
    /// What it says cannot be.
    #[error(transparent)]
    Subscriber(#[from] SubscriberError),
}

/// The changes that write a subscriber.
pub fn records(subscriber: &Subscriber) -> Vec<Change> {
    let mut changes = vec![put(SUBSCRIBER, &subscriber.impi, &Document::of(subscriber))];
    for identity in subscriber.identities() {
        let owner = Owner { impi: subscriber.impi.clone() };
        changes.push(put(IDENTITY, &identity.uri, &owner));
    }
    changes
}

/// The changes that remove a subscriber with everything that is kept about him.
pub fn removal(subscriber: &Subscriber) -> Vec<Change> {
    let own = [SUBSCRIBER, SQN, REGISTRATION].map(|table| delete(table, &subscriber.impi));
    let identities = subscriber.identities().map(|identity| delete(IDENTITY, &identity.uri));
    own.into_iter().chain(identities).collect()
}

/// The changes that replace `old` by `new`: identities that are gone are removed, and state is kept
/// if the private identity is the same.
pub fn replacement(old: &Subscriber, new: &Subscriber) -> Vec<Change> {
    let mut changes = if old.impi == new.impi {
        let gone = old.identities().filter(|identity| new.set_of(&identity.uri).is_none());
        gone.map(|identity| delete(IDENTITY, &identity.uri)).collect()
    } else {
        removal(old)
    };
    changes.extend(records(new));
    changes
}

/// The subscriber that a record of [`SUBSCRIBER`] tells.
pub fn parse_subscriber(value: &[u8]) -> Result<Subscriber, RecordError> {
    parse::<Document>(value)?.subscriber()
}

/// A record of [`SUBSCRIBER`] with as many stars in the place of keys and of H(A1).
pub fn without_secrets(value: &[u8]) -> Vec<u8> {
    fn mask(value: &mut serde_json::Value) {
        match value {
            // Keys and hashes are 32 digits at least.
            serde_json::Value::String(text)
                if text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                *text = "*".repeat(text.len());
            }
            serde_json::Value::Object(members) => members.values_mut().for_each(mask),
            serde_json::Value::Array(values) => values.iter_mut().for_each(mask),
            _ => {}
        }
    }
    let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(value) else {
        return vec![b'*'; value.len()];
    };
    document.get_mut("credential").into_iter().for_each(mask);
    document.to_string().into_bytes()
}

/// The private identity that a record of [`IDENTITY`] tells.
pub fn parse_identity(value: &[u8]) -> Result<String, RecordError> {
    parse::<Owner>(value).map(|owner| owner.impi)
}

/// The change that says that SEQ below `limit` may have been used.
pub fn sqn_record(impi: &str, limit: u64) -> Change {
    put(SQN, impi, &Block { limit })
}

/// The first SEQ that may be used, of a record of [`SQN`].
pub fn parse_sqn(value: &[u8]) -> Result<u64, RecordError> {
    parse::<Block>(value).map(|block| block.limit)
}

pub(crate) fn registration_record(impi: &str, registration: &Registration) -> Change {
    if *registration == Registration::default() {
        delete(REGISTRATION, impi)
    } else {
        put(REGISTRATION, impi, registration)
    }
}

/// The registration state that a record of [`REGISTRATION`] tells.
pub fn parse_registration(value: &[u8]) -> Result<Registration, RecordError> {
    parse(value)
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
struct OnlyVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Owner {
    impi: String,
}

#[derive(Serialize, Deserialize)]
struct Block {
    limit: u64,
}

/// A subscriber as the store writes it.
#[derive(Serialize, Deserialize)]
struct Document {
    impi: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imsi: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    msisdns: Vec<String>,
    credential: CredentialDocument,
    sets: Vec<SetDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mandatory_capabilities: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    optional_capabilities: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ocs: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cdf: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roaming: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CredentialDocument {
    Aka {
        k: String,
        opc: String,
        amf: String,
    },
    Digest {
        realm: String,
        ha1: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name_ha1: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<HashesDocument>,
    },
}

#[derive(Serialize, Deserialize)]
struct HashesDocument {
    ha1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_ha1: Option<String>,
}

impl HashesDocument {
    fn of(hashes: &Hashes) -> HashesDocument {
        HashesDocument {
            ha1: hashes.ha1.reveal().clone(),
            name_ha1: hashes.name_ha1.as_ref().map(|hash| hash.reveal().clone()),
        }
    }

    fn hashes(self) -> Hashes {
        Hashes { ha1: Secret::new(self.ha1), name_ha1: self.name_ha1.map(Secret::new) }
    }
}

#[derive(Serialize, Deserialize)]
struct SetDocument {
    identities: Vec<IdentityDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    criteria: Vec<FilterCriteria>,
}

#[derive(Serialize, Deserialize)]
struct IdentityDocument {
    uri: String,
    #[serde(default)]
    barred: bool,
}

impl Document {
    fn of(subscriber: &Subscriber) -> Document {
        let credential = match &subscriber.credential {
            Credential::Aka { k, opc, amf } => CredentialDocument::Aka {
                k: hex::encode(k.reveal()),
                opc: hex::encode(opc.reveal()),
                amf: hex::encode(amf),
            },
            Credential::Digest { realm, md5, sha256 } => {
                let HashesDocument { ha1, name_ha1 } = HashesDocument::of(md5);
                let sha256 = sha256.as_ref().map(HashesDocument::of);
                CredentialDocument::Digest { realm: realm.clone(), ha1, name_ha1, sha256 }
            }
        };
        let sets = subscriber.sets.iter().map(|set| SetDocument {
            identities: set
                .identities
                .iter()
                .map(|id| IdentityDocument { uri: id.uri.clone(), barred: id.barred })
                .collect(),
            criteria: set.criteria.clone(),
        });
        Document {
            impi: subscriber.impi.clone(),
            imsi: subscriber.imsi.as_ref().map(Imsi::to_string),
            msisdns: subscriber.msisdns.iter().map(Msisdn::to_string).collect(),
            credential,
            sets: sets.collect(),
            mandatory_capabilities: subscriber.capabilities.mandatory.clone(),
            optional_capabilities: subscriber.capabilities.optional.clone(),
            ocs: subscriber.charging.ocs.clone(),
            cdf: subscriber.charging.cdf.clone(),
            roaming: subscriber.roaming.clone(),
        }
    }

    fn subscriber(self) -> Result<Subscriber, RecordError> {
        let key = |text: &str, name| {
            hex::decode_array(text).map(Secret::new).ok_or(SubscriberError::Key(name))
        };
        let credential = match self.credential {
            CredentialDocument::Aka { k, opc, amf } => Credential::Aka {
                k: key(&k, "K")?,
                opc: key(&opc, "OPc")?,
                amf: hex::decode_array(&amf).ok_or(SubscriberError::Amf)?,
            },
            CredentialDocument::Digest { realm, ha1, name_ha1, sha256 } => Credential::Digest {
                realm,
                md5: HashesDocument { ha1, name_ha1 }.hashes(),
                sha256: sha256.map(HashesDocument::hashes),
            },
        };
        let sets = self.sets.into_iter().map(|set| ImplicitSet {
            identities: set
                .identities
                .into_iter()
                .map(|id| PublicIdentity { uri: id.uri, barred: id.barred })
                .collect(),
            criteria: set.criteria,
        });
        let imsi = self.imsi.map(|imsi| Imsi::new(&imsi)).transpose();
        let msisdns = self.msisdns.iter().map(|number| Msisdn::new(number)).collect();
        let subscriber = Subscriber {
            impi: self.impi,
            imsi: imsi.map_err(SubscriberError::from)?,
            msisdns: Result::<_, _>::map_err(msisdns, SubscriberError::from)?,
            credential,
            sets: sets.collect(),
            capabilities: Capabilities {
                mandatory: self.mandatory_capabilities,
                optional: self.optional_capabilities,
            },
            charging: Charging { ocs: self.ocs, cdf: self.cdf },
            roaming: self.roaming,
        };
        subscriber.validate()?;
        Ok(subscriber)
    }
}

fn put(table: Table, key: &str, content: &impl Serialize) -> Change {
    let value = serde_json::to_vec(&Versioned { version: VERSION, content })
        .expect("strings, numbers and lists can be written as JSON");
    Change::Put { table, key: Bytes::copy_from_slice(key.as_bytes()), value: value.into() }
}

fn delete(table: Table, key: &str) -> Change {
    Change::Delete { table, key: Bytes::copy_from_slice(key.as_bytes()) }
}

fn parse<T: DeserializeOwned>(value: &[u8]) -> Result<T, RecordError> {
    let OnlyVersion { version } = serde_json::from_slice(value)?;
    if version > VERSION {
        return Err(RecordError::Version(version));
    }
    Ok(serde_json::from_slice::<Versioned<T>>(value)?.content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscriber::OperatorKey;

    #[test]
    fn there_and_back() {
        let k = Secret::new([0xab; 16]);
        let operator = OperatorKey::Opc(Secret::new([2; 16]));
        let numbers = ["491701".to_owned()];
        let mut subscriber =
            Subscriber::from_sim("001010000000001", &numbers, k, operator, [0x80, 0], "ex.org")
                .unwrap();
        subscriber.roaming = Some(vec!["visited.org".to_owned()]);
        subscriber.capabilities.mandatory = vec![7];
        let changes = records(&subscriber);
        assert_eq!(changes.len(), 4);
        let Change::Put { table: SUBSCRIBER, key, value } = &changes[0] else { panic!() };
        assert_eq!(&key[..], b"001010000000001@ex.org");
        assert_eq!(parse_subscriber(value).unwrap(), subscriber);
        let Change::Put { table: IDENTITY, key, value } = &changes[3] else { panic!() };
        assert_eq!(&key[..], b"tel:+491701");
        assert_eq!(parse_identity(value).unwrap(), subscriber.impi);
        assert_eq!(removal(&subscriber).len(), 6);
        let mut other = subscriber.clone();
        other.sets[0].identities.pop();
        let changed = replacement(&subscriber, &other);
        let gone = Bytes::from_static(b"tel:+491701");
        assert!(changed.contains(&Change::Delete { table: IDENTITY, key: gone }));
    }

    /// A record of before SHA-256 was kept.
    #[test]
    fn a_password_without_sha_256_is_read() {
        let password = Secret::new("p".to_owned());
        let alice = Subscriber::with_password("alice", &password, &[], "ex.org").unwrap();
        let Change::Put { value, .. } = &records(&alice)[0] else { panic!() };
        assert_eq!(parse_subscriber(value).unwrap(), alice);
        let mut old: serde_json::Value = serde_json::from_slice(value).unwrap();
        let digest = old["credential"]["digest"].as_object_mut().unwrap();
        assert!(digest.remove("sha256").is_some());
        let read = parse_subscriber(old.to_string().as_bytes()).unwrap();
        assert!(matches!(read.credential, Credential::Digest { sha256: None, .. }));
    }

    #[test]
    fn damaged_and_newer_records_are_refused() {
        assert!(matches!(parse_sqn(b"{"), Err(RecordError::Json(_))));
        assert!(matches!(parse_sqn(b"{\"version\":2}"), Err(RecordError::Version(2))));
        let bad = br#"{"version":1,"impi":"x","credential":{"aka":{"k":"00","opc":"","amf":""}},"sets":[]}"#;
        let error = parse_subscriber(bad).unwrap_err().to_string();
        assert_eq!(error, "K must be 32 hexadecimal digits");
    }
}
