//! Where a browser comes back to after access was granted: a page on loopback (RFC 8252, section 7.3).

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::simulator::{HttpListener, Reply, escaped};

const PATH: &str = "/callback";
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Waits for browsers that come back.
#[derive(Debug)]
pub struct Redirects {
    listener: HttpListener,
    coming: mpsc::Receiver<Redirected>,
}

/// A browser that came back and waits for a page.
#[derive(Debug)]
pub struct Redirected {
    /// The path and query that it asked for.
    pub target: String,
    page: oneshot::Sender<Reply>,
}

impl Redirects {
    /// Listens on a port of loopback; 0 is any that is free.
    ///
    /// # Errors
    /// The port cannot be listened on.
    pub async fn listen(port: u16) -> std::io::Result<Self> {
        let (sender, coming) = mpsc::channel(4);
        let listener = HttpListener::start(port, move |request| {
            let sender = sender.clone();
            async move {
                if request.method != "GET" || request.path() != PATH {
                    return page(404, "Nothing here", "This address only waits for access to be granted.");
                }
                let (page_sender, answer) = oneshot::channel();
                let redirected = Redirected { target: request.target, page: page_sender };
                let over = || page(410, "Too late", "Nobody waits for this any more.");
                if sender.send(redirected).await.is_err() {
                    return over();
                }
                answer.await.unwrap_or_else(|_| over())
            }
        });
        Ok(Self { listener: listener.await?, coming })
    }

    /// The address to be sent back to. Tools know it by `localhost`; many take no number in its place.
    pub fn url(&self) -> String {
        format!("http://localhost:{}{PATH}", self.listener.port())
    }

    /// Waits no longer than that for the pages that are still being sent.
    pub async fn finish(self, most: Duration) {
        drop(self.coming);
        self.listener.finish(most).await;
    }

    /// The next browser that comes back.
    pub async fn next(&mut self) -> Option<Redirected> {
        self.coming.recv().await
    }
}

impl Redirected {
    /// Shows the person that all went well.
    pub fn granted(self, what: &str) {
        self.show(page(200, "Connected", &format!("{what} You may close this page.")));
    }

    /// Shows the person why it did not.
    pub fn failed(self, why: &str) {
        self.show(page(400, "Not connected", why));
    }

    fn show(self, page: Reply) {
        // A browser that went away needs no page.
        let _ = self.page.send(page);
    }
}

fn page(status: u16, title: &str, text: &str) -> Reply {
    let body = format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:17px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}}\
         :root{{color-scheme:light dark}}</style><h1>{title}</h1><p>{}</p></html>",
        escaped(text)
    );
    Reply::typed(status, "text/html; charset=utf-8", body)
        .with_header("content-security-policy", POLICY)
        .with_header("connection", "close")
        // The address holds the code.
        .with_header("referrer-policy", "no-referrer")
        .with_header("cache-control", "no-store")
}
