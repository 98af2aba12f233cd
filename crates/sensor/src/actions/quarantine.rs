//! Taking a file out of everybody's reach, and putting it back.
//!
//! The file is opened first, by a path without links, and hashed: it is that very file
//! that goes, or none. It keeps its content and loses its mode; what runs from it goes
//! on running (kill it too).

use super::carry::{Note, Undo};
use super::digest::sha256;
use picket_proto::order::FileRef;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Uid, fchmod, fchown,
    fstat, openat, openat2, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A file that was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    /// Where it was.
    path: String,
    /// Where it lies.
    kept: PathBuf,
    mode: u32,
    uid: u32,
    gid: u32,
}

fn failed(what: &str, why: impl std::fmt::Display) -> String {
    format!("{what}: {why}")
}

/// The folder of a path, without following a link on the way, and the file's name.
fn place(path: &str) -> Result<(OwnedFd, &str), String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = if folder.is_empty() { "/" } else { folder };
    let opened = openat2(
        CWD,
        folder,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    );
    let opened = opened.map_err(|why| match why {
        Errno::LOOP => format!("{folder}: there is a link on the way; name the file itself"),
        why => failed(folder, why),
    })?;
    Ok((opened, name))
}

/// Takes it into the folder, under the order's id.
pub(super) fn take(
    folder: &Path,
    id: &str,
    path: &str,
    wanted: &FileRef,
    note: Note<'_>,
) -> Result<Value, String> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|why| failed("the quarantine", why))?;
    let kept = folder.join(id);
    if kept.exists() {
        // It was taken, and the sensor ended before it could say so.
        return Ok(json!({"path": path, "kept": kept.display().to_string()}));
    }
    let (parent, name) = place(path)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&parent, name, flags, Mode::empty()).map_err(|why| failed(path, why))?;
    let stat = fstat(&file).map_err(|why| failed(path, why))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(format!("{path}: it is no regular file"));
    }
    let file = File::from(file);
    let copy = file.try_clone().map_err(|why| failed(path, why))?;
    let sha256 = sha256(copy).map_err(|why| failed(path, why))?;
    let changed = u64::try_from(stat.st_mtime)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(stat.st_mtime_nsec);
    let same = wanted.sha256.as_ref().is_none_or(|one| *one == sha256)
        && wanted.inode.is_none_or(|one| one == stat.st_ino)
        && wanted.mtime_ns.is_none_or(|one| one == changed);
    if !same {
        return Err(format!(
            "{path}: it is another file by now (sha256 {sha256}): left alone"
        ));
    }
    let taken = Taken {
        path: path.to_owned(),
        kept: kept.clone(),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
    };
    note(Undo::Quarantine(taken)).map_err(|why| failed("the journal", why))?;
    away(&parent, name, &file, &kept).map_err(|why| failed(path, why))?;
    Ok(json!({"path": path, "sha256": sha256, "kept": kept.display().to_string()}))
}

/// Moves the file that is open; if another has its name by now, that one stays.
fn away(parent: &OwnedFd, name: &str, file: &File, kept: &Path) -> io::Result<()> {
    let wanted = fstat(file)?;
    match renameat_with(parent, name, CWD, kept, RenameFlags::NOREPLACE) {
        Ok(()) => {
            let moved = statat(CWD, kept, AtFlags::SYMLINK_NOFOLLOW)?;
            if (moved.st_dev, moved.st_ino) != (wanted.st_dev, wanted.st_ino) {
                // Somebody was faster: what was moved goes back to where it was.
                renameat_with(CWD, kept, parent, name, RenameFlags::NOREPLACE)?;
                return Err(io::Error::other("it was replaced meanwhile: left alone"));
            }
            fchmod(file, Mode::empty())?;
        }
        // On another file system: copied, and then taken out.
        Err(Errno::XDEV) => {
            let pending = kept.with_extension("new");
            let mut copy = File::create(&pending)?;
            fchmod(&copy, Mode::empty())?;
            let mut source = file.try_clone()?;
            io::Seek::rewind(&mut source)?;
            io::copy(&mut source, &mut copy)?;
            copy.sync_all()?;
            let now = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if (now.st_dev, now.st_ino) != (wanted.st_dev, wanted.st_ino) {
                fs::remove_file(&pending)?;
                return Err(io::Error::other("it was replaced meanwhile: left alone"));
            }
            fs::rename(&pending, kept)?;
            unlinkat(parent, name, AtFlags::empty())?;
        }
        Err(why) => return Err(why.into()),
    }
    if let Some(folder) = kept.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Puts it back where it was, as it was, unless something else is there.
pub(super) fn put_back(taken: &Taken) -> Result<(), String> {
    let (parent, name) = place(&taken.path)?;
    let told = |why: io::Error| failed(&taken.path, why);
    if !taken.kept.exists() && statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        // Put back before, and the sensor ended before it could say so.
        return Ok(());
    }
    let file = File::open(&taken.kept).map_err(told)?;
    match renameat_with(CWD, &taken.kept, &parent, name, RenameFlags::NOREPLACE) {
        Ok(()) => as_it_was(&file, taken).map_err(told),
        Err(Errno::EXIST) => Err(format!(
            "{}: something else is there by now; the file stays in {}",
            taken.path,
            taken.kept.display()
        )),
        Err(Errno::XDEV) => copied_back(&file, &parent, name, taken).map_err(told),
        Err(why) => Err(told(why.into())),
    }
}

