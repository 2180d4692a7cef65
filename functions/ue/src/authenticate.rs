//! Answers to challenges: Digest (RFC 7616, RFC 8760) and Digest-AKA (RFC 3310, RFC 4169).

use auth::aka::{Usim, Verdict};
use auth::digest::{self, Algorithm, Covered, Qop};
use auth::digest_aka;
use auth::sqn::SqnArray;
use base::Random;
use base::redact::Secret;
use sip::header::{Challenge, Credentials};
use sip::{HeaderName, Message, Method};

use crate::config::{Credential, UeConfig};

/// Why a challenge is not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum AuthError {
    /// Nothing in the response that we can answer with our kind of credential.
    #[error("no challenge that this phone's credential can answer")]
    Unsupported,
    /// Our answer to the challenge before was wrong.
    #[error("the credentials were refused")]
    Refused,
    /// The network could not prove that it knows the key, twice in a row (TS 24.229 §5.1.1.5.3).
    #[error("the network is not genuine: wrong MAC in AUTN")]
    NotGenuine,
}

/// Challenges that were answered for one request, so that nobody asks for ever.
pub(crate) type Answered = Vec<(HeaderName, String)>;

/// Most challenges that one request is repeated for: a proxy's, a server's, one resynchronisation
/// and one false network.
const MOST: usize = 4;

pub(crate) struct Authenticator {
    username: String,
    realm: String,
    secret: Secrets,
    /// What the registrar was answered last, to be answered again in the next REGISTER.
    registrar: Option<Session>,
    /// AUTNs in a row whose MAC was wrong.
    false_networks: u32,
}

enum Secrets {
    Usim(Box<Usim>),
    Password(Secret<String>),
}

struct Session {
    challenge: Challenge,
    algorithm: Algorithm,
    ha1: Secret<String>,
    auts: Option<String>,
    count: u32,
}

impl Authenticator {
    pub(crate) fn new(config: &UeConfig) -> Authenticator {
        let secret = match &config.credential {
            Credential::Sim { k, opc, sqn, .. } => {
                Secrets::Usim(Box::new(Usim::new(k, opc, SqnArray::starting_at(*sqn))))
            }
            Credential::Password(password) => Secrets::Password(password.clone()),
        };
        Authenticator {
            username: config.username.clone(),
            realm: config.realm.clone(),
            secret,
            registrar: None,
            false_networks: 0,
        }
    }

    /// Puts credentials into a REGISTER that nobody asked for yet: those of the last challenge, or
    /// an empty answer that names the IMPI (TS 24.229 §5.1.1.2.2).
    pub(crate) fn introduce(&mut self, request: &mut Message, random: &mut Random) {
        request.remove(HeaderName::Authorization);
        if let Some(session) = &mut self.registrar {
            let value = session.credentials(&self.username, request, random).to_string();
            request.push(HeaderName::Authorization, value);
        } else if matches!(self.secret, Secrets::Usim(_)) {
            let uri = request.uri().to_owned();
            let (username, realm) = (self.username.as_str().into(), self.realm.as_str().into());
            let uri = uri.into();
            let empty = Credentials { username, realm, uri, ..Credentials::default() };
            request.push(HeaderName::Authorization, empty.to_string());
        }
    }

