//! Decides what each sensor is to be given: one pass over definitions, sensors and
//! roll-outs, whenever one of them has changed, and now and then without.
//!
//! Every server has one. They agree by the store: a version is published once, a
//! roll-out is moved on by whoever read its last version.

use super::census::Census;
use super::config::Limits;
use super::content::{Composed, compose};
use super::keys::hex;
use super::members::Membership;
use super::rollout::{self, Planned, Progress, judge};
use super::{Shared, now};
use crate::intake::ProjectBook;
use picket_proto::bundle::{Bundle, RuleFile, TrustedKeys};
use picket_store::{
    Cause, Change, Definition, DefinitionFilter, Labels, NewBundle, PageSize, Result, Rollout,
    RolloutState, Sensor, SensorFilter, StoreError, Uuid, limits,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

/// While something is rolled out.
const BUSY: Duration = Duration::from_secs(1);
/// Otherwise: bundles are signed anew in time, and a lost notice is made good.
const IDLE: Duration = Duration::from_secs(15);
/// Changes come in flocks: so long is gathered, or as long as the last pass took, so
/// that a fleet that joins at once does not keep the director running.
const GATHER: Duration = Duration::from_millis(50);
const LONGEST_GATHER: Duration = Duration::from_secs(2);
/// Who is told in the audit log.
const ACTOR: &str = "system:fleet";
/// So many versions a restored backup may lie behind its sensors.
const MOST_AHEAD: i64 = 1_000_000;
/// Roll-outs that are looked through for the last good one.
const LOOK_BACK: u32 = 100;

/// What sensors are to be given.
#[derive(Default)]
pub(super) struct Targets {
    /// Which projects there are.
    pub book: ProjectBook,
    scopes: HashMap<String, Target>,
}

/// A bundle, by what tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub bundle: Uuid,
    pub version: i64,
}

#[derive(Default, PartialEq)]
struct Target {
    /// What has been rolled out to the end.
    stable: Option<Wanted>,
    /// What is on its way.
    rolling: Option<Rolling>,
}

#[derive(PartialEq)]
struct Rolling {
    wanted: Wanted,
    state: RolloutState,
    planned: Planned,
}

impl Targets {
    /// What a sensor of that scope is to have, if it is more than what it has.
    pub(super) fn wanted(
        &self,
        scope: &str,
        sensor: Uuid,
        labels: &Labels,
        has: Option<i64>,
    ) -> Option<Wanted> {
        let target = self.scopes.get(scope)?;
        let rolling = target.rolling.as_ref().filter(|rolling| {
            let first = || {
                rolling
                    .planned
                    .is_first(rolling.wanted.bundle, sensor, labels)
            };
            match rolling.state {
                RolloutState::Full => true,
                RolloutState::Canary => first(),
                // What is halted goes to nobody any more; who has it keeps it.
                _ => false,
            }
        });
        let wanted = rolling.map(|rolling| rolling.wanted).or(target.stable)?;
        (has.is_none_or(|has| wanted.version > has)).then_some(wanted)
    }
}

/// What the director keeps between passes.
#[derive(Default)]
struct Memory {
    definitions: Vec<Definition>,
    book: ProjectBook,
    /// What was said of a scope's definitions last, so that it is said once.
    problems: HashMap<String, String>,
}

pub(super) async fn run(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut changes = shared.store.changes();
    let mut memory = Memory::default();
    let mut reread = true;
    loop {
        let began = Instant::now();
        let busy = match pass(&shared, &mut memory, reread).await {
            Ok(busy) => {
                reread = false;
                busy
            }
            Err(why) => {
                tracing::warn!(%why, "bundles were not looked after");
                true
            }
        };
        let took = began.elapsed();
        let rest = if busy { BUSY } else { IDLE };
        tokio::select! {
            () = async { let _ = stopped.wait_for(|stopped| *stopped).await; } => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
            change = changes.next() => {
                match change {
                    None => return,
                    Some(Change::Definitions | Change::Unknown) => reread = true,
                    Some(Change::Sensors | Change::Bundles | Change::Rollouts) => {}
                    Some(_) => continue,
                }
                // What else comes with it; not longer, or changes that keep coming would
                // keep everybody waiting.
                let until = Instant::now() + took.clamp(GATHER, LONGEST_GATHER);
                while let Ok(Some(change)) = tokio::time::timeout_at(until, changes.next()).await {
                    reread |= matches!(change, Change::Definitions | Change::Unknown);
                }
            }
        }
    }
}

