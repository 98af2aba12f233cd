//! Ways to a new image.

use super::Way;
use crate::look::Look::Started;

const EXEC: (&str, &str) = ("Programs", "process.exec");

pub(super) fn ways() -> Vec<Way> {
    let way = |name, act| Way::new(EXEC, name, act, Started);
    vec![
        way("execve", "exec {target} linger"),
        way("execve in a forked child", "spawn {target} linger").by_child(),
        way("vfork, execve", "vfork {target} linger")
            .by_child()
            .silent(),
        way("posix_spawn", "posix-spawn {target} linger").by_child(),
        way("execve by a second thread", "exec {target} linger").in_thread(),
        way("execve by a bare name", "exec {name} linger").relative(),
        way("execve through a symbolic link", "exec {symlink} linger"),
        way("execve through /proc/self/fd", "exec-fd {target} linger"),
        way("execve in a chroot", "chroot {folder} {name} linger"),
        way("execve, 32-bit system call", "old exec {target} linger"),
        way(
            "execveat from a folder's descriptor",
            "execveat {target} linger",
        ),
        way("execveat, AT_EMPTY_PATH", "fexec {target} linger"),
        way("execveat of a deleted file", "deleted {target} linger"),
        way("execveat of a memfd", "memfd {memfd} {cause} linger"),
        way("a script with #!", "exec {script}"),
        way("a hard link under another name", "exec {hardlink} linger"),
        way(
            "another mount of its folder",
            "bound {folder} {mount} {name} linger",
        ),
    ]
}
