//! Passwords that the configuration names a file for, so that none stands in it.

use std::path::{Path, PathBuf};

use base::redact::Secret;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
#[error(
    "[{section}] password: {} cannot be read: {error}; write the password into it, or leave the key out \
     if there is none",
    .path.display()
)]
pub struct PasswordError {
    section: &'static str,
    path: PathBuf,
    error: std::io::Error,
}

/// The password in a file that a section names, without the line's end.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn read(
    section: &'static str,
    path: Option<&Path>,
) -> Result<Option<Secret<String>>, PasswordError> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| PasswordError {
        section,
        path: path.to_owned(),
        error,
    })?;
    Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}
