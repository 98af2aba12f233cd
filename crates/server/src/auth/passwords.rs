//! Passwords: hashed with argon2id, a few at a time.

use super::secrets::random;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, Params};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bytes of a password, at least.
pub const MIN_PASSWORD: usize = 12;
/// Bytes of a password, at most: each is hashed, by whoever sends it.
pub const MAX_PASSWORD: usize = 1024;
/// Hashed at once: each takes 19 MiB and a core for some tens of milliseconds.
const AT_ONCE: usize = 2;

/// Hashes and compares passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Compared with when there is no such user: who is there must not show in the
    /// time an answer takes.
    nobody: Arc<str>,
}

impl Passwords {
    /// Makes it.
    pub fn new() -> std::io::Result<Passwords> {
        let nobody = hash(&format!("{:?}", random::<32>()?))?;
        Ok(Passwords {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            nobody: nobody.into(),
        })
    }

    /// What the store keeps of a password.
    pub async fn hash(&self, password: String) -> std::io::Result<String> {
        self.in_turn(move || hash(&password)).await?
    }

    /// Whether it is the one that this hash is of. No hash: it is not, after the same
    /// time.
    pub async fn matches(&self, password: String, kept: Option<String>) -> std::io::Result<bool> {
        let nobody = Arc::clone(&self.nobody);
        self.in_turn(move || {
            let known = kept.is_some();
            let kept = kept.unwrap_or_else(|| nobody.as_ref().to_owned());
            let matches = PasswordHash::new(&kept).is_ok_and(|kept| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &kept)
                    .is_ok()
            });
            matches && known
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<T> {
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(std::io::Error::other)?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
        .map_err(std::io::Error::other)
    }
}

fn failed(why: argon2::password_hash::Error) -> std::io::Error {
    std::io::Error::other(why.to_string())
}

fn hash(password: &str) -> std::io::Result<String> {
    // What OWASP asks for: argon2id, 19 MiB, two passes.
    debug_assert_eq!(Params::DEFAULT_M_COST, 19 * 1024);
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(failed)?;
    let hash = Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(failed)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_matches_and_no_other() {
        let passwords = Passwords::new().unwrap();
        let kept = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(kept.starts_with("$argon2id$"));
        for (password, kept, matches) in [
            ("correct horse", Some(kept.clone()), true),
            ("correct horsf", Some(kept), false),
            ("correct horse", None, false),
            ("correct horse", Some("no hash".to_owned()), false),
        ] {
            let answer = passwords.matches(password.to_owned(), kept).await.unwrap();
            assert_eq!(answer, matches);
        }
    }
}
