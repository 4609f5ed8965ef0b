//! A request and its answer as they are kept for people: without secrets, cut to a readable length.

use http::HeaderMap;
use records::Clock;
use serde::{Deserialize, Serialize};

use crate::redaction::{REDACTED, Redaction};

/// How much of a body is kept.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 1024;

/// Headers whose values are never kept, whatever they hold.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "www-authenticate"];

/// One request and what came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub method: String,
    pub url: String,
    pub request_headers: Vec<(String, String)>,
    pub request_body: String,
    /// None if no answer came, or nothing was sent (a preview).
    pub status: Option<u16>,
    pub answer_headers: Vec<(String, String)>,
    pub answer_body: String,
    /// What went wrong if no answer was read.
    pub error: Option<String>,
    /// RFC 3339.
    pub started_at: String,
    pub millis: u64,
}

impl Exchange {
    /// A request that has no answer yet.
    pub fn of_request(
        method: &str,
        url: &str,
        headers: &HeaderMap,
        body: &[u8],
        redaction: &Redaction,
        clock: &dyn Clock,
    ) -> Self {
        Self {
            method: method.to_owned(),
            url: redaction.text(url),
            request_headers: shown_headers(headers, redaction),
            request_body: redaction.head(body, BODY_BYTES_MAX),
            status: None,
            answer_headers: Vec::new(),
            answer_body: String::new(),
            error: None,
            started_at: clock.now().to_string(),
            millis: 0,
        }
    }

    /// Adds the answer.
    pub fn answered(&mut self, status: u16, headers: &HeaderMap, body: &[u8], redaction: &Redaction) {
        self.status = Some(status);
        self.answer_headers = shown_headers(headers, redaction);
        self.answer_body = redaction.head(body, BODY_BYTES_MAX);
    }
}

fn shown_headers(headers: &HeaderMap, redaction: &Redaction) -> Vec<(String, String)> {
    headers
        .iter()
        .take(HEADERS_MAX)
        .map(|(name, value)| {
            let shown = if value.is_sensitive() || SECRET_HEADERS.contains(&name.as_str()) {
                let scheme = value.to_str().ok().and_then(|text| text.split_once(' ')).map(|(scheme, _)| scheme);
                match scheme.filter(|scheme| matches!(*scheme, "Bearer" | "Basic")) {
                    Some(scheme) => format!("{scheme} {REDACTED}"),
                    None => REDACTED.to_owned(),
                }
            } else {
                redaction.head(value.as_bytes(), HEADER_BYTES_MAX)
            };
            (name.as_str().to_owned(), shown)
        })
        .collect()
}
