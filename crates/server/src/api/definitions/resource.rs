//! Reading.

use super::requests::{DefinitionView, DiffQuery, DiffView, ListQuery, VersionView, file_name};
use crate::api::App;
use crate::api::problem::{Diagnostic, Problem};
use crate::api::projects::{Names, project_id};
use crate::api::values::{ETag, Page, PageQuery, Time, cursor, page_size, part, parts, single};
use crate::api::who::Who;
use crate::auth::Permission;
use picket_store::{Definition, DefinitionFilter, Kind, Uuid};
use similar::TextDiff;
use std::time::Duration;

/// How long a diff may be looked for; after that it is a coarser one.
const DIFF: Duration = Duration::from_millis(500);

/// Everything of a kind, or of every kind.
pub(in crate::api) async fn all(app: &App, kind: Option<Kind>) -> Result<Vec<Definition>, Problem> {
    Ok(crate::stored::definitions(&*app.store, kind).await?)
}

/// The one of this name.
pub(in crate::api) async fn named(
    app: &App,
    kind: Kind,
    name: &str,
) -> Result<Definition, Problem> {
    Ok(app.store.definition_named(kind, name).await?)
}

/// Its entity tag.
pub(in crate::api) fn etag(definition: &Definition) -> ETag {
    ETag {
        id: definition.id,
        version: definition.version,
    }
}

/// The one of this name, if it may be seen.
pub(super) async fn seen(
    app: &App,
    who: &Who,
    kind: Kind,
    name: &str,
) -> Result<Definition, Problem> {
    who.needs(Permission::Read)?;
    let found = named(app, kind, name).await?;
    if who.rights.may_see(&found.content.projects) {
        Ok(found)
    } else {
        Err(Problem::not_found(kind.name(), name))
    }
}

pub(super) fn view(
    definition: Definition,
    names: &Names,
    diagnostics: Vec<Diagnostic>,
) -> DefinitionView {
    let content = definition.content;
    DefinitionView {
        id: definition.id.to_string(),
        kind: definition.kind.name().to_owned(),
        name: definition.name,
        version: definition.version,
        stage: (definition.kind != Kind::List).then(|| content.stage.into()),
        projects: content.projects.iter().map(|id| names.of(*id)).collect(),
        body: content.body,
        changed_by: definition.actor,
        reason: definition.reason,
        changed_at: Time(definition.changed_at),
        diagnostics,
    }
}

/// A page of them.
pub(super) async fn list(
    app: &App,
    who: &Who,
    kind: Kind,
    query: ListQuery,
) -> Result<Page<DefinitionView>, Problem> {
    let scope = who.needs(Permission::Read)?;
    let projects = match &query.project {
        None => scope.projects(),
        Some(name) => {
            let id = project_id(app, name).await?;
            if !scope.covers(id) {
                return Err(Problem::not_found("project", name));
            }
            Some(vec![id])
        }
    };
    let filter = DefinitionFilter {
        kind: Some(kind),
        stages: query.stage.map(Into::into).into_iter().collect(),
        projects,
    };
    let after = match &query.cursor {
        None => None,
        Some(cursor) => {
            let [name, id] = parts::<2>(cursor)?;
            Some((name, part::<Uuid>(&id)?))
        }
    };
    let size = page_size(query.limit)?;
    let page = app.store.definitions(&filter, after, size).await?;
    let names = Names::read(app).await?;
    Ok(Page {
        items: page
            .items
            .into_iter()
            .map(|definition| view(definition, &names, Vec::new()))
            .collect(),
        next: page
            .next
            .map(|(name, id)| cursor(&[&name, &id.to_string()])),
    })
}

/// A page of versions, newest first.
pub(in crate::api) async fn version_page(
    app: &App,
    id: Uuid,
    page: &PageQuery,
    may_see: impl Fn(&[Uuid]) -> bool,
) -> Result<Page<VersionView>, Problem> {
    let before = single::<i64>(page.cursor.as_deref())?;
    let found = app
        .store
        .versions(id, before, page_size(page.limit)?)
        .await?;
    Ok(Page {
        items: found
            .items
            .into_iter()
            // What an older version was for may be none of their business.
            .filter(|version| may_see(&version.content.projects))
            .map(|version| VersionView {
                version: version.version,
                stage: version.content.stage.into(),
                body: version.content.body,
                changed_by: version.actor,
                reason: version.reason,
                changed_at: Time(version.changed_at),
                deleted: version.deleted,
            })
            .collect(),
        next: found.next.map(|version| cursor(&[&version.to_string()])),
    })
}

async fn version(app: &App, of: &Definition, version: i64) -> Result<Definition, Problem> {
    let one = page_size(Some(1))?;
    let after = version.saturating_add(1);
    let found = app.store.versions(of.id, Some(after), one).await?;
    found
        .items
        .into_iter()
        .find(|found| found.version == version)
        .ok_or_else(|| Problem::not_found("version", &format!("{version} of {}", of.name)))
}

/// What changed between two versions.
pub(super) async fn diff(
    app: &App,
    who: &Who,
    kind: Kind,
    name: &str,
    query: &DiffQuery,
) -> Result<DiffView, Problem> {
    let latest = seen(app, who, kind, name).await?;
    let to = query.to.unwrap_or(latest.version);
    let from = query.from.unwrap_or_else(|| (to - 1).max(1));
    let (old, new) = (
        version(app, &latest, from).await?,
        version(app, &latest, to).await?,
    );
    if !who.rights.may_see(&old.content.projects) || !who.rights.may_see(&new.content.projects) {
        return Err(Problem::not_found(
            "version",
            &format!("{from} or {to} of {name}"),
        ));
    }
    let (before, after) = (old.content.stage, new.content.stage);
    let file = file_name(kind, name);
    Ok(DiffView {
        from,
        to,
        stages: (before != after).then(|| [before.into(), after.into()]),
        diff: unified(
            &old.content.body,
            &new.content.body,
            &format!("{file}@{from}"),
            &format!("{file}@{to}"),
        ),
    })
}

/// As `diff -u`; empty if there is no difference.
pub(in crate::api) fn unified(old: &str, new: &str, from: &str, to: &str) -> String {
    if old == new {
        return String::new();
    }
    let diff = TextDiff::configure().timeout(DIFF).diff_lines(old, new);
    diff.unified_diff()
        .context_radius(3)
        .header(from, to)
        .to_string()
}
