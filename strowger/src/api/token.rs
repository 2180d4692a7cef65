//! Who may use the API: whoever knows a token that stands in a file of the process's owner (RFC 6750).

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use auth::hex;
use base::Random;
use base::redact::Secret;
use subtle::ConstantTimeEq;

/// Characters of a token at least: what is shorter can be guessed.
const SHORTEST: usize = 16;
/// And at most.
const LONGEST: u64 = 1024;

/// What a client has to know.
#[derive(Debug)]
pub(super) struct Token(Secret<String>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("the API's token {path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// Others can read it.
    #[error("the API's token {path} can be read by others\n  help: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: String,
    },
    /// It is none.
    #[error(
        "the API's token {path} is not one line of at least {SHORTEST} visible characters\n  help: take \
         the file away, and a new one is written"
    )]
    Unusable {
        /// The file.
        path: String,
    },
}

impl Token {
    /// The token of a file; a new one, for the owner only, if it is not there.
    ///
    /// # Errors
    /// With advice.
    pub(super) fn open(file: &Path, random: &mut Random) -> Result<Token, TokenError> {
        let path = file.display().to_string();
        let failed = |error| TokenError::Io { path: path.clone(), error };
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(file) {
            Ok(mut new) => {
                let token = hex::encode(&random.bytes::<32>());
                new.write_all(token.as_bytes())
                    .and_then(|()| new.write_all(b"\n"))
                    .map_err(failed)?;
                return Ok(Token(Secret::new(token)));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        let open = fs::File::open(file).map_err(failed)?;
        if open.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(TokenError::Exposed { path });
        }
        let mut text = String::new();
        open.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
        let token = text.trim_end_matches(['\r', '\n']);
        if token.len() < SHORTEST || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TokenError::Unusable { path });
        }
        Ok(Token(Secret::new(token.to_owned())))
    }

    /// Whether an Authorization header field carries it, RFC 6750 §2.1.
    pub(super) fn is_in(&self, authorization: &str) -> bool {
        let Some((scheme, token)) = authorization.split_once(' ') else { return false };
        let same = token.trim_start().as_bytes().ct_eq(self.0.reveal().as_bytes());
        scheme.eq_ignore_ascii_case("bearer") && bool::from(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_for_its_owner() {
        let folder = std::env::temp_dir().join(format!("strowger-token-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("token");
        let mut random = Random::from_u64(1);
        Token::open(&file, &mut random).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            (text.len(), fs::metadata(&file).unwrap().permissions().mode() & 0o777),
            (65, 0o600)
        );
        let again = Token::open(&file, &mut random).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert!(again.is_in(&format!("Bearer {}", text.trim())));
        assert!(again.is_in(&format!("bearer  {}", text.trim())));
        for wrong in ["", "Bearer", "Bearer ", "Basic abc", &text, &format!("Bearer {text}x")] {
            assert!(!again.is_in(wrong), "{wrong:?}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Token::open(&file, &mut random), Err(TokenError::Exposed { .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "short\n").unwrap();
        assert!(matches!(Token::open(&file, &mut random), Err(TokenError::Unusable { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }
}
