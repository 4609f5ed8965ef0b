//! Tokens: how long they are good, where they are kept, and how one is renewed by one caller for all.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::{Grant, OAuth};
use crate::{DeliveryError, Wire};

/// A token is renewed this long before it ends, so that none ends on its way; one that is short-lived, later.
const RENEWAL_MARGIN: Duration = Duration::from_secs(60);
const RENEWAL_SHARE: u32 = 4;
/// How long a program's own token is taken to be good if nothing is said.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);
/// No token is taken to be good for longer than this.
const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What a grant gave. It is written to a store as it stands here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pub access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// When to renew it; none: when it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_at: Option<Timestamp>,
    /// What was granted, where the tool says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// A fingerprint of what they were made from, so that other settings do not go on with them.
    pub origin: String,
}

/// Without the tokens.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("renew_at", &self.renew_at).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Where tokens outlive the program, for one destination.
#[async_trait]
pub trait TokenStore: Send + Sync + std::fmt::Debug {
    /// What is kept.
    ///
    /// # Errors
    /// It cannot be read.
    async fn load(&self) -> std::io::Result<Option<Tokens>>;

    /// Keeps these in the place of what was kept: all of it or nothing.
    ///
    /// # Errors
    /// It cannot be written.
    async fn save(&self, tokens: &Tokens) -> std::io::Result<()>;

    /// Waits until no other process renews, and keeps others from it until what it gives is dropped. A refresh token
    /// is often good for one use.
    ///
    /// # Errors
    /// There is no lock to be had.
    async fn lock(&self) -> std::io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

/// The token of a connection. Whoever renews it does so for all who wait.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    tokens: Option<Tokens>,
    unsaved: Option<Unsaved>,
}

/// The tokens at hand could not be kept: the store has these still, whose refresh token is used up.
#[derive(Debug)]
struct Unsaved {
    outdated: Option<Tokens>,
}

impl Cached {
    /// Keeps what could not be kept before.
    async fn save_again(&mut self, store: &Arc<dyn TokenStore>) -> Result<(), DeliveryError> {
        let (Some(tokens), Some(unsaved)) = (&self.tokens, &self.unsaved) else { return Ok(()) };
        let _held = store.lock().await.map_err(|error| unreadable(&error))?;
        // Access that was granted anew meanwhile stays.
        if store.load().await.map_err(|error| unreadable(&error))? == unsaved.outdated {
            store.save(tokens).await.map_err(|error| not_kept(&error))?;
        }
        self.unsaved = None;
        Ok(())
    }
}

impl TokenCache {
    /// The token at hand, or a new one. `refused` is one that the destination did not take any more.
    pub(crate) async fn token(
        &self,
        oauth: &OAuth,
        wire: &Wire,
        refused: Option<&str>,
    ) -> Result<String, DeliveryError> {
        let mut guard = self.0.lock().await;
        let cached = &mut *guard;
        let good = |tokens: &Tokens| {
            tokens.renew_at.is_none_or(|at| at > wire.now()) && Some(tokens.access_token.as_str()) != refused
        };
        let saved = match &oauth.store {
            Some(store) => cached.save_again(store).await,
            None => Ok(()),
        };
        if let Some(tokens) = cached.tokens.as_ref().filter(|tokens| good(tokens)) {
            return Ok(tokens.access_token.clone());
        }
        // No refresh token is used up while what came of the one before is not safe.
        saved?;
        if let Grant::ClientCredentials = oauth.grant {
            let tokens = oauth.client_tokens(wire).await?;
            return Ok(cached.tokens.insert(tokens).access_token.clone());
        }
        // Kept until the new tokens are, so that no other process uses up the refresh token meanwhile.
        let _held = match &oauth.store {
            Some(store) => Some(store.lock().await.map_err(|error| unreadable(&error))?),
            None => None,
        };
        let stored = match &oauth.store {
            Some(store) => store.load().await.map_err(|error| unreadable(&error))?,
            None => None,
        };
        let known = oauth.kept(stored.clone()).or_else(|| cached.tokens.clone());
        if let Some(tokens) = &known {
            wire.add_secret(&tokens.access_token);
            tokens.refresh_token.iter().for_each(|token| wire.add_secret(token));
        }
        if let Some(tokens) = known.as_ref().filter(|tokens| good(tokens)) {
            return Ok(cached.tokens.insert(tokens.clone()).access_token.clone());
        }
        let refresh_token = match (known, &oauth.grant) {
            (Some(Tokens { refresh_token: Some(token), .. }), _) => token,
            (_, Grant::RefreshToken(token)) => token.clone(),
            (known, _) => return Err(DeliveryError::CredentialsRefused { message: not_granted(known.is_some()) }),
        };
        let tokens = oauth.refreshed(&refresh_token, wire).await?;
        // First for this process: if it cannot be kept, what is under way still ends well.
        let tokens = cached.tokens.insert(tokens);
        if let Some(store) = &oauth.store
            && let Err(error) = store.save(tokens).await
        {
            cached.unsaved = Some(Unsaved { outdated: stored });
            return Err(not_kept(&error));
        }
        Ok(tokens.access_token.clone())
    }
}

fn not_granted(was: bool) -> String {
    if was {
        "the access that was granted has ended, and cannot be renewed; connect the destination again".to_owned()
    } else {
        "it is not connected yet: nobody has granted access".to_owned()
    }
}

fn not_kept(error: &std::io::Error) -> DeliveryError {
    DeliveryError::Settings {
        message: format!("the renewed access cannot be kept, so the next sync could not sign in: {error}"),
    }
}

fn unreadable(error: &std::io::Error) -> DeliveryError {
    DeliveryError::Settings { message: format!("the access that was granted cannot be read: {error}") }
}

impl Tokens {
    /// The tokens of an answer, or what it has in place of them. `refresh_token` stays good if no other came.
    pub(super) fn of_answer(
        json: &serde_json::Value,
        refresh_token: Option<&str>,
        oauth: &OAuth,
        now: Timestamp,
    ) -> Result<Self, &'static str> {
        let text = |key: &str| {
            json.get(key).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let seconds = match json.get("expires_in") {
            Some(serde_json::Value::String(text)) => text.parse().ok(),
            Some(other) => other.as_f64(),
            None => None,
        };
        let lifetime = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
        let lifetime = lifetime.or_else(|| matches!(oauth.grant, Grant::ClientCredentials).then_some(LIFETIME_DEFAULT));
        let renew_at = lifetime.map(|lifetime| {
            let lifetime = lifetime.min(LIFETIME_MAX);
            let good = lifetime - RENEWAL_MARGIN.min(lifetime / RENEWAL_SHARE);
            now.checked_add(good).unwrap_or(Timestamp::MAX)
        });
        Ok(Self {
            access_token: text("access_token").ok_or("has no `access_token`")?,
            refresh_token: text("refresh_token").or_else(|| refresh_token.map(str::to_owned)),
            renew_at,
            scope: text("scope"),
            origin: oauth.origin(),
        })
    }
}

pub(super) fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}
