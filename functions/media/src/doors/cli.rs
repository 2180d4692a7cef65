//! Commands of an operator, as `rtpengine-ctl` sends them. Words are parted by spaces, in paths also by slashes.

use base::Flow;
use base::log::{Event, Severity};
use ng::{Command, Encoding, Outcome, Request, Response};

use super::params::{ALL, Parameter};
use super::{Batch, Form, show};
use crate::machine::{Asker, Media};

const MORE: &str = "More parameters required.\n";
const TOP: &[&str] = &["list", "get", "set", "params", "terminate"];
const LIST: &[&str] = &["numsessions", "sessions", "totals", "jsonstats", "interfaces"];
const PARAMS: &[&str] = &["start", "current", "diff", "revert"];

/// What is made of the answer to the request that a command became.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum View {
    /// A call, of the answer to `query`.
    Session(String),
    /// Its end.
    Terminated(String),
}

impl Media {
    /// Does what a command says, and answers it.
    pub(super) fn command_line(&mut self, flow: Flow, text: &str) {
        // Several lines are one command too many: rtpengine takes the first one.
        let text = text.trim_start().lines().next().unwrap_or_default().trim_end();
        let (verb, rest) = word(text);
        let answer = match verb {
            "list" | "get" => self.cli_list(flow, rest),
            "set" => Some(self.cli_set(flow, rest)),
            "params" => Some(self.cli_params(rest)),
            "terminate" => self.cli_terminate(flow, rest),
            "help" => Some(help(TOP)),
            _ => Some(unknown(text)),
        };
        if let Some(answer) = answer {
            self.say(flow, answer);
        }
    }

    fn cli_list(&mut self, flow: Flow, text: &str) -> Option<String> {
        let (what, rest) = word(text);
        Some(match what {
            "" => MORE.to_owned(),
            "help" => help(&[LIST, &ALL.map(|parameter| parameter.word)].concat()),
            "numsessions" => show::counts(self),
            "sessions" => match rest {
                "" => MORE.to_owned(),
                "all" => show::sessions(self, "No sessions on this media relay.\n"),
                "own" => show::sessions(self, "No own sessions on this media relay.\n"),
                "foreign" => "No foreign sessions on this media relay.\n".to_owned(),
                id if self.by_id.contains_key(id) => {
                    self.cli_ask(flow, Command::Query, id, Form::Cli(View::Session(id.to_owned())));
                    return None;
                }
                id => format!("\nCall ID not found ({id}).\n\n"),
            },
            "totals" => show::totals(self),
            "jsonstats" => show::json(self),
            "interfaces" => show::interfaces(self),
            other => match Parameter::of(other) {
                Some(parameter) => {
                    format!("{}{}\n", parameter.before, parameter.value(&mut self.config))
                }
                None => unknown(text),
            },
        })
    }

    fn cli_set(&mut self, flow: Flow, text: &str) -> String {
        let (what, value) = word(text);
        let Some(parameter) = Parameter::of(what) else {
            return match what {
                "" => MORE.to_owned(),
                "help" => help(&ALL.map(|parameter| parameter.word)),
                _ => unknown(text),
            };
        };
        if value.is_empty() {
            return MORE.to_owned();
        }
        let initial = self.config.clone();
        let number = value.parse().ok();
        if number.and_then(|number| parameter.set(&mut self.config, number)).is_none() {
            return format!("Fail setting {what} to {value}; a number of 0 or more is needed\n");
        }
        self.doors.initial.get_or_insert(initial);
        let text = format!("{} set {what} to {value} until the next reload", flow.remote);
        self.note(Event::new(Severity::Info, "cli.set", text));
        self.arm_all();
        format!("Success setting {what} to {value}\n")
    }

    fn cli_params(&mut self, text: &str) -> String {
        let mut initial = self.doors.initial.clone().unwrap_or_else(|| self.config.clone());
        let mut out = String::new();
        match word(text).0 {
            "" => return MORE.to_owned(),
            "help" => return help(PARAMS),
            "start" => show::parameters(&mut initial, &mut out),
            "current" => show::parameters(&mut self.config, &mut out),
            "diff" => {
                for parameter in &ALL {
                    let values = [&mut initial, &mut self.config].map(|c| parameter.value(c));
                    if values[0] != values[1] {
                        out += &format!("{}: {} => {}\n", parameter.name, values[0], values[1]);
                    }
                }
            }
            "revert" => {
                if let Some(initial) = self.doors.initial.take() {
                    self.config = initial;
                    self.arm_all();
                }
            }
            _ => return unknown(text),
        }
        out
    }

    fn cli_terminate(&mut self, flow: Flow, text: &str) -> Option<String> {
        let all = match text {
            "" => return Some(MORE.to_owned()),
            "foreign" => return Some("All foreign calls terminated by operator.\n".to_owned()),
            "all" => "All calls terminated by operator.\n",
            "own" => "All own calls terminated by operator.\n",
            id if self.by_id.contains_key(id) => {
                self.cli_ask(flow, Command::Delete, id, Form::Cli(View::Terminated(id.to_owned())));
                return None;
            }
            id => return Some(format!("\nCall Id not found ({id}).\n\n")),
        };
        let ids: Vec<String> = self.by_id.keys().cloned().collect();
        if ids.is_empty() {
            return Some(all.to_owned());
        }
        let (number, left) = (self.number(), ids.len());
        self.doors.batches.push(Batch { number, flow, left, text: all });
        ids.iter().for_each(|id| self.cli_ask(flow, Command::Delete, id, Form::Batch(number)));
        None
    }

    /// Asks as a proxy would.
    fn cli_ask(&mut self, flow: Flow, command: Command, id: &str, form: Form) {
        let asker = Asker { flow, cookie: String::new(), encoding: Encoding::Bencode, form };
        let call_id = Some(id.to_owned());
        self.request(
            asker,
            Request { command, call_id, delete_delay: Some(0), ..Request::default() },
        );
    }

    /// The text for the answer to a request that a command became.
    pub(crate) fn view(&self, view: &View, response: &Response) -> String {
        let done = response.outcome == Outcome::Ok && response.warning.is_none();
        match view {
            View::Session(id) if done => show::session(self, id, &response.other),
            View::Terminated(id) if done => {
                format!("\nCall Id ({id}) successfully terminated by operator.\n\n")
            }
            View::Session(id) => format!("\nCall ID not found ({id}).\n\n"),
            View::Terminated(id) => format!("\nCall Id not found ({id}).\n\n"),
        }
    }
}

/// The first word, and what stands behind it.
fn word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once([' ', '/']).unwrap_or((text, ""));
    (first, rest.trim())
}

fn help(words: &[&str]) -> String {
    let mut out = "Available sub-commands at this level:\n".to_owned();
    for word in words {
        out += "\t";
        out += word;
        out += "\n";
    }
    out
}

fn unknown(text: &str) -> String {
    format!("Unknown or incomplete command::{text}\n")
}
