//! Alert rules: what is watched, what counts as trouble, who is told.

use alerts::RuleForm;
use axum::{extract::State, response::IntoResponse};
use http::{StatusCode, header};
use jiff::Timestamp;
use records::RuleId;
use serde::{Deserialize, Serialize};
use store::{Actor, AlertError, AlertRuleRow};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::audit::ActorView;
use crate::{
    ApiError, AppState, Code,
    caller::Caller,
    etag::{IfMatch, Versioned},
    extract::{Json, Path, Query},
    form_schema::AlertRuleForm,
    page::{Page, PageQuery},
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_alert_rules, create_alert_rule))
        .routes(routes!(get_alert_rule, replace_alert_rule, delete_alert_rule))
        .routes(routes!(mute_alert_rule))
}

/// A rule that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAlertRule {
    /// What people call it; letters, digits, `_` and `-`. It never changes.
    #[schema(example = "production")]
    name: String,
    rule: AlertRuleForm,
}

/// What a rule is to be from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedAlertRule {
    rule: AlertRuleForm,
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertRule {
    #[schema(value_type = String)]
    id: RuleId,
    name: String,
    rule: AlertRuleForm,
    /// Whether it watches.
    enabled: bool,
    /// Nothing is told by it until then.
    muted_until: Option<Timestamp>,
    /// Grows by one with every change; the same as in `ETag`.
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    updated_by: ActorView,
}

/// Until when nothing is told.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mute {
    /// Null: it is told again from now on.
    pub(super) until: Option<Timestamp>,
}

pub(super) fn actor(actor: Actor) -> ActorView {
    ActorView { id: actor.id, name: actor.name }
}

impl TryFrom<AlertRuleRow> for AlertRule {
    type Error = ApiError;

    fn try_from(row: AlertRuleRow) -> Result<Self, ApiError> {
        Ok(Self {
            id: row.id,
            name: row.name,
            rule: serde_json::from_value(row.document).map_err(ApiError::internal)?,
            enabled: row.enabled,
            muted_until: row.muted_until,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            updated_by: actor(row.updated_by),
        })
    }
}

fn versioned(row: AlertRuleRow) -> Result<Versioned<AlertRule>, ApiError> {
    Ok(Versioned(row.version, row.try_into()?))
}

impl From<AlertError> for ApiError {
    fn from(error: AlertError) -> Self {
        match &error {
            AlertError::Missing { noun, name } => Self::not_found(noun, name),
            AlertError::Taken { .. } => Self::new(Code::Conflict, error.to_string()),
            AlertError::Name { .. } => Self::invalid("name", error.to_string()),
            AlertError::Outdated { .. } => {
                Self::new(Code::VersionMismatch, error.to_string()).with_hint("read it again and repeat your change")
            }
            AlertError::Used { .. } => Self::new(Code::InUse, error.to_string()),
            AlertError::Dangling { .. } => Self::invalid("rule.channels", error.to_string()),
            AlertError::Store(_) => match error {
                AlertError::Store(error) => error.into(),
                error => Self::internal(error),
            },
        }
    }
}

/// All that is wrong in a form that stands in the field `at`.
pub(super) fn problems(at: &str, problems: Vec<alerts::Problem>) -> ApiError {
    let mut error = ApiError::new(Code::Invalid, "the request is not valid");
    for (index, problem) in problems.into_iter().enumerate() {
        let field = if problem.field.is_empty() { at.to_owned() } else { format!("{at}.{}", problem.field) };
        if index == 0 {
            error = ApiError::new(Code::Invalid, format!("`{field}`: {}", problem.message));
        }
        error = error.with_field(field, problem.message);
    }
    error
}

/// The document that is kept, if the form is right.
fn document(form: &RuleForm) -> Result<serde_json::Value, ApiError> {
    form.check().map_err(|found| problems("rule", found))?;
    serde_json::to_value(form).map_err(ApiError::internal)
}

