//! When a field is required: conditions on other fields.

use records::{Object, Value};

use super::field::{ConditionOperator, Conditions, FieldCondition, Match};
use crate::cases::same;

/// The text that stands for a missing value in a condition.
const UNDEFINED: &str = "__undefined__";

/// A field that is required while its conditions hold.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// The field's own key, and the object it is in.
    pub(super) key: String,
    pub(super) parent: Option<String>,
    pub(super) conditions: Conditions,
}

impl Rule {
    /// Whether the conditions hold for a payload.
    pub(super) fn applies(&self, payload: &mut Object) -> bool {
        let conditions = &self.conditions.conditions;
        if let [condition] = &conditions[..] {
            return holds_alone(condition, payload);
        }
        match self.conditions.of {
            Match::All => conditions.iter().all(|condition| holds(condition, payload)),
            Match::Any => conditions.iter().any(|condition| holds(condition, payload)),
        }
    }
}

fn key(condition: &FieldCondition) -> &str {
    match condition.kind.as_deref() {
        Some("syncMode") => "__segment_internal_sync_mode",
        _ => &condition.field_key,
    }
}

fn is_undefined(condition: &FieldCondition) -> bool {
    condition.value.as_str() == Some(UNDEFINED)
}

/// A condition among others: null counts as a value there.
fn holds(condition: &FieldCondition, payload: &Object) -> bool {
    let wanted = condition.operator == ConditionOperator::Is;
    if let Some((parent, child)) = key(condition).split_once('.') {
        let child = child.split('.').next().unwrap_or(child);
        let Some(parent) = payload.get(parent) else { return false };
        // What is not an object has no children that could differ.
        let Some(parent) = parent.as_object() else { return true };
        let Some(value) = parent.get(child) else { return false };
        return match is_undefined(condition) {
            true => wanted,
            false => same(value, &condition.value) == wanted,
        };
    }
    match (payload.get(key(condition)), is_undefined(condition)) {
        (value, true) => value.is_none() == wanted,
        (None, false) => false,
        (Some(value), false) => same(value, &condition.value) == wanted,
    }
}

/// A single condition: null counts as missing there, and what is coerced to null to see that stays null.
fn holds_alone(condition: &FieldCondition, payload: &mut Object) -> bool {
    if !is_undefined(condition) || key(condition).contains('.') {
        return holds(condition, payload);
    }
    let missing = match payload.get_mut(key(condition)) {
        None => true,
        Some(value) => becomes_null(value),
    };
    missing == (condition.operator == ConditionOperator::Is)
}

fn becomes_null(value: &mut Value) -> bool {
    let inner = match &*value {
        Value::Array(items) if items.len() == 1 => &items[0],
        other => other,
    };
    let null = match inner {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::Float(float) => *float == 0.0,
        Value::Text(text) => text.is_empty(),
        _ => false,
    };
    if null {
        *value = Value::Null;
    }
    null
}
