//! The requests for tokens, and what their answers mean.

use super::{OAuth, Tokens};
use crate::auth::basic;
use crate::{DeliveryError, Meaning, Request, Statuses, Wire};

impl OAuth {
    /// A token for the program itself.
    pub(super) async fn client_tokens(&self, wire: &Wire) -> Result<Tokens, DeliveryError> {
        let scope = self.scopes.join(" ");
        let mut pairs = vec![("grant_type", "client_credentials")];
        pairs.extend((!scope.is_empty()).then_some(("scope", scope.as_str())));
        self.tokens(pairs, None, wire).await
    }

    /// New tokens for a refresh token.
    pub(super) async fn refreshed(&self, refresh_token: &str, wire: &Wire) -> Result<Tokens, DeliveryError> {
        let pairs = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.tokens(pairs, Some(refresh_token), wire).await
    }

    pub(super) async fn tokens(
        &self,
        mut pairs: Vec<(&str, &str)>,
        refresh_token: Option<&str>,
        wire: &Wire,
    ) -> Result<Tokens, DeliveryError> {
        pairs.extend(self.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let mut signature = None;
        match &self.client_secret {
            Some(secret) if self.client_in_body => {
                pairs.extend([("client_id", self.client_id.as_str()), ("client_secret", secret)]);
            }
            Some(secret) => signature = Some(basic(&self.client_id, secret)),
            None => pairs.push(("client_id", &self.client_id)),
        }
        let mut request =
            Request::post(self.token_url.clone()).header("accept", "application/json").form(pairs).secret();
        if let Some(signature) = signature {
            request = request.header("authorization", signature);
        }
        // The request itself has not left while its token is being fetched.
        let answer = Box::pin(wire.send(request)).await.map_err(|error| match error {
            DeliveryError::NoAnswer { message } => {
                DeliveryError::Unreachable { message: format!("no token: {message}") }
            }
            other => other,
        })?;
        let said = || format!("no token from `{}`: {}", self.token_url, answer.message());
        match Statuses::default().meaning(answer.status) {
            Some(Meaning::Delivered) => {}
            Some(Meaning::Rejected | Meaning::CredentialsRefused) => {
                return Err(DeliveryError::CredentialsRefused { message: said() });
            }
            Some(Meaning::RateLimited) => return Err(DeliveryError::RateLimited { after: answer.retry_after() }),
            _ => return Err(DeliveryError::Unreachable { message: said() }),
        }
        let unexpected = |what: &str| DeliveryError::Unreachable {
            message: format!("no token from `{}`: its answer {what}", self.token_url),
        };
        let json: serde_json::Value = serde_json::from_slice(&answer.body).map_err(|_| unexpected("is not JSON"))?;
        // Some say with status 200 that there is none.
        if json.get("access_token").is_none() && json.get("error").is_some_and(serde_json::Value::is_string) {
            return Err(DeliveryError::CredentialsRefused { message: said() });
        }
        let tokens = Tokens::of_answer(&json, refresh_token, self, wire.now()).map_err(unexpected)?;
        wire.add_secret(&tokens.access_token);
        tokens.refresh_token.iter().for_each(|token| wire.add_secret(token));
        Ok(tokens)
    }
}
