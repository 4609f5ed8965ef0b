//! What every request passes before its route: who calls is found out, requests that another site's page made are
//! turned away, and the caller must have the right that the operation asks for.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, header};
use store::{Actor, Role, Session, Token, User};

use crate::{
    ApiError, AppState, Code,
    caller::{Identity, Way, sign_in_required, unknown_caller},
    cookies,
    openapi::BASE,
    operations::{Access, Operations},
    rights::Rights,
    tickets,
};

/// Pages send it with what changes something; forms and links of other sites cannot.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-outflow-csrf");

/// The layer's state: the server's, and what each route asks for.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) state: AppState,
    pub(crate) operations: Arc<Operations>,
}

pub(crate) async fn layer(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    match gate.admit(&mut request).await {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

impl Gate {
    async fn admit(&self, request: &mut Request) -> Result<(), ApiError> {
        let Some(route) = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned()) else {
            return Ok(());
        };
        let access = self.operations.access(&route, request.method());
        if access == Some(Access::Signed) {
            return Ok(());
        }
        let identity = match self.identity(request.headers()).await {
            // What is open to everybody may use the header for signatures of its own.
            Err(error) if error.code() == Code::SignInRequired && !matches!(access, Some(Access::With(_))) => None,
            identity => identity?,
        };
        let by_token = matches!(identity, Some(Identity { way: Way::Token(_), .. }));
        if !by_token && !request.method().is_safe() {
            same_origin(request.headers(), &self.state)?;
            if identity.is_some() && !request.headers().contains_key(CSRF_HEADER) {
                return Err(other_site("the header `x-outflow-csrf` is missing"));
            }
        }
        match (access, &identity) {
            (Some(Access::Open | Access::Signed), _) => {}
            (Some(Access::With(right)), Some(identity)) => identity.may(right)?,
            (Some(Access::With(_)), None) => return Err(sign_in_required()),
            (Some(Access::Nobody), _) => return Err(ApiError::new(Code::NotAllowed, "nobody may do this yet")),
            // What is no part of the document guards itself, but it cannot be below the API's address.
            (None, _) if route.starts_with(BASE) && !self.operations.knows(&route) => {
                return Err(ApiError::new(Code::NotAllowed, "nobody may do this yet"));
            }
            // A method that the route has not is answered as such.
            (None, _) => {}
        }
        if let Some(identity) = identity {
            request.extensions_mut().insert(identity);
        }
        Ok(())
    }

    /// Who calls: a token goes before a session. None if neither is there or lasts still.
    async fn identity(&self, headers: &HeaderMap) -> Result<Option<Identity>, ApiError> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).filter(|token| token.starts_with(tickets::TOKEN_PREFIX));
            let Some(token) = token else { return Err(wrong_token()) };
            let found = self.state.store.token_of_hash(&tickets::hash(token)).await?;
            return found.map(|(token, user)| Some(of_token(token, user))).ok_or_else(wrong_token);
        }
        let settings = &self.state.settings;
        let Some(ticket) = cookies::SESSION.read(headers, &settings.public_url) else { return Ok(None) };
        let found = self.state.store.session_of_hash(&tickets::hash(ticket), settings.sessions).await?;
        Ok(found.map(|(session, user)| of_session(session, user)))
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn of_session(session: Session, user: User) -> Identity {
    let actor = Actor { id: user.id.to_string(), name: user.email.clone() };
    let rights = Rights { role: user.role, see_personal: user.sees_personal() };
    Identity { actor: Arc::new(actor), rights, user: Arc::new(user), way: Way::Session(session.id) }
}

/// A token has no right that its person has not, whatever they were when it was made.
fn of_token(token: Token, user: User) -> Identity {
    let actor = Actor { id: token.id.to_string(), name: format!("{} of {}", token.name, user.email) };
    let role: Role = token.role.min(user.role);
    let rights = Rights { role, see_personal: token.see_personal && user.sees_personal() };
    Identity { actor: Arc::new(actor), rights, user: Arc::new(user), way: Way::Token(token.id) }
}

/// Browsers say from which page a request comes that may change something; programs say nothing.
fn same_origin(headers: &HeaderMap, state: &AppState) -> Result<(), ApiError> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(origin) = text(&header::ORIGIN).filter(|origin| *origin != state.settings.public_url.origin()) {
        let error = other_site(&format!("the page that asks is of `{origin}`"));
        return Err(error.with_hint(format!(
            "if that is where people reach this server, it must be its public address, which is `{}` now",
            state.settings.public_url
        )));
    }
    match text(&HeaderName::from_static("sec-fetch-site")) {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(other_site("the page that asks is of another site")),
    }
}

fn other_site(detail: &str) -> ApiError {
    ApiError::new(Code::OtherSite, detail)
}

fn wrong_token() -> ApiError {
    unknown_caller("the token is not known, has expired or was taken back")
}

#[cfg(test)]
mod tests;
