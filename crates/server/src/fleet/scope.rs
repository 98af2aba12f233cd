//! One scope's bundles: publishes what is wanted, moves on what is under way, brings
//! back what was good.

use super::config::Limits;
use super::content::Composed;
use super::keys::hex;
use super::rollout::{self, Planned, Progress, judge};
use super::targets::{Rolling, Target, Wanted};
use super::{Shared, now};
use picket_proto::bundle::{Bundle, RuleFile, TrustedKeys};
use picket_store::{
    Cause, NewBundle, PageSize, Result, Rollout, RolloutState, Sensor, StoreError, Uuid,
};
use sha2::{Digest, Sha256};
use tracing::Instrument;

/// Who is told in the audit log.
const ACTOR: &str = "system:fleet";
/// So many versions a restored backup may lie behind its sensors.
const MOST_AHEAD: i64 = 1_000_000;
/// Roll-outs that are looked through for the last good one.
const LOOK_BACK: u32 = 100;

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

/// A scope in one pass.
pub(super) struct Scope<'s> {
    pub shared: &'s Shared,
    pub name: &'s str,
    pub sensors: &'s [&'s Sensor],
}

impl Scope<'_> {
    /// Publishes what is wanted and moves on what is under way.
    pub(super) async fn reconcile(&self, desired: Option<&Composed>) -> Result<Target> {
        let last = rollout::last(&*self.shared.store, self.name).await?;
        let known = last.as_ref().and_then(planned);
        match (last, known) {
            (None, _) => {
                if let Some(desired) = desired.filter(|desired| !desired.files.is_empty()) {
                    self.publish(
                        desired.files.clone(),
                        None,
                        false,
                        "the scope's first bundle",
                    )
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
                    self.publish(
                        desired.files.clone(),
                        None,
                        true,
                        "the definitions have changed",
                    )
                    .await?;
                }
            }
        }
        self.target().await
    }

    async fn follow(
        &self,
        last: Rollout,
        known: Planned,
        desired: Option<&Composed>,
    ) -> Result<()> {
        if let Some(desired) = desired {
            let content = digest(&desired.files);
            let settled = content == known.content || known.instead_of.as_ref() == Some(&content);
            if !settled {
                return self.supersede(last, desired.files.clone()).await;
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
        desired: Option<&Composed>,
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

    /// What its sensors are to be given.
    pub(super) async fn target(&self) -> Result<Target> {
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
