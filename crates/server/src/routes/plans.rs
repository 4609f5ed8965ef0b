//! Plans: what a sync would do, looked at page by page, and sent exactly as it was looked at.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use records::{Operation, PlanId};
use serde::{Deserialize, Serialize};
use store::{PlanRow, PlanState};
use sync::{ChangePage, PageOptions, ShownChange, TriedPayload};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    caller::Caller,
    extract::{Json, Path, Query},
    page::{Page, PageQuery},
    personal,
    routes::syncs::ReasonView,
};

/// Sample changes per operation in a plan's summary.
const SAMPLES: usize = 5;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(start_plan)).routes(routes!(get_plan)).routes(routes!(list_plan_changes))
}

/// A plan. It is kept for a while after it is ready.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanView {
    #[schema(value_type = String, example = "plan_018fd11894007e4f9db6929b8d8367cf")]
    id: PlanId,
    mapping: String,
    /// `running`, `ready` or `failed`.
    #[schema(value_type = String)]
    state: PlanState,
    /// Counts, samples with their requests, what a guard would hold, refused records.
    #[schema(value_type = Option<Object>)]
    summary: Option<serde_json::Value>,
    error: Option<ReasonView>,
    requested_by: Option<String>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// When it is forgotten.
    expires_at: Timestamp,
}

impl From<PlanRow> for PlanView {
    fn from(plan: PlanRow) -> Self {
        Self {
            id: plan.id,
            mapping: plan.mapping,
            state: plan.state,
            summary: plan.summary,
            error: plan.error.map(ReasonView::from),
            requested_by: plan.requested_by.map(|actor| actor.name),
            created_at: plan.created_at,
            finished_at: plan.finished_at,
            expires_at: plan.expires_at,
        }
    }
}

impl personal::Hides for PlanView {
    fn hide(&mut self) {
        let Some(summary) = self.summary.as_mut().and_then(serde_json::Value::as_object_mut) else { return };
        for part in ["samples", "requests", "unusable", "refused"] {
            if summary.contains_key(part) {
                summary.insert(part.to_owned(), serde_json::Value::Array(Vec::new()));
            }
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesQuery {
    /// Only `added`, `updated` or `deleted` records.
    operation: Option<String>,
    /// Only records whose key holds this text.
    key: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before. A search may give a page without items and a next one.
    cursor: Option<String>,
}

impl ChangesQuery {
    pub(crate) fn options(self) -> Result<PageOptions, ApiError> {
        let operation = match self.operation.as_deref() {
            None => None,
            Some("added") => Some(Operation::Added),
            Some("updated") => Some(Operation::Updated),
            Some("deleted") => Some(Operation::Deleted),
            Some(_) => return Err(ApiError::invalid("operation", "is none of `added`, `updated`, `deleted`")),
        };
        let page = PageQuery { limit: self.limit, cursor: self.cursor };
        let limit = usize::try_from(page.limit()?).unwrap_or(usize::MAX);
        Ok(PageOptions { operation, key: self.key, from: page.after()?.unwrap_or(0), limit })
    }
}

/// A field before and after.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldChangeView {
    column: String,
    #[schema(value_type = Object)]
    before: records::Value,
    #[schema(value_type = Object)]
    after: records::Value,
}

/// A change, and what would be sent for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    key: String,
    /// `added`, `updated` or `deleted`.
    operation: &'static str,
    /// Columns that differ; for an added or deleted record all that the mapping uses.
    fields: Vec<FieldChangeView>,
    /// `{"is": "mapped", "fields": …}`, `{"is": "refused", "problems": …}` or `{"is": "left_out"}`.
    #[schema(value_type = Object)]
    payload: TriedPayload,
}

impl From<ShownChange> for ChangeView {
    fn from(change: ShownChange) -> Self {
        let field = |field: sync::FieldChange| FieldChangeView {
            column: field.column,
            before: field.before,
            after: field.after,
        };
        Self {
            key: change.key,
            operation: change.operation.name(),
            fields: change.fields.into_iter().map(field).collect(),
            payload: change.payload,
        }
    }
}

impl personal::Hides for ChangeView {
    fn hide(&mut self) {
        let hidden = || records::Value::Text(personal::HIDDEN.to_owned());
        self.key = personal::HIDDEN.to_owned();
        for field in &mut self.fields {
            (field.before, field.after) = (hidden(), hidden());
        }
        match &mut self.payload {
            TriedPayload::LeftOut => {}
            TriedPayload::Refused { problems, .. } => problems.clear(),
            TriedPayload::Mapped { fields } => *fields = hidden(),
        }
    }
}

/// A page of changes as its caller may see it.
pub(crate) async fn changes(
    state: &AppState,
    caller: &Caller,
    mapping: &str,
    page: ChangePage,
) -> Result<Json<Page<ChangeView>>, ApiError> {
    let mut items: Vec<ChangeView> = page.changes.into_iter().map(ChangeView::from).collect();
    personal::hide(state, caller, mapping, &mut items).await?;
    Ok(Json(Page::new(items, page.next.as_ref())))
}

pub(crate) fn id(text: &str) -> Result<PlanId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("plan", text))
}

