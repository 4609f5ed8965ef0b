//! Segment's HTTP Tracking API, which its destinations share: messages posted in batches, and what the answer proves.

use kit::{DeliveryError, Request, Statuses, Wire};
use records::{Object, Outcome, Value};

/// The code of a record that Segment's own validation would refuse.
const UNFIT: &str = "PAYLOAD_VALIDATION_FAILED";
/// Segment drops a larger message of a batch, and still answers that all is well.
const MESSAGE_BYTES_MAX: usize = 32 * 1024;
/// It refuses a larger request.
const REQUEST_BYTES_MAX: usize = 500_000;

/// Where a workspace keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    NorthAmerica,
    Europe,
}

impl Region {
    /// Reads the setting `region`.
    pub(crate) fn of(settings: &serde_json::Value) -> Self {
        match settings.get("region").and_then(serde_json::Value::as_str) {
            Some("europe") => Region::Europe,
            _ => Region::NorthAmerica,
        }
    }

    /// The address of the Public API, which manages a workspace.
    pub(crate) fn public_api(self) -> &'static str {
        match self {
            Region::NorthAmerica => "https://api.segmentapis.com",
            Region::Europe => "https://eu1.api.segmentapis.com",
        }
    }

    fn batch_url(self) -> &'static str {
        match self {
            Region::NorthAmerica => "https://api.segment.io/v1/batch",
            Region::Europe => "https://events.eu1.segmentapis.com/v1/batch",
        }
    }
}

/// A record that cannot become a message.
pub(crate) fn unfit(message: impl Into<String>) -> Outcome {
    Outcome::rejected(UNFIT, message)
}

/// A field that holds something. A text that is empty holds nothing, as in the original.
pub(crate) fn filled<'a>(fields: &'a Value, key: &str) -> Option<&'a Value> {
    fields.get(key).filter(|value| !value.is_null() && value.as_str() != Some(""))
}

/// An object of those of the pairs that have a value.
pub(crate) fn present<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Object {
    pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// A copy of the object in a field; empty if there is none.
pub(crate) fn object_in(fields: &Value, key: &str) -> Object {
    fields.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// One object, with the entries of another over its own.
pub(crate) fn overlaid(mut below: Object, over: Object) -> Object {
    for (key, value) in over {
        below.insert(key, value);
    }
    below
}

/// The value of a field that a message cannot do without.
///
/// # Errors
/// It holds nothing.
pub(crate) fn needed(fields: &Value, key: &str) -> Result<Value, Outcome> {
    filled(fields, key).cloned().ok_or_else(|| unfit(format!("`{key}` must hold something; map it to a column")))
}

/// Who the message is about, which Segment needs to know.
///
/// # Errors
/// The record names nobody.
pub(crate) fn user(fields: &Value) -> Result<[(&'static str, Option<Value>); 2], Outcome> {
    let (user, anonymous) = (filled(fields, "user_id"), filled(fields, "anonymous_id"));
    if user.is_none() && anonymous.is_none() {
        return Err(unfit("either `user_id` or `anonymous_id` must hold something; map one of them to a column"));
    }
    Ok([("userId", user.cloned()), ("anonymousId", anonymous.cloned())])
}

/// What the user consented to; nothing if the field is not of the form that Segment reads.
pub(crate) fn consent(fields: &Value) -> Object {
    let preferences = fields.get("consent").and_then(|consent| consent.get("categoryPreferences"));
    let readable = match preferences {
        Some(Value::Object(preferences)) => preferences.iter().all(|(_, value)| matches!(value, Value::Bool(_))),
        Some(Value::Array(items)) => items.iter().all(|value| matches!(value, Value::Bool(_))),
        _ => false,
    };
    if readable { object_in(fields, "consent") } else { Object::new() }
}

/// Posts the messages in one request and gives an outcome for each, or for what stands in place of a message.
///
/// # Errors
/// As [`kit::Destination::deliver`].
pub(crate) async fn post(
    region: Region,
    write_key: &str,
    messages: Vec<Result<Object, Outcome>>,
    statuses: &Statuses,
    wire: &Wire,
) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Vec::with_capacity(messages.len());
    let mut body = String::from("{\"batch\":[");
    let mut count = 0;
    for message in messages {
        outcomes.push(match message.and_then(fitting) {
            Err(outcome) => outcome,
            Ok(text) => {
                if count > 0 {
                    body.push(',');
                }
                body.push_str(&text);
                count += 1;
                Outcome::Delivered
            }
        });
    }
    body.push_str("]}");
    if count == 0 {
        return Ok(outcomes);
    }
    if body.len() > REQUEST_BYTES_MAX {
        // The kit splits what is refused.
        let message = format!("{} bytes; Segment takes {REQUEST_BYTES_MAX} in a request", body.len());
        return Err(DeliveryError::Refused { code: "too_large".to_owned(), message });
    }
    // It may stand in the mapping, and it goes as basic authentication.
    wire.add_secret(write_key);
    wire.add_secret(&format!("{write_key}:"));
    let request = Request::post(region.batch_url()).basic(write_key, "").text("application/json", body);
    let answer = wire.send(request).await?;
    if let Some(failure) = answer.failure(statuses) {
        return Err(failure);
    }
    if answer.json()?.get("success") != Some(&Value::Bool(true)) {
        let message = format!("status {} without `success: true`: {}", answer.status, answer.message());
        return Err(DeliveryError::UnexpectedAnswer { message });
    }
    Ok(outcomes)
}

/// The JSON of a message, if Segment takes one so large.
fn fitting(message: Object) -> Result<String, Outcome> {
    let text = Value::Object(message).to_json();
    if text.len() > MESSAGE_BYTES_MAX {
        let message = format!(
            "the message is {} bytes as JSON, and Segment drops one over {MESSAGE_BYTES_MAX}; map fewer or shorter columns",
            text.len()
        );
        return Err(Outcome::rejected("too_large", message));
    }
    Ok(text)
}

/// Sees whether a source has that write key. The Tracking API itself answers the same to a wrong one.
///
/// # Errors
/// As [`kit::Destination::check`].
pub(crate) async fn check_write_key(write_key: &str, statuses: &Statuses, wire: &Wire) -> Result<(), DeliveryError> {
    let url = format!("https://cdn.segment.com/v1/projects/{}/settings", path_segment(write_key));
    let answer = wire.send(Request::get(url).without_credentials()).await?;
    match answer.status {
        400 | 404 => Err(DeliveryError::CredentialsRefused {
            message: "no source in Segment has this write key; copy it from the source's settings, API keys".to_owned(),
        }),
        _ => answer.failure(statuses).map_or(Ok(()), Err),
    }
}

fn path_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
