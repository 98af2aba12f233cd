//! A policy's blast radius: so many actions in a sliding window.

use picket_model::policy::Budget;
use std::collections::VecDeque;

/// What a policy has used of its budget. Time is the events' own, so that a
/// replay decides as the live run did.
#[derive(Debug, Clone)]
pub(super) struct BudgetState {
    budget: Budget,
    /// Times of the actions in the window, oldest first; at most `budget.kills`.
    used: VecDeque<i64>,
    tripped: bool,
}

impl BudgetState {
    pub(super) fn new(budget: Budget) -> BudgetState {
        BudgetState {
            budget,
            used: VecDeque::new(),
            tripped: false,
        }
    }

    /// Takes one action. Once a request finds the window full, the policy stays
    /// without budget until a person arms it again: an attack that provokes
    /// kills must not get a fresh allowance every minute.
    pub(super) fn charge(&mut self, time_ns: i64) -> bool {
        if self.tripped {
            return false;
        }
        let window = i64::try_from(self.budget.per.as_nanos()).unwrap_or(i64::MAX);
        while self
            .used
            .front()
            .is_some_and(|&first| time_ns.saturating_sub(first) >= window)
        {
            self.used.pop_front();
        }
        if self.used.len() >= self.budget.kills as usize {
            self.tripped = true;
            return false;
        }
        self.used.push_back(time_ns);
        true
    }

    pub(super) fn tripped(&self) -> bool {
        self.tripped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::policy::OnExceed;
    use std::time::Duration;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_full_window_trips_for_good_and_a_slow_trickle_does_not() {
        let budget = Budget {
            kills: 2,
            per: Duration::from_secs(60),
            on_exceed: OnExceed::Simulate,
        };
        let mut trickle = BudgetState::new(budget);
        assert!((0..100).all(|minute| trickle.charge(minute * 31 * SECOND)));
        let mut burst = BudgetState::new(budget);
        assert!(burst.charge(0) && burst.charge(SECOND));
        assert!(!burst.charge(2 * SECOND) && burst.tripped());
        assert!(!burst.charge(1_000 * SECOND));
    }

    #[test]
    fn no_kills_means_none() {
        let budget = Budget {
            kills: 0,
            per: Duration::from_secs(1),
            on_exceed: OnExceed::Simulate,
        };
        assert!(!BudgetState::new(budget).charge(0));
    }
}
