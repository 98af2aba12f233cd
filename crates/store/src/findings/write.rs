//! Storing a delivery.

use super::{Delivered, FindingColumns, NewFinding};
use crate::basics::{Micros, Uuid, new_id};
use crate::changes::Change;
use crate::db::{Link, One, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::limits::{
    MAX_FACTS, MAX_FINDING_JSON, MAX_FINDING_TEXT, MAX_FINDING_UID, MAX_PROJECTS, clip, without_nul,
};
use sea_query::{Expr, OnConflict, Query};
use serde_json::Value;
use std::collections::HashSet;

/// Rows of one INSERT. A database allows only so many bound values; and a full
/// one of these is the same text each time, and stays prepared.
const ROWS: usize = 100;

/// The tally's shards: see the table.
pub(super) const SHARDS: i64 = 16;

/// A finding that may be stored.
pub(super) struct Ready {
    pub id: Uuid,
    /// Its place in the delivery.
    pub place: usize,
    pub finding: NewFinding,
    pub bytes: i64,
}

/// Which ones may be stored, in the order of their keys (two replicas that store
/// the same ones take them in the same order); and the answer, where the others are
/// refused already.
pub(super) fn prepare(findings: Vec<NewFinding>) -> (Vec<Ready>, Vec<Delivered>) {
    let mut answers = vec![Delivered::Known; findings.len()];
    let mut ready = Vec::with_capacity(findings.len());
    for (place, mut finding) in findings.into_iter().enumerate() {
        let json = finding.ocsf.to_string();
        if let Err(why) = check(&finding, json.len()) {
            answers[place] = Delivered::Refused(why);
            continue;
        }
        if json.contains("\\u0000") {
            finding.ocsf = without_nul(finding.ocsf);
        }
        finding.facts = checked(finding.facts);
        let bytes = json.len() as i64;
        finding.columns = cut(finding.columns);
        finding.projects.sort_unstable();
        finding.projects.dedup();
        ready.push(Ready {
            id: new_id(),
            place,
            finding,
            bytes,
        });
    }
    let key = |ready: &Ready| (ready.finding.sensor, ready.finding.uid.clone());
    ready.sort_by_cached_key(key);
    (ready, answers)
}

/// Facts that may be stored; null for those that may not: no finding is lost for them.
fn checked(facts: Value) -> Value {
    let json = facts.to_string();
    if json.len() > MAX_FACTS {
        return Value::Null;
    }
    if json.contains("\\u0000") {
        return without_nul(facts);
    }
    facts
}

fn check(finding: &NewFinding, json: usize) -> Result<(), &'static str> {
    if finding.uid.is_empty() || finding.uid.len() > MAX_FINDING_UID {
        return Err("its id is empty or too long");
    }
    if finding.uid.contains('\0') {
        return Err("its id holds a NUL character");
    }
    if json > MAX_FINDING_JSON {
        return Err("its JSON is too long");
    }
    if finding.projects.len() > MAX_PROJECTS {
        return Err("it is in too many projects");
    }
    Ok(())
}

fn cut(columns: FindingColumns) -> FindingColumns {
    let clip = |text: String| clip(&text, MAX_FINDING_TEXT);
    FindingColumns {
        rule: clip(columns.rule),
        host: clip(columns.host),
        container: columns.container.map(clip),
        image: columns.image.map(clip),
        user: columns.user.map(clip),
        process: columns.process.map(clip),
        fingerprint: super::Fingerprint {
            version: columns.fingerprint.version,
            value: clip(columns.fingerprint.value),
        },
        ..columns
    }
}

