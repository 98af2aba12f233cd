//! Deleting findings, the oldest first, a bounded number at a time.

use super::write::count;
use super::{Keep, Tally};
use crate::basics::{Micros, Uuid};
use crate::db::{Columns, Link, Record, Section, in_dialect, sql};
use crate::error::Result;
use crate::limits::MAX_RETENTION_STEP;
use sea_query::{Expr, ExprTrait, Query};

/// Ids in one DELETE.
const IDS: usize = 500;

/// A finding that may go.
struct Old {
    id: Uuid,
    bytes: i64,
}

impl Record for Old {
    fn read(row: &impl Columns) -> Result<Old> {
        Ok(Old {
            id: row.id("id")?,
            bytes: row.int("bytes")?,
        })
    }
}

impl Record for Tally {
    fn read(row: &impl Columns) -> Result<Tally> {
        Ok(Tally {
            findings: row.int("findings")?,
            bytes: row.int("bytes")?,
        })
    }
}

pub(super) async fn tally(link: &mut impl Link) -> Result<Tally> {
    let read = sql(
        "counting findings",
        "SELECT CAST(SUM(findings) AS BIGINT) AS findings, CAST(SUM(bytes) AS BIGINT) AS bytes \
         FROM findings_tally",
    );
    let found = link.first(read).await?;
    Ok(found.unwrap_or(Tally {
        findings: 0,
        bytes: 0,
    }))
}

async fn oldest(link: &mut impl Link, before: Micros, step: u32) -> Result<Vec<Old>> {
    let step = i64::from(step.clamp(1, MAX_RETENTION_STEP));
    let read = sql(
        "looking for old findings",
        "SELECT id, bytes FROM findings WHERE time < $1 ORDER BY time, id LIMIT $2",
    );
    link.fetch(read.bind(before).bind(step)).await
}

pub(super) async fn delete_before(link: &mut impl Link, time: Micros, step: u32) -> Result<u64> {
    link.enter(Section::Retention).await?;
    let old = oldest(link, time, step).await?;
    delete(link, &old).await
}

pub(super) async fn trim(link: &mut impl Link, keep: Keep, step: u32) -> Result<u64> {
    link.enter(Section::Retention).await?;
    let tally = tally(link).await?;
    let too_many = keep.findings.map_or(0, |keep| tally.findings - keep);
    let too_large = keep.bytes.map_or(0, |keep| tally.bytes - keep);
    if too_many <= 0 && too_large <= 0 {
        return Ok(0);
    }
    let mut old = oldest(link, Micros::MAX, step).await?;
    let (mut findings, mut bytes) = (0, 0);
    let enough = old.iter().position(|old| {
        let enough = findings >= too_many && bytes >= too_large;
        findings += 1;
        bytes += old.bytes;
        enough
    });
    old.truncate(enough.unwrap_or(old.len()));
    delete(link, &old).await
}

async fn delete<L: Link>(link: &mut L, old: &[Old]) -> Result<u64> {
    let mut deleted = 0;
    for ids in old.chunks(IDS) {
        let of_column = |table: &'static str, column: &'static str| {
            let ids = ids.iter().map(|old| old.id);
            let mut query = Query::delete();
            query
                .from_table(table)
                .and_where(Expr::col(column).is_in(ids));
            in_dialect("deleting findings", L::DIALECT, &query)
        };
        link.execute(of_column("finding_projects", "finding_id"))
            .await?;
        link.execute(of_column("finding_bodies", "finding_id"))
            .await?;
        link.execute(of_column("findings_pending", "finding_id"))
            .await?;
        link.execute(of_column("finding_policies", "finding_id"))
            .await?;
        deleted += link.execute(of_column("findings", "id")).await?;
    }
    if deleted > 0 {
        let bytes: i64 = old.iter().map(|old| old.bytes).sum();
        count(link, -(deleted as i64), -bytes).await?;
    }
    Ok(deleted)
}
