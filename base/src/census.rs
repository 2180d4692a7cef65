//! How many things are alive inside a function: for operators, and for tests that nothing is left.
//!
//! Every function takes [`Ask`] as an order and answers with a [`Census`] as a report; what it has done
//! so far, if it counts that, comes before as a [`Tally`].

use crate::machine::{Order, Output, Report};

/// The order: count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask;

impl Ask {
    /// The order to hand to a function.
    pub fn order() -> Order {
        Order(Box::new(Ask))
    }

    /// Whether an order is this one.
    pub fn is(order: &Order) -> bool {
        order.0.is::<Ask>()
    }
}

/// The report: what there is and how much of it, always in the same order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Census(pub Vec<(&'static str, usize)>);

impl Census {
    /// How many of one kind; 0 of what the function does not know.
    pub fn count(&self, what: &str) -> usize {
        self.0.iter().find(|(name, _)| *name == what).map_or(0, |(_, count)| *count)
    }

    /// What there is at least one of.
    pub fn alive(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        self.0.iter().copied().filter(|(_, count)| *count > 0)
    }
}

impl From<Census> for Output {
    fn from(census: Census) -> Output {
        Output::Report(Report(Box::new(census)))
    }
}

/// The report: what was done since the start, and how often.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tally(pub Vec<(&'static str, u64)>);

impl Tally {
    /// A tally of these things, of which nothing was done yet.
    pub fn of(things: &[&'static str]) -> Tally {
        Tally(things.iter().map(|what| (*what, 0)).collect())
    }

    /// It was done once more; what the tally does not know is not counted.
    pub fn add(&mut self, what: &str) {
        if let Some((_, count)) = self.0.iter_mut().find(|(name, _)| *name == what) {
            *count += 1;
        }
    }

    /// How often it was done; 0 of what the function does not know.
    pub fn count(&self, what: &str) -> u64 {
        self.0.iter().find(|(name, _)| *name == what).map_or(0, |(_, count)| *count)
    }
}

impl From<Tally> for Output {
    fn from(tally: Tally) -> Output {
        Output::Report(Report(Box::new(tally)))
    }
}
