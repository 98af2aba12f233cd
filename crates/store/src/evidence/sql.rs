//! Evidence in SQL.

use super::{Evidence, EvidenceFilter, EvidenceOf, EvidencePage, JudgedFinding, PolicyFinding};
use crate::basics::{Micros, Uuid};
use crate::db::{Backend, Columns, Link, Record, in_dialect, sql};
use crate::error::{Result, StoreError};
use crate::findings::{insert_rows, severity_of_row};
use crate::limits;
use crate::store::SqlStore;
use async_trait::async_trait;
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

impl Record for JudgedFinding {
    fn read(row: &impl Columns) -> Result<JudgedFinding> {
        Ok(JudgedFinding {
            by: PolicyFinding {
                policy: row.text("policy")?,
                time: row.int("time")?,
                finding: row.id("finding_id")?,
                outcome: row.text("outcome")?,
                kill: row.get("kill")?,
                parent: row.get("parent")?,
            },
            severity: severity_of_row(row)?,
            rule: row.text("rule")?,
            host: row.text("host")?,
            image: row.get("image")?,
            user: row.get("username")?,
            process: row.get("process")?,
        })
    }
}

impl Record for EvidencePage {
    fn read(row: &impl Columns) -> Result<EvidencePage> {
        Ok(EvidencePage {
            digest: row.text("digest")?,
            definition: row.id("definition_id")?,
            version: row.int("definition_version")?,
            made_at: row.int("made_at")?,
            page: row.text("page")?,
            armed_at: row.get("armed_at")?,
        })
    }
}

/// Writes what policies made of findings: each policy of a finding once.
pub(crate) async fn insert(link: &mut impl Link, mut found: Vec<PolicyFinding>) -> Result<()> {
    found.sort_by(|a, b| (&a.policy, a.time, a.finding).cmp(&(&b.policy, b.time, b.finding)));
    found.dedup_by(|a, b| a.policy == b.policy && a.finding == b.finding);
    let rows = found.into_iter().map(|one| {
        [
            limits::clip(&one.policy, limits::MAX_NAME).into(),
            one.time.into(),
            one.finding.into(),
            limits::clip(&one.outcome, limits::MAX_NAME).into(),
            one.kill.into(),
            one.parent
                .map(|parent| limits::clip(&parent, limits::MAX_FINDING_TEXT))
                .into(),
        ]
    });
    let columns = ["policy", "time", "finding_id", "outcome", "kill", "parent"];
    insert_rows(link, "finding_policies", columns, rows.collect()).await
}

/// The findings of a filter, newest first.
fn judged(filter: &EvidenceFilter, limit: u32) -> SelectStatement {
    let mut query = Query::select();
    let of_policy = ["policy", "time", "finding_id", "outcome", "kill", "parent"];
    let of_finding = ["severity", "rule", "host", "image", "username", "process"];
    query
        .columns(of_policy.map(|column| ("p", column)))
        .columns(of_finding.map(|column| ("f", column)))
        .from_as("finding_policies", "p")
        .join_as(
            JoinType::InnerJoin,
            "findings",
            "f",
            Expr::col(("f", "id")).equals(("p", "finding_id")),
        )
        .limit(u64::from(limit.clamp(1, limits::MAX_EVIDENCE)));
    // By the index of the one that the filter names.
    let (table, id) = match &filter.of {
        EvidenceOf::Policy(policy) => {
            query.and_where(Expr::col(("p", "policy")).eq(policy.as_str()));
            ("p", "finding_id")
        }
        EvidenceOf::Rule(rule) => {
            query.and_where(Expr::col(("f", "rule")).eq(rule.as_str()));
            ("f", "id")
        }
    };
    query
        .and_where(Expr::col((table, "time")).gte(filter.from))
        .and_where(Expr::col((table, "time")).lt(filter.until))
        .order_by((table, "time"), Order::Desc)
        .order_by((table, id), Order::Desc)
        .order_by(("p", "policy"), Order::Asc);
    if let Some(projects) = &filter.projects {
        let mut of_projects = Query::select();
        of_projects
            .expr(Expr::val(1))
            .from_as("finding_projects", "m")
            .and_where(Expr::col(("m", "finding_id")).equals(("p", "finding_id")))
            .and_where(Expr::col(("m", "project_id")).is_in(projects.iter().copied()));
        query.and_where(Expr::exists(of_projects));
    }
    query
}

/// Says that somebody armed on a page: it stays, and belongs to the version that was
/// armed.
pub(crate) async fn attach(
    link: &mut impl Link,
    digest: &str,
    definition: Uuid,
    version: i64,
    at: Micros,
) -> Result<()> {
    let update = sql(
        "attaching evidence",
        "UPDATE evidence_pages SET armed_at = $1 \
         WHERE digest = $2 AND definition_id = $3 AND definition_version = $4",
    );
    let bound = update.bind(at).bind(digest).bind(definition).bind(version);
    match link.execute(bound).await? {
        0 => Err(StoreError::not_found("evidence", digest)),
        _ => Ok(()),
    }
}

#[async_trait]
impl<B: Backend> Evidence for SqlStore<B> {
    async fn judged_findings(
        &self,
        filter: &EvidenceFilter,
        limit: u32,
    ) -> Result<Vec<JudgedFinding>> {
        if let Some(projects) = &filter.projects {
            limits::count("projects", projects.len(), limits::MAX_FILTER_VALUES)?;
        }
        let query = in_dialect("reading evidence", B::Link::DIALECT, &judged(filter, limit));
        self.0.read().await?.fetch(query).await
    }

    async fn keep_evidence(&self, page: EvidencePage) -> Result<()> {
        limits::name("digest", &page.digest)?;
        limits::text("page", &page.page, limits::MAX_EVIDENCE_PAGE)?;
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let old = sql(
                        "forgetting old evidence",
                        "DELETE FROM evidence_pages WHERE armed_at IS NULL AND made_at < $1",
                    );
                    link.execute(old.bind(page.made_at - limits::EVIDENCE_KEPT))
                        .await?;
                    let insert = sql(
                        "keeping evidence",
                        "INSERT INTO evidence_pages \
                         (digest, definition_id, definition_version, made_at, page) \
                         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING",
                    );
                    let insert = insert
                        .bind(page.digest)
                        .bind(page.definition)
                        .bind(page.version)
                        .bind(page.made_at)
                        .bind(page.page);
                    link.execute(insert).await.map(|_| ())
                })
            })
            .await
    }

    async fn evidence(&self, digest: &str) -> Result<EvidencePage> {
        let read = sql(
            "reading a page of evidence",
            "SELECT digest, definition_id, definition_version, made_at, page, armed_at \
             FROM evidence_pages WHERE digest = $1",
        );
        let found = self.0.read().await?.first(read.bind(digest)).await?;
        found.ok_or_else(|| StoreError::not_found("evidence", digest))
    }
}
