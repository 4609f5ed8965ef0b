//! Traces: every sync that touched a record, and what its destination answered.

use axum::extract::State;
use jiff::Timestamp;
use records::SyncId;
use serde::{Deserialize, Serialize};
use store::{ResourceFilter, ResourceKind, Trace, TraceEntry};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    caller::Caller,
    extract::{Json, Path, Query},
    personal,
    routes::failures::RequestView,
};

/// Syncs that a trace tells of, if nothing else is asked for.
const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 200;
/// Mappings that one search looks through.
const MAPPINGS_MAX: u32 = 500;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(trace_record)).routes(routes!(trace_everywhere))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceQuery {
    /// The record's key as text; a key of several columns is a JSON list.
    key: String,
    /// How many syncs at most.
    #[param(minimum = 1, maximum = 200, default = 20)]
    limit: Option<usize>,
}

/// What one sync did with the record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TraceEntryView {
    mapping: String,
    #[schema(value_type = String)]
    sync: SyncId,
    at: Timestamp,
    operation: &'static str,
    outcome: &'static str,
    code: Option<String>,
    message: Option<String>,
    attempts: u32,
    /// What was sent, as JSON text.
    payload: Option<String>,
    before: Option<String>,
    after: Option<String>,
    request: Option<RequestView>,
}

/// What happened to a record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TraceView {
    key: String,
    /// The newest last.
    entries: Vec<TraceEntryView>,
    /// Parts of the history that could not be read; they may hold more.
    unreadable: Vec<String>,
}

impl TraceEntryView {
    fn of(mapping: &str, entry: TraceEntry) -> Self {
        let TraceEntry { sync, row, exchange } = entry;
        Self {
            mapping: mapping.to_owned(),
            sync,
            at: row.at,
            operation: row.operation.name(),
            outcome: row.outcome.name(),
            code: row.code,
            message: row.message,
            attempts: row.attempts,
            payload: row.payload,
            before: row.before,
            after: row.after,
            request: exchange.map(RequestView::from),
        }
    }
}

impl personal::Hides for TraceEntryView {
    fn hide(&mut self) {
        for text in [&mut self.payload, &mut self.before, &mut self.after, &mut self.message].into_iter().flatten() {
            *text = personal::HIDDEN.to_owned();
        }
        if let Some(request) = &mut self.request {
            request.hide();
        }
    }
}

impl TraceQuery {
    fn limit(&self) -> Result<usize, ApiError> {
        match self.limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            _ => Err(ApiError::invalid("limit", format!("is not between 1 and {LIMIT_MAX}"))),
        }
    }
}

/// What the history of these mappings knows of a key.
async fn traced(
    state: &AppState,
    caller: &Caller,
    mappings: Vec<String>,
    query: TraceQuery,
) -> Result<TraceView, ApiError> {
    let (limit, key) = (query.limit()?, query.key.clone());
    let history = state.workers.engine().history();
    let found = tokio::task::spawn_blocking(move || {
        let of = |mapping: String| history.trace(&mapping, &key, limit).map(|trace| (mapping, trace));
        mappings.into_iter().map(of).collect::<Result<Vec<(String, Trace)>, _>>()
    });
    let found = found.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    let mut view = TraceView { key: query.key, entries: Vec::new(), unreadable: Vec::new() };
    for (mapping, trace) in found.into_iter().filter(|(_, trace)| !trace.entries.is_empty()) {
        let mut entries: Vec<_> = trace.entries.into_iter().map(|entry| TraceEntryView::of(&mapping, entry)).collect();
        personal::hide(state, caller, &mapping, &mut entries).await?;
        view.entries.append(&mut entries);
        view.unreadable.extend(trace.unreadable.into_iter().map(|file| file.reason));
    }
    view.entries.sort_by_key(|entry| entry.at);
    let surplus = view.entries.len().saturating_sub(limit);
    view.entries.drain(..surplus);
    Ok(view)
}

/// Trace a record of a mapping
#[utoipa::path(
    get, path = "/mappings/{mapping}/trace", operation_id = "trace_record", tag = "traces",
    params(("mapping" = String, Path, description = "Its name or id"), TraceQuery),
    responses((status = OK, description = "Every sync that touched it", body = TraceView)),
)]
async fn trace_record(
    State(state): State<AppState>,
    caller: Caller,
    Path(mapping): Path<String>,
    Query(query): Query<TraceQuery>,
) -> Result<Json<TraceView>, ApiError> {
    let mapping = state.mapping_name(&mapping).await?;
    traced(&state, &caller, vec![mapping], query).await.map(Json)
}

/// Trace a key in all mappings
///
/// Looks through the first 500 mappings by name; name one to look at another.
#[utoipa::path(
    get, path = "/trace", operation_id = "trace_everywhere", tag = "traces", params(TraceQuery),
    responses((status = OK, description = "Every sync that touched a record with that key", body = TraceView)),
)]
async fn trace_everywhere(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<TraceQuery>,
) -> Result<Json<TraceView>, ApiError> {
    let filter = ResourceFilter { kind: Some(ResourceKind::Mapping), ..ResourceFilter::default() };
    let rows = state.store.resources(&filter, None, MAPPINGS_MAX).await?;
    traced(&state, &caller, rows.into_iter().map(|row| row.name).collect(), query).await.map(Json)
}