/// The alert rules, by name
#[utoipa::path(
    get, path = "/alert-rules", operation_id = "list_alert_rules", tag = "alerts", params(PageQuery),
    responses((status = OK, description = "A page of them", body = Page<AlertRule>)),
)]
async fn list_alert_rules(
    State(state): State<AppState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AlertRule>>, ApiError> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let rows = state.store.alert_rules(after.as_deref(), limit + 1).await?;
    let rules = rows.into_iter().map(AlertRule::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page::of(rules, limit, |rule| rule.name.clone(), |rule| rule)))
}

/// Make an alert rule
#[utoipa::path(
    post, path = "/alert-rules", operation_id = "create_alert_rule", tag = "alerts", request_body = NewAlertRule,
    responses((status = CREATED, description = "It watches from now on", body = AlertRule)),
)]
async fn create_alert_rule(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<NewAlertRule>,
) -> Result<impl IntoResponse, ApiError> {
    let document = document(&new.rule.0)?;
    let row = state.store.create_alert_rule(&new.name, &document, &caller.author).await?;
    let location = [(header::LOCATION, format!("/api/v1/alert-rules/{}", row.name))];
    Ok((StatusCode::CREATED, location, versioned(row)?))
}

/// An alert rule, by name or id
#[utoipa::path(
    get, path = "/alert-rules/{rule}", operation_id = "get_alert_rule", tag = "alerts",
    params(("rule" = String, Path, description = "Its name or id")),
    responses((status = OK, description = "It", body = AlertRule)),
)]
async fn get_alert_rule(
    State(state): State<AppState>,
    Path(rule): Path<String>,
) -> Result<Versioned<AlertRule>, ApiError> {
    versioned(state.store.alert_rule(&rule).await?)
}

/// Replace an alert rule
///
/// Alerts that it would not raise any more are closed without a word.
#[utoipa::path(
    put, path = "/alert-rules/{rule}", operation_id = "replace_alert_rule", tag = "alerts",
    params(
        ("rule" = String, Path, description = "Its name or id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version you read"),
    ),
    request_body = ChangedAlertRule,
    responses((status = OK, description = "As it is now", body = AlertRule)),
)]
async fn replace_alert_rule(
    State(state): State<AppState>,
    caller: Caller,
    Path(rule): Path<String>,
    version: IfMatch,
    Json(changed): Json<ChangedAlertRule>,
) -> Result<Versioned<AlertRule>, ApiError> {
    let document = document(&changed.rule.0)?;
    versioned(state.store.replace_alert_rule(&rule, version.version(), &document, &caller.author).await?)
}

/// Delete an alert rule
///
/// Its alerts that are going on are closed without a word.
#[utoipa::path(
    delete, path = "/alert-rules/{rule}", operation_id = "delete_alert_rule", tag = "alerts",
    params(
        ("rule" = String, Path, description = "Its name or id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version you read"),
    ),
    responses((status = NO_CONTENT, description = "It is gone")),
)]
async fn delete_alert_rule(
    State(state): State<AppState>,
    caller: Caller,
    Path(rule): Path<String>,
    version: IfMatch,
) -> Result<StatusCode, ApiError> {
    state.store.remove_alert_rule(&rule, version.version(), &caller.author).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tell nothing by an alert rule until then
///
/// Its alerts are written down meanwhile, and those that still go on then are told then.
#[utoipa::path(
    post, path = "/alert-rules/{rule}/mute", operation_id = "mute_alert_rule", tag = "alerts",
    params(("rule" = String, Path, description = "Its name or id")),
    request_body = Mute,
    responses((status = OK, description = "As it is now", body = AlertRule)),
)]
async fn mute_alert_rule(
    State(state): State<AppState>,
    caller: Caller,
    Path(rule): Path<String>,
    Json(mute): Json<Mute>,
) -> Result<Versioned<AlertRule>, ApiError> {
    versioned(state.store.mute_alert_rule(&rule, mute.until, &caller.author).await?)
}

#[cfg(test)]
mod tests;
