//! Deleting what was not seen for long, a bounded number at a time.

use super::writes::day;
use crate::basics::Micros;
use crate::db::{Dialect, Link, Section, sql};
use crate::error::Result;
use crate::limits::MAX_RETENTION_STEP;

/// Rows that a digest is just writing are passed over: they are being seen. The day is asked
/// for twice since a row may have changed between the choice and the deletion.
macro_rules! delete {
    ($table:literal, $key:literal, $skip:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE seen_day < $1 AND (",
            $key,
            ") IN \
             (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE seen_day < $1 ORDER BY seen_day LIMIT $2",
            $skip,
            ")"
        )
    };
}

pub(super) async fn delete_before<L: Link>(link: &mut L, time: Micros, step: u32) -> Result<u64> {
    link.enter(Section::Retention).await?;
    let step = i64::from(step.clamp(1, MAX_RETENTION_STEP));
    #[rustfmt::skip]
    let (edges, nodes) = match L::DIALECT {
        Dialect::Sqlite => (
            delete!("graph_edges", "project, src, kind, dst", ""),
            delete!("graph_nodes", "project, id", ""),
        ),
        Dialect::Postgres => (
            delete!("graph_edges", "project, src, kind, dst", " FOR UPDATE SKIP LOCKED"),
            delete!("graph_nodes", "project, id", " FOR UPDATE SKIP LOCKED"),
        ),
    };
    let delete = sql("deleting old edges", edges);
    let deleted = link.execute(delete.bind(day(time)).bind(step)).await?;
    let left = step - deleted as i64;
    if left == 0 {
        return Ok(deleted);
    }
    // No edge of theirs is left: a node was last seen when its last edge was.
    let delete = sql("deleting old nodes", nodes);
    Ok(deleted + link.execute(delete.bind(day(time)).bind(left)).await?)
}
