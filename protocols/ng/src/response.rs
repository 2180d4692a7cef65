//! Responses.

use crate::value::{Dict, Value};

/// `result`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Done.
    Ok,
    /// The answer to a ping.
    Pong,
    /// Not done; `error-reason` says why.
    Error,
    /// Not done: the relay is full.
    LoadLimit,
}

impl Outcome {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Pong => "pong",
            Outcome::Error => "error",
            Outcome::LoadLimit => "load limit",
        }
    }
}

/// A response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// Whether it was done.
    pub outcome: Outcome,
    /// The rewritten description.
    pub sdp: Option<Vec<u8>>,
    /// Why it was not done.
    pub error_reason: Option<String>,
    /// What was odd although it was done.
    pub warning: Option<String>,
    /// All other keys.
    pub other: Dict,
}

impl Response {
    /// A response that says no more than its outcome.
    pub fn new(outcome: Outcome) -> Response {
        Response { outcome, sdp: None, error_reason: None, warning: None, other: Dict::new() }
    }

    /// An error with its reason.
    pub fn error(reason: impl Into<String>) -> Response {
        Response { error_reason: Some(reason.into()), ..Response::new(Outcome::Error) }
    }

    /// Reads a dictionary; `None` if it has no `result` that we know.
    pub fn from_dict(dict: &Dict) -> Option<Response> {
        let all = [Outcome::Ok, Outcome::Pong, Outcome::Error, Outcome::LoadLimit];
        let name = dict.text("result")?;
        let mut response = Response::new(all.into_iter().find(|o| o.as_str() == name)?);
        for (key, value) in dict.iter() {
            match (key, value) {
                ("result", _) => {}
                ("sdp", Value::Text(text)) => response.sdp = Some(text.clone()),
                ("error-reason", value) => {
                    response.error_reason = value.as_str().map(str::to_owned)
                }
                ("warning", value) => response.warning = value.as_str().map(str::to_owned),
                (key, value) => response.other.push(key, value.clone()),
            }
        }
        Some(response)
    }

    /// The dictionary, with `result` last as rtpengine writes it.
    pub fn to_dict(&self) -> Dict {
        let mut dict = self.other.clone();
        if let Some(sdp) = &self.sdp {
            dict.push("sdp", sdp.clone());
        }
        if let Some(warning) = &self.warning {
            dict.push("warning", warning.as_str());
        }
        dict.push("result", self.outcome.as_str());
        if let Some(reason) = &self.error_reason {
            dict.push("error-reason", reason.as_str());
        }
        dict
    }
}
