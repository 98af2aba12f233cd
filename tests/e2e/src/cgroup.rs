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
    /// Where its processes are counted, if that is done by version 1 here.
    counted: Option<PathBuf>,
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

/// Where version 1 counts processes.
fn pids_mount() -> Result<Option<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    Ok(mounts.lines().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let counts =
            words.get(2) == Some(&"cgroup") && words.get(3)?.split(',').any(|o| o == "pids");
        counts.then(|| words.get(1).map(PathBuf::from))?
    }))
}

impl Cgroup {
    /// Makes one under the root.
    pub fn new() -> Result<Cgroup> {
        let path = mount_point()?.join(format!("picket-test-{}", unique()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Cgroup {
            path,
            counted: None,
        })
    }

    /// Lets there be no more processes in it than that, where anything here counts them.
    pub fn most_processes(&mut self, most: usize) -> Result<()> {
        let root = mount_point()?;
        if fs::read_to_string(root.join("cgroup.controllers"))?.contains("pids") {
            fs::write(root.join("cgroup.subtree_control"), "+pids")?;
            return Ok(fs::write(self.path.join("pids.max"), most.to_string())?);
        }
        let name = self.path.file_name().context("a name")?;
        let Some(counted) = pids_mount()?.map(|root| root.join(name)) else {
            return Ok(());
        };
        fs::create_dir(&counted)?;
        let limited = fs::write(counted.join("pids.max"), most.to_string());
        self.counted = Some(counted);
        Ok(limited?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process into it.
    pub fn add(&self, pid: u32) -> Result<()> {
        for folder in self.counted.iter().chain([&self.path]) {
            fs::write(folder.join("cgroup.procs"), pid.to_string())
                .with_context(|| format!("cannot move process {pid} to {}", folder.display()))?;
        }
        Ok(())
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
        })?;
        match &self.counted {
            Some(counted) => Ok(fs::remove_dir(counted)?),
            None => Ok(()),
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}
