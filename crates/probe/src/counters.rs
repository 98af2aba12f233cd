//! What the kernel programs had to give up, counted where it happened.

use crate::ProbeError;
use crate::probes::{number, read_error};
use libbpf_rs::{MapCore, MapFlags};
use std::fmt;

/// One counter that is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// What was counted: a kind of record, or a place in the programs.
    pub name: &'static str,
    /// How often since the programs were loaded.
    pub count: u64,
}

/// Records that found no room in the ring buffer, by kind; kinds that lost none
/// are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drops(pub Vec<Count>);

impl Drops {
    /// How many records of any kind were lost.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| count.count).sum()
    }
}

/// Kernel helpers that failed, by the place that called them; the record was
/// sent with the value marked unknown. Places without a failure are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Errors(pub Vec<Count>);

impl Errors {
    /// How many failures at any place.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| count.count).sum()
    }
}

impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(&self.0, f)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(&self.0, f)
    }
}

/// Sums a map of counters per processor, one for each name; leaves out what is 0.
pub(crate) fn sums(
    map: &impl MapCore,
    names: &'static [&'static str],
) -> Result<Vec<Count>, ProbeError> {
    let mut counts = Vec::new();
    for (key, name) in (0u32..).zip(names) {
        let values = map
            .lookup_percpu(&key.to_ne_bytes(), MapFlags::ANY)
            .map_err(|error| read_error("the counters", error))?;
        let count = values.iter().flatten().map(|value| number(value)).sum();
        if count > 0 {
            counts.push(Count { name, count });
        }
    }
    Ok(counts)
}

fn list(counts: &[Count], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if counts.is_empty() {
        return f.write_str("none");
    }
    for (index, count) in counts.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{} {}", count.count, count.name)?;
    }
    Ok(())
}
