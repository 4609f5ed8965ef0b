//! An action's fields as their author declares them.

use std::fmt;

use records::Value;
use schemars::JsonSchema;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The type of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// One line of text.
    #[default]
    String,
    /// Text of several lines.
    Text,
    /// Text that is not shown.
    Password,
    Number,
    Integer,
    Boolean,
    /// Text or a number that stands for a point in time.
    Datetime,
    Object,
}

/// One field of an action, as in a destination's facts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Field {
    /// The key in the payload. In a map of fields it is the map's key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    pub label: String,
    pub description: String,
    #[serde(rename = "type")]
    pub kind: FieldType,
    pub required: Required,
    /// The value is a list of such values.
    pub multiple: bool,
    /// Null is sent as null; otherwise a null is left out.
    #[serde(alias = "allowNull")]
    pub allow_null: bool,
    /// `email`, `uri`, `date`, `date-time`, `time`, `uuid`, `hostname`, `ipv4`, `regex`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The only values allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<Choice>>,
    /// What an object holds. Without it, an object passes whole.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "fields_by_key_or_list")]
    #[schemars(with = "Option<Vec<Field>>")]
    pub properties: Option<Vec<Field>>,
    /// Keys of an object that `properties` lacks are kept.
    #[serde(alias = "additionalProperties")]
    pub additional_properties: bool,
    /// The mapping that is proposed; used where the user gives none if it reads no column, or if `implicit` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<Value>,
    /// The least number, or the least length of a text. Zero means none, as in the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The greatest number, or the greatest length of a text. Zero means none, as in the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// The default is used without being asked for though it reads columns.
    pub implicit: bool,
    /// The values to choose from are asked from the tool.
    pub dynamic: bool,
    /// Not shown to people: it is there for mappings that are brought over.
    pub hidden: bool,
    /// When the field is shown. What it holds is sent in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Conditions>,
    /// What the field is for: `identifier`, `data`, `hashedPII`, `config`, `sync`, `internal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// Whether a payload must have a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Required {
    Always(bool),
    When(Conditions),
}

impl Default for Required {
    fn default() -> Self {
        Required::Always(false)
    }
}

/// Conditions on other fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Whether all must hold (the default) or any.
    #[serde(default, rename = "match")]
    pub of: Match,
    pub conditions: Vec<FieldCondition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    #[default]
    All,
    Any,
}

/// One condition on another field: `b` is required when `a` is `yes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldCondition {
    /// The other field's key; `a.b` for a field of an object; `__segment_internal_sync_mode` for the sync mode.
    #[serde(alias = "fieldKey", default)]
    pub field_key: String,
    /// `syncMode` stands for a condition on the sync mode.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub operator: ConditionOperator,
    /// The value. The text `__undefined__` stands for a missing value.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionOperator {
    Is,
    IsNot,
}

/// One allowed value.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Choice {
    #[schemars(with = "serde_json::Value")]
    pub value: Value,
    pub label: String,
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Labelled { value: Value, label: Option<String> },
            Plain(Value),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Labelled { value, label } => {
                let label = label.unwrap_or_else(|| plain_text(&value));
                Choice { value, label }
            }
            Form::Plain(value) => Choice { label: plain_text(&value), value },
        })
    }
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_json(),
    }
}

/// Reads fields either as a map from key to field, or as a list of fields with their keys.
///
/// # Errors
/// What the deserializer finds wrong.
pub fn fields_of_map_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Field>, D::Error> {
    struct Form;

    impl<'de> Visitor<'de> for Form {
        type Value = Vec<Field>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map or a list of fields")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Vec<Field>, A::Error> {
            let mut fields = Vec::new();
            while let Some(field) = access.next_element()? {
                fields.push(field);
            }
            Ok(fields)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Vec<Field>, A::Error> {
            let mut fields = Vec::new();
            while let Some((key, field)) = access.next_entry::<String, Field>()? {
                fields.push(Field { key, ..field });
            }
            Ok(fields)
        }
    }

    deserializer.deserialize_any(Form)
}

fn fields_by_key_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Field>>, D::Error> {
    fields_of_map_or_list(deserializer).map(Some)
}
