//! Containers, by the cgroup and namespaces of their processes.

mod runtime;

use hashbrown::HashMap;
use picket_model::Datum;
use picket_model::event::Container;
use picket_model::record::Task;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Containers remembered; the oldest leaves.
const CAPACITY: usize = 4_096;

/// Finds a process's container. What its runtime wrote about it (image, pod) is
/// read once per container.
#[derive(Debug)]
pub struct Containers {
    /// The host's own namespaces; none in a replay.
    host_mount_namespace: Option<u32>,
    /// `/`, or none when the runtimes' files must not be asked (replay).
    root: Option<PathBuf>,
    known: HashMap<Box<str>, Arc<Container>>,
    order: VecDeque<Box<str>>,
}

impl Containers {
    /// On a live host.
    pub fn live(host_mount_namespace: Option<u32>) -> Containers {
        Containers {
            host_mount_namespace,
            root: Some(PathBuf::from("/")),
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// In a replay, where the runtimes' files of this host would say nothing
    /// of the recorded one.
    pub fn replayed(host_mount_namespace: Option<u32>) -> Containers {
        Containers {
            root: None,
            ..Containers::live(host_mount_namespace)
        }
    }

    /// The container of a task in that cgroup.
    pub fn of(&mut self, cgroup: Option<&str>, task: &Task) -> Option<Arc<Container>> {
        let cgroup = cgroup?;
        let uid = container_uid(cgroup).or_else(|| self.plain_runc(cgroup, task))?;
        if let Some(container) = self.known.get(uid) {
            return Some(container.clone());
        }
        let container = Arc::new(match &self.root {
            Some(root) => runtime::describe(root, uid),
            None => bare(uid),
        });
        self.known.insert(uid.into(), container.clone());
        self.order.push_back(uid.into());
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        Some(container)
    }

    /// A bare runc or systemd-nspawn container has a name of its maker's choice:
    /// it is told by a mount namespace of its own and a cgroup below the root
    /// that is not a systemd unit's (services with PrivateTmp have a mount
    /// namespace too).
    fn plain_runc<'c>(&self, cgroup: &'c str, task: &Task) -> Option<&'c str> {
        let host = self.host_mount_namespace?;
        if task.mount_namespace == host || task.mount_namespace == 0 {
            return None;
        }
        let last = cgroup.rsplit('/').next().filter(|last| !last.is_empty())?;
        let unit = [".service", ".scope", ".slice", ".socket", ".mount"];
        (!unit.iter().any(|suffix| last.ends_with(suffix))).then_some(last)
    }
}

/// The container id in a cgroup path: the last component that holds 64 hex
/// digits, as docker, containerd, CRI-O, podman and Kubernetes make them
/// (`/docker/ID`, `docker-ID.scope`, `cri-containerd-ID.scope`, `libpod-ID.scope`,
/// `/kubepods/.../ID`).
pub fn container_uid(cgroup: &str) -> Option<&str> {
    const DIGITS: usize = 64;
    cgroup.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let part = part.rsplit(['-', ':']).next().unwrap_or(part);
        (part.len() == DIGITS && part.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(part)
    })
}

/// Shown where nothing is known but the id.
fn bare(uid: &str) -> Container {
    Container {
        uid: Datum::Known(uid.into()),
        image_name: Datum::Unknown,
        privileged: Datum::Unknown,
        k8s_namespace: Datum::Absent,
        k8s_pod: Datum::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_as_the_runtimes_write_them() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for cgroup in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"
            ),
            format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{id}"),
            format!("/machine.slice/libpod-{id}.scope/container"),
        ] {
            assert_eq!(container_uid(&cgroup), Some(id), "{cgroup}");
        }
        assert_eq!(container_uid("/system.slice/ssh.service"), None);
        assert_eq!(container_uid("/"), None);
    }

    #[test]
    fn a_bare_runc_container_is_told_by_its_mount_namespace() {
        let mut containers = Containers::replayed(Some(7));
        let task = |mount_namespace| Task {
            mount_namespace,
            ..Task::default()
        };
        let uid = |container: Option<Arc<Container>>| container.map(|c| c.uid.clone());
        let cgroup: Box<str> = "/my-box".into();
        let service: Box<str> = "/system.slice/redis.service".into();
        assert_eq!(
            uid(containers.of(Some(&*cgroup), &task(8))),
            Some(Datum::Known("my-box".into()))
        );
        assert_eq!(uid(containers.of(Some(&*cgroup), &task(7))), None);
        assert_eq!(uid(containers.of(Some(&*service), &task(8))), None);
        assert_eq!(uid(containers.of(None, &task(8))), None);
    }
}
