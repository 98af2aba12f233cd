//! What an ID token must say to be believed (OpenID Connect Core 3.1.3.7), and whom it
//! speaks of.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Clocks differ, seconds.
const SKEW: f64 = 60.0;
/// Groups of one user that are looked at.
const MAX_GROUPS: usize = 2000;

/// Who logged in at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's name for them, for ever.
    pub subject: String,
    /// What they would be called here.
    pub name: Option<String>,
    /// Their groups.
    pub groups: Vec<String>,
}

/// A token's claims are not believed: which, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ID token's {claim} {why}")]
pub(super) struct BadClaim {
    claim: &'static str,
    why: &'static str,
}

fn bad<T>(claim: &'static str, why: &'static str) -> Result<T, BadClaim> {
    Err(BadClaim { claim, why })
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
    azp: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a token is held against.
pub(super) struct Expected<'e> {
    pub issuer: &'e str,
    pub client_id: &'e str,
    pub nonce: &'e str,
    /// Seconds since the epoch.
    pub now: f64,
    pub groups_claim: &'e str,
    pub name_claim: &'e str,
}

impl Expected<'_> {
    /// Whom the token speaks of, if it is for this server, from this provider, of this
    /// log-in, and not over.
    pub(super) fn check(&self, payload: &[u8]) -> Result<Identity, BadClaim> {
        let Ok(claims) = serde_json::from_slice::<Claims>(payload) else {
            return bad("content", "lacks a claim, or one has the wrong type");
        };
        if claims.iss != self.issuer {
            return bad("iss", "is another provider");
        }
        let (ours, others) = match &claims.aud {
            Audience::One(one) => (one == self.client_id, false),
            Audience::Many(many) => (
                many.iter().any(|one| one == self.client_id),
                many.iter().any(|one| one != self.client_id),
            ),
        };
        if !ours {
            return bad("aud", "is somebody else");
        }
        match &claims.azp {
            None if others => return bad("azp", "is missing, and others may use it too"),
            Some(azp) if azp != self.client_id => return bad("azp", "is somebody else"),
            _ => {}
        }
        if claims.exp + SKEW <= self.now {
            return bad("exp", "is over");
        }
        if claims.iat - SKEW > self.now {
            return bad("iat", "is in the future");
        }
        if claims.nbf.is_some_and(|nbf| nbf - SKEW > self.now) {
            return bad("nbf", "is in the future");
        }
        if claims.nonce.as_deref() != Some(self.nonce) {
            return bad("nonce", "is of another log-in");
        }
        if claims.sub.is_empty() || claims.sub.len() > picket_store::limits::MAX_NAME {
            return bad("sub", "is empty or too long");
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let groups = match claims.others.get(self.groups_claim) {
            Some(Value::Array(groups)) => groups.iter().take(MAX_GROUPS).filter_map(text).collect(),
            Some(Value::String(group)) => vec![group.clone()],
            _ => Vec::new(),
        };
        Ok(Identity {
            name: claims.others.get(self.name_claim).and_then(text),
            subject: claims.sub,
            groups,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const EXPECTED: Expected<'_> = Expected {
        issuer: "https://sso",
        client_id: "picket",
        nonce: "n",
        now: 1_000_000.0,
        groups_claim: "groups",
        name_claim: "preferred_username",
    };

    fn with(changes: Value) -> Result<Identity, BadClaim> {
        let mut claims = json!({
            "iss": "https://sso", "sub": "4711", "aud": "picket", "exp": 1_000_300,
            "iat": 1_000_000, "nonce": "n", "preferred_username": "ada",
            "groups": ["blue", 7, "red"],
        });
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(key)),
                value => claims[key] = value.clone(),
            }
        }
        EXPECTED.check(claims.to_string().as_bytes())
    }

    #[test]
    fn a_good_token_tells_who_it_is() {
        let identity = with(json!({})).unwrap();
        assert_eq!(identity.subject, "4711");
        assert_eq!(identity.name.as_deref(), Some("ada"));
        assert_eq!(identity.groups, ["blue", "red"]);
        assert_eq!(with(json!({"groups": "one"})).unwrap().groups, ["one"]);
        assert!(with(json!({"groups": null})).unwrap().groups.is_empty());
        assert!(with(json!({"aud": ["picket"]})).is_ok());
        assert!(with(json!({"aud": ["picket", "x"], "azp": "picket"})).is_ok());
        // Within what clocks may differ by.
        assert!(with(json!({"exp": 999_970, "iat": 1_000_030.5})).is_ok());
    }

    #[test]
    fn every_claim_is_held_against_what_it_must_be() {
        for (changes, claim) in [
            (json!({"iss": "https://sso/"}), "iss"),
            (json!({"aud": "other"}), "aud"),
            (json!({"aud": []}), "aud"),
            (json!({"aud": ["picket", "x"]}), "azp"),
            (json!({"azp": "other"}), "azp"),
            (json!({"exp": 999_940}), "exp"),
            (json!({"iat": 1_000_100}), "iat"),
            (json!({"nbf": 1_000_100}), "nbf"),
            (json!({"nonce": "other"}), "nonce"),
            (json!({"nonce": null}), "nonce"),
            (json!({"sub": ""}), "sub"),
            (json!({"sub": "x".repeat(300)}), "sub"),
            (json!({"sub": null}), "content"),
            (json!({"exp": null}), "content"),
            (json!({"iat": null}), "content"),
            (json!({"iss": null}), "content"),
            (json!({"aud": null}), "content"),
            // Of the wrong type is not the same as not there.
            (json!({"exp": "9999999999"}), "content"),
            (json!({"nbf": "1"}), "content"),
            (json!({"nonce": ["n"]}), "content"),
        ] {
            let error = with(changes.clone()).unwrap_err();
            assert_eq!(error.claim, claim, "{changes}");
        }
    }
}
