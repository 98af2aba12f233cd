//! What can be asked of a running sensor, and its answers.

use crate::costs::RuleCost;
use crate::enforce::{KernelSet, Powers, RuleState};
use crate::loader::RuleSet;
use crate::response::PolicyState;
use crate::stats::Stats;
use crossbeam_channel::Sender;
use picket_model::Event;
use picket_model::process::ProcessKey;
use picket_probe::{ProbeError, Unavailable};
use std::sync::Arc;

/// What comes in by the policy lane.
#[derive(Debug)]
pub enum Control {
    /// Put this set in place and say how it came out.
    Replace(Box<RuleSet>, Sender<Result<Replaced, ProbeError>>),
    /// Give a few of the last events, to compile a set by.
    Sample(Sender<Vec<Event>>),
    /// Say what was counted.
    Measure(Sender<Result<Measured, ProbeError>>),
    /// Say what is in force.
    Status(Sender<Result<Status, ProbeError>>),
    /// Make the budgets of these policies as good as new; those it knows are the
    /// answer.
    ResetBudgets(Vec<String>, Sender<Vec<String>>),
    /// Say which living processes descend from this one, whoever of those between has
    /// ended.
    Descendants(ProcessKey, Sender<Vec<ProcessKey>>),
    /// Stop after what is already in the ring.
    Stop,
}

/// A set that is in force now.
#[derive(Debug)]
pub struct Replaced {
    /// What cannot be watched for it.
    pub unavailable: Vec<Unavailable>,
    /// What can be done here about its matches.
    pub powers: Powers,
}

/// What was counted so far.
#[derive(Debug)]
pub struct Measured {
    /// Of the run.
    pub stats: Stats,
    /// What each rule cost since the set in force was put in place, the dearest first.
    pub rules: Vec<RuleCost>,
    /// What a rule may take of an event, nanoseconds.
    pub budget_ns: u64,
}

/// What is in force.
#[derive(Debug)]
pub struct Status {
    /// How many rules.
    pub rules: usize,
    /// The policies, with their budgets.
    pub policies: Vec<PolicyState>,
    /// How the kernel takes the rules under them.
    pub kernel: Option<Arc<KernelSet>>,
    /// What can be done here.
    pub powers: Powers,
    /// Every block was lifted by hand.
    pub disarmed: bool,
    /// How each rule stands here.
    pub states: Vec<RuleState>,
}
