//! A person's grant: the page where it is given, what comes back from there, and the tokens for it (RFC 6749, section
//! 4.1, with RFC 7636 and RFC 8252).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use records::Random;
use reqwest::Url;
use sha2::{Digest as _, Sha256};

use super::{Grant, OAuth, Tokens};
use crate::{DeliveryError, SettingsError, Wire};

/// Numbers of 64 bits in a state and in a verifier.
const STATE_NUMBERS: usize = 2;
const VERIFIER_NUMBERS: usize = 4;

/// One attempt to be granted access.
pub struct Authorization {
    oauth: OAuth,
    url: String,
    redirect_url: String,
    /// Comes back with the answer, which shows that it belongs to this attempt.
    state: String,
    /// Shows to the tool that whoever brings the code is who asked for it.
    verifier: String,
}

/// Without what is secret until it is over.
impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorization").field("redirect_url", &self.redirect_url).finish_non_exhaustive()
    }
}

/// Why what came back gives no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// It has nothing to do with this attempt; another may still come.
    #[error("this is not the answer that is waited for: {0}")]
    Foreign(String),
    /// The tool says no.
    #[error("access was not granted: {0}")]
    Refused(String),
}

impl Authorization {
    /// Begins an attempt; the tool is to send the person back to `redirect_url`.
    ///
    /// # Errors
    /// Access is not granted by a person here, or the URL of the page is none.
    pub fn new(oauth: &OAuth, redirect_url: &str, random: &dyn Random) -> Result<Self, SettingsError> {
        let Grant::AuthorizationCode { authorize_url, parameters } = &oauth.grant else {
            return Err(SettingsError::one(
                "",
                "the destination is signed in to by its settings; there is nothing to connect",
            ));
        };
        let mut url = Url::parse(authorize_url)
            .map_err(|_| SettingsError::one("", format!("`{authorize_url}` is not the URL of a page")))?;
        let (state, verifier) = (unguessable(random, STATE_NUMBERS), unguessable(random, VERIFIER_NUMBERS));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &oauth.client_id)
                .append_pair("redirect_uri", redirect_url);
            if !oauth.scopes.is_empty() {
                query.append_pair("scope", &oauth.scopes.join(" "));
            }
            query
                .append_pair("state", &state)
                .append_pair("code_challenge", &challenge)
                .append_pair("code_challenge_method", "S256")
                .extend_pairs(parameters);
        }
        let (url, redirect_url) = (url.to_string(), redirect_url.to_owned());
        Ok(Self { oauth: oauth.clone(), url, redirect_url, state, verifier })
    }

    /// The page where a person grants access.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The code in the address that the tool sent the person back to: the whole of it, or its path and query.
    ///
    /// # Errors
    /// It is no answer to this attempt, or the tool refused.
    pub fn code(&self, redirected: &str) -> Result<String, Declined> {
        let foreign = |why: &str| Declined::Foreign(why.to_owned());
        let own = Url::parse(&self.redirect_url).map_err(|_| foreign("the address to come back to is none"))?;
        let came = own.join(redirected.trim()).map_err(|_| foreign("it is no address"))?;
        let found = |name: &str| came.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        if came.path() != own.path() {
            return Err(foreign("it leads elsewhere"));
        }
        let Some(state) = found("state") else { return Err(foreign("it has no `state`")) };
        if !same(&state, &self.state) {
            return Err(foreign("its `state` belongs to another attempt"));
        }
        if let Some(error) = found("error") {
            let more = found("error_description").map(|more| format!(": {more}")).unwrap_or_default();
            return Err(Declined::Refused(crate::answer::shortened(&format!("{error}{more}"))));
        }
        found("code").filter(|code| !code.is_empty()).ok_or_else(|| foreign("it has no `code`"))
    }

    /// Turns a code into tokens, and keeps them if there is a store.
    ///
    /// # Errors
    /// The tool refuses the code or cannot be reached, or the tokens cannot be kept.
    pub async fn exchange(&self, code: &str, wire: &Wire) -> Result<Tokens, DeliveryError> {
        wire.add_secret(code);
        let pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_url.as_str()),
            ("code_verifier", self.verifier.as_str()),
        ];
        let tokens = self.oauth.tokens(pairs, None, wire).await?;
        if let Some(store) = &self.oauth.store {
            let not_kept = |error: std::io::Error| DeliveryError::Settings {
                message: format!("the access that was granted cannot be kept: {error}"),
            };
            // A sync that renews what was granted before saves its tokens first, not over these.
            let _held = store.lock().await.map_err(not_kept)?;
            store.save(&tokens).await.map_err(not_kept)?;
        }
        Ok(tokens)
    }
}

fn unguessable(random: &dyn Random, numbers: usize) -> String {
    let bytes: Vec<u8> = (0..numbers).flat_map(|_| random.next().to_be_bytes()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Compares in a time that does not tell where two texts differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}
