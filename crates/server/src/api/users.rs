//! Users and what they may do.

use super::App;
use super::extract::{IfMatch, Json, Path, Query};
use super::problem::{Code, Problem};
use super::projects::{Names, project_id};
use super::values::{ETag, Page, PageQuery, Time, cursor, most, page_size, single};
use super::who::Who;
use crate::auth::{MAX_PASSWORD, MIN_PASSWORD, Permission, Role, SESSION};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use picket_store::{Cause, Grant, LogIn, User, Uuid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A user.
#[derive(Serialize, ToSchema)]
pub(super) struct UserView {
    /// Their id.
    #[schema(format = "uuid")]
    id: String,
    /// Their name.
    name: String,
    /// For `If-Match`, as in the ETag.
    version: i64,
    /// Whether they can log in with a password.
    password: bool,
    /// When they were made.
    created_at: Time,
    /// Since when they may do nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Time>,
}

/// What a user may do, and where.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantView {
    /// The role.
    role: Role,
    /// The project; left out: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<String>,
}

/// Which grant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GrantQuery {
    /// The role.
    role: Role,
    /// The project; left out: the grant that holds everywhere.
    project: Option<String>,
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// Their name: letters, digits and `.-_@`.
    name: String,
    /// Their password, at least 12 bytes; left out for one that only uses API tokens.
    #[schema(format = Password)]
    password: Option<String>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A change of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeUser {
    /// A new password; left out: it stays.
    #[schema(format = Password)]
    password: Option<String>,
    /// Whether they may do nothing from now on; left out: as it is.
    disabled: Option<bool>,
    /// Why.
    #[serde(default)]
    reason: String,
}

fn tag(user: &User) -> HeaderMap {
    ETag {
        id: user.id,
        version: user.version,
    }
    .headers()
}

fn view(user: User) -> UserView {
    UserView {
        id: user.id.to_string(),
        name: user.name,
        version: user.version,
        password: user.log_in.password_hash.is_some(),
        created_at: Time(user.created_at),
        disabled_at: user.disabled_at.map(Time),
    }
}

/// The hash of a password, if it is a good one.
pub(super) async fn new_hash(app: &App, password: String) -> Result<String, Problem> {
    if password.len() < MIN_PASSWORD || password.len() > MAX_PASSWORD {
        return Err(Problem::invalid(format!(
            "a password has from {MIN_PASSWORD} to {MAX_PASSWORD} bytes"
        )));
    }
    app.passwords
        .hash(password)
        .await
        .map_err(Problem::internal)
}

/// Ends every log-in of a user.
pub(super) async fn end_sessions(app: &App, user: Uuid, cause: &Cause) -> Result<(), Problem> {
    let mut before = None;
    loop {
        let page = app.store.api_tokens(user, before, most()?).await?;
        let open = page
            .items
            .iter()
            .filter(|token| token.name == SESSION && token.revoked_at.is_none())
            .filter(|token| token.expires_at.is_none_or(|end| end > cause.at));
        for token in open {
            app.store.revoke_api_token(token.id, cause).await?;
        }
        before = page.next;
        if before.is_none() {
            return Ok(());
        }
    }
}

/// List users
#[utoipa::path(get, path = "/users", tag = "users", operation_id = "list_users", params(PageQuery),
    responses((status = 200, body = Page<UserView>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<UserView>>, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let after = single::<String>(page.cursor.as_deref())?;
    let users = app.store.users(after, page_size(page.limit)?).await?;
    Ok(Json(Page {
        items: users.items.into_iter().map(view).collect(),
        next: users.next.map(|name| cursor(&[&name])),
    }))
}

/// Make a user, who may do nothing yet
#[utoipa::path(post, path = "/users", tag = "users", operation_id = "create_user", request_body = NewUser,
    responses((status = 201, body = UserView), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Json(new): Json<NewUser>,
) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_@".contains(c);
    if new.name.is_empty() || new.name.len() > 128 || !new.name.chars().all(fits) {
        let why = "name: 1 to 128 letters, digits and .-_@";
        return Err(Problem::invalid(why));
    }
    let password_hash = match new.password {
        Some(password) => Some(new_hash(&app, password).await?),
        None => None,
    };
    let log_in = LogIn {
        password_hash,
        subject: None,
    };
    let cause = who.cause(new.reason);
    let user = app.store.make_user(&new.name, log_in, &cause).await?;
    Ok((StatusCode::CREATED, tag(&user), Json(view(user))).into_response())
}

