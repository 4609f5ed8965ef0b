//! What the tests of this crate share: a server without a socket, people who call it, and what it answers.

pub(crate) mod connectors;
pub(crate) mod provider;

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use axum::{Router, body::Body};
use base64::Engine as _;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use records::{Clock, Random, SessionId, UserId};
use serde_json::Value;
use store::{Actor, Author, NewSession, NewUser, Role, Store};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{AppState, Parts, Settings, router, tickets};

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
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for Seeded {
    fn next(&self) -> u64 {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// What works with definitions, over connectors of tests.
fn service(store: &Store, clock: &Arc<HandClock>, data: &std::path::Path) -> Arc<workers::Service> {
    let random: Arc<dyn Random> = Arc::new(Seeded::new(11));
    let key = base64::engine::general_purpose::STANDARD.encode([7; 32]);
    let settings = sync::Settings {
        folder: data.to_owned(),
        memory_bytes: 64 << 20,
        disk_bytes: 64 << 20,
        history_days: None,
        history_bytes: None,
    };
    let clock: Arc<dyn Clock> = Arc::<HandClock>::clone(clock);
    let steps = Arc::new(changes::NoSteps);
    let engine = sync::Engine::new(store.clone(), settings, Arc::clone(&clock), Arc::clone(&random), steps);
    Arc::new(workers::Service::new(workers::Parts {
        store: store.clone(),
        keyring: store::Keyring::of_text(&key, Arc::clone(&random)).unwrap(),
        forms: Arc::new(project::Forms::new(Arc::new(connectors::Fakes))),
        engine,
        clock,
        random,
        variables: Arc::new(|_| None),
        places: workers::Places {
            settings: project::Settings {
                name: "test".to_owned(),
                folder: data.to_owned(),
                data: data.to_owned(),
                memory_bytes: 64 << 20,
                disk_bytes: 64 << 20,
                history_days: None,
                history_bytes: None,
            },
            allowed: project::Allowed::default(),
        },
        plans: workers::PlanSettings::default(),
    }))
}

/// A whole server, called without a socket.
pub(crate) struct TestServer {
    pub(crate) state: AppState,
    pub(crate) clock: Arc<HandClock>,
    router: Router,
    _data: tempfile::TempDir,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::new("http://outflow.test".parse().unwrap())).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(BEGINNING)));
        let store = Store::open_in_memory(Arc::<HandClock>::clone(&clock)).await.unwrap();
        let data = tempfile::tempdir().unwrap();
        let state = AppState::new(Parts {
            settings,
            workers: service(&store, &clock, data.path()),
            store,
            clock: Arc::<HandClock>::clone(&clock),
            random: Arc::new(Seeded::new(7)),
            wire: kit::Wire::open(kit::WireSettings::default(), Arc::<HandClock>::clone(&clock)).unwrap(),
            shutdown: CancellationToken::new(),
        });
        let router = router(state.clone());
        Self { state, clock, router, _data: data }
    }

    /// The same with another router, for tests of layers.
    pub(crate) fn serving(self, router: impl FnOnce(AppState) -> Router) -> Self {
        Self { router: router(self.state.clone()), ..self }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        // A stream of events has no end.
        let is_stream = head.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let body = if is_stream { Vec::new() } else { body.collect().await.unwrap().to_bytes().to_vec() };
        Answer { head, body }
    }

    /// Somebody who calls: with nothing yet.
    pub(crate) fn stranger(&self) -> Person<'_> {
        Person { server: self, cookie: None, token: None }
    }

    /// Somebody of that role, signed in. The address is `ROLE@example.com`.
    pub(crate) async fn person(&self, role: Role) -> Person<'_> {
        let email = format!("{}@example.com", role.name());
        let user = match self.state.store.user_of_email(&email).await.unwrap() {
            Some(user) => user,
            None => self.state.store.create_user(&self.new_user(&email, role), &self.system()).await.unwrap(),
        };
        let ticket = tickets::ticket(&*self.state.random);
        let session = NewSession {
            id: SessionId::new(self.clock.now(), &*self.state.random),
            token_hash: tickets::hash(&ticket),
            user: user.id,
            address: None,
            agent: None,
        };
        self.state.store.begin_session(&session, &self.system()).await.unwrap();
        Person { server: self, cookie: Some(format!("outflow_session={ticket}")), token: None }
    }

    pub(crate) fn new_user(&self, email: &str, role: Role) -> NewUser {
        NewUser {
            id: UserId::new(self.clock.now(), &*self.state.random),
            email: email.to_owned(),
            name: format!("The {}", role.name()),
            role,
            see_personal: None,
            password_hash: None,
            identity: None,
        }
    }

    pub(crate) fn system(&self) -> Author {
        Author::new(Actor::system(), None, Arc::clone(&self.state.random))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

/// Somebody's browser or program, which keeps the session's cookie.
#[derive(Clone)]
pub(crate) struct Person<'a> {
    pub(crate) server: &'a TestServer,
    pub(crate) cookie: Option<String>,
    pub(crate) token: Option<String>,
}

impl Person<'_> {
    /// A request as the pages or a program with a token make it.
    pub(crate) fn request(&self, method: &Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path).header("x-outflow-csrf", "1");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.server.send(self.request(&Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        let request = self.request(&Method::DELETE, path).header("if-match", "*");
        self.server.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(&method, path).header("content-type", "application/json").header("if-match", "*");
        self.server.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// Keeps the cookie of an answer, as a browser does.
    pub(crate) fn keep(&mut self, answer: &Answer) {
        let cookies = answer.head.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let session =
            cookies.filter_map(|cookie| cookie.split(';').next()).find(|pair| pair.starts_with("outflow_session="));
        self.cookie = session.map(ToOwned::to_owned);
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
