//! Connections tried: whether a source or destination can be reached and takes its credentials. What is not saved yet
//! can be tried too.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use store::{ResourceKind, ResourceRef};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use workers::Wired;

use super::definitions::saving;
use crate::{
    ApiError, AppState,
    error::chain,
    extract::{Json, Path},
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(test_source))
        .routes(routes!(test_destination))
        .routes(routes!(test_source_draft))
        .routes(routes!(test_destination_draft))
}

/// A definition that is not saved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    /// What it is to replace, if that is there already: `${kept}` in the draft stands for its secrets.
    pub(crate) of: Option<String>,
    /// What its project file would say.
    #[schema(value_type = Object)]
    pub(crate) definition: Map<String, Value>,
}

/// How trying a connection went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tried {
    ok: bool,
    /// What was reached, or why it was not.
    message: String,
    milliseconds: u64,
}

/// Test a source
#[utoipa::path(
    post, path = "/sources/{name}/test", operation_id = "test_source", tag = "sources",
    params(("name" = String, Path, description = "Its name or id")),
    responses((status = OK, description = "How it went", body = Tried)),
)]
async fn test_source(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Tried>, ApiError> {
    let (wired, name) = kept(&state, ResourceKind::Source, &name).await?;
    source(&state, &wired, &name).await
}

/// Test a destination
///
/// Nothing is changed there.
#[utoipa::path(
    post, path = "/destinations/{name}/test", operation_id = "test_destination", tag = "destinations",
    params(("name" = String, Path, description = "Its name or id")),
    responses((status = OK, description = "How it went", body = Tried)),
)]
async fn test_destination(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Tried>, ApiError> {
    let (wired, name) = kept(&state, ResourceKind::Destination, &name).await?;
    destination(&state, &wired, &name).await
}

/// Test a source that is not saved
#[utoipa::path(
    post, path = "/drafts/source/test", operation_id = "test_source_draft", tag = "sources", request_body = Draft,
    responses((status = OK, description = "How it went", body = Tried)),
)]
async fn test_source_draft(State(state): State<AppState>, Json(draft): Json<Draft>) -> Result<Json<Tried>, ApiError> {
    let json = Value::Object(draft.definition);
    let (wired, name) = saving::drafted(&state, ResourceKind::Source, draft.of.as_deref(), json).await?;
    source(&state, &wired, &name).await
}

/// Test a destination that is not saved
///
/// Nothing is changed there.
#[utoipa::path(
    post, path = "/drafts/destination/test", operation_id = "test_destination_draft", tag = "destinations",
    request_body = Draft, responses((status = OK, description = "How it went", body = Tried)),
)]
async fn test_destination_draft(
    State(state): State<AppState>,
    Json(draft): Json<Draft>,
) -> Result<Json<Tried>, ApiError> {
    let json = Value::Object(draft.definition);
    let (wired, name) = saving::drafted(&state, ResourceKind::Destination, draft.of.as_deref(), json).await?;
    destination(&state, &wired, &name).await
}

/// A definition that is kept, with all that it names.
pub(crate) async fn kept(state: &AppState, kind: ResourceKind, name: &str) -> Result<(Wired, String), ApiError> {
    let name = state.store.resource(kind, name).await?.name;
    let wired = state.workers.wired(&[ResourceRef::new(kind, &name)], &[]).await;
    let place = format!("{}/{name}", kind.plural());
    Ok((wired.map_err(|error| ApiError::of_service(error, &place))?, name))
}

async fn source(state: &AppState, wired: &Wired, name: &str) -> Result<Json<Tried>, ApiError> {
    let place = format!("sources/{name}");
    let source = state.workers.wire_source(wired, name).map_err(|error| ApiError::of_service(error, &place))?;
    let begun = Instant::now();
    let checked = tokio::time::timeout(PATIENCE, source.check()).await;
    let said = checked.map(|checked| checked.map_err(|error| wired.project.secrets.hide(&chain(&error))));
    Ok(tried(begun, said.unwrap_or_else(|_| Err(out_of_time()))))
}

async fn destination(state: &AppState, wired: &Wired, name: &str) -> Result<Json<Tried>, ApiError> {
    let place = format!("destinations/{name}");
    let connection =
        state.workers.wire_destination(wired, name).map_err(|error| ApiError::of_service(error, &place))?;
    let begun = Instant::now();
    let checked = tokio::time::timeout(PATIENCE, connection.destination.check(&connection.wire)).await;
    let hidden = |error| wired.project.secrets.hide(&chain(&connection.wire.redact_error(error)));
    let said = checked.map(|checked| checked.map_err(hidden));
    Ok(tried(begun, said.unwrap_or_else(|_| Err(out_of_time()))))
}

fn tried(begun: Instant, said: Result<String, String>) -> Json<Tried> {
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (ok, message) = match said {
        Ok(message) => (true, message),
        Err(message) => (false, message),
    };
    Json(Tried { ok, message, milliseconds })
}

fn out_of_time() -> String {
    format!("there was no answer for {} seconds", PATIENCE.as_secs())
}

#[cfg(test)]
mod tests;
