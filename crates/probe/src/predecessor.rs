//! A run of the sensor that has ended, and whose programs have not.

use crate::counters::{self, Drops};
use crate::pins::{DROPS, LINKS, RINGS, SETTINGS};
use crate::probes::{number, read_error};
use crate::ring::Ring;
use crate::{ProbeError, decode, wire};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Its programs, still in force, and what they wrote since.
#[derive(Debug)]
pub struct Predecessor {
    folder: PathBuf,
    /// None if they are not as this version makes them.
    rings: Option<[Ring; 2]>,
    settings: Option<MapHandle>,
    drops: Option<MapHandle>,
}

impl Predecessor {
    pub(crate) fn open(folder: PathBuf) -> Predecessor {
        let pinned = |name: &str| MapHandle::from_pinned_path(folder.join(name)).ok();
        let ring = |name| open_ring(&folder.join(name));
        let rings = match RINGS.map(ring) {
            [Some(events), Some(decided)] => Some([events, decided]),
            _ => None,
        };
        Predecessor {
            rings,
            settings: pinned(SETTINGS).filter(|map| map.value_size() == 8),
            drops: pinned(DROPS).filter(|map| map.value_size() == 8),
            folder,
        }
    }

    /// Whether what its programs wrote can be read.
    pub fn is_readable(&self) -> bool {
        self.rings.is_some()
    }

    /// Hands what they wrote to `each`, in order. Returns how much there was.
    pub fn consume(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        let mut each = |bytes: &[u8]| each(decode::one_record(bytes));
        let rings = self.rings.iter_mut().flatten();
        rings.map(|ring| ring.consume(&mut each)).sum()
    }

    /// Whether somebody has lifted every block.
    pub fn is_disarmed(&self) -> bool {
        let value = self.settings.as_ref().and_then(|settings| {
            settings
                .lookup(&wire::SET_DISARMED.to_ne_bytes(), MapFlags::ANY)
                .ok()?
        });
        value.is_some_and(|value| number(&value) != 0)
    }

    /// Records that found no room in its rings, since they were loaded.
    pub fn drops(&self) -> Result<Drops, ProbeError> {
        match &self.drops {
            Some(drops) => counters::sums(drops, &wire::KIND_NAMES).map(Drops),
            None => Ok(Drops::default()),
        }
    }

    /// Takes its programs out of the kernel. When this returns, they are not asked
    /// any more.
    pub fn retire(self) -> Result<(), ProbeError> {
        // A link whose last reference is its pin is taken apart by a kernel thread,
        // some time after the pin is gone (bpf_link_put): an event until then would
        // be judged twice. Closing a descriptor takes it apart at once.
        let held = hold_links(&self.folder.join(LINKS));
        let remove = |path: &Path| match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(read_error("the programs of the run before", error.into()))
            }
            _ => Ok(()),
        };
        // What is cut short leaves nothing in force that has no ring.
        remove(&self.folder.join(LINKS))?;
        drop(held);
        remove(&self.folder)
    }
}

fn hold_links(folder: &Path) -> Vec<Link> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Link::open(entry.path()).ok())
        .collect()
}

fn open_ring(path: &Path) -> Option<Ring> {
    let map = MapHandle::from_pinned_path(path).ok()?;
    if map.map_type() != libbpf_rs::MapType::RingBuf {
        return None;
    }
    Ring::map(map.as_fd(), map.max_entries() as usize).ok()
}
