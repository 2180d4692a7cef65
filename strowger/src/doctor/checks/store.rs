//! The store, its disk and the control socket beside it.

use std::os::unix::ffi::OsStrExt;

use crate::doctor::facts::{Opened, Store};
use crate::doctor::identifiers::{
    CONTROL_PATH_LONG, CONTROL_REFUSED, DISK_FULL, STATE_NOWHERE, STORE_FOREIGN, STORE_IN_MEMORY,
    STORE_IN_USE, STORE_NOT_WRITABLE, STORE_READABLE, STORE_VERSION,
};
use crate::doctor::{Facts, Finding};

/// Below so many bytes a disk is nearly full.
const FULL: u64 = 100 << 20;
/// The longest path of a Unix domain socket, unix(7).
const LONGEST: usize = 107;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let store = &facts.store;
    let Some(path) = &store.path else {
        let evidence =
            "neither --state, `store`, $STATE_DIRECTORY nor $HOME tells where subscribers are kept";
        return vec![STATE_NOWHERE.found(evidence, "store = \"/var/lib/strowger/strowger.redb\"")];
    };
    let named = path.display();
    let elsewhere = "name another folder: `--state DIR`, or `store = \"…\"` in the configuration";
    let mut found = Vec::new();
    found.extend(match &store.opened {
        Opened::Well | Opened::New => None,
        Opened::NotWritable(what, error) => {
            let evidence = format!("{} cannot be written: {error}", what.display());
            let fix = format!("make it writable for the user who runs strowger, or {elsewhere}");
            Some(STORE_NOT_WRITABLE.found(evidence, fix))
        }
        Opened::InUse => {
            let evidence = format!("{named} is open in another process, which does not answer on its control socket");
            let fix = format!("`sudo fuser -v {named}` shows which; end that one, or {elsewhere}");
            Some(STORE_IN_USE.found(evidence, fix))
        }
        Opened::Version(text) => {
            let fix = format!("run the version that wrote it and `strowger sub export`, then import into a new store; {elsewhere}");
            Some(STORE_VERSION.found(text, fix))
        }
        Opened::Foreign(text) => {
            let fix = format!("restore {named} from a copy, or move it away: `mv {named} {named}.old`");
            Some(STORE_FOREIGN.found(text, fix))
        }
        Opened::ControlRefused(error) => {
            let evidence = format!("the control socket {named}.sock refuses this user: {error}");
            let fix = format!("be the user who runs it: `sudo -u USER strowger doctor`; or {elsewhere}");
            Some(CONTROL_REFUSED.found(evidence, fix))
        }
    });
    found.extend(around(store, &named.to_string()));
    found.into_iter().map(|finding| finding.at(facts.place("store"))).collect()
}

fn around(store: &Store, named: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let length = store.path.as_ref().map_or(0, |path| path.as_os_str().as_bytes().len() + 5);
    if length > LONGEST {
        let evidence = format!(
            "{named}.sock has {length} bytes, {LONGEST} are possible: `sub` and `trace` cannot reach a running process"
        );
        found
            .push(CONTROL_PATH_LONG.found(evidence, "store = \"/var/lib/strowger/strowger.redb\""));
    }
    let there = matches!(store.opened, Opened::Well | Opened::New);
    if let Some(free) = store.free.filter(|free| there && *free < FULL) {
        let evidence = format!(
            "{} MiB are free on the disk of {named}: when it is full, nobody new is stored, and a restart forgets registrations",
            free >> 20
        );
        found.push(
            DISK_FULL.found(
                evidence,
                "make room, or move the store to another disk with `store = \"…\"`",
            ),
        );
    }
    if let Some(kind) =
        store.filesystem.as_deref().filter(|kind| matches!(*kind, "tmpfs" | "ramfs"))
    {
        let evidence = format!(
            "{named} is on a {kind}: subscribers and registrations are gone after a restart of the machine"
        );
        found.push(STORE_IN_MEMORY.found(evidence, "store = \"/var/lib/strowger/strowger.redb\""));
    }
    if let Some(mode) = store.mode.filter(|mode| mode & 0o077 != 0) {
        let evidence = format!(
            "{named} has mode {:03o}: whoever reads it can pose as every subscriber",
            mode & 0o777
        );
        found.push(STORE_READABLE.found(evidence, format!("`chmod 600 {named}`")));
    }
    found
}
