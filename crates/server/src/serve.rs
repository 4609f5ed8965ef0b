//! Serving on a socket, with limits on connections and on how long they may do nothing, until told to end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{AppState, router};

/// Connections at a time. The next wait to be taken.
const CONNECTIONS_MAX: usize = 4_096;
/// How long the head of a request may take; it also ends connections that rest between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long nothing is taken after a connection could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long answers under way may take when the server ends.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// Who is at the other end of the connection: the caller or a proxy in front of us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Why a server could not begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot tell the address that the server listens on")]
pub struct ServeError(#[source] std::io::Error);

/// Serves until `shutdown` is cancelled, and then lets answers under way come to their end, with a bound.
///
/// # Errors
/// The listener has no address.
pub async fn serve(listener: TcpListener, state: AppState, shutdown: CancellationToken) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError)?;
    tracing::info!(%address, public_url = %state.settings.public_url, "serving");
    let router = router(state);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            Some(_) = connections.join_next() => continue,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // A connection that broke before it was taken is no reason to end. Where there is no room for another
                // file, the next attempt fails at once too.
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection was not taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service(router.clone(), Peer(peer)));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A connection that breaks off is the caller's to notice.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    tracing::info!("ending: answers under way come to their end");
    if tokio::time::timeout(END_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!(left = connections.len(), "some answers did not end in time and were cut off");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Without this an answer in two parts waits for the caller's acknowledgement.
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

fn service(
    router: Router,
    peer: Peer,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> {
    service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(axum::body::Body::new))
    })
}

#[cfg(test)]
mod tests;
