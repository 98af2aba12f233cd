//! Whose signature stands under a token (RFC 7515, 7517, 7518).
//!
//! Only what a provider signs with its private key is looked at: neither `none` nor
//! the HMACs, which a public key would do for, are known here at all.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;

/// Bytes of a token, at most.
const MAX_TOKEN: usize = 64 << 10;
/// Keys of a provider that are looked at.
const MAX_KEYS: usize = 64;

/// A token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadToken {
    /// It cannot be read.
    #[error("the token cannot be read: {0}")]
    Shape(&'static str),
    /// By an algorithm that is not taken.
    #[error("the token's algorithm is not taken")]
    Algorithm,
    /// By a key that the provider does not show.
    #[error("the provider shows no key that the token could be signed with")]
    UnknownKey,
    /// By nobody.
    #[error("the token's signature is wrong")]
    Signature,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood: none is.
    crit: Option<serde_json::Value>,
}

/// A provider's keys, as it shows them.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Keys {
    keys: Vec<serde_json::Value>,
}

/// One key. What it lacks for its kind makes it fit nothing.
#[derive(Debug, Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

enum Algorithm {
    Rsa(&'static signature::RsaParameters),
    /// The curve, and the bytes of a coordinate.
    Curve(&'static dyn VerificationAlgorithm, &'static str, usize),
    Ed25519,
}

fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Algorithm::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        "ES256" => Algorithm::Curve(&signature::ECDSA_P256_SHA256_FIXED, "P-256", 32),
        "ES384" => Algorithm::Curve(&signature::ECDSA_P384_SHA384_FIXED, "P-384", 48),
        "EdDSA" => Algorithm::Ed25519,
        _ => return None,
    })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

impl Key {
    /// None if the key is of another kind.
    fn verifies(&self, algorithm: &Algorithm, message: &[u8], signed: &[u8]) -> Option<bool> {
        match algorithm {
            Algorithm::Rsa(parameters) => {
                let (n, e) = (bytes(self.n.as_ref()?)?, bytes(self.e.as_ref()?)?);
                let key = RsaPublicKeyComponents { n, e };
                (self.kty == "RSA").then(|| key.verify(parameters, message, signed).is_ok())
            }
            Algorithm::Curve(curve, name, length) => {
                let (x, y) = (bytes(self.x.as_ref()?)?, bytes(self.y.as_ref()?)?);
                let fits = self.kty == "EC"
                    && self.crv.as_deref() == Some(name)
                    && x.len() == *length
                    && y.len() == *length;
                let point = [&[4], &x[..], &y[..]].concat();
                let key = UnparsedPublicKey::new(*curve, point);
                fits.then(|| key.verify(message, signed).is_ok())
            }
            Algorithm::Ed25519 => {
                let x = bytes(self.x.as_ref()?)?;
                let fits = self.kty == "OKP" && self.crv.as_deref() == Some("Ed25519");
                let key = UnparsedPublicKey::new(&signature::ED25519, x);
                fits.then(|| key.verify(message, signed).is_ok())
            }
        }
    }
}

impl Keys {
    /// What a token says, if one of these keys signed it.
    pub(super) fn verify(&self, token: &str) -> Result<Vec<u8>, BadToken> {
        if token.len() > MAX_TOKEN {
            return Err(BadToken::Shape("it is too long"));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signed] = parts[..] else {
            return Err(BadToken::Shape("it has not three parts"));
        };
        let (message, _) = token.rsplit_once('.').unwrap_or_default();
        let read = |text: &str| bytes(text).ok_or(BadToken::Shape("it is not base64url"));
        let (header, payload, signed) = (read(header)?, read(payload)?, read(signed)?);
        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| BadToken::Shape("its header is not as it should be"))?;
        if header.crit.is_some() {
            return Err(BadToken::Shape("it wants extensions to be understood"));
        }
        let algorithm = algorithm(&header.alg).ok_or(BadToken::Algorithm)?;
        let keys = self.keys.iter().take(MAX_KEYS);
        let fitting = keys
            .filter_map(|key| Key::deserialize(key).ok())
            .filter(|key| header.kid.is_none() || key.kid == header.kid)
            .filter(|key| key.alg.as_ref().is_none_or(|alg| *alg == header.alg))
            .filter(|key| {
                key.purpose
                    .as_deref()
                    .is_none_or(|purpose| purpose == "sig")
            });
        let mut tried = fitting
            .filter_map(|key| key.verifies(&algorithm, message.as_bytes(), &signed))
            .peekable();
        if tried.peek().is_none() {
            return Err(BadToken::UnknownKey);
        }
        match tried.any(|good| good) {
            true => Ok(payload),
            false => Err(BadToken::Signature),
        }
    }
}

#[cfg(test)]
mod tests;
