//! What policies have used of their budgets.
//!
//! On a live host the kernel charges them too, so they stand in memory that both
//! share; the way of charging is the same on both sides (bpf/decide.h).

use picket_engine::kernel::layout::{BUDGET_ACTIONS, BUDGETS};
use picket_model::policy::Budget;
use picket_probe::Budgets;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where budgets stand.
#[derive(Debug)]
pub enum Ledger {
    /// Shared with the kernel.
    Kernel(Budgets),
    /// Here alone: a replay.
    Own(Vec<AtomicU64>),
}

/// What became of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// It is allowed.
    Allowed,
    /// The budget is used up.
    Exceeded {
        /// This very charge found it so.
        tripped: bool,
    },
}

/// Words before the ring of times: actions asked for, and when it tripped.
const NEXT: usize = 0;
const TRIPPED: usize = 1;
const USED: usize = 2;
const WORDS: usize = USED + BUDGET_ACTIONS;

impl Ledger {
    /// Budgets of its own.
    pub fn own() -> Ledger {
        let mut words = Vec::new();
        words.resize_with(BUDGETS * WORDS, AtomicU64::default);
        Ledger::Own(words)
    }

    fn words(&self, slot: u32) -> Option<&[AtomicU64]> {
        match self {
            Ledger::Kernel(budgets) => budgets.words(slot),
            Ledger::Own(words) => words.chunks_exact(WORDS).nth(slot as usize),
        }
    }

    /// Takes one action from the budget in that slot. `now_ms` is boot time, or in
    /// a replay the events' own.
    ///
    /// Once a request finds the window full, the budget stays used up until its
    /// pause is over, or a person says so: an attack that provokes kills must not
    /// get a fresh allowance every minute.
    pub fn charge(&self, slot: u32, budget: &Budget, now_ms: u64) -> Charge {
        let now = now_ms.max(1);
        let Some(words) = self.words(slot) else {
            return Charge::Exceeded { tripped: false };
        };
        let since = words[TRIPPED].load(Ordering::Relaxed);
        if since != 0 {
            let pause = budget.resume_after.map(milliseconds);
            if pause.is_none_or(|pause| now.saturating_sub(since) < pause) {
                return Charge::Exceeded { tripped: false };
            }
            let _ = words[TRIPPED].compare_exchange(since, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        let next = words[NEXT].fetch_add(1, Ordering::Relaxed);
        let slot = (next % u64::from(budget.kills.clamp(1, Budget::MOST_ACTIONS))) as usize;
        let used = words[USED + slot].swap(now, Ordering::Relaxed);
        if used == 0 || now.saturating_sub(used) >= milliseconds(budget.per) {
            return Charge::Allowed;
        }
        let tripped = words[TRIPPED]
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        Charge::Exceeded { tripped }
    }

    /// Makes the budget in that slot as good as new.
    pub fn reset(&self, slot: u32) {
        let Some(words) = self.words(slot) else {
            return;
        };
        let used = words[USED..].iter();
        for word in used.chain([&words[NEXT], &words[TRIPPED]]) {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// How the budget in that slot stands.
    pub fn usage(&self, slot: u32, budget: &Budget, now_ms: u64) -> Usage {
        let Some(words) = self.words(slot) else {
            // There is no room for it: nothing is allowed.
            return Usage {
                used: budget.kills,
                tripped_ms: Some(now_ms),
            };
        };
        let actions = budget.kills.clamp(1, Budget::MOST_ACTIONS) as usize;
        let times = words[USED..USED + actions].iter();
        let in_window = |at: u64| at != 0 && now_ms.saturating_sub(at) < milliseconds(budget.per);
        let used = times.filter(|at| in_window(at.load(Ordering::Relaxed)));
        let since = words[TRIPPED].load(Ordering::Relaxed);
        let over = |pause| now_ms.saturating_sub(since) >= milliseconds(pause);
        let tripped = since != 0 && !budget.resume_after.is_some_and(over);
        Usage {
            used: used.count().try_into().unwrap_or(u32::MAX),
            tripped_ms: tripped.then_some(since),
        }
    }
}

/// How a budget stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Actions in the window that ends now, denied ones included once it tripped.
    pub used: u32,
    /// When it was used up, milliseconds of boot time; none: it is not.
    pub tripped_ms: Option<u64>,
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::policy::OnExceed;
    use std::time::Duration;

    fn budget(kills: u32, resume_after: Option<u64>) -> Budget {
        Budget {
            kills,
            per: Duration::from_secs(60),
            on_exceed: OnExceed::Simulate,
            resume_after: resume_after.map(Duration::from_secs),
        }
    }

    const MINUTE: u64 = 60_000;

    #[test]
    fn a_full_window_trips_for_good_and_a_slow_trickle_does_not() {
        let ledger = Ledger::own();
        let budget = budget(2, None);
        let trickle = |at: u64| ledger.charge(0, &budget, 1 + at * 31_000);
        assert!((0..100).all(|at| trickle(at) == Charge::Allowed));
        let burst = |at| ledger.charge(1, &budget, at);
        assert_eq!([burst(1), burst(2)], [Charge::Allowed; 2]);
        assert_eq!(burst(3), Charge::Exceeded { tripped: true });
        assert_eq!(burst(1_000 * MINUTE), Charge::Exceeded { tripped: false });
        let usage = |slot, now| ledger.usage(slot, &budget, now);
        assert_eq!(usage(1, 4).used, 2);
        assert_eq!(usage(1, 1_000 * MINUTE).tripped_ms, Some(3));
        assert_eq!(usage(0, 1 + 99 * 31_000).used, 2);
        assert_eq!(
            usage(0, 1_000 * MINUTE),
            Usage {
                used: 0,
                tripped_ms: None
            }
        );
        ledger.reset(1);
        assert_eq!(usage(1, 1_000 * MINUTE), usage(2, 1_000 * MINUTE));
        assert_eq!(burst(1_000 * MINUTE), Charge::Allowed);
    }

    #[test]
    fn a_declared_pause_brings_it_back() {
        let ledger = Ledger::own();
        let budget = budget(1, Some(600));
        let charge = |at| ledger.charge(0, &budget, at);
        assert_eq!(charge(MINUTE), Charge::Allowed);
        assert_eq!(charge(MINUTE + 1), Charge::Exceeded { tripped: true });
        assert_eq!(charge(10 * MINUTE), Charge::Exceeded { tripped: false });
        let tripped = |now| ledger.usage(0, &budget, now).tripped_ms.is_some();
        assert!(tripped(10 * MINUTE) && !tripped(11 * MINUTE + 1));
        assert_eq!(charge(11 * MINUTE + 1), Charge::Allowed);
    }

    #[test]
    fn two_who_ask_at_once_do_not_both_get_the_last_action() {
        let ledger = Ledger::own();
        let budget = budget(3, None);
        let allowed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1_000)
                            .filter(|_| ledger.charge(0, &budget, 5) == Charge::Allowed)
                            .count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(allowed, 3);
    }
}
