//! The router of a whole server, with the layers every request passes.

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware};
use http::{Method, Uri};

use crate::{
    ApiError, AppState, Code,
    gate::{self, Gate},
    operations::Operations,
    request_id, routes, security_headers,
};

/// All routes behind all layers.
pub fn router(state: AppState) -> Router {
    let (router, document) = routes::all().split_for_parts();
    let gate = Gate { state: state.clone(), operations: Arc::new(Operations::of(&document)) };
    router
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(gate, gate::layer))
        .layer(DefaultBodyLimit::max(state.settings.body_bytes_max))
        .layer(middleware::from_fn_with_state(state.clone(), security_headers::layer))
        // The last is the outermost.
        .layer(middleware::from_fn_with_state(state.clone(), request_id::layer))
        .with_state(state)
}

async fn no_route(uri: Uri) -> ApiError {
    ApiError::not_found("address", uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(Code::MethodNotAllowed, format!("`{}` takes no `{method}`", uri.path()))
        .with_hint("the header `allow` lists the methods that it takes")
}

#[cfg(test)]
mod tests;
