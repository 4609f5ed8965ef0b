//! The API's own description.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{AppState, openapi};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(get_openapi))
}

/// Made once: it is large and never changes.
static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| Bytes::from(serde_json::to_vec(&openapi::openapi()).unwrap_or_default()));

/// The OpenAPI document of this API
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_openapi", tag = "about", security(()),
    responses((status = OK, description = "OpenAPI 3.1", body = Object)),
)]
async fn get_openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}
