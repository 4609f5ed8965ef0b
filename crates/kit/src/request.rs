//! A request as a destination makes it; credentials and signature are added on the way.

use std::io::Write as _;

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use crate::form_encoded;

/// A request to a tool.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// Absolute, at the tool's own address even when the connection leads elsewhere.
    pub url: String,
    /// In their order; names in any case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// Whether the connection's credentials and signature are added.
    pub(crate) signed: bool,
    /// It reads the results of what was sent before, and sends nothing itself.
    pub(crate) collecting: bool,
    /// It changes nothing at the tool.
    pub(crate) reading: bool,
    /// Its body and the body of its answer are never kept.
    pub(crate) secret: bool,
}

impl Request {
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            signed: true,
            collecting: false,
            reading: false,
            secret: false,
        }
    }

    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    pub fn put(url: impl Into<String>) -> Self {
        Self::new(Method::PUT, url)
    }

    pub fn patch(url: impl Into<String>) -> Self {
        Self::new(Method::PATCH, url)
    }

    pub fn delete(url: impl Into<String>) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds pairs to the query of the URL, encoded.
    pub fn query<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let encoded = form_encoded(pairs);
        if !encoded.is_empty() {
            self.url.push(if self.url.contains('?') { '&' } else { '?' });
            self.url.push_str(&encoded);
        }
        self
    }

    /// A body of JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        // Values of ours always can be written.
        let text = serde_json::to_vec(body).unwrap_or_default();
        self.header("content-type", "application/json").body(text)
    }

    /// A body in the form `application/x-www-form-urlencoded`.
    pub fn form<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.text("application/x-www-form-urlencoded", form_encoded(pairs))
    }

    /// A body of that type.
    pub fn text(self, content_type: &str, body: impl Into<String>) -> Self {
        self.header("content-type", content_type).body(body.into())
    }

    /// A body as it is.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Packs the body that it has.
    pub fn gzip(mut self) -> Self {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        // Writing into memory does not fail.
        if packer.write_all(&self.body).is_ok()
            && let Ok(packed) = packer.finish()
        {
            self.body = packed.into();
            return self.header("content-encoding", "gzip");
        }
        self
    }

    /// Signs in with that user and password, where each request has its own. Sent without the connection's credentials.
    pub fn basic(self, username: &str, password: &str) -> Self {
        self.without_credentials().header("authorization", crate::auth::basic(username, password))
    }

    /// Sends it without the connection's credentials and signature.
    pub fn without_credentials(mut self) -> Self {
        self.signed = false;
        self
    }

    /// Marks it as one that changes nothing at the tool, such as a search. A preview sends it, so that it can show the
    /// request that follows from the answer.
    pub fn reading(mut self) -> Self {
        self.reading = true;
        self
    }

    /// Whether it is marked as one that changes nothing.
    pub fn is_reading(&self) -> bool {
        self.reading
    }

    /// Keeps nothing of its body and of its answer's, for exchanges of credentials; sent without the connection's own.
    pub fn secret(mut self) -> Self {
        self.signed = false;
        self.secret = true;
        self
    }

    /// Marks it as one that only reads what became of what was sent before, such as the state of a job. The original's
    /// recorded cases have no such requests, so they are not compared with them.
    pub fn collecting(mut self) -> Self {
        self.collecting = true;
        self
    }
}
