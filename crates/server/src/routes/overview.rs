//! How everything is: what runs, what failed of late, what was delivered day by day.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::{SignedDuration, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use store::{ResourceFilter, ResourceKind, RunFilter, SyncState, UsageRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    caller::Caller,
    extract::{Json, Query},
    routes::syncs::SyncView,
};

/// Syncs that each list of the overview shows.
const SHOWN: u32 = 10;
/// Days that usage tells of, if nothing else is asked for, and at most.
const DAYS_DEFAULT: i64 = 30;
const DAYS_MAX: i64 = 400;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(get_overview)).routes(routes!(get_usage))
}

/// How everything is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OverviewView {
    sources: u64,
    models: u64,
    destinations: u64,
    mappings: u64,
    /// Syncs at no end, by state.
    #[schema(value_type = BTreeMap<String, u64>)]
    open: BTreeMap<&'static str, u64>,
    running: Vec<SyncView>,
    /// Failed or partly delivered, the newest first.
    failures: Vec<SyncView>,
    /// The last 30 days.
    usage: Vec<UsageView>,
}

/// What was done for a destination on a day (UTC).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageView {
    #[schema(value_type = String, example = "2026-03-01")]
    day: Date,
    destination: String,
    /// Syncs that ended, and how.
    syncs: u64,
    done: u64,
    partly: u64,
    failed: u64,
    /// Records.
    delivered: u64,
    undelivered: u64,
    /// Requests made to the destination.
    requests: u64,
}

impl From<UsageRow> for UsageView {
    fn from(row: UsageRow) -> Self {
        let UsageRow { day, destination, syncs, done, partly, failed, delivered, undelivered, requests } = row;
        Self { day, destination, syncs, done, partly, failed, delivered, undelivered, requests }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// The first day. Default: 30 days before the last.
    #[param(value_type = Option<String>)]
    from: Option<Date>,
    /// The last day. Default: today (UTC).
    #[param(value_type = Option<String>)]
    to: Option<Date>,
}

/// Look at everything
#[utoipa::path(
    get, path = "/overview", operation_id = "get_overview", tag = "overview",
    responses((status = OK, description = "How everything is", body = OverviewView)),
)]
async fn get_overview(State(state): State<AppState>, _: Caller) -> Result<Json<OverviewView>, ApiError> {
    let count = async |kind| {
        let filter = ResourceFilter { kind: Some(kind), ..ResourceFilter::default() };
        state.store.resource_count(&filter).await
    };
    let list = async |states: &[SyncState]| {
        let filter = RunFilter { states: states.to_vec(), ..RunFilter::default() };
        let runs = state.store.runs(&filter, None, SHOWN).await?;
        Ok::<_, ApiError>(runs.into_iter().map(SyncView::from).collect::<Vec<_>>())
    };
    let running = [SyncState::Extracting, SyncState::Comparing, SyncState::Loading, SyncState::Committing];
    let open = state.store.open_counts().await?.into_iter().map(|(state, syncs)| (state.name(), syncs));
    let (from, to) = days(&state, &UsageQuery { from: None, to: None })?;
    Ok(Json(OverviewView {
        sources: count(ResourceKind::Source).await?,
        models: count(ResourceKind::Model).await?,
        destinations: count(ResourceKind::Destination).await?,
        mappings: count(ResourceKind::Mapping).await?,
        open: open.collect(),
        running: list(&running).await?,
        failures: list(&[SyncState::Failed, SyncState::Partly]).await?,
        usage: state.store.usage(from, to).await?.into_iter().map(UsageView::from).collect(),
    }))
}

/// Look at what was done
#[utoipa::path(
    get, path = "/usage", operation_id = "get_usage", tag = "overview", params(UsageQuery),
    responses((status = OK, description = "By day and destination", body = Vec<UsageView>)),
)]
async fn get_usage(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<UsageQuery>,
) -> Result<Json<Vec<UsageView>>, ApiError> {
    let (from, to) = days(&state, &query)?;
    Ok(Json(state.store.usage(from, to).await?.into_iter().map(UsageView::from).collect()))
}

fn days(state: &AppState, query: &UsageQuery) -> Result<(Date, Date), ApiError> {
    let today = TimeZone::UTC.to_datetime(state.clock.now()).date();
    let to = query.to.unwrap_or(today);
    let before = |days: i64| to.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(to);
    let from = query.from.unwrap_or_else(|| before(DAYS_DEFAULT));
    if from > to || from < before(DAYS_MAX) {
        return Err(ApiError::invalid("from", format!("is not at most {DAYS_MAX} days before `to`")));
    }
    Ok((from, to))
}
