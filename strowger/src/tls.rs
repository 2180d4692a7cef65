//! SIP over TLS in a process: where its files are, and what the engine makes of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base::{Service, Transport};
use engine::net::tls::{Tls, TlsConfig, TlsError};

use crate::plan::{Plan, Role};

/// What the configuration says of TLS.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TlsPlan {
    /// The addresses that functions of this process take TLS on.
    pub here: BTreeMap<Role, Vec<SocketAddr>>,
    /// The file of our certificate, with those between it and its authority after it.
    pub certificate: Option<PathBuf>,
    /// The file of its private key.
    pub key: Option<PathBuf>,
    /// The file of the authorities whose certificates are believed.
    pub ca: Option<PathBuf>,
    /// Whether functions that no phone talks to let nobody in without a certificate.
    pub require_client_certificate: bool,
    /// Names of network functions elsewhere, beside those of this network.
    pub functions: Vec<String>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsFailure {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// What is in the files does not serve.
    #[error("[tls] {}: {error}", .path.display())]
    Useless {
        /// The file that is most likely wrong.
        path: PathBuf,
        /// Why.
        error: TlsError,
    },
}

impl TlsPlan {
    /// Whether a function lets nobody in without a certificate. Phones have none, and centres and
    /// trunks are known by their addresses.
    pub fn is_closed(&self, role: Role) -> bool {
        let outside = matches!(role, Role::Pcscf | Role::Ecscf | Role::Bgcf);
        self.require_client_certificate && !outside
    }

    fn is_used(&self, plan: &Plan) -> bool {
        let seams = plan.elsewhere.values().flatten();
        !self.here.is_empty()
            || self.certificate.is_some()
            || self.ca.is_some()
            || seams.into_iter().any(|seam| seam.transport == Transport::Tls)
    }

    /// The names that certificates make network functions by: those of this network's SIP functions,
    /// its domain, and the configured ones.
    pub fn names(&self, plan: &Plan) -> Vec<String> {
        let roles = Role::ALL.into_iter().filter(|role| role.service() == Service::Sip);
        let own = roles.map(|role| plan.host(role)).chain([plan.domain.clone()]);
        own.chain(self.functions.iter().cloned()).collect()
    }
}

/// Reads the files of a plan; `None` if nothing of it needs TLS.
///
/// # Errors
/// The file that does not serve.
pub fn load(plan: &Plan) -> Result<Option<Tls>, TlsFailure> {
    let tls = &plan.tls;
    if !tls.is_used(plan) {
        return Ok(None);
    }
    let own = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        _ => None,
    };
    let authorities = tls.ca.as_deref().map(read).transpose()?;
    let config = TlsConfig { own, authorities, functions: tls.names(plan) };
    let made = Tls::new(&config).map_err(|error| {
        let file = match error {
            TlsError::Authorities => &tls.ca,
            TlsError::Key => &tls.key,
            TlsError::Certificate | TlsError::Refused(_) => &tls.certificate,
        };
        TlsFailure::Useless { path: file.clone().unwrap_or_default(), error }
    })?;
    Ok(Some(made))
}

/// For phones, which have no certificate: the authorities of a file, else those of the system.
///
/// # Errors
/// The file that does not serve.
pub fn for_phones(ca: Option<&Path>) -> Result<Tls, TlsFailure> {
    let authorities = ca.map(read).transpose()?;
    let config = TlsConfig { authorities, ..TlsConfig::default() };
    let useless = |error| TlsFailure::Useless { path: ca.unwrap_or(Path::new("")).into(), error };
    Tls::new(&config).map_err(useless)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFailure> {
    std::fs::read(path).map_err(|error| TlsFailure::Unreadable { path: path.into(), error })
}
