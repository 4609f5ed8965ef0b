//! Customer.io: people, objects, devices, relationships and events of a workspace, through its Track API.

mod actions;
mod answers;
mod entity;
mod metrics;
mod simulator;
mod times;

use std::sync::Arc;

use async_trait::async_trait;
use kit::{Auth, Batch, DeliveryError, Destination, Facts, Payload, Request, SettingsError, Wire, WireSettings};
use records::{Outcome, Value, object};

pub(crate) use simulator::simulator;

#[derive(Debug)]
struct CustomerIo {
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
    wire.auth = Auth::Basic { username: text("siteId").to_owned(), password: text("apiKey").to_owned() };
    let origin = if text("accountRegion").starts_with("EU") {
        "https://track-eu.customer.io"
    } else {
        "https://track.customer.io"
    };
    Ok(Arc::new(CustomerIo { facts, wire, origin }))
}

#[async_trait]
impl Destination for CustomerIo {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let answer = wire.send(Request::get(format!("{}/auth", self.origin))).await?;
        match answer.failure(&self.facts.statuses) {
            None => Ok(format!("{} takes the credentials", self.origin)),
            Some(failure) => Err(failure),
        }
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let Some(first) = batch.records.first() else { return Ok(Vec::new()) };
        if batch.action == "reportDeliveryEvent" {
            let metric = metrics::metric(&first.fields, wire.now().as_second());
            let request = Request::post(format!("{}/api/v1/metrics", self.origin)).json(&metric);
            return answers::of_one(&wire.send(request).await?, &self.facts.statuses);
        }
        let mut entities = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            entities.push(actions::entity(&batch.action, &record.fields)?);
        }
        if batch.batching {
            let body = object! { "batch" => entities };
            let request = Request::post(format!("{}/api/v2/batch", self.origin)).json(&body);
            let answer = wire.send(request).await?;
            answers::of_batch(&answer, batch.records.len(), &self.facts.statuses)
        } else {
            let entity = entities.pop().unwrap_or(Value::Null);
            let request = Request::post(format!("{}/api/v2/entity", self.origin)).json(&entity);
            answers::of_one(&wire.send(request).await?, &self.facts.statuses)
        }
    }

    /// Objects of an unknown person go in calls of their own, as in the original.
    fn group(&self, action: &str, payload: &Payload) -> String {
        match action {
            "createUpdateObject" => actions::object_action(&payload.fields).to_owned(),
            _ => String::new(),
        }
    }
}
