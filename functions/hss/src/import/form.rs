//! A subscriber as a small JSON document: what a person or a program says of him, nothing derived.

use base::redact::Secret;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{AMF, ImportError, amf, key, operator};
use crate::profile::FilterCriteria;
use crate::subscriber::{Subscriber, SubscriberError};

/// A SIM (`imsi`, `k`, `opc` or `op`, `amf`) or a name with a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default, deserialize_with = "text")]
    imsi: Option<String>,
    #[serde(default, deserialize_with = "text")]
    k: Option<String>,
    #[serde(default, deserialize_with = "text")]
    opc: Option<String>,
    #[serde(default, deserialize_with = "text")]
    op: Option<String>,
    #[serde(default, deserialize_with = "text")]
    amf: Option<String>,
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    password: Option<String>,
    #[serde(default)]
    msisdn: Vec<String>,
    #[serde(default)]
    ifc: Vec<String>,
    #[serde(default, deserialize_with = "text")]
    domain: Option<String>,
}

/// What stands there is a text: `null` is nothing that anybody means.
fn text<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    String::deserialize(value).map(Some)
}

/// The subscriber that a document tells: `imsi` with `k`, `opc` or `op`, and `amf`, or `name` with
/// `password`; telephone numbers as the list `msisdn`, filter criteria as text in the list `ifc`.
/// Without `domain` he is one of `home_domain`.
///
/// # Errors
/// What is wrong with it.
pub fn form(document: &[u8], home_domain: &str) -> Result<Subscriber, ImportError> {
    // An object: a list of the same values would be taken otherwise.
    let read = serde_json::from_slice::<Map<String, Value>>(document);
    let read = read.and_then(|object| serde_json::from_value::<Form>(object.into()));
    let form = read.map_err(|error| ImportError::Json(error.to_string()))?;
    let domain = form.domain.as_deref().unwrap_or(home_domain);
    let keys = form.k.is_some() || form.opc.is_some() || form.op.is_some() || form.amf.is_some();
    let both = form.opc.is_some() && form.op.is_some();
    let subscriber = match (&form.imsi, &form.name) {
        (Some(imsi), None) if form.password.is_none() && !both => {
            let k = key(form.k.as_deref().ok_or(SubscriberError::NoCredential)?, "K")?;
            let operator = operator(form.opc.as_deref(), form.op.as_deref())?;
            let amf = form.amf.as_deref().map_or(Ok(AMF), amf)?;
            Subscriber::from_sim(imsi, &form.msisdn, k, operator, amf, domain)?
        }
        (None, Some(name)) if !keys => {
            let password = form.password.clone().filter(|password| !password.is_empty());
            let password = Secret::new(password.ok_or(SubscriberError::NoCredential)?);
            Subscriber::with_password(name, &password, &form.msisdn, domain)?
        }
        _ => {
            return Err(ImportError::Field(
                "imsi with k and one of opc and op, or name with password,",
            ));
        }
    };
    let criteria = FilterCriteria::parse_all(form.ifc.iter().map(String::as_str))?;
    Ok(subscriber.with_criteria(criteria)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sim_or_a_name_and_never_both() {
        let k = "465b5ce8b199b49faa5f0a2ee238a6bc";
        let read = |text: &str| form(text.replace('K', k).as_bytes(), "ex.org");
        let sim =
            read(r#"{"imsi": "001010000000001", "k": "K", "op": "K", "msisdn": ["+491701"]}"#);
        assert_eq!(sim.unwrap().impi, "001010000000001@ex.org");
        let name = r#"{"name": "alice", "password": "p", "domain": "a.org", "ifc": ["sip:as"]}"#;
        let alice = read(name).unwrap();
        assert_eq!((alice.impi.as_str(), alice.sets[0].criteria.len()), ("alice@a.org", 1));
        let wrong = |text: &str| read(text).unwrap_err().to_string();
        assert!(wrong(r#"{"name": "a", "password": ""}"#).contains("or a password"));
        assert!(wrong(r#"{"imsi": "001010000000001", "k": "K"}"#).contains("OP or OPc"));
        assert!(wrong(r#"{"name": "a", "password": "p", "k": "K"}"#).contains("one of opc and op"));
        let both = r#"{"imsi": "001010000000001", "k": "K", "op": "K", "opc": "K"}"#;
        assert!(wrong(both).contains("one of opc and op"));
        assert!(wrong(r#"{"nam": "a"}"#).contains("unknown field `nam`"));
        assert!(wrong(r#"{"name": "a", "password": "p", "domain": null}"#).contains("null"));
        assert!(wrong("[]").starts_with("not a JSON document"));
        let criteria = wrong(r#"{"name": "a", "password": "p", "ifc": ["as"]}"#);
        assert!(criteria.contains("expected the application server's SIP URI"), "{criteria}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = form(&bytes, "ex.org");
        }
    }
}
