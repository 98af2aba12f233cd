//! What all simulated sensors share.

use crate::line;
use anyhow::{Context, Result};
use picket_proto::bundle::{PublicKey, TrustedKeys};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// A sensor that has joined.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    pub host: String,
    pub key: Vec<u8>,
    pub certificate: Vec<u8>,
}

/// A fleet that has joined, as a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Joined {
    pub authority: Vec<u8>,
    pub bundle_key: String,
    /// When its first certificate ends, microseconds since the epoch.
    pub expires_us: i64,
    pub sensors: Vec<Identity>,
}

impl Joined {
    /// The one in that file; none where there is none.
    pub fn load(file: &Path) -> Result<Option<Joined>> {
        if !file.exists() {
            return Ok(None);
        }
        let text = std::fs::read(file)?;
        let joined = serde_json::from_slice(&text);
        joined
            .map(Some)
            .with_context(|| format!("{}: remove its folder", file.display()))
    }

    pub fn save(&self, file: &Path) -> Result<()> {
        Ok(std::fs::write(file, serde_json::to_vec(self)?)?)
    }
}

/// What a sensor has to say to the measurement.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// The server said Welcome.
    Welcomed(Instant),
    /// A bundle was verified and is in force.
    Applied(u64, Instant),
    /// So many findings are acknowledged.
    Stored(usize, Instant),
}

/// Counted over all sensors.
#[derive(Debug, Default)]
pub struct Counters {
    pub connected: AtomicUsize,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Streams that ended, once they had begun.
    pub ended: AtomicU64,
    /// Findings or bundles that were refused.
    pub refused: AtomicU64,
}

impl Counters {
    pub fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// The server as sensors know it, and what they are told to do.
pub struct World {
    pub server: SocketAddr,
    pub roots: Arc<rustls::RootCertStore>,
    pub trusted: TrustedKeys,
    pub counters: Counters,
    pub events: mpsc::UnboundedSender<Event>,
    /// Findings that each sensor is to have delivered.
    pub findings: watch::Sender<usize>,
}

impl World {
    pub fn new(
        server: SocketAddr,
        joined: &Joined,
    ) -> Result<(Arc<World>, mpsc::UnboundedReceiver<Event>)> {
        let (events, told) = mpsc::unbounded_channel();
        let world = World {
            server,
            roots: line::roots(&joined.authority)?,
            trusted: TrustedKeys::new([PublicKey::parse(&joined.bundle_key)?]),
            counters: Counters::default(),
            events,
            findings: watch::Sender::new(0),
        };
        Ok((Arc::new(world), told))
    }
}
