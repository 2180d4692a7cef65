//! How many things are alive inside a function: for operators, and for tests that nothing is left.
//!
//! Every function takes [`Ask`] as an order and answers with a [`Census`] as a report.

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
