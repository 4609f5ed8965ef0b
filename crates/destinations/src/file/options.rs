//! A mapping's options for its file.

use kit::SettingsError;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    pub format: Format,
    pub name: String,
    pub columns: Option<Vec<String>>,
    pub header: bool,
    pub delimiter: char,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    #[default]
    Jsonl,
    Csv,
    Parquet,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Jsonl,
            name: "{sync}.{extension}".to_owned(),
            columns: None,
            header: true,
            delimiter: ',',
        }
    }
}

impl Options {
    /// The options of the destination with those of the mapping over them.
    pub(super) fn read(of_destination: &Value, of_mapping: &Value) -> Result<Self, SettingsError> {
        let mut merged = of_destination.as_object().cloned().unwrap_or_default();
        for (key, value) in of_mapping.as_object().into_iter().flatten() {
            merged.insert(key.clone(), value.clone());
        }
        let options: Options = serde_json::from_value(Value::Object(merged))
            .map_err(|error| SettingsError::one("options", error.to_string()))?;
        let wrong = |field: &str, message: &str| Err(SettingsError::one(format!("options.{field}"), message));
        let name = options.file_name("sync", "2000-01-01");
        if name.contains(['/', '\\', '\0']) || name.starts_with('.') || name.is_empty() {
            return wrong(
                "name",
                "must be the name of a file within the folder, without `/`, not beginning with a dot",
            );
        }
        if name.contains(['{', '}']) {
            return wrong("name", "may hold `{sync}`, `{date}` and `{extension}`, no other `{…}`");
        }
        if ['"', '\n', '\r'].contains(&options.delimiter) {
            return wrong("delimiter", "cannot be a quotation mark or a line break");
        }
        if options.columns.as_ref().is_some_and(Vec::is_empty) {
            return wrong("columns", "must name at least one column, or be left out");
        }
        Ok(options)
    }

    pub(super) fn file_name(&self, sync: &str, date: &str) -> String {
        let extension = match self.format {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        };
        // What comes from outside must not lead out of the folder.
        let sync: String =
            sync.chars().map(|c| if c.is_alphanumeric() || "_-".contains(c) { c } else { '_' }).collect();
        self.name.replace("{extension}", extension).replace("{date}", date).replace("{sync}", &sync)
    }
}
