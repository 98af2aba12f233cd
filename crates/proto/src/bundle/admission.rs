//! Whether a verified bundle may take the place of what is in force.

use super::{KeyId, Verified};
use serde::{Deserialize, Serialize};

/// What a sensor has applied last. Kept across restarts: with it, an old bundle
/// cannot come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Of which scope.
    pub scope: String,
    /// Which version.
    pub version: u64,
    /// SHA-256 of what was signed.
    pub digest: [u8; 32],
    /// By which key.
    pub key: KeyId,
    /// When it should have been replaced, microseconds since the epoch.
    pub expires_us: i64,
}

impl Applied {
    /// A bundle as it is remembered.
    pub fn of(verified: &Verified) -> Applied {
        Applied {
            scope: verified.bundle().scope.clone(),
            version: verified.bundle().version,
            digest: verified.digest(),
            key: verified.key().clone(),
            expires_us: verified.bundle().expires_us,
        }
    }

    /// True when a newer one should long have come: the server is away, or somebody
    /// keeps its bundles back.
    pub fn is_expired(&self, now_us: i64) -> bool {
        now_us >= self.expires_us
    }
}

/// What is to be done with a bundle that may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Apply it.
    Apply,
    /// It is in force already.
    InForce,
}

/// Why a bundle stays outside, well signed as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Relabelled, or sent to the wrong sensor.
    #[error("the bundle is for scope {found:?}; this sensor is of {own:?}")]
    Scope {
        /// Whose it is.
        found: String,
        /// Whose it had to be.
        own: String,
    },
    /// Stale or replayed.
    #[error(
        "the bundle has version {found}, and {applied} was applied before: an older one is \
         brought back by signing its content anew with a higher version"
    )]
    Stale {
        /// Its version.
        found: u64,
        /// What was applied.
        applied: u64,
    },
    /// Two bundles of one version: one of the signers is not what it should be.
    #[error("another bundle with version {version} was applied before")]
    Conflict {
        /// Theirs.
        version: u64,
    },
    /// Kept back until it was over.
    #[error("the bundle is {} s past its end", late_us / 1_000_000)]
    Expired {
        /// By how many microseconds.
        late_us: i64,
    },
}

/// What a sensor holds against a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Its scope.
    pub scope: &'a str,
    /// What it applied last, if anything.
    pub applied: Option<&'a Applied>,
    /// Now, microseconds since the epoch.
    pub now_us: i64,
}

impl Standing<'_> {
    /// Whether the bundle may come in.
    pub fn admit(&self, verified: &Verified) -> Result<Admission, Refusal> {
        let bundle = verified.bundle();
        if bundle.scope != self.scope {
            return Err(Refusal::Scope {
                found: bundle.scope.clone(),
                own: self.scope.to_owned(),
            });
        }
        // A sensor that changed its scope begins with any version of the new one.
        let applied = self.applied.filter(|applied| applied.scope == self.scope);
        if let Some(applied) = applied {
            if bundle.version < applied.version {
                return Err(Refusal::Stale {
                    found: bundle.version,
                    applied: applied.version,
                });
            }
            if bundle.version == applied.version {
                return if verified.digest() == applied.digest {
                    Ok(Admission::InForce)
                } else {
                    Err(Refusal::Conflict {
                        version: applied.version,
                    })
                };
            }
        }
        if self.now_us >= bundle.expires_us {
            return Err(Refusal::Expired {
                late_us: self.now_us.saturating_sub(bundle.expires_us),
            });
        }
        Ok(Admission::Apply)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bundle, SigningKey, TrustedKeys};
    use super::*;

    const SCOPE: &str = "payments";

    fn verified(scope: &str, version: u64, text: &str) -> Verified {
        let key = SigningKey::from_seed(&[1; 32]);
        let bundle = Bundle {
            scope: scope.to_owned(),
            version,
            created_us: 0,
            expires_us: 1_000_000,
            files: vec![super::super::RuleFile {
                name: "web.yaml".to_owned(),
                text: text.to_owned(),
            }],
        };
        let trusted = TrustedKeys::new([key.public()]);
        trusted.sign_and_verify(&bundle, &key).unwrap().1
    }

    fn admit(
        applied: Option<&Applied>,
        now_us: i64,
        offered: &Verified,
    ) -> Result<Admission, Refusal> {
        let standing = Standing {
            scope: SCOPE,
            applied,
            now_us,
        };
        standing.admit(offered)
    }

    #[test]
    fn versions_only_grow() {
        let second = verified(SCOPE, 2, "two");
        assert_eq!(admit(None, 0, &second), Ok(Admission::Apply));
        let applied = Applied::of(&second);
        let admit = |offered: &Verified| admit(Some(&applied), 0, offered);
        assert_eq!(admit(&second), Ok(Admission::InForce));
        assert_eq!(admit(&verified(SCOPE, 3, "one")), Ok(Admission::Apply));
        assert_eq!(
            admit(&verified(SCOPE, 1, "one")),
            Err(Refusal::Stale {
                found: 1,
                applied: 2
            })
        );
        assert_eq!(
            admit(&verified(SCOPE, 2, "another two")),
            Err(Refusal::Conflict { version: 2 })
        );
    }

    #[test]
    fn one_of_another_scope_is_refused_whatever_its_version() {
        let applied = Applied::of(&verified(SCOPE, 2, ""));
        let offered = verified("web", 9, "");
        let refused = admit(Some(&applied), 0, &offered).unwrap_err();
        assert!(matches!(refused, Refusal::Scope { .. }), "{refused}");
    }

    #[test]
    fn a_sensor_that_changed_its_scope_begins_anew() {
        let applied = Applied::of(&verified("web", 9, ""));
        let offered = verified(SCOPE, 1, "");
        assert_eq!(admit(Some(&applied), 0, &offered), Ok(Admission::Apply));
    }

    #[test]
    fn one_that_is_over_is_not_taken_and_one_in_force_stays() {
        let offered = verified(SCOPE, 1, "");
        assert_eq!(
            admit(None, 3_000_000, &offered),
            Err(Refusal::Expired { late_us: 2_000_000 })
        );
        let applied = Applied::of(&offered);
        assert!(!applied.is_expired(999_999));
        assert!(applied.is_expired(1_000_000));
        assert_eq!(
            admit(Some(&applied), 3_000_000, &offered),
            Ok(Admission::InForce)
        );
    }
}
