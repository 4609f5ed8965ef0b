//! The only way out to a tool: one HTTP client per destination, with its credentials, limits, redaction and record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use records::Clock;
use reqwest::{Client, Url};
use tokio::time::Instant;

use crate::oauth::TokenCache;
use crate::recorded::Recording;
use crate::{
    Answer, Auth, DeliveryError, Exchange, Limiter, Limits, Reach, Redaction, Request, SettingsError, Signature, reach,
    trust,
};

/// What the connection of a destination needs to know.
#[derive(Clone)]
pub struct WireSettings {
    pub auth: Auth,
    pub signature: Option<Signature>,
    /// Secrets beyond those of `auth` and `signature`.
    pub secrets: Vec<String>,
    pub connect_timeout: Duration,
    /// The longest silence while an answer is awaited.
    pub read_timeout: Duration,
    /// The longest a request may take from its beginning to the end of its answer.
    pub total_timeout: Duration,
    /// `http://proxy:3128`, user and password in it if need be.
    pub proxy: Option<String>,
    /// Hosts that are called without the proxy, separated by commas.
    pub no_proxy: Option<String>,
    /// Certificates (PEM) that are trusted beside those of the system.
    pub ca_certificate: Option<String>,
    pub limits: Limits,
    pub answer_bytes_max: usize,
    /// Where all requests go instead of the origin of their URL, path and query kept: a simulator, a gateway.
    pub endpoint: Option<String>,
    /// Is told of every request that went out.
    pub traffic: Option<Arc<dyn Traffic>>,
    /// Which addresses may be called. A proxy looks names up by itself.
    pub reach: Reach,
}

/// Counts what goes over a connection. It is called with each request, so it must be quick.
pub trait Traffic: Send + Sync + std::fmt::Debug {
    /// A request came to its end after this time: with the status of its answer, or without a whole answer.
    fn ended(&self, status: Option<u16>, took: Duration);
}

/// Without its secrets.
impl std::fmt::Debug for WireSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireSettings")
            .field("auth", &self.auth)
            .field("signature", &self.signature)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Default for WireSettings {
    fn default() -> Self {
        Self {
            auth: Auth::None,
            signature: None,
            secrets: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(120),
            proxy: None,
            no_proxy: None,
            ca_certificate: None,
            limits: Limits::default(),
            answer_bytes_max: 8 * 1024 * 1024,
            endpoint: None,
            traffic: None,
            reach: Reach::default(),
        }
    }
}

/// The connection of one account of a destination. Clones share client, limits and token; what is recorded belongs
/// to the call that [`Wire::for_call`] began.
#[derive(Debug, Clone)]
pub struct Wire {
    account: Arc<Account>,
    call: Arc<Call>,
}

#[derive(Debug)]
struct Account {
    way: Way,
    settings: WireSettings,
    limiter: Limiter,
    tokens: TokenCache,
    redaction: RwLock<Redaction>,
    clock: Arc<dyn Clock>,
}

/// What is at the other end.
#[derive(Debug)]
enum Way {
    Network(Client),
    Nowhere,
    /// Answers that were recorded.
    Recording(Arc<Recording>),
}

#[derive(Debug, Default)]
struct Call {
    preview: bool,
    /// The first request's place in the rate limit was taken before the call began.
    paid: AtomicBool,
    exchanges: Mutex<Vec<Arc<Exchange>>>,
}

/// A call that makes more requests than this keeps the last ones.
const EXCHANGES_MAX: usize = 32;

impl Wire {
    /// A connection with those settings. Nothing is sent yet.
    ///
    /// # Errors
    /// A proxy or certificate setting cannot be used.
    pub fn open(settings: WireSettings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        let client = client(&settings)?;
        if let Ok(mut url) = Url::parse("http://host/") {
            let applied = settings.auth.apply(&mut url, &mut HeaderMap::new(), None);
            applied.map_err(|error| SettingsError::one("auth", error.to_string()))?;
        }
        Ok(Self::new(Way::Network(client), settings, clock))
    }

