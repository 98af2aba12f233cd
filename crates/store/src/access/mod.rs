//! Users, what they may do where, and the tokens that speak for them.

mod sql;
mod tokens;

use crate::basics::{Cause, Micros, SecretHash, Uuid};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;

/// Who a user is elsewhere: an OpenID issuer and its name for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The issuer's URL.
    pub issuer: String,
    /// Their `sub` there.
    pub subject: String,
}

/// How a user logs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogIn {
    /// The password's hash (argon2, made by the caller).
    pub password_hash: Option<String>,
    /// Who they are elsewhere.
    pub subject: Option<Subject>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: Uuid,
    /// Their name, which no other user has.
    pub name: String,
    /// How they log in.
    pub log_in: LogIn,
    /// From 1; for changes that expect what was read.
    pub version: i64,
    /// When they were made.
    pub created_at: Micros,
    /// Since when they may do nothing.
    pub disabled_at: Option<Micros>,
}

/// What a user may do somewhere. What a role allows is the server's to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The project; none: everywhere.
    pub project: Option<Uuid>,
    /// The role's name.
    pub role: String,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// Whom it speaks for.
    pub user: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// Of the token itself.
    pub hash: SecretHash,
    /// When it ends, if it does.
    pub expires_at: Option<Micros>,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: Uuid,
    /// Whom it speaks for.
    pub user: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Micros,
    /// When it ends.
    pub expires_at: Option<Micros>,
    /// When it was last used; told late.
    pub used_at: Option<Micros>,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

/// Users, grants and API tokens.
#[async_trait]
pub trait Access: Send + Sync {
    /// Makes a user, who may do nothing yet.
    async fn make_user(&self, name: &str, log_in: LogIn, cause: &Cause) -> Result<User>;

    /// Changes how a user logs in, and whether they may do anything.
    async fn change_user(
        &self,
        id: Uuid,
        expected: i64,
        log_in: LogIn,
        disabled: bool,
        cause: &Cause,
    ) -> Result<User>;

    /// One user.
    async fn user(&self, id: Uuid) -> Result<User>;

    /// The user of a name.
    async fn user_named(&self, name: &str) -> Result<User>;

    /// The user whom an OpenID issuer knows by a name.
    async fn user_of_subject(&self, subject: &Subject) -> Result<User>;

    /// Users, by name.
    async fn users(&self, after: Option<String>, size: PageSize) -> Result<Page<User, String>>;

    /// Lets a user do something. A grant that they have already changes nothing.
    ///
    /// A user has grants in at most [`MAX_GRANTED`](crate::limits::MAX_GRANTED) projects.
    async fn grant(&self, user: Uuid, grant: Grant, cause: &Cause) -> Result<()>;

    /// Takes a grant back.
    async fn revoke_grant(&self, user: Uuid, grant: Grant, cause: &Cause) -> Result<()>;

    /// A user's grants, in order.
    async fn grants(&self, user: Uuid) -> Result<Vec<Grant>>;

    /// Makes a token.
    async fn make_api_token(&self, token: NewApiToken, cause: &Cause) -> Result<ApiToken>;

    /// Whom a token speaks for; an error if it is unknown, over or revoked, or its
    /// user disabled.
    async fn user_of_token(&self, hash: &SecretHash, now: Micros) -> Result<(User, ApiToken)>;

    /// When tokens were used: collect it in memory.
    async fn store_token_uses(&self, uses: Vec<(Uuid, Micros)>) -> Result<()>;

    /// Ends a token.
    async fn revoke_api_token(&self, id: Uuid, cause: &Cause) -> Result<()>;

    /// A user's tokens, newest first.
    async fn api_tokens(
        &self,
        user: Uuid,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<ApiToken, Uuid>>;
}
