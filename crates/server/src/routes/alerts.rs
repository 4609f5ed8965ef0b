//! Alerts: what is wrong now and was before, and the list of all that happened, with each person's marks of what he has
//! read.

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use records::{AlertId, EventId, RuleId, SyncId};
use serde::{Deserialize, Serialize};
use store::{AlertChange, AlertEventFilter, AlertEventRow, AlertFilter, AlertRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::alert_rules::Mute;
use crate::{
    ApiError, AppState,
    caller::Caller,
    extract::{Json, Path, Query},
    page::{Page, PageQuery},
};

/// Beyond this, it does not matter how many there are.
const UNREAD_MAX: u32 = 1_000;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_alerts))
        .routes(routes!(get_alert))
        .routes(routes!(acknowledge_alert))
        .routes(routes!(mute_alert))
        .routes(routes!(list_alert_events))
        .routes(routes!(count_unread_alert_events))
        .routes(routes!(read_alert_events))
}

/// What trouble is with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertSubject {
    /// `mapping`, `model`, `destination` or `source`.
    kind: String,
    name: String,
}

/// The rule that saw it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertRuleName {
    #[schema(value_type = String)]
    id: RuleId,
    /// As it was called then.
    name: String,
}

/// Trouble of one kind with one subject, as one rule sees it, from its beginning to its end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    #[schema(value_type = String)]
    id: AlertId,
    rule: AlertRuleName,
    /// `failed`, `late`, …
    kind: String,
    subject: AlertSubject,
    raised_at: Timestamp,
    /// Null while it goes on.
    ended_at: Option<Timestamp>,
    /// How it ended: `recovered` or `dropped`.
    #[schema(value_type = Option<String>)]
    ending: Option<AlertChange>,
    message: String,
    /// The figures in the message; which ones depends on the kind.
    #[schema(value_type = Object)]
    details: serde_json::Value,
    /// The sync that showed it.
    #[schema(value_type = Option<String>)]
    sync: Option<SyncId>,
    /// When people were told of it last. Null: nobody was, because it is muted.
    told_at: Option<Timestamp>,
    acknowledged_at: Option<Timestamp>,
    /// The name of who has taken note.
    acknowledged_by: Option<String>,
    muted_until: Option<Timestamp>,
}

impl From<AlertRow> for Alert {
    fn from(row: AlertRow) -> Self {
        Self {
            id: row.id,
            rule: AlertRuleName { id: row.rule, name: row.rule_name },
            kind: row.kind,
            subject: AlertSubject { kind: row.subject.kind, name: row.subject.name },
            raised_at: row.raised_at,
            ended_at: row.ended_at,
            ending: row.ending,
            message: row.message,
            details: row.details,
            sync: row.sync,
            told_at: row.told_at,
            acknowledged_at: row.acknowledged_at,
            acknowledged_by: row.acknowledged_by,
            muted_until: row.muted_until,
        }
    }
}

/// Something that happened to an alert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertEvent {
    #[schema(value_type = String)]
    id: EventId,
    at: Timestamp,
    /// `raised`, `repeated`, `recovered` or `dropped`.
    #[schema(value_type = String)]
    change: AlertChange,
    /// The words at that time.
    message: String,
    /// Whether you have read it.
    read: bool,
    /// The alert as it is now.
    alert: Alert,
}

impl From<AlertEventRow> for AlertEvent {
    fn from(row: AlertEventRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            change: row.change,
            message: row.message,
            read: row.is_read,
            alert: row.alert.into(),
        }
    }
}

/// Which alerts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct AlertQuery {
    /// Only those that go on, or only those that have ended.
    open: Option<bool>,
    /// A rule's id.
    #[param(value_type = Option<String>)]
    rule: Option<RuleId>,
    /// A kind of trouble: `failed`, `late`, …
    kind: Option<String>,
    /// What it is with: `mapping`, `model`, `destination` or `source`.
    subject_kind: Option<String>,
    /// The name of what it is with.
    subject: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl AlertQuery {
    fn into_parts(self) -> (AlertFilter, PageQuery) {
        let filter = AlertFilter {
            is_open: self.open,
            rule: self.rule,
            kind: self.kind,
            subject_kind: self.subject_kind,
            subject: self.subject,
        };
        (filter, PageQuery { limit: self.limit, cursor: self.cursor })
    }
}

/// Which events, beside what they are about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct AlertEventQuery {
    /// Only events of alerts that go on, or of those that have ended.
    open: Option<bool>,
    /// A rule's id.
    #[param(value_type = Option<String>)]
    rule: Option<RuleId>,
    /// A kind of trouble: `failed`, `late`, …
    kind: Option<String>,
    /// What it is with: `mapping`, `model`, `destination` or `source`.
    subject_kind: Option<String>,
    /// The name of what it is with.
    subject: Option<String>,
    /// `raised`, `repeated`, `recovered` or `dropped`.
    #[param(value_type = Option<String>)]
    change: Option<AlertChange>,
    /// Not earlier than this.
    from: Option<Timestamp>,
    /// Earlier than this.
    to: Option<Timestamp>,
    /// Only those that you have not read.
    unread: Option<bool>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The alerts, newest first
