//! Which sensors, and which of their findings, a project holds.

use picket_store::{Labels, Sensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Names in one part of a selector, at most.
const MAX_NAMES: usize = 100;
/// Bytes of one of them.
const MAX_NAME: usize = 255;
/// The label that names a sensor's cluster.
const CLUSTER: &str = "cluster";

/// A selector. Every part that is given must hold; within a part, one of its
/// patterns. In a pattern `*` stands for any characters.
///
/// Labels, clusters and hosts say which sensors are in the project, and so which
/// rules they get. Namespaces and images say which of these sensors' findings are
/// the project's: one host runs containers of many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Label names, each with the values that are looked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Vec<String>>,
    /// Clusters: the label `cluster` of the sensor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// Host names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Kubernetes namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Container images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

impl Selector {
    /// From a project's body.
    pub fn parse(body: &str) -> Result<Selector, String> {
        let selector: Selector = serde_json::from_str(body).map_err(|why| why.to_string())?;
        selector.check()?;
        Ok(selector)
    }

    /// As a project's body.
    pub fn to_body(&self) -> String {
        // Maps of strings always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Refuses what is too long, and what would select by nothing.
    pub fn check(&self) -> Result<(), String> {
        let by_sensor = [&self.clusters, &self.hosts];
        if self.labels.is_empty() && by_sensor.iter().all(|part| part.is_empty()) {
            return Err(
                "a selector needs labels, clusters or hosts; {\"hosts\": [\"*\"]} holds every sensor"
                    .to_owned(),
            );
        }
        let parts = by_sensor
            .into_iter()
            .chain([&self.namespaces, &self.images])
            .chain(self.labels.values());
        for part in parts {
            check_names(part)?;
        }
        if self.labels.len() > MAX_NAMES || self.labels.keys().any(|name| name.len() > MAX_NAME) {
            return Err(format!("more than {MAX_NAMES} labels, or too long a name"));
        }
        if let Some((name, _)) = self.labels.iter().find(|(_, values)| values.is_empty()) {
            return Err(format!(
                "the label {name:?} has no value; [\"*\"] is any value"
            ));
        }
        Ok(())
    }

    /// Whether a sensor of this host and these labels is in the project.
    pub fn holds(&self, host: &str, labels: &Labels) -> bool {
        let labelled = |name: &str, values: &[String]| {
            labels.get(name).is_some_and(|value| any(values, value))
        };
        self.labels
            .iter()
            .all(|(name, values)| labelled(name, values))
            && (self.clusters.is_empty() || labelled(CLUSTER, &self.clusters))
            && (self.hosts.is_empty() || any(&self.hosts, host))
    }

    /// As [`Selector::holds`].
    pub fn holds_sensor(&self, sensor: &Sensor) -> bool {
        self.holds(&sensor.host, &sensor.labels)
    }

    /// Of a sensor that it holds: whether it holds a finding of this namespace and
    /// image too.
    pub fn holds_finding(&self, namespace: Option<&str>, image: Option<&str>) -> bool {
        let within = |part: &[String], value: Option<&str>| {
            part.is_empty() || value.is_some_and(|value| any(part, value))
        };
        within(&self.namespaces, namespace) && within(&self.images, image)
    }
}

fn check_names(part: &[String]) -> Result<(), String> {
    if part.len() > MAX_NAMES {
        return Err(format!(
            "{} patterns; at most {MAX_NAMES} are allowed",
            part.len()
        ));
    }
    match part
        .iter()
        .find(|name| name.is_empty() || name.len() > MAX_NAME)
    {
        Some(name) => Err(format!(
            "a pattern has from 1 to {MAX_NAME} bytes, not {}",
            name.len()
        )),
        None => Ok(()),
    }
}

/// Whether one of the patterns fits.
pub(crate) fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| glob(pattern, text))
}

/// `*` is any characters; in the time of their lengths' product at worst.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_part_must_hold() {
        let selector =
            Selector::parse(r#"{"labels": {"env": ["prod", "stag*"]}, "hosts": ["web-*"]}"#)
                .unwrap();
        assert!(selector.holds("web-1", &labels(&[("env", "staging")])));
        assert!(!selector.holds("db-1", &labels(&[("env", "prod")])));
        assert!(!selector.holds("web-1", &labels(&[("env", "test")])));
        assert!(!selector.holds("web-1", &labels(&[])));
    }

    #[test]
    fn namespaces_narrow_findings() {
        let selector = Selector::parse(r#"{"clusters": ["eu"], "namespaces": ["pay*"]}"#).unwrap();
        assert!(selector.holds("any", &labels(&[("cluster", "eu")])));
        assert!(selector.holds_finding(Some("payments"), None));
        assert!(!selector.holds_finding(None, None));
    }

    #[test]
    fn what_selects_by_nothing_is_refused() {
        assert!(Selector::parse("{}").is_err());
        assert!(Selector::parse(r#"{"images": ["nginx"]}"#).is_err());
        assert!(Selector::parse(r#"{"labels": {"env": []}}"#).is_err());
        assert!(Selector::parse(r#"{"host": ["a"]}"#).is_err());
        assert!(Selector::parse(r#"{"hosts": [""]}"#).is_err());
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("a*b*", "axxbyy", true),
            ("*aa", "a", false),
            ("aa*aa", "aaa", false),
            ("abc", "abcd", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }
}
