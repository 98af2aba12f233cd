//! Which rules make how many findings.

use crate::basics::Micros;
use crate::db::{Columns, Link, Record, sql};
use crate::error::Result;

/// Findings that are counted, the newest first: enough to know a flood.
pub(super) const COUNTED: i64 = 100_000;

/// How many findings a rule made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRate {
    /// The rule.
    pub rule: String,
    /// Its findings among those that were counted.
    pub findings: i64,
    /// On how many hosts.
    pub hosts: i64,
    /// When the first of them happened,
    pub first: Micros,
    /// and the last.
    pub last: Micros,
}

impl Record for RuleRate {
    fn read(row: &impl Columns) -> Result<RuleRate> {
        Ok(RuleRate {
            rule: row.text("rule")?,
            findings: row.int("findings")?,
            hosts: row.int("hosts")?,
            first: row.int("first_at")?,
            last: row.int("last_at")?,
        })
    }
}

pub(super) async fn read(link: &mut impl Link, since: Micros) -> Result<Vec<RuleRate>> {
    let query = sql(
        "counting findings by rule",
        "SELECT rule, COUNT(*) AS findings, COUNT(DISTINCT host) AS hosts, \
         MIN(time) AS first_at, MAX(time) AS last_at \
         FROM (SELECT rule, host, time FROM findings WHERE time >= $1 \
               ORDER BY time DESC, id DESC LIMIT $2) AS newest \
         GROUP BY rule ORDER BY COUNT(*) DESC, rule",
    );
    link.fetch(query.bind(since).bind(COUNTED)).await
}