/// Stores them; the ids of those that were not there.
pub(super) async fn store<L: Link>(
    link: &mut L,
    ready: Vec<Ready>,
    received_at: Micros,
) -> Result<Vec<(usize, Uuid)>> {
    let mut new = Vec::new();
    let (mut bytes, mut bodies, mut projects) = (0, Vec::new(), Vec::new());
    let mut pending = Vec::new();
    let mut ready = ready.into_iter().peekable();
    while ready.peek().is_some() {
        let chunk: Vec<Ready> = ready.by_ref().take(ROWS).collect();
        let stored = insert(link, &chunk, received_at).await?;
        for item in chunk {
            if !stored.contains(&item.id) {
                continue;
            }
            new.push((item.place, item.id));
            bytes += item.bytes;
            for project in item.finding.projects {
                projects.push([
                    project.into(),
                    item.finding.columns.time.into(),
                    item.id.into(),
                ]);
            }
            bodies.push([item.id.into(), item.finding.ocsf.into()]);
            pending.push([item.id.into(), item.finding.facts.into()]);
        }
    }
    if new.is_empty() {
        return Ok(new);
    }
    insert_rows(link, "finding_bodies", ["finding_id", "ocsf"], bodies).await?;
    let columns = ["project_id", "time", "finding_id"];
    insert_rows(link, "finding_projects", columns, projects).await?;
    let columns = ["finding_id", "facts"];
    insert_rows(link, "findings_pending", columns, pending).await?;
    link.announce(Change::Findings).await?;
    // Last, since its row is held until the commit.
    count(link, new.len() as i64, bytes).await?;
    Ok(new)
}

const COLUMNS: [&str; 16] = [
    "id",
    "sensor_id",
    "uid",
    "time",
    "received_at",
    "severity",
    "disposition",
    "rule",
    "host",
    "container",
    "image",
    "username",
    "process",
    "fingerprint",
    "fingerprint_version",
    "bytes",
];

async fn insert<L: Link>(
    link: &mut L,
    chunk: &[Ready],
    received_at: Micros,
) -> Result<HashSet<Uuid>> {
    let mut query = Query::insert();
    query
        .into_table("findings")
        .columns(COLUMNS)
        .on_conflict(
            OnConflict::columns(["sensor_id", "uid"])
                .do_nothing()
                .to_owned(),
        )
        .returning_col("id");
    for Ready {
        id, finding, bytes, ..
    } in chunk
    {
        let columns = &finding.columns;
        query
            .values([
                Expr::val(*id),
                Expr::val(finding.sensor),
                Expr::val(finding.uid.as_str()),
                Expr::val(columns.time),
                Expr::val(received_at),
                Expr::val(i64::from(columns.severity as u8)),
                Expr::val(i64::from(columns.disposition.id())),
                Expr::val(columns.rule.as_str()),
                Expr::val(columns.host.as_str()),
                Expr::val(columns.container.clone()),
                Expr::val(columns.image.clone()),
                Expr::val(columns.user.clone()),
                Expr::val(columns.process.clone()),
                Expr::val(columns.fingerprint.value.as_str()),
                Expr::val(columns.fingerprint.version),
                Expr::val(*bytes),
            ])
            .map_err(|why| StoreError::damaged("a statement", why))?;
    }
    let mut statement = in_dialect("storing findings", L::DIALECT, &query);
    if chunk.len() == ROWS {
        statement = statement.recurring();
    }
    let stored = link.fetch::<One<Uuid>>(statement).await?;
    Ok(stored.into_iter().map(|One(id)| id).collect())
}

/// Inserts rows, so many at a time.
pub(crate) async fn insert_rows<L: Link, const N: usize>(
    link: &mut L,
    table: &'static str,
    columns: [&'static str; N],
    rows: Vec<[sea_query::Value; N]>,
) -> Result<()> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut query = Query::insert();
        query.into_table(table).columns(columns);
        let mut full = 0;
        for row in rows.by_ref().take(ROWS) {
            full += 1;
            query
                .values(row.map(Expr::val))
                .map_err(|why| StoreError::damaged("a statement", why))?;
        }
        let mut statement = in_dialect("storing findings", L::DIALECT, &query);
        if full == ROWS {
            statement = statement.recurring();
        }
        link.execute(statement).await?;
    }
    Ok(())
}

/// Adds to the tally, in a shard by chance.
pub(super) async fn count(link: &mut impl Link, findings: i64, bytes: i64) -> Result<()> {
    let shard = i64::from(new_id().as_bytes()[15]) % SHARDS;
    let update = sql(
        "counting findings",
        "UPDATE findings_tally SET findings = findings + $1, bytes = bytes + $2 WHERE shard = $3",
    );
    link.execute(update.bind(findings).bind(bytes).bind(shard))
        .await?;
    Ok(())
}

/// What is refused at once, and nothing stored: more than a delivery may have.
pub(super) fn check_size(findings: &[NewFinding]) -> Result<()> {
    crate::limits::count("findings", findings.len(), crate::limits::MAX_FINDINGS)
}
