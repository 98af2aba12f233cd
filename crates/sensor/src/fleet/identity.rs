//! Who this sensor is to its server, and what it trusts: one file, `identity.json`.

use super::files;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use picket_proto::bundle::{PublicKey, TrustedKeys};
use picket_proto::fleet::wire;
use rcgen::{CertificateParams, KeyPair};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "identity.json";

/// An identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content.
    #[error("{} holds no identity: {why}; remove it to join anew", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Others may read the key in it.
    #[error(
        "{} can be read by others than its owner: revoke this sensor, remove the file, join anew",
        path.display()
    )]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// A key or a request could not be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
    /// The server gave something that cannot be used.
    #[error("the server's answer cannot be used: {0}")]
    Answer(String),
}

/// A key and what was signed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The id that the server gave.
    pub sensor: String,
    /// The certificate's end, microseconds since the epoch.
    pub expires_us: i64,
    /// When it was received.
    pub issued_us: i64,
    key: Bytes,
    certificate: Bytes,
    authorities: Vec<Bytes>,
    bundle_keys: Vec<String>,
}

/// Bytes, base64 in JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Bytes(Vec<u8>);

impl TryFrom<String> for Bytes {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Bytes, base64::DecodeError> {
        STANDARD.decode(text).map(Bytes)
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> String {
        STANDARD.encode(bytes.0)
    }
}

/// Nothing of a key comes into a log.
impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A key that nobody has signed yet.
pub struct NewKey {
    key: KeyPair,
    /// The request, DER.
    pub request: Vec<u8>,
}

impl NewKey {
    /// Makes one.
    pub fn make() -> Result<NewKey, IdentityError> {
        let key = KeyPair::generate()?;
        let request = CertificateParams::default().serialize_request(&key)?;
        Ok(NewKey {
            request: request.der().to_vec(),
            key,
        })
    }

    /// With what the server has signed.
    pub fn signed(
        self,
        sensor: &str,
        answer: wire::Identity,
        now_us: i64,
    ) -> Result<Identity, IdentityError> {
        let identity = Identity {
            sensor: sensor.to_owned(),
            expires_us: answer.expires_us,
            issued_us: now_us,
            key: Bytes(self.key.serialize_der()),
            certificate: Bytes(answer.certificate),
            authorities: answer.authorities.into_iter().map(Bytes).collect(),
            bundle_keys: answer.bundle_keys,
        };
        identity.check().map_err(IdentityError::Answer)?;
        Ok(identity)
    }
}

impl Identity {
    /// Reads it; none if this sensor has not joined.
    pub fn load(folder: &Path) -> Result<Option<Identity>, IdentityError> {
        let path = folder.join(FILE);
        let failed = |source| IdentityError::File {
            path: path.clone(),
            source,
        };
        let Some(content) = files::read(&path).map_err(failed)? else {
            return Ok(None);
        };
        let mode = std::fs::metadata(&path)
            .map_err(failed)?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(IdentityError::Open { path });
        }
        let identity: Result<Identity, String> =
            serde_json::from_slice(&content).map_err(|why| why.to_string());
        let identity = identity.and_then(|identity| identity.check().map(|()| identity));
        match identity {
            Ok(identity) => Ok(Some(identity)),
            Err(why) => Err(IdentityError::Content { path, why }),
        }
    }

    /// Writes it, whole or not at all.
    pub(super) fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        let path = folder.join(FILE);
        let content = serde_json::to_vec(self).unwrap_or_default();
        files::replace(&path, &content).map_err(|source| IdentityError::File { path, source })
    }

    fn check(&self) -> Result<(), String> {
        if self.sensor.is_empty() || self.certificate.0.is_empty() || self.authorities.is_empty() {
            return Err("a part of it is missing".to_owned());
        }
        self.parsed_keys().map(|_| ())
    }

    fn parsed_keys(&self) -> Result<Vec<PublicKey>, String> {
        if self.bundle_keys.is_empty() {
            return Err("it trusts no key for bundles".to_owned());
        }
        let keys = self.bundle_keys.iter();
        keys.map(|key| PublicKey::parse(key).map_err(|why| why.to_string()))
            .collect()
    }

    /// The keys that may sign bundles for this sensor.
    pub fn trusted(&self) -> TrustedKeys {
        // They were checked when they came in.
        TrustedKeys::new(self.parsed_keys().unwrap_or_default())
    }

    /// Two thirds of the certificate's life are over.
    pub(super) fn is_due(&self, now_us: i64) -> bool {
        let life = self.expires_us.saturating_sub(self.issued_us);
        now_us >= self.issued_us.saturating_add(life / 3 * 2)
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key.0
    }

    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate.0
    }

    pub(super) fn authorities(&self) -> impl Iterator<Item = &[u8]> {
        self.authorities.iter().map(|bytes| bytes.0.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_proto::bundle::SigningKey;

    fn identity() -> Identity {
        let answer = wire::Identity {
            certificate: vec![1],
            authorities: vec![vec![2]],
            bundle_keys: vec![SigningKey::from_seed(&[1; 32]).public().to_string()],
            expires_us: 300,
        };
        NewKey::make().unwrap().signed("id", answer, 0).unwrap()
    }

    #[test]
    fn an_identity_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Identity::load(folder.path()).unwrap(), None);
        let identity = identity();
        identity.save(folder.path()).unwrap();
        assert_eq!(Identity::load(folder.path()).unwrap(), Some(identity));
        let file = folder.path().join(FILE);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Identity::load(folder.path()).unwrap_err();
        assert!(matches!(error, IdentityError::Open { .. }), "{error}");
    }

    #[test]
    fn it_is_renewed_after_two_thirds() {
        let identity = identity();
        assert!(!identity.is_due(199));
        assert!(identity.is_due(200));
    }

    #[test]
    fn an_answer_without_keys_is_refused() {
        let answer = wire::Identity {
            certificate: vec![1],
            authorities: vec![vec![2]],
            bundle_keys: vec![],
            expires_us: 300,
        };
        assert!(NewKey::make().unwrap().signed("id", answer, 0).is_err());
    }
}
