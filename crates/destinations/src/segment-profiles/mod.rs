//! Segment Profiles: each record becomes a call that touches the profiles of one Unify space and nothing else.

mod messages;
mod spaces;
mod subscriptions;

use std::sync::Arc;

use async_trait::async_trait;
use kit::simulator::Simulator;
use kit::{
    Batch, ChoicePage, ChoiceQuery, DeliveryError, Destination, Facts, Payload, SettingsError, Wire, WireSettings,
};
use records::{Outcome, Value};

use crate::tracking::{self, Region};
use crate::tracking_simulator::Workspace;
use spaces::{PublicApi, Spaces};

#[derive(Debug)]
struct Profiles {
    facts: Facts,
    wire: WireSettings,
    region: Region,
    spaces: Spaces,
    public_api: Option<PublicApi>,
}

/// Makes the destination. Settings were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let wire = kit::wire_settings(&facts, settings)?;
    let (spaces, public_api) = (Spaces::of(settings)?, PublicApi::of(settings));
    Ok(Arc::new(Profiles { facts, wire, region: Region::of(settings), spaces, public_api }))
}

/// Segment, served from memory.
pub(crate) fn simulator(settings: &serde_json::Value) -> Box<dyn Simulator> {
    Box::new(Workspace::new(settings))
}

#[async_trait]
impl Destination for Profiles {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let statuses = &self.facts.statuses;
        let mut found = Vec::new();
        if let Some(api) = &self.public_api {
            api.choices(&ChoiceQuery::default(), statuses, wire).await?;
            found.push("the Public API takes the token".to_owned());
        }
        for (name, key) in self.spaces.iter() {
            let checked = tracking::check_write_key(key, statuses, wire).await;
            checked.map_err(|error| match error {
                DeliveryError::CredentialsRefused { message } => {
                    DeliveryError::CredentialsRefused { message: format!("space `{name}`: {message}") }
                }
                other => other,
            })?;
            found.push(format!("a source has the write key of `{name}`"));
        }
        if found.is_empty() {
            found.push(
                "nothing to check: no space is named in the settings, so mappings carry the write keys".to_owned(),
            );
        }
        Ok(found.join("; "))
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let space = batch.records.first().map(space_of).unwrap_or_default();
        let write_key = match self.spaces.write_key(space) {
            Ok(write_key) => write_key,
            Err(message) => return Ok(vec![Outcome::rejected("unknown_space", message); batch.records.len()]),
        };
        let messages = batch.records.iter().map(|record| messages::message(&batch.action, &record.fields)).collect();
        tracking::post(self.region, write_key, messages, &self.facts.statuses, wire).await
    }

    fn group(&self, _action: &str, payload: &Payload) -> String {
        space_of(payload).to_owned()
    }

    async fn choices(&self, query: &ChoiceQuery, wire: &Wire) -> Result<ChoicePage, DeliveryError> {
        match &self.public_api {
            _ if query.field != "engage_space" => Ok(ChoicePage::default()),
            Some(api) if self.spaces.iter().len() == 0 => api.choices(query, &self.facts.statuses, wire).await,
            _ => Ok(self.spaces.choices()),
        }
    }
}

fn space_of(payload: &Payload) -> &str {
    payload.fields.get("engage_space").and_then(Value::as_str).unwrap_or_default()
}