/// One pass; true while something is on its way.
async fn pass(shared: &Shared, memory: &mut Memory, reread: bool) -> Result<bool> {
    if reread {
        memory.book = ProjectBook::read(&*shared.store).await?;
        memory.definitions = definitions(shared).await?;
    }
    let sensors = sensors(shared).await?;
    let mut census = Census::of(&sensors, now());
    let mut scopes: BTreeMap<Membership, Vec<&Sensor>> = BTreeMap::new();
    for sensor in &sensors {
        let revoked = sensor.revoked_at.is_some();
        shared.hub.tell(sensor.id, &sensor.labels, revoked);
        if !revoked {
            let membership = Membership::of(&memory.book, &sensor.host, &sensor.labels);
            scopes.entry(membership).or_default().push(sensor);
        }
    }
    let mut targets = Targets {
        book: memory.book.clone(),
        scopes: HashMap::new(),
    };
    let mut busy = false;
    for (membership, sensors) in scopes {
        let desired = compose(&memory.definitions, &membership.ids);
        let desired = match desired {
            Ok(composed) => {
                memory.problems.remove(&membership.scope);
                Some(composed)
            }
            Err(problem) => {
                let told = memory.problems.get(&membership.scope) == Some(&problem.0);
                if !told {
                    tracing::error!(scope = membership.scope, %problem, "no bundle can be made");
                    memory.problems.insert(membership.scope.clone(), problem.0);
                }
                None
            }
        };
        let scope = Scope {
            shared,
            name: &membership.scope,
            sensors: &sensors,
        };
        let target = match scope.reconcile(desired).await {
            Ok(target) => target,
            // Another server did the same at the same time.
            Err(StoreError::Conflict { .. } | StoreError::Exists { .. }) => {
                busy = true;
                scope.target().await?
            }
            Err(why) => return Err(why),
        };
        if let Some(rolling) = &target.rolling {
            census.rollout(rolling.state);
        }
        busy |= target
            .rolling
            .as_ref()
            .is_some_and(|rolling| rolling.state != RolloutState::Halted);
        targets.scopes.insert(membership.scope, target);
    }
    *shared.census.lock().unwrap_or_else(PoisonError::into_inner) = census;
    // Every stream wakes up for it.
    shared.targets.send_if_modified(|current| {
        let changed = reread || current.scopes != targets.scopes;
        if changed {
            *current = Arc::new(targets);
        }
        changed
    });
    Ok(busy)
}

async fn definitions(shared: &Shared) -> Result<Vec<Definition>> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = shared
            .store
            .definitions(&DefinitionFilter::default(), after, page()?)
            .await?;
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

async fn sensors(shared: &Shared) -> Result<Vec<Sensor>> {
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = shared
            .store
            .sensors(&SensorFilter::default(), before, page()?)
            .await?;
        all.extend(page.items);
        before = page.next;
        if before.is_none() {
            return Ok(all);
        }
    }
}

fn page() -> Result<PageSize> {
    PageSize::new(limits::MAX_PAGE)
}

/// The content's name: what is the same is not published again.
fn digest(files: &[RuleFile]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        for part in [&file.name, &file.text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex(&hash.finalize())
}

fn planned(rollout: &Rollout) -> Option<Planned> {
    serde_json::from_value(rollout.plan.clone()).ok()
}

fn cause(reason: &str) -> Cause {
    Cause {
        actor: ACTOR.to_owned(),
        reason: reason.to_owned(),
        at: now(),
    }
}

struct Scope<'s> {
    shared: &'s Shared,
    name: &'s str,
    sensors: &'s [&'s Sensor],
}

