//! How many sensors are how: counted by the director, which looks at all of them anyway.

use super::rollout::SILENT;
use picket_store::{Micros, RolloutState, Sensor};
use serde_json::Value;

/// How many sensors and roll-outs are how, when they were last looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// When, microseconds since the epoch; 0: not yet.
    pub at: Micros,
    /// Sensors that are not revoked.
    pub sensors: u64,
    /// Of them, those that were not heard of lately.
    pub silent: u64,
    /// Of them, those on which every block was lifted by hand.
    pub disarmed: u64,
    /// Of them, those whose bundle should have been replaced.
    pub expired: u64,
    /// Of them, those that could not apply what they were given.
    pub failing: u64,
    /// Of them, those on which a rule costs more than a rule may.
    pub over_budget: u64,
    /// Of them, those that dropped findings for want of room.
    pub dropping: u64,
    /// Revoked ones.
    pub revoked: u64,
    /// Roll-outs that are under way.
    pub rolling: u64,
    /// Roll-outs that halted and wait for somebody.
    pub halted: u64,
}

impl Census {
    /// Of all sensors.
    pub(super) fn of(sensors: &[Sensor], now: Micros) -> Census {
        let mut census = Census {
            at: now,
            ..Census::default()
        };
        for sensor in sensors {
            if sensor.revoked_at.is_some() {
                census.revoked += 1;
                continue;
            }
            census.sensors += 1;
            let Some(beat) = &sensor.heartbeat else {
                census.silent += 1;
                continue;
            };
            let health = &beat.health;
            let alarms = |code: &str| {
                let alarms = health["alarms"].as_array().into_iter().flatten();
                alarms.into_iter().any(|alarm| alarm["code"] == code)
            };
            let listed = |key: &str| health[key].as_array().is_some_and(|list| !list.is_empty());
            census.silent += u64::from(now - beat.at >= SILENT);
            census.disarmed += u64::from(health["disarmed"] == Value::Bool(true));
            census.expired += u64::from(alarms("bundle_expired"));
            census.failing += u64::from(health["failed_version"].as_u64().unwrap_or(0) > 0);
            census.over_budget += u64::from(listed("over_budget"));
            census.dropping += u64::from(alarms("findings_dropped"));
        }
        census
    }

    /// One more roll-out of that state.
    pub(super) fn rollout(&mut self, state: RolloutState) {
        match state {
            RolloutState::Halted => self.halted += 1,
            _ => self.rolling += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_store::{Heartbeat, new_id};
    use serde_json::json;

    fn sensor(health: Option<Value>, at: Micros, revoked: bool) -> Sensor {
        let id = new_id();
        Sensor {
            id,
            join_token: new_id(),
            host: "h".to_owned(),
            labels: Default::default(),
            facts: json!({}),
            enrolled_at: 0,
            revoked_at: revoked.then_some(1),
            heartbeat: health.map(|health| Heartbeat {
                sensor: id,
                at,
                bundle: None,
                health,
                coverage: json!({}),
            }),
        }
    }

    #[test]
    fn each_sensor_is_counted_by_what_is_wrong_with_it() {
        let now = 10 * SILENT;
        let alarm = |code| json!({"alarms": [{"code": code, "detail": ""}]});
        let sensors = [
            sensor(
                Some(json!({"disarmed": false, "over_budget": []})),
                now,
                false,
            ),
            sensor(
                Some(json!({"disarmed": true, "over_budget": ["a"]})),
                now,
                false,
            ),
            sensor(Some(alarm("bundle_expired")), now, false),
            sensor(Some(alarm("findings_dropped")), now - SILENT, false),
            sensor(Some(json!({"failed_version": 3})), now, false),
            sensor(None, now, false),
            sensor(Some(json!({"disarmed": true})), now, true),
        ];
        let mut census = Census::of(&sensors, now);
        census.rollout(RolloutState::Halted);
        census.rollout(RolloutState::Canary);
        let wanted = Census {
            at: now,
            sensors: 6,
            silent: 2,
            disarmed: 1,
            expired: 1,
            failing: 1,
            over_budget: 1,
            dropping: 1,
            revoked: 1,
            rolling: 1,
            halted: 1,
        };
        assert_eq!(census, wanted);
    }
}
