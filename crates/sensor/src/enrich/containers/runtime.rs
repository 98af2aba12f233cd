//! What a container runtime wrote down about a container.
//!
//! Files of this host's own daemons, read with limits: a container cannot
//! write them, but a missing or odd one must not cost more than its answer.

use picket_model::Datum;
use picket_model::event::Container;
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// A larger file is not read.
const MAX_FILE: u64 = 1 << 20;

/// The container as its runtime describes it.
pub(super) fn describe(root: &Path, uid: &str) -> Container {
    // The id becomes part of a path: nothing but a plain name may.
    if uid.contains(['/', '\0']) || uid.starts_with('.') {
        return super::bare(uid);
    }
    docker(root, uid)
        .or_else(|| containerd(root, uid))
        .or_else(|| runc(root, uid))
        .unwrap_or_else(|| super::bare(uid))
}

/// `/var/lib/docker/containers/ID/{config.v2,hostconfig}.json`.
fn docker(root: &Path, uid: &str) -> Option<Container> {
    let folder = root.join("var/lib/docker/containers").join(uid);
    let config = read(&folder.join("config.v2.json"))?;
    let host = read(&folder.join("hostconfig.json"));
    let labels = config.pointer("/Config/Labels");
    Some(Container {
        image_name: text(config.pointer("/Config/Image")),
        privileged: host
            .as_ref()
            .and_then(|host| host.get("Privileged")?.as_bool())
            .map_or(Datum::Unknown, Datum::Known),
        k8s_namespace: label(labels, "io.kubernetes.pod.namespace"),
        k8s_pod: label(labels, "io.kubernetes.pod.name"),
        ..super::bare(uid)
    })
}

/// The OCI bundle that containerd keeps per task, with the CRI's annotations.
fn containerd(root: &Path, uid: &str) -> Option<Container> {
    const NAMESPACES: [&str; 3] = ["k8s.io", "moby", "default"];
    let tasks = root.join("run/containerd/io.containerd.runtime.v2.task");
    let spec = NAMESPACES
        .iter()
        .find_map(|namespace| read(&tasks.join(namespace).join(uid).join("config.json")))?;
    Some(from_spec(&spec, uid))
}

/// `/run/runc/ID/state.json`, for containers made by runc alone.
fn runc(root: &Path, uid: &str) -> Option<Container> {
    let state = read(&root.join("run/runc").join(uid).join("state.json"))?;
    let capabilities = state.pointer("/config/capabilities/Bounding");
    Some(Container {
        image_name: Datum::Absent,
        privileged: privileged(capabilities),
        ..super::bare(uid)
    })
}

fn from_spec(spec: &Value, uid: &str) -> Container {
    let annotations = spec.get("annotations");
    Container {
        image_name: match label(annotations, "io.kubernetes.cri.image-name") {
            Datum::Absent => Datum::Unknown,
            name => name,
        },
        privileged: privileged(spec.pointer("/process/capabilities/bounding")),
        k8s_namespace: label(annotations, "io.kubernetes.cri.sandbox-namespace"),
        k8s_pod: label(annotations, "io.kubernetes.cri.sandbox-name"),
        ..super::bare(uid)
    }
}

/// Runtimes do not write down `--privileged`; it shows in the bounding set,
/// where no default has CAP_SYS_ADMIN beside CAP_SYS_MODULE.
fn privileged(bounding: Option<&Value>) -> Datum<bool> {
    match bounding.and_then(Value::as_array) {
        Some(names) => Datum::Known(
            ["CAP_SYS_ADMIN", "CAP_SYS_MODULE"]
                .iter()
                .all(|wanted| names.iter().any(|name| name.as_str() == Some(wanted))),
        ),
        None => Datum::Unknown,
    }
}

fn read(path: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > MAX_FILE {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

fn text(value: Option<&Value>) -> Datum<Box<str>> {
    value.and_then(Value::as_str).map(Box::from).into()
}

fn label(labels: Option<&Value>, name: &str) -> Datum<Box<str>> {
    text(labels.and_then(|labels| labels.get(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn docker_names_image_and_privilege() {
        let root = tempfile::tempdir().unwrap();
        let folder = format!("var/lib/docker/containers/{UID}");
        write(
            root.path(),
            &format!("{folder}/config.v2.json"),
            r#"{"Config":{"Image":"nginx:1.27"}}"#,
        );
        write(
            root.path(),
            &format!("{folder}/hostconfig.json"),
            r#"{"Privileged":true}"#,
        );
        let container = describe(root.path(), UID);
        assert_eq!(container.image_name, Datum::Known("nginx:1.27".into()));
        assert_eq!(container.privileged, Datum::Known(true));
    }

    #[test]
    fn containerd_names_the_pod() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{UID}/config.json"),
            r#"{"annotations":{"io.kubernetes.cri.image-name":"redis:7",
                "io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-name":"cart-1"},
                "process":{"capabilities":{"bounding":["CAP_CHOWN"]}}}"#,
        );
        let container = describe(root.path(), UID);
        assert_eq!(container.k8s_pod, Datum::Known("cart-1".into()));
        assert_eq!(container.k8s_namespace, Datum::Known("shop".into()));
        assert_eq!(container.privileged, Datum::Known(false));
    }

    #[test]
    fn odd_files_and_names_leave_the_rest_unknown() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &format!("var/lib/docker/containers/{UID}/config.v2.json"),
            "\0nonsense",
        );
        assert_eq!(describe(root.path(), UID), super::super::bare(UID));
        assert_eq!(
            describe(root.path(), "../../etc").image_name,
            Datum::Unknown
        );
    }
}
