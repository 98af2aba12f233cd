//! Finding cgroup2, and a directory's place in it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// linux/magic.h
const CGROUP2_SUPER_MAGIC: libc::c_long = 0x6367_7270;
/// The id of the root of every cgroup hierarchy.
const ROOT_ID: u64 = 1;

/// The first cgroup2 mount; hybrid hosts have it beside the v1 controllers'.
pub(crate) fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        // fstab(5) writes a space as \040; nobody mounts cgroup2 there.
        (fields.next()? == "cgroup2").then(|| PathBuf::from(point))
    })
}

/// A cgroup as the kernel programs know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// `kernfs_node.id`, which is the directory's inode number.
    pub(crate) id: u64,
    /// How many levels below the root.
    pub(crate) level: u64,
}

/// The place of the cgroup2 directory `path`.
pub(crate) fn place(path: &Path) -> Result<Place, String> {
    let read = |path: &Path| fs::metadata(path).map_err(|error| error.to_string());
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    let id = read(&path)?.ino();
    let mut level = 0;
    let mut at = path.as_path();
    loop {
        if !is_cgroup2(at).map_err(|error| error.to_string())? {
            return Err(if level == 0 {
                "it is not a cgroup2 directory".into()
            } else {
                "its cgroup2 mount shows only a part of the tree (a cgroup namespace?): run outside of it".into()
            });
        }
        if read(at)?.ino() == ROOT_ID {
            return Ok(Place { id, level });
        }
        level += 1;
        at = at.parent().ok_or("it is not below a cgroup2 root")?;
    }
}

fn is_cgroup2(path: &Path) -> io::Result<bool> {
    let directory = File::open(path)?;
    let mut status = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open and the buffer is large enough for what
    // the call writes.
    if unsafe { libc::fstatfs(directory.as_raw_fd(), status.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled the buffer.
    Ok(unsafe { status.assume_init() }.f_type == CGROUP2_SUPER_MAGIC)
}
