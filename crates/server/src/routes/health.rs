//! Whether the server lives and can work: for those who watch and restart it.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{ApiError, AppState, Code, extract::Json};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(get_live)).routes(routes!(get_ready))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`; what is not well is answered as a problem.
    status: &'static str,
}

const OK: Json<Health> = Json(Health { status: "ok" });

/// Whether the process answers
///
/// It says nothing of what it depends on, so that a database that is away gets nothing restarted.
#[utoipa::path(
    get, path = "/health/live", operation_id = "get_live", tag = "about", security(()),
    responses((status = OK, description = "It does", body = Health)),
)]
async fn get_live() -> Json<Health> {
    OK
}

/// Whether the server can do its work
///
/// It cannot while the control store is away, and from when it was told to end.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "get_ready", tag = "about", security(()),
    responses((status = OK, description = "It can", body = Health)),
)]
async fn get_ready(State(state): State<AppState>) -> Result<Json<Health>, ApiError> {
    if state.shutdown.is_cancelled() {
        return Err(ApiError::new(Code::ShuttingDown, "the server is ending"));
    }
    state.store.check().await?;
    Ok(OK)
}
