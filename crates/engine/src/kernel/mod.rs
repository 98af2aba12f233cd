//! The kernel half of the engine: rules under a response policy, compiled to one
//! block of plain tables that the BPF programs read (crates/probe/bpf/tables.h).
//!
//! ```text
//! ir::Rule ─► questions and units ─► covers ─► block ─► crates/probe ─► the hooks
//!             (ask, lower)           (cover)   (block)
//! ```
//!
//! The kernel and [`Program`](crate::Program) never disagree on what they both
//! decide: a test drives both with the same rules and events. What the kernel
//! cannot decide it leaves undecided, and the sensor acts.

mod answer;
mod ask;
mod automaton;
mod block;
mod cover;
mod intervals;
pub mod layout;
mod lower;
mod protect;
mod reach;
mod regex;
mod units;

pub use ask::Why;
pub use protect::Protection;
pub use reach::Reach;
pub use units::{UnitBits, Units};

use block::Full;
use lower::{Interner, Tree};
use picket_lang::ir::Rule;
use picket_model::EventClass;

/// What the tables take from the host they are made for.
#[derive(Debug, Clone, Default)]
pub struct Host<'h> {
    /// Users' names by uid; others have none.
    pub users: &'h [(u32, String)],
    /// `device.hostname`; none: absent.
    pub hostname: Option<&'h str>,
    /// `device.labels`; none: absent.
    pub labels: Option<&'h [Box<str>]>,
    /// Nanoseconds since the epoch: exceptions that have expired are left out.
    pub now_ns: i64,
}

impl Host<'_> {
    fn user_names(&self) -> Vec<ask::Named> {
        self.users
            .iter()
            .map(|(uid, name)| (u64::from(*uid)..=u64::from(*uid), name.clone()))
            .collect()
    }
}

/// One rule with the policies that a match of it sets off.
#[derive(Debug, Clone, Copy)]
pub struct Armed<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// A bit per policy, by its place in the policies' map.
    pub policies: u64,
}

/// Rules as the kernel takes them.
#[derive(Debug)]
pub struct Compiled {
    /// The block, at most [`layout::TABLE_BYTES`] long.
    pub block: Vec<u8>,
    /// Which of the rules each of the block's programs stands for.
    pub programs: Vec<usize>,
    /// How far the kernel decides each rule, in the rules' order.
    pub reach: Vec<Reach>,
    /// What must be known of processes that already run.
    pub units: Units,
    /// When the next exception expires: the tables must be made anew a little
    /// before, nanoseconds since the epoch.
    pub expires_ns: Option<i64>,
}

impl Compiled {
    /// What verdicts name these tables by; not 0.
    pub fn set_version(&mut self, version: u32) {
        self.block[..layout::VERSION_BYTES].copy_from_slice(&version.to_le_bytes());
    }
}

/// A rule's condition in one or more classes.
#[derive(Debug)]
struct RuleProgram {
    rule: usize,
    kinds: u32,
    policies: u64,
    tree: Tree,
}

/// Compiles the rules. Those that find no room are left to user space, the last
/// first, and said so. The tables have no [version](Compiled::set_version) yet.
pub fn compile(rules: &[Armed<'_>], protection: &Protection, host: &Host<'_>) -> Compiled {
    let mut count = rules.len();
    loop {
        match attempt(&rules[..count], protection, host) {
            Ok(mut compiled) => {
                let left = rules.len() - count;
                compiled
                    .reach
                    .extend(std::iter::repeat_n(Reach::NoRoom, left));
                return compiled;
            }
            Err(Full) => count -= (count / 8).max(1),
        }
    }
}

fn attempt(
    rules: &[Armed<'_>],
    protection: &Protection,
    host: &Host<'_>,
) -> Result<Compiled, Full> {
    let mut interner = Interner::default();
    let mut programs: Vec<RuleProgram> = Vec::new();
    let mut reach = Vec::new();
    for (number, armed) in rules.iter().enumerate() {
        let first = programs.len();
        for &class in &armed.rule.classes {
            add(
                &mut programs,
                first,
                &mut interner,
                (number, armed),
                class,
                host,
            );
        }
        reach.push(reach::of(&programs[first..], &interner));
    }
    let protects = protection.units(&mut interner);
    let units = Units::new(&mut interner, &mut programs, protects)?;
    let block = block::write(&interner, &units, &programs)?;
    Ok(Compiled {
        block,
        programs: programs.iter().map(|program| program.rule).collect(),
        reach,
        units,
        expires_ns: next_expiry(rules, host),
    })
}

fn add(
    programs: &mut Vec<RuleProgram>,
    first: usize,
    interner: &mut Interner,
    (number, armed): (usize, &Armed<'_>),
    class: EventClass,
    host: &Host<'_>,
) {
    let tree = interner.rule(armed.rule, class, host);
    if tree == Tree::Constant(false) {
        return;
    }
    let kind = 1 << layout::kind(class);
    match programs[first..]
        .iter_mut()
        .find(|program| program.tree == tree)
    {
        Some(program) => program.kinds |= kind,
        None => programs.push(RuleProgram {
            rule: number,
            kinds: kind,
            policies: armed.policies,
            tree,
        }),
    }
}

fn next_expiry(rules: &[Armed<'_>], host: &Host<'_>) -> Option<i64> {
    rules
        .iter()
        .flat_map(|armed| &armed.rule.exceptions)
        .filter_map(|exception| exception.expires_ns)
        // Unsure is how it is taken around its time, and out it is after that.
        .flat_map(|at| [at - lower::EXPIRY_MARGIN_NS, at + lower::EXPIRY_MARGIN_NS])
        .filter(|&at| at > host.now_ns)
        .min()
}
