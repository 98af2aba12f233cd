//! The protected set: processes no action may touch, whatever a rule says.

use picket_engine::kernel::Protection;
use picket_model::process::Process;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// The folders in which distributions install the daemons below. All belong to
/// root; a file of the same name elsewhere is not protected.
const FOLDERS: &[&str] = &[
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/lib/openssh",
    "/usr/libexec",
    "/usr/libexec/openssh",
    "/usr/libexec/podman",
    "/usr/lib/podman",
    "/opt/bin",
];

/// What keeps a host reachable and its containers alive.
const DAEMONS: &[&str] = &[
    "init",
    "sshd",
    "sshd-session",
    "sshd-auth",
    "containerd",
    "containerd-shim",
    "containerd-shim-runc-v1",
    "containerd-shim-runc-v2",
    "dockerd",
    "docker-init",
    "runc",
    "crun",
    "crio",
    "conmon",
    "kubelet",
    "k3s",
    "rke2",
];

/// systemd's own daemons.
const SYSTEMD: &str = "/usr/lib/systemd/";

/// Container runtimes that execute a copy of themselves from memory.
const RUNTIMES: &[&str] = &["runc", "crun"];

/// What the path of such a copy is.
const COPIES: &[&str] = &[
    "memfd:runc_cloned:/proc/self/exe",
    "memfd:crun_cloned:/proc/self/exe",
];

/// One entry a person added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protected {
    /// The executable at this absolute path.
    Path(Box<str>),
    /// Any process of this name, wherever its file is: wide, so only on request.
    Name(Box<str>),
}

impl Protected {
    /// A path if it starts with `/`, else a name.
    pub fn parse(text: &str) -> Protected {
        if text.starts_with('/') {
            Protected::Path(text.into())
        } else {
            Protected::Name(text.into())
        }
    }
}

/// The protected set of one host.
#[derive(Debug, Clone)]
pub struct ProtectedSet {
    sensor_pid: u32,
    host_mount_namespace: Option<u32>,
    added: Vec<Protected>,
}

impl ProtectedSet {
    /// The built-in set, the sensor itself and what a person added.
    /// `host_mount_namespace` is the inode number of the sensor's own.
    pub fn new(
        sensor_pid: u32,
        host_mount_namespace: Option<u32>,
        added: Vec<Protected>,
    ) -> ProtectedSet {
        ProtectedSet {
            sensor_pid,
            host_mount_namespace,
            added,
        }
    }

    /// The entry that protects the process, if one does.
    pub fn check(&self, process: &Process) -> Option<Arc<str>> {
        match process.key.pid {
            1 => return Some("pid 1".into()),
            pid if pid == self.sensor_pid => return Some("the sensor".into()),
            _ => {}
        }
        let image = &process.image;
        if let Some(name) = image.name.known()
            && self
                .added
                .iter()
                .any(|entry| matches!(entry, Protected::Name(wanted) if wanted == name))
        {
            return Some((&**name).into());
        }
        let path = image.path.known()?;
        if is_copy(process) {
            return Some("container runtime".into());
        }
        (self.names(path) && self.is_hosts_file(process, path)).then(|| (&**path).into())
    }

    /// The entry that protects the process by what it runs by now: between the
    /// event and the action it may have become something else, as a wrapper does
    /// that ends in `exec /usr/sbin/sshd`.
    pub fn check_now(&self, pid: u32) -> Option<Arc<str>> {
        let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let path = path.to_str()?;
        if !self.names(path) {
            return None;
        }
        let mine = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        let host = std::fs::metadata(path).ok()?;
        (mine.dev() == host.dev() && mine.ino() == host.ino()).then(|| path.into())
    }

    /// Whether it is a container runtime, at its place on the host or as the copy
    /// of itself that it executes to set a container up.
    pub fn is_runtime(&self, process: &Process) -> bool {
        let runtime = |path: &str| runtimes().any(|own| own == path);
        let path = process.image.path.known();
        is_copy(process)
            || path.is_some_and(|path| runtime(path) && self.is_hosts_file(process, path))
    }

    /// The set as the kernel takes it, with the identities that its files have now.
    pub fn protection(&self) -> Protection {
        let added = |path: bool| {
            self.added.iter().filter_map(move |entry| match entry {
                Protected::Path(own) if path => Some(own.to_string()),
                Protected::Name(own) if !path => Some(own.to_string()),
                _ => None,
            })
        };
        let paths: Vec<String> = in_folders(DAEMONS).chain(added(true)).collect();
        let identities = paths
            .iter()
            .filter_map(|path| std::fs::metadata(path).ok())
            .map(|file| (kernel_device(file.dev()), file.ino()))
            .collect();
        Protection {
            paths,
            folders: vec![SYSTEMD.to_owned()],
            names: added(false).collect(),
            runtimes: runtimes().collect(),
            copies: COPIES.iter().map(|copy| (*copy).to_owned()).collect(),
            mount_namespace: self.host_mount_namespace,
            identities,
        }
    }

    fn names(&self, path: &str) -> bool {
        let daemon = path
            .rsplit_once('/')
            .is_some_and(|(folder, name)| FOLDERS.contains(&folder) && DAEMONS.contains(&name));
        daemon
            || path.starts_with(SYSTEMD)
            || self
                .added
                .iter()
                .any(|entry| matches!(entry, Protected::Path(wanted) if **wanted == *path))
    }

