//! The form of a project's files. The published JSON Schema is made of these types, their comments included,
//! and the files are checked against it.

use std::{collections::BTreeMap, time::Duration};

use schedule::ScheduleForm;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use sync::{OnFinding, RecordChoice};

use super::checking;

/// How many extracts run on a source at a time if it says nothing.
pub(crate) const EXTRACTS_MAX: u32 = 4;

/// An Outflow project. Sources, models, destinations and mappings may stand here or in files of their own:
/// `sources/NAME.yaml`, `models/NAME.sql`, `destinations/NAME.yaml`, `mappings/NAME.yaml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "project")]
pub(crate) struct ProjectForm {
    /// The version of this format: 1.
    #[schemars(schema_with = "version")]
    #[serde(rename = "version")]
    pub _version: u32,
    /// What the project is called in messages. Default: the name of its folder.
    pub name: Option<String>,
    pub settings: SettingsForm,
    /// Connections to warehouses and databases that models run on.
    #[schemars(schema_with = "sources")]
    #[serde(rename = "sources")]
    pub _sources: serde::de::IgnoredAny,
    /// SQL queries, each on one source, with a primary key.
    #[schemars(with = "BTreeMap<String, ModelForm>")]
    #[serde(rename = "models")]
    pub _models: serde::de::IgnoredAny,
    /// Connections to tools.
    #[schemars(schema_with = "destinations")]
    #[serde(rename = "destinations")]
    pub _destinations: serde::de::IgnoredAny,
    /// What goes where: a model to an action of a destination.
    #[schemars(with = "BTreeMap<String, MappingForm>")]
    #[serde(rename = "mappings")]
    pub _mappings: serde::de::IgnoredAny,
}

fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "description": "The version of this format: 1.", "const": 1 })
}

fn sources(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/source" } })
}

fn destinations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/destination" } })
}

/// Limits and places.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "settings")]
pub(crate) struct SettingsForm {
    /// Where checkpoints, change sets and history are kept, relative to the project. Default: `.outflow`.
    pub data: Option<String>,
    /// What comparing may hold in memory. Default: `512MiB`.
    pub memory: Option<Size>,
    /// What one sync may write to disk before it is sent. Default: `20GiB`.
    pub disk: Option<Size>,
    pub history: HistoryForm,
}

/// How long the record-level history, which `trace` reads, is kept. Default: without end.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "history")]
pub(crate) struct HistoryForm {
    /// Days after which entries are dropped.
    #[schemars(range(min = 1))]
    pub keep_days: Option<u32>,
    /// Size from which on the oldest entries are dropped.
    pub keep_bytes: Option<Size>,
}

/// A number of bytes, or text such as `512MiB` or `2GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Bytes(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Bytes(bytes) => Ok(Self(bytes)),
            Form::Text(text) => {
                checking::parse_size(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not a size"))
            }
        }
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.parse().ok().or_else(|| checking::parse_size(text)).filter(|size| *size > 0);
        size.map(Self).ok_or_else(|| format!("`{text}` is no size; write it as `512MiB` or `2GB`"))
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, or text such as `512MiB` or `2GB`.",
            "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "format": checking::SIZE }],
        })
    }
}

/// A SQL query on one source, with a primary key. In `models/NAME.sql` these keys stand in comments at the top
/// (`-- source: shop`), and the file is the query.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "model")]
pub(crate) struct ModelForm {
    /// The name of the source it runs on.
    pub source: String,
    /// The columns of the primary key: one name, or a list.
    pub key: Names,
    /// What it is about, for people.
    #[serde(default, rename = "description")]
    pub _description: Option<String>,
    /// Columns whose values are personal: on a server, only those who have the right to see them are shown them.
    pub personal: Option<Names>,
    /// Whether its records are sent; if not, no mapping of it is synced. Default: true.
    pub enabled: Option<bool>,
    /// One read-only `SELECT`. Either this or `file`.
    pub query: Option<String>,
    /// A file that holds the query, relative to the project. Either this or `query`.
    pub file: Option<String>,
}

/// One name, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        }
    }
}

impl JsonSchema for Names {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One name, or a list of names.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1 } },
            ],
        })
    }
}

/// Model + destination + action + sync mode + fields. It owns its checkpoint.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "mapping")]
pub struct MappingForm {
    /// The name of the model whose records it sends.
    pub model: String,
    /// The name of the destination it sends them to.
    pub destination: String,
    /// What the destination does with a record. Default: its only action.
    pub action: Option<String>,
    /// What the destination shall hold afterwards: `mirror` keeps it equal to the model. It also says which records are sent, unless `records` does.
    pub mode: Option<mapping::SyncMode>,
    /// Which records are sent. Without it, those that `mode` speaks of.
    pub records: Option<Records>,
    /// Only changes that meet this are sent: text such as `properties.plan = "pro"`, or a tree of conditions.
    #[schemars(schema_with = "condition")]
    #[serde(default, rename = "where")]
    pub condition: Option<serde_json::Value>,
    /// The action's fields, in the mapping language: `email: {"@path": "$.properties.email"}`.
    #[schemars(schema_with = "fields")]
    pub fields: serde_json::Value,
    /// What `$.properties` of a deleted record holds: its `last` delivered values (the default), or `nulls`.
    pub deleted_values: Option<DeletedValues>,
    /// What the checkpoint keeps of a record: the last delivered `values` (the default), or only `keys`.
    pub keep: Option<Keep>,
    #[serde(default)]
    pub guards: GuardsForm,
    #[serde(default)]
    pub batch: BatchForm,
    #[serde(default)]
    pub retry: RetryForm,
    /// When failed records are no longer sent with every sync. Default: never.
    #[serde(default)]
    pub give_up: GiveUpForm,
    /// Settings of the destination that this mapping sets for itself; which ones there are depends on its type.
    #[schemars(schema_with = "options")]
    #[serde(default)]
    pub options: Option<serde_json::Value>,
    /// When a server syncs it: `manual` (the default), or a map with one of `every`, `at`, `cron`, `after` and `hook`.
    #[serde(default)]
    pub schedule: ScheduleForm,
    /// Whether it takes part in `sync --all` and is started by its schedule. Default: true.
    pub enabled: Option<bool>,
    /// What it is for, for people.
    #[serde(default, rename = "description")]
    pub _description: Option<String>,
}

