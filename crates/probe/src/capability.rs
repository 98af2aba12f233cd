//! What this kernel lets the sensor see and stop, one line an item.

/// One thing the sensor can use, and whether it can here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// What it is, such as `cgroup2 hooks`.
    pub name: &'static str,
    /// What it gives, such as `network.connect, dns.query`.
    pub gives: &'static str,
    /// Whether it works here.
    pub state: State,
}

/// Whether something works here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It works; where there is something to say, such as a path, it is said.
    Ok(String),
    /// It does not.
    No {
        /// Why.
        reason: String,
        /// What the reader can do about it.
        remedy: String,
    },
}

/// Tries everything out. Needs the rights the sensor needs; leaves nothing behind.
pub fn probe() -> Vec<Capability> {
    Vec::new()
}
