//! The protected set: processes no action may touch, whatever a rule says.

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
#[derive(Debug)]
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
    pub fn check(&self, process: &Process, in_container: bool) -> Option<Arc<str>> {
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
        if in_container {
            return self.runtime_in_container(process);
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
        // stat(2) gives major and minor apart; the kernel keeps major << 20 | minor.
        let device = rustix::fs::major(host.dev()) << 20 | rustix::fs::minor(host.dev());
        host.ino() == file.inode && device == file.device
    }

    /// runc and crun set a container up from inside it, running a copy of
    /// themselves from memory; they are told by their protected creator.
    fn runtime_in_container(&self, process: &Process) -> Option<Arc<str>> {
        const COPIES: [&str; 2] = [
            "memfd:runc_cloned:/proc/self/exe",
            "memfd:crun_cloned:/proc/self/exe",
        ];
        let path = process.image.path.known()?;
        let creator = process.ancestors().next()?;
        let by_runtime = creator.image.path.known().is_some_and(|path| {
            COPIES.contains(&&**path) || (self.names(path) && self.is_hosts_file(creator, path))
        });
        (by_runtime && (COPIES.contains(&&**path) || self.is_runtime(process, path)))
            .then(|| "container runtime".into())
    }

    fn is_runtime(&self, process: &Process, path: &str) -> bool {
        (path.ends_with("/runc") || path.ends_with("/crun"))
            && self.names(path)
            && self.is_hosts_file(process, path)
    }
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
        assert!(set.check(&process(1, "/tmp/x", 7), true).is_some());
        assert!(set.check(&process(4_242, "/tmp/x", HOST), false).is_some());
        for path in [
            "/usr/sbin/sshd",
            "/usr/bin/containerd",
            "/usr/lib/systemd/systemd-journald",
        ] {
            assert!(
                set.check(&process(9, path, HOST), false).is_some(),
                "{path}"
            );
        }
        for path in [
            "/tmp/sshd",
            "/usr/sbin/sshdx",
            "/usr/bin/bash",
            "/tmp/usr/lib/systemd/x",
        ] {
            assert!(
                set.check(&process(9, path, HOST), false).is_none(),
                "{path}"
            );
        }
    }

    #[test]
    fn a_bind_mount_in_another_namespace_does_not_protect() {
        assert!(
            set(&[])
                .check(&process(9, "/usr/sbin/sshd", HOST + 1), false)
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
        assert!(
            set.check(&process(9, "/opt/db/postgres", HOST), false)
                .is_some()
        );
        assert!(
            set.check(&process(9, "/anywhere/backupd", HOST), false)
                .is_some()
        );
        assert!(
            set.check(&process(9, "/tmp/postgres", HOST), false)
                .is_none()
        );
    }

    #[test]
    fn a_runtime_setting_a_container_up_is_protected_and_its_workload_is_not() {
        let set = set(&[]);
        let runc = Arc::new(process(8, "/usr/bin/runc", HOST));
        let mut init = process(9, "memfd:runc_cloned:/proc/self/exe", HOST + 1);
        init.parent = Parent::Known(runc.clone());
        assert!(set.check(&init, true).is_some());
        let mut workload = process(9, "/bin/busybox", HOST + 1);
        workload.parent = Parent::Known(runc);
        assert!(set.check(&workload, true).is_none());
        init.parent = Parent::None;
        assert!(set.check(&init, true).is_none());
    }
}
