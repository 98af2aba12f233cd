//! The task that runs playbooks: takes jobs, and goes on with each run where it is.

use super::about::About;
use super::format::{OnFailure, Playbook, Step};
use super::http::Failure;
use super::steps::{ACTOR, names};
use super::trigger::{Order, QUEUE};
use super::{Playbooks, parse_id};
use picket_store::{
    Begun, Cause, Change, Deed, Job, Micros, NewRun, PageSize, Run, RunState, RunStep, Stage,
    Store, StoreError, Uuid,
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Runs at one time, of this server.
const AT_ONCE: usize = 8;
/// How long a job is held: a step's longest time, twice.
const LEASE: Micros = 120_000_000;
/// How often it is looked if nobody says anything.
const ANYWAY: Duration = Duration::from_secs(5);
/// How long it is waited after a failure of the store.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How long a step waits to be approved: a day.
const APPROVAL: Micros = 24 * 3_600_000_000;

/// What became of a job.
enum End {
    /// It is done.
    Done,
    /// It comes again.
    Again(String),
}

/// Runs until the server stops.
pub(crate) async fn run(playbooks: Arc<Playbooks>, mut stopping: watch::Receiver<bool>) {
    let mut changes = playbooks.hands.store.changes();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let mut read = true;
    loop {
        if read {
            match playbooks.read_book().await {
                Ok(()) => read = false,
                Err(why) => tracing::warn!(%why, "playbooks could not be read"),
            }
        }
        let wait = match take(&playbooks, &room, &mut tasks).await {
            Ok(()) => ANYWAY,
            Err(why) => {
                tracing::warn!(%why, "runs of playbooks could not be looked for");
                AFTER_FAILURE
            }
        };
        let until = tokio::time::Instant::now() + wait;
        loop {
            tokio::select! {
                () = crate::stopped(&mut stopping) => {
                    // What is under way is done; what waits is done by another, or later.
                    while tasks.join_next().await.is_some() {}
                    return;
                }
                () = tokio::time::sleep_until(until) => break,
                Some(_) = tasks.join_next() => break,
                change = changes.next() => match change {
                    Some(Change::Jobs) => break,
                    Some(Change::Definitions | Change::Unknown) => {
                        read = true;
                        break;
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        }
    }
}

async fn take(
    playbooks: &Arc<Playbooks>,
    room: &Arc<Semaphore>,
    tasks: &mut JoinSet<()>,
) -> picket_store::Result<()> {
    let free = u32::try_from(room.available_permits()).unwrap_or(0);
    if free == 0 {
        return Ok(());
    }
    let store = &playbooks.hands.store;
    let now = crate::api::now();
    for job in store.take_jobs(QUEUE, free, LEASE, now).await? {
        let Ok(permit) = Arc::clone(room).acquire_owned().await else {
            return Ok(());
        };
        let playbooks = Arc::clone(playbooks);
        tasks.spawn(async move {
            let ended = match work(&playbooks, &job).await {
                Ok(End::Done) => playbooks.hands.store.finish_job(&job).await,
                Ok(End::Again(why)) => again(&playbooks, &job, &why).await,
                Err(why) => again(&playbooks, &job, &why.to_string()).await,
            };
            if let Err(why) = ended {
                tracing::warn!(job = %job.id, %why, "a run of a playbook was lost, and is taken again");
            }
            drop(permit);
        });
    }
    Ok(())
}

async fn again(playbooks: &Playbooks, job: &Job, why: &str) -> picket_store::Result<()> {
    let now = crate::api::now();
    playbooks.hands.store.fail_job(job, why, now).await
}

async fn work(playbooks: &Playbooks, job: &Job) -> picket_store::Result<End> {
    let store = &*playbooks.hands.store;
    let now = crate::api::now();
    let Ok(order) = Order::deserialize(&job.payload) else {
        tracing::error!(job = %job.id, "a job of no playbook");
        return Ok(End::Done);
    };
    let id = match order {
        Order::Expire { run, step } => {
            if let Some(run) = parse_id(&run) {
                expire(store, run, step, now).await?;
            }
            return Ok(End::Done);
        }
        Order::Resume { run } => parse_id(&run),
        Order::Begin {
            playbook,
            version,
            event,
            issue,
            finding,
        } => {
            let Some(id) = parse_id(&playbook) else {
                return Ok(End::Done);
            };
            let Some((stage, name, found)) = playbooks.at(id, version).await? else {
                return Ok(End::Done);
            };
            let new = NewRun {
                id: job.id,
                playbook: id,
                version,
                name: name.clone(),
                event: event.name().to_owned(),
                issue: issue.as_deref().and_then(parse_id),
                finding: finding.as_deref().and_then(parse_id),
                dry: stage == Stage::Simulate,
                steps: names(&found),
                per_hour: found.runs_per_hour,
            };
            if store.begin_run(new, now).await? == Begun::Suppressed {
                playbooks.counters.suppressed();
                tracing::warn!(
                    playbook = name,
                    per_hour = found.runs_per_hour,
                    "there were too many runs within the hour: this one is counted, and not made"
                );
                return Ok(End::Done);
            }
            Some(job.id)
        }
    };
    match id {
        Some(id) => go_on(playbooks, job, id).await,
        None => Ok(End::Done),
    }
}

/// Nobody has approved it in time.
async fn expire(store: &dyn Store, run: Uuid, step: i64, now: Micros) -> picket_store::Result<()> {
    let steps = match store.run_steps(run).await {
        Err(StoreError::NotFound { .. }) => return Ok(()),
        steps => steps?,
    };
    let waits = |one: &&RunStep| one.number == step && one.state == RunState::WaitingApproval;
    if steps.iter().find(waits).is_some() {
        let why = "nobody approved it within a day";
        store.end_run(run, RunState::Failed, why, now).await?;
    }
    Ok(())
}

/// Does the steps of a run that are left, until one has to wait.
async fn go_on(playbooks: &Playbooks, job: &Job, id: Uuid) -> picket_store::Result<End> {
    let store = &*playbooks.hands.store;
    let run = match store.run(id).await {
        Err(StoreError::NotFound { .. }) => return Ok(End::Done),
        run => run?,
    };
    let now = crate::api::now();
    let Some((stage, _, playbook)) = playbooks.at(run.playbook, run.version).await? else {
        let why = "the playbook is there no more";
        store.end_run(id, RunState::Cancelled, why, now).await?;
        return Ok(End::Done);
    };
    if stage == Stage::Draft {
        let why = "the playbook was switched off";
        store.end_run(id, RunState::Cancelled, why, now).await?;
        return Ok(End::Done);
    }
    let steps = store.run_steps(id).await?;
    let mut failed = steps.iter().any(|step| step.state == RunState::Failed);
    // The issue that an earlier step opened is one of the run.
    let about = (run.issue, run.finding);
    let mut about = About::read(store, &run.name, &run.event, Some(id), about).await?;
    for (stands, step) in steps.iter().zip(&playbook.steps) {
        if stands.state == RunState::WaitingApproval {
            return Ok(End::Done);
        }
        if stands.state.is_over() {
            continue;
        }
        let last = stands.number + 1 == steps.len() as i64;
        store.renew_job(job, LEASE, crate::api::now()).await?;
        let one = One {
            playbooks,
            run: &run,
            stands,
            step,
            last,
            failed,
        };
        match one.take_on(&mut about).await? {
            Next::On => {}
            Next::Failed => failed = true,
            Next::Stop(end) => return Ok(end),
        }
    }
    Ok(End::Done)
}

enum Next {
    On,
    Failed,
    Stop(End),
}

/// One step of one run.
struct One<'r> {
    playbooks: &'r Playbooks,
    run: &'r Run,
    stands: &'r RunStep,
    step: &'r Step,
    last: bool,
    failed: bool,
}

impl One<'_> {
    async fn take_on(&self, about: &mut About) -> picket_store::Result<Next> {
        let hands = &self.playbooks.hands;
        let now = crate::api::now();
        if self.run.dry {
            let shown = hands.show(self.step, about, now);
            let detail = serde_json::to_string(&shown).unwrap_or_default();
            let state = if self.last {
                RunState::DryRun
            } else {
                RunState::Queued
            };
            let going = self.write(RunState::DryRun, 0, detail, state).await?;
            return Ok(if going {
                Next::On
            } else {
                Next::Stop(End::Done)
            });
        }
        if self.step.needs_approval() && self.stands.approved_by.is_none() {
            self.wait(now).await?;
            return Ok(Next::Stop(End::Done));
        }
        let attempts = self.stands.attempts + 1;
        let number = self.stands.number;
        let done = hands.step(self.run, number, self.step, about, now).await;
        self.playbooks.counters.step(done.is_ok());
        let (state, detail) = match &done {
            Ok(detail) => (RunState::Succeeded, detail.clone()),
            Err(Failure { why, again }) if *again && attempts < i64::from(self.step.attempts) => {
                self.told("tried again", why, attempts).await?;
                let going = self
                    .write(RunState::Queued, attempts, why.clone(), RunState::Queued)
                    .await?;
                return Ok(Next::Stop(match going {
                    true => End::Again(why.clone()),
                    false => End::Done,
                }));
            }
            Err(Failure { why, .. }) => (RunState::Failed, why.clone()),
        };
        self.told(state.name(), &detail, attempts).await?;
        let failed = self.failed || state == RunState::Failed;
        let stops = state == RunState::Failed && self.step.on_failure == OnFailure::Stop;
        let of_run = match (self.last || stops, failed) {
            (true, true) => RunState::Failed,
            (true, false) => RunState::Succeeded,
            (false, _) => RunState::Queued,
        };
        let going = self.write(state, attempts, detail, of_run).await?;
        if !going || of_run.is_over() {
            return Ok(Next::Stop(End::Done));
        }
        if state == RunState::Succeeded && self.step.action.name() == "open_issue" {
            about.opened(&*hands.store).await?;
        }
        Ok(if failed { Next::Failed } else { Next::On })
    }

    /// Somebody has to approve it; not for ever.
    async fn wait(&self, now: Micros) -> picket_store::Result<()> {
        let waiting = RunState::WaitingApproval;
        self.write(waiting, self.stands.attempts, String::new(), waiting)
            .await?;
        let (run, step) = (self.run.id.to_string(), self.stands.number);
        let key = format!("expire:{run}:{step}");
        let expire = Order::Expire { run, step }.job(Some(key), now + APPROVAL);
        self.playbooks.hands.store.add_job(expire, now).await?;
        Ok(())
    }

    async fn write(
        &self,
        state: RunState,
        attempts: i64,
        detail: String,
        of_run: RunState,
    ) -> picket_store::Result<bool> {
        let step = RunStep {
            state,
            attempts,
            detail,
            ..self.stands.clone()
        };
        let store = &self.playbooks.hands.store;
        store
            .step_done(self.run.id, step, of_run, crate::api::now())
            .await
    }

    /// Every attempt stands in the audit log.
    async fn told(&self, outcome: &str, detail: &str, attempt: i64) -> picket_store::Result<()> {
        let deed = Deed {
            action: "playbook.step".to_owned(),
            kind: "playbook_run".to_owned(),
            subject: self.run.id.to_string(),
            detail: json!({
                "playbook": self.run.name,
                "step": self.stands.number,
                "action": self.stands.action,
                "attempt": attempt,
                "outcome": outcome,
                "detail": detail.chars().take(500).collect::<String>(),
                "approved_by": self.stands.approved_by,
            }),
        };
        let cause = Cause {
            actor: ACTOR.to_owned(),
            reason: format!("upon {}", self.run.event),
            at: crate::api::now(),
        };
        self.playbooks.hands.store.record(deed, &cause).await
    }
}

impl Playbooks {
    /// A playbook's stage now and its text at a version; none if it is there no more.
    async fn at(
        &self,
        id: Uuid,
        version: i64,
    ) -> picket_store::Result<Option<(Stage, String, Playbook)>> {
        let store = &self.hands.store;
        let now = match store.definition(id).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            now => now?,
        };
        if now.deleted {
            return Ok(None);
        }
        let one = PageSize::new(1)?;
        let versions = store
            .versions(id, Some(version.saturating_add(1)), one)
            .await?;
        let found = versions
            .items
            .into_iter()
            .find(|one| one.version == version);
        let parsed = found.and_then(|found| Playbook::parse(&found.content.body).ok());
        Ok(parsed.map(|playbook| (now.content.stage, now.name, playbook)))
    }
}
