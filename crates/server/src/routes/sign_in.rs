//! Signing in with a password, and out.

use axum::{
    extract::State,
    response::{AppendHeaders, IntoResponse},
};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState, Code,
    caller::{Caller, Stranger, Way},
    client_address::ClientAddress,
    cookies,
    extract::Json,
    passwords::Checked,
    people::{self, UserView},
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(get_sign_in, sign_in)).routes(routes!(sign_out))
}

/// The ways to sign in
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignInWays {
    /// Whether nobody is there yet, so that the first owner comes first.
    setup_needed: bool,
    /// The identity provider, if there is one.
    oidc: Option<OidcWay>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OidcWay {
    /// What the provider is called.
    name: String,
    /// Where the browser goes.
    url: &'static str,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    email: String,
    password: String,
}

/// The ways to sign in
#[utoipa::path(
    get, path = "/sign-in", operation_id = "get_sign_in", tag = "sign-in", security(()),
    responses((status = OK, description = "The ways", body = SignInWays)),
)]
async fn get_sign_in(State(state): State<AppState>) -> Result<Json<SignInWays>, ApiError> {
    let oidc = state.settings.oidc.as_ref();
    Ok(Json(SignInWays {
        setup_needed: state.store.needs_setup().await?,
        oidc: oidc.map(|oidc| OidcWay { name: oidc.name.clone(), url: super::oidc::BEGIN }),
    }))
}

/// Sign in with a password
///
/// The answer sets the cookie of a session. Requests of a session that change something need the header
/// `x-outflow-csrf` with any value.
#[utoipa::path(
    post, path = "/sign-in", operation_id = "sign_in", tag = "sign-in", security(()), request_body = Credentials,
    responses((status = OK, description = "Who signed in", body = UserView)),
)]
async fn sign_in(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    stranger: Stranger,
    headers: HeaderMap,
    Json(form): Json<Credentials>,
) -> Result<impl IntoResponse, ApiError> {
    state.attempts.begin(&form.email, address)?;
    let known = state.store.password_of(&form.email).await?;
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), hash));
    let old = hash.clone();
    // The same answer after the same time, whether there is such a person, a password, or neither.
    let checked = state.passwords.check(&form.password, hash).await?;
    let (Some(user), true) = (user, checked != Checked::Wrong) else {
        tracing::info!(%address, "somebody failed to sign in");
        let error = ApiError::new(Code::WrongCredentials, "nobody has this e-mail address with this password");
        return Err(error.with_hint("an owner can make a link to set a new password"));
    };
    state.attempts.succeeded(&form.email, address);
    if let (Checked::RightByOlderRules(new), Some(old)) = (checked, old) {
        state.store.rehash_password(user.id, &old, &new).await?;
    }
    let author = stranger.author(user.id.to_string(), &user.email);
    let cookie = people::begin_session(&state, &user, &headers, address, &author).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Json(UserView::from(&user))))
}

/// Sign out
///
/// Ends the session, if there is one.
#[utoipa::path(
    post, path = "/sign-out", operation_id = "sign_out", tag = "sign-in", security(()),
    responses((status = NO_CONTENT, description = "Nobody is signed in here any more")),
)]
async fn sign_out(State(state): State<AppState>, caller: Option<Caller>) -> Result<impl IntoResponse, ApiError> {
    if let Some(Caller { user, way: Way::Session(session), author, .. }) = caller {
        state.store.end_session(user.id, session, &author).await?;
    }
    let cookie = cookies::SESSION.clear(&state.settings.public_url);
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie)])))
}

#[cfg(test)]
mod tests;
