//! Segment Connections: each record becomes one call to a source, sent through the Tracking API.

mod messages;

use std::sync::Arc;

use async_trait::async_trait;
use kit::simulator::Simulator;
use kit::{Batch, DeliveryError, Destination, Facts, SettingsError, Wire, WireSettings};
use records::Outcome;

use crate::tracking::{self, Region};
use crate::tracking_simulator::Workspace;

#[derive(Debug)]
struct Segment {
    facts: Facts,
    wire: WireSettings,
    write_key: String,
    region: Region,
}

/// Makes the destination. Settings were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let wire = kit::wire_settings(&facts, settings)?;
    let write_key = settings.get("source_write_key").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Ok(Arc::new(Segment { facts, wire, write_key, region: Region::of(settings) }))
}

/// Segment, served from memory.
pub(crate) fn simulator(settings: &serde_json::Value) -> Box<dyn Simulator> {
    Box::new(Workspace::new(settings))
}

#[async_trait]
impl Destination for Segment {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        tracking::check_write_key(&self.write_key, &self.facts.statuses, wire).await?;
        Ok("a source in Segment has this write key".to_owned())
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let messages = batch.records.iter().map(|record| messages::message(&batch.action, &record.fields)).collect();
        tracking::post(self.region, &self.write_key, messages, &self.facts.statuses, wire).await
    }
}
