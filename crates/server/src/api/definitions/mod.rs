//! Rules, policies and lists, as versioned resources.
//!
//! Each body is a rule file: a rule's holds one rule, a policy's one policy, both with
//! the lists and macros of their own; a list's holds lists and macros for all.

mod library;
mod requests;
mod resource;
mod routes;
mod scopes;
mod write;

pub(super) use library::{Entry, Whole, judge, rule_among, settled};
pub(super) use requests::{DeleteQuery, StageName, VersionView, file_name};
pub(super) use resource::{all, etag, named, unified, version_page};
pub(super) use routes::{lists, policies, policy_stage, rule_stage, rules};
pub(super) use scopes::check_scopes;
pub(super) use write::{authorise, check_name, entries, first_stage, project_ids, stored_entries};
