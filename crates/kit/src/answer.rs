//! The answer to a request, and what it says.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use crate::{DeliveryError, Meaning, Statuses};

/// An answer that was read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// When it had come, for dates in its headers.
    pub at: Timestamp,
}

const MESSAGE_CHARS_MAX: usize = 300;

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// `UnexpectedAnswer`, saying what the body is instead: HTML, nothing, cut short.
    pub fn json(&self) -> Result<records::Value, DeliveryError> {
        let unexpected = |message: String| DeliveryError::UnexpectedAnswer { message };
        if self.body.is_empty() {
            return Err(unexpected(format!("status {} with an empty body where JSON was expected", self.status)));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            if self.is_html() {
                unexpected(format!(
                    "status {} with an HTML page where JSON was expected: {}",
                    self.status,
                    self.message()
                ))
            } else if error.is_eof() {
                unexpected(format!(
                    "status {} with JSON that is cut short after {} bytes",
                    self.status,
                    self.body.len()
                ))
            } else {
                unexpected(format!(
                    "status {} with a body that is not JSON (line {}, column {})",
                    self.status,
                    error.line(),
                    error.column()
                ))
            }
        })
    }

    /// Whether the body is a page for people.
    pub fn is_html(&self) -> bool {
        let head = self.body.trim_ascii_start();
        let looks = [b"<!doctype html".as_slice(), b"<html", b"<head", b"<body"]
            .iter()
            .any(|start| head.len() >= start.len() && head[..start.len()].eq_ignore_ascii_case(start));
        // Many servers call a plain `ok` HTML, so the name alone does not say it.
        looks || (head.starts_with(b"<") && self.has_type("text/html"))
    }

    /// Whether the answer says that its body is of that type.
    pub fn has_type(&self, kind: &str) -> bool {
        self.header("content-type").is_some_and(|named| named.to_ascii_lowercase().starts_with(kind))
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the destination asks to wait (`Retry-After`, in seconds or as a date).
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<f64>() {
            return (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)));
        }
        let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Duration::try_from(until.duration_since(self.at)).unwrap_or_default())
    }

    /// What the answer says went wrong, short, for people: the message of a JSON error, the title of a page.
    pub fn message(&self) -> String {
        let said = if self.is_html() {
            Some(match self.title() {
                Some(title) => format!("an HTML page titled `{title}`"),
                None => "an HTML page".to_owned(),
            })
        } else {
            match serde_json::from_slice::<serde_json::Value>(&self.body) {
                Ok(json) => said_in(&json, 0).or_else(|| Some(json.to_string())),
                Err(_) => Some(String::from_utf8_lossy(self.body.trim_ascii()).into_owned()),
            }
        };
        match said.filter(|said| !said.is_empty()) {
            Some(said) => shortened(&said),
            None => format!("status {} with an empty body", self.status),
        }
    }

    /// The error that a status stands for; none if it means that the request was taken.
    pub fn failure(&self, statuses: &Statuses) -> Option<DeliveryError> {
        let code = format!("http_{}", self.status);
        let message = || format!("status {}: {}", self.status, self.message());
        match statuses.meaning(self.status) {
            Some(Meaning::Delivered) => None,
            Some(Meaning::Rejected) => Some(DeliveryError::Refused { code, message: self.message() }),
            Some(Meaning::Retry) if self.retry_after().is_some() => {
                Some(DeliveryError::RateLimited { after: self.retry_after() })
            }
            Some(Meaning::Retry) => Some(DeliveryError::Failed { code, message: self.message() }),
            Some(Meaning::RateLimited) => Some(DeliveryError::RateLimited { after: self.retry_after() }),
            Some(Meaning::InDoubt) => Some(DeliveryError::NoAnswer { message: message() }),
            Some(Meaning::CredentialsRefused) => Some(DeliveryError::CredentialsRefused { message: message() }),
            None => Some(DeliveryError::UnexpectedAnswer {
                message: match self.header("location") {
                    Some(place) => {
                        format!("status {}, a redirection to `{place}`; set the URL to where it leads", self.status)
                    }
                    None => message(),
                },
            }),
        }
    }

    fn title(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4096)]).into_owned();
        let lower = text.to_ascii_lowercase();
        let from = lower.find("<title")?;
        let from = from + lower[from..].find('>')? + 1;
        let to = from + lower[from..].find("</title")?;
        let title = text[from..to].trim();
        (!title.is_empty()).then(|| shortened(title))
    }
}

/// The message within a JSON error, in the places where APIs put it.
fn said_in(json: &serde_json::Value, depth: usize) -> Option<String> {
    if depth > 3 {
        return None;
    }
    match json {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(items) => said_in(items.first()?, depth + 1),
        serde_json::Value::Object(map) => {
            let within = |key: &str| map.get(key).and_then(|value| said_in(value, depth + 1));
            let error = within("error");
            match (error, within("error_description").or_else(|| within("message"))) {
                (Some(error), Some(more)) if error != more && map["error"].is_string() => {
                    Some(format!("{error}: {more}"))
                }
                (_, Some(more)) => Some(more),
                (Some(error), None) => Some(error),
                (None, None) => ["detail", "title", "reason", "errors", "description", "msg", "meta"]
                    .iter()
                    .find_map(|key| within(key)),
            }
        }
        _ => None,
    }
}

pub(crate) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
