//! Asking a sensor over HTTP, and reading Prometheus' text format strictly.

use crate::wait;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::net::TcpStream;

/// A status and a body.
pub struct Answer {
    /// HTTP's.
    pub status: u16,
    /// Behind the head.
    pub body: String,
}

/// One request on a connection of its own.
pub fn get(address: &str, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(wait::PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer {
        status,
        body: body.to_owned(),
    })
}

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
