//! Who a description is from, as its reader sees it: `username`, `session-name` and `sdp-version` of `replace`.

use base::fnv::fnv1a;
use ng::Request;
use sdp::Session;
use serde::{Deserialize, Serialize};

use crate::call::Party;

/// What a party was shown last.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    username: String,
    /// Of `s=`.
    name: String,
    /// Of `o=`, and the fingerprint of the description that had it.
    version: u64,
    description: u64,
}

/// Makes a description that goes to a party as the last one, as far as the request wants: one user name, one session name, and a version
/// that is raised when the description changes and not otherwise (RFC 3264 §8).
pub(crate) fn control(session: &mut Session, request: &Request, reader: &mut Party) {
    let wanted = request.replace;
    let Some(mut origin) = session.origin() else { return };
    if !(wanted.username || wanted.session_name || wanted.sdp_version) {
        return;
    }
    let name = session.head().line(b's').unwrap_or("-").to_owned();
    let before = reader.shown.take().map(|shown| *shown);
    let (username, name) = match &before {
        Some(Shown { username, name, .. }) => (username.clone(), name.clone()),
        None => (origin.username.clone(), name),
    };
    if wanted.username {
        origin.username.clone_from(&username);
    }
    if wanted.session_name && session.head().line(b's').is_some() {
        session.head_mut().set_line(b's', &name);
    }
    // What the version is about is everything else.
    let version = std::mem::take(&mut origin.version);
    session.set_origin(&origin);
    let description = fnv1a(session.emit());
    origin.version = match &before {
        Some(shown) if wanted.sdp_version && shown.description == description => shown.version,
        Some(shown) if wanted.sdp_version => shown.version.saturating_add(1),
        _ => version,
    };
    session.set_origin(&origin);
    reader.shown = Some(Box::new(Shown { username, name, version: origin.version, description }));
}
