//! Processes that would not be there any more, had a simulated policy blocked.
//!
//! A process that a block had killed could do nothing further, and nothing it
//! started would exist. So a policy that simulates charges its budget for a
//! process once, as it would when blocking.

use picket_model::process::{Process, ProcessKey};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Ghosts remembered; the oldest leave.
const MOST: usize = 4_096;
/// How far up a process's line a ghost is looked for.
const NEAREST: usize = 64;

/// By policy and process.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    known: HashSet<(Arc<str>, ProcessKey)>,
    order: VecDeque<(Arc<str>, ProcessKey)>,
}

impl Ghosts {
    pub(super) fn add(&mut self, policy: &Arc<str>, process: &Process) {
        let ghost = (policy.clone(), process.key);
        if !self.known.insert(ghost.clone()) {
            return;
        }
        self.order.push_back(ghost);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether the policy would have killed the process, or one it descends from.
    pub(super) fn has(&self, policy: &Arc<str>, process: &Process) -> bool {
        if self.known.is_empty() {
            return false;
        }
        std::iter::once(process)
            .chain(process.ancestors().take(NEAREST))
            .any(|one| self.known.contains(&(policy.clone(), one.key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::process::{Image, Parent};

    #[test]
    fn what_a_ghost_starts_is_one_too_for_that_policy() {
        let process = |pid, parent| {
            let key = ProcessKey { pid, start_ns: 1 };
            Process::new(key, Arc::new(Image::default()), parent)
        };
        let dead = process(7, Parent::None);
        let child = process(8, Parent::Known(Arc::new(dead.clone())));
        let (one, other) = ("one".into(), "other".into());
        let mut ghosts = Ghosts::default();
        ghosts.add(&one, &dead);
        assert!(ghosts.has(&one, &dead) && ghosts.has(&one, &child));
        assert!(!ghosts.has(&other, &child) && !ghosts.has(&one, &process(9, Parent::None)));
    }
}
