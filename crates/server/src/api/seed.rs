//! The rules that come with Picket, in a store of their own (`picket up`).
//!
//! A new version of Picket brings new ones, and better texts of those that stand. What
//! people made of them stays: a text that somebody wrote, a rule that somebody deleted,
//! the stage that somebody set. What may block keeps its text, as it is evidence for
//! that text that it was armed on.

use super::apply::{Key, RuleFile, rank, take_apart};
use super::definitions::{Entry, check_scopes, entries, first_stage, judge};
use super::problem::Problem;
use super::values::now;
use picket_store::{Cause, Content, Definition, Kind, PageSize, Stage, Store, StoreError, limits};

/// Who brings them.
const BUILTIN: &str = "system:builtin";

/// What became of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seeded {
    /// New here, to simulate.
    pub new: usize,
    /// With another text than before.
    pub changed: usize,
    /// May block, and so keep the text that they were armed with; by name.
    pub held: Vec<String>,
}

/// Brings the store's rules up to what comes with this program, given as files. Nothing
/// is written if people's own rules, lists or macros do not go with it.
pub async fn seed(store: &dyn Store, files: Vec<(String, String)>) -> Result<Seeded, String> {
    let files: Vec<RuleFile> = files
        .into_iter()
        .map(|(name, text)| RuleFile::new(name, text))
        .collect();
    let given = take_apart(&files).map_err(|problem| problem.to_string())?;
    let mut given: Vec<(Key, String)> = given.into_iter().collect();
    given.sort_by_key(|((kind, _), _)| rank(*kind));
    let told = |error: StoreError| error.to_string();
    let mut seeded = Seeded::default();
    let mut steps = Vec::new();
    for (key, body) in given {
        steps.extend(step(store, key, body, &mut seeded).await.map_err(told)?);
    }
    judge_all(store, &steps)
        .await
        .map_err(|problem| problem.to_string())?;
    let cause = Cause {
        actor: BUILTIN.to_owned(),
        reason: format!("comes with Picket {}", env!("CARGO_PKG_VERSION")),
        at: now(),
    };
    for step in steps {
        step.write(store, &cause).await.map_err(told)?;
    }
    Ok(seeded)
}

/// What is written.
enum Step {
    New((Kind, String), String),
    Changed(Definition, String),
}

async fn step(
    store: &dyn Store,
    (kind, name): Key,
    body: String,
    seeded: &mut Seeded,
) -> Result<Option<Step>, StoreError> {
    let known = match store.definition_named(kind, &name).await {
        Ok(known) => known,
        // Somebody took it out.
        Err(StoreError::NotFound { .. }) if store.was_defined(kind, &name).await? => {
            return Ok(None);
        }
        Err(StoreError::NotFound { .. }) => {
            seeded.new += 1;
            return Ok(Some(Step::New((kind, name), body)));
        }
        Err(error) => return Err(error),
    };
    if known.content.body == body || !is_ours(store, &known).await? {
        return Ok(None);
    }
    if kind != Kind::List && known.content.stage == Stage::Block {
        seeded.held.push(name);
        return Ok(None);
    }
    seeded.changed += 1;
    Ok(Some(Step::Changed(known, body)))
}

/// Whether the whole is right with the steps, and nothing that is armed says something
/// else (by a list or macro).
async fn judge_all(store: &dyn Store, steps: &[Step]) -> Result<(), Problem> {
    let stored = crate::stored::definitions(store, None).await?;
    let before: Vec<Entry> = entries(&stored);
    let mut after = before.clone();
    for step in steps {
        match step {
            Step::New((kind, name), body) => after.push(Entry {
                kind: *kind,
                name: name.clone(),
                stage: seeded_stage(*kind),
                body: body.clone(),
                projects: Vec::new(),
                bound: None,
            }),
            Step::Changed(known, body) => after
                .iter_mut()
                .filter(|entry| entry.kind == known.kind && entry.name == known.name)
                .for_each(|entry| entry.body.clone_from(body)),
        }
    }
    let judgement = judge(before.clone(), after.clone()).await?;
    if let Some(file) = judgement.armed.first() {
        let why = format!("{file} may block, and would block something else than it does");
        return Err(Problem::invalid(why));
    }
    check_scopes(before, after).await
}

const fn seeded_stage(kind: Kind) -> Stage {
    match kind {
        Kind::List => first_stage(kind),
        _ => Stage::Simulate,
    }
}

impl Step {
    async fn write(self, store: &dyn Store, cause: &Cause) -> Result<(), StoreError> {
        match self {
            Step::Changed(known, body) => {
                let content = Content {
                    body,
                    ..known.content
                };
                store
                    .redefine(known.id, known.version, content, cause)
                    .await?;
            }
            Step::New((kind, name), body) => {
                let content = |stage| Content {
                    stage,
                    body: body.clone(),
                    projects: Vec::new(),
                };
                let (first, goal) = (first_stage(kind), seeded_stage(kind));
                let made = store.define(kind, &name, content(first), cause).await?;
                if first != goal {
                    store
                        .redefine(made.id, made.version, content(goal), cause)
                        .await?;
                }
            }
        }
        Ok(())
    }
}

