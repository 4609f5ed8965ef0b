//! Signing in at the identity provider: there and back, in the browser.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{AppendHeaders, IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use records::UserId;
use serde::Deserialize;
use store::{NewUser, PeopleError, Role, User, UserChange};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    caller::Stranger,
    client_address::ClientAddress,
    cookies,
    extract::Query,
    oidc::{ATTEMPT_LASTS, Attempt, Oidc, OidcError, Person, local_path},
    people,
};

pub(crate) const BEGIN: &str = "/api/v1/sign-in/oidc";

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(begin_oidc)).routes(routes!(finish_oidc))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Begin {
    /// The path of the page to come back to.
    return_to: Option<String>,
}

/// What the provider sends somebody back with.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Back {
    code: Option<String>,
    state: Option<String>,
    /// Why the provider let nobody in.
    error: Option<String>,
}

/// Why nobody is signed in; the page of signing in knows these words.
#[derive(Debug)]
enum Refusal {
    /// The provider cannot be reached, or what it says cannot be used.
    Unavailable,
    /// The provider or the person said no.
    Declined,
    /// It took too long, or was begun elsewhere.
    OtherAttempt,
    /// The provider does not say that the address is the person's.
    Unverified,
    /// The address is of none of the domains that may sign in, or was not invited.
    NotInvited,
    /// The address is tied to somebody else of the provider.
    OtherIdentity,
    /// Nobody is there yet.
    SetupNeeded,
}

impl Refusal {
    fn word(&self) -> &'static str {
        match self {
            Refusal::Unavailable => "provider_unavailable",
            Refusal::Declined => "declined",
            Refusal::OtherAttempt => "other_attempt",
            Refusal::Unverified => "email_not_verified",
            Refusal::NotInvited => "not_invited",
            Refusal::OtherIdentity => "other_identity",
            Refusal::SetupNeeded => "setup_needed",
        }
    }
}

/// Sign in at the identity provider
///
/// For browsers: sends on to the provider's page.
#[utoipa::path(
    get, path = "/sign-in/oidc", operation_id = "begin_oidc", tag = "sign-in", security(()), params(Begin),
    responses((status = SEE_OTHER, description = "On to the provider")),
)]
async fn begin_oidc(State(state): State<AppState>, Query(query): Query<Begin>) -> Result<Response, ApiError> {
    let oidc = provider(&state)?;
    let return_to = local_path(query.return_to.as_deref().unwrap_or("/"));
    match oidc.begin(&return_to, &*state.random).await {
        Ok((url, attempt)) => {
            let cookie = cookies::OIDC.set(&attempt.to_cookie(), ATTEMPT_LASTS, &state.settings.public_url);
            Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), see_other(&url)).into_response())
        }
        Err(error) => Ok(refused(&state, &Refusal::Unavailable, Some(&error))),
    }
}

