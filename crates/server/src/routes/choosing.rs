//! What a field of an action may be, as the tool knows it: its lists, properties, objects.

use axum::extract::State;
use kit::ChoiceQuery;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use store::ResourceKind;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::trying::kept;
use crate::{
    ApiError, AppState, Code,
    error::chain,
    extract::{Json, Path},
};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(list_choices))
}

/// Which values are asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChoiceForm {
    action: String,
    /// The hook whose input it is; absent for a field of the action.
    hook: Option<String>,
    /// `list_id`; `object_details.object_type` for a field of an object; `properties.__keys__` for its keys.
    field: String,
    /// The fields that are filled already: one may depend on another.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    fields: Map<String, Value>,
    /// Only values whose label holds this, where the tool can search.
    search: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Choices {
    items: Vec<ChoiceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChoiceView {
    value: String,
    label: String,
    description: String,
}

/// List what a field may be
///
/// Asks the tool, and changes nothing there.
#[utoipa::path(
    post, path = "/destinations/{name}/choices", operation_id = "list_choices", tag = "destinations",
    params(("name" = String, Path, description = "Its name or id")), request_body = ChoiceForm,
    responses((status = OK, description = "A page of values", body = Choices)),
)]
async fn list_choices(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Json(form): Json<ChoiceForm>,
) -> Result<Json<Choices>, ApiError> {
    let (wired, name) = kept(&state, ResourceKind::Destination, &name).await?;
    let place = format!("destinations/{name}");
    let connection = state.workers.wire_destination(&wired, &name);
    let connection = connection.map_err(|error| ApiError::of_service(error, &place))?;
    let Some(action) = connection.destination.facts().action(&form.action) else {
        return Err(ApiError::invalid("action", format!("`{name}` has no action `{}`", form.action)));
    };
    let query = ChoiceQuery {
        action: action.slug.clone(),
        hook: form.hook,
        field: form.field,
        fields: Value::Object(form.fields).into(),
        search: form.search,
        page: form.cursor,
    };
    let asked = tokio::time::timeout(PATIENCE, connection.destination.choices(&query, &connection.wire)).await;
    let failed = |said: String| ApiError::new(Code::UpstreamFailed, wired.project.secrets.hide(&said));
    let page = match asked {
        Ok(Ok(page)) => page,
        Ok(Err(error)) => return Err(failed(chain(&connection.wire.redact_error(error)))),
        Err(_) => return Err(failed(format!("there was no answer for {} seconds", PATIENCE.as_secs()))),
    };
    let view = |choice: kit::DynamicChoice| ChoiceView {
        value: choice.value,
        label: choice.label,
        description: choice.description,
    };
    Ok(Json(Choices { items: page.choices.into_iter().map(view).collect(), next_cursor: page.next }))
}
