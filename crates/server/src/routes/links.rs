//! Links that work once: whoever was invited sets a first password, whoever forgot it a new one. What stands in the
//! link comes in bodies, for addresses are written into logs.

use axum::{
    extract::State,
    response::{AppendHeaders, IntoResponse},
};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use store::{LinkPurpose, PeopleError};
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
    OpenApiRouter::default().routes(routes!(look_at_link)).routes(routes!(use_link))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkToken {
    /// What stands in the link.
    token: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkView {
    #[schema(value_type = PurposeWord)]
    purpose: LinkPurpose,
    /// Whom it is for; nobody is yet whom a link to set up is for.
    email: Option<String>,
}

/// What a link is for.
#[derive(Debug, ToSchema)]
#[schema(as = LinkPurpose, rename_all = "snake_case")]
#[expect(dead_code, reason = "it stands for `store::LinkPurpose`, which knows nothing of documents")]
pub(crate) enum PurposeWord {
    Setup,
    Invitation,
    Reset,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// What stands in the link.
    token: String,
    /// At least 12 characters.
    #[schema(min_length = 12)]
    password: String,
}

/// What a link is for
#[utoipa::path(
    post, path = "/links/look", operation_id = "look_at_link", tag = "sign-in", security(()),
    request_body = LinkToken,
    responses((status = OK, description = "It works still", body = LinkView)),
)]
async fn look_at_link(State(state): State<AppState>, Json(form): Json<LinkToken>) -> Result<Json<LinkView>, ApiError> {
    let (purpose, user) = state.store.link(&tickets::hash(&form.token)).await?;
    Ok(Json(LinkView { purpose, email: user.map(|user| user.email) }))
}

/// Set a password by a link
///
/// The link works no more, all sessions of the person end, and the answer begins a new one.
#[utoipa::path(
    post, path = "/links/use", operation_id = "use_link", tag = "sign-in", security(()), request_body = NewPassword,
    responses((status = OK, description = "Who it is, signed in", body = UserView)),
)]
async fn use_link(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    stranger: Stranger,
    headers: HeaderMap,
    Json(form): Json<NewPassword>,
) -> Result<impl IntoResponse, ApiError> {
    let token_hash = tickets::hash(&form.token);
    // A wrong link is refused before the password costs anything.
    let (_, user) = state.store.link(&token_hash).await?;
    let user = user.ok_or(PeopleError::LinkEnded)?;
    passwords::acceptable("password", &form.password, &user.email)?;
    let hash = state.passwords.hash(&form.password).await?;
    let author = stranger.author(user.id.to_string(), &user.email);
    let user = state.store.use_link(&token_hash, &hash, |_| author.clone()).await?;
    let cookie = people::begin_session(&state, &user, &headers, address, &author).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Json(UserView::from(&user))))
}

#[cfg(test)]
mod tests;
