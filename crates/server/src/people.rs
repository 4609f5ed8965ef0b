//! What routes about people share: from errors of the store to answers, forms of people, and beginning a session.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use records::{SessionId, UserId};
use serde::Serialize;
use store::{Author, NewSession, PeopleError, User};
use utoipa::ToSchema;

use crate::{
    ApiError, AppState, Code, cookies,
    rights::{Right, Rights, RoleWord},
    tickets,
};

/// What browsers call themselves is kept to this length.
const AGENT_CHARS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 100;
const EMAIL_BYTES_MAX: usize = 254;

impl From<PeopleError> for ApiError {
    fn from(error: PeopleError) -> Self {
        let text = error.to_string();
        match error {
            PeopleError::EmailTaken(_) => Self::new(Code::Conflict, text).with_field("email", "is taken"),
            PeopleError::Unknown(id) => Self::not_found("user", &id.to_string()),
            PeopleError::OtherVersion { .. } => {
                Self::new(Code::VersionMismatch, text).with_hint("read it again and repeat your change")
            }
            PeopleError::LastOwner(_) => Self::new(Code::LastOwner, text),
            PeopleError::LinkEnded => Self::new(Code::LinkEnded, text).with_hint("ask an owner for a new one"),
            PeopleError::OtherIdentity(_) => Self::new(Code::Conflict, text),
            PeopleError::Store(error) => error.into(),
        }
    }
}

/// A person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct UserView {
    #[schema(value_type = String, example = "user_018fd11894007e4f9db6929b8d8367cf")]
    id: UserId,
    email: String,
    name: String,
    #[schema(value_type = RoleWord)]
    role: store::Role,
    /// Whether values of columns marked personal are shown, where it is not as the role has it.
    see_personal: Option<bool>,
    /// All that the person may do.
    rights: Vec<Right>,
    /// Whether the person can sign in with a password.
    has_password: bool,
    /// Whether the person has signed in at the identity provider.
    has_identity: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    signed_in_at: Option<Timestamp>,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
            name: user.name.clone(),
            role: user.role,
            see_personal: user.see_personal,
            rights: Rights { role: user.role, see_personal: user.sees_personal() }.all(),
            has_password: user.has_password,
            has_identity: user.identity.is_some(),
            created_at: user.created_at,
            updated_at: user.updated_at,
            signed_in_at: user.signed_in_at,
        }
    }
}

/// A name of a person or token, without what no name has.
pub(crate) fn name(field: &str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > NAME_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(ApiError::invalid(field, format!("must have 1 to {NAME_CHARS_MAX} characters in one line")));
    }
    Ok(text.to_owned())
}

/// An e-mail address in small letters. Only what cannot be one is refused: the mail server knows the rest.
pub(crate) fn email(field: &str, text: &str) -> Result<String, ApiError> {
    let text = text.trim().to_lowercase();
    let is_fit = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    let parts = text.rsplit_once('@').filter(|(local, domain)| is_fit(local) && is_fit(domain));
    if parts.is_none() || text.len() > EMAIL_BYTES_MAX {
        return Err(ApiError::invalid(field, "is not an e-mail address"));
    }
    Ok(text)
}

/// The first value of a header, cut to a length that a list can show.
pub(crate) fn agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(agent.chars().take(AGENT_CHARS_MAX).collect())
}

/// Begins a session and gives the cookie that holds it. The session that the browser had before ends, so that nobody
/// goes on under a name that somebody else chose.
pub(crate) async fn begin_session(
    state: &AppState,
    user: &User,
    headers: &HeaderMap,
    address: IpAddr,
    author: &Author,
) -> Result<HeaderValue, ApiError> {
    let settings = &state.settings;
    if let Some(before) = cookies::SESSION.read(headers, &settings.public_url)
        && let Some((session, person)) = state.store.session_of_hash(&tickets::hash(before), settings.sessions).await?
    {
        state.store.end_session(person.id, session.id, author).await?;
    }
    state.store.forget_ended_sessions(settings.sessions).await?;
    let ticket = tickets::ticket(&*state.random);
    let new = NewSession {
        id: SessionId::new(state.clock.now(), &*state.random),
        token_hash: tickets::hash(&ticket),
        user: user.id,
        address: Some(address.to_string()),
        agent: agent(headers),
    };
    state.store.begin_session(&new, author).await?;
    Ok(cookies::SESSION.set(&ticket, settings.sessions.absolute, &settings.public_url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_checked_and_trimmed() {
        assert_eq!(name("name", " Ada Lovelace ").unwrap(), "Ada Lovelace");
        for wrong in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert_eq!(name("name", wrong).unwrap_err().fields[0].field, "name");
        }
        assert_eq!(email("email", " Ada@Example.COM ").unwrap(), "ada@example.com");
        for wrong in ["", "ada", "@example.com", "ada@", "a da@example.com", "ada@exa\nmple.com"] {
            assert_eq!(email("email", wrong).unwrap_err().fields[0].field, "email", "{wrong}");
        }
    }
}
