//! The provider's description and keys, read when they are first needed and kept for a while, and requests to it.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use openidconnect::{
    AccessToken, ClaimsVerificationError, ClientId, ClientSecret, EmptyExtraTokenFields, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IdTokenFields, RedirectUrl, SignatureVerificationError, StandardErrorResponse,
    StandardTokenResponse, SubjectIdentifier,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    OidcError, OidcSettings,
    claims::{Further, UserInfo},
};

/// How long a description is believed.
const KEPT: Duration = Duration::from_secs(3_600);
/// How soon it is read again for a key that is not in it: made-up keys must not make us ask without end.
const AGAIN: Duration = Duration::from_secs(60);

pub(super) type Key = CoreJsonWebKey;

/// An answer that is awaited.
type Sending = std::pin::Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, SendError>> + Send>>;

type TokenAnswer = StandardTokenResponse<
    IdTokenFields<
        Further,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

/// A client that knows where people sign in and, as far as the provider says, where tokens are.
pub(super) type Client = openidconnect::Client<
    Further,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    TokenAnswer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The provider as it was last described.
#[derive(Debug)]
pub(super) struct Provider {
    settings: OidcSettings,
    back: String,
    wire: kit::Wire,
    known: Mutex<Option<(Instant, Arc<Client>)>>,
}

/// Why a request to the provider has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the identity provider did not answer")]
    Wire(#[source] kit::DeliveryError),
    #[error("the identity provider's answer is none")]
    Answer(#[source] http::Error),
}

impl Provider {
    pub(super) fn new(settings: &OidcSettings, back: String, wire: kit::Wire) -> Self {
        Self { settings: settings.clone(), back, wire, known: Mutex::default() }
    }

    pub(super) async fn client(&self) -> Result<Arc<Client>, OidcError> {
        self.known_for(KEPT).await
    }

    pub(super) async fn client_anew(&self) -> Result<Arc<Client>, OidcError> {
        self.known_for(AGAIN).await
    }

    /// One reads for all that wait.
    async fn known_for(&self, long: Duration) -> Result<Arc<Client>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((read_at, client)) = &*known
            && read_at.elapsed() < long
        {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(self.read().await?);
        *known = Some((Instant::now(), Arc::clone(&client)));
        Ok(client)
    }

    async fn read(&self) -> Result<Client, OidcError> {
        let issuer = self.settings.issuer.0.clone();
        let described = CoreProviderMetadata::discover_async(issuer, &self.http())
            .await
            .map_err(|error| OidcError::Description(told(error)))?;
        let back = RedirectUrl::new(self.back.clone()).map_err(|error| OidcError::Description(error.to_string()))?;
        let secret = self.settings.client_secret.clone().map(ClientSecret::new);
        let id = ClientId::new(self.settings.client_id.clone());
        Ok(Client::from_provider_metadata(described, id, secret).set_redirect_uri(back))
    }

    /// What else the provider tells of a person, if it has a place for that.
    pub(super) async fn user_info(
        &self,
        client: &Client,
        token: AccessToken,
        subject: SubjectIdentifier,
    ) -> Result<Option<UserInfo>, OidcError> {
        // An answer about somebody else is refused: the subject must be the token's.
        let Ok(request) = client.user_info(token, Some(subject)) else { return Ok(None) };
        let info = request.request_async(&self.http()).await;
        info.map(Some).map_err(|error| OidcError::UserInfo(told(error)))
    }

    /// How the library sends: over the one HTTP client, which follows no redirects and records no secrets.
    pub(super) fn http(&self) -> impl Fn(Request<Vec<u8>>) -> Sending + use<> {
        let wire = self.wire.for_call();
        move |request| {
            let wire = wire.clone();
            Box::pin(async move { send(&wire, request).await })
        }
    }
}

async fn send(wire: &kit::Wire, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, SendError> {
    let (head, body) = request.into_parts();
    let mut outgoing = kit::Request::new(head.method, head.uri.to_string()).body(body).secret();
    for (name, value) in &head.headers {
        outgoing = outgoing.header(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    let answer = wire.send(outgoing).await.map_err(SendError::Wire)?;
    let mut response = Response::builder().status(answer.status);
    if let Some(headers) = response.headers_mut() {
        *headers = answer.headers;
    }
    response.body(answer.body.to_vec()).map_err(SendError::Answer)
}

/// The whole chain of an error, for the log: the library's own errors are generic over each other.
pub(super) fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

pub(super) fn is_unknown_key(error: &ClaimsVerificationError) -> bool {
    matches!(error, ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey))
}