#[utoipa::path(
    get, path = "/alerts", operation_id = "list_alerts", tag = "alerts", params(AlertQuery),
    responses((status = OK, description = "A page of them", body = Page<Alert>)),
)]
async fn list_alerts(
    State(state): State<AppState>,
    Query(query): Query<AlertQuery>,
) -> Result<Json<Page<Alert>>, ApiError> {
    let (filter, page) = query.into_parts();
    let (limit, before) = (page.limit()?, page.after::<AlertId>()?);
    let rows = state.store.alerts(&filter, before, limit + 1).await?;
    Ok(Json(Page::of(rows, limit, |row| row.id, Into::into)))
}

/// An alert
#[utoipa::path(
    get, path = "/alerts/{alert}", operation_id = "get_alert", tag = "alerts",
    params(("alert" = String, Path, description = "Its id")),
    responses((status = OK, description = "It", body = Alert)),
)]
async fn get_alert(State(state): State<AppState>, Path(alert): Path<String>) -> Result<Json<Alert>, ApiError> {
    Ok(Json(state.store.alert(id(&alert)?).await?.into()))
}

/// Say that somebody has taken note of an alert
///
/// It is not told again while it goes on; its end is.
#[utoipa::path(
    post, path = "/alerts/{alert}/acknowledge", operation_id = "acknowledge_alert", tag = "alerts",
    params(("alert" = String, Path, description = "Its id")),
    responses((status = OK, description = "As it is now", body = Alert)),
)]
async fn acknowledge_alert(
    State(state): State<AppState>,
    caller: Caller,
    Path(alert): Path<String>,
) -> Result<Json<Alert>, ApiError> {
    Ok(Json(state.store.acknowledge_alert(id(&alert)?, &caller.author).await?.into()))
}

/// Tell nothing of an alert until then
#[utoipa::path(
    post, path = "/alerts/{alert}/mute", operation_id = "mute_alert", tag = "alerts",
    params(("alert" = String, Path, description = "Its id")),
    request_body = Mute,
    responses((status = OK, description = "As it is now", body = Alert)),
)]
async fn mute_alert(
    State(state): State<AppState>,
    caller: Caller,
    Path(alert): Path<String>,
    Json(mute): Json<Mute>,
) -> Result<Json<Alert>, ApiError> {
    Ok(Json(state.store.mute_alert(id(&alert)?, mute.until, &caller.author).await?.into()))
}

/// All that happened to alerts, newest first
#[utoipa::path(
    get, path = "/alert-events", operation_id = "list_alert_events", tag = "alerts", params(AlertEventQuery),
    responses((status = OK, description = "A page of it", body = Page<AlertEvent>)),
)]
async fn list_alert_events(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<AlertEventQuery>,
) -> Result<Json<Page<AlertEvent>>, ApiError> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let alert = AlertFilter {
        is_open: query.open,
        rule: query.rule,
        kind: query.kind,
        subject_kind: query.subject_kind,
        subject: query.subject,
    };
    let filter = AlertEventFilter {
        alert,
        change: query.change,
        from: query.from,
        to: query.to,
        is_unread: query.unread == Some(true),
    };
    let (limit, before) = (page.limit()?, page.after::<EventId>()?);
    let rows = state.store.alert_events(&filter, &caller.user.id.to_string(), before, limit + 1).await?;
    Ok(Json(Page::of(rows, limit, |row| row.id, Into::into)))
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnreadAlertEvents {
    /// Events that you have not read, counted up to 1,000.
    unread: u64,
}

/// How many events you have not read
#[utoipa::path(
    get, path = "/alert-events/unread", operation_id = "count_unread_alert_events", tag = "alerts",
    responses((status = OK, description = "How many", body = UnreadAlertEvents)),
)]
async fn count_unread_alert_events(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<UnreadAlertEvents>, ApiError> {
    let unread = state.store.unread_alert_events(&caller.user.id.to_string(), UNREAD_MAX).await?;
    Ok(Json(UnreadAlertEvents { unread }))
}

/// What you have read. One of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadAlertEvents {
    /// This event and all before it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    up_to: Option<EventId>,
    /// These events.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 500)]
    events: Vec<EventId>,
}

/// Mark events as read by you
#[utoipa::path(
    post, path = "/alert-events/read", operation_id = "read_alert_events", tag = "alerts",
    request_body = ReadAlertEvents,
    responses((status = NO_CONTENT, description = "They are marked")),
)]
async fn read_alert_events(
    State(state): State<AppState>,
    caller: Caller,
    Json(read): Json<ReadAlertEvents>,
) -> Result<StatusCode, ApiError> {
    if read.events.len() > 500 {
        return Err(ApiError::invalid("events", format!("has {} ids; it may have at most 500", read.events.len())));
    }
    if let Some(event) = read.up_to {
        state.store.read_alert_events_up_to(&caller.user.id.to_string(), event).await?;
    }
    for event in read.events {
        state.store.read_alert_event(&caller.user.id.to_string(), event).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn id(text: &str) -> Result<AlertId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("alert", text))
}

#[cfg(test)]
mod tests;
