//! Connectors that only tests know: their settings have secrets in every place where there can be one.

use std::{path::Path, sync::Arc};

use kit::{Batch, DeliveryError, Destination, Facts, Query, SettingsError, Source, SourceError, Wire};
use records::{Outcome, Schema};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Connectors, Forms};

const FILE: &str = "
slug: file
name: File
network: false
settings:
  - { key: folder, type: text, label: Folder, required: true }
  - { key: options, type: object, label: Options of all mappings }
options:
  - { key: format, label: Format, choices: [jsonl, csv], default: jsonl }
actions:
  - slug: write
    name: Write
    modes: [add, update, upsert, delete, mirror]
    fields: [{ key: id, label: Id }, { key: a, label: A }, { key: b, label: B }]
";

const CRM: &str = "
slug: crm
name: CRM
settings:
  - { key: url, type: url, label: Address, required: true }
  - { key: api_key, type: text, label: Key, secret: true }
  - { key: headers, type: object, label: Headers }
  - key: auth
    type: object
    label: Sign-in
    properties:
      - { key: user, type: text, label: User }
      - { key: phrase, type: any, label: Phrase, secret: true }
actions:
  - slug: upsert
    name: Upsert
    modes: [upsert, mirror]
    fields: [{ key: email, label: E-mail, type: string, required: true }]
  - slug: track
    name: Track
    modes: [add]
    fields: [{ key: event, label: Event, type: string }]
";

pub(crate) fn forms() -> Forms {
    Forms::new(Arc::new(Fakes))
}

#[derive(Debug)]
pub(crate) struct Fakes;

impl Connectors for Fakes {
    fn source_types(&self) -> &[&str] {
        &["postgres", "sqlite"]
    }

    fn source_settings_schema(&self, kind: &str) -> Value {
        match kind {
            "sqlite" => json!({
                "type": "object",
                "properties": { "path": { "description": "The path of the file.", "type": "string" } },
                "required": ["path"],
            }),
            _ => json!({
                "type": "object",
                "properties": {
                    "url": { "type": ["string", "null"] },
                    "host": { "type": ["string", "null"] },
                    "port": { "type": ["integer", "null"] },
                    "database": { "type": ["string", "null"] },
                    "user": { "type": ["string", "null"] },
                    "password": { "type": ["string", "null"] },
                },
            }),
        }
    }

    fn source_secret_settings(&self, kind: &str) -> &[&str] {
        if kind == "postgres" { &["url", "password"] } else { &[] }
    }

    fn source(&self, _kind: &str, settings: &Value, _folder: &Path) -> Result<Arc<dyn Source>, SourceError> {
        Ok(Arc::new(FakeSource(settings.clone())))
    }

    fn destination_facts(&self) -> Vec<Facts> {
        [FILE, CRM].iter().map(|facts| Facts::parse(facts).unwrap()).collect()
    }

    fn destination(
        &self,
        kind: &str,
        settings: &Value,
        options: Option<&Value>,
        _folder: &Path,
    ) -> Result<Arc<dyn Destination>, SettingsError> {
        let facts = self.facts(kind).unwrap();
        facts.check_settings(settings)?;
        facts.check_options(options.unwrap_or(&Value::Null))?;
        Ok(Arc::new(FakeDestination { facts, settings: settings.clone() }))
    }
}

/// Shows the settings it was made with.
#[derive(Debug)]
struct FakeSource(Value);

#[async_trait::async_trait]
impl Source for FakeSource {
    async fn check(&self) -> Result<String, SourceError> {
        Ok(self.0.to_string())
    }

    async fn describe(&self, _query: &Query) -> Result<Schema, SourceError> {
        Err(SourceError::Cancelled)
    }

    async fn extract(
        &self,
        _query: &Query,
        _batches: mpsc::Sender<arrow_array::RecordBatch>,
        _cancel: CancellationToken,
    ) -> Result<(), SourceError> {
        Err(SourceError::Cancelled)
    }
}

/// The same of a destination.
#[derive(Debug)]
struct FakeDestination {
    facts: Facts,
    settings: Value,
}

#[async_trait::async_trait]
impl Destination for FakeDestination {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn check(&self, _wire: &Wire) -> Result<String, DeliveryError> {
        Ok(self.settings.to_string())
    }

    async fn deliver(&self, batch: &Batch, _wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        Ok(batch.records.iter().map(|_| Outcome::Delivered).collect())
    }
}
