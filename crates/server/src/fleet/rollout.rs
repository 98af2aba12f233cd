//! Roll-outs: who gets a bundle first, when the others do, and what halts it.

use super::config::Plan;
use picket_store::{
    Cause, Labels, Micros, PageSize, Result, Rollout, RolloutState, Sensor, Store, StoreError, Uuid,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A sensor not heard of for this long is not waited for.
const SILENT: Micros = 120_000_000;

/// Who is first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canary {
    /// A share of the scope's sensors, at least one; others at each roll-out.
    Share {
        /// Of a hundred.
        percent: u8,
    },
    /// Those that carry all of these labels.
    Labels(Labels),
}

/// What a roll-out's plan holds, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Planned {
    /// The plan that was in force when it began.
    #[serde(flatten)]
    pub plan: Plan,
    /// The bundle's version.
    pub version: i64,
    /// What its content is: SHA-256 in hex.
    pub content: String,
    /// It brings back an old content, and stays until people's definitions make
    /// another one than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// With a share: the sensors whose number is not above this are first.
    #[serde(default)]
    pub below: u64,
}

/// How far a roll-out is, as the store keeps it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// Sensors of the scope.
    pub sensors: u32,
    /// Those that are first.
    pub canaries: u32,
    /// Of all that have it offered: how many have applied it.
    pub applied: u32,
    /// How many could not.
    pub failed: u32,
    /// On how many a rule costs too much.
    pub over_budget: u32,
    /// The most findings of one sensor since it applied it.
    pub most_findings: u64,
    /// Since when all of the first ones have it, microseconds since the epoch.
    pub watched_since: Option<Micros>,
    /// Another roll-out took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<i64>,
}

/// A sensor's number in a roll-out of that bundle: another order each time.
pub(super) fn number(sensor: Uuid, bundle: Uuid) -> u64 {
    let mut hash = Sha256::new();
    hash.update(bundle.as_bytes());
    hash.update(sensor.as_bytes());
    let digest = hash.finalize();
    // A JSON number, whoever reads it: 53 bits.
    digest[..8]
        .iter()
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
        >> 11
}

/// The number up to which sensors are first.
pub(super) fn below(plan: &Plan, bundle: Uuid, sensors: &[&Sensor]) -> u64 {
    let Some(Canary::Share { percent }) = &plan.canary else {
        return 0;
    };
    let mut numbers: Vec<u64> = sensors
        .iter()
        .map(|sensor| number(sensor.id, bundle))
        .collect();
    numbers.sort_unstable();
    let share = (numbers.len() * usize::from((*percent).min(100))).div_ceil(100);
    numbers
        .get(share.max(1) - 1)
        .or(numbers.last())
        .copied()
        .unwrap_or(0)
}

impl Planned {
    /// Whether that sensor is one of the first.
    pub(super) fn is_first(&self, bundle: Uuid, sensor: Uuid, labels: &Labels) -> bool {
        match &self.plan.canary {
            None => true,
            Some(Canary::Share { .. }) => number(sensor, bundle) <= self.below,
            Some(Canary::Labels(wanted)) => wanted
                .iter()
                .all(|(name, value)| labels.get(name) == Some(value)),
        }
    }
}

/// What is to be done about a roll-out.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub state: RolloutState,
    pub progress: Progress,
    pub reason: String,
}

