//! One connection's TLS: the handshake, and records in and out.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use base::{Bytes, FlowError};
use bytes::Buf;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerifier;
use rustls::{AlertDescription, Connection, Error, InvalidMessage};

use super::identity::identities;

/// The TLS of one connection.
pub(in crate::net) struct Session {
    connection: Connection,
    functions: Arc<[String]>,
    /// Who says whether a client's certificate is believed; a server's was verified in the handshake.
    vouches: Option<Arc<dyn ClientCertVerifier>>,
    failure: Option<Error>,
    notified: bool,
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        functions: Arc<[String]>,
        vouches: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Session {
        Session { connection, functions, vouches, failure: None, notified: false }
    }

    /// Whether nothing may be said inside yet.
    pub(in crate::net) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the other end showed a certificate of a network function, from an authority that we
    /// believe.
    pub(in crate::net) fn is_function(&self) -> bool {
        let shown = self.connection.peer_certificates().and_then(<[_]>::split_first);
        let Some((certificate, between)) = shown else { return false };
        let now = UnixTime::now();
        let believed = match &self.vouches {
            Some(verifier) => verifier.verify_client_cert(certificate, between, now).is_ok(),
            None => matches!(self.connection, Connection::Client(_)),
        };
        believed && identities(certificate).iter().any(|name| self.functions.contains(name))
    }

    /// What was said inside, as `read` of a socket: 0 bytes is the end, `Interrupted` asks to be called
    /// again.
    pub(in crate::net) fn read(
        &mut self,
        socket: &mut impl Read,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        for _ in 0..2 {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Without close_notify it is an end as well: messages have a length.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            if self.connection.read_tls(socket)? == 0 {
                return Ok(0);
            }
            if let Err(error) = self.connection.process_new_packets() {
                self.failure = Some(error);
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// Whether everything has left, the goodbye of a connection that is `closing` included.
    pub(in crate::net) fn is_flushed(&self, closing: bool) -> bool {
        !self.connection.wants_write() && (self.notified || !closing || self.is_handshaking())
    }

    /// Sends as much as the kernel takes; returns how many bytes of `out` are taken care of.
    pub(in crate::net) fn write(
        &mut self,
        socket: &mut impl Write,
        out: &mut VecDeque<Bytes>,
        closing: bool,
    ) -> Result<usize, FlowError> {
        let mut taken = 0;
        loop {
            while !self.is_handshaking()
                && let Some(front) = out.front_mut()
            {
                let n = self.connection.writer().write(front).map_err(|_| FlowError::Closed)?;
                taken += n;
                front.advance(n);
                if front.is_empty() {
                    out.pop_front();
                } else if n == 0 {
                    // Its buffer is full until the kernel takes some of it.
                    break;
                }
            }
            if closing && out.is_empty() && !self.notified && !self.is_handshaking() {
                self.connection.send_close_notify();
                self.notified = true;
            }
            if !self.connection.wants_write() {
                return Ok(taken);
            }
            match self.connection.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(FlowError::Closed),
            }
        }
    }

    /// Tries to tell the other end why there will be nothing: the alert of a failed handshake.
    pub(in crate::net) fn complain(&mut self, socket: &mut impl Write) {
        while self.connection.wants_write() && self.connection.write_tls(socket).is_ok() {}
    }

    /// Why there is no TLS, for a person.
    pub(in crate::net) fn why(&self) -> String {
        match &self.failure {
            None => "the connection ended within the handshake".to_owned(),
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                "it speaks no TLS".to_owned()
            }
            Some(Error::AlertReceived(
                alert @ (AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired),
            )) => format!("it does not believe our certificate ({alert:?})"),
            Some(error) => error.to_string(),
        }
    }
}
