//! Who calls: routes take a [`Caller`], and may ask what it may do beyond what their operation asks of everybody.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{HeaderValue, header, request::Parts};
use records::{SessionId, TokenId};
use store::{Actor, Author, User};

use crate::{
    ApiError, AppState, Code,
    request_id::RequestId,
    rights::{Right, Rights},
};

/// Somebody who signed in, or a program with a token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The person, or the person in whose name the token acts.
    pub(crate) user: Arc<User>,
    pub(crate) rights: Rights,
    pub(crate) way: Way,
    /// For every write: who, and in which request.
    pub(crate) author: Author,
}

/// How a caller showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Session(SessionId),
    Token(TokenId),
}

/// What is known of the caller when its request reaches a route.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) actor: Arc<Actor>,
    pub(crate) rights: Rights,
    pub(crate) user: Arc<User>,
    pub(crate) way: Way,
}

impl Identity {
    pub(crate) fn may(&self, right: Right) -> Result<(), ApiError> {
        may(self.rights, right, &self.actor.name)
    }
}

impl Caller {
    pub(crate) fn has(&self, right: Right) -> bool {
        self.rights.has(right)
    }

    /// Refuses what the caller has no right to. What an operation asks of everybody stands in `operations.txt` and was
    /// asked already; this is for what depends on the request.
    pub(crate) fn may(&self, right: Right) -> Result<(), ApiError> {
        may(self.rights, right, &self.author.actor.name)
    }

    /// The session, where only a person may do something: a token that leaked must not outlive its end by making
    /// another.
    pub(crate) fn session(&self) -> Result<SessionId, ApiError> {
        match self.way {
            Way::Session(id) => Ok(id),
            Way::Token(_) => Err(ApiError::new(Code::NotAllowed, "a token may not do this")
                .with_hint("sign in as a person, with e-mail address and password or at the identity provider")),
        }
    }
}

fn may(rights: Rights, right: Right, name: &str) -> Result<(), ApiError> {
    if rights.has(right) {
        return Ok(());
    }
    let detail = format!("`{name}` has no right to {}", right.name());
    Err(ApiError::new(Code::NotAllowed, detail).with_hint("ask an owner for a role that has it"))
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
        let Some(Identity { actor, rights, user, way }) = parts.extensions.get::<Identity>().cloned() else {
            return Ok(None);
        };
        let author = Author::new((*actor).clone(), request_id(parts), Arc::clone(&state.random));
        Ok(Some(Self { user, rights, way, author }))
    }
}

/// Who acts where nobody has signed in yet: the request as such, to be made somebody.
#[derive(Debug, Clone)]
pub(crate) struct Stranger {
    request_id: Option<String>,
    state: AppState,
}

impl Stranger {
    /// The person that the stranger turned out to be.
    pub(crate) fn author(&self, user_id: String, email: &str) -> Author {
        let actor = Actor { id: user_id, name: email.to_owned() };
        Author::new(actor, self.request_id.clone(), Arc::clone(&self.state.random))
    }
}

impl FromRequestParts<AppState> for Stranger {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Ok(Self { request_id: request_id(parts), state: state.clone() })
    }
}

fn request_id(parts: &Parts) -> Option<String> {
    parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned())
}

pub(crate) fn sign_in_required() -> ApiError {
    unknown_caller("this needs a session or a token")
}

pub(crate) fn unknown_caller(detail: &str) -> ApiError {
    ApiError::new(Code::SignInRequired, detail)
        .with_hint("sign in, or send the header `authorization: Bearer of_…`")
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"outflow\""))
}
