//! Whether every scope's sensors still get a bundle after a change.
//!
//! The whole may be right while a part of it is not: a rule that is sent to all may use
//! a macro that stands in a rule for one project only, or in a draft. What such sensors
//! get would have a hole, so they would get nothing new at all: that is refused here.
//!
//! Which scopes have to be looked at: what a definition may lack is wanted by one that
//! is for all (then it lacks in the scope of no project) or for some project (then in
//! the scope of that project alone). Where several projects meet, more is there, not
//! less. So each project by itself, and none, stand for all of their sets.

use super::library::Entry;
use crate::api::problem::Problem;
use crate::fleet::Library;
use picket_store::{Content, Definition, Kind, Uuid};
use std::collections::BTreeSet;

/// Refuses a change after which some scope has no bundle that had one.
pub(in crate::api) async fn check_scopes(
    before: Vec<Entry>,
    after: Vec<Entry>,
) -> Result<(), Problem> {
    if !after.iter().any(shares_from_afar) {
        return Ok(());
    }
    tokio::task::spawn_blocking(move || check_now(&before, &after))
        .await
        .map_err(Problem::internal)?
}

/// Whether others could use something of this that they do not get with it. Lists go to
/// all; what names neither key, in whatever style, holds neither.
fn shares_from_afar(entry: &Entry) -> bool {
    entry.kind != Kind::List && (entry.body.contains("macros") || entry.body.contains("lists"))
}

fn check_now(before: &[Entry], after: &[Entry]) -> Result<(), Problem> {
    // What is bound to a rule goes where the rule goes.
    let apart = |entries: &[Entry]| -> Vec<Entry> {
        let own = entries.iter().filter(|entry| entry.kind != Kind::Exception);
        own.cloned().collect()
    };
    let (before, after) = (&apart(before)[..], &apart(after)[..]);
    let (was, is) = (library(before), library(after));
    let projects = after.iter().flat_map(|entry| &entry.projects);
    let alone: BTreeSet<Uuid> = projects.copied().collect();
    let scopes = alone.into_iter().map(|project| BTreeSet::from([project]));
    for scope in std::iter::once(BTreeSet::new()).chain(scopes) {
        let Err(broken) = is.compose(&scope) else {
            continue;
        };
        if was.compose(&scope).is_ok() {
            return Err(Problem::invalid(format!(
                "some sensors would get no bundle any more, as something that they are to get uses \
                 a list or macro that they do not get (of a draft, or of another project): put it \
                 into a list. {broken}"
            )));
        }
    }
    Ok(())
}

fn library(entries: &[Entry]) -> Library {
    let definition = |entry: &Entry| Definition {
        id: Uuid::nil(),
        kind: entry.kind,
        name: entry.name.clone(),
        version: 1,
        content: Content {
            stage: entry.stage,
            body: entry.body.clone(),
            projects: entry.projects.clone(),
        },
        actor: String::new(),
        reason: String::new(),
        changed_at: 0,
        deleted: false,
    };
    Library::of(entries.iter().map(definition).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_store::{Stage, new_id};

    fn rule(name: &str, stage: Stage, projects: &[Uuid], rest: &str) -> Entry {
        Entry {
            kind: Kind::Rule,
            name: name.to_owned(),
            stage,
            body: format!(
                "rules: [{{id: {name}, title: t, event: process.exec, severity: high, condition: \
                 'shell'}}]\n{rest}"
            ),
            projects: projects.to_vec(),
            bound: None,
        }
    }

    const MACRO: &str = "macros: {shell: 'process.name == \"sh\"'}\n";

    #[test]
    fn what_is_used_must_be_where_it_is_used() {
        let (web, pay) = (new_id(), new_id());
        let check = |before: &[Entry], after: &[Entry]| check_now(before, after).is_ok();
        let lender = |stage, projects: &[Uuid]| rule("lender", stage, projects, MACRO);
        let user = |projects: &[Uuid]| rule("user", Stage::Simulate, projects, "");
        let good = [lender(Stage::Simulate, &[]), user(&[web])];
        assert!(check(&[], &good));
        // Taken out of what is sent.
        let draft = [lender(Stage::Draft, &[]), user(&[web])];
        assert!(!check(&good, &draft));
        // Given to fewer.
        assert!(!check(
            &good,
            &[lender(Stage::Simulate, &[pay]), user(&[web])]
        ));
        assert!(!check(&[], &[lender(Stage::Simulate, &[web]), user(&[])]));
        assert!(!check(
            &[],
            &[lender(Stage::Simulate, &[web]), user(&[web, pay])]
        ));
        assert!(check(
            &[],
            &[lender(Stage::Simulate, &[web, pay]), user(&[web])]
        ));
        // What was so before does not stop other changes.
        assert!(check(&draft, &draft));
    }
}