    /// A connection to a recording in place of a tool.
    pub(crate) fn to_recording(recording: Arc<Recording>, settings: WireSettings, clock: Arc<dyn Clock>) -> Self {
        Self::new(Way::Recording(recording), settings, clock)
    }

    /// A connection to nowhere, for destinations that send no requests and for tests: a request is `Unreachable`.
    pub fn detached(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self::new(Way::Nowhere, WireSettings { limits, ..WireSettings::default() }, clock)
    }

    fn new(way: Way, settings: WireSettings, clock: Arc<dyn Clock>) -> Self {
        let mut secrets = settings.auth.secrets();
        secrets.extend(settings.secrets.iter().cloned());
        secrets.extend(settings.signature.iter().map(|signature| signature.secret.clone()));
        if let Some(proxy) = settings.proxy.as_deref().and_then(|proxy| Url::parse(proxy).ok()) {
            secrets.extend(proxy.password().map(str::to_owned));
        }
        let account = Account {
            way,
            limiter: Limiter::new(&settings.limits),
            tokens: TokenCache::default(),
            redaction: RwLock::new(Redaction::new(secrets)),
            settings,
            clock,
        };
        Self { account: Arc::new(account), call: Arc::default() }
    }

    /// The same connection with an empty record, for one call of a destination.
    pub fn for_call(&self) -> Self {
        let call = Call { preview: self.call.preview, ..Call::default() };
        Self { account: Arc::clone(&self.account), call: Arc::new(call) }
    }

    /// As [`Wire::for_call`], when the rate limit was waited for already.
    pub(crate) fn for_paid_call(&self) -> Self {
        let wire = self.for_call();
        wire.call.paid.store(true, Ordering::Relaxed);
        wire
    }

    /// The same connection, but requests are recorded and not sent: each ends in [`DeliveryError::Preview`].
    pub fn for_preview(&self) -> Self {
        Self { account: Arc::clone(&self.account), call: Arc::new(Call { preview: true, ..Call::default() }) }
    }

    /// Whether nothing may be sent or written.
    pub fn is_preview(&self) -> bool {
        self.call.preview
    }

    /// What was sent in this call and what came back, oldest first.
    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.call.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds to the record what a destination without requests did or would do.
    pub fn record(&self, exchange: Exchange) {
        let mut exchanges = self.call.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        if exchanges.len() == EXCHANGES_MAX {
            exchanges.remove(0);
        }
        exchanges.push(Arc::new(exchange));
    }

    /// The limits shared by all that use this account.
    pub fn limiter(&self) -> &Limiter {
        &self.account.limiter
    }

    /// The text without any secret of this connection.
    pub fn redact(&self, text: &str) -> String {
        self.account.redaction.read().unwrap_or_else(PoisonError::into_inner).text(text)
    }

    /// The error without any secret of this connection.
    pub fn redact_error(&self, error: DeliveryError) -> DeliveryError {
        let redact = |message: String| self.redact(&message);
        match error {
            DeliveryError::CredentialsRefused { message } => {
                DeliveryError::CredentialsRefused { message: redact(message) }
            }
            DeliveryError::Refused { code, message } => {
                DeliveryError::Refused { code: redact(code), message: redact(message) }
            }
            DeliveryError::UnexpectedAnswer { message } => DeliveryError::UnexpectedAnswer { message: redact(message) },
            DeliveryError::Failed { code, message } => {
                DeliveryError::Failed { code: redact(code), message: redact(message) }
            }
            DeliveryError::Unreachable { message } => DeliveryError::Unreachable { message: redact(message) },
            DeliveryError::NoAnswer { message } => DeliveryError::NoAnswer { message: redact(message) },
            DeliveryError::Settings { message } => DeliveryError::Settings { message: redact(message) },
            DeliveryError::RateLimited { .. } | DeliveryError::Preview => error,
        }
    }

    /// Removes a text from all that is recorded or told from now on, such as a token that a destination fetched.
    pub fn add_secret(&self, secret: &str) {
        self.account.redaction.write().unwrap_or_else(PoisonError::into_inner).add(secret);
    }

