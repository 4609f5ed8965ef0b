//! Who calls, found out before the route is reached: routes take a [`Caller`] and ask what it may do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{HeaderValue, header, request::Parts};
use store::{Actor, Author};

use crate::{
    ApiError, AppState, Code,
    request_id::RequestId,
    rights::{Right, Rights},
};

/// The cookie of a session.
pub(crate) const SESSION_COOKIE: &str = "outflow_session";

/// Somebody who signed in, or a program with a token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) actor: Arc<Actor>,
    pub(crate) rights: Rights,
    pub(crate) author: Author,
}

/// What the layer that knows people puts into a request.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) actor: Arc<Actor>,
    pub(crate) rights: Rights,
}

impl Caller {
    pub(crate) fn has(&self, right: Right) -> bool {
        self.rights.has(right)
    }

    /// The first line of every operation.
    pub(crate) fn may(&self, right: Right) -> Result<(), ApiError> {
        if self.has(right) {
            return Ok(());
        }
        let detail = format!("`{}` has no right to {}", self.actor.name, right.name());
        Err(ApiError::new(Code::NotAllowed, detail).with_hint("ask an owner for a role that has it"))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = <Self as OptionalFromRequestParts<AppState>>::from_request_parts(parts, state).await?;
        caller.ok_or_else(sign_in_required)
    }
}

impl OptionalFromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Option<Self>, ApiError> {
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
        let Some(Identity { actor, rights }) = parts.extensions.get::<Identity>().cloned() else { return Ok(None) };
        let author = Author::new((*actor).clone(), request_id, Arc::clone(&state.random));
        Ok(Some(Self { actor, rights, author }))
    }
}

pub(crate) fn sign_in_required() -> ApiError {
    ApiError::new(Code::SignInRequired, "this needs a session or a token")
        .with_hint("sign in, or send the header `authorization: Bearer of_…`")
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"outflow\""))
}
