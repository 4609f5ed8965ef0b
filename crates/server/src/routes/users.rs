//! People, for owners: who there is, who may do what, and links for those who cannot sign in yet or any more.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use jiff::Timestamp;
use records::{SessionId, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use store::{LinkPurpose, NewUser, Role, User, UserChange};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{links::PurposeWord, me::SessionList};
use crate::{
    ApiError, AppState,
    caller::Caller,
    etag::{IfMatch, Versioned},
    extract::{Json, Path, Query},
    page::{Page, PageQuery},
    people::{self, UserView},
    rights::RoleWord,
    tickets,
};

/// How long an invitation works, and a link to set a new password.
const INVITATION_LASTS: Duration = Duration::from_secs(7 * 86_400);
const RESET_LASTS: Duration = Duration::from_secs(86_400);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_users, create_user))
        .routes(routes!(get_user, update_user, delete_user))
        .routes(routes!(create_user_link))
        .routes(routes!(list_user_sessions))
        .routes(routes!(end_user_session))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invitation {
    #[schema(example = "ada@example.com")]
    email: String,
    name: String,
    #[schema(value_type = RoleWord)]
    role: Role,
    /// Whether values of columns marked personal are shown; absent is as the role has it.
    see_personal: Option<bool>,
}

/// Somebody who was added, with the link to send.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invited {
    user: UserView,
    link: Link,
}

/// A link that works once. It is shown here and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    #[schema(value_type = PurposeWord)]
    purpose: LinkPurpose,
    url: String,
    expires_at: Timestamp,
}

/// What is to be changed; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonChange {
    email: Option<String>,
    name: Option<String>,
    #[schema(value_type = Option<RoleWord>)]
    role: Option<Role>,
    /// `null` is as the role has it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    see_personal: Option<Option<bool>>,
}

/// Tells `null` from what is absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn versioned(user: &User) -> Versioned<UserView> {
    Versioned(user.version, UserView::from(user))
}

/// List people
#[utoipa::path(
    get, path = "/users", operation_id = "list_users", tag = "people", params(PageQuery),
    responses((status = OK, description = "People by e-mail address", body = Page<UserView>)),
)]
async fn list_users(
    State(state): State<AppState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<UserView>>, ApiError> {
    let limit = page.limit()?;
    let after: Option<String> = page.after()?;
    let users = state.store.users(after.as_deref(), limit + 1).await?;
    Ok(Json(Page::of(users, limit, |user| user.email.clone(), |user| UserView::from(&user))))
}

/// Add somebody
///
/// The answer has a link, to be sent to the person, that sets the first password. Who signs in at the identity
/// provider does not need it.
#[utoipa::path(
    post, path = "/users", operation_id = "create_user", tag = "people", request_body = Invitation,
    responses((status = CREATED, description = "The person, and the link", body = Invited)),
)]
async fn create_user(
    State(state): State<AppState>,
    caller: Caller,
    Json(form): Json<Invitation>,
) -> Result<impl IntoResponse, ApiError> {
    let new = NewUser {
        id: UserId::new(state.clock.now(), &*state.random),
        email: people::email("email", &form.email)?,
        name: people::name("name", &form.name)?,
        role: form.role,
        see_personal: form.see_personal,
        password_hash: None,
        identity: None,
    };
    let user = state.store.create_user(&new, &caller.author).await?;
    let link = link(&state, &caller, &user).await?;
    Ok((StatusCode::CREATED, Versioned(user.version, Invited { user: UserView::from(&user), link })))
}

/// See somebody
#[utoipa::path(
    get, path = "/users/{user}", operation_id = "get_user", tag = "people",
    params(("user" = String, Path, description = "The person's id")),
    responses((status = OK, description = "The person", body = UserView, headers(("etag" = String)))),
)]
async fn get_user(State(state): State<AppState>, Path(id): Path<UserId>) -> Result<Versioned<UserView>, ApiError> {
    Ok(versioned(&state.store.user(id).await?))
}

