//! Channels: how people and programs are told of alerts, whether they work, and what was sent through them.

use alerts::{Attempt, Dispatcher, End, Sender};
use axum::{extract::State, response::IntoResponse};
use http::{StatusCode, header};
use jiff::Timestamp;
use records::{ChannelId, DispatchId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{ChannelRow, DispatchFilter, DispatchRow, DispatchState};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    alert_rules::{actor, problems},
    audit::ActorView,
};
use crate::{
    ApiError, AppState,
    caller::Caller,
    etag::{IfMatch, Versioned},
    extract::{Json, Path, Query},
    form_schema::ChannelForm,
    page::{Page, PageQuery},
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_channels, create_channel))
        .routes(routes!(get_channel, replace_channel, delete_channel))
        .routes(routes!(test_channel))
        .routes(routes!(list_dispatches))
        .routes(routes!(retry_dispatch))
}

/// A channel that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewChannel {
    /// What rules call it; letters, digits, `_` and `-`. It never changes.
    #[schema(example = "ops-mail")]
    name: String,
    channel: ChannelForm,
}

/// What a channel is to be from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedChannel {
    channel: ChannelForm,
}

/// A channel. In the place of each secret stands `${kept}`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Channel {
    #[schema(value_type = String)]
    id: ChannelId,
    name: String,
    #[schema(value_type = ChannelForm)]
    channel: Value,
    /// Grows by one with every change; the same as in `ETag`.
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    updated_by: ActorView,
}

impl From<ChannelRow> for Channel {
    fn from(row: ChannelRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            channel: alerts::hide_channel(&row.document),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            updated_by: actor(row.updated_by),
        }
    }
}

fn versioned(row: ChannelRow) -> Versioned<Channel> {
    Versioned(row.version, row.into())
}

/// The document that is kept, if the form is right. What is kept of `stored` was right when it was given.
fn document(
    state: &AppState,
    name: &str,
    form: &alerts::ChannelForm,
    stored: Option<&Value>,
) -> Result<Value, ApiError> {
    let document = serde_json::to_value(form).map_err(ApiError::internal)?;
    let sealed = alerts::seal_channel(name, &document, stored, state.workers.keyring());
    let sealed = sealed.map_err(|found| problems("channel", found))?;
    // Opened again, so that kept secrets count as what they are.
    let opened = alerts::open_document(name, &sealed, state.workers.keyring());
    let opened = opened.map_err(|why| ApiError::invalid("channel", why).with_hint("write its secrets anew"))?;
    opened.check().map_err(|found| problems("channel", found))?;
    Ok(sealed)
}

/// The channels, by name
#[utoipa::path(
    get, path = "/channels", operation_id = "list_channels", tag = "alerts", params(PageQuery),
    responses((status = OK, description = "A page of them", body = Page<Channel>)),
)]
async fn list_channels(
    State(state): State<AppState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Channel>>, ApiError> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let rows = state.store.channels(after.as_deref(), limit + 1).await?;
    Ok(Json(Page::of(rows, limit, |row| row.name.clone(), Into::into)))
}

/// Make a channel
#[utoipa::path(
    post, path = "/channels", operation_id = "create_channel", tag = "alerts", request_body = NewChannel,
    responses((status = CREATED, description = "It can be used", body = Channel)),
)]
async fn create_channel(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<NewChannel>,
) -> Result<impl IntoResponse, ApiError> {
    let document = document(&state, &new.name, &new.channel.0, None)?;
    let row = state.store.create_channel(&new.name, &document, &caller.author).await?;
    let location = [(header::LOCATION, format!("/api/v1/channels/{}", row.name))];
    Ok((StatusCode::CREATED, location, versioned(row)))
}

/// A channel, by name or id
#[utoipa::path(
    get, path = "/channels/{channel}", operation_id = "get_channel", tag = "alerts",
    params(("channel" = String, Path, description = "Its name or id")),
    responses((status = OK, description = "It", body = Channel)),
)]
async fn get_channel(
    State(state): State<AppState>,
    Path(channel): Path<String>,
) -> Result<Versioned<Channel>, ApiError> {
    Ok(versioned(state.store.channel(&channel).await?))
}

/// Replace a channel
///
/// `${kept}` in the place of a secret keeps it, unless the server it would go to is another one.
#[utoipa::path(
    put, path = "/channels/{channel}", operation_id = "replace_channel", tag = "alerts",
    params(
        ("channel" = String, Path, description = "Its name or id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version you read"),
    ),
    request_body = ChangedChannel,
    responses((status = OK, description = "As it is now", body = Channel)),
)]
async fn replace_channel(
    State(state): State<AppState>,
    caller: Caller,
    Path(channel): Path<String>,
    version: IfMatch,
    Json(changed): Json<ChangedChannel>,
) -> Result<Versioned<Channel>, ApiError> {
    let stored = state.store.channel(&channel).await?;
    version.check(stored.version)?;
    let document = document(&state, &stored.name, &changed.channel.0, Some(&stored.document))?;
    // What it keeps is that of the version it was read from.
    let row = state.store.replace_channel(&channel, Some(stored.version), &document, &caller.author).await?;
    Ok(versioned(row))
}

