//! The table and the tool of a [`Scene`](crate::Scene) as connectors of definitions, by their names: for tests of what
//! begins with documents.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use kit::{Destination, Facts, SettingsError, Source, SourceError, TokenStore, Wire};
use project::Connectors;
use records::Clock;
use serde_json::{Value, json};

use crate::{
    Table, Tool,
    faults::lock,
    scene::{TableSource, ToolDestination, facts},
};

/// Any number of tables and tools. A source `{type: table, name: NAME}` reads one of the tables, a destination
/// `{type: scene, name: NAME}` gives to one of the tools.
#[derive(Debug, Default)]
pub struct SceneConnectors {
    tables: Mutex<BTreeMap<String, Arc<Table>>>,
    tools: Mutex<BTreeMap<String, Arc<Tool>>>,
}

impl SceneConnectors {
    /// The table of that name; an empty one if nobody has asked for it before.
    pub fn table(&self, name: &str) -> Arc<Table> {
        Arc::clone(lock(&self.tables).entry(name.to_owned()).or_default())
    }

    /// The tool of that name, likewise.
    pub fn tool(&self, name: &str) -> Arc<Tool> {
        Arc::clone(lock(&self.tools).entry(name.to_owned()).or_default())
    }
}

fn name(settings: &Value) -> &str {
    settings.get("name").and_then(Value::as_str).unwrap_or_default()
}

impl Connectors for SceneConnectors {
    fn source_types(&self) -> &[&str] {
        &["table"]
    }

    fn source_settings_schema(&self, _: &str) -> Value {
        json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] })
    }

    fn source_secret_settings(&self, _: &str) -> &[&str] {
        &[]
    }

    fn source(&self, _: &str, settings: &Value, _: &Path) -> Result<Arc<dyn Source>, SourceError> {
        Ok(Arc::new(TableSource(self.table(name(settings)))))
    }

    fn destination_facts(&self) -> Vec<Facts> {
        vec![facts()]
    }

    fn destination(
        &self,
        _: &str,
        settings: &Value,
        _: Option<&Value>,
        _: &Path,
    ) -> Result<Arc<dyn Destination>, SettingsError> {
        Ok(Arc::new(ToolDestination { facts: facts(), tool: self.tool(name(settings)) }))
    }

    fn wire(
        &self,
        destination: &dyn Destination,
        _: &[String],
        _: Arc<dyn TokenStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Wire, SettingsError> {
        Ok(Wire::detached(destination.facts().limits, clock))
    }
}
