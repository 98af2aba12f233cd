//! Steps that act on the host of the finding: the order that a step gives, and waiting
//! for its answer.

use super::about::About;
use super::format::HostCommand;
use super::http::Failure;
use crate::fleet::{ORDER_SECONDS, new_order};
use picket_proto::order::{Action, FileRef, ProcessRef};
use picket_store::{Cause, HostAction, HostActionState, Micros, Store, Uuid};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// What a step orders.
pub(super) struct HostOrder {
    sensor: Uuid,
    action: Action,
    lease_seconds: Option<u32>,
}

impl HostOrder {
    /// Of the finding that the run is about.
    pub(super) fn of(command: &HostCommand, about: &About) -> Result<HostOrder, Failure> {
        let (row, ocsf) = about
            .finding
            .as_ref()
            .ok_or_else(|| Failure::for_good("the finding is there no more, or there is none"))?;
        let evidence = ocsf.pointer("/evidences/0").unwrap_or(&Value::Null);
        // Of an exec it is the new image, else the one that acted.
        let process = evidence
            .get("process")
            .or_else(|| evidence.pointer("/actor/process"))
            .unwrap_or(&Value::Null);
        let (action, lease_seconds) = match command {
            HostCommand::KillTree {} => (
                Action::KillTree {
                    process: one(process)?,
                },
                None,
            ),
            HostCommand::CollectForensics {} => (
                Action::CollectForensics {
                    process: one(process)?,
                },
                None,
            ),
            HostCommand::QuarantineFile {} => (executable(evidence, process)?, None),
            HostCommand::IsolateHost { lease_seconds } => (
                Action::IsolateHost {
                    allow: Vec::new(),
                    dns: false,
                },
                Some(*lease_seconds),
            ),
        };
        Ok(HostOrder {
            sensor: row.sensor,
            action,
            lease_seconds,
        })
    }

    /// For people.
    pub(super) fn shown(&self) -> Value {
        serde_json::json!({
            "sensor": self.sensor.to_string(),
            "action": self.action,
            "lease_seconds": self.lease_seconds,
        })
    }

    /// Gives the order, and waits for a while for what comes of it. Given again, it is the
    /// same order.
    pub(super) async fn carry_out(
        &self,
        store: &dyn Store,
        key: &str,
        patience: Duration,
        cause: &Cause,
    ) -> Result<String, Failure> {
        let mut changes = store.changes();
        let at: Micros = cause.at;
        let (id, action) = (id_of(key), &self.action);
        let order = new_order(
            id,
            self.sensor,
            action,
            self.lease_seconds,
            ORDER_SECONDS,
            at,
        )
        .map_err(Failure::for_good)?;
        let until = tokio::time::Instant::now() + patience;
        let mut stands = store
            .order_action(order, cause)
            .await
            .map_err(super::steps::of_store)?;
        while stands.state.is_open() {
            let changed = tokio::time::timeout_at(until, changes.next()).await;
            if changed.is_err() {
                return Err(Failure::for_now(format!(
                    "ordered ({id}), and its sensor has not answered yet"
                )));
            }
            stands = store
                .host_action(id)
                .await
                .map_err(super::steps::of_store)?;
        }
        told(&stands)
    }
}

fn told(stands: &HostAction) -> Result<String, Failure> {
    let (id, why) = (stands.order.id, &stands.why);
    match stands.state {
        HostActionState::Done => Ok(format!("host action {id}: done")),
        HostActionState::Undone => Ok(format!("host action {id}: done, and taken back: {why}")),
        state => Err(Failure::for_good(format!(
            "host action {id}: {}: {why}",
            state.name()
        ))),
    }
}

/// The order's id, of what the step is known by: the same one at each attempt.
fn id_of(key: &str) -> Uuid {
    let digest = Sha256::digest(format!("host action {key}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // Random bytes by name (RFC 9562, version 8).
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

fn number(value: &Value, at: &str) -> Option<u64> {
    value.pointer(at).and_then(Value::as_u64)
}

fn one(process: &Value) -> Result<ProcessRef, Failure> {
    let pid = number(process, "/pid").and_then(|pid| pid.try_into().ok());
    let (Some(pid), Some(start_ns)) = (pid, number(process, "/ext/start_ns")) else {
        return Err(Failure::for_good(
            "the finding does not say which process, and since when it runs",
        ));
    };
    Ok(ProcessRef {
        pid,
        start_ns,
        boot_id: None,
    })
}

fn executable(evidence: &Value, process: &Value) -> Result<Action, Failure> {
    if evidence.pointer("/container/uid").is_some() {
        return Err(Failure::for_good(
            "the file is one of a container, whose paths are not the host's",
        ));
    }
    let path = process.pointer("/file/path").and_then(Value::as_str);
    let file = FileRef {
        sha256: None,
        inode: number(process, "/ext/inode"),
        mtime_ns: number(process, "/ext/mtime_ns"),
    };
    match path {
        Some(path) if file.inode.is_some() && file.mtime_ns.is_some() => {
            Ok(Action::QuarantineFile {
                path: path.to_owned(),
                file,
            })
        }
        _ => Err(Failure::for_good(
            "the finding does not say which file was executed",
        )),
    }
}
