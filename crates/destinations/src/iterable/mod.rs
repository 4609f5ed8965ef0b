//! Iterable: users, events, carts and purchases of a project.

mod answers;
mod dates;
mod requests;
mod simulator;

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderName;
use kit::{Auth, Batch, DeliveryError, Destination, Facts, Payload, Request, SettingsError, Wire, WireSettings};
use records::{Outcome, Value, object};

pub(crate) use simulator::simulator;

#[derive(Debug)]
struct Iterable {
    facts: Facts,
    wire: WireSettings,
    origin: &'static str,
}

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let text = |key: &str| settings.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    let mut wire = kit::wire_settings(&facts, settings)?;
    wire.auth = Auth::ApiKeyHeader {
        header: HeaderName::from_static("api-key"),
        prefix: String::new(),
        key: text("apiKey").to_owned(),
    };
    let origin = match text("dataCenterLocation") {
        "europe" => "https://api.eu.iterable.com",
        _ => "https://api.iterable.com",
    };
    Ok(Arc::new(Iterable { facts, wire, origin }))
}

#[async_trait]
impl Destination for Iterable {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let answer = wire.send(Request::get(format!("{}/api/webhooks", self.origin))).await?;
        match answer.failure(&self.facts.statuses) {
            None => Ok(format!("{} takes the key", self.origin)),
            Some(failure) => Err(failure),
        }
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let records = &batch.records;
        let Some(first) = records.first() else { return Ok(Vec::new()) };
        let now = wire.now().as_second();
        let bodies =
            |body: fn(&Payload, i64) -> Value| records.iter().map(|record| body(record, now)).collect::<Vec<_>>();
        match (batch.action.as_str(), batch.batching) {
            ("updateUser", true) => {
                let users = bodies(|record, _| requests::user(&record.fields));
                let update_only = first.fields.get("updateOnly").filter(|only| **only == Value::Bool(true));
                let body = match update_only {
                    Some(only) => object! { "updateOnly" => only, "users" => users },
                    None => object! { "users" => users },
                };
                let answer = self.post("/api/users/bulkUpdate", &body, wire).await?;
                answers::of_batch(&answer, records, answers::Counted::Users, &self.facts.statuses)
            }
            ("trackEvent", true) => {
                let events = bodies(|record, now| requests::event(&record.fields, now));
                let body = object! { "events" => events };
                let answer = self.post("/api/events/trackBulk", &body, wire).await?;
                answers::of_batch(&answer, records, answers::Counted::Events, &self.facts.statuses)
            }
            (action, _) => {
                let fields = &first.fields;
                let (user, path, body): (_, _, fn(&Value, i64) -> Value) = match action {
                    "updateUser" => (fields, "/api/users/update", |fields, _| requests::user(fields)),
                    "trackEvent" => (fields, "/api/events/track", requests::event),
                    "updateCart" => {
                        (fields.get("user").unwrap_or(&Value::Null), "/api/commerce/updateCart", |fields, _| {
                            requests::cart(fields)
                        })
                    }
                    "trackPurchase" => {
                        (fields.get("user").unwrap_or(&Value::Null), "/api/commerce/trackPurchase", requests::purchase)
                    }
                    _ => return Err(DeliveryError::Settings { message: format!("there is no action `{action}`") }),
                };
                if !requests::is_known(user) {
                    return Ok(vec![answers::unknown_user()]);
                }
                let answer = self.post(path, &body(fields, now), wire).await?;
                answers::of_one(&answer, &self.facts.statuses)
            }
        }
    }
}

impl Iterable {
    async fn post(&self, path: &str, body: &Value, wire: &Wire) -> Result<kit::Answer, DeliveryError> {
        wire.send(Request::post(format!("{}{path}", self.origin)).json(body)).await
    }
}
