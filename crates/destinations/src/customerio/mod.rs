//! The customerio destination.

use std::sync::Arc;

use kit::{Destination, Facts, SettingsError};

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    _facts: Facts,
    _settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    Err(SettingsError::one("type", "this destination is being built"))
}
