//! Subscribers: what is asked of the provisioner, and how he is shown. Secrets never are.

use hss::import::{Imported, form};
use hss::subscriber::canonical;
use hss::{Credential, Subscriber};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Sources;
use super::problem::Problem;
use super::routes::{Operation, parameter};
use crate::http::{Request, Response};
use crate::provision::{Ask, names};

/// What a deregistration says.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Deregistration {
    again: bool,
    reason: Option<String>,
}

pub(super) fn response(
    sources: &Sources,
    operation: Operation,
    who: &str,
    request: &Request,
) -> Result<Response, Problem> {
    let domain = &sources.domain;
    let names = || names(who, domain);
    let ask = match operation {
        Operation::List => Ask::List { after: parameter(&request.query, "after")? },
        Operation::Create => put(form(&request.body, domain)?, false),
        Operation::Write => {
            let subscriber = form(&request.body, domain)?;
            if !names().iter().any(|name| is_of(name, &subscriber)) {
                let detail = format!("the document is one of {}, not of {who}", subscriber.impi);
                return Err(Problem::new(400, detail));
            }
            put(subscriber, true)
        }
        Operation::Remove => Ask::Remove(names()),
        Operation::Bar => Ask::Bar { names: names(), barred: true },
        Operation::Unbar => Ask::Bar { names: names(), barred: false },
        Operation::Deregister => {
            let Deregistration { again, reason } = match &request.body[..] {
                [] => Deregistration::default(),
                body => serde_json::from_slice::<Map<String, Value>>(body)
                    .and_then(|object| serde_json::from_value(object.into()))
                    .map_err(|error| Problem::new(400, format!("the content: {error}")))?,
            };
            Ask::Deregister { names: names(), again, reason }
        }
        Operation::Show | Operation::Describe | Operation::Trace => Ask::Show(names()),
    };
    let found = sources.desk.ask(ask)?;
    if operation == Operation::List {
        let subscribers: Vec<Value> = found.subscribers.iter().map(view).collect();
        let mut page = json!({ "subscribers": subscribers });
        if let Some(last) = found.subscribers.last().filter(|_| found.more) {
            page["next"] = json!(last.impi);
        }
        return Ok(document(200, &page));
    }
    if operation == Operation::Remove {
        return Ok(Response::text(204, ""));
    }
    let Some(subscriber) = found.subscribers.first() else {
        return Err(Problem::new(500, "it was done, but nobody can be shown"));
    };
    let mut response =
        document(if operation == Operation::Create { 201 } else { 200 }, &view(subscriber));
    if operation == Operation::Create {
        let impi = utf8_percent_encode(&subscriber.impi, NON_ALPHANUMERIC);
        response.fields.push(("Location", format!("/v1/subscribers/{impi}")));
    }
    Ok(response)
}

fn put(subscriber: Subscriber, replace: bool) -> Ask {
    Ask::Put { subscribers: vec![Imported { subscriber, seq: None }], replace, check: false }
}

fn is_of(name: &str, subscriber: &Subscriber) -> bool {
    name == subscriber.impi
        || canonical(name).is_some_and(|impu| subscriber.set_of(&impu).is_some())
}

fn document(status: u16, value: &Value) -> Response {
    Response { content_type: "application/json", ..Response::text(status, format!("{value}\n")) }
}

fn view(subscriber: &Subscriber) -> Value {
    let sets: Vec<Value> = subscriber
        .sets
        .iter()
        .map(|set| {
            let identities = set.identities.iter();
            let identities = identities.map(|one| json!({ "uri": one.uri, "barred": one.barred }));
            let ifc = set.criteria.iter().map(ToString::to_string);
            json!({
                "identities": identities.collect::<Vec<_>>(),
                "ifc": ifc.collect::<Vec<_>>(),
            })
        })
        .collect();
    let numbers = subscriber.msisdns.iter().map(|number| format!("+{number}"));
    let mut view = json!({
        "impi": subscriber.impi,
        "msisdn": numbers.collect::<Vec<_>>(),
        "credential": match subscriber.credential {
            Credential::Aka { .. } => "sim",
            Credential::Digest { .. } => "password",
        },
        "sets": sets,
    });
    if let Some(imsi) = &subscriber.imsi {
        view["imsi"] = json!(imsi.as_str());
    }
    view
}
