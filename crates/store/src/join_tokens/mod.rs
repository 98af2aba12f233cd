//! Join tokens: what lets a new sensor in.

mod sql;

pub(crate) use sql::take_use;

use crate::basics::{Cause, Labels, Micros, SecretHash, Uuid};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;
use std::fmt;

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJoinToken {
    /// Of the token itself, which only its owner sees.
    pub hash: SecretHash,
    /// What every sensor that joins with it is labelled.
    pub labels: Labels,
    /// When it ends.
    pub expires_at: Micros,
    /// How many sensors it lets in.
    pub uses: u32,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Its id.
    pub id: Uuid,
    /// What every sensor that joins with it is labelled.
    pub labels: Labels,
    /// Who made it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub created_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
    /// How many more sensors it lets in.
    pub uses_left: i64,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinRefusal {
    /// There is none like it.
    Unknown,
    /// Its time is over.
    Expired,
    /// It has let in as many as it may.
    UsedUp,
    /// Somebody revoked it.
    Revoked,
}

impl fmt::Display for JoinRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinRefusal::Unknown => "is not known",
            JoinRefusal::Expired => "has expired",
            JoinRefusal::UsedUp => "is used up",
            JoinRefusal::Revoked => "was revoked",
        })
    }
}

/// Join tokens. They are used by [`crate::Sensors::enrol`].
#[async_trait]
pub trait JoinTokens: Send + Sync {
    /// Makes one.
    async fn make_join_token(&self, token: NewJoinToken, cause: &Cause) -> Result<JoinToken>;

    /// Lets nobody in with it any more. The sensors that it let in stay.
    async fn revoke_join_token(&self, id: Uuid, cause: &Cause) -> Result<()>;

    /// Every token, newest first.
    async fn join_tokens(
        &self,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<JoinToken, Uuid>>;
}
