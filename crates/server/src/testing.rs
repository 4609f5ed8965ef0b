//! What the tests of this crate share: a server without a socket, and what it answers.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use records::{Clock, Random};
use serde_json::Value;
use store::Store;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{AppState, Parts, Settings, router};

/// 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

/// Shows what it was set to.
#[derive(Debug)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Numbers drawn from a seed (SplitMix64).
#[derive(Debug)]
struct Seeded(AtomicU64);

impl Random for Seeded {
    fn next(&self) -> u64 {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// A whole server, called without a socket.
pub(crate) struct TestServer {
    pub(crate) state: AppState,
    pub(crate) clock: Arc<HandClock>,
    router: Router,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::new("http://outflow.test".parse().unwrap())).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(BEGINNING)));
        let store = Store::open_in_memory(Arc::<HandClock>::clone(&clock)).await.unwrap();
        let state = AppState::new(Parts {
            settings,
            store,
            clock: Arc::<HandClock>::clone(&clock),
            random: Arc::new(Seeded(AtomicU64::new(7))),
            shutdown: CancellationToken::new(),
        });
        let router = router(state.clone());
        Self { state, clock, router }
    }

    /// The same with another router, for tests of layers.
    pub(crate) fn serving(self, router: impl FnOnce(AppState) -> Router) -> Self {
        Self { router: router(self.state.clone()), ..self }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { head, body: body.to_vec() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

/// What the server said.
pub(crate) struct Answer {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.head.status
    }

    /// A header that is there once; empty if it is not.
    pub(crate) fn header(&self, name: &str) -> &str {
        assert!(self.head.headers.get_all(name).iter().count() < 2, "`{name}` is there twice");
        self.head.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The problem it must be, with its status as the table says.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", String::from_utf8_lossy(&self.body));
        let problem = self.json();
        assert_eq!(problem["status"], self.status().as_u16());
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem
    }
}
