//! Loops: contacts written and deleted, and events sent. Its API takes one record a request.

mod body;
mod simulator;

use std::sync::Arc;

use async_trait::async_trait;
use kit::{
    Answer, Auth, Batch, DeliveryError, Destination, Facts, Payload, Request, SettingsError, Wire, WireSettings,
};
use mapping::SyncMode;
use records::{Operation, Outcome, Value, object};
pub(crate) use simulator::simulator;

/// Where the API is.
const API: &str = "https://app.loops.so/api/v1";

#[derive(Debug)]
struct Loops {
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
    wire.auth = Auth::Bearer { token: text("apiKey") };
    Ok(Arc::new(Loops { facts, wire }))
}

/// Whether the record's contact is to be deleted.
fn is_deleted(batch: &Batch, record: &Payload) -> bool {
    match batch.mode {
        SyncMode::Delete => true,
        SyncMode::Mirror => record.operation == Operation::Deleted,
        SyncMode::Add | SyncMode::Update | SyncMode::Upsert => false,
    }
}

impl Loops {
    async fn send(&self, batch: &Batch, record: &Payload, wire: &Wire) -> Result<Outcome, DeliveryError> {
        match batch.action.as_str() {
            "createOrUpdateContact" if is_deleted(batch, record) => self.delete(record, wire).await,
            "createOrUpdateContact" => {
                let request = Request::put(format!("{API}/contacts/update")).json(&body::contact(&record.fields));
                self.taken(&wire.send(request).await?)
            }
            "sendEvent" => {
                let request = Request::post(format!("{API}/events/send")).json(&body::event(&record.fields));
                self.taken(&wire.send(request).await?)
            }
            other => Ok(Outcome::rejected("unknown_action", format!("Loops has no action `{other}`"))),
        }
    }

    async fn delete(&self, record: &Payload, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let contact = object! { "userId" => record.fields.get("userId").cloned() };
        let answer = wire.send(Request::post(format!("{API}/contacts/delete")).json(&contact)).await?;
        // A contact that is not there is as it should be. A page of some gateway does not say so.
        if answer.status == 404 && answer.json().is_ok_and(|said| said.get("success") == Some(&Value::from(false))) {
            return Ok(Outcome::Delivered);
        }
        self.taken(&answer)
    }

    /// Whether the one record of a request was taken. The status alone is no proof: the body says so.
    fn taken(&self, answer: &Answer) -> Result<Outcome, DeliveryError> {
        if let Some(failure) = answer.failure(&self.facts.statuses) {
            return Err(failure);
        }
        match answer.json()?.get("success").and_then(Value::as_bool) {
            Some(true) => Ok(Outcome::Delivered),
            Some(false) => Ok(Outcome::rejected("refused", answer.message())),
            None => Err(DeliveryError::UnexpectedAnswer {
                message: format!("status {} without `success`: {}", answer.status, answer.message()),
            }),
        }
    }
}

#[async_trait]
impl Destination for Loops {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let answer = wire.send(Request::get(format!("{API}/api-key")).reading()).await?;
        if let Some(failure) = answer.failure(&self.facts.statuses) {
            return Err(failure);
        }
        let said = answer.json()?;
        match (said.get("success").and_then(Value::as_bool), said.get("teamName").and_then(Value::as_str)) {
            (Some(true), Some(team)) => Ok(format!("the API key is that of the team `{team}`")),
            (Some(true), None) => Ok("Loops takes the API key".to_owned()),
            _ => Err(DeliveryError::UnexpectedAnswer {
                message: format!("the API key was not confirmed: {}", answer.message()),
            }),
        }
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let mut outcomes = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            outcomes.push(self.send(batch, record, wire).await?);
        }
        Ok(outcomes)
    }
}