/// Change somebody
#[utoipa::path(
    patch, path = "/users/{user}", operation_id = "update_user", tag = "people", request_body = PersonChange,
    params(
        ("user" = String, Path, description = "The person's id"),
        ("if-match" = String, Header, description = "The `etag` of what is changed"),
    ),
    responses((status = OK, description = "The person as it is now", body = UserView, headers(("etag" = String)))),
)]
async fn update_user(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<UserId>,
    if_match: IfMatch,
    Json(form): Json<PersonChange>,
) -> Result<Versioned<UserView>, ApiError> {
    let change = UserChange {
        email: form.email.map(|email| people::email("email", &email)).transpose()?,
        name: form.name.map(|name| people::name("name", &name)).transpose()?,
        role: form.role,
        see_personal: form.see_personal,
    };
    let user = state.store.update_user(id, if_match.version(), &change, &caller.author).await?;
    Ok(versioned(&user))
}

/// Take somebody out
///
/// Sessions, tokens and links of the person end at once. What the person did stays in the audit log.
#[utoipa::path(
    delete, path = "/users/{user}", operation_id = "delete_user", tag = "people",
    params(
        ("user" = String, Path, description = "The person's id"),
        ("if-match" = String, Header, description = "The `etag` of who is taken out"),
    ),
    responses((status = NO_CONTENT, description = "The person is gone")),
)]
async fn delete_user(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<UserId>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    state.store.delete_user(id, if_match.version(), &caller.author).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a link to set a password
///
/// For somebody who was invited or forgot the password. Links made before work no more.
#[utoipa::path(
    post, path = "/users/{user}/link", operation_id = "create_user_link", tag = "people",
    params(("user" = String, Path, description = "The person's id")),
    responses((status = CREATED, description = "The link", body = Link)),
)]
async fn create_user_link(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<Response, ApiError> {
    let user = state.store.user(id).await?;
    let link = link(&state, &caller, &user).await?;
    Ok((StatusCode::CREATED, Json(link)).into_response())
}

async fn link(state: &AppState, caller: &Caller, user: &User) -> Result<Link, ApiError> {
    let (purpose, lasts, page) = if user.has_password {
        (LinkPurpose::Reset, RESET_LASTS, "reset")
    } else {
        (LinkPurpose::Invitation, INVITATION_LASTS, "invitation")
    };
    let ticket = tickets::ticket(&*state.random);
    let expires_at = state.clock.now().checked_add(lasts).unwrap_or(Timestamp::MAX);
    state.store.create_link(user.id, purpose, &tickets::hash(&ticket), expires_at, &caller.author).await?;
    Ok(Link { purpose, url: state.settings.public_url.at(&format!("/{page}?token={ticket}")), expires_at })
}

/// List somebody's sessions
#[utoipa::path(
    get, path = "/users/{user}/sessions", operation_id = "list_user_sessions", tag = "people",
    params(("user" = String, Path, description = "The person's id")),
    responses((status = OK, description = "All that last still, newest first", body = SessionList)),
)]
async fn list_user_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<Json<SessionList>, ApiError> {
    let user = state.store.user(id).await?;
    let sessions = state.store.sessions_of(user.id, state.settings.sessions).await?;
    Ok(Json(SessionList::of(sessions, caller.way)))
}

/// End somebody's session
#[utoipa::path(
    delete, path = "/users/{user}/sessions/{session}", operation_id = "end_user_session", tag = "people",
    params(
        ("user" = String, Path, description = "The person's id"),
        ("session" = String, Path, description = "The session's id"),
    ),
    responses((status = NO_CONTENT, description = "It has ended")),
)]
async fn end_user_session(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, session)): Path<(UserId, SessionId)>,
) -> Result<StatusCode, ApiError> {
    if state.store.end_session(user, session, &caller.author).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("session", &session.to_string()))
    }
}

#[cfg(test)]
mod tests;
