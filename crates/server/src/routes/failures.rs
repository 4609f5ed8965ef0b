//! Records that a sync did not deliver: why, and what was sent and answered.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sync::{FailedOptions, ToldRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    caller::Caller,
    extract::{Json, Path, Query},
    page::{Page, PageQuery},
    personal,
    routes::syncs::id,
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(list_failed_records)).routes(routes!(summarize_failures))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FailedQuery {
    /// Only those that failed for this reason.
    code: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A request as it was sent and its answer, secrets taken out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestView {
    method: String,
    url: String,
    request_headers: Vec<(String, String)>,
    request_body: String,
    /// Absent where no answer came.
    status: Option<u16>,
    answer_headers: Vec<(String, String)>,
    answer_body: Option<String>,
    started_at: Timestamp,
    millis: u64,
}

impl From<store::HistoryExchange> for RequestView {
    fn from(exchange: store::HistoryExchange) -> Self {
        Self {
            method: exchange.method,
            url: exchange.url,
            request_headers: exchange.request_headers,
            request_body: exchange.request_body,
            status: exchange.status,
            answer_headers: exchange.answer_headers,
            answer_body: exchange.answer_body,
            started_at: exchange.started_at,
            millis: exchange.millis,
        }
    }
}

/// A record that was not delivered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailedView {
    key: String,
    /// `added`, `updated` or `deleted`.
    operation: &'static str,
    /// `rejected`, `retry` or `in doubt`.
    outcome: &'static str,
    code: String,
    message: String,
    /// No further sync tries it until its values change or a person asks for it.
    given_up: bool,
    at: Timestamp,
    attempts: Option<u32>,
    /// What was sent, as JSON text.
    payload: Option<String>,
    before: Option<String>,
    after: Option<String>,
    /// The last request it was part of.
    request: Option<RequestView>,
}

impl From<ToldRecord> for FailedView {
    fn from(told: ToldRecord) -> Self {
        Self {
            key: told.record.key,
            operation: told.record.operation.name(),
            outcome: told.record.outcome.name(),
            code: told.record.code,
            message: told.record.message,
            given_up: told.record.given_up,
            at: told.record.at,
            attempts: told.attempts,
            payload: told.payload,
            before: told.before,
            after: told.after,
            request: told.request.map(RequestView::from),
        }
    }
}

impl personal::Hides for FailedView {
    fn hide(&mut self) {
        self.key = personal::HIDDEN.to_owned();
        self.message = personal::HIDDEN.to_owned();
        for text in [&mut self.payload, &mut self.before, &mut self.after].into_iter().flatten() {
            *text = personal::HIDDEN.to_owned();
        }
        if let Some(request) = &mut self.request {
            request.hide();
        }
    }
}

impl personal::Hides for RequestView {
    fn hide(&mut self) {
        self.url = self.url.split('?').next().unwrap_or_default().to_owned();
        self.request_body = personal::HIDDEN.to_owned();
        if let Some(body) = &mut self.answer_body {
            *body = personal::HIDDEN.to_owned();
        }
    }
}

/// List a sync's failed records
///
/// Each with its reason, and the request and answer that it was part of. Where the model has personal columns, callers
/// without the right to see them are shown no values.
#[utoipa::path(
    get, path = "/syncs/{sync}/failures", operation_id = "list_failed_records", tag = "syncs",
    params(("sync" = String, Path), FailedQuery),
    responses((status = OK, description = "In the order of the change set", body = Page<FailedView>)),
)]
async fn list_failed_records(
    State(state): State<AppState>,
    caller: Caller,
    Path(sync): Path<String>,
    Query(query): Query<FailedQuery>,
) -> Result<Json<Page<FailedView>>, ApiError> {
    let id = id(&sync)?;
    let run = state.store.run(id).await?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let options = FailedOptions { code: query.code, after: page.after()?, limit: page.limit()? };
    let found = state.workers.engine().failed_records(id, &options).await.map_err(ApiError::of_problem)?;
    let mut items: Vec<FailedView> = found.records.into_iter().map(FailedView::from).collect();
    personal::hide(&state, &caller, &run.sync.mapping, &mut items).await?;
    Ok(Json(Page::new(items, found.next.as_ref())))
}

/// Failures for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureGroupView {
    outcome: &'static str,
    code: String,
    /// One of their messages.
    message: String,
    /// One of their keys.
    key: String,
    given_up: bool,
    records: u64,
}

impl personal::Hides for FailureGroupView {
    fn hide(&mut self) {
        self.key = personal::HIDDEN.to_owned();
        self.message = personal::HIDDEN.to_owned();
    }
}

/// Count a sync's failures by reason
#[utoipa::path(
    get, path = "/syncs/{sync}/failures/summary", operation_id = "summarize_failures", tag = "syncs",
    params(("sync" = String, Path)),
    responses((status = OK, description = "The commonest first", body = Vec<FailureGroupView>)),
)]
async fn summarize_failures(
    State(state): State<AppState>,
    caller: Caller,
    Path(sync): Path<String>,
) -> Result<Json<Vec<FailureGroupView>>, ApiError> {
    let id = id(&sync)?;
    let run = state.store.run(id).await?;
    let groups = state.store.failure_summary(id).await?.into_iter().map(|group| FailureGroupView {
        outcome: group.outcome.name(),
        code: group.code,
        message: group.message,
        key: group.key,
        given_up: group.given_up,
        records: group.count,
    });
    let mut groups: Vec<FailureGroupView> = groups.collect();
    personal::hide(&state, &caller, &run.sync.mapping, &mut groups).await?;
    Ok(Json(groups))
}
