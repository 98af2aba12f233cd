//! What the control plane keeps.
//!
//! ```text
//! server ─► Store: Access, AuditLog, Bundles, Definitions, Digest, Findings, Graph, Jobs, Sensors, …
//!             │  one implementation, in SQL that both databases understand
//!             ▼
//!           Backend ─┬─ sqlite     one file, one writer task, group commit
//!                    └─ postgres   several replicas, transactions, LISTEN/NOTIFY
//! ```
//!
//! A call that changes something returns after its commit: what was answered
//! stands. `docs/store.md` has the tables, the guarantees, and how to add a migration.

mod access;
mod audit;
mod basics;
mod bundles;
mod changes;
mod db;
mod definitions;
mod digest;
mod error;
mod evidence;
mod findings;
mod graph;
mod host_actions;
mod issues;
mod jobs;
mod join_tokens;
pub mod limits;
mod outputs;
mod page;
mod playbooks;
mod postgres;
mod saved_filters;
mod schema;
mod sensors;
mod sqlite;
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use access::{Access, ApiToken, Grant, LogIn, NewApiToken, Subject, User};
pub use audit::{AuditEntry, AuditFilter, AuditLog, Deed, Verified};
pub use basics::{Cause, Labels, Micros, SecretHash, Uuid, new_id};
pub use bundles::{Bundle, Bundles, NewBundle, Rollout, RolloutState};
pub use changes::{Change, Changes};
pub use definitions::{Content, Definition, DefinitionFilter, Definitions, Kind, Stage};
pub use digest::{Digest, Digested, Digester, FindingWrites, IssueWrites, PendingFinding};
pub use error::{Result, StoreError};
pub use evidence::{
    Evidence, EvidenceFilter, EvidenceOf, EvidencePage, JudgedFinding, PolicyFinding,
};
pub use findings::{
    Delivered, FindingColumns, FindingCursor, FindingFilter, FindingRow, Findings, Fingerprint,
    Keep, NewFinding, RuleRate, Tally,
};
pub use graph::{
    Direction, EdgeKind, Graph, GraphEdge, GraphNode, GraphPath, GraphPlace, GraphView,
    GraphWrites, Neighbour, NeighbourCursor, NeighbourFilter, Node, NodeCursor, NodeKind,
    NodeSearch, PathAnswer, Place, Radius, RadiusGroup, Sighting, Swept, Walk, kind_of_id, node_id,
};
pub use host_actions::{
    HostAction, HostActionAnswer, HostActionFilter, HostActionState, HostActions, NewHostAction,
};
pub use issues::{
    ChangeIssue, Issue, IssueChange, IssueCursor, IssueEvent, IssueFilter, IssueNote, IssueOpening,
    IssueStatus, Issues, OpenIssues, Rejection, check_labels,
};
pub use jobs::{BACK_OFF, DeadJob, Job, Jobs, MAX_BACK_OFF, NewJob};
pub use join_tokens::{JoinRefusal, JoinToken, JoinTokens, NewJoinToken};
pub use outputs::{ForOutput, Outputs, QueuedFinding};
pub use page::{Page, PageSize};
pub use playbooks::{Begun, NewRun, Playbooks, Run, RunFilter, RunState, RunStep};
pub use saved_filters::{Filtered, NewSavedFilter, SavedFilter, SavedFilters};
pub use sensors::{
    AppliedBundle, Certificate, Heartbeat, NewSensor, RuleStatus, Sensor, SensorFilter, SensorRule,
    Sensors,
};
pub use sqlite::backup::{snapshot as snapshot_sqlite, verify as verify_sqlite};
pub use store::{Location, Store, open};
