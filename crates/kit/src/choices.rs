//! The values that a field may have as the tool knows them: its lists, properties, objects.

use records::Value;
use serde::{Deserialize, Serialize};

/// Which values are asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChoiceQuery {
    pub action: String,
    /// The hook whose input it is; none for a field of the action.
    pub hook: Option<String>,
    /// The field: `list_id`; `object_details.object_type` for a field of an object; `properties.__keys__` for the keys
    /// of an object.
    pub field: String,
    /// The fields that are filled already, since one may depend on another. An object or null.
    pub fields: Value,
    /// Only values whose label holds this, where the tool can search.
    pub search: Option<String>,
    /// What [`ChoicePage::next`] said.
    pub page: Option<String>,
}

/// One page of values.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChoicePage {
    pub choices: Vec<DynamicChoice>,
    /// Where the next page begins. None: this is the last.
    pub next: Option<String>,
}

/// One value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicChoice {
    pub value: String,
    pub label: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl DynamicChoice {
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), description: String::new() }
    }
}