/// Come back from the identity provider
///
/// For browsers: begins a session and sends on to the page that was asked for, or says why not at `/sign-in?error=…`.
#[utoipa::path(
    get, path = "/sign-in/oidc/callback", operation_id = "finish_oidc", tag = "sign-in", security(()), params(Back),
    responses((status = SEE_OTHER, description = "On to the page that was asked for")),
)]
async fn finish_oidc(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    stranger: Stranger,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Result<Response, ApiError> {
    let oidc = provider(&state)?;
    let url = &state.settings.public_url;
    let attempt = cookies::OIDC.read(&headers, url).and_then(Attempt::of_cookie);
    let (Some(attempt), Some(sent)) = (attempt, back.state.as_deref()) else {
        return Ok(refused(&state, &Refusal::OtherAttempt, None));
    };
    let Some(code) = back.code.as_deref().filter(|_| back.error.is_none()) else {
        return Ok(refused(&state, &Refusal::Declined, None));
    };
    let person = match oidc.finish(&attempt, sent, code).await {
        Ok(person) => person,
        Err(error @ OidcError::OtherAttempt) => return Ok(refused(&state, &Refusal::OtherAttempt, Some(&error))),
        Err(error) => return Ok(refused(&state, &Refusal::Unavailable, Some(&error))),
    };
    let user = match admit(&state, &oidc, &person, &stranger).await? {
        Ok(user) => user,
        Err(refusal) => return Ok(refused(&state, &refusal, None)),
    };
    let author = stranger.author(user.id.to_string(), &user.email);
    let session = people::begin_session(&state, &user, &headers, address, &author).await?;
    let cookies = [(header::SET_COOKIE, session), (header::SET_COOKIE, cookies::OIDC.clear(url))];
    Ok((AppendHeaders(cookies), see_other(&local_path(&attempt.return_to))).into_response())
}

/// The user that a person of the provider is here: known by identity, else by the address that the provider has
/// verified, else new if the settings let new ones in.
async fn admit(
    state: &AppState,
    oidc: &Oidc,
    person: &Person,
    stranger: &Stranger,
) -> Result<Result<User, Refusal>, ApiError> {
    let store = &state.store;
    // The first one in would be somebody without a say, and nobody could be set up any more.
    if store.needs_setup().await? {
        return Ok(Err(Refusal::SetupNeeded));
    }
    let domain_may = |email: &str| {
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        let allowed = &oidc.settings.allowed_domains;
        allowed.is_empty() || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain))
    };
    let user = match store.user_of_identity(&person.identity).await? {
        Some(user) => user,
        None => {
            let email =
                person.email.as_deref().filter(|_| person.email_is_verified || oidc.settings.emails_are_verified);
            let Some(email) = email.and_then(|email| people::email("email", email).ok()) else {
                return Ok(Err(Refusal::Unverified));
            };
            match store.user_of_email(&email).await? {
                Some(user) => {
                    let author = stranger.author(user.id.to_string(), &user.email);
                    match store.tie_identity(user.id, &person.identity, &author).await {
                        Ok(user) => user,
                        Err(PeopleError::OtherIdentity(_)) => return Ok(Err(Refusal::OtherIdentity)),
                        Err(error) => return Err(error.into()),
                    }
                }
                None => {
                    let role = person.role.or(oidc.settings.default_role);
                    let Some(role) = role.filter(|_| domain_may(&email)) else {
                        return Ok(Err(Refusal::NotInvited));
                    };
                    let new = new_user(state, person, email, role);
                    let author = stranger.author(new.id.to_string(), &new.email);
                    store.create_user(&new, &author).await?
                }
            }
        }
    };
    // Whoever has left a domain that may sign in has left.
    if !domain_may(&user.email) {
        return Ok(Err(Refusal::NotInvited));
    }
    Ok(Ok(with_role(state, user, person.role).await?))
}

fn new_user(state: &AppState, person: &Person, email: String, role: Role) -> NewUser {
    let named = person.name.as_deref().and_then(|name| people::name("name", name).ok());
    NewUser {
        id: UserId::new(state.clock.now(), &*state.random),
        name: named.unwrap_or_else(|| email.clone()),
        email,
        role,
        see_personal: None,
        password_hash: None,
        identity: Some(person.identity.clone()),
    }
}

/// Gives somebody the role that the provider says, unless nobody would be an owner then.
async fn with_role(state: &AppState, user: User, role: Option<Role>) -> Result<User, ApiError> {
    let Some(role) = role.filter(|role| *role != user.role) else { return Ok(user) };
    let author = store::Author::new(store::Actor::system(), None, Arc::clone(&state.random));
    let change = UserChange { role: Some(role), ..UserChange::default() };
    match state.store.update_user(user.id, None, &change, &author).await {
        Ok(user) => Ok(user),
        Err(PeopleError::LastOwner(_)) => {
            tracing::warn!(user = %user.id, role = role.name(), "the provider's role would leave nobody an owner");
            Ok(user)
        }
        Err(error) => Err(error.into()),
    }
}

fn provider(state: &AppState) -> Result<Arc<Oidc>, ApiError> {
    state.oidc.clone().ok_or_else(|| ApiError::not_found("way to sign in", "oidc"))
}

/// Back to the page of signing in, which tells why.
fn refused(state: &AppState, refusal: &Refusal, error: Option<&OidcError>) -> Response {
    let cause = error.map(|error| error as &dyn std::error::Error);
    tracing::warn!(why = refusal.word(), error = cause, "somebody was not signed in by the identity provider");
    let cookie = cookies::OIDC.clear(&state.settings.public_url);
    let page = see_other(&format!("/sign-in?error={}", refusal.word()));
    (AppendHeaders([(header::SET_COOKIE, cookie)]), page).into_response()
}

fn see_other(url: &str) -> Response {
    let location = HeaderValue::try_from(url).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
