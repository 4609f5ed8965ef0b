//! What a provider says of a person.

use openidconnect::{AdditionalClaims, IdTokenClaims, UserInfoClaims, core::CoreGenderClaim};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Identity, Role};

/// All claims that the specification does not name: one of them may be the role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Further(Map<String, Value>);

impl AdditionalClaims for Further {}

pub(super) type Claims = IdTokenClaims<Further, CoreGenderClaim>;
pub(super) type UserInfo = UserInfoClaims<Further, CoreGenderClaim>;

/// A person, as a provider tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) identity: Identity,
    pub(crate) email: Option<String>,
    /// Whether the provider says that the address is the person's own.
    pub(crate) email_is_verified: bool,
    pub(crate) name: Option<String>,
    /// The role that the claim names. None if there is no such claim, or it names none.
    pub(crate) role: Option<Role>,
}

impl Person {
    pub(super) fn of(claims: &Claims, role_claim: Option<&str>) -> Self {
        let name = claims.name().and_then(|names| names.get(None)).map(|name| name.as_str().to_owned());
        Self {
            identity: Identity { issuer: String::new(), subject: String::new() },
            email: claims.email().map(|email| email.as_str().to_owned()),
            email_is_verified: claims.email_verified().unwrap_or(false),
            name,
            role: role_claim.and_then(|claim| role(claims.additional_claims().0.get(claim)?)),
        }
    }

    /// Fills in what the token left to a further question.
    pub(super) fn complete(&mut self, info: Option<UserInfo>) {
        let Some(info) = info else { return };
        self.email = info.email().map(|email| email.as_str().to_owned());
        self.email_is_verified = info.email_verified().unwrap_or(false);
        let name = info.name().and_then(|names| names.get(None)).map(|name| name.as_str().to_owned());
        self.name = self.name.take().or(name);
    }
}

/// The highest role that a claim names: a text or a list of texts, of which others mean something elsewhere.
fn role(claim: &Value) -> Option<Role> {
    let words: Vec<&str> = match claim {
        Value::String(word) => vec![word],
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    words.into_iter().filter_map(|word| word.parse().ok()).max()
}
