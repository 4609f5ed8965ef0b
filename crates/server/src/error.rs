//! What answers of the API say when something went wrong: `application/problem+json` (RFC 9457) with stable codes.

mod codes;
mod definitions;

use std::{error::Error, sync::Arc};

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

pub use codes::Code;

use crate::problem_body;

/// After how many seconds to try again when the store cannot be reached.
const STORE_RETRY_SECONDS: u32 = 5;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Its path: `fields.email`, `steps[2].name`; a parameter's name.
    pub field: String,
    pub message: String,
}

/// An answer that is not what was asked for. What people read is here; the cause goes to the log alone.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub(crate) code: Code,
    pub(crate) detail: String,
    pub(crate) hint: Option<String>,
    pub(crate) fields: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// `detail` says what happened, to what (in backticks); it holds no secret and no text of a cause.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), hint: None, fields: Vec::new(), headers: Vec::new(), cause: None }
    }

    /// There is no such thing, or the caller may not know of it.
    pub fn not_found(noun: &str, name: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {noun} `{name}`"))
    }

    /// One field of the request is wrong.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::new(Code::Invalid, format!("`{field}`: {message}")).with_field(field, message)
    }

    /// A fault of our own; the answer says no more than that.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        let error = Self::new(Code::Internal, "the request could not be carried out");
        error.with_hint("the server's log tells more under this request id").with_cause(cause)
    }

    /// What to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.fields.push(FieldError { field: field.into(), message: message.into() });
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Why, for the log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownSync(id) => Self::not_found("sync", &id),
            StoreError::AmbiguousSync { .. } => Self::invalid("id", error.to_string()),
            StoreError::Full { .. } => Self::new(Code::StoreUnavailable, "the disk of the control store is full")
                .with_hint("free some of it")
                .with_cause(error),
            error if error.is_passing() => Self::new(Code::StoreUnavailable, "the control store cannot be reached")
                .with_hint("try again in a moment")
                .with_header(header::RETRY_AFTER, STORE_RETRY_SECONDS)
                .with_cause(error),
            error => Self::internal(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = problem_body::response(&self, None);
        for (name, value) in &self.headers {
            response.headers_mut().append(name, value.clone());
        }
        // Whoever knows the request's id writes the body anew with it.
        response.extensions_mut().insert(self);
        response
    }
}

/// An error with its causes, for people.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
