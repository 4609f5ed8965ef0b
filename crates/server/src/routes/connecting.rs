//! Access that a person grants to a tool in a browser: the page where it is granted, and the way back from there.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{OriginalUri, State},
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use jiff::Timestamp;
use kit::{Auth, Authorization, Declined};
use serde::Serialize;
use store::ResourceKind;
use sync::Connection;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::trying::kept;
use crate::{
    ApiError, AppState, Code,
    caller::Caller,
    error::chain,
    extract::{Json, Path},
    openapi::BASE,
};

/// Where tools send people back to; the app in the tool must allow it.
const CALLBACK: &str = "/connect/callback";
/// How long a person may take to grant access.
const PATIENCE: Duration = Duration::from_secs(900);
/// Attempts that are waited for at a time.
const WAITING_MAX: usize = 1_000;

/// The attempts to be granted access that were begun in this process and have not come back.
#[derive(Debug, Default)]
pub(crate) struct Connecting(Mutex<Vec<Attempt>>);

#[derive(Debug)]
struct Attempt {
    destination: String,
    /// Who began it ends it.
    person: records::UserId,
    authorization: Authorization,
    connection: Connection,
    ends_at: Timestamp,
}

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(connect_destination))
        .routes(routes!(finish_connect))
        .routes(routes!(disconnect_destination))
}

/// Where a person grants access.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectPage {
    /// To be opened in the person's browser.
    url: String,
    /// Where the tool sends the person back to; its app must allow it.
    comes_back_to: String,
}

/// Connect a destination
///
/// For destinations that a person grants access to (OAuth 2). The answer has the address of the page where that is
/// done; it leads back here.
#[utoipa::path(
    post, path = "/destinations/{name}/connect", operation_id = "connect_destination", tag = "destinations",
    params(("name" = String, Path, description = "Its name or id")),
    responses((status = OK, description = "The page to open", body = ConnectPage)),
)]
async fn connect_destination(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<ConnectPage>, ApiError> {
    // The way back leads through this person's browser.
    caller.session()?;
    let (wired, name) = kept(&state, ResourceKind::Destination, &name).await?;
    let place = format!("destinations/{name}");
    let connection = state.workers.wire_destination(&wired, &name);
    let connection = connection.map_err(|error| ApiError::of_service(error, &place))?;
    let Auth::OAuth(oauth) = connection.wire.auth() else {
        let detail = format!("`{name}` is signed in to by its settings; there is nothing to connect");
        return Err(ApiError::new(Code::Conflict, detail));
    };
    let comes_back_to = state.settings.public_url.at(&format!("{BASE}{CALLBACK}"));
    let authorization = Authorization::new(oauth, &comes_back_to, &*state.random)
        .map_err(|error| ApiError::new(Code::Conflict, format!("`{name}` cannot be connected: {error}")))?;
    let url = authorization.url().to_owned();
    let now = state.clock.now();
    let attempt = Attempt {
        destination: name,
        person: caller.user.id,
        authorization,
        connection,
        ends_at: now.checked_add(PATIENCE).unwrap_or(Timestamp::MAX),
    };
    state.connecting.begin(attempt, now);
    Ok(Json(ConnectPage { url, comes_back_to }))
}

/// Come back from a tool
///
/// Where a tool sends a person who granted access, or did not. Leads to the destination's page.
#[utoipa::path(
    get, path = "/connect/callback", operation_id = "finish_connect", tag = "destinations",
    responses((status = SEE_OTHER, description = "To the destination's page")),
)]
async fn finish_connect(
    State(state): State<AppState>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, ApiError> {
    caller.session()?;
    let came = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let unknown = || {
        ApiError::new(Code::NotFound, "nobody waits for this answer: it took too long, or another began it")
            .with_hint("connect the destination again")
    };
    let (attempt, code) = state.connecting.take(&came, caller.user.id, state.clock.now()).ok_or_else(unknown)?;
    let code = code.map_err(|declined| ApiError::new(Code::UpstreamFailed, declined.to_string()))?;
    let wire = &attempt.connection.wire;
    attempt.authorization.exchange(&code, wire).await.map_err(|error| {
        let said = wire.redact(&chain(&wire.redact_error(error)));
        ApiError::new(Code::UpstreamFailed, format!("`{}` is not connected: {said}", attempt.destination))
    })?;
    let page = format!("/destinations/{}?connected=true", attempt.destination);
    Ok(Redirect::to(&page).into_response())
}

/// Forget the access that was granted
#[utoipa::path(
    delete, path = "/destinations/{name}/connect", operation_id = "disconnect_destination", tag = "destinations",
    params(("name" = String, Path, description = "Its name or id")),
    responses((status = NO_CONTENT, description = "It is forgotten here; the tool may still list it")),
)]
async fn disconnect_destination(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = state.store.resource(ResourceKind::Destination, &name).await?.name;
    super::definitions::saving::forget_granted(&state, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Connecting {
    fn begin(&self, attempt: Attempt, now: Timestamp) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|known| known.ends_at > now);
        if waiting.len() >= WAITING_MAX {
            waiting.remove(0);
        }
        waiting.push(attempt);
    }

    /// The attempt of that person that an address is the answer to, and the code in it.
    fn take(&self, came: &str, person: records::UserId, now: Timestamp) -> Option<(Attempt, Result<String, Declined>)> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|known| known.ends_at > now);
        let found =
            waiting.iter().enumerate().filter(|(_, attempt)| attempt.person == person).find_map(|(index, attempt)| {
                match attempt.authorization.code(came) {
                    Err(Declined::Foreign(_)) => None,
                    code => Some((index, code)),
                }
            });
        let (index, code) = found?;
        Some((waiting.remove(index), code))
    }
}

#[cfg(test)]
mod tests;
