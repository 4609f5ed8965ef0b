//! What a program's connectors are to its definitions: kinds and their settings, and the making of each.

use std::{fmt::Debug, path::Path, sync::Arc};

use kit::{Destination, Facts, SettingsError, Source, SourceError, TokenStore, Traffic, Wire, WireSettings};
use records::Clock;
use serde_json::Value;

/// The connectors that a program was built with.
pub trait Connectors: Debug + Send + Sync {
    /// The kinds of sources.
    fn source_types(&self) -> &[&str];

    /// The JSON Schema of a kind's settings.
    fn source_settings_schema(&self, kind: &str) -> Value;

    /// The settings of a kind of source that are secrets.
    fn source_secret_settings(&self, kind: &str) -> &[&str];

    /// A source with these settings. Places among them are meant from `folder`.
    ///
    /// # Errors
    /// A setting is unknown or wrong, or they contradict each other.
    fn source(&self, kind: &str, settings: &Value, folder: &Path) -> Result<Arc<dyn Source>, SourceError>;

    /// The facts of all kinds of destinations.
    fn destination_facts(&self) -> Vec<Facts>;

    /// The facts of one kind.
    fn facts(&self, kind: &str) -> Option<Facts> {
        self.destination_facts().into_iter().find(|facts| facts.slug == kind)
    }

    /// A destination with these settings, and what a mapping sets for itself. Places are meant from `folder`.
    ///
    /// # Errors
    /// All that is wrong with the settings.
    fn destination(
        &self,
        kind: &str,
        settings: &Value,
        options: Option<&Value>,
        folder: &Path,
    ) -> Result<Arc<dyn Destination>, SettingsError>;

    /// Who is told of the requests to destinations of that kind.
    fn traffic(&self, _kind: &str) -> Option<Arc<dyn Traffic>> {
        None
    }

    /// The way to a destination. What it records shows none of the secrets; tokens that were granted are in `tokens`.
    ///
    /// # Errors
    /// The settings of the connection are wrong.
    fn wire(
        &self,
        destination: &dyn Destination,
        secrets: &[String],
        tokens: Arc<dyn TokenStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Wire, SettingsError> {
        let mut settings: WireSettings = destination.wire_settings();
        settings.secrets.extend_from_slice(secrets);
        settings.auth.keep_in(tokens);
        settings.traffic = self.traffic(&destination.facts().slug);
        Wire::open(settings, clock)
    }
}
