//! Each request has an id: in the answer's header, in problems, in the log and in the audit log. Here too every request
//! is logged, panics become problems, and problems get their id.

use std::{any::Any, panic::AssertUnwindSafe};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, header};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{ApiError, AppState, Code, problem_body};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// What a proxy may call a request at most.
const LENGTH_MAX: usize = 64;

/// What this request is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What a proxy in front calls it, or a new one.
    fn of(request: &Request, state: &AppState) -> Self {
        let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_usable(text));
        Self(given.map_or_else(|| format!("req_{:016x}", state.random.next()), ToOwned::to_owned))
    }
}

/// It goes into headers and logs as it is.
fn is_usable(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= LENGTH_MAX && text.bytes().all(is_plain)
}

/// The outermost layer.
pub(crate) async fn layer(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request, &state);
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    // The route's pattern; addresses may hold what is not for logs.
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id = id.as_str(), %method, route);
    let began = Instant::now();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = answered.unwrap_or_else(|panic| panicked(&*panic));
    let _entered = span.enter();
    let status = response.status();
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let cause = error.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static));
        if status.is_server_error() {
            tracing::error!(code = error.code.word(), detail = error.detail, error = cause, "a request failed");
        } else {
            tracing::debug!(code = error.code.word(), error = cause, "a request was refused");
        }
        *response.body_mut() = problem_body::response(&error, Some(id.as_str())).into_body();
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    tracing::debug!(status = status.as_u16(), milliseconds = began.elapsed().as_millis(), "answered");
    if let Ok(value) = HeaderValue::try_from(id.0) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// The panic's own message may hold anything, so it is not passed on; the process's hook has printed it.
fn panicked(_: &(dyn Any + Send)) -> Response<Body> {
    let error = ApiError::new(Code::Internal, "the request could not be carried out");
    error.with_hint("this is a fault of Outflow; the server's log tells more under this request id").into_response()
}

#[cfg(test)]
mod tests;
