//! The warehouses and databases that models run on, a folder each.

mod postgres;
mod select;
mod sqlite;

use std::sync::Arc;

use kit::{Source, SourceError};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The kinds of source there are.
pub const SLUGS: &[&str] = &["postgres", "sqlite"];

/// A source of this kind. Nothing is connected before its first use.
///
/// # Errors
/// `Settings`: a kind that does not exist, a setting that is unknown or wrong, named with what would be right.
pub fn connect(kind: &str, settings: &Value) -> Result<Arc<dyn Source>, SourceError> {
    match kind {
        "postgres" => Ok(Arc::new(postgres::Postgres::new(read(settings)?)?)),
        "sqlite" => Ok(Arc::new(sqlite::Sqlite::new(read(settings)?)?)),
        _ => Err(SourceError::Settings {
            message: format!("there is no kind of source `{kind}`; there are {}", SLUGS.join(", ")),
        }),
    }
}

/// The JSON Schema of a kind's settings; none for a kind that does not exist.
pub fn settings_schema(kind: &str) -> Option<Value> {
    match kind {
        "postgres" => Some(schemars::schema_for!(postgres::Settings).to_value()),
        "sqlite" => Some(schemars::schema_for!(sqlite::Settings).to_value()),
        _ => None,
    }
}

/// The settings of a kind that are secrets: never logged, never shown.
pub fn secrets(kind: &str) -> &'static [&'static str] {
    match kind {
        "postgres" => postgres::SECRETS,
        _ => &[],
    }
}

fn read<T: DeserializeOwned>(settings: &Value) -> Result<T, SourceError> {
    let wrong = |message: String| SourceError::Settings { message };
    T::deserialize(settings).map_err(|error| {
        // serde does not say which field has a wrong value: all are optional alone, so each can be tried alone.
        let fields = settings.as_object().into_iter().flatten();
        let mut guilty = fields.filter_map(|(field, value)| {
            let alone = Value::Object([(field.clone(), value.clone())].into_iter().collect());
            let error = T::deserialize(&alone).err()?.to_string();
            let is_about_field = !error.starts_with("unknown field") && !error.starts_with("missing field");
            Some(if is_about_field { format!("`{field}`: {error}") } else { error })
        });
        wrong(guilty.find(|error| !error.starts_with("missing field")).unwrap_or_else(|| error.to_string()))
    })
}

#[cfg(test)]
mod tests;
