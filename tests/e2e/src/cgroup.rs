//! A cgroup of the test's own: the only place where a test lets a policy act.

use crate::scratch::unique;
use crate::wait;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A fresh cgroup2 folder. At the end whatever still runs in it is killed, and
/// it is removed.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

/// The first cgroup2 mount.
pub fn mount_point() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    mounts
        .lines()
        .find_map(|line| {
            let mut words = line.split(' ');
            let (point, kind) = (words.nth(1)?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(point))
        })
        .context("cgroup2 is not mounted")
}

impl Cgroup {
    /// Makes one under the root.
    pub fn new() -> Result<Cgroup> {
        let path = mount_point()?.join(format!("picket-test-{}", unique()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Cgroup { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process into it.
    pub fn add(&self, pid: u32) -> Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("cannot move process {pid} to {}", self.path.display()))
    }

    /// The processes in it.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let text = fs::read_to_string(self.path.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    fn remove(&self) -> Result<()> {
        fs::write(self.path.join("cgroup.kill"), "1")?;
        wait::until("an empty cgroup", || {
            Ok(fs::remove_dir(&self.path).is_ok().then_some(()))
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}
