//! The audit log in SQL.

use super::{AuditEntry, AuditFilter, AuditLog, CHAIN_START, Deed, Verified};
use crate::basics::Cause;
use crate::db::{Backend, Columns, Link, Record, Section, in_dialect, sql};
use crate::error::Result;
use crate::limits::{self, MAX_VERIFY};
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Expr, ExprTrait, Order, Query};

const COLUMNS: [&str; 9] = [
    "seq", "at", "actor", "action", "kind", "subject", "reason", "detail", "hash",
];

/// Adds an entry to the log, in the transaction of what it tells of. The last
/// thing to do in it: the next one waits for this one's commit.
pub(crate) async fn append(link: &mut impl Link, deed: Deed, cause: &Cause) -> Result<()> {
    cause.check()?;
    limits::name("action", &deed.action)?;
    limits::name("kind", &deed.kind)?;
    limits::name("subject", &deed.subject)?;
    limits::json("detail", &deed.detail)?;
    link.enter(Section::Audit).await?;
    let last: Option<AuditEntry> = link
        .first(sql(
            "reading the audit log's end",
            "SELECT * FROM audit ORDER BY seq DESC LIMIT 1",
        ))
        .await?;
    let mut entry = AuditEntry {
        seq: last.as_ref().map_or(1, |last| last.seq + 1),
        at: cause.at,
        actor: cause.actor.clone(),
        reason: cause.reason.clone(),
        action: deed.action,
        kind: deed.kind,
        subject: deed.subject,
        detail: deed.detail.to_string(),
        hash: Vec::new(),
    };
    entry.hash = entry.chained(last.as_ref().map_or(CHAIN_START, |last| &last.hash));
    let insert = sql(
        "writing the audit log",
        "INSERT INTO audit (seq, at, actor, action, kind, subject, reason, detail, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    link.execute(
        insert
            .bind(entry.seq)
            .bind(entry.at)
            .bind(entry.actor)
            .bind(entry.action)
            .bind(entry.kind)
            .bind(entry.subject)
            .bind(entry.reason)
            .bind(entry.detail)
            .bind(entry.hash),
    )
    .await?;
    Ok(())
}

impl Record for AuditEntry {
    fn read(row: &impl Columns) -> Result<AuditEntry> {
        Ok(AuditEntry {
            seq: row.int("seq")?,
            at: row.int("at")?,
            actor: row.text("actor")?,
            reason: row.text("reason")?,
            action: row.text("action")?,
            kind: row.text("kind")?,
            subject: row.text("subject")?,
            detail: row.text("detail")?,
            hash: row.get("hash")?,
        })
    }
}

#[async_trait]
impl<B: Backend> AuditLog for SqlStore<B> {
    async fn record(&self, deed: Deed, cause: &Cause) -> Result<()> {
        let cause = cause.clone();
        self.0
            .write(move |link| Box::pin(async move { append(link, deed, &cause).await }))
            .await
    }

    async fn entries(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, i64>> {
        let mut query = Query::select();
        query
            .columns(COLUMNS)
            .from("audit")
            .order_by("seq", Order::Desc)
            .limit(size.probe() as u64);
        let wanted = [
            ("actor", &filter.actor),
            ("kind", &filter.kind),
            ("subject", &filter.subject),
        ];
        for (column, value) in wanted {
            if let Some(value) = value {
                query.and_where(Expr::col(column).eq(value.as_str()));
            }
        }
        if let Some(before) = before {
            query.and_where(Expr::col("seq").lt(before));
        }
        let mut link = self.0.read().await?;
        let statement = in_dialect("reading the audit log", B::Link::DIALECT, &query);
        let rows = link.fetch::<AuditEntry>(statement).await?;
        Ok(Page::of(rows, size, |entry| entry.seq))
    }

    async fn verify(&self, from: i64, entries: u32) -> Result<Verified> {
        let entries = i64::from(entries.clamp(1, MAX_VERIFY));
        let from = Ord::max(from, 1);
        // The entry before is read too: the first one's hash stands on it.
        let read = sql(
            "verifying the audit log",
            "SELECT * FROM audit WHERE seq >= $1 ORDER BY seq LIMIT $2",
        );
        let mut link = self.0.read().await?;
        let rows: Vec<AuditEntry> = link.fetch(read.bind(from - 1).bind(entries + 2)).await?;
        let mut rows = rows.into_iter().peekable();
        let mut before = CHAIN_START.to_vec();
        if from > 1 {
            match rows.next() {
                Some(entry) if entry.seq == from - 1 => before = entry.hash,
                Some(_) => return Ok(Verified::Broken { at: from - 1 }),
                None => return Ok(Verified::Whole { next: None }),
            }
        }
        for expected in from..from + entries {
            match rows.next() {
                None => return Ok(Verified::Whole { next: None }),
                Some(entry) if entry.seq == expected && entry.hash == entry.chained(&before) => {
                    before = entry.hash;
                }
                Some(_) => return Ok(Verified::Broken { at: expected }),
            }
        }
        let next = rows.peek().map(|_| from + entries);
        Ok(Verified::Whole { next })
    }
}
