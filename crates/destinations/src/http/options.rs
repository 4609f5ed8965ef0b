//! A mapping's options: how records share a request, and how the answer is read.

use kit::{SettingsError, Statuses};
use mapping::Program;
use serde::Deserialize;
use serde_json::Value;

use super::path::Path;

/// The options in force: those of the destination with those of the mapping over them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    pub batch: Option<BatchOptions>,
    pub format: Format,
    pub statuses: Statuses,
    pub results: Option<Results>,
    pub failed: Option<Failed>,
    pub html_is_fine: bool,
    /// Bodies are packed.
    pub gzip: bool,
    #[serde(skip)]
    pub body: Option<Program>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BatchOptions {
    pub records_max: usize,
    pub bytes_max: usize,
    pub body: Option<Value>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { records_max: 100, bytes_max: 1_000_000, body: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    #[default]
    Json,
    Ndjson,
    Form,
    Multipart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MatchBy {
    Index,
    Id,
}

/// An answer with a result for every record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Results {
    #[serde(default)]
    pub path: Path,
    #[serde(default = "by_index")]
    pub match_by: MatchBy,
    pub id_path: Option<Path>,
    pub id_field: Option<Path>,
    pub status_path: Option<Path>,
    #[serde(default)]
    pub delivered: Vec<Value>,
    #[serde(default)]
    pub retry: Vec<Value>,
    pub error_path: Option<Path>,
    pub code_path: Option<Path>,
    pub message_path: Option<Path>,
}

/// An answer that lists only the records that failed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failed {
    pub path: Path,
    #[serde(default = "by_id")]
    pub match_by: MatchBy,
    pub index_path: Option<Path>,
    pub id_path: Option<Path>,
    pub id_field: Option<Path>,
    #[serde(default)]
    pub retry: Vec<Value>,
    pub code_path: Option<Path>,
    pub message_path: Option<Path>,
    #[serde(default)]
    pub absent_means_none: bool,
}

fn by_index() -> MatchBy {
    MatchBy::Index
}

fn by_id() -> MatchBy {
    MatchBy::Id
}

impl Options {
    /// The options of the destination with those of the mapping over them, key by key.
    pub(super) fn read(of_destination: Option<&Value>, of_mapping: &Value) -> Result<Self, SettingsError> {
        let mut merged = of_destination.and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, value) in of_mapping.as_object().into_iter().flatten() {
            merged.insert(key.clone(), value.clone());
        }
        let mut options: Options = serde_json::from_value(Value::Object(merged))
            .map_err(|error| SettingsError::one("options", error.to_string()))?;
        options.check()?;
        if let Some(template) = options.batch.as_ref().and_then(|batch| batch.body.as_ref()) {
            let program =
                Program::compile(&records::Value::from(template.clone())).map_err(|problems| SettingsError {
                    problems: problems
                        .into_iter()
                        .map(|problem| kit::SettingsProblem {
                            field: format!("options.batch.body.{}", problem.place).trim_end_matches('.').to_owned(),
                            message: problem.message,
                        })
                        .collect(),
                })?;
            options.body = Some(program);
        }
        Ok(options)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let wrong = |field: &str, message: &str| Err(SettingsError::one(format!("options.{field}"), message));
        if let Some(batch) = &self.batch {
            if batch.records_max == 0 || batch.records_max > 100_000 {
                return wrong("batch.records_max", "must be between 1 and 100000");
            }
            if batch.bytes_max == 0 || batch.bytes_max > 100_000_000 {
                return wrong("batch.bytes_max", "must be between 1 and 100000000");
            }
            if matches!(self.format, Format::Form | Format::Multipart) {
                return wrong("format", "a form holds one record; leave `batch` out, or use json or ndjson");
            }
            if batch.body.is_some() && self.format == Format::Ndjson {
                return wrong("batch.body", "does not go with ndjson, whose lines are the records' bodies");
            }
        } else if self.format == Format::Ndjson {
            return wrong("format", "ndjson needs `batch`");
        }
        if self.results.is_some() && self.failed.is_some() {
            return wrong("failed", "an answer has either `results` or `failed`, not both");
        }
        if let Some(results) = &self.results {
            if results.status_path.is_none() && results.error_path.is_none() {
                return wrong("results", "needs `status_path` or `error_path`, or nothing tells what was taken");
            }
            if results.match_by == MatchBy::Id && (results.id_path.is_none() || results.id_field.is_none()) {
                return wrong("results", "`match_by: id` needs `id_path` and `id_field`");
            }
        }
        if let Some(failed) = &self.failed {
            if failed.match_by == MatchBy::Id && (failed.id_path.is_none() || failed.id_field.is_none()) {
                return wrong("failed", "`match_by: id` needs `id_path` and `id_field`");
            }
            if failed.match_by == MatchBy::Index && failed.index_path.is_none() {
                return wrong("failed", "`match_by: index` needs `index_path`");
            }
        }
        Ok(())
    }
}