/// Looks at a roll-out that is under way and at the sensors of its scope.
pub(super) fn judge(
    rollout: &Rollout,
    planned: &Planned,
    sensors: &[&Sensor],
    now: Micros,
) -> Step {
    let before: Progress = serde_json::from_value(rollout.progress.clone()).unwrap_or_default();
    let first = |sensor: &&&Sensor| planned.is_first(rollout.bundle, sensor.id, &sensor.labels);
    let offered: Vec<&&Sensor> = match rollout.state {
        RolloutState::Canary => sensors.iter().filter(first).collect(),
        _ => sensors.iter().collect(),
    };
    let heard = |sensor: &Sensor| {
        let heartbeat = sensor.heartbeat.as_ref();
        heartbeat.is_some_and(|heartbeat| now - heartbeat.at < SILENT)
    };
    let has_it = |sensor: &Sensor| applied(sensor, rollout, planned);
    let count = |test: &dyn Fn(&Sensor) -> bool| -> u32 {
        let count = offered.iter().filter(|sensor| test(sensor)).count();
        count.try_into().unwrap_or(u32::MAX)
    };
    let mut progress = Progress {
        sensors: sensors.len().try_into().unwrap_or(u32::MAX),
        canaries: sensors
            .iter()
            .filter(first)
            .count()
            .try_into()
            .unwrap_or(u32::MAX),
        applied: count(&|sensor| applied(sensor, rollout, planned)),
        failed: count(&|sensor| failed(sensor, planned)),
        over_budget: count(&|sensor| {
            applied(sensor, rollout, planned) && health_len(sensor, "over_budget") > 0
        }),
        most_findings: offered
            .iter()
            .filter(|sensor| has_it(sensor))
            .map(|sensor| health_number(sensor, "findings_since_applied"))
            .max()
            .unwrap_or(0),
        watched_since: before.watched_since,
        superseded_by: None,
    };
    let halt = |progress: Progress, reason: String| Step {
        state: RolloutState::Halted,
        progress,
        reason,
    };
    if let Some(reason) = breach(planned, &progress, offered.len()) {
        return halt(progress, reason);
    }
    let waiting = offered
        .iter()
        .filter(|sensor| heard(sensor) && !has_it(sensor))
        .count();
    let age = now - rollout.created_at;
    let late = age > i64::from(planned.plan.patience_seconds) * 1_000_000;
    if waiting > 0 && !late {
        progress.watched_since = None;
        return stay(rollout, progress);
    }
    match rollout.state {
        RolloutState::Full => {
            let reason = match waiting {
                0 => "every sensor that answers has applied it".to_owned(),
                waiting => format!("done but for {waiting} sensors that have not applied it"),
            };
            Step {
                state: RolloutState::Done,
                progress,
                reason,
            }
        }
        _ if progress.applied == 0 && late && progress.canaries > 0 => halt(
            progress,
            "none of the first sensors has applied it".to_owned(),
        ),
        // Nobody to try it on yet.
        _ if progress.applied == 0 && progress.sensors > 0 && !late => stay(rollout, progress),
        _ => {
            let since = *progress.watched_since.get_or_insert(now);
            let watched = now - since >= i64::from(planned.plan.watch_seconds) * 1_000_000;
            if !watched {
                return stay(rollout, progress);
            }
            progress.watched_since = None;
            Step {
                state: RolloutState::Full,
                progress,
                reason: "the first sensors are well with it".to_owned(),
            }
        }
    }
}

fn stay(rollout: &Rollout, progress: Progress) -> Step {
    Step {
        state: rollout.state,
        progress,
        reason: rollout.reason.clone(),
    }
}

fn breach(planned: &Planned, progress: &Progress, offered: usize) -> Option<String> {
    let limits = &planned.plan.limits;
    let borne = offered * usize::from(limits.borne_percent) / 100;
    let too_many = |count: u32, limit: u32| limit > 0 && count >= limit && count as usize > borne;
    if too_many(progress.failed, limits.failed_sensors) {
        return Some(format!("{} sensors could not apply it", progress.failed));
    }
    if too_many(progress.over_budget, limits.over_budget_sensors) {
        return Some(format!(
            "on {} sensors a rule costs more than a rule may",
            progress.over_budget
        ));
    }
    if limits.findings_per_sensor > 0 && progress.most_findings >= limits.findings_per_sensor {
        return Some(format!(
            "a sensor has made {} findings since it applied it",
            progress.most_findings
        ));
    }
    None
}

fn applied(sensor: &Sensor, rollout: &Rollout, planned: &Planned) -> bool {
    let bundle = sensor
        .heartbeat
        .as_ref()
        .and_then(|beat| beat.bundle.as_ref());
    bundle.is_some_and(|bundle| bundle.scope == rollout.scope && bundle.version == planned.version)
}

