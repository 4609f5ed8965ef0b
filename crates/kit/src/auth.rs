//! How a destination is signed in to: a password, a token, a key, or a token that is fetched (OAuth 2).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{DeliveryError, Meaning, Request, Statuses, Wire};

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
    ClientCredentials(ClientCredentials),
}

/// OAuth 2, section 4.4: a token for the program itself.
#[derive(Clone)]
pub struct ClientCredentials {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: String,
    pub scope: Option<String>,
    pub audience: Option<String>,
    /// Whether id and secret stand in the body; otherwise they go as basic authentication.
    pub in_body: bool,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Auth::None => "None",
            Auth::Basic { .. } => "Basic",
            Auth::Bearer { .. } => "Bearer",
            Auth::ApiKeyHeader { .. } => "ApiKeyHeader",
            Auth::ApiKeyQuery { .. } => "ApiKeyQuery",
            Auth::ClientCredentials(_) => "ClientCredentials",
        })
    }
}

/// A token, and when to fetch the next one.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(Mutex<Option<Token>>);

struct Token {
    text: String,
    good_until: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// A token is renewed this long before it ends, so that none ends on its way.
const RENEWAL_MARGIN: Duration = Duration::from_secs(30);
const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);

pub(crate) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

impl Auth {
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
            Auth::ClientCredentials(credentials) => pair(&credentials.client_id, &credentials.client_secret),
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
            Auth::ClientCredentials(_) => {
                (http::header::AUTHORIZATION, format!("Bearer {}", token.unwrap_or("fetched-when-sent")))
            }
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

impl TokenCache {
    /// The token at hand, or a new one. `refused` is one that the destination did not take any more.
    pub(crate) async fn token(
        &self,
        credentials: &ClientCredentials,
        wire: &Wire,
        refused: Option<&str>,
    ) -> Result<String, DeliveryError> {
        let mut cached = self.0.lock().await;
        if let Some(token) = cached.as_ref()
            && token.good_until > Instant::now()
            && Some(token.text.as_str()) != refused
        {
            return Ok(token.text.clone());
        }
        *cached = None;
        let (text, lifetime) = credentials.fetch(wire).await?;
        wire.add_secret(&text);
        let good_until = Instant::now() + lifetime.saturating_sub(RENEWAL_MARGIN);
        *cached = Some(Token { text: text.clone(), good_until });
        Ok(text)
    }
}

impl ClientCredentials {
    async fn fetch(&self, wire: &Wire) -> Result<(String, Duration), DeliveryError> {
        let mut pairs = vec![("grant_type", "client_credentials")];
        if self.in_body {
            pairs.push(("client_id", &self.client_id));
            pairs.push(("client_secret", &self.client_secret));
        }
        pairs.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        pairs.extend(self.audience.as_deref().map(|audience| ("audience", audience)));
        let mut request =
            Request::post(self.token_url.clone()).header("accept", "application/json").form(pairs).secret();
        if !self.in_body {
            request = request.header("authorization", basic(&self.client_id, &self.client_secret));
        }
        // The request itself has not left while its token is being fetched.
        let answer = Box::pin(wire.send(request)).await.map_err(|error| match error {
            DeliveryError::NoAnswer { message } => {
                DeliveryError::Unreachable { message: format!("no token: {message}") }
            }
            other => other,
        })?;
        match Statuses::default().meaning(answer.status) {
            Some(Meaning::Delivered) => {}
            Some(Meaning::Rejected | Meaning::CredentialsRefused) => {
                return Err(DeliveryError::CredentialsRefused {
                    message: format!("no token from `{}`: {}", self.token_url, answer.message()),
                });
            }
            _ => {
                return Err(DeliveryError::Unreachable {
                    message: format!("no token from `{}`: {}", self.token_url, answer.message()),
                });
            }
        }
        let unexpected = |what: &str| DeliveryError::Unreachable {
            message: format!("no token from `{}`: its answer {what}", self.token_url),
        };
        let json: serde_json::Value = serde_json::from_slice(&answer.body).map_err(|_| unexpected("is not JSON"))?;
        let token = json.get("access_token").and_then(|token| token.as_str()).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| unexpected("has no `access_token`"))?;
        let seconds = match json.get("expires_in") {
            Some(serde_json::Value::String(text)) => text.parse().ok(),
            Some(other) => other.as_u64(),
            None => None,
        };
        Ok((token.to_owned(), seconds.map_or(TOKEN_LIFETIME_DEFAULT, Duration::from_secs)))
    }
}
