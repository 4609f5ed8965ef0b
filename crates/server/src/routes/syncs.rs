//! Syncs: started, looked at, cancelled, released, sent again.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use records::{Counts, SyncId};
use serde::{Deserialize, Serialize};
use store::{Cancelled, Cause, Enqueued, HeldReason, RunFilter, RunRow, SyncError, SyncState};
use sync::PageOptions;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use workers::Ask;

use crate::{
    ApiError, AppState, Code,
    caller::Caller,
    extract::{Json, Path, Query},
    page::{Page, PageQuery},
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(start_sync))
        .routes(routes!(retry_failed))
        .routes(routes!(start_baseline))
        .routes(routes!(reset_mapping))
        .routes(routes!(list_syncs))
        .routes(routes!(get_sync))
        .routes(routes!(cancel_sync))
        .routes(routes!(release_sync))
        .routes(routes!(dismiss_sync))
        .routes(routes!(replay_sync))
        .routes(routes!(list_sync_changes))
}

/// How many records had which fate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountsView {
    extracted: u64,
    unchanged: u64,
    added: u64,
    updated: u64,
    deleted: u64,
    /// Not compared, as their key stands twice in the result.
    duplicate_key: u64,
    /// Not compared, as a part of their key is null.
    null_key: u64,
    /// Left out by the mapping's choice or condition.
    skipped: u64,
    delivered: u64,
    rejected: u64,
    retry: u64,
    in_doubt: u64,
}

impl From<Counts> for CountsView {
    fn from(counts: Counts) -> Self {
        let Counts { extracted, unchanged, added, updated, deleted, duplicate_key, null_key, .. } = counts;
        let Counts { skipped, delivered, rejected, retry, in_doubt, .. } = counts;
        Self {
            extracted,
            unchanged,
            added,
            updated,
            deleted,
            duplicate_key,
            null_key,
            skipped,
            delivered,
            rejected,
            retry,
            in_doubt,
        }
    }
}

/// Why something did not go on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReasonView {
    code: String,
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl From<SyncError> for ReasonView {
    fn from(error: SyncError) -> Self {
        Self { code: error.code, message: error.message, hint: error.hint }
    }
}

impl From<HeldReason> for ReasonView {
    fn from(reason: HeldReason) -> Self {
        Self { code: reason.code, message: reason.message, hint: None }
    }
}

/// One sync.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncView {
    #[schema(value_type = String, example = "sync_018fd11894007e4f9db6929b8d8367cf")]
    id: SyncId,
    mapping: String,
    model: String,
    source: String,
    destination: String,
    /// The version of the mapping that it ran with.
    mapping_version: Option<u64>,
    /// `queued`, `extracting`, `comparing`, `held`, `loading`, `committing`, `done`, `partly`, `failed`, `cancelled`,
    /// `interrupted`.
    #[schema(value_type = String)]
    state: SyncState,
    /// `sync`, `replay`, `baseline` or `release`.
    task: &'static str,
    /// What started it: `request`, `schedule`, `after`, `hook`, `takeover`, `command`.
    #[schema(value_type = String)]
    cause: Cause,
    /// The same in words.
    trigger: String,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by: Option<String>,
    queued_at: Option<Timestamp>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    counts: CountsView,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<ReasonView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ReasonView>,
    cancel_requested: bool,
    /// How far it is, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    progress: Option<serde_json::Value>,
    /// When each phase began and ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    phases: Option<serde_json::Value>,
    /// Requests made to the destination.
    requests: u64,
    disk_bytes: u64,
    /// The sync that took up what this one left when its worker was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    successor: Option<SyncId>,
}

impl From<RunRow> for SyncView {
    fn from(run: RunRow) -> Self {
        let sync = run.sync;
        Self {
            id: sync.id,
            mapping: sync.mapping,
            model: run.model,
            source: run.source,
            destination: run.destination,
            mapping_version: run.mapping_version,
            state: sync.state,
            task: run.task.name(),
            cause: run.cause,
            trigger: sync.trigger,
            requested_by: run.requested_by.map(|actor| actor.name),
            queued_at: run.queued_at,
            started_at: sync.started_at,
            finished_at: sync.finished_at,
            counts: sync.counts.into(),
            held: sync.held.map(ReasonView::from),
            error: sync.error.map(ReasonView::from),
            cancel_requested: run.cancel_requested,
            progress: run.progress,
            phases: run.phases,
            requests: run.requests,
            disk_bytes: sync.disk_bytes,
            successor: run.successor,
        }
    }
}

