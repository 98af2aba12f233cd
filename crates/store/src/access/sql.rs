//! Users and grants in SQL.

use super::tokens;
use super::{Access, ApiToken, Grant, LogIn, NewApiToken, Subject, User};
use crate::audit::{self, Deed};
use crate::basics::{Cause, Micros, SecretHash, Uuid, new_id};
use crate::changes::Change;
use crate::db::{Backend, Columns, Link, One, Record, Statement, sql};
use crate::error::{Result, StoreError};
use crate::limits;
use crate::page::{Page, PageSize};
use crate::store::SqlStore;
use async_trait::async_trait;
use serde_json::json;

impl Record for User {
    fn read(row: &impl Columns) -> Result<User> {
        let issuer: Option<String> = row.get("issuer")?;
        let subject: Option<String> = row.get("subject")?;
        Ok(User {
            id: row.id("id")?,
            name: row.text("name")?,
            log_in: LogIn {
                password_hash: row.get("password_hash")?,
                subject: issuer
                    .zip(subject)
                    .map(|(issuer, subject)| Subject { issuer, subject }),
            },
            version: row.int("version")?,
            created_at: row.int("created_at")?,
            disabled_at: row.get("disabled_at")?,
        })
    }
}

impl Record for Grant {
    fn read(row: &impl Columns) -> Result<Grant> {
        Ok(Grant {
            project: row.get("project_id")?,
            role: row.text("role")?,
        })
    }
}

fn check(log_in: &LogIn) -> Result<()> {
    if let Some(hash) = &log_in.password_hash {
        limits::text("password hash", hash, limits::MAX_PASSWORD_HASH)?;
    }
    if let Some(subject) = &log_in.subject {
        limits::name("issuer", &subject.issuer)?;
        limits::name("subject", &subject.subject)?;
    }
    Ok(())
}

fn bind_log_in(statement: Statement, log_in: &LogIn) -> Statement {
    let subject = log_in.subject.clone();
    let (issuer, subject) = subject.map(|s| (s.issuer, s.subject)).unzip();
    statement
        .bind(log_in.password_hash.clone())
        .bind(issuer)
        .bind(subject)
}

/// What the audit log tells of a log-in: never a hash.
fn told(log_in: &LogIn) -> serde_json::Value {
    let subject = log_in.subject.as_ref();
    json!({
        "password": log_in.password_hash.is_some(),
        "issuer": subject.map(|subject| &subject.issuer),
        "subject": subject.map(|subject| &subject.subject),
    })
}

pub(super) fn deed(action: &str, kind: &str, id: Uuid, detail: serde_json::Value) -> Deed {
    Deed {
        action: format!("{kind}.{action}"),
        kind: kind.to_owned(),
        subject: id.to_string(),
        detail,
    }
}

async fn user_by_id(link: &mut impl Link, id: Uuid) -> Result<User> {
    let read = sql("reading a user", "SELECT * FROM users WHERE id = $1");
    let found = link.first(read.bind(id)).await?;
    found.ok_or_else(|| StoreError::not_found("user", id))
}

