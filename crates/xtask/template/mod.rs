//! Example: records posted as a list.

mod simulator;

use std::sync::Arc;

use async_trait::async_trait;
use kit::{Auth, Batch, DeliveryError, Destination, Facts, Request, SettingsError, Wire, WireSettings};
use records::{Outcome, Value, object};
pub(crate) use simulator::simulator;

/// Where the tool's API is. The setting `connection.endpoint` leads requests elsewhere, as tests do.
const ORIGIN: &str = "https://api.example.com";

#[derive(Debug)]
struct Example {
    facts: Facts,
    wire: WireSettings,
}

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let text = |key: &str| settings.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let mut wire = kit::wire_settings(&facts, settings)?;
    wire.auth = Auth::Bearer { token: text("api_key") };
    Ok(Arc::new(Example { facts, wire }))
}

#[async_trait]
impl Destination for Example {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let answer = wire.send(Request::get(format!("{ORIGIN}/account")).reading()).await?;
        match answer.failure(&self.facts.statuses) {
            None => Ok(format!("{ORIGIN} takes the credentials")),
            Some(failure) => Err(failure),
        }
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let count = batch.records.len();
        let records = batch.records.iter().map(|record| record.fields.clone()).collect();
        let body = object! { "records" => Value::Array(records) };
        let answer = wire.send(Request::post(format!("{ORIGIN}/{}", batch.action)).json(&body)).await?;
        if let Some(failure) = answer.failure(&self.facts.statuses) {
            return Err(failure);
        }
        // The tool takes a request whole or not at all, and says how many records it took. The status alone is no proof.
        let accepted = answer.json()?.get("accepted").and_then(Value::as_i64);
        if accepted.and_then(|accepted| usize::try_from(accepted).ok()) != Some(count) {
            let message = format!("{count} records were sent, and the answer was {}", answer.message());
            return Err(DeliveryError::UnexpectedAnswer { message });
        }
        Ok(vec![Outcome::Delivered; count])
    }
}
