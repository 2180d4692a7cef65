//! WWW-Authenticate, Proxy-Authenticate, Authorization, Proxy-Authorization and Authentication-Info:
//! RFC 3261 §22, RFC 7616, RFC 3310.

use core::fmt;
use std::borrow::Cow;

use crate::lex;

/// The comma-separated `name=value` list of an authentication header field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthParams<'a>(&'a str);

impl<'a> AuthParams<'a> {
    /// Parameters from the text after the scheme.
    pub fn new(text: &'a str) -> AuthParams<'a> {
        AuthParams(text)
    }

    /// Name and value of each parameter, quotes kept.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        lex::elements(self.0).filter_map(|e| {
            let (name, value) = lex::split(e, b'=')?;
            Some((name.trim_ascii(), value.trim_ascii()))
        })
    }

    /// A parameter without its quotes.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw(name).map(lex::unquote)
    }

    /// A parameter as written.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
}

/// What a server asks for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Challenge {
    /// The protection domain.
    pub realm: String,
    /// The nonce; for AKA the base-64 text of RAND, AUTN and server data, RFC 3310 §3.2.
    pub nonce: String,
    /// `MD5`, `SHA-256`, `AKAv1-MD5` …; empty means MD5.
    pub algorithm: String,
    /// The offered qualities of protection, such as `auth,auth-int`; empty if none.
    pub qop: String,
    /// To be handed back unchanged.
    pub opaque: Option<String>,
    /// Whether only the nonce was too old.
    pub stale: bool,
    /// Cipher key as hexadecimal text, only between S-CSCF and P-CSCF, TS 24.229 §5.4.1.2.
    pub ck: Option<String>,
    /// Integrity key as hexadecimal text, only between S-CSCF and P-CSCF.
    pub ik: Option<String>,
}

impl Challenge {
    /// Reads a Digest challenge; `None` for another scheme, or without realm or nonce.
    pub fn parse(value: &str) -> Option<Challenge> {
        let params = digest(value)?;
        let text = |name| params.get(name).map(Cow::into_owned);
        Some(Challenge {
            realm: text("realm")?,
            nonce: text("nonce")?,
            algorithm: text("algorithm").unwrap_or_default(),
            qop: text("qop").unwrap_or_default(),
            opaque: text("opaque"),
            stale: params.get("stale").is_some_and(|v| v.eq_ignore_ascii_case("true")),
            ck: text("ck"),
            ik: text("ik"),
        })
    }

    /// Whether this quality of protection is offered.
    pub fn offers_qop(&self, qop: &str) -> bool {
        self.qop.split(',').any(|q| q.trim().eq_ignore_ascii_case(qop))
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_value())
    }
}

impl Challenge {
    /// As it is written: every registration has one, so it is put together in one piece.
    pub fn to_value(&self) -> String {
        let mut out = String::with_capacity(self.realm.len() + self.nonce.len() + 64);
        out.push_str("Digest realm=");
        lex::push_quoted(&mut out, &self.realm);
        out.push_str(",nonce=");
        lex::push_quoted(&mut out, &self.nonce);
        if !self.algorithm.is_empty() {
            out.push_str(",algorithm=");
            out.push_str(&self.algorithm);
        }
        let mut quoted = |name: &str, text: &str| {
            out.push_str(name);
            lex::push_quoted(&mut out, text);
        };
        if !self.qop.is_empty() {
            quoted(",qop=", &self.qop);
        }
        if let Some(opaque) = &self.opaque {
            quoted(",opaque=", opaque);
        }
        if self.stale {
            out.push_str(",stale=TRUE");
        }
        if let (Some(ik), Some(ck)) = (&self.ik, &self.ck) {
            for (name, key) in [(",ik=", ik), (",ck=", ck)] {
                out.push_str(name);
                lex::push_quoted(&mut out, key);
            }
        }
        out
    }
}

/// What a client answers: a part of the header field where that is possible.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Credentials<'a> {
    /// The user name: the IMPI.
    pub username: Cow<'a, str>,
    /// The protection domain.
    pub realm: Cow<'a, str>,
    /// The nonce of the challenge.
    pub nonce: Cow<'a, str>,
    /// The digest-uri.
    pub uri: Cow<'a, str>,
    /// The response, hexadecimal text; empty before the first challenge (TS 24.229 §5.1.1.2.2).
    pub response: Cow<'a, str>,
    /// The algorithm; empty means MD5.
    pub algorithm: Cow<'a, str>,
    /// The chosen quality of protection; empty if none.
    pub qop: Cow<'a, str>,
    /// Nonce count, eight hexadecimal digits.
    pub nc: Cow<'a, str>,
    /// Client nonce.
    pub cnonce: Cow<'a, str>,
    /// From the challenge.
    pub opaque: Option<Cow<'a, str>>,
    /// Base-64 text of AUTS after a synchronisation failure, RFC 3310 §3.4.
    pub auts: Option<Cow<'a, str>>,
    /// `integrity-protected`, set by the P-CSCF, TS 24.229 §5.2.2.
    pub integrity_protected: Option<Cow<'a, str>>,
}

