//! Signing in at an identity provider: OpenID Connect, the authorization code flow with PKCE, state and nonce.

mod claims;
mod provider;

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use openidconnect::{
    AuthenticationFlow, AuthorizationCode, CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, Scope, TokenResponse as _, core::CoreResponseType,
};
use records::{Clock, Random};
use serde::{Deserialize, Serialize};
use store::{Identity, Role};

pub(crate) use self::claims::Person;
use self::provider::{Client, Provider};
use crate::{openapi::BASE, tickets};

/// Where the provider sends people back, below the public address.
pub(crate) const CALLBACK: &str = "/api/v1/sign-in/oidc/callback";
/// How long somebody may take at the provider's pages.
pub(crate) const ATTEMPT_LASTS: std::time::Duration = std::time::Duration::from_secs(600);

/// How people sign in at an identity provider.
#[derive(Clone)]
pub struct OidcSettings {
    pub issuer: Issuer,
    pub client_id: String,
    /// None for a client that keeps no secret; PKCE stands in for it.
    pub client_secret: Option<String>,
    /// What the button says: `Example SSO`.
    pub name: String,
    /// Asked for beside `openid`, `email` and `profile`.
    pub scopes: Vec<String>,
    /// The domains of e-mail addresses that may sign in; empty for all.
    pub allowed_domains: BTreeSet<String>,
    /// The role of somebody who comes for the first time. None lets only those in who were invited.
    pub default_role: Option<Role>,
    /// The claim that holds a role or a list with one in it; it decides at each sign-in.
    pub role_claim: Option<String>,
    /// For providers that verify every address and do not say so.
    pub emails_are_verified: bool,
}

/// Without its secret.
impl fmt::Debug for OidcSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcSettings")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("allowed_domains", &self.allowed_domains)
            .field("default_role", &self.default_role)
            .field("role_claim", &self.role_claim)
            .finish_non_exhaustive()
    }
}

impl OidcSettings {
    /// A provider with what is usual for the rest: whoever has an address there may sign in and see.
    pub fn new(issuer: Issuer, client_id: impl Into<String>, client_secret: Option<String>) -> Self {
        Self {
            issuer,
            client_id: client_id.into(),
            client_secret,
            name: "single sign-on".to_owned(),
            scopes: Vec::new(),
            allowed_domains: BTreeSet::new(),
            default_role: Some(Role::Viewer),
            role_claim: None,
            emails_are_verified: false,
        }
    }
}

/// The address a provider is known by, whose description is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(IssuerUrl);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the address of an identity provider; write `https://HOST/PATH`, as the provider names its issuer"
)]
pub struct IssuerError(String);

impl FromStr for Issuer {
    type Err = IssuerError;

    /// Without TLS only on this very machine: whoever can change what the provider says is whoever he likes.
    fn from_str(text: &str) -> Result<Self, IssuerError> {
        let refused = || IssuerError(text.to_owned());
        let url = IssuerUrl::new(text.trim().to_owned()).map_err(|_| refused())?;
        let is_here = matches!(url.url().host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match url.url().scheme() {
            "https" => Ok(Self(url)),
            "http" if is_here => Ok(Self(url)),
            _ => Err(refused()),
        }
    }
}

/// Why nobody could be signed in by a provider.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    #[error("the identity provider's description cannot be used: {0}")]
    Description(String),
    #[error("what came back belongs to no attempt of this browser, or to one that took too long")]
    OtherAttempt,
    #[error("the identity provider did not take the code: {0}")]
    Code(String),
    #[error("the identity provider gave no ID token")]
    NoIdToken,
    #[error("the ID token is not for us, has expired, or is not the provider's")]
    Claims(#[source] openidconnect::ClaimsVerificationError),
    #[error("the identity provider does not tell who the person is: {0}")]
    UserInfo(String),
}

/// What has to be known again when somebody comes back from the provider: it stands in a cookie meanwhile.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    /// A path of ours.
    pub(crate) return_to: String,
    ends_at: Timestamp,
}