/// How a sync is to run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StartForm {
    /// Go on where a guard would hold.
    confirmed: bool,
}

/// Which records are to be forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetForm {
    /// Their keys as text; a key of several columns is a JSON list.
    #[serde(default)]
    keys: Vec<String>,
    /// All of them: the next sync sends every record again.
    #[serde(default)]
    all: bool,
}

/// What was forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResetView {
    forgotten: u64,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReplayForm {
    /// Only what could not be delivered.
    failed_only: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SyncQuery {
    mapping: Option<String>,
    model: Option<String>,
    source: Option<String>,
    destination: Option<String>,
    /// One state, or several between commas: `failed,partly`.
    state: Option<String>,
    /// What started them.
    cause: Option<String>,
    /// Begun at this time or later.
    from: Option<Timestamp>,
    /// Begun before this time.
    to: Option<Timestamp>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Reads a word that stands for something of the store's.
fn word<T: serde::de::DeserializeOwned>(field: &str, word: &str) -> Result<T, ApiError> {
    serde_json::from_value(serde_json::Value::from(word.trim()))
        .map_err(|_| ApiError::invalid(field, format!("`{}` is none of those there are", word.trim())))
}

impl SyncQuery {
    fn filter(&self) -> Result<RunFilter, ApiError> {
        let states = self.state.as_deref().unwrap_or_default();
        let states = states.split(',').filter(|state| !state.trim().is_empty());
        Ok(RunFilter {
            mapping: self.mapping.clone(),
            model: self.model.clone(),
            source: self.source.clone(),
            destination: self.destination.clone(),
            states: states.map(|state| word("state", state)).collect::<Result<_, _>>()?,
            cause: self.cause.as_deref().map(|cause| word("cause", cause)).transpose()?,
            from: self.from,
            to: self.to,
        })
    }
}

/// The header that makes a request safe to repeat, bound to who sends it and what for.
fn key(headers: &HeaderMap, caller: &Caller, operation: &str, about: &str) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty() && text.len() <= 255);
    let text = text.ok_or_else(|| ApiError::invalid("Idempotency-Key", "is empty, too long or not plain text"))?;
    Ok(Some(format!("{} {operation} {about} {text}", caller.author.actor.id)))
}

/// What became of the wish for a sync: 202 with it, or a conflict that names the one in the way.
fn started(enqueued: Enqueued) -> Result<Response, ApiError> {
    let status = match &enqueued {
        Enqueued::New(_) => StatusCode::ACCEPTED,
        Enqueued::Same(_) => StatusCode::OK,
        Enqueued::Busy(run) => {
            let detail = format!("`{}` waits or runs already: `{}`", run.sync.mapping, run.sync.id);
            let mut error = ApiError::new(Code::AlreadyRunning, detail).with_hint("wait for it to end, or cancel it");
            if let Ok(place) = HeaderValue::try_from(place(run)) {
                error = error.with_header(header::LOCATION, place);
            }
            return Err(error);
        }
    };
    let run = match enqueued {
        Enqueued::New(run) | Enqueued::Same(run) | Enqueued::Busy(run) => run,
    };
    let place = HeaderValue::try_from(place(&run)).map_err(ApiError::internal)?;
    Ok((status, [(header::LOCATION, place)], Json(SyncView::from(run))).into_response())
}

fn place(run: &RunRow) -> String {
    format!("{}/syncs/{}", crate::openapi::BASE, run.sync.id)
}

/// Start a sync
///
/// With the header `Idempotency-Key`, the same request again gives the same sync and starts nothing.
#[utoipa::path(
    post, path = "/mappings/{mapping}/syncs", operation_id = "start_sync", tag = "syncs",
    params(("mapping" = String, Path, description = "Its name or id"),
           ("Idempotency-Key" = Option<String>, Header, description = "The same key again starts nothing")),
    request_body = StartForm,
    responses((status = ACCEPTED, description = "It waits in the queue", body = SyncView),
              (status = OK, description = "The same request came before", body = SyncView)),
)]
async fn start_sync(
    State(state): State<AppState>,
    caller: Caller,
    Path(mapping): Path<String>,
    headers: HeaderMap,
    Json(form): Json<StartForm>,
) -> Result<Response, ApiError> {
    let mapping = state.mapping_name(&mapping).await?;
    let key = key(&headers, &caller, "start", &mapping)?;
    let ask = Ask { by: Some(caller.author.actor.clone()), confirmed: form.confirmed, key };
    started(state.workers.start(&mapping, ask).await?)
}

