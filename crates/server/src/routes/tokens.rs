//! API tokens: each acts in the name of the person who made it, and may do a part of what that person may.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use jiff::Timestamp;
use records::{TokenId, UserId};
use serde::{Deserialize, Serialize};
use store::{NewToken, Role, Token};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    caller::Caller,
    extract::{Json, Path, Query},
    page::{Page, PageQuery},
    people,
    rights::{Right, RoleWord},
    tickets,
};

/// How much of a token is shown, so that people know it again.
const ENDING_CHARS: usize = 4;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(list_tokens, create_token)).routes(routes!(get_token, delete_token))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TokenQuery {
    /// Those of all people, for owners; otherwise one's own.
    all: Option<bool>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenForm {
    /// What it is for.
    #[schema(example = "deploy")]
    name: String,
    /// The most it may do; `viewer` only reads.
    #[schema(value_type = RoleWord)]
    role: Role,
    /// Whether it is shown values of columns marked personal. Its person must have that right too.
    #[serde(default)]
    see_personal: bool,
    /// When it ends. Absent: never.
    expires_at: Option<Timestamp>,
}

/// A token, without what makes it one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenView {
    #[schema(value_type = String, example = "token_018fd11894007e4f9db6929b8d8367cf")]
    id: TokenId,
    /// In whose name it acts.
    #[schema(value_type = String)]
    user: UserId,
    name: String,
    /// Its last characters.
    ending: String,
    #[schema(value_type = RoleWord)]
    role: Role,
    see_personal: bool,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    used_at: Option<Timestamp>,
}

/// A new token. `secret` is shown here and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeToken {
    token: TokenView,
    #[schema(example = "of_…")]
    secret: String,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            user: token.user,
            name: token.name,
            ending: token.ending,
            role: token.role,
            see_personal: token.see_personal,
            created_at: token.created_at,
            expires_at: token.expires_at,
            used_at: token.used_at,
        }
    }
}

/// List tokens
#[utoipa::path(
    get, path = "/tokens", operation_id = "list_tokens", tag = "tokens", params(TokenQuery),
    responses((status = OK, description = "Newest first", body = Page<TokenView>)),
)]
async fn list_tokens(
    State(state): State<AppState>,
    caller: Caller,
    Query(TokenQuery { all, limit, cursor }): Query<TokenQuery>,
) -> Result<Json<Page<TokenView>>, ApiError> {
    let all = all.unwrap_or(false);
    if all {
        caller.may(Right::Own)?;
    }
    let page = PageQuery { limit, cursor };
    let limit = page.limit()?;
    let user = (!all).then_some(caller.user.id);
    let tokens = state.store.tokens(user, page.after()?, limit + 1).await?;
    Ok(Json(Page::of(tokens, limit, |token| token.id, TokenView::from)))
}

/// Make a token
///
/// Only people make tokens. It has no right that its person has not: when the person's role changes, so does what the
/// token may do, and it ends with the person.
#[utoipa::path(
    post, path = "/tokens", operation_id = "create_token", tag = "tokens", request_body = TokenForm,
    responses((status = CREATED, description = "The token, with its secret", body = MadeToken)),
)]
async fn create_token(
    State(state): State<AppState>,
    caller: Caller,
    Json(form): Json<TokenForm>,
) -> Result<Response, ApiError> {
    caller.session()?;
    let now = state.clock.now();
    let name = people::name("name", &form.name)?;
    if form.role > caller.rights.role {
        return Err(ApiError::invalid("role", format!("is more than your own, `{}`", caller.rights.role.name())));
    }
    if form.see_personal && !caller.has(Right::SeePersonal) {
        return Err(ApiError::invalid("see_personal", "is a right that you have not"));
    }
    if form.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(ApiError::invalid("expires_at", "is past"));
    }
    let secret = tickets::token(&*state.random);
    let new = NewToken {
        id: TokenId::new(now, &*state.random),
        token_hash: tickets::hash(&secret),
        user: caller.user.id,
        name,
        ending: secret.chars().skip(secret.len() - ENDING_CHARS).collect(),
        role: form.role,
        see_personal: form.see_personal,
        expires_at: form.expires_at,
    };
    let token = state.store.create_token(&new, &caller.author).await?;
    Ok((StatusCode::CREATED, Json(MadeToken { token: token.into(), secret })).into_response())
}

/// See a token
#[utoipa::path(
    get, path = "/tokens/{token}", operation_id = "get_token", tag = "tokens",
    params(("token" = String, Path, description = "The token's id")),
    responses((status = OK, description = "The token", body = TokenView)),
)]
async fn get_token(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<TokenId>,
) -> Result<Json<TokenView>, ApiError> {
    Ok(Json(visible(&state, &caller, id).await?.into()))
}

/// Take a token back
///
/// Nothing can be done with it from then on.
#[utoipa::path(
    delete, path = "/tokens/{token}", operation_id = "delete_token", tag = "tokens",
    params(("token" = String, Path, description = "The token's id")),
    responses((status = NO_CONTENT, description = "It is gone")),
)]
async fn delete_token(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, ApiError> {
    let token = visible(&state, &caller, id).await?;
    state.store.delete_token(&token, &caller.author).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One's own, or anybody's for owners. Others' are not there.
async fn visible(state: &AppState, caller: &Caller, id: TokenId) -> Result<Token, ApiError> {
    let token = state.store.token(id).await?;
    let token = token.filter(|token| token.user == caller.user.id || caller.has(Right::Own));
    token.ok_or_else(|| ApiError::not_found("token", &id.to_string()))
}

#[cfg(test)]
mod tests;
