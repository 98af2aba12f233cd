//! Decides what each sensor is to be given: one pass over definitions, sensors and
//! roll-outs, whenever one of them has changed, and now and then without.
//!
//! Every server has one. They agree by the store: a version is published once, a
//! roll-out is moved on by whoever read its last version.

use super::census::Census;
use super::content::{Composed, Library};
use super::members::Membership;
use super::scope::Scope;
use super::targets::Targets;
use super::{Shared, now};
use crate::intake::ProjectBook;
use picket_store::{
    Change, PageSize, Result, RolloutState, Sensor, SensorFilter, StoreError, Uuid, limits,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// While something is rolled out.
const BUSY: Duration = Duration::from_secs(1);
/// Otherwise: bundles are signed anew in time, and a lost notice is made good.
const IDLE: Duration = Duration::from_secs(15);
/// Changes come in flocks: so long is gathered, or as long as the last pass took, so
/// that a fleet that joins at once does not keep the director running.
const GATHER: Duration = Duration::from_millis(50);
const LONGEST_GATHER: Duration = Duration::from_secs(2);

/// What the director keeps between passes.
#[derive(Default)]
struct Memory {
    book: ProjectBook,
    library: Option<Arc<Library>>,
    /// By scope, as the definitions are now.
    composed: HashMap<String, Option<Arc<Composed>>>,
    /// What was said of a scope's definitions last, so that it is said once.
    problems: HashMap<String, String>,
}

impl Memory {
    async fn read(&mut self, shared: &Shared) -> Result<()> {
        self.book = ProjectBook::read(&*shared.store).await?;
        let definitions = crate::stored::definitions(&*shared.store, None).await?;
        // Thousands of rules take a while.
        let library = tokio::task::spawn_blocking(|| Library::of(definitions)).await;
        self.library = Some(Arc::new(library.map_err(|why| StoreError::Damaged {
            what: "the definitions".to_owned(),
            why: why.to_string(),
        })?));
        self.composed.clear();
        Ok(())
    }

    /// What the scope's sensors ought to have; nothing if no bundle can be made.
    async fn composed(&mut self, scope: &str, projects: BTreeSet<Uuid>) -> Option<Arc<Composed>> {
        if let Some(known) = self.composed.get(scope) {
            return known.clone();
        }
        let library = Arc::clone(self.library.as_ref()?);
        let composed = tokio::task::spawn_blocking(move || library.compose(&projects)).await;
        let composed = match composed.ok()? {
            Ok(composed) => {
                self.problems.remove(scope);
                Some(Arc::new(composed))
            }
            Err(problem) => {
                if self.problems.get(scope) != Some(&problem.0) {
                    tracing::error!(scope, %problem, "no bundle can be made");
                    self.problems.insert(scope.to_owned(), problem.0);
                }
                None
            }
        };
        self.composed.insert(scope.to_owned(), composed.clone());
        composed
    }
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
        memory.read(shared).await?;
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
        let desired = memory.composed(&membership.scope, membership.ids).await;
        let scope = Scope {
            shared,
            name: &membership.scope,
            sensors: &sensors,
        };
        let target = match scope.reconcile(desired.as_deref()).await {
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
