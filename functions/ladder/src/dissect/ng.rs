//! NG: commands and results of the media relay.

use base::{Bytes, Service};
use ng::{Dict, Message, MessageError, Value};

use super::{Key, Summary, plain};

pub(super) fn summary(bytes: &Bytes) -> Summary {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(error) => {
            let mut out = Summary::new(Service::Ng, format!("malformed NG: {error}"));
            if let MessageError::Body { cookie, .. } = error {
                out.transaction = cookie;
            }
            return out;
        }
    };
    let dict = &message.dict;
    let command = dict.text("command");
    let title = match (command, dict.text("result"), dict.text("error-reason")) {
        (Some(command), ..) => format!("NG {command}"),
        (None, Some(result), Some(reason)) => format!("NG {result}: {reason}"),
        (None, Some(result), None) => format!("NG {result}"),
        (None, None, _) => "NG".to_owned(),
    };
    let mut out = Summary::new(Service::Ng, title);
    out.answer = command.is_none().then_some(0);
    out.failed = !matches!(dict.text("result"), Some("ok" | "pong"));
    out.verb = command.unwrap_or_default().to_owned();
    out.transaction.clone_from(&message.cookie);
    for name in ["call-id", "from-tag", "to-tag", "direction"] {
        out.push_detail(name, dict.text(name));
    }
    if let Some(description) = dict.text("sdp") {
        let line = |prefix: &str| description.lines().find(|l| l.starts_with(prefix));
        out.push_detail("connection", line("c="));
        out.push_detail("media", line("m="));
    }
    if let Some(id) = dict.text("call-id").filter(|id| !id.is_empty()) {
        out.push_key(Key::CallId(id.to_owned()));
    }
    out
}

pub(super) fn full(bytes: &Bytes) -> Option<String> {
    let message = Message::parse(bytes).ok()?;
    let mut out = format!("cookie {}\n", message.cookie);
    show_dict(&message.dict, 0, &mut out);
    Some(out)
}

fn show_dict(dict: &Dict, depth: usize, out: &mut String) {
    for (name, value) in dict.iter() {
        out.push_str(&format!("{:depth$}{}:", "", plain(name), depth = depth * 2));
        show(value, depth + 1, out);
    }
}

fn show(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Int(int) => out.push_str(&format!(" {int}\n")),
        Value::Text(text) => {
            let text = String::from_utf8_lossy(text);
            if text.contains('\n') {
                out.push('\n');
                for line in text.lines() {
                    out.push_str(&format!("{:depth$}{}\n", "", plain(line), depth = depth * 2));
                }
            } else {
                out.push_str(&format!(" {}\n", plain(&text)));
            }
        }
        Value::List(list) => {
            out.push('\n');
            for member in list {
                out.push_str(&format!("{:depth$}-", "", depth = depth * 2));
                show(member, depth + 1, out);
            }
        }
        Value::Dict(dict) => {
            out.push('\n');
            show_dict(dict, depth, out);
        }
    }
}
