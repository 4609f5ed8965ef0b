//! All routes: one file a noun, each with its operations and the forms they take and give.

mod document;
mod health;

use utoipa_axum::router::OpenApiRouter;

use crate::{AppState, openapi};

/// Every route with its part of the OpenAPI document.
pub(crate) fn all() -> OpenApiRouter<AppState> {
    let api = OpenApiRouter::default().merge(document::routes());
    let mut all = OpenApiRouter::with_openapi(openapi::base()).merge(health::routes()).nest(openapi::BASE, api);
    openapi::complete(all.get_openapi_mut());
    all
}
