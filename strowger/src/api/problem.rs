//! Errors as problem details, RFC 9457.

use hss::import::ImportError;
use serde_json::json;

use crate::control::Asked;
use crate::http::{Response, reason};
use crate::provision::Refusal;

/// Why a request was not done.
#[derive(Debug)]
pub(super) struct Problem {
    status: u16,
    detail: String,
    field: Option<(&'static str, String)>,
}

impl Problem {
    pub(super) fn new(status: u16, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), field: None }
    }

    /// RFC 9110 §15.5.2, with the challenge.
    pub(super) fn unauthorized(challenge: &str) -> Problem {
        let detail = "send the token: Authorization: Bearer TOKEN";
        let field = Some(("WWW-Authenticate", challenge.to_owned()));
        Problem { field, ..Problem::new(401, detail) }
    }

    /// RFC 9110 §15.5.6, with the methods that there are.
    pub(super) fn method_not_allowed(allow: String) -> Problem {
        let detail = format!("only {allow} is possible here");
        Problem { field: Some(("Allow", allow)), ..Problem::new(405, detail) }
    }

    pub(super) fn response(self) -> Response {
        let body = json!({
            "status": self.status,
            "title": reason(self.status),
            "detail": self.detail,
        });
        Response {
            status: self.status,
            content_type: "application/problem+json",
            fields: self.field.into_iter().collect(),
            body: format!("{body}\n").into_bytes(),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Problem {
        Problem::new(400, error.to_string())
    }
}

impl From<Asked> for Problem {
    fn from(asked: Asked) -> Problem {
        let status = match &asked {
            Asked::Refused(refusal) => match refusal {
                Refusal::Unknown(_) => 404,
                Refusal::Exists(_)
                | Refusal::Taken { .. }
                | Refusal::NotRegistered(_)
                | Refusal::NoHss => 409,
                Refusal::TooMany => 413,
                Refusal::Busy => 503,
                Refusal::NotRunning | Refusal::Damaged(..) | Refusal::Store(_) => 500,
            },
            Asked::Silent(_) => 503,
        };
        // What helps at a command line is no help here.
        let detail = match &asked {
            Asked::Refused(Refusal::Unknown(who)) => format!("there is no subscriber {who:?}"),
            Asked::Refused(Refusal::Exists(impi)) => {
                format!("{impi} is there already; PUT writes over it")
            }
            asked => asked.to_string(),
        };
        Problem::new(status, detail)
    }
}
