//! TLS under SIP (RFC 3261 §26.3.1): certificates, whom to believe, and what a certificate says.
//!
//! - [`Tls`]: what a loop needs for connections that begin; those that stand keep what they began with.
//! - `identity`: whose certificate it is, RFC 5922 §7.
//! - `session`: one connection's handshake and records.
//! - [`inspect`]: what would go wrong with a certificate, without a connection.

mod identity;
mod inspect;
mod session;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub use inspect::{Fault, inspect};
pub(super) use session::Session;

/// Where Debian and most others keep the authorities that the system believes.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What TLS is made of; texts are PEM.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TlsConfig {
    /// Our certificate, with those between it and its authority after it, and its private key.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
    /// Whose certificates are believed; `None`: those that the system believes, and nobody who opens a
    /// connection to us.
    pub authorities: Option<Vec<u8>>,
    /// Names of network functions: who shows the certificate of one is one.
    pub functions: Vec<String>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").field("functions", &self.functions).finish_non_exhaustive()
    }
}

/// Why there is no TLS.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate in a PEM text.
    #[error("there is no certificate in it (PEM, BEGIN CERTIFICATE)")]
    Certificate,
    /// No private key in a PEM text.
    #[error("there is no private key in it (PEM, BEGIN PRIVATE KEY)")]
    Key,
    /// No authority that could be read.
    #[error("there is no certificate of an authority in it (PEM, BEGIN CERTIFICATE)")]
    Authorities,
    /// What rustls says of certificate and key.
    #[error("certificate and key do not serve: {0}")]
    Refused(String),
}

/// Certificates in use. A copy shares them.
#[derive(Clone, Debug)]
pub struct Tls {
    client: Arc<ClientConfig>,
    /// For listeners that phones reach, and for those that only network functions may use.
    servers: Option<[Arc<ServerConfig>; 2]>,
    /// Who says whether a client's certificate is believed.
    vouches: Option<Arc<dyn ClientCertVerifier>>,
    functions: Arc<[String]>,
}

impl Tls {
    /// Reads certificates and keys.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn new(config: &TlsConfig) -> Result<Tls, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // AWS-LC takes some 50 ms for its first random number: now, not when a phone waits.
        let refused = |error: &str| TlsError::Refused(error.to_owned());
        provider.secure_random.fill(&mut [0; 32]).map_err(|_| refused("no random numbers"))?;
        let roots = Arc::new(match &config.authorities {
            Some(pem) => roots(pem)?,
            None => roots(&std::fs::read(SYSTEM).unwrap_or_default())
                .unwrap_or_else(|_| RootCertStore::empty()),
        });
        let own =
            config.own.as_ref().map(|(certificate, key)| own(certificate, key)).transpose()?;
        let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
        let verifier = identity::SipVerifier::new(Arc::clone(&roots), &provider);
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let client = match &own {
            Some((chain, key)) => {
                client.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(refused)?
            }
            None => client.with_no_client_auth(),
        };
        let vouches = match &config.authorities {
            Some(_) => Some(clients_of(roots, &provider)?),
            None => None,
        };
        let server = |required: bool| {
            let clients: Option<Arc<dyn ClientCertVerifier>> = match (&vouches, required) {
                (Some(vouches), true) => Some(Arc::clone(vouches)),
                (Some(vouches), false) => Some(Arc::new(identity::Anybody(Arc::clone(vouches)))),
                // Nobody could be believed: nobody is let in.
                (None, true) => Some(Arc::new(identity::Nobody)),
                (None, false) => None,
            };
            let own = own.as_ref();
            own.map(|own| server(own, clients, &provider)).transpose().map_err(refused)
        };
        let servers = server(false)?.zip(server(true)?).map(|(open, closed)| [open, closed]);
        let functions = config.functions.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Tls { client: Arc::new(client), servers, vouches, functions })
    }

    /// Whether there is a certificate to listen with.
    pub(super) fn can_listen(&self) -> bool {
        self.servers.is_some()
    }

    /// The server's side of a new connection; `closed` lets nobody in without a certificate.
    pub(super) fn accept(&self, closed: bool) -> Option<Session> {
        let config = Arc::clone(&self.servers.as_ref()?[usize::from(closed)]);
        let connection = rustls::ServerConnection::new(config).ok()?;
        Some(Session::new(connection.into(), Arc::clone(&self.functions), self.vouches.clone()))
    }

    /// The client's side of a new connection to whom the certificate has to name.
    pub(super) fn connect(&self, name: &str) -> Option<Session> {
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let name = ServerName::try_from(bare.trim_end_matches('.').to_owned()).ok()?;
        let connection = rustls::ClientConnection::new(Arc::clone(&self.client), name).ok()?;
        Some(Session::new(connection.into(), Arc::clone(&self.functions), None))
    }
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn server(
    (chain, key): &Own,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(builder.with_single_cert(chain.clone(), key.clone_key())?))
}

/// Believes clients whose certificates come from these authorities.
fn clients_of(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    verifier.build().map_err(|_| TlsError::Authorities)
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).map_while(Result::ok).collect()
}

fn own(certificate: &[u8], key: &[u8]) -> Result<Own, TlsError> {
    let chain = certificates(certificate);
    if chain.is_empty() {
        return Err(TlsError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
    Ok((chain, key))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(pem));
    if added == 0 { Err(TlsError::Authorities) } else { Ok(roots) }
}
