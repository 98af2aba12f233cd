//! The words of the rule language, for whoever completes them.

use super::super::App;
use super::super::definitions::all;
use super::super::extract::Json;
use super::super::problem::Problem;
use super::super::who::Who;
use crate::auth::Permission;
use axum::extract::State;
use picket_model::field::ProcessList;
use picket_model::{EventClass, Field};
use picket_store::Kind;
use serde::Serialize;
use utoipa::ToSchema;

/// A field of events.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct FieldView {
    /// Its name in conditions.
    name: String,
    /// What its values are.
    r#type: String,
    /// The event classes that have it.
    classes: Vec<String>,
    /// What it means.
    doc: String,
}

/// A list of processes, for `any LIST (…)`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ProcessListView {
    /// Its name.
    name: String,
    /// What it holds.
    doc: String,
}

/// The words of the language.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct LanguageView {
    /// Event classes, for `event:`.
    classes: Vec<String>,
    /// Fields.
    fields: Vec<FieldView>,
    /// Lists of processes.
    process_lists: Vec<ProcessListView>,
    /// Files of lists and macros that are stored.
    lists: Vec<String>,
    /// Severities, the mildest first.
    severities: Vec<String>,
}

/// Tell the words of the rule language: fields with types and meanings, classes, lists
#[utoipa::path(get, path = "/workbench/language", tag = "workbench", operation_id = "get_language",
    responses((status = 200, body = LanguageView), (status = 403, body = Problem)))]
pub(in crate::api) async fn language(
    State(app): State<App>,
    who: Who,
) -> Result<Json<LanguageView>, Problem> {
    who.needs(Permission::Read)?;
    let lists = all(&app, Some(Kind::List)).await?;
    let names = |classes: &[EventClass]| {
        classes
            .iter()
            .map(|class| class.name().to_owned())
            .collect()
    };
    Ok(Json(LanguageView {
        classes: names(&EventClass::ALL),
        fields: Field::all()
            .map(|field| FieldView {
                name: field.to_string(),
                r#type: field.ty().name().to_owned(),
                classes: names(field.classes()),
                doc: field.doc().to_owned(),
            })
            .collect(),
        process_lists: ProcessList::ALL
            .map(|list| ProcessListView {
                name: list.name().to_owned(),
                doc: list.doc().to_owned(),
            })
            .into(),
        lists: lists.into_iter().map(|one| one.name).collect(),
        severities: picket_model::Severity::ALL
            .map(|severity| severity.name().to_owned())
            .into(),
    }))
}
