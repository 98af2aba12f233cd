//! Exceptions: what a rule leaves alone, as resources of their own.
//!
//! One is bound to the text of its rule: when that changes, somebody has to look whether
//! it still holds, and until then it does not. When its time is over, the sensors drop it
//! by themselves; it stays here, and is told of, until somebody deletes or renews it.

use picket_store::{Definition, Kind, Micros};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Tuples of values in one exception, at most.
pub(crate) const MAX_TUPLES: usize = 1_000;

/// What a definition of an exception holds, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    /// Its rule's name.
    pub rule: String,
    /// The version of the rule that it was made for,
    pub rule_version: i64,
    /// and its text: SHA-256 in hex. Stages may change.
    pub rule_text: String,
    /// What is compared.
    pub fields: Vec<String>,
    /// How; left out: for equality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comps: Option<Vec<String>>,
    /// With what: tuples, of which one has to fit.
    pub values: Vec<Vec<Value>>,
    /// Until when, microseconds since the epoch.
    pub expires_at: Micros,
    /// Who answers for it.
    pub owner: String,
}

/// How an exception stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It holds.
    InForce,
    /// Its time is over.
    Expired,
    /// Its rule says something else by now.
    Stale,
    /// Its rule is gone.
    Orphaned,
}

impl Standing {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Standing::InForce => "in_force",
            Standing::Expired => "expired",
            Standing::Stale => "stale",
            Standing::Orphaned => "orphaned",
        }
    }
}

/// What an exception is bound to.
pub(crate) fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Exception {
    /// From a definition's body.
    pub(crate) fn parse(body: &str) -> Result<Exception, String> {
        serde_json::from_str(body).map_err(|why| why.to_string())
    }

    /// As a definition's body.
    pub(crate) fn to_body(&self) -> String {
        // Texts, numbers and lists of them always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As a rule file has it. JSON is YAML.
    pub(crate) fn text(&self, name: &str) -> String {
        let mut one = json!({
            "rule": self.rule,
            "name": name,
            "fields": self.fields,
            "values": self.values,
            "expires": time(self.expires_at),
        });
        if let Some(comps) = &self.comps {
            one["comps"] = json!(comps);
        }
        format!("{}\n", json!({ "exceptions": [one] }))
    }

    /// How it stands beside its rule.
    pub(crate) fn standing(&self, rule: Option<&Definition>, now: Micros) -> Standing {
        match rule {
            None => Standing::Orphaned,
            Some(rule) if digest(&rule.content.body) != self.rule_text => Standing::Stale,
            Some(_) if self.expires_at <= now => Standing::Expired,
            Some(_) => Standing::InForce,
        }
    }
}

fn time(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

/// Puts rule files in the place of exceptions: each goes where its rule goes, as far as
/// that goes. Those of rules that are gone, or say something else by now, are left out;
/// one whose time is over stays, as whoever evaluates it knows the time.
pub(crate) fn in_place(definitions: Vec<Definition>) -> Vec<Definition> {
    let rules: HashMap<String, Definition> = definitions
        .iter()
        .filter(|one| one.kind == Kind::Rule && !one.deleted)
        .map(|one| (one.name.clone(), one.clone()))
        .collect();
    definitions
        .into_iter()
        .filter_map(|mut one| {
            if one.kind != Kind::Exception {
                return Some(one);
            }
            let exception = Exception::parse(&one.content.body).ok()?;
            let rule = rules.get(&exception.rule)?;
            if exception.standing(Some(rule), Micros::MIN) != Standing::InForce {
                return None;
            }
            one.content.body = exception.text(&one.name);
            one.content.stage = rule.content.stage;
            one.content.projects.clone_from(&rule.content.projects);
            Some(one)
        })
        .collect()
}