fn condition(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Only changes that meet this are sent: text such as `properties.plan = \"pro\"`, or a tree of conditions.",
        "type": ["string", "object"],
    })
}

fn fields(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "The action's fields, in the mapping language: `email: {\"@path\": \"$.properties.email\"}`.",
        "type": "object",
    })
}

fn options(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Settings of the destination that this mapping sets for itself; which ones there are depends on its type.",
        "type": "object",
    })
}

/// Which records are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "records")]
pub enum Records {
    Added,
    Updated,
    AddedOrUpdated,
    Deleted,
}

impl From<Records> for RecordChoice {
    fn from(records: Records) -> Self {
        match records {
            Records::Added => RecordChoice::Added,
            Records::Updated => RecordChoice::Updated,
            Records::AddedOrUpdated => RecordChoice::AddedOrUpdated,
            Records::Deleted => RecordChoice::Deleted,
        }
    }
}

/// What `$.properties` of a deleted record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "deleted_values")]
pub enum DeletedValues {
    #[default]
    Last,
    Nulls,
}

/// What the checkpoint keeps of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "keep")]
pub enum Keep {
    #[default]
    Values,
    Keys,
}

/// When a sync waits for a person (`outflow sync --yes`) instead of sending.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "guards")]
pub struct GuardsForm {
    /// Hold when more than this share of the records would be deleted … Default: 20.
    #[schemars(range(min = 0, max = 100))]
    pub deletions_percent: Option<f64>,
    /// … and at least this many. Default: 100.
    pub deletions_records_min: Option<u64>,
    /// When the model's result is empty and the checkpoint is not. Default: `hold`.
    pub on_empty: Option<OnFindingForm>,
    /// When a column that the mapping uses is not in the model's result. Default: `hold`.
    pub on_missing_column: Option<OnFindingForm>,
    /// When the mapping was edited so that records would be sent although they did not change. Default: `hold`.
    pub on_edit: Option<OnFindingForm>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "on_finding")]
pub enum OnFindingForm {
    Hold,
    Allow,
}

impl From<OnFindingForm> for OnFinding {
    fn from(form: OnFindingForm) -> Self {
        match form {
            OnFindingForm::Hold => OnFinding::Hold,
            OnFindingForm::Allow => OnFinding::Allow,
        }
    }
}

/// Smaller batches than the action's own limits.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "batch")]
pub struct BatchForm {
    /// Whether records may share a request. Default: true, unless `enable_batching` in the fields says otherwise.
    pub enabled: Option<bool>,
    /// Records in one request, at most.
    #[schemars(range(min = 1))]
    pub records_max: Option<u64>,
    /// Size of one request, at most.
    pub bytes_max: Option<Size>,
}

/// How long what befalls a request in passing (no connection, 5xx, no answer) is tried again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "retry")]
pub struct RetryForm {
    /// How many times a request is sent in all. Default: 6.
    #[schemars(range(min = 1))]
    attempts_max: Option<u32>,
    /// How long it is tried, from when it was first sent. Default: 900.
    #[schemars(range(min = 0))]
    elapsed_seconds_max: Option<f64>,
    /// The longest wait before the second attempt; it doubles with each further one. Default: 1.
    #[schemars(range(min = 0))]
    delay_seconds_first: Option<f64>,
    /// The longest wait between two attempts. Default: 60.
    #[schemars(range(min = 0))]
    delay_seconds_max: Option<f64>,
}

/// When failed records are no longer sent with every sync: as soon as one of these is reached. A record that changes in
/// the warehouse is sent again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "give_up")]
pub struct GiveUpForm {
    /// Syncs in which a record failed, one after the other.
    #[schemars(range(min = 1))]
    pub after_syncs: Option<u32>,
    /// Days since it failed first.
    #[schemars(range(min = 1))]
    pub after_days: Option<u32>,
}

impl GiveUpForm {
    /// None: failed records are sent with every sync.
    pub fn policy(&self) -> Option<sync::GiveUp> {
        let policy = sync::GiveUp { after_syncs: self.after_syncs, after_days: self.after_days };
        (self.after_syncs.is_some() || self.after_days.is_some()).then_some(policy)
    }
}

impl RetryForm {
    pub fn settings(&self) -> kit::RetrySettings {
        let defaults = kit::RetrySettings::default();
        let seconds = |given: Option<f64>, default: Duration| {
            given.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(default)
        };
        kit::RetrySettings {
            attempts_max: self.attempts_max.unwrap_or(defaults.attempts_max),
            elapsed_max: seconds(self.elapsed_seconds_max, defaults.elapsed_max),
            delay_first: seconds(self.delay_seconds_first, defaults.delay_first),
            delay_max: seconds(self.delay_seconds_max, defaults.delay_max),
            ..defaults
        }
    }
}
