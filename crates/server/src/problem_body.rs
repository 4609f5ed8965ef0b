//! The body of a problem, as programs read it.

use std::borrow::Cow;

use axum::{body::Body, response::Response};
use http::{HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ApiError, FieldError};

pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// Where the code is explained.
    #[serde(rename = "type")]
    #[schema(value_type = String, format = "uri-reference", example = "/docs/errors/not_found")]
    kind: String,
    /// The same for every problem of this code.
    #[schema(value_type = String)]
    title: Cow<'a, str>,
    status: u16,
    /// Stays the same from version to version.
    #[schema(value_type = String, example = "not_found")]
    code: Cow<'a, str>,
    /// What happened, this time.
    #[schema(value_type = String)]
    detail: Cow<'a, str>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    hint: Option<Cow<'a, str>>,
    /// What is wrong with single fields of the request.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    errors: Cow<'a, [FieldError]>,
    /// What the server's log calls the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    request_id: Option<Cow<'a, str>>,
}

/// The answer that tells of an error, without its headers.
pub(crate) fn response(error: &ApiError, request_id: Option<&str>) -> Response {
    let problem = Problem {
        kind: format!("/docs/errors/{}", error.code.word()),
        title: error.code.title().into(),
        status: error.code.status().as_u16(),
        code: error.code.word().into(),
        detail: error.detail.as_str().into(),
        hint: error.hint.as_deref().map(Cow::from),
        errors: error.fields.as_slice().into(),
        request_id: request_id.map(Cow::from),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = error.code.status();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}
