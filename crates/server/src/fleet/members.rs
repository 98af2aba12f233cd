//! Whose bundles a sensor takes: its scope, which is the set of its projects.

use super::keys::hex;
use crate::intake::ProjectBook;
use picket_store::{Labels, Uuid};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The scope of sensors that are in no project. No project can have this name's `:`.
const NOWHERE: &str = "fleet:";
/// A longer scope's name is a digest.
const MAX_SCOPE: usize = 200;

/// What a sensor is a member of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Membership {
    /// Whose bundles it takes.
    pub scope: String,
    /// Its projects' names, sorted.
    pub projects: Vec<String>,
    /// Its projects' ids.
    pub ids: BTreeSet<Uuid>,
}

impl Membership {
    /// Of a sensor with that host name and these labels.
    pub fn of(book: &ProjectBook, host: &str, labels: &Labels) -> Membership {
        let mut projects: Vec<(Uuid, &str)> = book.of_sensor(host, labels);
        projects.sort_unstable_by_key(|(_, name)| *name);
        let ids = projects.iter().map(|(id, _)| *id).collect();
        let projects: Vec<String> = projects
            .iter()
            .map(|(_, name)| (*name).to_owned())
            .collect();
        Membership {
            scope: scope(&projects),
            projects,
            ids,
        }
    }
}

/// The name of a set of projects.
fn scope(projects: &[String]) -> String {
    if projects.is_empty() {
        return NOWHERE.to_owned();
    }
    let plain = projects.join("+");
    // A plus in a name could make two sets look alike.
    let clear = projects.iter().all(|name| !name.contains(['+', ':']));
    if clear && plain.len() <= MAX_SCOPE {
        return plain;
    }
    let mut hash = Sha256::new();
    for project in projects {
        hash.update((project.len() as u64).to_be_bytes());
        hash.update(project.as_bytes());
    }
    format!("projects:{}", hex(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> String {
        scope(
            &names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_scope_tells_its_projects() {
        assert_eq!(named(&[]), "fleet:");
        assert_eq!(named(&["payments"]), "payments");
        assert_eq!(named(&["payments", "web"]), "payments+web");
    }

    #[test]
    fn two_sets_are_never_one_scope() {
        assert_ne!(named(&["a+b"]), named(&["a", "b"]));
        assert_ne!(named(&["fleet:"]), named(&[]));
        let long = "x".repeat(150);
        let scope = named(&[&long, "y", &"z".repeat(150)]);
        assert!(scope.len() <= MAX_SCOPE, "{scope}");
    }
}
