//! OAuth 2: how a token comes to be (client credentials, a refresh token, a person's grant), is kept and renewed.

mod authorization;
mod redirects;
mod request;
mod tokens;

use std::sync::Arc;

use serde_json::Value;

pub use authorization::{Authorization, Declined};
pub use redirects::{Redirected, Redirects};
pub(crate) use tokens::TokenCache;
pub use tokens::{TokenStore, Tokens};

use crate::{AuthFacts, SettingsError};

/// What is needed to be given tokens.
#[derive(Clone)]
pub struct OAuth {
    pub token_url: String,
    pub client_id: String,
    /// None for a client that keeps no secret (RFC 7636 stands in for it).
    pub client_secret: Option<String>,
    /// Whether id and secret stand in the body; otherwise they go as basic authentication.
    pub client_in_body: bool,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Further parameters of every request for a token, such as `audience`.
    pub parameters: Vec<(String, String)>,
    pub grant: Grant,
    /// Where tokens outlive the program.
    pub store: Option<Arc<dyn TokenStore>>,
}

/// Where a token comes from.
#[derive(Clone)]
pub enum Grant {
    /// The program's own id and secret (RFC 6749, section 4.4).
    ClientCredentials,
    /// A refresh token of the settings. One that comes in its place is kept in the store.
    RefreshToken(String),
    /// A person's grant (section 4.1), whose tokens are in the store once it was given.
    AuthorizationCode {
        authorize_url: String,
        /// Further parameters of the page where access is granted.
        parameters: Vec<(String, String)>,
    },
}

/// Without its secrets.
impl std::fmt::Debug for OAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth").field("token_url", &self.token_url).field("grant", &self.grant).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Grant::ClientCredentials => "ClientCredentials",
            Grant::RefreshToken(_) => "RefreshToken",
            Grant::AuthorizationCode { .. } => "AuthorizationCode",
        })
    }
}

impl OAuth {
    /// From a destination's facts and the settings below `oauth`, where there is no lasting token.
    ///
    /// # Errors
    /// Something is missing.
    pub(crate) fn of_settings(facts: &AuthFacts, settings: &Value) -> Result<Self, SettingsError> {
        let text = |key: &str| settings.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let owned = |key: &str| text(key).map(str::to_owned);
        let Some(client_id) = owned("client_id") else {
            return Err(match text("refresh_token") {
                Some(_) => SettingsError::one("oauth.client_id", "is required with `oauth.refresh_token`"),
                None => SettingsError::one(
                    "oauth.access_token",
                    "is required, or `client_id` and `client_secret` of an app of yours in the tool",
                ),
            });
        };
        let unknown = || SettingsError::one("oauth.access_token", "is required: this tool has no other way to sign in");
        let token_url = facts.token_url.clone().ok_or_else(unknown)?;
        let grant = match owned("refresh_token") {
            Some(token) => Grant::RefreshToken(token),
            None => Grant::AuthorizationCode {
                authorize_url: facts.authorize_url.clone().ok_or_else(unknown)?,
                parameters: facts
                    .authorize_parameters
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            },
        };
        Ok(Self {
            token_url,
            client_id,
            client_secret: owned("client_secret"),
            client_in_body: facts.client_in_body,
            scopes: facts.scopes.clone(),
            parameters: Vec::new(),
            grant,
            store: None,
        })
    }

    /// Everything in it that must not be seen.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        if let Some(secret) = &self.client_secret {
            secrets.push(secret.clone());
            secrets.push(crate::auth::basic(&self.client_id, secret).trim_start_matches("Basic ").to_owned());
        }
        if let Grant::RefreshToken(token) = &self.grant {
            secrets.push(token.clone());
        }
        secrets
    }

    /// Whether a person has still to grant access.
    ///
    /// # Errors
    /// What is kept cannot be read.
    pub async fn is_unconnected(&self) -> std::io::Result<bool> {
        match (&self.grant, &self.store) {
            (Grant::AuthorizationCode { .. }, Some(store)) => Ok(self.kept(store.load().await?).is_none()),
            (Grant::AuthorizationCode { .. }, None) => Ok(true),
            _ => Ok(false),
        }
    }

    /// What is kept, if it came of this grant and client.
    fn kept(&self, tokens: Option<Tokens>) -> Option<Tokens> {
        tokens.filter(|tokens| tokens.origin == self.origin())
    }

    /// Tells the tokens of one grant from those of another, without giving away a secret.
    fn origin(&self) -> String {
        let of = match &self.grant {
            Grant::ClientCredentials => ["client", &self.client_id],
            Grant::RefreshToken(token) => ["refresh", token],
            Grant::AuthorizationCode { .. } => ["granted", &self.client_id],
        };
        tokens::fingerprint(&of)
    }
}