/// Retry what failed, now
///
/// Records that could not be delivered return with every sync; this starts one now. Those that were given up come back
/// when the sync that gave them up is replayed with `failed_only`.
#[utoipa::path(
    post, path = "/mappings/{mapping}/retry", operation_id = "retry_failed", tag = "syncs",
    params(("mapping" = String, Path, description = "Its name or id"),
           ("Idempotency-Key" = Option<String>, Header, description = "The same key again starts nothing")),
    responses((status = ACCEPTED, description = "It waits in the queue", body = SyncView)),
)]
async fn retry_failed(
    State(state): State<AppState>,
    caller: Caller,
    Path(mapping): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mapping = state.mapping_name(&mapping).await?;
    let key = key(&headers, &caller, "retry", &mapping)?;
    let ask = Ask { by: Some(caller.author.actor.clone()), confirmed: false, key };
    started(state.workers.retry(&mapping, ask).await?)
}

/// Adopt the model's current result
///
/// As what the destination holds, without sending anything.
#[utoipa::path(
    post, path = "/mappings/{mapping}/baseline", operation_id = "start_baseline", tag = "syncs",
    params(("mapping" = String, Path, description = "Its name or id"),
           ("Idempotency-Key" = Option<String>, Header, description = "The same key again starts nothing")),
    responses((status = ACCEPTED, description = "It waits in the queue", body = SyncView)),
)]
async fn start_baseline(
    State(state): State<AppState>,
    caller: Caller,
    Path(mapping): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mapping = state.mapping_name(&mapping).await?;
    let key = key(&headers, &caller, "baseline", &mapping)?;
    let ask = Ask { by: Some(caller.author.actor.clone()), confirmed: false, key };
    started(state.workers.baseline(&mapping, ask).await?)
}

/// Forget records
///
/// So that the next sync finds them added, and sends them again.
#[utoipa::path(
    post, path = "/mappings/{mapping}/reset", operation_id = "reset_mapping", tag = "syncs",
    params(("mapping" = String, Path, description = "Its name or id")), request_body = ResetForm,
    responses((status = OK, description = "How many were forgotten", body = ResetView)),
)]
async fn reset_mapping(
    State(state): State<AppState>,
    caller: Caller,
    Path(mapping): Path<String>,
    Json(form): Json<ResetForm>,
) -> Result<Json<ResetView>, ApiError> {
    if form.all != form.keys.is_empty() {
        return Err(ApiError::invalid("keys", "name the keys to forget, or say `all: true`"));
    }
    let mapping = state.mapping_name(&mapping).await?;
    let forgotten = state.workers.reset(&mapping, &form.keys).await?;
    let details = serde_json::json!({ "keys": form.keys.len(), "all": form.all, "forgotten": forgotten });
    state.audit(&caller, "mapping.reset", "mapping", &mapping, details).await?;
    Ok(Json(ResetView { forgotten }))
}

/// List syncs
#[utoipa::path(
    get, path = "/syncs", operation_id = "list_syncs", tag = "syncs", params(SyncQuery),
    responses((status = OK, description = "Newest first", body = Page<SyncView>)),
)]
async fn list_syncs(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<SyncQuery>,
) -> Result<Json<Page<SyncView>>, ApiError> {
    let filter = query.filter()?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let runs = state.store.runs(&filter, page.after()?, limit + 1).await?;
    Ok(Json(Page::of(runs, limit, |run| run.sync.id, SyncView::from)))
}

/// Look at a sync
#[utoipa::path(
    get, path = "/syncs/{sync}", operation_id = "get_sync", tag = "syncs",
    params(("sync" = String, Path)),
    responses((status = OK, description = "The sync", body = SyncView)),
)]
async fn get_sync(
    State(state): State<AppState>,
    _: Caller,
    Path(sync): Path<String>,
) -> Result<Json<SyncView>, ApiError> {
    let id = id(&sync)?;
    Ok(Json(state.store.run(id).await?.into()))
}

pub(crate) fn id(text: &str) -> Result<SyncId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("sync", text))
}

