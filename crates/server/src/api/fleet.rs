//! What the API asks of whoever makes bundles and rolls them out.

use super::problem::{Code, Problem};
use async_trait::async_trait;
use picket_store::{Cause, Result, Rollout, Uuid};

/// What can be done about a roll-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutAction {
    /// Nobody else gets the bundle.
    Halt,
    /// It goes on.
    Resume,
    /// Those who have it get the one before, as a new version.
    RollBack,
}

/// Who makes bundles of what the store holds, and rolls them out.
#[async_trait]
pub trait FleetActions: Send + Sync {
    /// Makes a bundle of what is defined for a scope, and begins its roll-out.
    async fn publish(&self, scope: &str, cause: &Cause) -> Result<Rollout>;

    /// Does something about a roll-out.
    async fn act(&self, rollout: Uuid, action: RolloutAction, cause: &Cause) -> Result<Rollout>;
}

/// The one of this server.
pub(super) fn actions(app: &super::App) -> std::result::Result<&dyn FleetActions, Problem> {
    app.fleet.as_deref().ok_or_else(|| {
        Problem::new(
            Code::Unavailable,
            "this server has no fleet: it makes no bundles",
        )
    })
}
