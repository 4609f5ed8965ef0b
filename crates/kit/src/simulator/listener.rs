//! The one HTTP server of the kit, on loopback: it reads requests whole and does with them what its answerer says,
//! wrongly too.

use std::convert::Infallible;
use std::future::Future;
use std::io::Read as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Received, Reply};

/// The largest body that is read, packed or not.
const BODY_BYTES_MAX: usize = 256 << 20;
/// How much longer than it is a cut answer says to be.
const BYTES_MISSING: usize = 100;

/// How long nothing is taken after a connection could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Answerer = dyn Fn(Received) -> Answering + Send + Sync;
type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A server that listens until it is dropped, which ends its connections too.
#[derive(Debug)]
pub(crate) struct HttpListener {
    address: SocketAddr,
    /// Takes no new connections from now on.
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for HttpListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HttpListener {
    /// Listens on a port of loopback; 0 is any that is free.
    pub(crate) async fn start<F>(
        port: u16,
        answer: impl Fn(Received) -> F + Send + Sync + 'static,
    ) -> std::io::Result<Self>
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let answerer: Arc<Answerer> = Arc::new(move |request| Box::pin(answer(request)));
        let numbers = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    Some(_) = connections.join_next() => continue,
                    () = stopped.cancelled() => break,
                };
                // A connection that broke before it was taken is no reason to end. Where there is no room for another
                // file, the next attempt fails at once too.
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                // Without this an answer in two parts waits for the caller's acknowledgement.
                let _ = stream.set_nodelay(true);
                let (answerer, numbers) = (Arc::clone(&answerer), Arc::clone(&numbers));
                let service = service_fn(move |request| {
                    let (answerer, numbers) = (Arc::clone(&answerer), Arc::clone(&numbers));
                    async move {
                        let reply = match read(request).await {
                            Ok(mut received) => {
                                received.number = numbers.fetch_add(1, Ordering::SeqCst);
                                received.at = begun.elapsed();
                                answerer(received).await
                            }
                            Err(reply) => reply,
                        };
                        response(reply).await
                    }
                });
                connections.spawn(async move {
                    // A connection that breaks off is the caller's to notice.
                    let _ = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(None)
                        .auto_date_header(false)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            while connections.join_next().await.is_some() {}
        });
        Ok(Self { address, stop, task })
    }

    /// Ends when the connections that there are have ended, but waits no longer than that for them.
    pub(crate) async fn finish(mut self, most: Duration) {
        self.stop.cancel();
        let _ = tokio::time::timeout(most, &mut self.task).await;
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The request read to its end, or why it cannot be.
async fn read(request: Request<Incoming>) -> Result<Received, Reply> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let too_large = || Reply::typed(413, "text/plain", format!("the body is larger than {BODY_BYTES_MAX} bytes"));
    let body = Limited::new(body, BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| if error.is::<http_body_util::LengthLimitError>() { too_large() } else { Reply::Drop })?;
    let mut received = Received {
        number: 0,
        method: head.method.to_string(),
        target,
        headers,
        body: body.to_bytes().into(),
        packed: None,
        at: Duration::ZERO,
    };
    if received.header("content-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip")) {
        let mut body = Vec::new();
        let most = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX);
        let unpacked =
            flate2::read::MultiGzDecoder::new(received.body.as_slice()).take(most + 1).read_to_end(&mut body);
        if unpacked.is_err() {
            return Err(Reply::typed(400, "text/plain", "the body is said to be gzip and is not"));
        }
        if body.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        received.packed = Some(std::mem::replace(&mut received.body, body));
    }
    Ok(received)
}

/// The answer to be written. An error ends the connection without one.
async fn response(reply: Reply) -> Result<Response<Body>, std::io::Error> {
    let (status, headers, body, missing) = match reply {
        Reply::Drop => return Err(std::io::Error::other("dropped")),
        Reply::Silence => return std::future::pending().await,
        Reply::Answer { status, headers, body } => (status, headers, body, 0),
        Reply::CutShort { status, body } => {
            (status, vec![("content-type".to_owned(), "application/json".to_owned())], body, BYTES_MISSING)
        }
    };
    let promised = body.len() + missing;
    let mut response = Response::new(if missing == 0 { whole(body) } else { broken(body) });
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        // What no header can hold is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if missing > 0 {
        response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(promised));
    }
    Ok(response)
}

fn whole(body: Vec<u8>) -> Body {
    Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body that breaks off after what there is of it has been written.
fn broken(body: Vec<u8>) -> Body {
    let parts = stream::unfold(Some(body), |rest| async move {
        match rest {
            Some(body) if !body.is_empty() => Some((Ok(Frame::data(Bytes::from(body))), Some(Vec::new()))),
            Some(_) => {
                // What was given is written once there is a pause.
                tokio::task::yield_now().await;
                Some((Err(std::io::Error::other("cut short")), None))
            }
            None => None,
        }
    });
    StreamBody::new(parts).boxed_unsync()
}
