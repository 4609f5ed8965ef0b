//! Versions in headers: answers carry `ETag: "v7"`, and whoever changes a thing says in `If-Match` which version it
//! was, so that nobody overwrites what he has not seen.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header, request::Parts};
use serde::Serialize;

use crate::{ApiError, Code, extract::Json};

/// A thing with its version.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<T>(pub(crate) u64, pub(crate) T);

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.1).into_response();
        if let Ok(value) = HeaderValue::try_from(tag(self.0)) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response
    }
}

fn tag(version: u64) -> String {
    format!("\"v{version}\"")
}

/// The version that the caller means to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: whichever it is.
    Any,
    Version(u64),
}

impl IfMatch {
    /// Refuses what is meant for another version than `current`.
    pub(crate) fn check(self, current: u64) -> Result<(), ApiError> {
        match self {
            IfMatch::Any => Ok(()),
            IfMatch::Version(version) if version == current => Ok(()),
            IfMatch::Version(version) => {
                let detail = format!("you changed version {version}, and it is at version {current} now");
                Err(ApiError::new(Code::VersionMismatch, detail).with_hint("read it again and repeat your change"))
            }
        }
    }

    /// The version to demand from the store; None for any.
    pub(crate) fn version(self) -> Option<u64> {
        match self {
            IfMatch::Any => None,
            IfMatch::Version(version) => Some(version),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            let error = ApiError::new(Code::VersionRequired, "the header `If-Match` is missing");
            return Err(error.with_hint("send the `ETag` of the version you read, or `*` for any"));
        };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(IfMatch::Any);
        }
        // A proxy that compresses makes the tag a weak one.
        let strong = text.strip_prefix("W/").unwrap_or(text);
        let version = strong.strip_prefix("\"v").and_then(|rest| rest.strip_suffix('"')?.parse().ok());
        version.map(IfMatch::Version).ok_or_else(|| {
            ApiError::invalid("If-Match", "is no version of this API").with_hint("send the `ETag` as you read it")
        })
    }
}

#[cfg(test)]
mod tests;