#[async_trait]
impl<B: Backend> Access for SqlStore<B> {
    async fn make_user(&self, name: &str, log_in: LogIn, cause: &Cause) -> Result<User> {
        limits::name("name", name)?;
        check(&log_in)?;
        cause.check()?;
        let cause = cause.clone();
        let user = User {
            id: new_id(),
            name: name.to_owned(),
            log_in,
            version: 1,
            created_at: cause.at,
            disabled_at: None,
        };
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let insert = sql(
                        "making a user",
                        "INSERT INTO users \
                         (password_hash, issuer, subject, id, name, version, created_at) \
                         VALUES ($1, $2, $3, $4, $5, 1, $6) ON CONFLICT DO NOTHING",
                    );
                    let insert = bind_log_in(insert, &user.log_in)
                        .bind(user.id)
                        .bind(user.name.as_str())
                        .bind(user.created_at);
                    if link.execute(insert).await? == 0 {
                        return Err(StoreError::exists("user", &user.name));
                    }
                    link.announce(Change::Access).await?;
                    let detail = json!({"name": user.name, "log_in": told(&user.log_in)});
                    audit::append(link, deed("create", "user", user.id, detail), &cause).await?;
                    Ok(user)
                })
            })
            .await
    }

    async fn change_user(
        &self,
        id: Uuid,
        expected: i64,
        log_in: LogIn,
        disabled: bool,
        cause: &Cause,
    ) -> Result<User> {
        check(&log_in)?;
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let update = sql(
                        "changing a user",
                        "UPDATE users SET password_hash = $1, issuer = $2, subject = $3, \
                         disabled_at = CASE WHEN $4 THEN COALESCE(disabled_at, $5) END, \
                         version = version + 1 WHERE id = $6 AND version = $7 RETURNING *",
                    );
                    let update = bind_log_in(update, &log_in)
                        .bind(disabled)
                        .bind(cause.at)
                        .bind(id)
                        .bind(expected);
                    let Some(user) = link.first::<User>(update).await? else {
                        let found = user_by_id(link, id).await?.version;
                        return Err(StoreError::Conflict {
                            what: "user",
                            id: id.to_string(),
                            expected,
                            found,
                        });
                    };
                    link.announce(Change::Access).await?;
                    let detail = json!({"log_in": told(&log_in), "disabled": disabled});
                    audit::append(link, deed("update", "user", id, detail), &cause).await?;
                    Ok(user)
                })
            })
            .await
    }

    async fn user(&self, id: Uuid) -> Result<User> {
        user_by_id(&mut self.0.read().await?, id).await
    }

    async fn user_named(&self, name: &str) -> Result<User> {
        let read = sql("reading a user", "SELECT * FROM users WHERE name = $1");
        let found = self.0.read().await?.first(read.bind(name)).await?;
        found.ok_or_else(|| StoreError::not_found("user", name))
    }

    async fn user_of_subject(&self, subject: &Subject) -> Result<User> {
        let read = sql(
            "reading a user",
            "SELECT * FROM users WHERE issuer = $1 AND subject = $2",
        );
        let read = read
            .bind(subject.issuer.as_str())
            .bind(subject.subject.as_str());
        let found = self.0.read().await?.first(read).await?;
        found.ok_or_else(|| StoreError::not_found("user", &subject.subject))
    }

    async fn users(&self, after: Option<String>, size: PageSize) -> Result<Page<User, String>> {
        let list = sql(
            "listing users",
            "SELECT * FROM users WHERE name > $1 ORDER BY name LIMIT $2",
        );
        let list = list.bind(after.unwrap_or_default()).bind(size.probe());
        let rows = self.0.read().await?.fetch::<User>(list).await?;
        Ok(Page::of(rows, size, |user| user.name.clone()))
    }

    async fn grant(&self, user: Uuid, grant: Grant, cause: &Cause) -> Result<()> {
        limits::name("role", &grant.role)?;
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let insert = sql(
                        "granting a role",
                        "INSERT INTO grants (user_id, role, project_id) VALUES ($1, $2, $3) \
                         ON CONFLICT DO NOTHING",
                    );
                    let insert = insert
                        .bind(user)
                        .bind(grant.role.as_str())
                        .bind(grant.project);
                    if link.execute(insert).await? == 0 {
                        return Ok(());
                    }
                    let count = sql(
                        "counting a user's projects",
                        "SELECT COUNT(DISTINCT project_id) FROM grants WHERE user_id = $1",
                    );
                    let counted = link.first::<One<i64>>(count.bind(user)).await?;
                    if counted.map_or(0, |One(count)| count) > limits::MAX_GRANTED as i64 {
                        return Err(StoreError::Invalid {
                            field: "project",
                            why: format!(
                                "a user has roles in at most {} projects: grant the role \
                                 everywhere, or take back others",
                                limits::MAX_GRANTED
                            ),
                        });
                    }
                    tell_grant(link, "grant", user, &grant, &cause).await
                })
            })
            .await
    }

    async fn revoke_grant(&self, user: Uuid, grant: Grant, cause: &Cause) -> Result<()> {
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| {
                Box::pin(async move {
                    let delete = sql(
                        "taking back a role",
                        "DELETE FROM grants WHERE user_id = $1 AND role = $2 \
                         AND project_id IS NOT DISTINCT FROM $3",
                    );
                    let delete = delete
                        .bind(user)
                        .bind(grant.role.as_str())
                        .bind(grant.project);
                    if link.execute(delete).await? == 0 {
                        return Err(StoreError::not_found("grant of", &grant.role));
                    }
                    tell_grant(link, "revoke", user, &grant, &cause).await
                })
            })
            .await
    }

    async fn grants(&self, user: Uuid) -> Result<Vec<Grant>> {
        let read = sql(
            "reading grants",
            "SELECT role, project_id FROM grants WHERE user_id = $1",
        );
        let mut grants = self.0.read().await?.fetch::<Grant>(read.bind(user)).await?;
        grants.sort_unstable();
        Ok(grants)
    }

    async fn make_api_token(&self, token: NewApiToken, cause: &Cause) -> Result<ApiToken> {
        limits::name("name", &token.name)?;
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| Box::pin(async move { tokens::make(link, token, &cause).await }))
            .await
    }

    async fn user_of_token(&self, hash: &SecretHash, now: Micros) -> Result<(User, ApiToken)> {
        let mut link = self.0.read().await?;
        let token = tokens::valid(&mut link, hash, now).await?;
        let user = user_by_id(&mut link, token.user).await?;
        if user.disabled_at.is_some() {
            return Err(StoreError::not_found(
                "valid API token",
                "of a user who is not disabled",
            ));
        }
        Ok((user, token))
    }

    async fn store_token_uses(&self, uses: Vec<(Uuid, Micros)>) -> Result<()> {
        limits::count("token uses", uses.len(), limits::MAX_HEARTBEATS)?;
        self.0
            .write(move |link| Box::pin(async move { tokens::store_uses(link, uses).await }))
            .await
    }

    async fn revoke_api_token(&self, id: Uuid, cause: &Cause) -> Result<()> {
        cause.check()?;
        let cause = cause.clone();
        self.0
            .write(move |link| Box::pin(async move { tokens::revoke(link, id, &cause).await }))
            .await
    }

    async fn api_tokens(
        &self,
        user: Uuid,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<ApiToken, Uuid>> {
        let mut link = self.0.read().await?;
        let rows = tokens::list(&mut link, user, before, size.probe()).await?;
        Ok(Page::of(rows, size, |token| token.id))
    }
}

async fn tell_grant(
    link: &mut impl Link,
    action: &str,
    user: Uuid,
    grant: &Grant,
    cause: &Cause,
) -> Result<()> {
    link.announce(Change::Access).await?;
    let detail = json!({"role": grant.role, "project": grant.project.map(|id| id.to_string())});
    audit::append(link, deed(action, "user", user, detail), cause).await
}
