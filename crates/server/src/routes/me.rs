//! What people do about themselves: their name, their password, their sessions.

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use records::{SessionId, TokenId};
use serde::{Deserialize, Serialize};
use store::{Session, UserChange};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState, Code,
    caller::{Caller, Way},
    client_address::ClientAddress,
    extract::{Json, Path},
    passwords::{self, Checked},
    people::{self, UserView},
    rights::Right,
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(get_me, update_me))
        .routes(routes!(set_my_password))
        .routes(routes!(list_my_sessions))
        .routes(routes!(end_my_session))
}

/// Who calls, and what it may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The person, or the person in whose name the token acts.
    user: UserView,
    /// What this very session or token may do.
    rights: Vec<Right>,
    #[schema(value_type = Option<String>)]
    session: Option<SessionId>,
    #[schema(value_type = Option<String>)]
    token: Option<TokenId>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MyChange {
    name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MyPassword {
    /// The password until now; absent where there is none.
    current: Option<String>,
    /// At least 12 characters.
    #[schema(min_length = 12)]
    new: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    #[schema(value_type = String, example = "session_018fd11894007e4f9db6929b8d8367cf")]
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    created_at: Timestamp,
    /// When it was last used, to the minute.
    seen_at: Timestamp,
    /// Where it was begun from.
    address: Option<String>,
    /// The browser, as it calls itself.
    agent: Option<String>,
}

/// All sessions of one person; there are few.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    items: Vec<SessionView>,
}

impl SessionList {
    pub(crate) fn of(sessions: Vec<Session>, way: Way) -> Self {
        let view = |session: Session| SessionView {
            id: session.id,
            current: way == Way::Session(session.id),
            created_at: session.created_at,
            seen_at: session.seen_at,
            address: session.address,
            agent: session.agent,
        };
        Self { items: sessions.into_iter().map(view).collect() }
    }
}

/// Who calls, and what it may do
#[utoipa::path(
    get, path = "/me", operation_id = "get_me", tag = "me",
    responses((status = OK, description = "The caller", body = Me)),
)]
async fn get_me(caller: Caller) -> Json<Me> {
    let (session, token) = match caller.way {
        Way::Session(id) => (Some(id), None),
        Way::Token(id) => (None, Some(id)),
    };
    Json(Me { user: UserView::from(&*caller.user), rights: caller.rights.all(), session, token })
}

/// Change one's name
#[utoipa::path(
    patch, path = "/me", operation_id = "update_me", tag = "me", request_body = MyChange,
    responses((status = OK, description = "The caller as it is now", body = UserView)),
)]
async fn update_me(
    State(state): State<AppState>,
    caller: Caller,
    Json(form): Json<MyChange>,
) -> Result<Json<UserView>, ApiError> {
    caller.session()?;
    let change = UserChange { name: Some(people::name("name", &form.name)?), ..UserChange::default() };
    let user = state.store.update_user(caller.user.id, None, &change, &caller.author).await?;
    Ok(Json(UserView::from(&user)))
}

/// Set one's password
///
/// All other sessions end.
#[utoipa::path(
    put, path = "/me/password", operation_id = "set_my_password", tag = "me", request_body = MyPassword,
    responses((status = NO_CONTENT, description = "It is the new one now")),
)]
async fn set_my_password(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    caller: Caller,
    Json(form): Json<MyPassword>,
) -> Result<StatusCode, ApiError> {
    let session = caller.session()?;
    let email = &caller.user.email;
    passwords::acceptable("new", &form.new, email)?;
    let known = state.store.password_of(email).await?.and_then(|(_, hash)| hash);
    if known.is_some() {
        // Who found a session open must not guess here what signing in does not let be guessed.
        state.attempts.begin(email, address)?;
        let checked = state.passwords.check(&form.current.unwrap_or_default(), known).await?;
        if checked == Checked::Wrong {
            return Err(ApiError::new(Code::Invalid, "`current` is not the password").with_field("current", "is wrong"));
        }
        state.attempts.succeeded(email, address);
    }
    let hash = state.passwords.hash(&form.new).await?;
    state.store.set_password(caller.user.id, &hash, Some(session), &caller.author).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List one's sessions
#[utoipa::path(
    get, path = "/me/sessions", operation_id = "list_my_sessions", tag = "me",
    responses((status = OK, description = "All that last still, newest first", body = SessionList)),
)]
async fn list_my_sessions(State(state): State<AppState>, caller: Caller) -> Result<Json<SessionList>, ApiError> {
    let sessions = state.store.sessions_of(caller.user.id, state.settings.sessions).await?;
    Ok(Json(SessionList::of(sessions, caller.way)))
}

/// End one of one's sessions
#[utoipa::path(
    delete, path = "/me/sessions/{session}", operation_id = "end_my_session", tag = "me",
    params(("session" = String, Path, description = "The session's id")),
    responses((status = NO_CONTENT, description = "It has ended")),
)]
async fn end_my_session(
    State(state): State<AppState>,
    caller: Caller,
    Path(session): Path<SessionId>,
) -> Result<StatusCode, ApiError> {
    caller.session()?;
    if state.store.end_session(caller.user.id, session, &caller.author).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("session", &session.to_string()))
    }
}

#[cfg(test)]
mod tests;