/// Cancel a sync
///
/// One that waits ends at once. One that runs ends when what is under way has been answered; the rest stays pending.
#[utoipa::path(
    post, path = "/syncs/{sync}/cancel", operation_id = "cancel_sync", tag = "syncs",
    params(("sync" = String, Path)),
    responses((status = OK, description = "The sync as it is now", body = SyncView)),
)]
async fn cancel_sync(
    State(state): State<AppState>,
    caller: Caller,
    Path(sync): Path<String>,
) -> Result<Json<SyncView>, ApiError> {
    let (cancelled, run) = state.workers.cancel(id(&sync)?).await?;
    if cancelled == Cancelled::Over {
        let detail = format!("`{}` is `{}`, so there is nothing to cancel", run.sync.id, run.sync.state.name());
        return Err(ApiError::new(Code::Conflict, detail));
    }
    state.audit(&caller, "sync.cancel", "sync", &run.sync.id.to_string(), serde_json::json!({})).await?;
    Ok(Json(run.into()))
}

/// Release a held sync
///
/// Sends exactly what the guard held. It fails if the mapping's checkpoint has moved on since.
#[utoipa::path(
    post, path = "/syncs/{sync}/release", operation_id = "release_sync", tag = "syncs",
    params(("sync" = String, Path)),
    responses((status = ACCEPTED, description = "It waits in the queue", body = SyncView)),
)]
async fn release_sync(
    State(state): State<AppState>,
    caller: Caller,
    Path(sync): Path<String>,
) -> Result<Response, ApiError> {
    let id = id(&sync)?;
    let enqueued = state.workers.release(id, Some(&caller.author.actor)).await?;
    state.audit(&caller, "sync.release", "sync", &id.to_string(), serde_json::json!({})).await?;
    started(enqueued)
}

/// Dismiss a held sync
///
/// Ends it without sending anything.
#[utoipa::path(
    post, path = "/syncs/{sync}/dismiss", operation_id = "dismiss_sync", tag = "syncs",
    params(("sync" = String, Path)),
    responses((status = OK, description = "The sync as it is now", body = SyncView)),
)]
async fn dismiss_sync(
    State(state): State<AppState>,
    caller: Caller,
    Path(sync): Path<String>,
) -> Result<Json<SyncView>, ApiError> {
    let id = id(&sync)?;
    state.workers.dismiss(id).await?;
    state.audit(&caller, "sync.dismiss", "sync", &id.to_string(), serde_json::json!({})).await?;
    Ok(Json(state.store.run(id).await?.into()))
}

/// Send a sync's records again
///
/// With the values they have now.
#[utoipa::path(
    post, path = "/syncs/{sync}/replay", operation_id = "replay_sync", tag = "syncs",
    params(("sync" = String, Path),
           ("Idempotency-Key" = Option<String>, Header, description = "The same key again starts nothing")),
    request_body = ReplayForm,
    responses((status = ACCEPTED, description = "The new sync, which waits in the queue", body = SyncView)),
)]
async fn replay_sync(
    State(state): State<AppState>,
    caller: Caller,
    Path(sync): Path<String>,
    headers: HeaderMap,
    Json(form): Json<ReplayForm>,
) -> Result<Response, ApiError> {
    let id = id(&sync)?;
    let mapping = state.store.run(id).await?.sync.mapping;
    let key = key(&headers, &caller, "replay", &sync)?;
    let ask = Ask { by: Some(caller.author.actor.clone()), confirmed: false, key };
    started(state.workers.replay(&mapping, id, form.failed_only, ask).await?)
}

/// List a sync's changes
///
/// As long as its change set is kept: that of a held sync until it is released or dismissed.
#[utoipa::path(
    get, path = "/syncs/{sync}/changes", operation_id = "list_sync_changes", tag = "syncs",
    params(("sync" = String, Path), super::plans::ChangesQuery),
    responses((status = OK, description = "In the order of the change set", body = Page<super::plans::ChangeView>)),
)]
async fn list_sync_changes(
    State(state): State<AppState>,
    caller: Caller,
    Path(sync): Path<String>,
    Query(query): Query<super::plans::ChangesQuery>,
) -> Result<Json<Page<super::plans::ChangeView>>, ApiError> {
    let id = id(&sync)?;
    let run = state.store.run(id).await?;
    let mapping = state.workers.mapping(&run.sync.mapping).await?;
    let options: PageOptions = query.options()?;
    let page = state.workers.engine().change_page(id, &mapping, &options).await.map_err(ApiError::of_problem)?;
    super::plans::changes(&state, &caller, &run.sync.mapping, page).await
}