impl<'a> Credentials<'a> {
    /// Reads Digest credentials; `None` for another scheme or without a user name.
    pub fn parse(value: &'a str) -> Option<Credentials<'a>> {
        let params = digest(value)?;
        let mut credentials = Credentials::default();
        let mut username = None;
        // Of a parameter that stands twice the first one that says something counts.
        for (name, value) in params.iter() {
            let is = |known: &str| known == name || name.eq_ignore_ascii_case(known);
            let text = || lex::unquote(value);
            if let Some(field) = credentials.text(name) {
                if field.is_empty() {
                    *field = text();
                }
            } else if is("username") {
                username.get_or_insert_with(text);
            } else if is("opaque") {
                credentials.opaque.get_or_insert_with(text);
            } else if is("auts") {
                credentials.auts.get_or_insert_with(text);
            } else if is("integrity-protected") {
                credentials.integrity_protected.get_or_insert_with(text);
            }
        }
        credentials.username = username?;
        Some(credentials)
    }

    /// One of the parameters that are empty when they are not there.
    fn text(&mut self, name: &str) -> Option<&mut Cow<'a, str>> {
        let fields = [
            ("realm", &mut self.realm),
            ("nonce", &mut self.nonce),
            ("uri", &mut self.uri),
            ("response", &mut self.response),
            ("algorithm", &mut self.algorithm),
            ("qop", &mut self.qop),
            ("nc", &mut self.nc),
            ("cnonce", &mut self.cnonce),
        ];
        let is = |known: &str| known == name || name.eq_ignore_ascii_case(known);
        fields.into_iter().find(|(known, _)| is(known)).map(|(_, field)| field)
    }
}

impl fmt::Display for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let q = lex::quote;
        write!(f, "Digest username={},realm={}", q(&self.username), q(&self.realm))?;
        write!(f, ",nonce={},uri={}", q(&self.nonce), q(&self.uri))?;
        write!(f, ",response={}", q(&self.response))?;
        if !self.algorithm.is_empty() {
            write!(f, ",algorithm={}", self.algorithm)?;
        }
        if !self.qop.is_empty() {
            write!(f, ",qop={},nc={},cnonce={}", self.qop, self.nc, q(&self.cnonce))?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ",opaque={}", q(opaque))?;
        }
        if let Some(auts) = &self.auts {
            write!(f, ",auts={}", q(auts))?;
        }
        if let Some(protected) = &self.integrity_protected {
            write!(f, ",integrity-protected={}", q(protected))?;
        }
        Ok(())
    }
}

fn digest(value: &str) -> Option<AuthParams<'_>> {
    let value = value.trim_ascii();
    let blank = value.bytes().position(|byte| matches!(byte, b' ' | b'\t'))?;
    let (scheme, params) = (&value[..blank], &value[blank + 1..]);
    scheme.eq_ignore_ascii_case("Digest").then_some(AuthParams(params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_survives_the_wire() {
        let challenge = Challenge {
            realm: "ims.test".into(),
            nonce: "A+b/=".into(),
            algorithm: "AKAv1-MD5".into(),
            qop: "auth,auth-int".into(),
            opaque: Some("o\"o".into()),
            stale: true,
            ck: Some("00".into()),
            ik: Some("11".into()),
        };
        assert_eq!(Challenge::parse(&challenge.to_string()), Some(challenge.clone()));
        assert!(challenge.offers_qop("auth-int") && !challenge.offers_qop("int"));
    }

    /// RFC 3261 §22.4's neighbour: the example of RFC 2617 §3.5 in SIP's spelling.
    #[test]
    fn credentials_are_read_with_odd_spacing() {
        let value = "Digest  username=\"Mufasa\",\trealm=\"testrealm@host.com\" , nonce=\"dcd9\", \
                     uri=\"/dir/index.html\",qop=auth, nc=00000001,cnonce=\"0a4f\", response=\"66\"";
        let c = Credentials::parse(value).unwrap();
        assert_eq!((&*c.username, &*c.nc), ("Mufasa", "00000001"));
        assert_eq!(Credentials::parse(&c.to_string()), Some(c));
        assert_eq!(Credentials::parse("Basic QWxhZGRpbg=="), None);
    }
}