/// Show a user
#[utoipa::path(get, path = "/users/{name}", tag = "users", operation_id = "get_user",
    params(("name" = String, Path, description = "The user's name")),
    responses((status = 200, body = UserView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let user = app.store.user_named(&name).await?;
    Ok((tag(&user), Json(view(user))).into_response())
}

/// Give a user another password, disable or enable them
///
/// Their log-ins end with either.
#[utoipa::path(put, path = "/users/{name}", tag = "users", operation_id = "change_user",
    params(("name" = String, Path, description = "The user's name"), ("If-Match" = String, Header, description = "The ETag of what was read")),
    request_body = ChangeUser,
    responses((status = 200, body = UserView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    IfMatch(read): IfMatch,
    Json(change): Json<ChangeUser>,
) -> Result<Response, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let user = app.store.user_named(&name).await?;
    let expected = read.expect(user.id)?;
    let disabled = change.disabled.unwrap_or(user.disabled_at.is_some());
    if disabled && user.id == who.user.id {
        let why = "you cannot disable yourself: another administrator can";
        return Err(Problem::new(Code::Conflict, why));
    }
    let mut log_in = user.log_in.clone();
    let ends = disabled || change.password.is_some();
    if let Some(password) = change.password {
        log_in.password_hash = Some(new_hash(&app, password).await?);
    }
    let cause = who.cause(change.reason);
    let user = app
        .store
        .change_user(user.id, expected, log_in, disabled, &cause)
        .await?;
    if ends {
        end_sessions(&app, user.id, &cause).await?;
    }
    Ok((tag(&user), Json(view(user))).into_response())
}

/// A user's grants, with the projects' names.
pub(super) async fn grant_views(app: &App, user: Uuid) -> Result<Vec<GrantView>, Problem> {
    let grants = app.store.grants(user).await?;
    let names = Names::read(app).await?;
    Ok(grants
        .into_iter()
        .filter_map(|grant| {
            Some(GrantView {
                role: Role::of_name(&grant.role)?,
                project: grant.project.map(|project| names.of(project)),
            })
        })
        .collect())
}

/// Show what a user may do
#[utoipa::path(get, path = "/users/{name}/grants", tag = "users", operation_id = "list_grants",
    params(("name" = String, Path, description = "The user's name")),
    responses((status = 200, body = Vec<GrantView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn grants(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Json<Vec<GrantView>>, Problem> {
    who.needs_everywhere(Permission::Administer)?;
    let user = app.store.user_named(&name).await?;
    Ok(Json(grant_views(&app, user.id).await?))
}

/// Let a user do something
///
/// An administrator of a project can do this in that project.
#[utoipa::path(post, path = "/users/{name}/grants", tag = "users", operation_id = "grant",
    params(("name" = String, Path, description = "The user's name")), request_body = GrantView,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn grant(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Json(grant): Json<GrantView>,
) -> Result<StatusCode, Problem> {
    let grant = checked(&app, &who, grant).await?;
    let user = app.store.user_named(&name).await?;
    app.store.grant(user.id, grant, &who.cause("")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a grant back
#[utoipa::path(delete, path = "/users/{name}/grants", tag = "users", operation_id = "revoke_grant",
    params(("name" = String, Path, description = "The user's name"), GrantQuery),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn revoke_grant(
    State(app): State<App>,
    who: Who,
    Path(name): Path<String>,
    Query(GrantQuery { role, project }): Query<GrantQuery>,
) -> Result<StatusCode, Problem> {
    let grant = GrantView { role, project };
    let own = grant.project.is_none() && grant.role == Role::Admin;
    let grant = checked(&app, &who, grant).await?;
    let user = app.store.user_named(&name).await?;
    if own && user.id == who.user.id {
        let why = "you cannot take your own administration away: another administrator can";
        return Err(Problem::new(Code::Conflict, why));
    }
    app.store
        .revoke_grant(user.id, grant, &who.cause(""))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The grant for the store, of one who may give it.
async fn checked(app: &App, who: &Who, grant: GrantView) -> Result<Grant, Problem> {
    who.needs(Permission::Administer)?;
    let project = match &grant.project {
        None => None,
        Some(name) => Some(project_id(app, name).await?),
    };
    who.needs_in(Permission::Administer, project.as_slice())?;
    Ok(Grant {
        project,
        role: grant.role.name().to_owned(),
    })
}
