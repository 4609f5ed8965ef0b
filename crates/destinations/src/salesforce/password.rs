//! Signing in with a user's name and password, for orgs that have no other way set up.

use kit::{Answer, DeliveryError, Meaning, Request, Wire, form_encoded};
use records::Value;
use tokio::sync::Mutex;

/// A user, and the app that signs in for them.
pub(super) struct Password {
    pub(super) token_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) username: String,
    /// The password with the security token after it.
    pub(super) password: String,
    pub(super) token: Mutex<Option<String>>,
}

/// Without what is secret.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Password").field("token_url", &self.token_url).finish_non_exhaustive()
    }
}

impl Password {
    /// Sends a request with a token, and once more with a new one if the token has ended.
    pub(super) async fn send(&self, wire: &Wire, request: Request) -> Result<Answer, DeliveryError> {
        let signed = |token: &str| request.clone().header("authorization", format!("Bearer {token}"));
        // What a preview does not send needs no token.
        if wire.is_preview() && !request.is_reading() {
            return wire.send(signed("fetched-when-sent")).await;
        }
        let token = self.token(wire, None).await?;
        let answer = wire.send(signed(&token)).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let token = self.token(wire, Some(&token)).await?;
        wire.send(signed(&token)).await
    }

    /// The token at hand, or a new one. `ended` is one that is not taken any more.
    async fn token(&self, wire: &Wire, ended: Option<&str>) -> Result<String, DeliveryError> {
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref().filter(|token| Some(token.as_str()) != ended) {
            return Ok(token.clone());
        }
        *held = None;
        let form = form_encoded([
            ("grant_type", "password"),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("username", &self.username),
            ("password", &self.password),
        ]);
        let request =
            Request::post(self.token_url.as_str()).text("application/x-www-form-urlencoded;charset=UTF-8", form);
        let unreachable = |message: String| DeliveryError::Unreachable { message: format!("no token: {message}") };
        // What is to be sent has not left while the token is fetched.
        let answer = wire.send(request.secret()).await.map_err(|error| match error {
            DeliveryError::NoAnswer { message } | DeliveryError::UnexpectedAnswer { message } => unreachable(message),
            other => other,
        })?;
        match kit::Statuses::default().meaning(answer.status) {
            Some(Meaning::Delivered) => {}
            Some(Meaning::Rejected | Meaning::CredentialsRefused) => {
                let message = format!("no token from `{}`: {}", self.token_url, answer.message());
                return Err(DeliveryError::CredentialsRefused { message });
            }
            _ => return Err(unreachable(answer.message())),
        }
        let json = answer.json().map_err(|error| unreachable(error.to_string()))?;
        let token = json.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| unreachable("the answer has no `access_token`".to_owned()))?.to_owned();
        wire.add_secret(&token);
        *held = Some(token.clone());
        Ok(token)
    }
}
