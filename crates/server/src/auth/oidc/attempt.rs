//! One log-in under way: three secrets, kept by the browser that began it.

use crate::auth::secrets::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;

/// Characters of each: 32 bytes in base64.
const LENGTH: usize = 43;

/// A log-in under way. It does not print itself by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Comes back with the code: whoever brings another did not begin here.
    state: String,
    /// Stands in the ID token: it was made for this log-in.
    pub(super) nonce: String,
    /// Proves to the provider that the code is brought by whoever asked for it.
    pub(super) verifier: String,
}

impl Attempt {
    /// A new one.
    pub fn new() -> std::io::Result<Attempt> {
        let secret = || Ok::<_, std::io::Error>(URL_SAFE_NO_PAD.encode(random::<32>()?));
        Ok(Attempt {
            state: secret()?,
            nonce: secret()?,
            verifier: secret()?,
        })
    }

    /// As the cookie has it.
    pub fn to_cookie(&self) -> String {
        format!("{}.{}.{}", self.state, self.nonce, self.verifier)
    }

    /// From the cookie.
    pub fn of_cookie(text: &str) -> Option<Attempt> {
        let is_secret = |text: &&str| {
            text.len() == LENGTH
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let mut parts = text.split('.');
        let mut next = || parts.next().filter(is_secret).map(str::to_owned);
        let attempt = Attempt {
            state: next()?,
            nonce: next()?,
            verifier: next()?,
        };
        parts.next().is_none().then_some(attempt)
    }

    /// For the provider's URL.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Whether what came back belongs to this one. By digests, so that the time it
    /// takes tells nothing.
    pub fn is_of_state(&self, state: &str) -> bool {
        Sha256::digest(state) == Sha256::digest(&self.state)
    }

    /// What the provider is told of the verifier (S256).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_from_its_cookie_and_from_no_other() {
        let attempt = Attempt::new().unwrap();
        let cookie = attempt.to_cookie();
        assert_eq!(Attempt::of_cookie(&cookie), Some(attempt.clone()));
        assert!(attempt.is_of_state(attempt.state()));
        assert!(!attempt.is_of_state(Attempt::new().unwrap().state()));
        assert!(!attempt.is_of_state(""));
        let longer = format!("{cookie}.x");
        for wrong in ["", "..", &cookie[1..], &longer, &cookie.replace('.', "")] {
            assert_eq!(Attempt::of_cookie(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let attempt = Attempt {
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(),
            ..Attempt::new().unwrap()
        };
        assert_eq!(
            attempt.challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
