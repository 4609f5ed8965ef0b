//! The connectors that this program was built with. A new one is one line of a list in `sources` or `destinations`.

use std::{path::Path, sync::Arc};

use kit::simulator::Simulator;
use kit::{Destination, Facts, SettingsError, Source, SourceError, TokenStore, Wire, WireSettings};
use records::Clock;
use serde_json::Value;

/// Settings that name a place on this computer; a relative one is meant from the project's folder.
const PLACES: [&str; 2] = ["path", "folder"];

/// The kinds of sources.
pub(crate) fn source_types() -> &'static [&'static str] {
    sources::SLUGS
}

/// The JSON Schema of a kind's settings.
pub(crate) fn source_settings_schema(kind: &str) -> Value {
    sources::settings_schema(kind).unwrap_or_default()
}

/// The secrets among a source's settings.
pub(crate) fn source_secrets(kind: &str, settings: &Value) -> Vec<String> {
    let text = |key: &&str| settings.get(*key).and_then(Value::as_str).map(str::to_owned);
    sources::secrets(kind).iter().filter_map(text).collect()
}

/// A source with these settings.
pub(crate) fn source(kind: &str, settings: &Value, folder: &Path) -> Result<Arc<dyn Source>, SourceError> {
    sources::connect(kind, &placed(settings, folder))
}

/// The facts of all kinds of destinations.
pub(crate) fn destination_facts() -> Vec<Facts> {
    // Facts that cannot be read are a fault of the connector, which its own tests rule out.
    destinations::SLUGS.iter().filter_map(|slug| destinations::facts(slug)?.ok()).collect()
}

/// The kinds of destinations whose tools can be simulated.
pub(crate) fn simulated() -> Vec<&'static str> {
    destinations::simulated().collect()
}

/// Makes simulators of a tool, for a destination of that kind with these settings.
pub(crate) fn simulator_maker(
    kind: &str,
    settings: Value,
) -> Option<impl Fn() -> Box<dyn Simulator> + Send + Sync + use<>> {
    destinations::simulator_maker(kind, settings)
}

/// The secrets among a destination's settings.
pub(crate) fn destination_secrets(kind: &str, settings: &Value) -> Vec<String> {
    destinations::facts(kind).and_then(Result::ok).map_or_else(Vec::new, |facts| facts.secrets(settings))
}

/// A destination with these settings, and what a mapping sets for itself.
pub(crate) fn destination(
    kind: &str,
    settings: &Value,
    options: Option<&Value>,
    folder: &Path,
) -> Result<Arc<dyn Destination>, SettingsError> {
    destinations::connect(kind, &placed(settings, folder), options.unwrap_or(&Value::Null))
}

/// The way to a destination. What it records shows none of the secrets; tokens that were granted are in `tokens`.
pub(crate) fn wire(
    destination: &dyn Destination,
    secrets: &[String],
    tokens: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
) -> Result<Wire, SettingsError> {
    let mut settings: WireSettings = destination.wire_settings();
    settings.secrets.extend_from_slice(secrets);
    settings.auth.keep_in(tokens);
    Wire::open(settings, clock)
}

fn placed(settings: &Value, folder: &Path) -> Value {
    let mut settings = settings.clone();
    for key in PLACES {
        if let Some(Value::String(path)) = settings.get_mut(key) {
            *path = folder.join(&path).to_string_lossy().into_owned();
        }
    }
    settings
}
