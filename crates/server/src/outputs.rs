//! Who else is told of findings: each output follows a queue in the store.
//!
//! ```text
//! digest ─ Audience ─► store: output_queue ─ one replica at a time ─► Deliverer ─► told
//!                                                    └─ down: it waits, and comes again
//! ```

use crate::api::Metrics;
use crate::start::StartError;
use picket_model::Severity;
use picket_outputs::{BATCH, BackOff, Deliverer, Output, Record};
use picket_store::{ForOutput, PendingFinding, Result, Store, Uuid, new_id};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a replica has an output for itself, from one batch to the next.
const HOLD: Duration = Duration::from_secs(120);
/// How often it is looked whether something waits.
const IDLE: Duration = Duration::from_secs(1);
/// How long it is waited while another replica has the output.
const HELD: Duration = Duration::from_secs(10);
/// How often it is counted what waits.
const COUNT: Duration = Duration::from_secs(15);

/// Which findings are for whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Audience(Vec<(String, Severity)>);

impl Audience {
    pub(crate) fn of(&self, pending: &[PendingFinding]) -> Vec<ForOutput> {
        let mut queued = Vec::new();
        for (output, least) in &self.0 {
            let theirs = pending
                .iter()
                .filter(|finding| finding.columns.severity >= *least);
            queued.extend(theirs.map(|finding| ForOutput {
                output: output.clone(),
                finding: finding.id,
            }));
        }
        queued
    }
}

/// The outputs of a configuration.
pub(crate) struct Outputs(Vec<(Output, Deliverer)>);

impl Outputs {
    pub(crate) fn open(outputs: &[Output]) -> std::result::Result<Outputs, StartError> {
        let opened = outputs.iter().map(|output| match Deliverer::open(output) {
            Ok(deliverer) => Ok((output.clone(), deliverer)),
            Err(source) => Err(StartError::Output {
                name: output.name.clone(),
                source,
            }),
        });
        Ok(Outputs(opened.collect::<std::result::Result<_, _>>()?))
    }

    pub(crate) fn audience(&self) -> Audience {
        let one = |(output, _): &(Output, Deliverer)| (output.name.clone(), output.severity);
        Audience(self.0.iter().map(one).collect())
    }

    /// Empties the queues of outputs that are no more, and says so.
    pub(crate) async fn forget_others(&self, store: &dyn Store) -> Result<()> {
        let names: Vec<String> = self
            .0
            .iter()
            .map(|(output, _)| output.name.clone())
            .collect();
        let findings = store.forget_other_outputs(&names).await?;
        if findings > 0 {
            tracing::warn!(
                findings,
                "they waited for outputs that are no longer configured"
            );
        }
        Ok(())
    }

    /// Starts a task for each.
    pub(crate) fn spawn(
        self,
        store: &Arc<dyn Store>,
        metrics: &Arc<Metrics>,
        stopping: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) {
        if self.0.is_empty() {
            return;
        }
        let holder = new_id();
        for (output, deliverer) in self.0 {
            metrics.output(&output.name, |_| {});
            let task = Task {
                name: output.name,
                holder,
                store: Arc::clone(store),
                metrics: Arc::clone(metrics),
                deliverer: Some(deliverer),
            };
            tasks.spawn(task.run(stopping.clone()));
        }
        tasks.spawn(count(
            Arc::clone(store),
            Arc::clone(metrics),
            stopping.clone(),
        ));
    }
}

/// Counts what waits, for as long as the server runs.
async fn count(store: Arc<dyn Store>, metrics: Arc<Metrics>, mut stopping: watch::Receiver<bool>) {
    loop {
        match store.output_backlog().await {
            Ok(backlog) => metrics.outputs_waiting(&backlog),
            Err(why) => tracing::warn!(%why, "what waits for outputs could not be counted"),
        }
        tokio::select! {
            () = crate::stopped(&mut stopping) => return,
            () = tokio::time::sleep(COUNT) => {}
        }
    }
}

struct Task {
    name: String,
    holder: Uuid,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// Away while it delivers.
    deliverer: Option<Deliverer>,
}

impl Task {
    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut back_off = BackOff::default();
        loop {
            let wait = match self.step().await {
                Ok(wait) => {
                    if back_off.succeeded() {
                        tracing::info!(output = self.name, "it takes findings again");
                    }
                    wait
                }
                Err(why) => {
                    self.metrics
                        .output(&self.name, |counts| counts.failures += 1);
                    if !back_off.is_waiting() {
                        tracing::warn!(output = self.name, why, "findings wait for it");
                    }
                    back_off.failed()
                }
            };
            tokio::select! {
                () = crate::stopped(&mut stopping) => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        // If it cannot be said, the others see by the time.
        let _ = self.store.release_output(&self.name, self.holder).await;
    }

    /// Delivers one batch; how long to wait for the next.
    async fn step(&mut self) -> std::result::Result<Duration, String> {
        let of_store = |why: picket_store::StoreError| why.to_string();
        let batch = BATCH as u32;
        // Most often there is nothing: then nothing is written either.
        if self
            .store
            .queued_findings(&self.name, 1)
            .await
            .map_err(of_store)?
            .is_empty()
        {
            return Ok(IDLE);
        }
        let now = crate::api::now();
        let until = now + HOLD.as_micros() as i64;
        let held = self.store.hold_output(&self.name, self.holder, until, now);
        if !held.await.map_err(of_store)? {
            return Ok(HELD);
        }
        // Only now is it known that nobody else reads them.
        let queued = self
            .store
            .queued_findings(&self.name, batch)
            .await
            .map_err(of_store)?;
        let ids: Vec<Uuid> = queued.iter().map(|finding| finding.id).collect();
        let found = queued.into_iter().filter_map(|finding| finding.ocsf);
        let records: Vec<Record> = found.map(Record::of).collect();
        let (told, lost) = (records.len() as u64, (ids.len() - records.len()) as u64);
        let refused = self.deliver(records).await?;
        self.store.told(&self.name, &ids).await.map_err(of_store)?;
        if lost > 0 {
            let output = &self.name;
            tracing::warn!(
                output,
                findings = lost,
                "they were deleted before it was told"
            );
        }
        self.metrics.output(&self.name, |counts| {
            counts.told += told.saturating_sub(refused);
            counts.refused += refused;
            counts.lost += lost;
        });
        let more = ids.len() == BATCH;
        Ok(if more { Duration::ZERO } else { IDLE })
    }

    async fn deliver(&mut self, records: Vec<Record>) -> std::result::Result<u64, String> {
        let Some(mut deliverer) = self.deliverer.take() else {
            return Err("a delivery was not finished: start the server again".to_owned());
        };
        let delivered = tokio::task::spawn_blocking(move || {
            let answer = deliverer.deliver(&records);
            (deliverer, answer)
        });
        let (deliverer, answer) = delivered.await.map_err(|why| why.to_string())?;
        self.deliverer = Some(deliverer);
        let refused = answer.map_err(|failure| failure.why)?;
        for one in &refused {
            let (output, findings, why) = (&self.name, one.records, &one.why);
            tracing::warn!(output, findings, why, "it refused them for good");
        }
        Ok(refused.iter().map(|one| one.records).sum())
    }
}
