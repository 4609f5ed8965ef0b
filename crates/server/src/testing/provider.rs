//! An identity provider on loopback: description, keys, tokens signed with RS256, and what a dishonest one would send.
//! Its keys are for tests alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, StatusCode};
use openidconnect::{
    JsonWebKeyId, PrivateSigningKey as _,
    core::{CoreJsonWebKeySet, CoreJwsSigningAlgorithm, CoreRsaPrivateSigningKey},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};

const KEYS: [(&str, &str); 2] = [("first", include_str!("provider-1.pem")), ("second", include_str!("provider-2.pem"))];

pub(crate) const CLIENT: (&str, &str) = ("outflow", "the secret of outflow");

/// Ends when it is dropped.
pub(crate) struct Provider {
    pub(crate) url: String,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

/// What it says at the moment.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    issuer: String,
    /// Codes that were given, with the challenge and the claims that belong to each.
    codes: HashMap<String, (String, Value)>,
    user_info: Value,
    /// Which key signs, and which are told of.
    pub(crate) signs: usize,
    pub(crate) told: Vec<usize>,
    pub(crate) descriptions_read: usize,
    /// Whether the token is signed by a key that has the name of another.
    pub(crate) forges: bool,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared { issuer: url.clone(), told: vec![0], ..Shared::default() };
        let shared = Arc::new(Mutex::new(shared));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody signed in on its page: it sends the browser back with a code for a token with those claims.
    pub(crate) fn grant(&self, challenge: &str, claims: Value) -> String {
        let mut shared = self.shared();
        let code = format!("code-{}", shared.codes.len());
        shared.codes.insert(code.clone(), (challenge.to_owned(), claims));
        code
    }

    pub(crate) fn tell_user_info(&self, claims: Value) {
        self.shared().user_info = claims;
    }
}

type Inner = State<Arc<Mutex<Shared>>>;

fn lock(shared: &Arc<Mutex<Shared>>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn describe(State(shared): Inner) -> Json<Value> {
    let mut shared = lock(&shared);
    shared.descriptions_read += 1;
    let issuer = &shared.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

fn key(index: usize) -> CoreRsaPrivateSigningKey {
    let (name, pem) = KEYS[index];
    CoreRsaPrivateSigningKey::from_pem(pem, Some(JsonWebKeyId::new(name.to_owned()))).unwrap()
}

async fn keys(State(shared): Inner) -> Json<CoreJsonWebKeySet> {
    let told = lock(&shared).told.clone();
    Json(CoreJsonWebKeySet::new(told.into_iter().map(|index| key(index).as_verification_key()).collect()))
}

async fn token(State(shared): Inner, headers: HeaderMap, body: Bytes) -> Response {
    let refused = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    let form: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let basic = form_urlencoded::byte_serialize(CLIENT.1.as_bytes()).collect::<String>();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{basic}", CLIENT.0)));
    if headers.get("authorization").is_none_or(|value| value.to_str().unwrap() != basic) {
        return refused("invalid_client");
    }
    let mut shared = lock(&shared);
    let Some((challenge, claims)) = shared.codes.remove(&form["code"]) else { return refused("invalid_grant") };
    let verifier = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if verifier != challenge || form["redirect_uri"] != "http://outflow.test/api/v1/sign-in/oidc/callback" {
        return refused("invalid_grant");
    }
    let id_token = signed(&shared, &claims);
    Json(json!({ "access_token": "access", "token_type": "Bearer", "id_token": id_token })).into_response()
}

fn signed(shared: &Shared, claims: &Value) -> String {
    let named = if shared.forges { shared.told[0] } else { shared.signs };
    let head = json!({ "alg": "RS256", "typ": "JWT", "kid": KEYS[named].0 });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&head), part(claims));
    let signature = key(shared.signs).sign(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn user_info(State(shared): Inner, headers: HeaderMap) -> Response {
    if headers.get("authorization").is_none_or(|value| value != "Bearer access") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(lock(&shared).user_info.clone()).into_response()
}
