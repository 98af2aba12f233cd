//! Ways to open, make, rename, delete a file and to change its mode.

use super::Way;
use crate::look::Look::{Created, Deleted, Opened, Remoded, Renamed, Truncated};

const OPEN: (&str, &str) = ("Opening files", "file.open");
const CREATE: (&str, &str) = ("Creating files", "file.create");
const RENAME: (&str, &str) = ("Renaming files", "file.rename");
const DELETE: (&str, &str) = ("Deleting files", "file.delete");
const CHMOD: (&str, &str) = ("Changing modes", "file.chmod");

pub(super) fn ways() -> Vec<Way> {
    let mut ways = open();
    ways.extend(create());
    ways.extend(rename());
    ways.extend(delete());
    ways.extend(chmod());
    ways
}

fn open() -> Vec<Way> {
    let way = |name, act| Way::new(OPEN, name, act, Opened);
    let cut = |name, act| Way::new(OPEN, name, act, Truncated);
    vec![
        way("open", "open {file} r"),
        cut("open, O_TRUNC", "open {file} wt"),
        way("openat", "openat {file} r"),
        way("openat2", "openat2 {file} rw"),
        way("open by a second thread", "open {file} r").in_thread(),
        way("open by a bare name", "open {name} r").relative(),
        way("open through ..", "open {detour} r"),
        way("open through a symbolic link", "open {symlink} r"),
        way("open through /proc/self/fd", "reopen {file} r").in_steps(),
        way("open, 32-bit system call", "old open {file} r"),
        way("open_by_handle_at", "open-handle {file} r {folder}"),
        way("io_uring openat", "uring-openat {file} r"),
        way(
            "io_uring openat, submitted by the kernel's thread",
            "uring-openat {file} r",
        )
        .polled(),
        way("io_uring openat2", "uring-openat2 {file} r"),
        way("open on an overlay", "open {overlay}/file r"),
        cut("open on an overlay, O_TRUNC", "open {overlay}/file wt"),
        way("a hard link under another name", "open {hardlink} r"),
        cut("truncate, without opening it", "truncate {file}"),
    ]
}

fn create() -> Vec<Way> {
    let way = |name, act| Way::new(CREATE, name, act, Created);
    vec![
        way("creat", "creat {new}"),
        way("open, O_CREAT", "open {new} wc"),
        way("openat, O_CREAT, O_EXCL", "openat {new} wce"),
        way("openat2, O_CREAT", "openat2 {new} wc"),
        way("open by a second thread", "open {new} wc").in_thread(),
        way("open by a bare name", "open new wc").relative(),
        way(
            "open through a dangling symbolic link",
            "open {dangling} wc",
        ),
        way("creat, 32-bit system call", "old creat {new}"),
        way("io_uring openat, O_CREAT", "uring-openat {new} wc"),
        way(
            "io_uring openat2, O_CREAT, submitted by the kernel's thread",
            "uring-openat2 {new} wc",
        )
        .polled(),
        way("mknod", "mknod {new}"),
        way("mknodat", "mknodat {new}"),
        way("O_TMPFILE, linkat", "tmpfile {elsewhere} {new}"),
        way("a hard link to another file", "link {source} {new}"),
        way("io_uring linkat", "uring-linkat {source} {new}"),
        way("a symbolic link", "symlink {source} {new}"),
    ]
}

fn rename() -> Vec<Way> {
    let way = |name, act| Way::new(RENAME, name, act, Renamed);
    vec![
        way("rename", "rename {file} {new}"),
        way("renameat", "renameat {file} {new}"),
        way("renameat2, RENAME_NOREPLACE", "renameat2 {file} {new}"),
        way("renameat2, RENAME_EXCHANGE", "exchange {source} {file}"),
        way("rename by a second thread", "rename {file} {new}").in_thread(),
        way("rename by bare names", "rename {name} new").relative(),
        way("rename through ..", "rename {file} {detour-new}"),
        way(
            "rename through a symbolic link to the folder",
            "rename {file} {shortcut}/new",
        ),
        way("rename, 32-bit system call", "old rename {file} {new}"),
        way("io_uring renameat", "uring-renameat {file} {new}"),
        way(
            "io_uring renameat, submitted by the kernel's thread",
            "uring-renameat {file} {new}",
        )
        .polled(),
    ]
}

fn delete() -> Vec<Way> {
    let way = |name, act| Way::new(DELETE, name, act, Deleted);
    vec![
        way("unlink", "unlink {file}"),
        way("unlinkat", "unlinkat {file}"),
        way("unlink by a second thread", "unlink {file}").in_thread(),
        way("unlink by a bare name", "unlink {name}").relative(),
        way("unlink through ..", "unlink {detour}"),
        way(
            "unlink through a symbolic link to the folder",
            "unlink {shortcut}/{name}",
        ),
        way("unlink, 32-bit system call", "old unlink {file}"),
        way("io_uring unlinkat", "uring-unlinkat {file}"),
        way(
            "io_uring unlinkat, submitted by the kernel's thread",
            "uring-unlinkat {file}",
        )
        .polled(),
        way("rename to another folder", "rename {file} {away}"),
    ]
}

fn chmod() -> Vec<Way> {
    let way = |name, act| Way::new(CHMOD, name, act, Remoded);
    vec![
        way("chmod", "chmod {file} 4711"),
        way("fchmod", "fchmod {file} 4711"),
        way("fchmodat", "fchmodat {file} 4711"),
        way("fchmodat2", "fchmodat2 {file} 4711"),
        way("fchmodat2, AT_EMPTY_PATH", "fchmod-path {file} 4711"),
        way("chmod by a second thread", "chmod {file} 4711").in_thread(),
        way("chmod by a bare name", "chmod {name} 4711").relative(),
        way("chmod through ..", "chmod {detour} 4711"),
        way("chmod through a symbolic link", "chmod {symlink} 4711"),
        way("chmod through /proc/self/fd", "chmod-fd {file} 4711"),
        way("chmod, 32-bit system call", "old chmod {file} 4711"),
    ]
}
