//! The checks: one file for each subject, each a pure function of what was observed.

mod addresses;
mod clock;
mod configuration;
mod criteria;
mod limits;
mod media;
mod names;
mod outside;
mod peers;
mod ports;
mod realms;
mod roles;
mod shared;
mod store;
mod subscribers;
#[cfg(test)]
mod tests;
mod tls;
mod trust;
mod watchers;

use super::{Facts, Finding};
pub(super) use watchers::{API, METRICS};

/// A check.
pub type Check = fn(&Facts) -> Vec<Finding>;

/// The only one for a configuration that cannot be understood.
pub const CONFIGURATION: &[Check] = &[configuration::check];

/// All of them, in the order of a report.
pub const ALL: &[Check] = &[
    configuration::check,
    ports::check,
    addresses::check,
    media::check,
    names::check,
    clock::check,
    limits::check,
    store::check,
    peers::check,
    realms::check,
    subscribers::check,
    criteria::check,
    outside::check,
    trust::check,
    tls::check,
    shared::check,
    watchers::check,
    roles::check,
];