    /// How requests are signed in.
    pub fn auth(&self) -> &Auth {
        &self.account.settings.auth
    }

    pub fn clock(&self) -> &dyn Clock {
        self.account.clock.as_ref()
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.account.clock.now()
    }

    /// An id in the form of a UUID, the same for the same seed, so that what is sent twice can be told as one.
    pub fn uuid(&self, seed: &str) -> String {
        match &self.account.way {
            Way::Recording(recording) => recording.uuid(),
            _ => uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, seed.as_bytes()).to_string(),
        }
    }

    /// Sends a request with the destination's credentials and signature, after the rate limit, and reads the answer
    /// whole. Whatever its status says, an answer is no error here.
    ///
    /// # Errors
    /// `Unreachable`: it did not leave. `NoAnswer`: it left, and no whole answer came. `UnexpectedAnswer`: the answer
    /// is too large. `CredentialsRefused` or `Unreachable`: no token. `Settings`: it is no request. `Preview`.
    pub async fn send(&self, request: Request) -> Result<Answer, DeliveryError> {
        let Auth::OAuth(oauth) = &self.account.settings.auth else {
            return self.transmit(&request, None).await;
        };
        if !self.may_leave(&request) || !request.signed {
            return self.transmit(&request, None).await;
        }
        let token = self.account.tokens.token(oauth, self, None).await?;
        let answer = self.transmit(&request, Some(&token)).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        // The token may have been withdrawn before its time: once, with a new one.
        let token = self.account.tokens.token(oauth, self, Some(&token)).await?;
        self.transmit(&request, Some(&token)).await
    }

    /// In a preview, only what changes nothing.
    fn may_leave(&self, request: &Request) -> bool {
        !self.call.preview || request.reading || request.collecting || request.secret
    }

    async fn transmit(&self, request: &Request, token: Option<&str>) -> Result<Answer, DeliveryError> {
        let settings = &self.account.settings;
        let signed = request.signed;
        let (mut url, mut headers) = parts(request, settings.endpoint.as_deref())?;
        settings.reach.check(&url)?;
        if signed {
            settings.auth.apply(&mut url, &mut headers, token)?;
            if let Some(signature) = &settings.signature {
                signature.sign(&request.body, self.account.clock.now().as_second(), &mut headers);
            }
        }
        let leaves = self.may_leave(request);
        if leaves && !self.call.paid.swap(false, Ordering::Relaxed) {
            self.account.limiter.acquire().await;
        }
        let redaction = self.account.redaction.read().unwrap_or_else(PoisonError::into_inner).clone();
        let clock = self.account.clock.as_ref();
        let mut exchange =
            Exchange::of_request(request.method.as_str(), url.as_str(), &headers, &request.body, &redaction, clock);
        if request.secret {
            // The body of a token request is nothing but credentials.
            exchange.request_body = crate::redaction::REDACTED.to_owned();
        }
        if !leaves {
            self.record(exchange);
            return Err(DeliveryError::Preview);
        }
        let started = Instant::now();
        let result = match &self.account.way {
            Way::Network(client) => {
                let outgoing = client.request(request.method.clone(), url).headers(headers).body(request.body.clone());
                receive(outgoing, settings.answer_bytes_max).await
            }
            Way::Recording(recording) => recording.answer(request, url.as_str(), &headers).await,
            Way::Nowhere => {
                return Err(DeliveryError::Unreachable { message: "this connection leads nowhere".to_owned() });
            }
        };
        let took = started.elapsed();
        if let Some(traffic) = &settings.traffic {
            traffic.ended(result.as_ref().ok().map(|(status, ..)| *status), took);
        }
        exchange.millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let result = match result {
            Ok((status, headers, body)) => {
                exchange.answered(status, &headers, &body, &redaction);
                if request.secret {
                    // Nor is the answer to it fit to be seen when it holds a token.
                    if status < 300 {
                        exchange.answer_body = crate::redaction::REDACTED.to_owned();
                    }
                }
                Ok(Answer { status, headers, body, at: clock.now() })
            }
            Err(error) => {
                let error = self.redact_error(error);
                exchange.error = Some(error.to_string());
                Err(error)
            }
        };
        self.record(exchange);
        result
    }
}

