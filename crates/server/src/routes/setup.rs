//! The first owner, by the link that the server showed when it started.

use axum::{
    extract::State,
    response::{AppendHeaders, IntoResponse},
};
use http::{HeaderMap, StatusCode, header};
use records::UserId;
use serde::{Deserialize, Serialize};
use store::{NewUser, Role};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    caller::Stranger,
    client_address::ClientAddress,
    extract::Json,
    passwords,
    people::{self, UserView},
    tickets,
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(get_setup, set_up))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SetupState {
    /// Whether nobody is there yet.
    needed: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstOwner {
    /// What stands in the link.
    token: String,
    #[schema(example = "ada@example.com")]
    email: String,
    name: String,
    /// At least 12 characters.
    #[schema(min_length = 12)]
    password: String,
}

/// Whether the first owner is still to be set up
#[utoipa::path(
    get, path = "/setup", operation_id = "get_setup", tag = "sign-in", security(()),
    responses((status = OK, description = "Whether it is", body = SetupState)),
)]
async fn get_setup(State(state): State<AppState>) -> Result<Json<SetupState>, ApiError> {
    Ok(Json(SetupState { needed: state.store.needs_setup().await? }))
}

/// Become the first owner
///
/// The link is shown by the server when it starts and nobody is there yet. The answer begins a session.
#[utoipa::path(
    post, path = "/setup", operation_id = "set_up", tag = "sign-in", security(()), request_body = FirstOwner,
    responses((status = CREATED, description = "The owner, signed in", body = UserView)),
)]
async fn set_up(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    stranger: Stranger,
    headers: HeaderMap,
    Json(form): Json<FirstOwner>,
) -> Result<impl IntoResponse, ApiError> {
    let email = people::email("email", &form.email)?;
    let name = people::name("name", &form.name)?;
    passwords::acceptable("password", &form.password, &email)?;
    let token_hash = tickets::hash(&form.token);
    // A wrong link is refused before the password costs anything.
    state.store.link(&token_hash).await?;
    let owner = NewUser {
        id: UserId::new(state.clock.now(), &*state.random),
        email,
        name,
        role: Role::Owner,
        see_personal: None,
        password_hash: Some(state.passwords.hash(&form.password).await?),
        identity: None,
    };
    let author = stranger.author(owner.id.to_string(), &owner.email);
    let user = state.store.set_up(&token_hash, &owner, &author).await?;
    let cookie = people::begin_session(&state, &user, &headers, address, &author).await?;
    Ok((StatusCode::CREATED, AppendHeaders([(header::SET_COOKIE, cookie)]), Json(UserView::from(&user))))
}

#[cfg(test)]
mod tests;
