//! The budgets that the kernel charges, mapped: user space charges the same ones.

use crate::probes::{Probes, map, read_error};
use crate::ring::Mapping;
use crate::{ProbeError, wire};
use picket_engine::kernel::layout::{BUDGET_ACTIONS, BUDGETS};
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;

/// Words of a `struct picket_budget`.
const WORDS: usize = 3 + BUDGET_ACTIONS;
const _: () = assert!(WORDS * 8 == size_of::<wire::Budget>());

/// All budgets.
#[derive(Debug)]
pub struct Budgets {
    mapping: Mapping,
}

impl Budgets {
    /// One budget: how many actions were asked for, when it was used up
    /// (milliseconds of boot time; 0: it was not), whose it is (0: nobody's), and a
    /// ring of the times of the last ones. None if there is no such budget.
    pub fn words(&self, which: u32) -> Option<&[AtomicU64]> {
        let which = which as usize;
        (which < BUDGETS).then(|| self.mapping.words(which * WORDS, WORDS))
    }
}

impl Probes {
    /// Maps the budgets.
    pub fn budgets(&self) -> Result<Budgets, ProbeError> {
        let failed = |error: std::io::Error| read_error("the budgets", error.into());
        let budgets = map(&self.object, "picket_budgets")?;
        let fd = budgets.as_fd().try_clone_to_owned().map_err(failed)?;
        let mapping = Mapping::new(
            &fd,
            BUDGETS * size_of::<wire::Budget>(),
            libc::PROT_READ | libc::PROT_WRITE,
            0,
        )
        .map_err(failed)?;
        Ok(Budgets { mapping })
    }
}