fn failed(sensor: &Sensor, planned: &Planned) -> bool {
    i64::try_from(health_number(sensor, "failed_version")) == Ok(planned.version)
}

fn health_number(sensor: &Sensor, key: &str) -> u64 {
    let health = sensor.heartbeat.as_ref().map(|beat| &beat.health);
    health
        .and_then(|health| health.get(key)?.as_u64())
        .unwrap_or(0)
}

fn health_len(sensor: &Sensor, key: &str) -> usize {
    let health = sensor.heartbeat.as_ref().map(|beat| &beat.health);
    health
        .and_then(|health| health.get(key)?.as_array())
        .map_or(0, Vec::len)
}

/// Takes a scope's last roll-out back, in whatever state it is. The director then
/// gives what was there before, under a new version.
pub async fn roll_back(store: &dyn Store, scope: &str, cause: &Cause) -> Result<()> {
    let last = last(store, scope)
        .await?
        .ok_or_else(|| StoreError::NotFound {
            what: "roll-out in",
            id: scope.to_owned(),
        })?;
    let state = RolloutState::RolledBack;
    store
        .move_rollout(last.id, last.version, state, last.progress, cause)
        .await?;
    Ok(())
}

/// A scope's newest roll-out.
pub(super) async fn last(store: &dyn Store, scope: &str) -> Result<Option<Rollout>> {
    let page = store
        .rollouts(Some(scope), false, None, PageSize::new(1)?)
        .await?;
    Ok(page.items.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::super::config::Limits;
    use super::*;
    use picket_store::{AppliedBundle, Heartbeat, new_id};
    use serde_json::json;

    const SCOPE: &str = "web";

    fn plan() -> Plan {
        Plan {
            canary: Some(Canary::Share { percent: 10 }),
            watch_seconds: 10,
            patience_seconds: 60,
            limits: Limits {
                failed_sensors: 2,
                over_budget_sensors: 1,
                borne_percent: 1,
                findings_per_sensor: 100,
            },
        }
    }

    struct Stage {
        sensors: Vec<Sensor>,
        rollout: Rollout,
        planned: Planned,
    }

    fn stage(count: usize) -> Stage {
        let sensors: Vec<Sensor> = (0..count).map(|_| sensor()).collect();
        let bundle = new_id();
        let refs: Vec<&Sensor> = sensors.iter().collect();
        let planned = Planned {
            below: below(&plan(), bundle, &refs),
            plan: plan(),
            version: 2,
            content: String::new(),
            instead_of: None,
        };
        let rollout = Rollout {
            id: new_id(),
            bundle,
            scope: SCOPE.to_owned(),
            state: RolloutState::Canary,
            version: 1,
            plan: serde_json::to_value(&planned).unwrap(),
            progress: json!({}),
            created_at: 0,
            changed_at: 0,
            reason: String::new(),
        };
        Stage {
            sensors,
            rollout,
            planned,
        }
    }

    fn sensor() -> Sensor {
        let id = new_id();
        Sensor {
            id,
            join_token: new_id(),
            host: "web-1".to_owned(),
            labels: Labels::new(),
            facts: json!({}),
            enrolled_at: 0,
            revoked_at: None,
            heartbeat: Some(beat(id, 1, json!({}))),
        }
    }

    fn beat(sensor: Uuid, version: i64, health: serde_json::Value) -> Heartbeat {
        Heartbeat {
            sensor,
            at: 0,
            bundle: Some(AppliedBundle {
                scope: SCOPE.to_owned(),
                version,
            }),
            health,
            coverage: json!({}),
        }
    }

    impl Stage {
        fn first(&self) -> Vec<usize> {
            let is_first = |sensor: &Sensor| {
                self.planned
                    .is_first(self.rollout.bundle, sensor.id, &sensor.labels)
            };
            let all = self.sensors.iter().enumerate();
            all.filter(|(_, sensor)| is_first(sensor))
                .map(|(at, _)| at)
                .collect()
        }

        fn set(&mut self, at: usize, version: i64, health: serde_json::Value) {
            let sensor = &mut self.sensors[at];
            sensor.heartbeat = Some(beat(sensor.id, version, health));
        }

        /// Judges, and takes the step.
        fn step(&mut self, now: Micros) -> RolloutState {
            let refs: Vec<&Sensor> = self.sensors.iter().collect();
            let step = judge(&self.rollout, &self.planned, &refs, now);
            self.rollout.progress = serde_json::to_value(&step.progress).unwrap();
            self.rollout.state = step.state;
            self.rollout.reason = step.reason;
            step.state
        }
    }

    #[test]
    fn a_share_is_first_and_at_least_one() {
        assert_eq!(stage(30).first().len(), 3);
        assert_eq!(stage(1).first().len(), 1);
        assert_eq!(stage(0).first().len(), 0);
    }

    #[test]
    fn first_some_then_all_then_done() {
        let mut stage = stage(20);
        assert_eq!(stage.step(1), RolloutState::Canary);
        for at in stage.first() {
            stage.set(at, 2, json!({}));
        }
        assert_eq!(stage.step(1_000_000), RolloutState::Canary);
        assert_eq!(stage.step(10_000_000), RolloutState::Canary);
        assert_eq!(stage.step(11_000_000), RolloutState::Full);
        assert_eq!(stage.step(12_000_000), RolloutState::Full);
        for at in 0..20 {
            stage.set(at, 2, json!({}));
        }
        assert_eq!(stage.step(13_000_000), RolloutState::Done);
    }

    #[test]
    fn it_halts_by_itself() {
        let cases = [
            (json!({"failed_version": 2}), 1, 2),
            (json!({"over_budget": ["slow"]}), 2, 1),
            (json!({"findings_since_applied": 100}), 2, 1),
        ];
        for (health, version, sensors) in cases {
            let mut stage = stage(30);
            let first = stage.first();
            for at in &first[..sensors - 1] {
                stage.set(*at, version, health.clone());
            }
            assert_eq!(stage.step(1), RolloutState::Canary, "{health}");
            stage.set(first[sensors - 1], version, health.clone());
            assert_eq!(stage.step(2), RolloutState::Halted, "{health}");
            assert!(!stage.rollout.reason.is_empty());
        }
    }

    #[test]
    fn an_old_versions_floods_and_failures_do_not_count() {
        let mut stage = stage(10);
        let first = stage.first()[0];
        let noise =
            json!({"findings_since_applied": 9000, "over_budget": ["x"], "failed_version": 1});
        stage.set(first, 1, noise);
        assert_eq!(stage.step(1), RolloutState::Canary);
    }

    #[test]
    fn silent_sensors_are_not_waited_for_and_nobodys_success_halts() {
        let mut stage = stage(10);
        // Heard of long ago: at the time 0.
        assert_eq!(stage.step(SILENT + 1), RolloutState::Halted);
        assert!(
            stage.rollout.reason.contains("none"),
            "{}",
            stage.rollout.reason
        );
    }

    #[test]
    fn a_large_fleet_bears_some() {
        let mut stage = stage(1_000);
        stage.rollout.state = RolloutState::Full;
        for at in 0..10 {
            stage.set(at, 1, json!({"failed_version": 2}));
        }
        assert_eq!(stage.step(1), RolloutState::Full);
        stage.set(10, 1, json!({"failed_version": 2}));
        assert_eq!(stage.step(2), RolloutState::Halted);
    }

    #[test]
    fn labels_choose_too() {
        let mut planned = stage(1).planned;
        let canary: Labels = [("canary".to_owned(), "yes".to_owned())].into();
        planned.plan.canary = Some(Canary::Labels(canary.clone()));
        assert!(planned.is_first(new_id(), new_id(), &canary));
        assert!(!planned.is_first(new_id(), new_id(), &Labels::new()));
    }
}