/// Delete a channel
///
/// Not while a rule names it. What was to be sent through it is not sent.
#[utoipa::path(
    delete, path = "/channels/{channel}", operation_id = "delete_channel", tag = "alerts",
    params(
        ("channel" = String, Path, description = "Its name or id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version you read"),
    ),
    responses((status = NO_CONTENT, description = "It is gone")),
)]
async fn delete_channel(
    State(state): State<AppState>,
    caller: Caller,
    Path(channel): Path<String>,
    version: IfMatch,
) -> Result<StatusCode, ApiError> {
    state.store.remove_channel(&channel, version.version(), &caller.author).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn dispatcher(state: &AppState) -> Dispatcher {
    Dispatcher {
        store: state.store.clone(),
        sender: Sender { clock: state.clock.clone(), reach: state.settings.webhook_reach },
        random: state.random.clone(),
        keyring: state.workers.keyring().clone(),
        public_url: Some(state.settings.public_url.to_string()),
    }
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelTest {
    /// Whether the other side said that it has the message.
    sent: bool,
    /// What the other side said, or why it was not reached.
    answer: String,
    milliseconds: u64,
}

/// Send a test message through a channel
///
/// It says nothing but that it is a test. The answer comes when the other side has answered.
#[utoipa::path(
    post, path = "/channels/{channel}/test", operation_id = "test_channel", tag = "alerts",
    params(("channel" = String, Path, description = "Its name or id")),
    responses((status = OK, description = "What came of it", body = ChannelTest)),
)]
async fn test_channel(
    State(state): State<AppState>,
    Path(channel): Path<String>,
) -> Result<Json<ChannelTest>, ApiError> {
    let channel = state.store.channel(&channel).await?;
    let began = Instant::now();
    let Attempt { end, answer, .. } = dispatcher(&state).test(&channel).await;
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(ChannelTest { sent: end == End::Sent, answer, milliseconds }))
}

/// A message that was or is to be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dispatch {
    #[schema(value_type = String)]
    id: DispatchId,
    /// The channel's name.
    channel: String,
    created_at: Timestamp,
    /// `pending`, `sent` or `failed`.
    #[schema(value_type = String)]
    state: DispatchState,
    /// Events that it tells of.
    events: u64,
    attempts: u64,
    /// When it is tried next, while it is pending.
    next_attempt_at: Option<Timestamp>,
    /// What the other side said last, or why it was not reached.
    answer: Option<String>,
    ended_at: Option<Timestamp>,
}

impl From<DispatchRow> for Dispatch {
    fn from(row: DispatchRow) -> Self {
        Self {
            id: row.id,
            channel: row.channel_name,
            created_at: row.created_at,
            state: row.state,
            events: row.events,
            attempts: row.attempts,
            next_attempt_at: (row.state == DispatchState::Pending).then_some(row.next_attempt_at),
            answer: row.answer,
            ended_at: row.ended_at,
        }
    }
}

/// Which messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct DispatchQuery {
    /// `pending`, `sent` or `failed`.
    #[param(value_type = Option<String>)]
    state: Option<DispatchState>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What was and is to be sent through a channel, newest first
#[utoipa::path(
    get, path = "/channels/{channel}/dispatches", operation_id = "list_dispatches", tag = "alerts",
    params(("channel" = String, Path, description = "Its name or id"), DispatchQuery),
    responses((status = OK, description = "A page of it", body = Page<Dispatch>)),
)]
async fn list_dispatches(
    State(state): State<AppState>,
    Path(channel): Path<String>,
    Query(query): Query<DispatchQuery>,
) -> Result<Json<Page<Dispatch>>, ApiError> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (limit, before) = (page.limit()?, page.after::<DispatchId>()?);
    let channel = state.store.channel(&channel).await?.id;
    let filter = DispatchFilter { channel: Some(channel), state: query.state };
    let rows = state.store.dispatches(&filter, before, limit + 1).await?;
    Ok(Json(Page::of(rows, limit, |row| row.id, Into::into)))
}

/// Send a message now that was given up or waits for its next attempt
#[utoipa::path(
    post, path = "/dispatches/{dispatch}/retry", operation_id = "retry_dispatch", tag = "alerts",
    params(("dispatch" = String, Path, description = "Its id")),
    responses((status = OK, description = "As it is now", body = Dispatch)),
)]
async fn retry_dispatch(
    State(state): State<AppState>,
    caller: Caller,
    Path(dispatch): Path<String>,
) -> Result<Json<Dispatch>, ApiError> {
    let id = dispatch.parse().map_err(|_| ApiError::not_found("dispatch", &dispatch))?;
    Ok(Json(state.store.retry_dispatch(id, &caller.author).await?.into()))
}

#[cfg(test)]
mod tests;
