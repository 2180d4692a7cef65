//! Requests and answers as JSON. A subscriber looks as the store writes him.

use base::store::Change;
use hss::Subscriber;
use hss::import::Imported;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::watch::Watch;
use crate::provision::{Ask, Found};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    Put {
        subscribers: Vec<Item>,
        #[serde(default)]
        replace: bool,
    },
    Remove {
        names: Vec<String>,
    },
    Show {
        names: Vec<String>,
    },
    List {
        #[serde(default)]
        after: Option<String>,
    },
    Trace(Watch),
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
    Ok { subscribers: Vec<Value>, more: bool },
    Error(String),
}

impl Request {
    pub(super) fn of(ask: &Ask) -> Request {
        match ask {
            Ask::Put { subscribers, replace } => {
                let item = |imported: &Imported| Item {
                    subscriber: document(&imported.subscriber),
                    seq: imported.seq,
                };
                let subscribers = subscribers.iter().map(item).collect();
                Request::Put { subscribers, replace: *replace }
            }
            Ask::Remove(names) => Request::Remove { names: names.clone() },
            Ask::Show(names) => Request::Show { names: names.clone() },
            Ask::List { after } => Request::List { after: after.clone() },
        }
    }

    pub(super) fn ask(self) -> Result<Ask, String> {
        Ok(match self {
            Request::Put { subscribers, replace } => {
                let imported = |item: Item| {
                    Ok(Imported { subscriber: subscriber(&item.subscriber)?, seq: item.seq })
                };
                let subscribers: Result<_, String> =
                    subscribers.into_iter().map(imported).collect();
                Ask::Put { subscribers: subscribers?, replace }
            }
            Request::Remove { names } => Ask::Remove(names),
            Request::Show { names } => Ask::Show(names),
            Request::List { after } => Ask::List { after },
            Request::Trace(_) => return Err("the provisioner knows no messages".to_owned()),
        })
    }
}

impl Response {
    pub(super) fn of(result: Result<Found, String>) -> Response {
        match result {
            Ok(found) => Response::Ok {
                subscribers: found.subscribers.iter().map(document).collect(),
                more: found.more,
            },
            Err(text) => Response::Error(text),
        }
    }

    pub(super) fn found(self) -> Result<Found, String> {
        match self {
            Response::Ok { subscribers, more } => {
                let subscribers: Result<_, String> = subscribers.iter().map(subscriber).collect();
                Ok(Found { subscribers: subscribers?, more })
            }
            Response::Error(text) => Err(text),
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
