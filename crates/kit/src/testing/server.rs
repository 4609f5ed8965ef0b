//! A server on loopback that answers as a script says, wrongly too, and keeps what came.

use std::sync::{Arc, Mutex, PoisonError};

use crate::simulator::{HttpListener, Received, Reply};

type Script = dyn Fn(&Received) -> Reply + Send + Sync;

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    listener: HttpListener,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Starts a server that asks the script what to do with each request.
    ///
    /// # Errors
    /// No port is free on loopback.
    pub async fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> std::io::Result<Self> {
        let received = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&received));
        let listener = HttpListener::start(0, move |mut request| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            async move {
                {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    // Numbered as it is kept, so that its number is its place.
                    request.number = log.len();
                    log.push(request.clone());
                }
                script(&request)
            }
        });
        Ok(Self { listener: listener.await?, received })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// All requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