/// Whether the text is one that came with Picket, whoever moved its stage since.
async fn is_ours(store: &dyn Store, known: &Definition) -> Result<bool, StoreError> {
    if known.actor == BUILTIN {
        return Ok(true);
    }
    let size = PageSize::new(limits::MAX_PAGE)?;
    let mut before = None;
    loop {
        let page = store.versions(known.id, before, size).await?;
        if let Some(ours) = page.items.iter().find(|one| one.actor == BUILTIN) {
            return Ok(ours.content.body == known.content.body);
        }
        before = page.next;
        if before.is_none() {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_store::testing::scratch;
    use picket_store::{Location, open};

    fn pack(condition: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let rule = |id: &str, condition: &str| {
            let text = format!(
                "rules:\n  - id: {id}\n    title: t\n    event: process.exec\n    severity: \
                 high\n    condition: '{condition}'\n"
            );
            (format!("{id}.yaml"), text)
        };
        let kept = [("deleted", condition), ("moved", condition)];
        let all = kept.into_iter().chain([("armed", condition)]);
        all.chain([("written", condition), ("plain", condition)])
            .chain(more.iter().copied())
            .map(|(id, condition)| rule(id, condition))
            .collect()
    }

    fn by_hand() -> Cause {
        Cause {
            actor: "user:ann".to_owned(),
            reason: "test".to_owned(),
            at: now(),
        }
    }

    #[tokio::test]
    async fn a_new_version_brings_its_rules_and_leaves_what_people_made() {
        let folder = scratch("picket-seed-").unwrap();
        let store = open(&Location::Sqlite(folder.path().join("picket.db")))
            .await
            .unwrap();
        let old = "process.pid > 1";
        let seeded = seed(&*store, pack(old, &[])).await.unwrap();
        assert_eq!(seeded.new, 5);
        let read = async |name: &str| store.definition_named(Kind::Rule, name).await.unwrap();
        let change = async |name: &str, stage, body: &str| {
            let known = read(name).await;
            let content = Content {
                stage,
                body: known.content.body.replace(old, body),
                ..known.content
            };
            store
                .redefine(known.id, known.version, content, &by_hand())
                .await
                .unwrap();
        };
        let deleted = read("deleted").await;
        store
            .undefine(deleted.id, deleted.version, &by_hand())
            .await
            .unwrap();
        change("moved", Stage::Draft, old).await;
        change("armed", Stage::Block, old).await;
        change("written", Stage::Simulate, "process.pid > 7").await;

        let new = "process.pid > 2";
        let next = pack(new, &[("fresh", new)]);
        let seeded = seed(&*store, next.clone()).await.unwrap();
        let expected = Seeded {
            new: 1,
            changed: 2,
            held: vec!["armed".to_owned()],
        };
        assert_eq!(seeded, expected);
        for (name, stage, says) in [
            ("moved", Stage::Draft, new),
            ("armed", Stage::Block, old),
            ("written", Stage::Simulate, "process.pid > 7"),
            ("plain", Stage::Simulate, new),
            ("fresh", Stage::Simulate, new),
        ] {
            let content = read(name).await.content;
            assert_eq!(content.stage, stage, "{name}");
            assert!(content.body.contains(says), "{name}: {}", content.body);
        }
        let gone = store.definition_named(Kind::Rule, "deleted").await;
        assert!(matches!(gone, Err(StoreError::NotFound { .. })));
        // Once more changes nothing.
        let again = seed(&*store, next).await.unwrap();
        assert_eq!((again.new, again.changed), (0, 0));
    }

    #[tokio::test]
    async fn what_does_not_go_with_peoples_own_is_not_begun() {
        let folder = scratch("picket-seed-").unwrap();
        let store = open(&Location::Sqlite(folder.path().join("picket.db")))
            .await
            .unwrap();
        let list = |text: &str| ("shells.yaml".to_owned(), format!("lists: {{{text}}}\n"));
        seed(&*store, vec![list("a: [\"sh\"]")]).await.unwrap();
        let known = store.definition_named(Kind::List, "shells").await.unwrap();
        let content = Content {
            body: "lists: {mine: [\"sh\"]}\n".to_owned(),
            ..known.content
        };
        store
            .redefine(known.id, known.version, content, &by_hand())
            .await
            .unwrap();
        // The list is somebody's now, and the new rule's is not in it.
        let mut next = pack("process.name in $b", &[]);
        next.push(list("b: [\"sh\"]"));
        let why = seed(&*store, next).await.unwrap_err();
        assert!(why.contains("b"), "{why}");
        let none = store.definition_named(Kind::Rule, "plain").await;
        assert!(matches!(none, Err(StoreError::NotFound { .. })));
    }
}
