//! Signed bundles and their roll-outs.

mod rollouts;
mod sql;

use crate::basics::{Cause, Micros, Uuid};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;
use serde_json::Value;

/// A bundle to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBundle {
    /// Whom it is for.
    pub scope: String,
    /// Its version, which stands inside the signed bytes too. Above every version
    /// that its scope ever had.
    pub version: i64,
    /// The key that signed it.
    pub key_id: String,
    /// The signed bytes.
    pub bytes: Vec<u8>,
    /// Until when it is meant to be used.
    pub expires_at: Option<Micros>,
}

/// A bundle, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Its id.
    pub id: Uuid,
    /// Whom it is for.
    pub scope: String,
    /// Its version.
    pub version: i64,
    /// The key that signed it.
    pub key_id: String,
    /// Who published it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub created_at: Micros,
    /// Until when it is meant to be used.
    pub expires_at: Option<Micros>,
}

/// Where a roll-out stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RolloutState {
    /// On some sensors.
    Canary,
    /// On its way to all.
    Full,
    /// Stopped, by itself or by somebody.
    Halted,
    /// Everywhere.
    Done,
    /// Taken back.
    RolledBack,
    /// A newer one took its place before it was everywhere.
    Superseded,
}

impl RolloutState {
    /// Every state.
    pub const ALL: [RolloutState; 6] = [
        RolloutState::Canary,
        RolloutState::Full,
        RolloutState::Halted,
        RolloutState::Done,
        RolloutState::RolledBack,
        RolloutState::Superseded,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            RolloutState::Canary => "canary",
            RolloutState::Full => "full",
            RolloutState::Halted => "halted",
            RolloutState::Done => "done",
            RolloutState::RolledBack => "rolled_back",
            RolloutState::Superseded => "superseded",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<RolloutState> {
        RolloutState::ALL
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Whether it is neither at its end nor taken away. A scope has one such at a time.
    pub const fn is_under_way(self) -> bool {
        matches!(
            self,
            RolloutState::Canary | RolloutState::Full | RolloutState::Halted
        )
    }

    /// Whether it may follow on `self`. What is done can still be taken back; what
    /// was taken back, or gave way, is over.
    pub fn may_become(self, next: RolloutState) -> bool {
        use RolloutState::{Canary, Done, Full, Halted, RolledBack, Superseded};
        match self {
            Canary => matches!(next, Canary | Full | Halted | RolledBack | Superseded),
            Full => matches!(next, Full | Halted | Done | RolledBack | Superseded),
            Halted => matches!(next, Canary | Full | Halted | RolledBack | Superseded),
            Done => next == RolledBack,
            RolledBack | Superseded => false,
        }
    }
}

/// A roll-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// Its id.
    pub id: Uuid,
    /// What is rolled out.
    pub bundle: Uuid,
    /// To whom.
    pub scope: String,
    /// Where it stands.
    pub state: RolloutState,
    /// From 1; for changes that expect what was read.
    pub version: i64,
    /// Who is first, how fast, and what halts it.
    pub plan: Value,
    /// How far it is.
    pub progress: Value,
    /// When it began.
    pub created_at: Micros,
    /// When it last changed.
    pub changed_at: Micros,
    /// Why it stands where it does.
    pub reason: String,
}

/// Bundles and roll-outs.
#[async_trait]
pub trait Bundles: Send + Sync {
    /// Publishes a bundle. A version that is not above the last one is a conflict.
    async fn publish(&self, bundle: NewBundle, cause: &Cause) -> Result<Bundle>;

    /// The newest version of a scope, also of a bundle that is kept no more; 0: none
    /// yet.
    async fn latest_version(&self, scope: &str) -> Result<i64>;

    /// One bundle.
    async fn bundle(&self, scope: &str, version: i64) -> Result<Bundle>;

    /// A bundle's signed bytes.
    async fn bundle_bytes(&self, id: Uuid) -> Result<Vec<u8>>;

    /// A scope's bundles, newest first.
    async fn bundles(
        &self,
        scope: &str,
        before: Option<i64>,
        size: PageSize,
    ) -> Result<Page<Bundle, i64>>;

    /// Begins to roll a bundle out, to some sensors first (`Canary`) or to all
    /// (`Full`). One at a time in a scope.
    async fn begin_rollout(
        &self,
        bundle: Uuid,
        state: RolloutState,
        plan: Value,
        cause: &Cause,
    ) -> Result<Rollout>;

    /// Moves a roll-out on, or tells how far it is.
    async fn move_rollout(
        &self,
        id: Uuid,
        expected: i64,
        state: RolloutState,
        progress: Value,
        cause: &Cause,
    ) -> Result<Rollout>;

    /// One roll-out.
    async fn rollout(&self, id: Uuid) -> Result<Rollout>;

    /// Roll-outs, newest first; those that are under way alone, if asked so.
    async fn rollouts(
        &self,
        scope: Option<&str>,
        under_way: bool,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<Rollout, Uuid>>;
}
