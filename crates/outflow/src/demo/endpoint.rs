//! A tool of one's own for the demo: a local HTTP endpoint that keeps what it is given, as a CRM would.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The largest body it takes.
const BODY_BYTES_MAX: usize = 16 << 20;

/// What the endpoint holds: its own truth, by collection and key.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) records: BTreeMap<String, BTreeMap<String, Value>>,
    pub(crate) requests: u64,
}

/// A running endpoint. It ends with this.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    task: tokio::task::JoinHandle<()>,
}

impl Endpoint {
    /// Starts to listen on a free port of this computer.
    pub(crate) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let kept = Arc::new(Mutex::new(Kept::default()));
        let state = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
                    // A connection that breaks off is the caller's to notice.
                    let _ = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { address, kept, task })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at what it holds.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Kept) -> T) -> T {
        at(&self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Incoming>, kept: Arc<Mutex<Kept>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let method = request.method().clone();
    let collection = request.uri().path().trim_matches('/').to_owned();
    let body = match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(reply(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "too large" }))),
    };
    if method != Method::POST {
        return Ok(reply(StatusCode::OK, &json!({ "about": "POST a list of records to /COLLECTION" })));
    }
    let records = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Array(records)) => records,
        _ => return Ok(reply(StatusCode::BAD_REQUEST, &json!({ "error": "not a list of records" }))),
    };
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.requests += 1;
    let held = kept.records.entry(collection).or_default();
    let results: Vec<Value> = records.into_iter().map(|record| take(held, record)).collect();
    Ok(reply(StatusCode::OK, &json!({ "results": results })))
}

/// Takes one record: one whose `event` is `deleted` is removed, any other is kept as it is.
fn take(held: &mut BTreeMap<String, Value>, record: Value) -> Value {
    let Some(id) = record.get("id").filter(|id| !id.is_null()).cloned() else {
        return json!({ "status": 422, "error": "the record has no id" });
    };
    let key = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    if record.get("event").and_then(Value::as_str) == Some("deleted") {
        held.remove(&key);
    } else {
        held.insert(key, record);
    }
    json!({ "id": id, "status": 200 })
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
