//! The loaded programs.

use crate::{Drops, Errors, ProbeConfig, ProbeError, Unavailable};
use picket_model::ClassSet;
use std::path::Path;
use std::time::Duration;

/// The loaded and attached programs; dropping it detaches them.
#[derive(Debug)]
pub struct Probes(());

impl Probes {
    /// Opens, loads and attaches the programs, fork, exec and exit first.
    /// Mounts nothing; what is missing is named in the error.
    pub fn load(config: &ProbeConfig) -> Result<Probes, ProbeError> {
        let _ = config;
        Err(ProbeError::Missing { what: "the loader".into(), remedy: "it is being written".into() })
    }

    /// What was asked for at load and is not seen on this kernel.
    pub fn unavailable(&self) -> &[Unavailable] {
        &[]
    }

    /// Hands a [`Running`](picket_model::record::Body::Running) record of every
    /// process on the host to `each`. Call it after [`load`](Probes::load) and
    /// before the first [`poll`](Probes::poll): what forks in between is in the
    /// ring buffer.
    pub fn running(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<(), ProbeError> {
        let _ = each;
        Ok(())
    }

    /// Hands waiting records to `each`, in order; waits for the first at most
    /// `timeout`. Returns how many there were.
    pub fn poll(&mut self, timeout: Duration, each: &mut dyn FnMut(&[u8])) -> Result<usize, ProbeError> {
        let _ = (timeout, each);
        Ok(0)
    }

    /// Sees exactly these classes from now on (and fork, exec and exit always);
    /// classes that stay have no gap. Returns what is not seen in full.
    pub fn set_classes(&mut self, classes: ClassSet) -> Result<Vec<Unavailable>, ProbeError> {
        let _ = classes;
        Ok(Vec::new())
    }

    /// Makes the members of this cgroup2 directory, and of those below it,
    /// [`in_scope`](picket_model::record::Task::in_scope); `None`: every process.
    pub fn set_scope(&mut self, scope: Option<&Path>) -> Result<(), ProbeError> {
        let _ = scope;
        Ok(())
    }

    /// Records of these classes wake the reader at once; others may wait a few
    /// milliseconds in a batch.
    pub fn set_urgent(&mut self, classes: ClassSet) -> Result<(), ProbeError> {
        let _ = classes;
        Ok(())
    }

    /// Records lost for want of room, since load.
    pub fn drops(&self) -> Result<Drops, ProbeError> {
        Ok(Drops::default())
    }

    /// Kernel helpers that failed, since load.
    pub fn errors(&self) -> Result<Errors, ProbeError> {
        Ok(Errors::default())
    }
}
