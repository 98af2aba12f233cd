//! How a bundle is carried: DSSE v1 (Dead Simple Signing Envelope), JSON outside,
//! JSON inside, ed25519 over the DSSE pre-authentication encoding.
//!
//! The signature covers the payload's bytes as they are carried: they are parsed
//! only after it was found good, and never written anew before.

use super::Bundle;
use super::keys::{KeyId, PublicKey, SigningKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An envelope larger than this is not read: a few thousand rules fit.
pub const MAX_BYTES: usize = 32 << 20;
/// More signatures than anybody has keys.
const MAX_SIGNATURES: usize = 16;
/// A scope's or a file's name, in bytes.
const MAX_NAME: usize = 256;

/// Signed with the payload: a signature for something else is none for this.
const PAYLOAD_TYPE: &str = "application/vnd.picket.bundle.v1+json";

#[derive(Serialize, Deserialize)]
struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    keyid: Option<KeyId>,
    sig: String,
}

/// Why an envelope holds nothing that can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// Beyond [`MAX_BYTES`].
    #[error("the bundle has {0} bytes; at most {MAX_BYTES} are taken")]
    TooLarge(usize),
    /// Not DSSE.
    #[error("no signed envelope: {0}")]
    Form(String),
    /// Signed as something else.
    #[error("the envelope holds {found:?}, not {wanted}")]
    Type {
        /// What it should be.
        wanted: &'static str,
        /// What it says it is.
        found: String,
    },
    /// No trusted key made one of its signatures.
    #[error("no trusted key has signed it (it names {named}; trusted are {trusted})")]
    Signature {
        /// The keys that it names.
        named: String,
        /// The keys that would do.
        trusted: String,
    },
    /// Well signed, and not a bundle all the same.
    #[error("the signed bundle cannot be used: {0}")]
    Content(String),
}

/// A bundle that a trusted key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    bundle: Bundle,
    key: KeyId,
    digest: [u8; 32],
}

impl Verified {
    /// What was signed.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// By whom.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// SHA-256 of the signed bytes.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// The envelope of a bundle.
pub fn sign(bundle: &Bundle, key: &SigningKey) -> Result<Vec<u8>, Unverified> {
    check(bundle)?;
    let payload =
        serde_json::to_vec(bundle).map_err(|error| Unverified::Content(error.to_string()))?;
    let envelope = seal(PAYLOAD_TYPE, &payload, key)?;
    if envelope.len() > MAX_BYTES {
        return Err(Unverified::TooLarge(envelope.len()));
    }
    Ok(envelope)
}

pub(super) fn verify(bytes: &[u8], trusted: &[PublicKey]) -> Result<Verified, Unverified> {
    if bytes.len() > MAX_BYTES {
        return Err(Unverified::TooLarge(bytes.len()));
    }
    let (payload, key) = unseal(PAYLOAD_TYPE, bytes, trusted)?;
    let bundle: Bundle =
        serde_json::from_slice(&payload).map_err(|error| Unverified::Content(error.to_string()))?;
    check(&bundle)?;
    Ok(Verified {
        bundle,
        key,
        digest: Sha256::digest(&payload).into(),
    })
}

/// A signed envelope. The type is signed with the payload: what was signed as one
/// thing is never taken for another.
pub(crate) fn seal(
    payload_type: &'static str,
    payload: &[u8],
    key: &SigningKey,
) -> Result<Vec<u8>, Unverified> {
    let envelope = Envelope {
        signatures: vec![Signature {
            keyid: Some(key.public().id()),
            sig: STANDARD.encode(key.sign(&pre_authentication(payload_type, payload))),
        }],
        payload: STANDARD.encode(payload),
        payload_type: payload_type.to_owned(),
    };
    serde_json::to_vec(&envelope).map_err(|error| Unverified::Form(error.to_string()))
}

/// The payload of an envelope that a trusted key has signed as that type, and which.
pub(crate) fn unseal(
    payload_type: &'static str,
    bytes: &[u8],
    trusted: &[PublicKey],
) -> Result<(Vec<u8>, KeyId), Unverified> {
    let envelope: Envelope =
        serde_json::from_slice(bytes).map_err(|error| Unverified::Form(error.to_string()))?;
    if envelope.payload_type != payload_type {
        return Err(Unverified::Type {
            wanted: payload_type,
            found: envelope.payload_type.chars().take(MAX_NAME).collect(),
        });
    }
    if envelope.signatures.len() > MAX_SIGNATURES {
        return Err(Unverified::Form(format!(
            "more than {MAX_SIGNATURES} signatures"
        )));
    }
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|error| Unverified::Form(format!("payload: {error}")))?;
    let message = pre_authentication(payload_type, &payload);
    let key = envelope.signatures.iter().find_map(|signature| {
        let sig = STANDARD.decode(&signature.sig).ok()?;
        // `keyid` is a hint (DSSE, "keyid"): it decides nothing.
        trusted.iter().find(|key| key.verifies(&message, &sig))
    });
    let Some(key) = key else {
        let named = envelope.signatures.iter();
        return Err(Unverified::Signature {
            named: list(named.filter_map(|signature| Some(signature.keyid.as_ref()?.to_string()))),
            trusted: list(trusted.iter().map(|key| key.id().to_string())),
        });
    };
    Ok((payload, key.id()))
}

/// What holds for every bundle, whoever signed it.
fn check(bundle: &Bundle) -> Result<(), Unverified> {
    let wrong = |what: String| Err(Unverified::Content(what));
    if bundle.scope.is_empty() || bundle.scope.len() > MAX_NAME {
        return wrong(format!("its scope has to have 1 to {MAX_NAME} bytes"));
    }
    if bundle.version == 0 {
        return wrong("versions begin with 1".to_owned());
    }
    if bundle.expires_us <= bundle.created_us {
        return wrong("it ends before it begins".to_owned());
    }
    match bundle
        .files
        .iter()
        .find(|file| file.name.is_empty() || file.name.len() > MAX_NAME)
    {
        Some(_) => wrong(format!("a file's name has to have 1 to {MAX_NAME} bytes")),
        None => Ok(()),
    }
}

/// PAE of DSSE v1: lengths keep the parts apart, whatever stands in them.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names
        .map(|name| name.chars().take(MAX_NAME).collect())
        .collect();
    if names.is_empty() {
        names.push("none".to_owned());
    }
    names.join(", ")
}

#[cfg(test)]
mod tests;
