//! The handlers: the same for rules, policies and lists, each with paths and words of
//! its own.

use super::requests::*;
use super::write::Written;
use super::{resource, write};
use crate::api::App;
use crate::api::extract::{IfMatch, Json, Path, Query};
use crate::api::problem::Problem;
use crate::api::values::{Page, PageQuery};
use crate::api::who::Who;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use picket_store::Kind;

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        (self.tag.headers(), Json(self.view)).into_response()
    }
}

macro_rules! handlers {
    ($module:ident, $kind:expr, $tag:tt, $all:tt, $one:tt, $versions:tt, $diff:tt,
     ops: $list:tt $create:tt $get:tt $change:tt $delete:tt $list_versions:tt $show_diff:tt) => {
        pub(in crate::api) mod $module {
            use super::*;

            /// List them, by name
            #[utoipa::path(get, path = $all, tag = $tag, operation_id = $list, params(ListQuery),
                responses((status = 200, body = Page<DefinitionView>), (status = 403, body = Problem)))]
            pub(in crate::api) async fn list(
                State(app): State<App>,
                who: Who,
                Query(query): Query<ListQuery>,
            ) -> Result<Json<Page<DefinitionView>>, Problem> {
                resource::list(&app, &who, $kind, query).await.map(Json)
            }

            /// Make one
            ///
            /// It is checked together with everything else; what is wrong comes back as
            /// `diagnostics`.
            #[utoipa::path(post, path = $all, tag = $tag, operation_id = $create, request_body = NewDefinition,
                responses((status = 201, body = DefinitionView), (status = 403, body = Problem),
                    (status = 409, body = Problem), (status = 422, body = Problem)))]
            pub(in crate::api) async fn create(
                State(app): State<App>,
                who: Who,
                Json(new): Json<NewDefinition>,
            ) -> Result<(StatusCode, Written), Problem> {
                let made = write::create(&app, &who, $kind, new).await?;
                Ok((StatusCode::CREATED, made))
            }

            /// Show one
            #[utoipa::path(get, path = $one, tag = $tag, operation_id = $get,
                params(("name" = String, Path, description = "Its name")),
                responses((status = 200, body = DefinitionView), (status = 403, body = Problem),
                    (status = 404, body = Problem)))]
            pub(in crate::api) async fn get(
                State(app): State<App>,
                who: Who,
                Path(name): Path<String>,
            ) -> Result<Written, Problem> {
                write::get(&app, &who, $kind, &name).await
            }

            /// Write its next version
            ///
            /// What changes what is blocked takes the role `armer` too.
            #[utoipa::path(put, path = $one, tag = $tag, operation_id = $change,
                params(("name" = String, Path, description = "Its name"),
                    ("If-Match" = String, Header, description = "The ETag of what was read")),
                request_body = ChangeDefinition,
                responses((status = 200, body = DefinitionView), (status = 403, body = Problem),
                    (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem),
                    (status = 422, body = Problem), (status = 428, body = Problem)))]
            pub(in crate::api) async fn change(
                State(app): State<App>,
                who: Who,
                Path(name): Path<String>,
                IfMatch(read): IfMatch,
                Json(change): Json<ChangeDefinition>,
            ) -> Result<Written, Problem> {
                write::change(&app, &who, $kind, &name, read, change).await
            }

            /// Delete it
            ///
            /// Its versions stay. Not while something uses it.
            #[utoipa::path(delete, path = $one, tag = $tag, operation_id = $delete,
                params(("name" = String, Path, description = "Its name"), DeleteQuery,
                    ("If-Match" = String, Header, description = "The ETag of what was read")),
                responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
                    (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
            pub(in crate::api) async fn delete(
                State(app): State<App>,
                who: Who,
                Path(name): Path<String>,
                Query(query): Query<DeleteQuery>,
                IfMatch(read): IfMatch,
            ) -> Result<StatusCode, Problem> {
                write::delete(&app, &who, $kind, &name, read, query.reason).await?;
                Ok(StatusCode::NO_CONTENT)
            }

            /// List its versions, the newest first
            #[utoipa::path(get, path = $versions, tag = $tag, operation_id = $list_versions,
                params(("name" = String, Path, description = "Its name"), PageQuery),
                responses((status = 200, body = Page<VersionView>), (status = 403, body = Problem),
                    (status = 404, body = Problem)))]
            pub(in crate::api) async fn versions(
                State(app): State<App>,
                who: Who,
                Path(name): Path<String>,
                Query(page): Query<PageQuery>,
            ) -> Result<Json<Page<VersionView>>, Problem> {
                let found = resource::seen(&app, &who, $kind, &name).await?;
                let may_see = |projects: &[_]| who.rights.may_see(projects);
                resource::version_page(&app, found.id, &page, may_see).await.map(Json)
            }

            /// Show what changed between two versions
            #[utoipa::path(get, path = $diff, tag = $tag, operation_id = $show_diff,
                params(("name" = String, Path, description = "Its name"), DiffQuery),
                responses((status = 200, body = DiffView), (status = 403, body = Problem),
                    (status = 404, body = Problem)))]
            pub(in crate::api) async fn diff(
                State(app): State<App>,
                who: Who,
                Path(name): Path<String>,
                Query(query): Query<DiffQuery>,
            ) -> Result<Json<DiffView>, Problem> {
                resource::diff(&app, &who, $kind, &name, &query).await.map(Json)
            }
        }
    };
}

macro_rules! stages {
    ($module:ident, $kind:expr, $tag:tt, $path:tt, $op:tt) => {
        pub(in crate::api) mod $module {
            use super::*;

            /// Move it along its life cycle: draft, simulate, block
            ///
            /// To `block` takes the role `armer` and a reason; a step back may be taken by whoever
            /// may write, arm or respond.
            #[utoipa::path(post, path = $path, tag = $tag, operation_id = $op,
                params(("name" = String, Path, description = "Its name"),
                    ("If-Match" = String, Header, description = "The ETag of what was read")),
                request_body = StageChange,
                responses((status = 200, body = DefinitionView), (status = 403, body = Problem),
                    (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem),
                    (status = 422, body = Problem), (status = 428, body = Problem)))]
            pub(in crate::api) async fn set_stage(
                State(app): State<App>,
                who: Who,
                Path(name): Path<String>,
                IfMatch(read): IfMatch,
                Json(change): Json<StageChange>,
            ) -> Result<Written, Problem> {
                write::set_stage(&app, &who, $kind, &name, read, change).await
            }
        }
    };
}

handlers!(rules, Kind::Rule, "rules", "/rules", "/rules/{name}", "/rules/{name}/versions", "/rules/{name}/diff",
    ops: "list_rules" "create_rule" "get_rule" "change_rule" "delete_rule" "list_rule_versions" "diff_rule");
handlers!(policies, Kind::Policy, "policies", "/policies", "/policies/{name}", "/policies/{name}/versions",
    "/policies/{name}/diff",
    ops: "list_policies" "create_policy" "get_policy" "change_policy" "delete_policy" "list_policy_versions" "diff_policy");
handlers!(lists, Kind::List, "lists", "/lists", "/lists/{name}", "/lists/{name}/versions", "/lists/{name}/diff",
    ops: "list_lists" "create_list" "get_list" "change_list" "delete_list" "list_list_versions" "diff_list");
stages!(
    rule_stage,
    Kind::Rule,
    "rules",
    "/rules/{name}/stage",
    "set_rule_stage"
);
stages!(
    policy_stage,
    Kind::Policy,
    "policies",
    "/policies/{name}/stage",
    "set_policy_stage"
);
