//! Requests and answers as JSON. A subscriber looks as the store writes him.

use auth::hex;
use base::store::Change;
use hss::Subscriber;
use hss::import::Imported;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::watch::Watch;
use crate::archive::{Line, LineError, TABLES};
use crate::config::Changes;
use crate::provision::{Ask, Found};

/// The answer is one to another request.
pub(super) const OTHER: &str = "it answers something else";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    Put {
        subscribers: Vec<Item>,
        #[serde(default)]
        replace: bool,
        #[serde(default)]
        check: bool,
    },
    Remove {
        names: Vec<String>,
    },
    Bar {
        names: Vec<String>,
        barred: bool,
    },
    Deregister {
        names: Vec<String>,
        #[serde(default)]
        again: bool,
        #[serde(default)]
        reason: Option<String>,
    },
    Show {
        names: Vec<String>,
    },
    List {
        #[serde(default)]
        after: Option<String>,
    },
    /// `after` is the key of a line, in hexadecimal digits.
    Dump {
        table: String,
        #[serde(default)]
        after: Option<String>,
    },
    Trace(Watch),
    Events {},
    Reload {},
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    subscriber: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Response {
    Ok {
        subscribers: Vec<Value>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        records: Vec<Line>,
        more: bool,
    },
    Reloaded(Changes),
    Error(String),
}

impl Request {
    pub(super) fn of(ask: &Ask) -> Request {
        match ask {
            Ask::Put { subscribers, replace, check } => {
                let item = |imported: &Imported| Item {
                    subscriber: document(&imported.subscriber),
                    seq: imported.seq,
                };
                let subscribers = subscribers.iter().map(item).collect();
                Request::Put { subscribers, replace: *replace, check: *check }
            }
            Ask::Remove(names) => Request::Remove { names: names.clone() },
            Ask::Bar { names, barred } => Request::Bar { names: names.clone(), barred: *barred },
            Ask::Deregister { names, again, reason } => {
                Request::Deregister { names: names.clone(), again: *again, reason: reason.clone() }
            }
            Ask::Show(names) => Request::Show { names: names.clone() },
            Ask::List { after } => Request::List { after: after.clone() },
            Ask::Dump { table, after } => {
                let after = after.as_ref().map(|after| hex::encode(after));
                Request::Dump { table: table.0.to_owned(), after }
            }
        }
    }

    pub(super) fn ask(self) -> Result<Ask, String> {
        Ok(match self {
            Request::Put { subscribers, replace, check } => {
                let imported = |item: Item| {
                    Ok(Imported { subscriber: subscriber(&item.subscriber)?, seq: item.seq })
                };
                let subscribers: Result<_, String> =
                    subscribers.into_iter().map(imported).collect();
                Ask::Put { subscribers: subscribers?, replace, check }
            }
            Request::Remove { names } => Ask::Remove(names),
            Request::Bar { names, barred } => Ask::Bar { names, barred },
            Request::Deregister { names, again, reason } => {
                Ask::Deregister { names, again, reason }
            }
            Request::Show { names } => Ask::Show(names),
            Request::List { after } => Ask::List { after },
            Request::Dump { table, after } => {
                let known = TABLES.into_iter().find(|known| known.0 == table);
                let table = known.ok_or_else(|| LineError::Table(table).to_string())?;
                let after = after.map(|after| hex::decode(&after).ok_or("after is no key"));
                Ask::Dump { table, after: after.transpose()?.map(Into::into) }
            }
            Request::Trace(_) | Request::Events {} | Request::Reload {} => {
                return Err("the provisioner knows subscribers only".to_owned());
            }
        })
    }
}

impl Response {
    pub(super) fn error(text: impl Into<String>) -> Response {
        Response::Error(text.into())
    }

    /// The answer as a line. A page that is too long for one ends early: there is more.
    pub(super) fn line(mut result: Result<Found, String>, longest: u64) -> Vec<u8> {
        loop {
            let mut line = serde_json::to_vec(&Response::of(&result)).unwrap_or_default();
            line.push(b'\n');
            match &mut result {
                Ok(found) if line.len() as u64 > longest && found.len() > 1 => {
                    found.halve();
                }
                Ok(_) if line.len() as u64 > longest => {
                    result = Err("this is too large to be told".to_owned());
                }
                _ => return line,
            }
        }
    }

    fn of(result: &Result<Found, String>) -> Response {
        match result {
            Ok(found) => Response::Ok {
                subscribers: found.subscribers.iter().map(document).collect(),
                records: found.records.iter().map(Line::of).collect(),
                more: found.more,
            },
            Err(text) => Response::Error(text.clone()),
        }
    }

    pub(super) fn found(self) -> Result<Found, String> {
        match self {
            Response::Ok { subscribers, records, more } => {
                let subscribers: Result<_, String> = subscribers.iter().map(subscriber).collect();
                let records = records.into_iter().map(Line::record).collect::<Result<_, _>>();
                let records = records.map_err(|error| error.to_string())?;
                Ok(Found { subscribers: subscribers?, records, more })
            }
            Response::Error(text) => Err(text),
            Response::Reloaded(_) => Err(OTHER.to_owned()),
        }
    }

    pub(super) fn reloaded(self) -> Result<Changes, String> {
        match self {
            Response::Reloaded(changes) => Ok(changes),
            Response::Error(text) => Err(text),
            Response::Ok { .. } => Err(OTHER.to_owned()),
        }
    }
}

/// The stored form of a subscriber.
fn document(subscriber: &Subscriber) -> Value {
    let records = hss::records(subscriber).into_iter();
    let value = records.filter_map(|change| match change {
        Change::Put { table, value, .. } if table == hss::records::SUBSCRIBER => Some(value),
        _ => None,
    });
    value.last().and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or_default()
}

fn subscriber(document: &Value) -> Result<Subscriber, String> {
    let text = document.to_string();
    hss::records::parse_subscriber(text.as_bytes()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::redact::Secret;

    /// A client takes no longer line: what it does not get is on the next page.
    #[test]
    fn a_page_that_is_too_long_ends_early() {
        let password = Secret::new("p".to_owned());
        let one = |n| Subscriber::with_password(&format!("u{n}"), &password, &[], "ex.org");
        let subscribers: Vec<_> = (0..100).map(|n| one(n).unwrap()).collect();
        let told = |longest| {
            let found = Found { subscribers: subscribers.clone(), ..Found::default() };
            let line = Response::line(Ok(found), longest);
            assert!(line.len() as u64 <= longest && line.ends_with(b"\n"));
            serde_json::from_slice::<Response>(&line).unwrap().found()
        };
        assert_eq!(told(1 << 20).unwrap().subscribers.len(), 100);
        let found = told(10_000).unwrap();
        assert!(found.more && (1..100).contains(&found.subscribers.len()));
        assert_eq!(found.subscribers[..], subscribers[..found.subscribers.len()]);
        assert!(told(100).unwrap_err().contains("too large"));
    }
}
