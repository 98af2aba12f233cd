//! Random secrets, and what the store keeps of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use picket_store::SecretHash;
use sha2::{Digest, Sha256};
use std::fmt;

/// Random bytes in a secret.
const BYTES: usize = 32;

/// A secret, shown once. It does not print itself by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one. The prefix says what it is, to people and to scanners for leaked
    /// secrets.
    pub fn new(prefix: &str) -> std::io::Result<Secret> {
        Ok(Secret(format!(
            "{prefix}_{}",
            URL_SAFE_NO_PAD.encode(random::<BYTES>()?)
        )))
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> SecretHash {
        digest(&self.0)
    }

    /// The secret itself, for its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What the store keeps of a secret of this text. Enough for what is long and
/// random; passwords are neither.
pub fn digest(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// From the kernel.
pub(super) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    use std::io::Read;
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_do_not_print() {
        let (one, two) = (Secret::new("pkt").unwrap(), Secret::new("pkt").unwrap());
        assert_ne!(one, two);
        assert_ne!(one.hash(), two.hash());
        assert!(one.reveal().starts_with("pkt_") && one.reveal().len() == 47);
        assert!(!format!("{one:?}").contains(one.reveal()));
    }
}