impl Attempt {
    pub(crate) fn to_cookie(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(crate) fn of_cookie(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }
}

/// One identity provider.
#[derive(Debug)]
pub(crate) struct Oidc {
    pub(crate) settings: OidcSettings,
    provider: Provider,
    clock: Arc<dyn Clock>,
}

impl Oidc {
    /// `back` is where the provider sends people to.
    pub(crate) fn new(settings: OidcSettings, back: String, wire: kit::Wire, clock: Arc<dyn Clock>) -> Self {
        if let Some(secret) = &settings.client_secret {
            wire.add_secret(secret);
        }
        let provider = Provider::new(&settings, back, wire);
        Self { settings, provider, clock }
    }

    /// The provider's page to send somebody to, and what to know again afterwards.
    pub(crate) async fn begin(&self, return_to: &str, random: &dyn Random) -> Result<(String, Attempt), OidcError> {
        let client = self.provider.client().await?;
        let ends_at = self.clock.now().checked_add(ATTEMPT_LASTS).unwrap_or(Timestamp::MAX);
        let attempt = Attempt {
            state: tickets::ticket(random),
            nonce: tickets::ticket(random),
            verifier: tickets::ticket(random),
            return_to: local_path(return_to),
            ends_at,
        };
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(attempt.verifier.clone()));
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let scopes = ["email", "profile"].map(ToOwned::to_owned).into_iter().chain(self.settings.scopes.clone());
        let (url, _, _) = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(scopes.map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        Ok((url.into(), attempt))
    }

    /// Who came back: the code is changed for a token, and every claim in it is checked.
    pub(crate) async fn finish(&self, attempt: &Attempt, state: &str, code: &str) -> Result<Person, OidcError> {
        // Compared by their hashes, so that the time it takes says nothing.
        if tickets::hash(state) != tickets::hash(&attempt.state) || attempt.ends_at <= self.clock.now() {
            return Err(OidcError::OtherAttempt);
        }
        let client = self.provider.client().await?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| OidcError::Description(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()))
            .request_async(&self.provider.http())
            .await
            .map_err(|error| OidcError::Code(provider::told(error)))?;
        let id_token = tokens.id_token().ok_or(OidcError::NoIdToken)?;
        let nonce = Nonce::new(attempt.nonce.clone());
        let claims = match id_token.claims(&self.verifier(&client), &nonce) {
            // The provider may have changed its keys since they were read.
            Err(error) if provider::is_unknown_key(&error) => {
                let client = self.provider.client_anew().await?;
                id_token.claims(&self.verifier(&client), &nonce).cloned()
            }
            result => result.cloned(),
        };
        let claims = claims.map_err(OidcError::Claims)?;
        let subject = claims.subject().clone();
        let mut person = Person::of(&claims, self.settings.role_claim.as_deref());
        if person.email.is_none() {
            person.complete(self.provider.user_info(&client, tokens.access_token().clone(), subject.clone()).await?);
        }
        person.identity =
            Identity { issuer: self.settings.issuer.0.as_str().to_owned(), subject: subject.as_str().to_owned() };
        Ok(person)
    }

    fn verifier<'a>(&'a self, client: &'a Client) -> openidconnect::IdTokenVerifier<'a, provider::Key> {
        let clock = Arc::clone(&self.clock);
        let now = move || {
            chrono::DateTime::from_timestamp(clock.now().as_second(), 0)
                .unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC)
        };
        client.id_token_verifier().set_time_fn(now)
    }
}

/// A path of this server's pages, or the first page: nobody is sent to another site from here.
pub(crate) fn local_path(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let is_local = text.starts_with('/') && !text.starts_with("//") && !text.starts_with(BASE);
    if is_local && text.len() <= 512 && text.bytes().all(is_plain) { text.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests;