async fn shown(state: &AppState, caller: &Caller, plan: PlanRow) -> Result<PlanView, ApiError> {
    let mapping = plan.mapping.clone();
    let mut view = [PlanView::from(plan)];
    personal::hide(state, caller, &mapping, &mut view).await?;
    let [view] = view;
    Ok(view)
}

/// Plan a sync
///
/// Reads the source and compares, and changes nothing anywhere.
#[utoipa::path(
    post, path = "/mappings/{mapping}/plans", operation_id = "start_plan", tag = "plans",
    params(("mapping" = String, Path, description = "Its name or id")),
    responses((status = ACCEPTED, description = "It is being made", body = PlanView)),
)]
async fn start_plan(
    State(state): State<AppState>,
    caller: Caller,
    Path(mapping): Path<String>,
) -> Result<Response, ApiError> {
    let mapping = state.mapping_name(&mapping).await?;
    let plan = state.workers.begin_plan(&mapping, SAMPLES, Some(&caller.author.actor)).await?;
    let place = format!("{}/plans/{}", crate::openapi::BASE, plan.id);
    let place = HeaderValue::try_from(place).map_err(ApiError::internal)?;
    let view = shown(&state, &caller, plan).await?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(view)).into_response())
}

/// Look at a plan
#[utoipa::path(
    get, path = "/plans/{plan}", operation_id = "get_plan", tag = "plans", params(("plan" = String, Path)),
    responses((status = OK, description = "The plan", body = PlanView)),
)]
async fn get_plan(
    State(state): State<AppState>,
    caller: Caller,
    Path(plan): Path<String>,
) -> Result<Json<PlanView>, ApiError> {
    let found = state.store.plan(id(&plan)?).await?.ok_or_else(|| ApiError::not_found("plan", &plan))?;
    shown(&state, &caller, found).await.map(Json)
}

/// List a plan's changes
#[utoipa::path(
    get, path = "/plans/{plan}/changes", operation_id = "list_plan_changes", tag = "plans",
    params(("plan" = String, Path), ChangesQuery),
    responses((status = OK, description = "In the order of the change set", body = Page<ChangeView>)),
)]
async fn list_plan_changes(
    State(state): State<AppState>,
    caller: Caller,
    Path(plan): Path<String>,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<Page<ChangeView>>, ApiError> {
    let id = id(&plan)?;
    let found = state.store.plan(id).await?.ok_or_else(|| ApiError::not_found("plan", &plan))?;
    let page = state.workers.plan_page(id, &query.options()?).await?;
    changes(&state, &caller, &found.mapping, page).await
}
