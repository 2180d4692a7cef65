//! The same offers and answers with the same wishes to two relays that speak NG, and what their descriptions have that
//! the other's have not.
//!
//! | File | What |
//! |---|---|
//! | `mod` | asks both, and tells the differences |
//! | `cases` | offers and wishes |
//! | `phone` | the answer of a phone to what it is shown |
//! | `plain` | descriptions without what each relay chooses by itself |
//! | `reasons` | the differences that are meant |

mod cases;
mod phone;
mod plain;
mod reasons;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, UdpSocket};

use ng::{Dict, Encoding, Message, Value};

pub use cases::{Case, cases};
pub use reasons::{REASONS, Reason};

use phone::answer_to;
use plain::plain;

/// Which description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// What the callee is shown.
    Offer,
    /// What the caller is told.
    Answer,
}

/// Whose description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// The other relay's.
    Theirs,
    /// Ours.
    Ours,
}

/// A line that one of them wrote and the other one did not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What was asked.
    pub case: Case,
    /// Where the line stands.
    pub step: Step,
    /// Who wrote it.
    pub whose: Whose,
    /// The section: `head`, or kind and protocol as the other relay shows them.
    pub section: String,
    /// The line, plain.
    pub line: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { case, step, whose, section, line } = self;
        write!(f, "{} {:?}: {step:?}, {section}, {whose:?}: {line}", case.name, case.flags)
    }
}

/// A relay that is asked.
pub struct Relay {
    socket: UdpSocket,
    cookie: u32,
}

impl Relay {
    /// The one that listens there.
    ///
    /// # Panics
    /// If there is no socket for it.
    pub fn new(own: &str, at: SocketAddr) -> Relay {
        let socket = UdpSocket::bind((own, 0)).expect("a socket");
        socket.connect(at).expect("an address");
        socket.set_read_timeout(Some(super::PATIENCE)).expect("a limit");
        Relay { socket, cookie: 0 }
    }

    /// Its answer to a request.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn ask(&mut self, dict: Dict) -> Dict {
        self.cookie += 1;
        let cookie = self.cookie.to_string();
        let message = Message { cookie: cookie.clone(), encoding: Encoding::Bencode, dict };
        self.socket.send(&message.emit()).expect("sent");
        loop {
            let mut bytes = vec![0; 65_536];
            let length = self.socket.recv(&mut bytes).expect("an answer");
            let answer = Message::parse(&bytes[..length]).expect("an answer of NG");
            if answer.cookie == cookie {
                return answer.dict;
            }
        }
    }

    /// What it makes of an offer and of the answer of a phone to that; no description if it refused.
    fn call(&mut self, case: &Case, call_id: &str) -> [Option<String>; 2] {
        let request = |command: &str, sdp: &str| {
            let mut dict = Dict::default()
                .with("command", command)
                .with("call-id", call_id)
                .with("from-tag", "caller")
                .with("sdp", sdp);
            let wishes = case.flags.iter().filter(|wish| command == "offer" || wish.is_of_both());
            let mut flags = Vec::new();
            for wish in wishes {
                match *wish {
                    Wish::Flag(word) => flags.push(Value::from(word)),
                    Wish::Key(key, text) => dict.push(key, text),
                    Wish::List(key, words) => {
                        let words = words.iter().map(|word| Value::from(*word));
                        dict.push(key, words.collect::<Value>());
                    }
                }
            }
            dict.push("flags", flags.into_iter().collect::<Value>());
            dict
        };
        let shown = |answer: Dict| answer.text("sdp").map(str::to_owned);
        let offer = shown(self.ask(request("offer", &case.offer)));
        let answer = offer.as_deref().and_then(|offer| {
            let answer = request("answer", &answer_to(offer)).with("to-tag", "callee");
            shown(self.ask(answer))
        });
        self.ask(
            Dict::default()
                .with("command", "delete")
                .with("call-id", call_id)
                .with("from-tag", "caller"),
        );
        [offer, answer]
    }
}

/// Asks both the same.
pub fn compare(
    theirs: &mut Relay,
    ours: &mut Relay,
    number: usize,
    case: &Case,
) -> Vec<Difference> {
    let call_id = format!("differential-{number}");
    let theirs = theirs.call(case, &call_id);
    let ours = ours.call(case, &call_id);
    let mut out = Vec::new();
    for ((step, theirs), ours) in [Step::Offer, Step::Answer].into_iter().zip(&theirs).zip(&ours) {
        let [theirs, ours] = [theirs, ours].map(|text| plain(text.as_deref()));
        for index in 0..theirs.len().max(ours.len()) {
            let lines = |sections: &[Vec<String>]| sections.get(index).cloned().unwrap_or_default();
            let (mut theirs, mut ours) = (lines(&theirs), lines(&ours));
            let section = match theirs.first() {
                Some(first) if index > 0 => first.clone(),
                _ => "head".to_owned(),
            };
            theirs.retain(|line| match ours.iter().position(|other| other == line) {
                Some(at) => {
                    ours.remove(at);
                    false
                }
                None => true,
            });
            let difference = |whose| {
                let (case, section) = (case.clone(), section.clone());
                move |line| Difference {
                    case: case.clone(),
                    step,
                    whose,
                    section: section.clone(),
                    line,
                }
            };
            out.extend(theirs.into_iter().map(difference(Whose::Theirs)));
            out.extend(ours.into_iter().map(difference(Whose::Ours)));
        }
    }
    out
}

/// How many differences each reason explains, and those that none does.
pub fn explain(differences: Vec<Difference>) -> (BTreeMap<&'static str, usize>, Vec<Difference>) {
    let mut counts: BTreeMap<&'static str, usize> =
        REASONS.iter().map(|reason| (reason.name, 0)).collect();
    let mut rest = Vec::new();
    for difference in differences {
        match REASONS.iter().find(|reason| (reason.explains)(&difference)) {
            Some(reason) => *counts.entry(reason.name).or_default() += 1,
            None => rest.push(difference),
        }
    }
    (counts, rest)
}

/// One wish of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// A word in the list `flags`.
    Flag(&'static str),
    /// A key with a text.
    Key(&'static str, &'static str),
    /// A key with a list of words.
    List(&'static str, &'static [&'static str]),
}

impl Wish {
    /// Whether the answer's request has it, too. What a side speaks is a matter of its offer: its answer follows by itself.
    fn is_of_both(self) -> bool {
        matches!(self, Wish::Flag(_) | Wish::List("replace", _) | Wish::Key("media-address", _))
    }
}
