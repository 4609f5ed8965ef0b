//! A request as it came to a server on loopback, and what the server does with it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// From 0, over all connections.
    pub number: usize,
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, unpacked if it came as gzip.
    pub body: Vec<u8>,
    /// The body as it came, if it was packed.
    pub packed: Option<Vec<u8>>,
    /// How long the server had been running.
    pub at: Duration,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The parts of the path between its slashes, decoded: `/crm/v3/a%20b` is `crm`, `v3`, `a b`.
    pub fn segments(&self) -> Vec<String> {
        let parts = self.path().split('/').filter(|part| !part.is_empty());
        // A plus sign is itself in a path.
        parts.map(|part| decoded_pairs(&part.replace('+', "%2B")).pop().unwrap_or_default().0).collect()
    }

    /// The parameters of the target, decoded, in their order.
    pub fn query(&self) -> Vec<(String, String)> {
        self.target.split_once('?').map_or_else(Vec::new, |(_, query)| decoded_pairs(query))
    }

    /// The first parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The pairs of a body in the form `application/x-www-form-urlencoded`.
    pub fn form(&self) -> Vec<(String, String)> {
        decoded_pairs(&self.text())
    }

    /// The first pair of that name in such a body.
    pub fn form_value(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.authorization("Bearer")
    }

    /// User and password of `Authorization: Basic`.
    pub fn basic(&self) -> Option<(String, String)> {
        let text = String::from_utf8(STANDARD.decode(self.authorization("Basic")?).ok()?).ok()?;
        text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    fn authorization(&self, scheme: &str) -> Option<&str> {
        let (named, rest) = self.header("authorization")?.split_once(' ')?;
        named.eq_ignore_ascii_case(scheme).then(|| rest.trim())
    }
}

fn decoded_pairs(text: &str) -> Vec<(String, String)> {
    let Ok(mut url) = reqwest::Url::parse("http://host/") else { return Vec::new() };
    url.set_query(Some(text));
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// An answer whose length is given as longer than it is.
    CutShort {
        status: u16,
        body: Vec<u8>,
    },
    /// The connection ends without an answer.
    Drop,
    /// The connection stays open without an answer.
    Silence,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Reply::Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::typed(status, "application/json", body.to_string())
    }

    pub fn typed(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Reply::Answer { status, headers: vec![("content-type".to_owned(), kind.to_owned())], body: body.into() }
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The answer broken off in the middle of its body, or before it if it has none.
    #[must_use]
    pub fn cut_short(self) -> Self {
        match self {
            Reply::Answer { status, mut body, .. } => {
                body.truncate(body.len() / 2);
                Reply::CutShort { status, body }
            }
            other => other,
        }
    }

    /// How it is counted: its status, or what is there in its place.
    pub(crate) fn name(&self) -> String {
        match self {
            Reply::Answer { status, .. } => status.to_string(),
            Reply::CutShort { .. } => "cut short".to_owned(),
            Reply::Drop => "dropped".to_owned(),
            Reply::Silence => "silence".to_owned(),
        }
    }
}
