//! The attributes object of a user.

use kit::Payload;
use records::{Object, Value};

use super::{field, put, user_alias};

/// Custom attributes that are never sent: fields of the purchase action, as the original has it, and names that
/// Braze has under others.
const NOT_CUSTOM: [&str; 13] = [
    "external_id",
    "user_alias",
    "email",
    "braze_id",
    "time",
    "products",
    "properties",
    "_update_existing_only",
    "enable_batching",
    "batch_size",
    "firstName",
    "lastName",
    "avatar",
];

/// Fields that are sent as they are.
const PLAIN: [&str; 20] = [
    "braze_id",
    "external_id",
    "country",
    "email",
    "email_subscribe",
    "email_open_tracking_disabled",
    "email_click_tracking_disabled",
    "facebook",
    "first_name",
    "home_city",
    "image_url",
    "language",
    "last_name",
    "phone",
    "push_subscribe",
    "push_tokens",
    "time_zone",
    "twitter",
    // Worked on below, and here so that no custom attribute takes their place.
    "current_location",
    "gender",
];

const MOMENTS: [&str; 3] = ["date_of_first_session", "date_of_last_session", "marked_email_as_spam_at"];

pub(super) fn attributes(payload: &Payload, existing_only: Option<Value>) -> Value {
    let custom = field(payload, "custom_attributes").and_then(Value::as_object).into_iter().flat_map(Object::iter);
    let taken = |key: &str| NOT_CUSTOM.contains(&key) || PLAIN.contains(&key) || MOMENTS.contains(&key) || key == "dob";
    let mut object: Object =
        custom.filter(|(key, _)| !taken(key)).map(|(key, value)| (key.to_owned(), value.clone())).collect();
    for key in PLAIN {
        put(&mut object, key, field(payload, key).cloned());
    }
    put(&mut object, "user_alias", user_alias(payload));
    if field(payload, "current_location").and_then(Value::as_object).is_some_and(Object::is_empty) {
        object.remove("current_location");
    }
    put(&mut object, "gender", field(payload, "gender").map(gender));
    for key in MOMENTS {
        put(&mut object, key, moment(field(payload, key)));
    }
    put(&mut object, "dob", day(field(payload, "dob")));
    let groups = field(payload, "subscription_groups");
    put(&mut object, "subscription_groups", groups.filter(|groups| is_filled_list(groups)).cloned());
    put(&mut object, "_update_existing_only", existing_only);
    Value::Object(object)
}

fn is_filled_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty())
}

/// English words for a gender become Braze's letter; what is no such word stays.
fn gender(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    Value::from(match text.to_lowercase().as_str() {
        "man" | "male" | "m" => "M",
        "woman" | "female" | "w" | "f" => "F",
        "other" | "o" => "O",
        "not applicable" | "n" => "N",
        "prefer not to say" | "p" => "P",
        _ => text,
    })
}

/// A time in ISO 8601. Null stays, and what is no time is left out.
pub(super) fn moment(value: Option<&Value>) -> Option<Value> {
    match value? {
        Value::Null => Some(Value::Null),
        other => Some(Value::from(records::timestamp_text(millis(other)?.checked_mul(1000)?))),
    }
}

/// A day: `1985-12-10`. Null stays, and what is no time is left out.
fn day(value: Option<&Value>) -> Option<Value> {
    let moment = moment(value)?;
    Some(moment.as_str().and_then(|text| text.split_once('T')).map_or(Value::Null, |(day, _)| Value::from(day)))
}

/// Milliseconds since 1970 of a date in text, or of a number that is that already.
fn millis(value: &Value) -> Option<i64> {
    const MILLIS_MAX: f64 = 8.64e15;
    let number = match value {
        Value::Text(text) => return mapping::dayjs_millis(text),
        Value::Int(int) => *int as f64,
        Value::Float(float) => *float,
        Value::Decimal(digits) => digits.parse().ok()?,
        _ => return None,
    };
    (number.abs() <= MILLIS_MAX).then_some(number.trunc() as i64)
}
