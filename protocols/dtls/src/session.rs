//! One handshake with one peer, and the master keys that come of it, RFC 5764 §4.2.

use std::collections::VecDeque;
use std::sync::Arc;

use base::Instant;
use base::relay::{Failure, Handshake, MasterKey, MasterKeys, Suite};
use base::time::{Duration, Translation};
use dimpl::{Config, Dtls, SrtpProfile};

use crate::certificate::{Certificate, is_of};

/// The first retransmission, RFC 9147 §5.8.2: media waits for the keys, and a round trip takes less than this.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(400);
/// A flight is sent so many times more; its last one leaves after 25 seconds.
const RETRANSMISSIONS: usize = 5;
/// The longest handshake.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest datagram of ours: what passes every tunnel (RFC 8261 §5 has 1200 less its headers).
const LONGEST_DATAGRAM: usize = 1200;

/// What a session wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// A datagram for the peer.
    Transmit(Vec<u8>),
    /// The handshake is over.
    Keys(MasterKeys),
    /// It is over, and there are no keys. The session is of no use any more.
    Failed(Failure),
    /// The peer has ended the association, RFC 9147 §5.10: keys are used on, as media may still be under way.
    Closed,
}

/// A handshake, and the association after it.
pub struct Session {
    dtls: Dtls,
    active: bool,
    time: Translation,
    expected: Handshake,
    deadline: Option<Instant>,
    /// The certificate is the right one.
    genuine: bool,
    /// Keys whose peer has not shown its certificate yet.
    keys: Option<MasterKeys>,
    over: bool,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session with a peer whose certificate has one of these fingerprints. If we begin, the first flight is there
    /// at once.
    pub fn new(certificate: &Certificate, handshake: &Handshake, now: Instant) -> Session {
        let config = Config::builder()
            .mtu(LONGEST_DATAGRAM)
            .flight_start_rto(FIRST_RETRANSMISSION)
            .flight_retries(RETRANSMISSIONS)
            .handshake_timeout(LONGEST)
            // The peer's address is the signalling's or ICE's: a round trip more would prove nothing.
            .use_server_cookie(false)
            .build()
            .expect("these values are within the library's limits");
        let time = Translation::new(now);
        let mut dtls = Dtls::new_auto(Arc::new(config), certificate.parts(), time.theirs(now));
        dtls.set_active(handshake.active);
        let mut session = Session {
            dtls,
            active: handshake.active,
            time,
            expected: handshake.clone(),
            deadline: None,
            genuine: false,
            keys: None,
            over: false,
            outputs: VecDeque::new(),
        };
        session.expire(now);
        session
    }

    /// A datagram of the peer.
    pub fn datagram(&mut self, now: Instant, bytes: &[u8]) {
        if self.over {
            return;
        }
        let theirs = self.time.theirs(now);
        let done = self.dtls.handle_timeout(theirs).and_then(|()| self.dtls.handle_packet(bytes));
        self.drain();
        self.judge(done);
    }

    /// It is later.
    pub fn expire(&mut self, now: Instant) {
        if self.over {
            return;
        }
        let done = self.dtls.handle_timeout(self.time.theirs(now));
        self.drain();
        self.judge(done);
    }

    /// When [`Session::expire`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.over)
    }

    /// What it wants next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn judge(&mut self, done: Result<(), dimpl::Error>) {
        if let Err(error) = done {
            self.fail(Failure::Handshake(error.to_string()));
        }
    }

    fn fail(&mut self, failure: Failure) {
        if !std::mem::replace(&mut self.over, true) {
            self.outputs.push_back(Output::Failed(failure));
        }
    }

    fn drain(&mut self) {
        let mut buffer = vec![0; 2 * LONGEST_DATAGRAM];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(bytes) => {
                    self.outputs.push_back(Output::Transmit(bytes.to_vec()));
                }
                dimpl::Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                dimpl::Output::Timeout(at) => {
                    self.deadline = Some(self.time.ours(at));
                    return;
                }
                dimpl::Output::PeerCert(certificate) => {
                    self.genuine = self.expected.fingerprints.iter().any(|f| is_of(f, certificate));
                    if !self.genuine {
                        self.fail(Failure::WrongCertificate);
                        return;
                    }
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    self.keys = master_keys(&material, profile, self.active);
                }
                dimpl::Output::CloseNotify => self.outputs.push_back(Output::Closed),
                // A data channel's, which nobody offered.
                dimpl::Output::ApplicationData(_) | dimpl::Output::Connected => {}
                _ => {}
            }
            if self.genuine
                && let Some(keys) = self.keys.take()
            {
                self.outputs.push_back(Output::Keys(keys));
            }
        }
    }
}

/// RFC 5764 §4.2: the client's key, the server's, the client's salt, the server's.
fn master_keys(material: &[u8], profile: SrtpProfile, client: bool) -> Option<MasterKeys> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let (keys, salts) = material.split_at_checked(2 * suite.key_length())?;
    let (client_key, server_key) = keys.split_at(suite.key_length());
    let (client_salt, server_salt) = salts.split_at_checked(suite.salt_length())?;
    let of = |key: &[u8], salt: &[u8]| MasterKey::new(suite, &[key, salt].concat()).ok();
    let [theirs, ours] = if client {
        [of(server_key, server_salt), of(client_key, client_salt)]
    } else {
        [of(client_key, client_salt), of(server_key, server_salt)]
    };
    Some(MasterKeys { inbound: Some(theirs?), outbound: Some(ours?) })
}

#[cfg(test)]
mod tests;
