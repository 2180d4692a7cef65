//! The description of the API as an OpenAPI document, version 3.1, made of [`ROUTES`].

use serde_json::{Map, Value, json};

use super::routes::{ROUTES, Route};
use crate::http::{Response, reason};

pub(super) fn response() -> Response {
    let text = format!("{:#}\n", document());
    Response { content_type: "application/json", ..Response::text(200, text) }
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(route);
        if route.path.contains("{who}") {
            path["parameters"] = json!([{
                "name": "who",
                "in": "path",
                "required": true,
                "description": "A private or public identity, a number, an IMSI, or a name",
                "schema": { "type": "string" },
            }]);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Strowger",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Subscribers and traces of a running telephone network.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, schema) = route.success;
    let mut success = json!({ "description": reason(status) });
    if let Some(schema) = schema {
        let kind = if schema == "Message" { "application/x-ndjson" } else { "application/json" };
        success["content"] = json!({ kind: { "schema": reference(schema) } });
    }
    responses.insert(status.to_string(), success);
    let open = route.errors.is_empty();
    let common: &[u16] = if open { &[] } else { &[401, 500, 503] };
    for status in route.errors.iter().chain(common) {
        let content = json!({ "application/problem+json": { "schema": reference("Problem") } });
        let error = json!({ "description": reason(*status), "content": content });
        responses.insert(status.to_string(), error);
    }
    let mut operation = json!({
        "operationId": format!("{:?}", route.operation).to_ascii_lowercase(),
        "summary": route.summary,
        "responses": responses,
    });
    if open {
        operation["security"] = json!([]);
    }
    if let Some((schema, required)) = route.content {
        operation["requestBody"] = json!({
            "required": required,
            "content": { "application/json": { "schema": reference(schema) } },
        });
    }
    if !route.query.is_empty() {
        let parameters = route.query.iter().map(|(name, description)| {
            json!({
                "name": name,
                "in": "query",
                "description": description,
                "schema": { "type": "string" },
            })
        });
        operation["parameters"] = parameters.collect();
    }
    operation
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn schemas() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let texts = |description: &str| json!({ "type": "array", "items": { "type": "string" }, "description": description });
    let matching = |pattern: &str, description: &str| json!({ "type": "string", "pattern": pattern, "description": description });
    let key = |description: &str| json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{32}$", "description": description });
    let object = |properties: Value, required: &[&str]| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
            "required": required,
        })
    };
    let ifc = "Initial filter criteria, a line each, as `strowger sub add --ifc` takes them";
    let numbers = json!({
        "type": "array",
        "items": { "type": "string", "pattern": r"^\+?[0-9]{3,15}$" },
        "description": "Telephone numbers with their country code, each once",
    });
    let domain = matching(
        r"^[A-Za-z0-9._:\[\]-]{1,100}$",
        "The home domain; that of the configuration unless told",
    );
    let sim = json!({
        "imsi": { "type": "string", "pattern": "^[0-9]{6,15}$" },
        "k": key("The SIM's key K"),
        "opc": key("The SIM's OPc"),
        "op": key("The operator's OP, if OPc is not known"),
        "amf": { "type": "string", "pattern": "^[0-9A-Fa-f]{4}$", "default": "8000" },
        "msisdn": numbers,
        "ifc": texts(ifc),
        "domain": domain,
    });
    let name = json!({
        "name": matching(
            r"^[A-Za-z0-9_.!~*'()%&=+$,/-]{1,128}$",
            "What stands before the @ of the SIP address",
        ),
        "password": { "type": "string", "minLength": 1, "writeOnly": true },
        "msisdn": numbers,
        "ifc": texts(ifc),
        "domain": domain,
    });
    let mut sim = object(sim, &["imsi", "k"]);
    sim["oneOf"] = json!([{ "required": ["opc"] }, { "required": ["op"] }]);
    let identity = object(
        json!({
            "uri": text("A sip: or tel: URI"),
            "barred": { "type": "boolean", "description": "It may only be used to register" },
        }),
        &["uri", "barred"],
    );
    let set = object(
        json!({ "identities": { "type": "array", "items": identity }, "ifc": texts(ifc) }),
        &["identities", "ifc"],
    );
    json!({
        "Description": { "type": "object" },
        "NewSubscriber": { "oneOf": [sim, object(name, &["name", "password"])] },
        "Subscriber": object(
            json!({
                "impi": text("The private identity"),
                "imsi": text("The IMSI of the SIM, if there is one"),
                "msisdn": numbers,
                "credential": { "enum": ["sim", "password"] },
                "sets": {
                    "type": "array",
                    "items": set,
                    "description": "Implicit registration sets, TS 23.228 §5.2.1a",
                },
            }),
            &["impi", "msisdn", "credential", "sets"],
        ),
        "Page": object(
            json!({
                "subscribers": { "type": "array", "items": reference("Subscriber") },
                "next": text("If there are more: what to ask for as `after`"),
            }),
            &["subscribers"],
        ),
        "Deregistration": object(
            json!({
                "again": {
                    "type": "boolean",
                    "default": false,
                    "description": "His phones are to register again at once",
                },
                "reason": text("Why, for the subscriber"),
            }),
            &[],
        ),
        "Message": text("One JSON document a line"),
        "Problem": {
            "type": "object",
            "properties": {
                "status": { "type": "integer" },
                "title": { "type": "string" },
                "detail": { "type": "string" },
            },
            "required": ["status", "title", "detail"],
            "description": "RFC 9457",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        for route in ROUTES {
            let described = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            assert!(described["summary"].is_string(), "{} {}", route.method, route.path);
        }
        let text = document.to_string();
        let references = text.split("#/components/schemas/").skip(1);
        let names: Vec<&str> = references.filter_map(|rest| rest.split('"').next()).collect();
        assert!(names.len() > 10);
        for name in names {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
