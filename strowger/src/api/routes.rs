//! What there is: the one list behind the answers and their description.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Describe,
    List,
    Create,
    Show,
    Write,
    Remove,
    Bar,
    Unbar,
    Deregister,
    Trace,
}

impl Operation {
    /// Whether something is different afterwards.
    pub(super) fn changes(self) -> bool {
        !matches!(self, Operation::Describe | Operation::List | Operation::Show | Operation::Trace)
    }
}

/// One operation.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// `{who}` stands for a subscriber.
    pub(super) path: &'static str,
    pub(super) operation: Operation,
    pub(super) summary: &'static str,
    /// Query parameters, and what they say.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The schema of the content, and whether it may be left out.
    pub(super) content: Option<(&'static str, bool)>,
    /// The status of success, and the schema of what comes with it.
    pub(super) success: (u16, Option<&'static str>),
    /// Other statuses beside 401, 500 and 503.
    pub(super) errors: &'static [u16],
}

const fn route(
    method: &'static str,
    path: &'static str,
    operation: Operation,
    summary: &'static str,
) -> Route {
    let success = (200, Some("Subscriber"));
    Route { method, path, operation, summary, query: &[], content: None, success, errors: &[404] }
}

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    Route {
        success: (200, Some("Description")),
        errors: &[],
        ..route("GET", "/v1/openapi.json", Operation::Describe, "This description; needs no token")
    },
    Route {
        query: &[("after", "The private identity after which the page begins")],
        success: (200, Some("Page")),
        errors: &[400],
        ..route(
            "GET",
            "/v1/subscribers",
            Operation::List,
            "A page of subscribers in the order of their private identities",
        )
    },
    Route {
        content: Some(("NewSubscriber", true)),
        success: (201, Some("Subscriber")),
        errors: &[400, 409],
        ..route("POST", "/v1/subscribers", Operation::Create, "Add a subscriber")
    },
    route("GET", "/v1/subscribers/{who}", Operation::Show, "Show a subscriber"),
    Route {
        content: Some(("NewSubscriber", true)),
        errors: &[400, 409],
        ..route(
            "PUT",
            "/v1/subscribers/{who}",
            Operation::Write,
            "Add a subscriber or write over the one of the same private identity; the network follows at once",
        )
    },
    Route {
        success: (204, None),
        ..route(
            "DELETE",
            "/v1/subscribers/{who}",
            Operation::Remove,
            "Remove a subscriber; his registration ends at once",
        )
    },
    route(
        "POST",
        "/v1/subscribers/{who}/bar",
        Operation::Bar,
        "Bar a subscriber: he can neither register nor call nor be called",
    ),
    route("POST", "/v1/subscribers/{who}/unbar", Operation::Unbar, "Unbar a subscriber"),
    Route {
        content: Some(("Deregistration", false)),
        errors: &[400, 404, 409],
        ..route(
            "POST",
            "/v1/subscribers/{who}/deregister",
            Operation::Deregister,
            "End a subscriber's registration; he may register again",
        )
    },
    Route {
        query: &[(
            "who",
            "A subscriber (number, IMSI, sip: or tel: URI, private identity) or a Call-ID; without it everything",
        )],
        success: (200, Some("Message")),
        errors: &[400],
        ..route(
            "GET",
            "/v1/trace",
            Operation::Trace,
            "The messages that the process remembers, one JSON document a line, key material overwritten",
        )
    },
];

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) operation: Operation,
    /// The subscriber of the path, decoded; empty if there is none in it.
    pub(super) who: String,
}

/// Finds the operation of a method and a path.
pub(super) fn find(method: &str, path: &str) -> Result<Found, Problem> {
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(who) = fits(route.path, path) else { continue };
        // RFC 9110 §9.3.2.
        if route.method == method || (route.method == "GET" && method == "HEAD") {
            let who = who.map_err(|()| Problem::new(400, "the path is not UTF-8"))?;
            return Ok(Found { operation: route.operation, who: who.into_owned() });
        }
        allowed.push(route.method);
    }
    match allowed.is_empty() {
        true => Err(Problem::new(
            404,
            "there is nothing here; GET /v1/openapi.json tells what there is",
        )),
        false => Err(Problem::method_not_allowed(allowed.join(", "))),
    }
}

/// Whether a path is one of a template; what stands for `{who}`.
fn fits<'a>(template: &str, path: &'a str) -> Option<Result<Cow<'a, str>, ()>> {
    let mut who = Ok(Cow::Borrowed(""));
    let mut parts = path.split('/');
    for expected in template.split('/') {
        match (expected, parts.next()?) {
            ("{who}", "") => return None,
            ("{who}", part) => who = percent_decode_str(part).decode_utf8().map_err(|_| ()),
            (expected, part) if expected == part => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(who)
}

/// A query parameter, decoded as a form (WHATWG URL §5.1) sends it.
///
/// # Errors
/// A parameter that is not `known`, or is no UTF-8: whoever asks for what there is not gets no answer
/// to another question.
pub(super) fn parameter(query: &str, known: &str) -> Result<Option<String>, Problem> {
    let mut found = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name != known {
            return Err(Problem::new(400, format!("only the parameter {known:?} is known here")));
        }
        let value = value.replace('+', " ");
        let value = percent_decode_str(&value).decode_utf8();
        let value = value.map_err(|_| Problem::new(400, format!("{known} is not UTF-8")))?;
        found = Some(value.into_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_and_decoded() {
        let who = |path: &str| find("GET", path).map(|found| (found.operation, found.who));
        let show = |name: &str| (Operation::Show, name.to_owned());
        assert_eq!(who("/v1/subscribers/alice").unwrap(), show("alice"));
        assert_eq!(who("/v1/subscribers/tel:+491701").unwrap(), show("tel:+491701"));
        assert_eq!(who("/v1/subscribers/sip%3Aa%40b%2fc").unwrap(), show("sip:a@b/c"));
        assert_eq!(who("/v1/subscribers").unwrap(), (Operation::List, String::new()));
        let status = |method: &str, path: &str| find(method, path).unwrap_err().response().status;
        assert_eq!(status("GET", "/v1/subscribers/"), 404);
        assert_eq!(status("GET", "/v1/subscribers/a/b"), 404);
        assert_eq!(status("GET", "/v1/subscribers/%ff"), 400);
        assert_eq!(status("PATCH", "/v1/subscribers/a"), 405);
        assert_eq!(status("GET", "/v1/subscribers/a/bar"), 405);
        assert!(find("HEAD", "/v1/trace").is_ok());
    }

    #[test]
    fn parameters_are_known_or_refused() {
        let who = |query: &str| parameter(query, "who").map_err(|p| p.response().status);
        assert_eq!(who(""), Ok(None));
        assert_eq!(who("who=tel%3A%2B49+1"), Ok(Some("tel:+49 1".to_owned())));
        assert_eq!(who("whom=x"), Err(400));
        assert_eq!(who("who=%ff"), Err(400));
    }
}
