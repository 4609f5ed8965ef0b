//! What became of a message, reported to the endpoint for it.

use records::{Object, Value};

use super::entity::is_true;
use super::times::unix_seconds;

/// The report of a payload. Without a time that can be read it happened now.
pub(super) fn metric(fields: &Value, now: i64) -> Value {
    let field = |key: &str| fields.get(key).filter(|value| is_true(Some(value))).cloned();
    let mut metric = Object::new();
    for key in ["delivery_id", "metric"] {
        metric.insert(key, fields.get(key).cloned().unwrap_or_default());
    }
    let time = fields.get("timestamp").cloned().and_then(|time| number(unix_seconds(time)));
    metric.insert("timestamp", time.unwrap_or(Value::Int(now)));
    for key in ["recipient", "reason", "href"] {
        if let Some(value) = field(key) {
            metric.insert(key, value);
        }
    }
    let mut metadata = Object::new();
    for key in ["action_name", "action_value"] {
        if let Some(value) = field(key) {
            metadata.insert(key, value);
        }
    }
    if !metadata.is_empty() {
        metric.insert("metadata", Value::Object(metadata));
    }
    Value::Object(metric)
}

/// A text as the number it is.
fn number(value: Value) -> Option<Value> {
    let Value::Text(text) = &value else { return Some(value) };
    let number = mapping::number_of_text(text);
    let whole = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    match (number.is_finite(), whole) {
        (true, true) => Some(Value::Int(number as i64)),
        (true, false) => Some(Value::Float(number)),
        (false, _) => None,
    }
}
