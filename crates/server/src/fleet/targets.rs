//! What each sensor is to be given, as the director's last pass left it.

use super::rollout::Planned;
use crate::intake::ProjectBook;
use picket_store::{Labels, RolloutState, Uuid};
use std::collections::HashMap;

/// What sensors are to be given.
#[derive(Default)]
pub(super) struct Targets {
    /// Which projects there are.
    pub book: ProjectBook,
    pub(super) scopes: HashMap<String, Target>,
}

/// A bundle, by what tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub bundle: Uuid,
    pub version: i64,
}

#[derive(Default, PartialEq)]
pub(super) struct Target {
    /// What has been rolled out to the end.
    pub stable: Option<Wanted>,
    /// What is on its way.
    pub rolling: Option<Rolling>,
}

#[derive(PartialEq)]
pub(super) struct Rolling {
    pub wanted: Wanted,
    pub state: RolloutState,
    pub planned: Planned,
}

impl Targets {
    /// What a sensor of that scope is to have, if it is more than what it has.
    pub(super) fn wanted(
        &self,
        scope: &str,
        sensor: Uuid,
        labels: &Labels,
        has: Option<i64>,
    ) -> Option<Wanted> {
        let target = self.scopes.get(scope)?;
        let rolling = target.rolling.as_ref().filter(|rolling| {
            let first = || {
                rolling
                    .planned
                    .is_first(rolling.wanted.bundle, sensor, labels)
            };
            match rolling.state {
                RolloutState::Full => true,
                RolloutState::Canary => first(),
                // What is halted goes to nobody any more; who has it keeps it.
                _ => false,
            }
        });
        let wanted = rolling.map(|rolling| rolling.wanted).or(target.stable)?;
        (has.is_none_or(|has| wanted.version > has)).then_some(wanted)
    }
}
