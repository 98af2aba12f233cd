//! Keys: ed25519 (RFC 8032), named by their digest.

use super::envelope::Unverified;
use super::{Bundle, Verified};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Names a public key: the first 16 bytes of its SHA-256, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key's text was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not base64, or of another length.
    #[error("a key is 32 bytes in base64 (44 characters)")]
    Form,
    /// Not a point of the curve, or one that proves nothing.
    #[error("these 32 bytes are no usable ed25519 public key")]
    Point,
}

/// Checks signatures. As text: base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads the text that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<PublicKey, BadKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes(text)?);
        let key = key.map_err(|_| BadKey::Point)?;
        // Any message has a signature by a weak key.
        if key.is_weak() {
            return Err(BadKey::Point);
        }
        Ok(PublicKey(key))
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        let digest = Sha256::digest(self.0.as_bytes());
        KeyId(
            digest[..16]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// Whether it made that signature of that message; malleable ones do not count.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0.as_bytes()))
    }
}

/// Makes signatures. Wiped from memory when dropped; has no text by itself, so
/// that none comes into a log.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> SigningKey {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a seed in base64.
    pub fn parse(text: &str) -> Result<SigningKey, BadKey> {
        Ok(SigningKey::from_seed(&bytes(text)?))
    }

    /// What its signatures are checked with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

/// The keys whose signatures count. More than one while keys are changed.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys(Vec<PublicKey>);

impl TrustedKeys {
    /// These and no others.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> TrustedKeys {
        TrustedKeys(keys.into_iter().collect())
    }

    /// A bundle that one of the keys has signed.
    pub fn verify(&self, envelope: &[u8]) -> Result<Verified, Unverified> {
        super::envelope::verify(envelope, &self.0)
    }

    pub(crate) fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    /// Signs and reads back, so that what is sent is what would be taken.
    pub fn sign_and_verify(
        &self,
        bundle: &Bundle,
        key: &SigningKey,
    ) -> Result<(Vec<u8>, Verified), Unverified> {
        let envelope = super::sign(bundle, key)?;
        let verified = self.verify(&envelope)?;
        Ok((envelope, verified))
    }
}

fn bytes(text: &str) -> Result<[u8; 32], BadKey> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| BadKey::Form)?;
    bytes.try_into().map_err(|_| BadKey::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_its_own_text_and_no_other() {
        let public = SigningKey::from_seed(&[7; 32]).public();
        assert_eq!(PublicKey::parse(&public.to_string()), Ok(public.clone()));
        assert_eq!(public.id().to_string().len(), 32);
        for wrong in ["", "not base64", "AAAA", &public.to_string()[1..]] {
            assert_eq!(PublicKey::parse(wrong), Err(BadKey::Form), "{wrong:?}");
        }
    }

    #[test]
    fn a_weak_key_is_refused() {
        // The neutral element of the curve.
        let mut point = [0; 32];
        point[0] = 1;
        assert_eq!(
            PublicKey::parse(&STANDARD.encode(point)),
            Err(BadKey::Point)
        );
    }

    #[test]
    fn a_signing_key_shows_nothing_of_itself() {
        let key = SigningKey::from_seed(&[7; 32]);
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("SigningKey({})", key.public().id()));
    }
}
