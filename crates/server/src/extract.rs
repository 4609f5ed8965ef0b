//! What routes take from requests, with problems for answers when it is not there or not right.

use std::time::Duration;

use axum::{
    extract::{FromRequest, FromRequestParts, Request, path::ErrorKind, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::{Serialize, de::DeserializeOwned};

use crate::{ApiError, Code};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A body of JSON, in requests and in answers.
#[derive(Debug, Clone)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let error = ApiError::new(Code::WrongMediaType, "the body is not said to be JSON");
            return Err(error.with_hint("send the header `content-type: application/json`"));
        }
        let bytes = body(request, state).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Reads a body whole, within the limits of size and time.
pub(crate) async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let read = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await;
    let read = read.map_err(|_| ApiError::new(Code::RequestTimeout, "the body did not arrive in time"))?;
    read.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::BodyTooLarge, "the body is larger than the server takes"),
        _ => ApiError::new(Code::MalformedRequest, "the body broke off").with_cause(rejection),
    })
}

/// Reads JSON, and says which field is wrong.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        refusal(if field == "." { "" } else { &field }, error.inner())
    })?;
    reader.end().map_err(|error| refusal("", &error))?;
    Ok(value)
}

fn refusal(field: &str, error: &serde_json::Error) -> ApiError {
    // Messages end with a place in the text, which says nothing to whoever did not write it by hand.
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let short = message.strip_suffix(&place).unwrap_or(&message);
    if error.is_data() {
        let detail = if field.is_empty() { short.to_owned() } else { format!("`{field}`: {short}") };
        ApiError::new(Code::Invalid, detail).with_field(field, short)
    } else {
        ApiError::new(Code::MalformedRequest, format!("the body is not JSON: {message}"))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The parameters in the address's path.
#[derive(Debug, Clone)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(value)| Self(value)).map_err(|rejection| {
            let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
                return ApiError::internal(rejection);
            };
            match failed.into_kind() {
                ErrorKind::ParseErrorAtKey { key, value, expected_type } => {
                    ApiError::invalid(key, format!("`{value}` is no {expected_type}"))
                }
                ErrorKind::DeserializeError { key, message, .. } => ApiError::invalid(key, message),
                ErrorKind::InvalidUtf8InPathParam { key } => ApiError::invalid(key, "is not UTF-8"),
                // Of an address that means nothing, nothing is there.
                ErrorKind::ParseError { value, .. } | ErrorKind::ParseErrorAtIndex { value, .. } => {
                    ApiError::new(Code::NotFound, format!("there is no `{value}`"))
                }
                other => ApiError::new(Code::NotFound, other.to_string()),
            }
        })
    }
}

/// The parameters behind the address's `?`.
#[derive(Debug, Clone)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(
            parts.uri.query().unwrap_or_default().as_bytes(),
        ));
        serde_path_to_error::deserialize(reader).map(Self).map_err(|error| {
            let field = error.path().to_string();
            let field = if field == "." { String::new() } else { field };
            let message = error.inner().to_string();
            let detail = if field.is_empty() { message.clone() } else { format!("`{field}`: {message}") };
            ApiError::new(Code::Invalid, detail).with_field(field, message)
        })
    }
}

#[cfg(test)]
mod tests;
