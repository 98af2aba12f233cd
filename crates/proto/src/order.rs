//! Signed orders: something to be done on one host, once.
//!
//! ```text
//! server: Order ─► sign ─► envelope ─ ─ any carrier ─ ─► sensor: verify ─► admit ─► carry out
//! ```
//! They are carried as bundles are (DSSE, ed25519, the same keys), as a payload type
//! of their own, which is signed too: a bundle's signature is none for an order.

mod action;

pub use action::{Action, FileRef, KINDS, Kind, ProcessRef, network};

use crate::bundle::{SigningKey, TrustedKeys, Unverified, seal, unseal};
use serde::{Deserialize, Serialize};

/// An envelope larger than this is not read.
pub const MAX_BYTES: usize = 64 << 10;
/// The longest lease, seconds: a week.
pub const MAX_LEASE_SECONDS: u32 = 7 * 24 * 3600;
/// How long an order may be under way at most, seconds: a day. So long at least a
/// sensor remembers what it did.
pub const MAX_LIFE_SECONDS: u32 = 24 * 3600;
/// A server's clock may be ahead of a sensor's by so much, microseconds.
const SKEW_US: i64 = 300 * 1_000_000;
const MAX_ID: usize = 64;

const PAYLOAD_TYPE: &str = "application/vnd.picket.order.v1+json";

/// Something to be done on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its own, never used again.
    pub id: String,
    /// For whom: the sensor's id.
    pub sensor: String,
    /// When it was given, microseconds since the epoch.
    pub issued_us: i64,
    /// From when on it is too late to begin with it, microseconds since the epoch.
    pub expires_us: i64,
    /// For how long it holds, seconds; then the sensor takes it back by itself.
    /// Left out: until somebody orders that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u32>,
    /// What.
    pub action: Action,
}

/// An order that a trusted key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOrder(Order);

/// Why an order is not carried out, well signed as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// For another host.
    #[error("the order is for sensor {found}; this one is {own}")]
    Sensor {
        /// For whom.
        found: String,
        /// Whom it reached.
        own: String,
    },
    /// Too late.
    #[error("the order is {} s past its end", late_us / 1_000_000)]
    Expired {
        /// By how many microseconds.
        late_us: i64,
    },
    /// Given in times to come: one of the clocks is wrong.
    #[error("the order was given {} s from now: one of the clocks is wrong", early_us / 1_000_000)]
    Early {
        /// By how many microseconds.
        early_us: i64,
    },
    /// Not on this host.
    #[error(
        "this sensor does not carry out {0}: it takes what its host allows it (picket sensor --actions)"
    )]
    NotAllowed(Kind),
}

impl SignedOrder {
    /// What was signed.
    pub fn order(&self) -> &Order {
        &self.0
    }

    /// Whether this sensor may carry it out now. That it was not carried out before is
    /// for its journal to say.
    pub fn admit(self, sensor: &str, allowed: &[Kind], now_us: i64) -> Result<Order, Refusal> {
        let order = self.0;
        if order.sensor != sensor {
            return Err(Refusal::Sensor {
                found: order.sensor,
                own: sensor.to_owned(),
            });
        }
        if now_us >= order.expires_us {
            return Err(Refusal::Expired {
                late_us: now_us.saturating_sub(order.expires_us),
            });
        }
        if order.issued_us.saturating_sub(now_us) > SKEW_US {
            return Err(Refusal::Early {
                early_us: order.issued_us.saturating_sub(now_us),
            });
        }
        // Whoever may do something may have it taken back.
        let kind = order.action.kind();
        match kind {
            Kind::Undo => Ok(order),
            kind if allowed.contains(&kind) => Ok(order),
            kind => Err(Refusal::NotAllowed(kind)),
        }
    }
}

impl Order {
    /// What holds for every order, whoever gave it.
    pub fn check(&self) -> Result<(), String> {
        // A sensor keeps a file under that name.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let good = |id: &str| !id.is_empty() && id.len() <= MAX_ID && id.chars().all(plain);
        if !good(&self.id) || !good(&self.sensor) {
            return Err(format!("ids have from 1 to {MAX_ID} letters, digits and -"));
        }
        let life = self.expires_us.saturating_sub(self.issued_us);
        if life <= 0 || life > i64::from(MAX_LIFE_SECONDS) * 1_000_000 {
            return Err(format!(
                "an order is good for more than 0 and at most {MAX_LIFE_SECONDS} s"
            ));
        }
        match (self.action.kind(), self.lease_seconds) {
            (Kind::IsolateHost, None) => {
                return Err("it needs a lease: a host is not cut off for ever".to_owned());
            }
            (Kind::IsolateHost | Kind::QuarantineFile, Some(lease))
                if lease == 0 || lease > MAX_LEASE_SECONDS =>
            {
                return Err(format!("a lease has from 1 to {MAX_LEASE_SECONDS} s"));
            }
            (Kind::KillTree | Kind::CollectForensics | Kind::Undo, Some(_)) => {
                return Err("it cannot have a lease: there is nothing to take back".to_owned());
            }
            _ => {}
        }
        self.action.check()
    }

    /// Its envelope.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, Unverified> {
        self.check().map_err(Unverified::Content)?;
        let payload =
            serde_json::to_vec(self).map_err(|error| Unverified::Content(error.to_string()))?;
        seal(PAYLOAD_TYPE, &payload, key)
    }
}

/// An order that one of the keys has signed.
pub fn verify(envelope: &[u8], trusted: &TrustedKeys) -> Result<SignedOrder, Unverified> {
    if envelope.len() > MAX_BYTES {
        return Err(Unverified::Form(format!(
            "{} bytes; an order has at most {MAX_BYTES}",
            envelope.len()
        )));
    }
    let (payload, _) = unseal(PAYLOAD_TYPE, envelope, trusted.keys())?;
    let order: Order =
        serde_json::from_slice(&payload).map_err(|error| Unverified::Content(error.to_string()))?;
    order.check().map_err(Unverified::Content)?;
    Ok(SignedOrder(order))
}

#[cfg(test)]
mod tests;
