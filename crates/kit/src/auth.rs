//! How a destination is signed in to: a password, a token, a key, or a token that is fetched (OAuth 2).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use crate::{DeliveryError, OAuth, TokenStore};

/// How requests are signed in.
#[derive(Clone, Default)]
pub enum Auth {
    #[default]
    None,
    Basic {
        username: String,
        password: String,
    },
    Bearer {
        token: String,
    },
    ApiKeyHeader {
        header: HeaderName,
        prefix: String,
        key: String,
    },
    ApiKeyQuery {
        parameter: String,
        key: String,
    },
    /// With a token that is fetched and renewed.
    OAuth(Box<OAuth>),
}

/// Without its secrets.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Auth::None => "None",
            Auth::Basic { .. } => "Basic",
            Auth::Bearer { .. } => "Bearer",
            Auth::ApiKeyHeader { .. } => "ApiKeyHeader",
            Auth::ApiKeyQuery { .. } => "ApiKeyQuery",
            Auth::OAuth(_) => "OAuth",
        })
    }
}

pub(crate) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

impl Auth {
    /// Keeps tokens that are fetched for a person or renewed where they outlive the program. Other ways of signing in
    /// have none.
    pub fn keep_in(&mut self, store: Arc<dyn TokenStore>) {
        if let Auth::OAuth(oauth) = self {
            oauth.store = Some(store);
        }
    }

    /// Everything in it that must not be seen.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let pair = |user: &str, password: &str| {
            vec![password.to_owned(), basic(user, password).trim_start_matches("Basic ").to_owned()]
        };
        match self {
            Auth::None => Vec::new(),
            Auth::Basic { username, password } => pair(username, password),
            Auth::Bearer { token } => vec![token.clone()],
            Auth::ApiKeyHeader { key, .. } | Auth::ApiKeyQuery { key, .. } => vec![key.clone()],
            Auth::OAuth(oauth) => oauth.secrets(),
        }
    }

    /// Puts the credentials onto a request. `token` is the one that was fetched, if this needs one.
    pub(crate) fn apply(
        &self,
        url: &mut Url,
        headers: &mut HeaderMap,
        token: Option<&str>,
    ) -> Result<(), DeliveryError> {
        let (name, text) = match self {
            Auth::None => return Ok(()),
            Auth::ApiKeyQuery { parameter, key } => {
                url.query_pairs_mut().append_pair(parameter, key);
                return Ok(());
            }
            Auth::Basic { username, password } => (http::header::AUTHORIZATION, basic(username, password)),
            Auth::Bearer { token } => (http::header::AUTHORIZATION, format!("Bearer {token}")),
            Auth::ApiKeyHeader { header, prefix, key } => (header.clone(), format!("{prefix}{key}")),
            Auth::OAuth(_) => (http::header::AUTHORIZATION, format!("Bearer {}", token.unwrap_or("fetched-when-sent"))),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| DeliveryError::Settings {
            message: format!(
                "the credentials hold a character that the header `{name}` cannot carry, such as a line break"
            ),
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }
}
