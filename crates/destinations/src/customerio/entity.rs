//! The form of an entity in the Track API: what it is, what happens to it, and what it is known by.

use records::{Object, Value};

use super::times::{converted, unix_seconds};

/// Makes the entity of a payload whose fields were renamed to those of the API. Dates are converted if the payload
/// asks for it; its own time always is.
pub(super) fn build(kind: &str, action: &str, mut fields: Object) -> Value {
    let converts = fields.remove("convert_timestamp").is_some_and(|convert| convert != Value::Bool(false));
    let mut known_by = |key: &str| fields.remove(key);
    let person = known_by("person_id");
    let anonymous = known_by("anonymous_id");
    let email = known_by("email");
    let object = known_by("object_id");
    let object_type = known_by("object_type_id");
    let timestamp = taken(&mut fields, "timestamp");
    fields.remove("enable_batching");
    fields.remove("batch_size");
    if converts {
        fields = converted(fields);
    }
    let mut entity = Object::with_capacity(fields.len() + 5);
    entity.insert("type", Value::from(kind));
    entity.insert("action", Value::from(action));
    for (key, value) in fields {
        entity.insert(key, value);
    }
    if let Some(timestamp) = timestamp {
        entity.insert("timestamp", unix_seconds(timestamp));
    }
    if let Some(anonymous) = anonymous.as_ref().filter(|id| is_true(Some(id))) {
        match entity.get_mut("attributes") {
            Some(Value::Object(attributes)) => {
                attributes.insert("anonymous_id", anonymous.clone());
            }
            _ => {
                let mut attributes = Object::new();
                attributes.insert("anonymous_id", anonymous.clone());
                entity.insert("attributes", Value::Object(attributes));
            }
        }
    }
    if action != "merge" {
        let found =
            identifiers(anonymous.as_ref(), email.as_ref(), object.as_ref(), person.as_ref(), object_type.as_ref());
        if let Some(found) = found {
            // Who is known by nothing else needs no attribute that says the same.
            if found.contains_key("anonymous_id")
                && let Some(Value::Object(attributes)) = entity.get_mut("attributes")
            {
                attributes.remove("anonymous_id");
            }
            entity.insert("identifiers", Value::Object(found));
        }
    }
    Value::Object(entity)
}

/// What names an object or a person: the first that is there of object, Customer.io's own id (`cio_…`), email or id in
/// `person`, email, anonymous id.
pub(super) fn identifiers(
    anonymous: Option<&Value>,
    email: Option<&Value>,
    object: Option<&Value>,
    person: Option<&Value>,
    object_type: Option<&Value>,
) -> Option<Object> {
    let mut found = Object::new();
    let default_type = Value::from("1");
    let object_type = object_type.unwrap_or(&default_type);
    let text = person.and_then(Value::as_str).unwrap_or_default();
    if let Some(object) = object.filter(|object| is_true(Some(object)) && is_true(Some(object_type))) {
        found.insert("object_id", object.clone());
        found.insert("object_type_id", object_type.clone());
    } else if let Some(own) = text.strip_prefix("cio_") {
        found.insert("cio_id", Value::from(own));
    } else if mapping::has_format("email", text) {
        found.insert("email", Value::from(text));
    } else if let Some(person) = person.filter(|person| is_true(Some(person))) {
        found.insert("id", person.clone());
    } else if let Some(email) = email.filter(|email| is_true(Some(email))) {
        found.insert("email", email.clone());
    } else {
        found.insert("anonymous_id", anonymous.filter(|id| is_true(Some(id)))?.clone());
    }
    Some(found)
}

/// What JavaScript takes for true: neither nothing, nor an empty text, nor zero, nor false.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false) | Value::Int(0)) => false,
        Some(Value::Text(text)) => !text.is_empty(),
        Some(Value::Float(number)) => *number != 0.0,
        Some(_) => true,
    }
}

/// Takes a field out; nothing if it is empty.
pub(super) fn taken(fields: &mut Object, key: &str) -> Option<Value> {
    fields.remove(key).filter(|value| is_true(Some(value)))
}
