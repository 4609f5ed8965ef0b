//! Webhooks: the data of a record, or of several as a list, sent to the URL that the mapping says.

mod javascript;
mod simulator;

use std::sync::Arc;

use ::http::Method;
use async_trait::async_trait;
use kit::{
    Answer, Batch, DeliveryError, Destination, Facts, Payload, Request, SettingsError, SignatureAlgorithm, Wire,
    WireSettings, hmac_hex,
};
use records::{Outcome, Value};
pub(crate) use simulator::simulator;

#[derive(Debug)]
struct Webhook {
    facts: Facts,
    wire: WireSettings,
    shared_secret: Secret,
    html_is_fine: bool,
}

struct Secret(Option<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Makes the destination. Settings were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let wire = kit::wire_settings(&facts, settings)?;
    let secret = settings.get("sharedSecret").and_then(serde_json::Value::as_str).filter(|secret| !secret.is_empty());
    let html_is_fine = settings.get("html_is_fine").and_then(serde_json::Value::as_bool).unwrap_or(false);
    Ok(Arc::new(Webhook { facts, wire, shared_secret: Secret(secret.map(str::to_owned)), html_is_fine }))
}

#[async_trait]
impl Destination for Webhook {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, _wire: &Wire) -> Result<String, DeliveryError> {
        Ok("nothing to check: the URL stands in the mapping, and a request to it would be a delivery".to_owned())
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let Some(first) = batch.records.first() else { return Ok(Vec::new()) };
        // Where headers are no batch key, a bad one of the first record is no fault of the others.
        let alike = batch.records.iter().all(|record| record.fields.get("headers") == first.fields.get("headers"));
        let refuse = |message: String| match alike {
            true => Ok(vec![Outcome::rejected("bad_request", message); batch.records.len()]),
            false => Err(DeliveryError::Refused { code: "bad_request".to_owned(), message }),
        };
        let request = match self.request(batch, first) {
            Ok(request) => request,
            Err(message) => return refuse(message),
        };
        match wire.send(request).await {
            Ok(answer) => self.judge(&answer)?,
            // The settings were good when the connection was opened, so it is the record's own URL or header.
            Err(DeliveryError::Settings { message }) => return refuse(message),
            Err(error) => return Err(error),
        }
        Ok(vec![Outcome::Delivered; batch.records.len()])
    }

    fn group(&self, _action: &str, payload: &Payload) -> String {
        // The headers are a batch key, which a mapping may take away to send those of the first record for all.
        let text = |key: &str| payload.fields.get(key).and_then(Value::as_str).unwrap_or_default();
        format!("{} {}", text("method"), text("url"))
    }
}

impl Webhook {
    /// The request for a batch, whose records agree with the first in all but their data.
    fn request(&self, batch: &Batch, first: &Payload) -> Result<Request, String> {
        let text = |key: &str| first.fields.get(key).and_then(Value::as_str).unwrap_or_default();
        let method = text("method").to_ascii_uppercase();
        let method = Method::try_from(method.as_str()).map_err(|_| format!("`{method}` is not a method"))?;
        let mut request = Request::new(method, text("url"));
        let (body, signed) = body(batch, first);
        let mut headers = headers(first.fields.get("headers"), body.is_some())?;
        if let (Some(secret), Some(signed)) = (&self.shared_secret.0, signed)
            && !headers.iter().any(|(name, _)| name == "x-signature")
        {
            let signature = hmac_hex(SignatureAlgorithm::Sha1, secret, signed.as_bytes());
            headers.push(("x-signature".to_owned(), signature));
        }
        // This is how the original takes a header away.
        headers.retain(|(_, value)| value != "undefined");
        request.headers = headers;
        Ok(match body {
            Some(body) => request.text("application/json", body),
            None => request,
        })
    }

    /// All or nothing: the status speaks for every record, unless the body shows that someone else answered.
    fn judge(&self, answer: &Answer) -> Result<(), DeliveryError> {
        if let Some(failure) = answer.failure(&self.facts.statuses) {
            return Err(failure);
        }
        if answer.is_html() && !self.html_is_fine {
            let message = format!(
                "status {} with {}; is the URL right? (the setting `html_is_fine` takes a page for success)",
                answer.status,
                answer.message()
            );
            return Err(DeliveryError::UnexpectedAnswer { message });
        }
        if answer.has_type("application/json") && !answer.body.trim_ascii().is_empty() {
            answer.json()?;
        }
        Ok(())
    }
}

/// The body, and the part of it that is signed: the data of the first record, also when there are several. A single
/// record without data has neither; in a list it is null.
fn body(batch: &Batch, first: &Payload) -> (Option<String>, Option<String>) {
    let data = |payload: &Payload| payload.fields.get("data").map(javascript::json);
    let signed = data(first);
    if !batch.batching {
        return (signed.clone(), signed);
    }
    let mut list = String::from("[");
    for (index, payload) in batch.records.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(&data(payload).unwrap_or_else(|| "null".to_owned()));
    }
    list.push(']');
    (Some(list), signed)
}

/// The headers of a mapping, names in lower case. One that comes twice has both values.
fn headers(fields: Option<&Value>, has_body: bool) -> Result<Vec<(String, String)>, String> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in fields.and_then(Value::as_object).into_iter().flat_map(records::Object::iter) {
        let name = name.to_ascii_lowercase();
        let value = javascript::text(value);
        if value.chars().any(|letter| letter > '\u{ff}') {
            return Err(format!(
                "the header `{name}` holds letters that headers cannot carry; put the value into the data"
            ));
        }
        // These are of the body as it is sent.
        if name == "content-length" || (has_body && name == "content-type") {
            continue;
        }
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                known.push_str(", ");
                known.push_str(&value);
            }
            None => headers.push((name, value.into_owned())),
        }
    }
    Ok(headers)
}
