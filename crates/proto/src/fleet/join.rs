//! Join tokens: what a person gives a new sensor.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;

/// Tells people and secret scanners what it is.
const PREFIX: &str = "pjoin";

/// A secret that the server knows the hash of, and the digest of the server's
/// authority: with it a sensor knows its server at the first word.
///
/// As text: `pjoin.SECRET.AUTHORITY`, in URL-safe base64.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Random.
    pub secret: [u8; 32],
    /// SHA-256 of the authority's certificate, DER.
    pub authority: [u8; 32],
}

/// A text is no join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token; one looks like {PREFIX}.SECRET.AUTHORITY, and the server makes it")]
pub struct BadJoinToken;

impl JoinToken {
    /// Reads the text that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<JoinToken, BadJoinToken> {
        let mut parts = text.trim().split('.');
        let mut next = || parts.next().ok_or(BadJoinToken);
        if next()? != PREFIX {
            return Err(BadJoinToken);
        }
        let token = JoinToken {
            secret: bytes(next()?)?,
            authority: bytes(next()?)?,
        };
        match parts.next() {
            None => Ok(token),
            Some(_) => Err(BadJoinToken),
        }
    }

    /// What a store keeps of it.
    pub fn hash(&self) -> [u8; 32] {
        hash_of_secret(&self.secret)
    }
}

/// What a store keeps of a token's secret.
pub fn hash_of_secret(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// What a token says of an authority.
pub fn hash_of_authority(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

fn bytes(text: &str) -> Result<[u8; 32], BadJoinToken> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadJoinToken)?;
    bytes.try_into().map_err(|_| BadJoinToken)
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8; 32]| URL_SAFE_NO_PAD.encode(bytes);
        write!(
            f,
            "{PREFIX}.{}.{}",
            text(&self.secret),
            text(&self.authority)
        )
    }
}

/// Shows nothing of the secret, so that none comes into a log.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_its_own_text_and_no_other() {
        let token = JoinToken {
            secret: [1; 32],
            authority: [2; 32],
        };
        let text = token.to_string();
        assert_eq!(JoinToken::parse(&text), Ok(token.clone()));
        assert_eq!(JoinToken::parse(&format!(" {text}\n")), Ok(token.clone()));
        for wrong in [
            "",
            "pjoin",
            "pjoin.a.b",
            &text[1..],
            &format!("{text}.x"),
            &text[..text.len() - 1],
        ] {
            assert_eq!(JoinToken::parse(wrong), Err(BadJoinToken), "{wrong:?}");
        }
        assert_eq!(format!("{token:?}"), "JoinToken");
    }
}
