//! Sensors: who they are, what they last said of themselves, and how each rule
//! stands on them.

mod reports;
mod sql;

use crate::basics::{Cause, Labels, Micros, SecretHash, Uuid};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;
use serde_json::Value;

/// A certificate that the server signed for a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// When it was signed.
    pub issued_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
}

/// A sensor that wants in.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSensor {
    /// The id that stands in its certificate; made by the server.
    pub id: Uuid,
    /// Its host's name, for people to read: it proves nothing.
    pub host: String,
    /// What it says of its host.
    pub facts: Value,
    /// Its first certificate.
    pub certificate: Certificate,
}

/// A sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// Its id.
    pub id: Uuid,
    /// The token that let it in.
    pub join_token: Uuid,
    /// Its host's name.
    pub host: String,
    /// What its owner named it.
    pub labels: Labels,
    /// What it says of its host: kernel, system, capabilities.
    pub facts: Value,
    /// When it joined.
    pub enrolled_at: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
    /// Its last heartbeat; none before the first.
    pub heartbeat: Option<Heartbeat>,
}

/// What a sensor says of itself every few seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Who says it.
    pub sensor: Uuid,
    /// When.
    pub at: Micros,
    /// The bundle that it goes by.
    pub bundle: Option<AppliedBundle>,
    /// How it is.
    pub health: Value,
    /// What it saw and what it lost.
    pub coverage: Value,
}

/// Which bundle a sensor goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedBundle {
    /// The bundle's scope.
    pub scope: String,
    /// The bundle's version.
    pub version: i64,
}

/// How a rule stands on a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStatus {
    /// The rule's name.
    pub rule: String,
    /// What is done about a match there, or that it cannot be evaluated; the words
    /// are the sensor's.
    pub mode: String,
    /// Why.
    pub detail: Option<String>,
}

/// A rule's state on one sensor, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorRule {
    /// The sensor.
    pub sensor: Uuid,
    /// What it says.
    pub status: RuleStatus,
    /// When it said so first.
    pub reported_at: Micros,
}

/// Which sensors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SensorFilter {
    /// The revoked ones, or the others.
    pub revoked: Option<bool>,
    /// Those not heard of since; those never heard of too.
    pub silent_since: Option<Micros>,
    /// Those that joined with this token.
    pub join_token: Option<Uuid>,
    /// Those on this host name.
    pub host: Option<String>,
}

/// Sensors.
#[async_trait]
pub trait Sensors: Send + Sync {
    /// Lets a sensor in: takes a use of the token and stores the sensor, both or
    /// neither. The labels are the token's.
    async fn enrol(&self, token: &SecretHash, sensor: NewSensor, now: Micros) -> Result<Sensor>;

    /// Changes a sensor's labels.
    async fn label_sensor(&self, id: Uuid, labels: Labels, cause: &Cause) -> Result<()>;

    /// Takes what a sensor says of its host now, such as its kernel after an update.
    /// Of a host's name nothing changes: projects go by it. Whether it was other than
    /// before.
    async fn renew_facts(&self, id: Uuid, facts: Value) -> Result<bool>;

    /// One more certificate for a sensor; those before it stay good until they end.
    async fn add_certificate(&self, sensor: Uuid, certificate: Certificate) -> Result<()>;

    /// Whose certificate it is; an error if it is unknown or over, or it or the
    /// sensor is revoked.
    async fn sensor_of_certificate(&self, serial: &str, now: Micros) -> Result<Sensor>;

    /// Revokes a sensor and its certificates.
    async fn revoke_sensor(&self, id: Uuid, cause: &Cause) -> Result<()>;

    /// One sensor.
    async fn sensor(&self, id: Uuid) -> Result<Sensor>;

    /// Sensors, the last to join first.
    async fn sensors(
        &self,
        filter: &SensorFilter,
        before: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<Sensor, Uuid>>;

    /// Stores many heartbeats at once: collect them in memory, a write each does not
    /// scale. A heartbeat older than the stored one, or of nobody, changes nothing.
    /// Gives the sensors whose heartbeat is too long or holds NUL: it is not stored,
    /// and does not hold up the others.
    async fn store_heartbeats(&self, heartbeats: Vec<Heartbeat>) -> Result<Vec<Uuid>>;

    /// What a sensor says of all its rules; what it said before is replaced.
    async fn store_rule_status(
        &self,
        sensor: Uuid,
        rules: Vec<RuleStatus>,
        at: Micros,
    ) -> Result<()>;

    /// How the rules stand on a sensor, by name.
    async fn rules_on_sensor(
        &self,
        sensor: Uuid,
        after: Option<String>,
        size: PageSize,
    ) -> Result<Page<SensorRule, String>>;

    /// How a rule stands on the sensors.
    async fn sensors_with_rule(
        &self,
        rule: &str,
        mode: Option<&str>,
        after: Option<Uuid>,
        size: PageSize,
    ) -> Result<Page<SensorRule, Uuid>>;
}