    /// A path counts in the host's own mount namespace only; in another one
    /// (`unshare -m` and a bind mount put any file at /usr/sbin/sshd) the file
    /// must be the host's.
    fn is_hosts_file(&self, process: &Process, path: &str) -> bool {
        let image = &process.image;
        if self.host_mount_namespace.is_some()
            && image.mount_namespace.known().copied() == self.host_mount_namespace
        {
            return true;
        }
        let (Some(file), Ok(host)) = (image.file.known(), std::fs::metadata(path)) else {
            return false;
        };
        host.ino() == file.inode && kernel_device(host.dev()) == file.device
    }
}

/// A runtime's copy of itself, which sets a container up from inside. Anybody can
/// give a memfd that name: it counts where a runtime executed it.
fn is_copy(process: &Process) -> bool {
    let path = process.image.path.known();
    process.image.by_runtime && path.is_some_and(|path| COPIES.contains(&&**path))
}

fn runtimes() -> impl Iterator<Item = String> {
    in_folders(RUNTIMES)
}

fn in_folders(names: &[&str]) -> impl Iterator<Item = String> {
    FOLDERS
        .iter()
        .flat_map(move |folder| names.iter().map(move |name| format!("{folder}/{name}")))
}

/// stat(2) gives major and minor apart; the kernel keeps major << 20 | minor.
fn kernel_device(device: u64) -> u32 {
    rustix::fs::major(device) << 20 | rustix::fs::minor(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::datum::Datum;
    use picket_model::process::{FileIdentity, Image, Parent, ProcessKey};

    const HOST: u32 = 100;

    fn process(pid: u32, path: &str, mount_namespace: u32) -> Process {
        let image = Image {
            name: Datum::Known(path.rsplit('/').next().unwrap().into()),
            path: Datum::Known(path.into()),
            mount_namespace: Datum::Known(mount_namespace),
            file: Datum::Known(FileIdentity::default()),
            ..Image::default()
        };
        Process::new(
            ProcessKey { pid, start_ns: 1 },
            Arc::new(image),
            Parent::None,
        )
    }

    fn set(added: &[&str]) -> ProtectedSet {
        ProtectedSet::new(
            4_242,
            Some(HOST),
            added.iter().map(|text| Protected::parse(text)).collect(),
        )
    }

    #[test]
    fn daemons_are_protected_by_where_they_are_and_not_by_what_they_are_called() {
        let set = set(&[]);
        assert!(set.check(&process(1, "/tmp/x", 7)).is_some());
        assert!(set.check(&process(4_242, "/tmp/x", HOST)).is_some());
        for path in [
            "/usr/sbin/sshd",
            "/usr/bin/containerd",
            "/usr/lib/systemd/systemd-journald",
        ] {
            assert!(set.check(&process(9, path, HOST)).is_some(), "{path}");
        }
        for path in [
            "/tmp/sshd",
            "/usr/sbin/sshdx",
            "/usr/bin/bash",
            "/tmp/usr/lib/systemd/x",
        ] {
            assert!(set.check(&process(9, path, HOST)).is_none(), "{path}");
        }
    }

    #[test]
    fn a_bind_mount_in_another_namespace_does_not_protect() {
        assert!(
            set(&[])
                .check(&process(9, "/usr/sbin/sshd", HOST + 1))
                .is_none()
        );
    }

    #[test]
    fn what_a_process_has_become_counts_too() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let path = std::fs::read_link(format!("/proc/{}/exe", child.id())).unwrap();
        let added = set(&[path.to_str().unwrap()]);
        assert!(added.check_now(child.id()).is_some());
        assert!(set(&[]).check_now(child.id()).is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn people_add_paths_and_names() {
        let set = set(&["/opt/db/postgres", "backupd"]);
        assert!(set.check(&process(9, "/opt/db/postgres", HOST)).is_some());
        assert!(set.check(&process(9, "/anywhere/backupd", HOST)).is_some());
        assert!(set.check(&process(9, "/tmp/postgres", HOST)).is_none());
    }

    #[test]
    fn a_runtime_setting_a_container_up_is_protected_and_its_workload_is_not() {
        let set = set(&[]);
        let runc = process(8, "/usr/bin/runc", HOST);
        assert!(set.is_runtime(&runc));
        let init = |path: &str, by_runtime| {
            let mut process = process(9, path, HOST + 1);
            Arc::make_mut(&mut process.image).by_runtime = by_runtime;
            process
        };
        let copy = "memfd:runc_cloned:/proc/self/exe";
        assert!(set.check(&init(copy, true)).is_some() && set.is_runtime(&init(copy, true)));
        assert!(set.check(&init("/bin/busybox", true)).is_none());
        // What the container itself puts into memory under that name.
        assert!(set.check(&init(copy, false)).is_none());
    }

    #[test]
    fn the_kernel_is_told_the_same_set() {
        let protection = set(&["/opt/db/postgres", "backupd"]).protection();
        let has = |paths: &[String], path: &str| paths.iter().any(|own| own == path);
        assert!(has(&protection.paths, "/usr/sbin/sshd"));
        assert!(has(&protection.paths, "/opt/db/postgres"));
        assert!(has(&protection.names, "backupd") && !has(&protection.paths, "backupd"));
        assert_eq!(protection.mount_namespace, Some(HOST));
    }
}
