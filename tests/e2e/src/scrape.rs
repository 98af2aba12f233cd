//! Asking a sensor over HTTP, and reading Prometheus' text format strictly.

use crate::http::get;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, HashSet};

/// Samples by name and labels, as they stand: `picket_x_total{rule="a"}`.
#[derive(Debug)]
pub struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Of `/metrics` there.
    pub fn of(address: &str) -> Result<Samples> {
        let answer = get(address, "/metrics")?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        Samples::parse(&answer.body)
    }

    /// Fails on what Prometheus would not take: a sample outside its family, a family
    /// twice, a sample twice.
    pub fn parse(text: &str) -> Result<Samples> {
        let (mut families, mut samples) = (HashSet::new(), BTreeMap::new());
        let mut family = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.split(' ');
                let (what, name) = (words.next(), words.next().context("no name")?);
                match what {
                    Some("HELP") => ensure!(families.insert(name.to_owned()), "{name} twice"),
                    Some("TYPE") => family = name.to_owned(),
                    _ => bail!("{line:?}"),
                }
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').with_context(|| format!("{line:?}"))?;
            let name = sample.split('{').next().unwrap_or_default();
            ensure!(name == family, "{line:?} stands under {family}");
            let value = value.parse().with_context(|| format!("{line:?}"))?;
            let known = samples.insert(sample.to_owned(), value);
            ensure!(known.is_none(), "{sample} twice");
        }
        Ok(Samples(samples))
    }

    /// One sample; 0 if there is none yet.
    pub fn value(&self, sample: &str) -> f64 {
        self.0.get(sample).copied().unwrap_or(0.0)
    }

    /// Whether there is such a sample.
    pub fn has(&self, sample: &str) -> bool {
        self.0.contains_key(sample)
    }
}
