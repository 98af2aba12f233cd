//! Bundles in SQL.

use super::rollouts;
use super::{Bundle, Bundles, NewBundle, Rollout, RolloutState};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Uuid, new_id};
use crate::changes::Change;
use crate::db::{Backend, Columns, Link, One, Record, sql};
use crate::error::{Result, StoreError};
use crate::limits;
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use serde_json::{Value, json};

impl Record for Bundle {
    fn read(row: &impl Columns) -> Result<Bundle> {
        Ok(Bundle {
            id: row.id("id")?,
            scope: row.text("scope")?,
            version: row.int("version")?,
            key_id: row.text("key_id")?,
            actor: row.text("actor")?,
            reason: row.text("reason")?,
            created_at: row.int("created_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

fn check(bundle: &NewBundle) -> Result<()> {
    limits::name("scope", &bundle.scope)?;
    limits::name("key id", &bundle.key_id)?;
    limits::count("bytes", bundle.bytes.len(), limits::MAX_BUNDLE)?;
    if bundle.version < 1 {
        let why = format!("{}; versions begin at 1", bundle.version);
        return Err(StoreError::Invalid {
            field: "version",
            why,
        });
    }
    Ok(())
}

async fn latest(link: &mut impl Link, scope: &str) -> Result<i64> {
    let read = sql(
        "reading a scope's newest version",
        "SELECT latest FROM bundle_scopes WHERE scope = $1",
    );
    let found = link.first::<One<i64>>(read.bind(scope)).await?;
    Ok(found.map_or(0, |One(version)| version))
}

async fn publish(link: &mut impl Link, new: NewBundle, cause: &Cause) -> Result<Bundle> {
    // The scope's row is held until the commit: of two publishers, one comes second.
    let advance = sql(
        "advancing a scope's version",
        "INSERT INTO bundle_scopes (scope, latest) VALUES ($1, $2) ON CONFLICT (scope) \
         DO UPDATE SET latest = excluded.latest WHERE bundle_scopes.latest < excluded.latest",
    );
    let advanced = link
        .execute(advance.bind(new.scope.as_str()).bind(new.version))
        .await?;
    if advanced == 0 {
        return Err(StoreError::Conflict {
            what: "the bundle scope",
            expected: new.version - 1,
            found: latest(link, &new.scope).await?,
            id: new.scope,
        });
    }
    let insert = sql(
        "storing a bundle",
        "INSERT INTO bundles \
         (id, scope, version, key_id, bytes, actor, reason, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let bundle = Bundle {
        id: new_id(),
        scope: new.scope,
        version: new.version,
        key_id: new.key_id,
        actor: cause.actor.clone(),
        reason: cause.reason.clone(),
        created_at: cause.at,
        expires_at: new.expires_at,
    };
    link.execute(
        insert
            .bind(bundle.id)
            .bind(bundle.scope.as_str())
            .bind(bundle.version)
            .bind(bundle.key_id.as_str())
            .bind(new.bytes)
            .bind(bundle.actor.as_str())
            .bind(bundle.reason.as_str())
            .bind(bundle.created_at)
            .bind(bundle.expires_at),
    )
    .await?;
    link.announce(Change::Bundles).await?;
    let deed = Deed {
        action: "bundle.publish".to_owned(),
        kind: "bundle".to_owned(),
        subject: bundle.id.to_string(),
        detail: json!({
            "scope": bundle.scope,
            "version": bundle.version,
            "key_id": bundle.key_id,
        }),
    };
    audit::append(link, deed, cause).await?;
    Ok(bundle)
}

/// All but the bytes.
const LIST: &str = "SELECT id, scope, version, key_id, actor, reason, created_at, expires_at \
     FROM bundles WHERE scope = $1 AND version < $2 ORDER BY version DESC LIMIT $3";

#[async_trait]
impl<B: Backend> Bundles for SqlStore<B> {
    async fn publish(&self, bundle: NewBundle, cause: &Cause) -> Result<Bundle> {
        check(&bundle)?;
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| Box::pin(async move { publish(link, bundle, &cause).await }))
            .await
    }

    async fn latest_version(&self, scope: &str) -> Result<i64> {
        latest(&mut self.0.read().await?, scope).await
    }

    async fn bundle(&self, scope: &str, version: i64) -> Result<Bundle> {
        let before = version.saturating_add(1);
        let read = sql("reading a bundle", LIST)
            .bind(scope)
            .bind(before)
            .bind(1_i64);
        let found: Option<Bundle> = self.0.read().await?.first(read).await?;
        found
            .filter(|bundle| bundle.version == version)
            .ok_or_else(|| StoreError::not_found("bundle", format!("{scope} {version}")))
    }

    async fn bundle_bytes(&self, id: Uuid) -> Result<Vec<u8>> {
        let read = sql(
            "reading a bundle's bytes",
            "SELECT bytes FROM bundles WHERE id = $1",
        );
        let found = self
            .0
            .read()
            .await?
            .first::<One<Vec<u8>>>(read.bind(id))
            .await?;
        found
            .map(|One(bytes)| bytes)
            .ok_or_else(|| StoreError::not_found("bundle", id))
    }

    async fn bundles(
        &self,
        scope: &str,
        before: Option<i64>,
        size: PageSize,
    ) -> Result<Page<Bundle, i64>> {
        let list = sql("listing bundles", LIST);
        let list = list
            .bind(scope)
            .bind(before.unwrap_or(i64::MAX))
            .bind(size.probe());
        let rows = self.0.read().await?.fetch::<Bundle>(list).await?;
        Ok(Page::of(rows, size, |bundle| bundle.version))
    }

    async fn begin_rollout(
        &self,
        bundle: Uuid,
        state: RolloutState,
        plan: Value,
        cause: &Cause,
    ) -> Result<Rollout> {
        limits::json("plan", &plan)?;
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move { rollouts::begin(link, bundle, state, plan, &cause).await })
            })
            .await
    }

    async fn move_rollout(
        &self,
        id: Uuid,
        expected: i64,
        state: RolloutState,
        progress: Value,
        cause: &Cause,
    ) -> Result<Rollout> {
        limits::json("progress", &progress)?;
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    rollouts::advance(link, id, expected, state, progress, &cause).await
                })
            })
            .await
    }

    async fn rollout(&self, id: Uuid) -> Result<Rollout> {
        rollouts::read(&mut self.0.read().await?, id).await
    }

    async fn rollouts(
        &self,
        scope: Option<&str>,
        under_way: bool,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<Rollout, Uuid>> {
        let mut link = self.0.read().await?;
        let rows = rollouts::list(&mut link, scope, under_way, before, size.probe()).await?;
        Ok(Page::of(rows, size, |rollout| rollout.id))
    }
}
