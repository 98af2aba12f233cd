//! Runs of playbooks, step by step. What a playbook is stands in its definition; who
//! runs it takes jobs off a queue, and writes here how far it is.

mod sql;

use crate::basics::{Micros, Uuid};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;

/// How a run, or one of its steps, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It has not begun, or goes on later.
    Queued,
    /// A step waits for somebody to approve it.
    WaitingApproval,
    /// Done.
    Succeeded,
    /// A step failed for good, or was refused.
    Failed,
    /// Of a step: an earlier one failed, or somebody ended the run.
    Skipped,
    /// Of a run: somebody ended it.
    Cancelled,
    /// Shown, not done.
    DryRun,
    /// There were too many runs: this row counts those that were not made.
    Suppressed,
}

impl RunState {
    /// Every state.
    pub const ALL: [RunState; 8] = [
        RunState::Queued,
        RunState::WaitingApproval,
        RunState::Succeeded,
        RunState::Failed,
        RunState::Skipped,
        RunState::Cancelled,
        RunState::DryRun,
        RunState::Suppressed,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            RunState::Queued => "queued",
            RunState::WaitingApproval => "waiting_approval",
            RunState::Succeeded => "succeeded",
            RunState::Failed => "failed",
            RunState::Skipped => "skipped",
            RunState::Cancelled => "cancelled",
            RunState::DryRun => "dry_run",
            RunState::Suppressed => "suppressed",
        }
    }

    /// The state of a name.
    pub fn of_name(name: &str) -> Option<RunState> {
        RunState::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing is left to do.
    pub const fn is_over(self) -> bool {
        !matches!(self, RunState::Queued | RunState::WaitingApproval)
    }
}

/// A run to be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Its id: that of the job that it is done by, so that a job that comes again
    /// begins no second one.
    pub id: Uuid,
    /// The playbook.
    pub playbook: Uuid,
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// What set it off, such as `issue_opened`.
    pub event: String,
    /// The issue that it is about.
    pub issue: Option<Uuid>,
    /// The finding that it is about.
    pub finding: Option<Uuid>,
    /// Its steps are shown, not done.
    pub dry: bool,
    /// Of each step, what it does.
    pub steps: Vec<String>,
    /// Runs of this playbook that may begin within an hour.
    pub per_hour: u32,
}

/// What became of beginning one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It is there, from now on or from before.
    There,
    /// There were too many within the hour: it is counted in that hour's row.
    Suppressed,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// The playbook.
    pub playbook: Uuid,
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// What set it off.
    pub event: String,
    /// The issue that it is about.
    pub issue: Option<Uuid>,
    /// The finding that it is about.
    pub finding: Option<Uuid>,
    /// Its steps are shown, not done.
    pub dry: bool,
    /// How it stands.
    pub state: RunState,
    /// 1; of suppressed ones, how many.
    pub count: i64,
    /// When it began.
    pub created_at: Micros,
    /// When it ended.
    pub ended_at: Option<Micros>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStep {
    /// From 0.
    pub number: i64,
    /// What it does, such as `webhook`.
    pub action: String,
    /// How it stands.
    pub state: RunState,
    /// How often it was tried.
    pub attempts: i64,
    /// What came of it.
    pub detail: String,
    /// Who let it be done.
    pub approved_by: Option<String>,
    /// When it was approved.
    pub approved_at: Option<Micros>,
    /// When it was last touched.
    pub changed_at: Micros,
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this playbook.
    pub playbook: Option<Uuid>,
    /// In this state.
    pub state: Option<RunState>,
    /// About this issue.
    pub issue: Option<Uuid>,
}

/// Runs of playbooks.
#[async_trait]
pub trait Playbooks: Send + Sync {
    /// Begins a run with its steps, unless there were too many within the hour.
    async fn begin_run(&self, run: NewRun, now: Micros) -> Result<Begun>;

    /// A run.
    async fn run(&self, id: Uuid) -> Result<Run>;

    /// Its steps, in order.
    async fn run_steps(&self, id: Uuid) -> Result<Vec<RunStep>>;

    /// Runs, newest first.
    async fn runs(
        &self,
        filter: &RunFilter,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<Run, Uuid>>;

    /// Writes how a step stands, and how the run does now; a run that is over stays so:
    /// false.
    async fn step_done(
        &self,
        run: Uuid,
        step: RunStep,
        state: RunState,
        now: Micros,
    ) -> Result<bool>;

    /// Lets a step that waits be done; a conflict if it does not wait.
    async fn approve_step(&self, run: Uuid, number: i64, by: &str, now: Micros) -> Result<()>;

    /// Ends a run that is not over: its steps that were not done are skipped. False if
    /// it was over.
    async fn end_run(&self, run: Uuid, state: RunState, why: &str, now: Micros) -> Result<bool>;

    /// Deletes up to so many runs that were over before a time.
    async fn delete_runs_before(&self, time: Micros, step: u32) -> Result<u64>;
}