fn copied_back(mut file: &File, parent: &OwnedFd, name: &str, taken: &Taken) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut copy = File::from(openat(parent, name, flags, Mode::empty())?);
    io::copy(&mut file, &mut copy)?;
    as_it_was(&copy, taken)?;
    copy.sync_all()?;
    fs::remove_file(&taken.kept)
}

fn as_it_was(file: impl AsFd, taken: &Taken) -> io::Result<()> {
    fchown(
        &file,
        Some(Uid::from_raw(taken.uid)),
        Some(Gid::from_raw(taken.gid)),
    )?;
    // After the owner: that takes set-user-id bits away.
    fchmod(&file, Mode::from_raw_mode(taken.mode))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Stage {
        folder: tempfile::TempDir,
    }

    impl Stage {
        fn new() -> Stage {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("bad"), "evil").unwrap();
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(folder.path().join("bad"), mode).unwrap();
            Stage { folder }
        }

        fn path(&self, name: &str) -> PathBuf {
            // What /tmp itself stands behind is not the test's.
            let folder = self.folder.path().canonicalize().unwrap();
            folder.join(name)
        }

        fn take(&self, name: &str, content: &str) -> Result<Option<Undo>, String> {
            let path = self.path(name).display().to_string();
            let wanted = FileRef {
                sha256: Some(sha256(content.as_bytes()).unwrap()),
                inode: None,
                mtime_ns: None,
            };
            let mut noted = None;
            let mut note = |undo| {
                noted = Some(undo);
                Ok(())
            };
            take(
                &self.path("quarantine"),
                "order-1",
                &path,
                &wanted,
                &mut note,
            )?;
            Ok(noted)
        }
    }

    #[test]
    fn a_file_goes_and_comes_back_as_it_was() {
        let stage = Stage::new();
        let noted = stage.take("bad", "evil").unwrap();
        assert!(!stage.path("bad").exists());
        let kept = stage.path("quarantine/order-1");
        assert_eq!(
            fs::metadata(&kept).unwrap().permissions().mode() & 0o7777,
            0
        );
        // Ordered again, by a sensor that ended before it said so.
        assert_eq!(stage.take("bad", "evil"), Ok(None));
        let Some(Undo::Quarantine(taken)) = noted else {
            panic!("no undo");
        };
        fs::write(stage.path("bad"), "another").unwrap();
        assert!(put_back(&taken).unwrap_err().contains("something else"));
        fs::remove_file(stage.path("bad")).unwrap();
        put_back(&taken).unwrap();
        put_back(&taken).unwrap();
        assert_eq!(fs::read_to_string(stage.path("bad")).unwrap(), "evil");
        let mode = fs::metadata(stage.path("bad"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o755);
    }

    #[test]
    fn an_executable_is_known_by_inode_and_time() {
        use std::os::unix::fs::MetadataExt;
        let stage = Stage::new();
        let path = stage.path("bad").display().to_string();
        let known = fs::metadata(&path).unwrap();
        let mtime = known.mtime() as u64 * 1_000_000_000 + known.mtime_nsec() as u64;
        let mut file = FileRef {
            sha256: None,
            inode: Some(known.ino()),
            mtime_ns: Some(mtime + 1),
        };
        let take = |file: &FileRef| {
            let folder = stage.path("quarantine");
            take(&folder, "order-2", &path, file, &mut |_| Ok(()))
        };
        assert!(take(&file).unwrap_err().contains("another file"));
        file.mtime_ns = Some(mtime);
        take(&file).unwrap();
        assert!(!stage.path("bad").exists());
    }

    #[test]
    fn links_and_other_files_are_left_alone() {
        let stage = Stage::new();
        let changed = stage.take("bad", "something else").unwrap_err();
        assert!(changed.contains("another file"), "{changed}");
        symlink(stage.path("bad"), stage.path("link")).unwrap();
        assert!(stage.take("link", "evil").is_err());
        fs::create_dir(stage.path("real")).unwrap();
        fs::write(stage.path("real/bad"), "evil").unwrap();
        symlink(stage.path("real"), stage.path("way")).unwrap();
        let refused = stage.take("way/bad", "evil").unwrap_err();
        assert!(refused.contains("link on the way"), "{refused}");
        assert!(stage.path("real/bad").exists() && stage.path("bad").exists());
    }
}
