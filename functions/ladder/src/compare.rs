//! Two ladders, arrow for arrow: is one run of a network the same as another?
//!
//! Names, addresses and random tokens differ from run to run. A word of the left run may stand for
//! another word of the right run if both are of that kind, and then it must do so everywhere and
//! nobody else may: a Call-ID that a proxy changed in one run only is found. Ports, lengths, times,
//! cookies and Hop-by-Hop Identifiers are not compared, nor what only says how a message travelled.

mod fields;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use crate::dissect::plain;
use crate::ladder::{Arrow, Ladder};
use fields::{Field, Value};
use words::Mapping;

/// An arrow without what differs from run to run.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Step {
    /// The sender's role, with a number if several have it: `UE`, `UE 2`.
    pub from: String,
    /// The receiver's role.
    pub to: String,
    /// What the arrow is called.
    pub title: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}: {}", self.from, self.to, self.title)
    }
}

/// Which order of arrows counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// All arrows in one sequence.
    Strict,
    /// Each sender's arrows to each receiver: two functions that work at the same time may be seen
    /// in either order.
    EachPair,
}

/// One way in which two ladders differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// An arrow of the left ladder has another in its place in the right one, or none.
    Arrow {
        /// What stands in the left ladder.
        left: Option<Step>,
        /// What stands in the right ladder.
        right: Option<Step>,
    },
    /// The same arrow with another message.
    Field {
        /// The arrow.
        step: Step,
        /// Which part of the message, such as `header Contact`.
        field: String,
        /// Its value in the left ladder, `None` if it is not there.
        left: Option<String>,
        /// Its value in the right ladder.
        right: Option<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Arrow { left, right } => {
                let show =
                    |step: &Option<Step>| step.as_ref().map_or("nothing".into(), Step::to_string);
                write!(f, "left has {}, right has {}", show(left), show(right))
            }
            Difference::Field { step, field, left, right } => {
                let show = |text: &Option<String>| {
                    text.as_ref().map_or("nothing".into(), |text| format!("`{}`", plain(text)))
                };
                write!(f, "{step}: {field}: left has {}, right has {}", show(left), show(right))
            }
        }
    }
}

/// The arrows of a ladder without retransmissions, and without what differs from run to run.
pub fn steps(ladder: &Ladder) -> Vec<Step> {
    arrows(ladder).into_iter().map(|(step, _)| step).collect()
}

/// How the right ladder differs from the left one; empty if it does not. `names` are words that are
/// known to stand for each other, such as the configured names of a function in both runs.
pub fn compare(
    left: &Ladder,
    right: &Ladder,
    order: Order,
    names: &[(&str, &str)],
) -> Vec<Difference> {
    let mut mapping = Mapping::new(names);
    let mut found = Vec::new();
    let (left, right) = (arrows(left), arrows(right));
    for (left, right) in pair_up(&left, &right, order) {
        match (left, right) {
            (Some((step, a)), Some((other, b))) if step == other => {
                messages(step, a, b, &mut mapping, &mut found);
            }
            (left, right) => found.push(Difference::Arrow {
                left: left.map(|(step, _)| step.clone()),
                right: right.map(|(step, _)| step.clone()),
            }),
        }
    }
    found
}

type Stepped<'a> = (Step, &'a Arrow);

fn arrows(ladder: &Ladder) -> Vec<Stepped<'_>> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    let names: Vec<String> = ladder
        .participants
        .iter()
        .map(|participant| {
            let role = participant.role.as_str();
            let number = count.entry(role).or_default();
            *number += 1;
            if *number == 1 { role.to_owned() } else { format!("{role} {number}") }
        })
        .collect();
    let once = ladder.arrows.iter().filter(|arrow| !arrow.retransmission);
    once.map(|arrow| {
        let (from, to) = (names[arrow.from].clone(), names[arrow.to].clone());
        (Step { from, to, title: arrow.summary.title.clone() }, arrow)
    })
    .collect()
}

type Pair<'a, 'b> = (Option<&'b Stepped<'a>>, Option<&'b Stepped<'a>>);

fn pair_up<'a, 'b>(
    left: &'b [Stepped<'a>],
    right: &'b [Stepped<'a>],
    order: Order,
) -> Vec<Pair<'a, 'b>> {
    if order == Order::Strict {
        let length = left.len().max(right.len());
        return (0..length).map(|i| (left.get(i), right.get(i))).collect();
    }
    type Way<'b> = (&'b str, &'b str);
    fn way<'b>(step: &'b Step) -> Way<'b> {
        (&step.from, &step.to)
    }
    let mut theirs: BTreeMap<Way<'_>, std::collections::VecDeque<&Stepped<'_>>> = BTreeMap::new();
    for stepped in right {
        theirs.entry(way(&stepped.0)).or_default().push_back(stepped);
    }
    let mut pairs: Vec<Pair<'a, 'b>> = left
        .iter()
        .map(|stepped| {
            let other = theirs.get_mut(&way(&stepped.0)).and_then(|queue| queue.pop_front());
            (Some(stepped), other)
        })
        .collect();
    pairs.extend(theirs.into_values().flatten().map(|rest| (None, Some(rest))));
    pairs
}

fn messages(
    step: &Step,
    left: &Arrow,
    right: &Arrow,
    mapping: &mut Mapping,
    found: &mut Vec<Difference>,
) {
    let same_way = left.record.transport == right.record.transport;
    let left = fields::of(&left.record, same_way);
    let right = fields::of(&right.record, same_way);
    // Fields of one name are compared in their order; names in the order of the left message.
    let mut theirs: BTreeMap<&str, std::collections::VecDeque<&Field>> = BTreeMap::new();
    for field in &right {
        theirs.entry(&field.name).or_default().push_back(field);
    }
    let mut report = |field: &Field, left: Option<&Value>, right: Option<&Value>| {
        found.push(Difference::Field {
            step: step.clone(),
            field: field.name.clone(),
            left: left.map(Value::to_string),
            right: right.map(Value::to_string),
        });
    };
    for field in &left {
        match theirs.get_mut(field.name.as_str()).and_then(|queue| queue.pop_front()) {
            Some(other) if field.value.same(&other.value, mapping) => {}
            Some(other) => report(field, Some(&field.value), Some(&other.value)),
            None => report(field, Some(&field.value), None),
        }
    }
    for field in theirs.into_values().flatten() {
        report(field, None, Some(&field.value));
    }
}