fn parts(request: &Request, endpoint: Option<&str>) -> Result<(Url, HeaderMap), DeliveryError> {
    let wrong = |message: String| DeliveryError::Settings { message };
    let mut url = Url::parse(&request.url).map_err(|_| wrong(format!("`{}` is not a URL", request.url)))?;
    if let Some(endpoint) = endpoint {
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let there = format!("{}{}{query}", endpoint.trim_end_matches('/'), url.path());
        url = Url::parse(&there).map_err(|_| wrong(format!("`connection.endpoint`: `{endpoint}` is not a URL")))?;
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("`{}` does not begin with `https://` or `http://`", request.url)));
    }
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 2);
    for (name, value) in &request.headers {
        let parsed =
            HeaderName::try_from(name.as_str()).map_err(|_| wrong(format!("`{name}` is not a header's name")))?;
        let value = HeaderValue::from_str(value).map_err(|_| {
            wrong(format!("the header `{name}` cannot carry its value; it holds a line break or control character"))
        })?;
        headers.append(parsed, value);
    }
    Ok((url, headers))
}

async fn receive(request: reqwest::RequestBuilder, bytes_max: usize) -> Result<(u16, HeaderMap, Bytes), DeliveryError> {
    let mut response = request.send().await.map_err(classified)?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    let cut = |error: reqwest::Error| DeliveryError::NoAnswer {
        message: format!("the answer (status {status}) was cut short: {}", innermost(&error)),
    };
    while let Some(chunk) = response.chunk().await.map_err(cut)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(DeliveryError::UnexpectedAnswer {
                message: format!("the answer (status {status}) is larger than {bytes_max} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, headers, body.into()))
}

/// The question that decides: may the request have been taken?
fn classified(error: reqwest::Error) -> DeliveryError {
    let what = innermost(&error);
    if error.is_builder() {
        DeliveryError::Settings { message: format!("the request cannot be made: {what}") }
    } else if error.is_connect() {
        let step = if error.is_dns() {
            "its name cannot be looked up: "
        } else if error.is_timeout() {
            "it did not answer in time: "
        } else {
            ""
        };
        let place = error.url().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
        DeliveryError::Unreachable { message: format!("{}: {step}{what}", place.unwrap_or_default()) }
    } else if error.is_timeout() {
        DeliveryError::NoAnswer { message: "timed out while waiting for the answer".to_owned() }
    } else {
        DeliveryError::NoAnswer { message: format!("the connection broke after the request was sent: {what}") }
    }
}

/// The cause at the end of the chain, which says most: `Connection refused (os error 111)`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn client(settings: &WireSettings) -> Result<Client, SettingsError> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(trust::client_config(settings.ca_certificate.as_deref())?)
        .user_agent(concat!("outflow/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .timeout(settings.total_timeout)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(settings.limits.concurrency.max(1))
        // Shorter than what servers and balancers usually wait, so that they seldom close one as it is used.
        .pool_idle_timeout(Duration::from_secs(15))
        .gzip(true)
        // A proxy is a setting, never the environment's.
        .no_proxy();
    if settings.reach != Reach::Any {
        builder = builder.dns_resolver(Arc::new(reach::Resolver(settings.reach)));
    }
    if let Some(address) = &settings.proxy {
        let wrong = || SettingsError::one("connection.proxy", "must be a URL such as `http://proxy.example.com:3128`");
        Url::parse(address).ok().filter(|url| url.has_host()).ok_or_else(wrong)?;
        let proxy = reqwest::Proxy::all(address.as_str()).map_err(|_| wrong())?;
        let spared = settings.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
        builder = builder.proxy(proxy.no_proxy(spared));
    }
    builder
        .build()
        .map_err(|error| SettingsError::one("", format!("no HTTP client can be made: {}", innermost(&error))))
}

/// Scheme, host and port of an absolute URL: what credentials belong to.
pub fn url_origin(url: &str) -> Option<(String, String, u16)> {
    let url = Url::parse(url).ok()?;
    Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()?))
}
