//! What stays in the kernel when the sensor is gone, below `/sys/fs/bpf`.
//!
//! ```text
//! /sys/fs/bpf/picket/INSTANCE/budgets          what policies have used, always
//!                             run-PID-TIME/    programs in force and their rings,
//!                                 links/...    if they are to outlive their sensor
//! ```

use crate::probes::{Probes, map, read_error};
use crate::{Predecessor, ProbeError};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the kernel keeps what is pinned.
const BPFFS: &str = "/sys/fs/bpf";
/// linux/magic.h
const BPF_FS_MAGIC: libc::c_long = 0xcafe_4a11;
/// Longer names of instances are refused.
const LONGEST_NAME: usize = 64;

/// Maps that a successor reads.
pub(crate) const RINGS: [&str; 2] = ["events", "decided"];
pub(crate) const DROPS: &str = "drops";
pub(crate) const SETTINGS: &str = "picket_settings";
/// The folder of links in a run's.
pub(crate) const LINKS: &str = "links";

/// One instance's folder, claimed by this process for as long as it lives.
#[derive(Debug)]
pub struct Pins {
    folder: PathBuf,
    /// Locked.
    _claim: File,
    run: PathBuf,
}

impl Pins {
    /// Claims the instance of that name; none if a running sensor has it. Mounts
    /// the BPF file system where it is not.
    pub fn claim(instance: &str) -> Result<Option<Pins>, ProbeError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if instance.is_empty() || instance.len() > LONGEST_NAME || !instance.chars().all(plain) {
            return Err(ProbeError::Missing {
                what: format!("a usable name in {instance:?}"),
                remedy: "name an instance with 1 to 64 letters, digits, - and _".into(),
            });
        }
        let root = Path::new(BPFFS);
        if !is_bpffs(root) {
            mount(root)?;
        }
        let picket = root.join("picket");
        let folder = picket.join(instance);
        own_folder(&picket)?;
        own_folder(&folder)?;
        let claim = File::open(&folder).map_err(|error| failed(&folder, error))?;
        // SAFETY: a call on a descriptor that is open.
        if unsafe { libc::flock(claim.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                _ => Err(failed(&folder, error)),
            };
        }
        // The kernel takes no dot in a name.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_nanos());
        let run = folder.join(format!("run-{}-{now}", std::process::id()));
        Ok(Some(Pins {
            folder,
            _claim: claim,
            run,
        }))
    }

    /// Where the budgets are; for [`ProbeConfig::budgets`](crate::ProbeConfig::budgets).
    pub fn budgets(&self) -> PathBuf {
        self.folder.join("budgets")
    }

    /// Programs of earlier runs that are in force still.
    pub fn predecessors(&self) -> Result<Vec<Predecessor>, ProbeError> {
        let entries = fs::read_dir(&self.folder).map_err(|error| failed(&self.folder, error))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(&self.folder, error))?.path();
            if path.is_dir() && path != self.run {
                found.push(Predecessor::open(path));
            }
        }
        Ok(found)
    }

    /// Takes away what nobody needs: empty folders, and the budgets if they are
    /// not `used`.
    pub fn tidy(self, used: bool) {
        if !used {
            let _ = fs::remove_file(self.budgets());
        }
        // Neither goes while something is in it.
        let _ = fs::remove_dir(&self.folder);
        let _ = self.folder.parent().map(fs::remove_dir);
    }
}

impl Probes {
    /// Makes the programs outlive this process: what they decide goes on, and the
    /// next run finds what they did in their rings.
    pub fn stay(&mut self, pins: &Pins) -> Result<(), ProbeError> {
        let links = pins.run.join(LINKS);
        own_folder(&pins.run)?;
        own_folder(&links)?;
        // Before the links: a run that is found has its rings.
        for name in [RINGS[0], RINGS[1], DROPS, SETTINGS] {
            let found = map(&self.object, name)?;
            libbpf_rs::MapHandle::try_from(&found)
                .and_then(|mut found| found.pin(pins.run.join(name)))
                .map_err(|error| read_error("the folder of what stays", error))?;
        }
        self.pin_links(&links)
    }
}

/// Whether a file system of that kind is mounted there.
fn is_bpffs(path: &Path) -> bool {
    let Ok(folder) = File::open(path) else {
        return false;
    };
    let mut status = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open and the buffer is large enough for what the
    // call writes; it is read only after the call has filled it.
    unsafe {
        libc::fstatfs(folder.as_raw_fd(), status.as_mut_ptr()) == 0
            && status.assume_init().f_type == BPF_FS_MAGIC
    }
}

fn mount(at: &Path) -> Result<(), ProbeError> {
    let target = std::ffi::CString::new(at.as_os_str().as_encoded_bytes()).unwrap_or_default();
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // SAFETY: all pointers are to strings that end in a NUL and live on.
    let done = unsafe {
        libc::mount(
            c"bpf".as_ptr(),
            target.as_ptr(),
            c"bpf".as_ptr(),
            flags,
            c"mode=0700".as_ptr().cast(),
        )
    };
    if done == 0 {
        return Ok(());
    }
    Err(ProbeError::Missing {
        what: format!("the BPF file system ({})", io::Error::last_os_error()),
        remedy: format!("mount -t bpf bpf {}", at.display()),
    })
}

/// Makes a folder for us alone, or finds one; the file system's root is open to
/// everybody on many hosts.
fn own_folder(path: &Path) -> Result<(), ProbeError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed(path, error));
        }
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(|error| failed(path, error))?;
    // SAFETY: geteuid has no preconditions.
    let mine = found.uid() == unsafe { libc::geteuid() };
    if found.is_dir() && mine && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(ProbeError::Missing {
        what: format!("a folder of our own at {}", path.display()),
        remedy: "what is there belongs to somebody else, or others may write to it: look at \
                 whose it is, and remove it"
            .into(),
    })
}

fn failed(path: &Path, error: io::Error) -> ProbeError {
    ProbeError::Missing {
        what: format!("{} ({error})", path.display()),
        remedy: format!("run as root, with {BPFFS} mounted and writable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "a/b", "a.b", "ä", &"x".repeat(65)] {
            assert!(Pins::claim(name).is_err(), "{name}");
        }
    }
}
