//! What policies have used of their budgets.
//!
//! On a live host the kernel charges them too, so they stand in memory that both
//! share; the way of charging is the same on both sides (bpf/decide.h).

use crate::fingerprint::Fingerprint;
use picket_engine::kernel::layout::{BUDGET_ACTIONS, BUDGETS};
use picket_model::Policy;
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

/// Words before the ring of times: actions asked for, when it tripped, and whose
/// it is.
const NEXT: usize = 0;
const TRIPPED: usize = 1;
const OWNER: usize = 2;
const USED: usize = 3;
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
            if pauses(since, budget, now) {
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
        let tripped = since != 0 && pauses(since, budget, now_ms);
        Usage {
            used: used.count().try_into().unwrap_or(u32::MAX),
            tripped_ms: tripped.then_some(since),
        }
    }

    /// Where these policies' budgets stand, none for a policy without one; `before`
    /// are the policies in force until now.
    ///
    /// A policy whose budget is unchanged finds what it has used of it, also after a
    /// reload, a restart, or a time without it: none of them must be a way to get
    /// more kills.
    pub fn slots(&self, policies: &[Policy], before: &[Option<u32>]) -> Vec<Option<u32>> {
        let owners: Vec<Option<u64>> = policies.iter().map(owner).collect();
        let held =
            |slot: u32| before.contains(&Some(slot)) || owners.contains(&Some(self.owner_of(slot)));
        // Nobody's first: what those that are gone have used is kept while there is room.
        let mut free: Vec<u32> = (0..BUDGETS as u32).filter(|slot| !held(*slot)).collect();
        free.sort_by_key(|slot| std::cmp::Reverse(self.owner_of(*slot) != 0));
        let mut slot = |owner: u64| {
            let own = (0..BUDGETS as u32).find(|slot| self.owner_of(*slot) == owner);
            own.unwrap_or_else(|| {
                // With none left, its slot does not exist, and nothing is allowed.
                let slot = free.pop().unwrap_or(BUDGETS as u32);
                self.give(slot, owner);
                slot
            })
        };
        owners
            .into_iter()
            .map(|owner| owner.map(&mut slot))
            .collect()
    }

    fn owner_of(&self, slot: u32) -> u64 {
        self.words(slot)
            .map_or(0, |words| words[OWNER].load(Ordering::Relaxed))
    }

    /// As good as new, to somebody.
    fn give(&self, slot: u32, owner: u64) {
        let Some(words) = self.words(slot) else {
            return;
        };
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
        words[OWNER].store(owner, Ordering::Relaxed);
    }

    /// Whether the budget in that slot is used up at that time.
    pub fn is_used_up(&self, slot: u32, budget: &Budget, now_ms: u64) -> bool {
        self.words(slot).is_none_or(|words| {
            let since = words[TRIPPED].load(Ordering::Relaxed);
            since != 0 && pauses(since, budget, now_ms)
        })
    }

    /// Whether anything was taken from any budget.
    pub fn is_used(&self) -> bool {
        (0..BUDGETS as u32)
            .filter_map(|slot| self.words(slot))
            .any(|words| words[NEXT].load(Ordering::Relaxed) != 0)
    }
}

fn pauses(since_ms: u64, budget: &Budget, now_ms: u64) -> bool {
    let pause = budget.resume_after.map(milliseconds);
    pause.is_none_or(|pause| now_ms.saturating_sub(since_ms) < pause)
}

/// Tells a policy's budget from all others, and from what it was before a change.
fn owner(policy: &Policy) -> Option<u64> {
    let budget = policy.budget?;
    let pause = budget.resume_after.map_or(u64::MAX, milliseconds);
    let owner = Fingerprint::new()
        .with(policy.id.as_bytes())
        .with(&budget.kills.to_le_bytes())
        .with(&milliseconds(budget.per).to_le_bytes())
        .with(&pause.to_le_bytes());
    Some(owner.long())
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
    use picket_model::policy::{Action, OnExceed, Trigger};
    use std::time::Duration;

    fn budget(kills: u32, resume_after: Option<u64>) -> Budget {
        Budget {
            kills,
            per: Duration::from_secs(60),
            on_exceed: OnExceed::Simulate,
            resume_after: resume_after.map(Duration::from_secs),
        }
    }

    fn policy(id: &str, budget: Option<Budget>) -> Policy {
        Policy {
            id: id.into(),
            trigger: Trigger::default(),
            projects: vec![],
            action: Action::Simulate,
            budget,
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
        assert!(ledger.is_used_up(1, &budget, MINUTE) && !ledger.is_used_up(0, &budget, MINUTE));
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
    fn a_policy_finds_its_budget_again_unless_that_was_changed() {
        let ledger = Ledger::own();
        let with = |id, kills| policy(id, Some(budget(kills, None)));
        let (a, b) = (with("a", 1), with("b", 1));
        let first = ledger.slots(&[a.clone(), policy("c", None)], &[]);
        let slot = first[0].expect("a slot");
        assert_eq!(first[1], None);
        for _ in 0..2 {
            ledger.charge(slot, &budget(1, None), 1);
        }
        // Others come, it goes, and comes back.
        let second = ledger.slots(std::slice::from_ref(&b), &first);
        assert_ne!(second, [Some(slot)]);
        assert_eq!(ledger.slots(&[b, a], &second), [second[0], Some(slot)]);
        assert!(ledger.is_used_up(slot, &budget(1, None), 1));
        // A person gave it another budget.
        let changed = ledger.slots(&[with("a", 2)], &[Some(slot)])[0];
        assert_ne!(changed, Some(slot));
        assert!(!ledger.is_used_up(changed.expect("a slot"), &budget(2, None), 1));
    }

    #[test]
    fn when_slots_run_out_nothing_is_allowed() {
        let ledger = Ledger::own();
        let policies: Vec<Policy> = (0..=BUDGETS)
            .map(|number| policy(&number.to_string(), Some(budget(1, None))))
            .collect();
        let slots = ledger.slots(&policies, &[]);
        let last = slots[BUDGETS].expect("a number");
        assert_eq!(
            ledger.charge(last, &budget(1, None), 1),
            Charge::Exceeded { tripped: false }
        );
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
