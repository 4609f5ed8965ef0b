//! The form of an alert rule in requests. Its JSON Schema is made of these types, comments included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An alert rule: what is watched, what is wrong with it, and who is told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "alert_rule")]
pub struct RuleForm {
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it watches. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What is told about: at least one kind, with its thresholds.
    pub when: WhenForm,
    /// What is watched. Default: every mapping.
    #[serde(default, skip_serializing_if = "WatchForm::is_all")]
    pub watch: WatchForm,
    /// The names of the channels that are told. The list of alerts in Outflow shows everything, with or without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// How often it is told again while it lasts, from `5m` on: `4h`, `1d`. Default: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_every: Option<String>,
}

/// What is watched: mappings by their name, or by what they use. With nothing named, every mapping.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_watch")]
pub struct WatchForm {
    /// Mappings of these names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mappings: Vec<String>,
    /// Mappings of these models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Mappings to these destinations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// Mappings whose models run on these sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

impl WatchForm {
    pub(crate) fn is_all(&self) -> bool {
        self.mappings.is_empty() && self.models.is_empty() && self.destinations.is_empty() && self.sources.is_empty()
    }
}

/// The kinds of trouble that a rule tells about. `{}` takes a kind's defaults.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_when")]
pub struct WhenForm {
    /// A sync failed, or its process ended without a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedForm>,
    /// A sync came to its end, but not all of its records were delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partly_delivered: Option<PartlyDeliveredForm>,
    /// A guard holds a sync, which waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldForm>,
    /// Over a window of time, too few of the records that were to be sent were delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_rate: Option<DeliveryRateForm>,
    /// A sync that was due has not started or ended in time, or none has ended for too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<LateForm>,
    /// The model gave no records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_rows: Option<ZeroRowsForm>,
    /// The model gave far more or fewer records than it usually does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusual_rows: Option<UnusualRowsForm>,
    /// The columns of the model are not those of the extract before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_changed: Option<SchemaChangedForm>,
    /// Credentials of a source or destination end soon, or have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_expiring: Option<CredentialsExpiringForm>,
}

/// A sync failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_failed")]
pub struct FailedForm {
    /// How many syncs must have failed one after the other. Default: 1.
    #[schemars(range(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_a_row: Option<u32>,
}

/// Not all records were delivered. Both limits must be reached.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_partly_delivered")]
pub struct PartlyDeliveredForm {
    /// At least this many records were not delivered. Default: 1.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_min: Option<u64>,
    /// At least this share of the records that were to be sent was not delivered. Default: 0.
    #[schemars(range(min = 0, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_min: Option<f64>,
}

/// A guard holds a sync.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_held")]
pub struct HeldForm {}

/// Too few of the records were delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "alert_delivery_rate")]
pub struct DeliveryRateForm {
    /// The share of delivered records below which it is told.
    #[schemars(range(min = 0, max = 100))]
    pub below_percent: f64,
    /// How far it is looked back, from `1m` to `31d`. Default: `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// With fewer records than this in the window, nothing is said about it. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub records_min: Option<u64>,
}

/// A sync is late.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_late")]
pub struct LateForm {
    /// How long after it was due a sync may start or end, from `1s` on. Default: `15m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<String>,
    /// What it must have done by then. Default: `started`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// How long there may be no sync that ends, whatever the schedule is: for mappings that wait for requests or for
    /// other mappings. Default: as long as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
}

/// What a sync must have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "alert_until")]
pub enum Until {
    #[default]
    Started,
    Ended,
}

/// The model gave no records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_zero_rows")]
pub struct ZeroRowsForm {}

/// The model gave an unusual number of records. What is usual is the median of the extracts before. A number is
/// unusual if it lies further from it than `factor` times their usual distance from it (the median absolute deviation,
/// scaled to a standard deviation) and than `percent_min` of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_unusual_rows")]
pub struct UnusualRowsForm {
    /// In which direction. Default: `both`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How many times the usual distance. Default: 4.
    #[schemars(range(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// A distance of less than this share of the usual number is never unusual. Default: 25.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_min: Option<f64>,
    /// How many extracts before are looked at. Default: 30.
    #[schemars(range(min = 3, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<u32>,
    /// With fewer extracts before than this, nothing is said about it. Default: 7.
    #[schemars(range(min = 3, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_min: Option<u32>,
}

/// Which numbers are unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "alert_direction")]
pub enum Direction {
    #[default]
    Both,
    Fewer,
    More,
}

/// The columns of the model changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_schema_changed")]
pub struct SchemaChangedForm {
    /// What is told about. Default: all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ColumnChange>,
}

/// What became of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "alert_column_change")]
pub enum ColumnChange {
    Added,
    Removed,
    /// It holds another type of values.
    Retyped,
}

/// Credentials end soon.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "alert_credentials_expiring")]
pub struct CredentialsExpiringForm {
    /// How long before their end, from `1h` to `366d`. Default: `14d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}
