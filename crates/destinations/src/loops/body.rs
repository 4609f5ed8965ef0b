//! The bodies of requests to Loops: properties stand beside the fields that Loops has itself.

use records::{Object, Value};

const LISTS: &str = "mailingLists";
const ATTRIBUTES: &str = "customAttributes";

/// A contact. A field goes before a custom attribute of the same name.
pub(super) fn contact(fields: &Value) -> Value {
    let mut body = fields.get(ATTRIBUTES).and_then(Value::as_object).cloned().unwrap_or_default();
    // Lists may come within the attributes, and count if the field has none.
    let within = body.remove(LISTS);
    let own = fields.get(LISTS).and_then(Value::as_object).filter(|lists| !lists.is_empty());
    let lists = match (own, &within) {
        (Some(own), _) => memberships(own.iter()),
        (None, Some(Value::Object(lists))) => memberships(lists.iter()),
        (None, Some(Value::Array(lists))) => {
            let places: Vec<_> = (0..lists.len()).map(|place| place.to_string()).collect();
            memberships(places.iter().map(String::as_str).zip(lists))
        }
        (None, _) => Object::new(),
    };
    for (key, value) in fields.as_object().into_iter().flat_map(Object::iter) {
        if key != ATTRIBUTES && key != LISTS {
            body.insert(key, value.clone());
        }
    }
    body.insert(LISTS, lists.into());
    body.into()
}

/// Yes or no for each list, also where it is a word. What is neither is left out.
fn memberships<'a>(lists: impl Iterator<Item = (&'a str, &'a Value)>) -> Object {
    let mut wanted = Object::new();
    for (list, value) in lists {
        let member = match value.as_str() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => value.as_bool(),
        };
        if let Some(member) = member {
            wanted.insert(list, member.into());
        }
    }
    wanted
}

/// An event. A property of the contact goes before a field of the same name.
pub(super) fn event(fields: &Value) -> Value {
    let mut body = Object::new();
    for key in ["email", "eventName", "userId", "eventProperties"] {
        if let Some(value) = fields.get(key) {
            body.insert(key, value.clone());
        }
    }
    for (key, value) in fields.get("contactProperties").and_then(Value::as_object).into_iter().flat_map(Object::iter) {
        body.insert(key, value.clone());
    }
    body.into()
}