    /// Answers the challenges of a 401 or 407 in `request`, which will be sent again.
    pub(crate) fn answer(
        &mut self,
        response: &Message,
        request: &mut Message,
        answered: &mut Answered,
        random: &mut Random,
    ) -> Result<(), AuthError> {
        let kinds = [
            (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
        ];
        let mut any = false;
        for (asks, header) in kinds {
            let challenges = response.lines(asks).filter_map(Challenge::parse);
            let usable = challenges.filter_map(|c| Some((self.algorithm(&c)?, c)));
            // RFC 8760 §2.4: the topmost one that we can answer.
            let Some((algorithm, challenge)) = { usable }.next() else { continue };
            let again = answered.iter().any(|(h, r)| *h == header && *r == challenge.realm);
            let excused = challenge.stale || algorithm.is_aka();
            if answered.len() >= MOST || (again && !excused) {
                return Err(AuthError::Refused);
            }
            answered.push((header, challenge.realm.clone()));
            let value = self.answer_one(header, algorithm, challenge, request, random)?;
            request.remove(header);
            request.push(header, value);
            any = true;
        }
        if any { Ok(()) } else { Err(AuthError::Unsupported) }
    }

    fn algorithm(&self, challenge: &Challenge) -> Option<Algorithm> {
        let algorithm = match challenge.algorithm.as_str() {
            "" => Algorithm::Md5,
            name => Algorithm::parse(name)?,
        };
        (algorithm.is_aka() == matches!(self.secret, Secrets::Usim(_))).then_some(algorithm)
    }

    fn answer_one(
        &mut self,
        header: HeaderName,
        algorithm: Algorithm,
        challenge: Challenge,
        request: &Message,
        random: &mut Random,
    ) -> Result<String, AuthError> {
        let user = &self.username;
        let ha1 = |password: &[u8]| digest::ha1(algorithm.hash(), user, &challenge.realm, password);
        let (ha1, auts) = match &mut self.secret {
            Secrets::Password(password) => (ha1(password.reveal().as_bytes()), None),
            Secrets::Usim(usim) => {
                let (rand, autn) = digest_aka::parse_nonce(&challenge.nonce)
                    .map_err(|_| AuthError::Unsupported)?;
                match usim.authenticate(&rand, &autn) {
                    Verdict::Success { res, ck, ik } => {
                        self.false_networks = 0;
                        let v2 = algorithm == Algorithm::AkaV2Md5;
                        let password = if v2 {
                            let v2 =
                                digest_aka::akav2_password(res.reveal(), ik.reveal(), ck.reveal());
                            Secret::new(v2.reveal().as_bytes().to_vec())
                        } else {
                            Secret::new(res.reveal().to_vec())
                        };
                        (ha1(password.reveal()), None)
                    }
                    // RFC 3310 §3.4: with auts, the password is empty.
                    Verdict::SynchronisationFailure(auts) => {
                        self.false_networks = 0;
                        (ha1(b""), Some(digest_aka::auts(&auts)))
                    }
                    Verdict::MacFailure => {
                        self.false_networks += 1;
                        if self.false_networks > 1 {
                            self.false_networks = 0;
                            return Err(AuthError::NotGenuine);
                        }
                        return Ok(self.complain(challenge, request).to_string());
                    }
                }
            }
        };
        let mut session = Session { challenge, algorithm, ha1, auts, count: 0 };
        let value = session.credentials(&self.username, request, random).to_string();
        if header == HeaderName::Authorization && request.method() == Some(&Method::Register) {
            // What carries auts is no answer that could be given again.
            self.registrar = session.auts.is_none().then_some(session);
        }
        Ok(value)
    }

    /// TS 24.229 §5.1.1.5.3: an empty response and no auts say that the challenge was no good.
    fn complain<'a>(&'a self, challenge: Challenge, request: &'a Message) -> Credentials<'a> {
        Credentials {
            username: self.username.as_str().into(),
            realm: challenge.realm.into(),
            nonce: challenge.nonce.into(),
            algorithm: challenge.algorithm.into(),
            uri: request.uri().into(),
            ..Credentials::default()
        }
    }

    /// Whether the last AUTN was false.
    pub(crate) fn doubts(&self) -> bool {
        self.false_networks > 0
    }

    /// Forgets the answers given so far: the next registration is a new one.
    pub(crate) fn forget(&mut self) {
        self.registrar = None;
        self.false_networks = 0;
    }
}

impl Session {
    fn credentials<'a>(
        &'a mut self,
        username: &'a str,
        request: &'a Message,
        random: &mut Random,
    ) -> Credentials<'a> {
        self.count += 1;
        let (auth, integrity) =
            (self.challenge.offers_qop("auth"), self.challenge.offers_qop("auth-int"));
        let (qop, qop_name) = match (auth, integrity) {
            (true, _) => (Qop::Auth, "auth"),
            (false, true) => (Qop::AuthInt(request.body()), "auth-int"),
            (false, false) => (Qop::None, ""),
        };
        let (nc, cnonce) = (format!("{:08x}", self.count), random.token::<8>());
        let method = request.method().map_or("", |m| m.as_str());
        let covered = Covered {
            algorithm: self.algorithm,
            nonce: &self.challenge.nonce,
            nc: &nc,
            cnonce: &cnonce,
            qop,
            method,
            uri: request.uri(),
        };
        let response = digest::response(&self.ha1, &covered);
        Credentials {
            username: username.into(),
            realm: self.challenge.realm.as_str().into(),
            nonce: self.challenge.nonce.as_str().into(),
            uri: request.uri().into(),
            response: response.into(),
            algorithm: self.challenge.algorithm.as_str().into(),
            qop: qop_name.into(),
            nc: nc.into(),
            cnonce: cnonce.into(),
            opaque: self.challenge.opaque.as_deref().map(Into::into),
            auts: self.auts.as_deref().map(Into::into),
            integrity_protected: None,
        }
    }
}