impl Scope<'_> {
    /// Publishes what is wanted and moves on what is under way.
    async fn reconcile(&self, desired: Option<Composed>) -> Result<Target> {
        let last = rollout::last(&*self.shared.store, self.name).await?;
        let known = last.as_ref().and_then(planned);
        match (last, known) {
            (None, _) => {
                if let Some(desired) = desired.filter(|desired| !desired.files.is_empty()) {
                    self.publish(desired.files, None, false, "the scope's first bundle")
                        .await?;
                }
            }
            (Some(last), known) if last.state == RolloutState::RolledBack => {
                self.bring_back(&last, known, desired).await?;
            }
            (Some(last), Some(known)) if last.state != RolloutState::Superseded => {
                self.follow(last, known, desired).await?;
            }
            // Taken away for one that did not come, or not readable: make a new one.
            (Some(_), _) => {
                if let Some(desired) = desired {
                    self.publish(desired.files, None, true, "the definitions have changed")
                        .await?;
                }
            }
        }
        self.target().await
    }

    async fn follow(&self, last: Rollout, known: Planned, desired: Option<Composed>) -> Result<()> {
        let wanted = desired.map(|desired| (digest(&desired.files), desired.files));
        if let Some((content, files)) = wanted {
            let settled = content == known.content || known.instead_of.as_ref() == Some(&content);
            if !settled {
                return self.supersede(last, files).await;
            }
        }
        if last.state == RolloutState::Done {
            return self.renew(&last, known).await;
        }
        let step = judge(&last, &known, self.sensors, now());
        let progress = serde_json::to_value(&step.progress).unwrap_or_default();
        if step.state != last.state || progress != last.progress {
            if step.state != last.state {
                tracing::info!(
                    scope = self.name,
                    version = known.version,
                    state = step.state.name(),
                    reason = step.reason,
                    "roll-out"
                );
            }
            self.shared
                .store
                .move_rollout(
                    last.id,
                    last.version,
                    step.state,
                    progress,
                    &cause(&step.reason),
                )
                .await?;
        }
        Ok(())
    }

    /// The definitions have changed: what is under way gives way.
    async fn supersede(&self, last: Rollout, files: Vec<RuleFile>) -> Result<()> {
        if last.state.is_under_way() {
            let next = self.shared.store.latest_version(self.name).await? + 1;
            let progress: Progress =
                serde_json::from_value(last.progress.clone()).unwrap_or_default();
            let progress = Progress {
                superseded_by: Some(next),
                ..progress
            };
            let reason = format!("version {next} takes its place");
            self.shared
                .store
                .move_rollout(
                    last.id,
                    last.version,
                    RolloutState::Superseded,
                    serde_json::to_value(progress).unwrap_or_default(),
                    &cause(&reason),
                )
                .await?;
        }
        self.publish(files, None, true, "the definitions have changed")
            .await
    }

    /// Signs the same anew, long before it ends.
    async fn renew(&self, last: &Rollout, known: Planned) -> Result<()> {
        let half =
            i64::try_from(self.shared.config.bundle_life.as_micros() / 2).unwrap_or(i64::MAX);
        if now() - last.created_at < half {
            return Ok(());
        }
        let files = self.files(last.bundle).await?;
        self.publish(files, known.instead_of, false, "signed anew before it ends")
            .await
    }

    /// The content before the one that was taken back, as a new version.
    async fn bring_back(
        &self,
        last: &Rollout,
        known: Option<Planned>,
        desired: Option<Composed>,
    ) -> Result<()> {
        let files = match self.stable().await? {
            Some(stable) => self.files(stable.bundle).await?,
            // Nothing was there before: no rules.
            None => Vec::new(),
        };
        // As long as the definitions say what was taken back, it stays away.
        let instead_of = desired
            .map(|desired| digest(&desired.files))
            .or(known.map(|known| known.content));
        let reason = format!("rolled back: {}", last.reason);
        let reason: String = reason.chars().take(1000).collect();
        self.publish(files, instead_of, false, &reason).await
    }

    async fn files(&self, bundle: Uuid) -> Result<Vec<RuleFile>> {
        let bytes = self.shared.store.bundle_bytes(bundle).await?;
        let trusted = TrustedKeys::new([self.shared.signing.public()]);
        let verified = trusted.verify(&bytes).map_err(|why| StoreError::Damaged {
            what: format!("bundle {bundle}"),
            why: why.to_string(),
        })?;
        Ok(verified.bundle().files.clone())
    }

    async fn publish(
        &self,
        files: Vec<RuleFile>,
        instead_of: Option<String>,
        try_first: bool,
        reason: &str,
    ) -> Result<()> {
        let store = &*self.shared.store;
        let latest = store.latest_version(self.name).await?;
        let version = latest.max(self.ahead(latest)) + 1;
        let at = now();
        let life = i64::try_from(self.shared.config.bundle_life.as_micros()).unwrap_or(i64::MAX);
        let content = digest(&files);
        let bundle = Bundle {
            scope: self.name.to_owned(),
            version: version.unsigned_abs(),
            created_us: at,
            expires_us: at.saturating_add(life),
            files,
        };
        let key = &self.shared.signing;
        let trusted = TrustedKeys::new([key.public()]);
        let signed = trusted.sign_and_verify(&bundle, key);
        let (bytes, _) = signed.map_err(|why| StoreError::Invalid {
            field: "bundle",
            why: why.to_string(),
        })?;
        let span = tracing::info_span!("publish bundle", scope = self.name, version);
        let published = store
            .publish(
                NewBundle {
                    scope: self.name.to_owned(),
                    version,
                    key_id: key.public().id().to_string(),
                    bytes,
                    expires_at: Some(bundle.expires_us),
                },
                &cause(reason),
            )
            .instrument(span)
            .await?;
        let mut plan = self.shared.config.plan.clone();
        if !try_first && self.stable().await?.is_some() {
            plan.limits = Limits::NONE;
        }
        let canary = try_first && plan.canary.is_some() && self.stable().await?.is_some();
        let state = if canary {
            RolloutState::Canary
        } else {
            RolloutState::Full
        };
        let planned = Planned {
            below: rollout::below(&plan, published.id, self.sensors),
            plan,
            version,
            content,
            instead_of,
        };
        let plan = serde_json::to_value(planned).unwrap_or_default();
        store
            .begin_rollout(published.id, state, plan, &cause(reason))
            .await?;
        tracing::info!(scope = self.name, version, reason, "bundle published");
        Ok(())
    }

    /// The highest version that a sensor says it has: above the store's own after a
    /// backup was restored, and sensors take nothing below it. What a sensor says is
    /// believed within bounds, so that one which lies does not use up the numbers.
    fn ahead(&self, latest: i64) -> i64 {
        let bundles = self
            .sensors
            .iter()
            .filter_map(|sensor| sensor.heartbeat.as_ref()?.bundle.as_ref());
        bundles
            .filter(|bundle| bundle.scope == self.name)
            .map(|bundle| bundle.version)
            .filter(|version| *version <= latest.saturating_add(MOST_AHEAD))
            .max()
            .unwrap_or(0)
    }

    /// What was rolled out to the end last.
    async fn stable(&self) -> Result<Option<Wanted>> {
        let mut before = None;
        let mut seen = 0;
        while seen < LOOK_BACK {
            let page = self
                .shared
                .store
                .rollouts(Some(self.name), false, before, PageSize::new(20)?)
                .await?;
            for rollout in &page.items {
                if rollout.state == RolloutState::Done {
                    return Ok(planned(rollout).map(|planned| Wanted {
                        bundle: rollout.bundle,
                        version: planned.version,
                    }));
                }
            }
            seen += 20;
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        Ok(None)
    }

    async fn target(&self) -> Result<Target> {
        let last = rollout::last(&*self.shared.store, self.name).await?;
        let rolling = last.filter(|last| last.state.is_under_way());
        Ok(Target {
            stable: self.stable().await?,
            rolling: rolling.and_then(|rollout| {
                let planned = planned(&rollout)?;
                Some(Rolling {
                    wanted: Wanted {
                        bundle: rollout.bundle,
                        version: planned.version,
                    },
                    state: rollout.state,
                    planned,
                })
            }),
        })
    }
}
