//! The bodies of Iterable's requests, from the fields of payloads.

use records::{Object, Value};

use super::dates::{converted, unix_seconds};

/// Whether a user is named by an email or an id.
pub(super) fn is_known(user: &Value) -> bool {
    ["email", "userId"].into_iter().any(|key| user.get(key).and_then(Value::as_str).is_some_and(|id| !id.is_empty()))
}

/// A user with the fields of the profile.
pub(super) fn user(fields: &Value) -> Value {
    let mut user = object_of(Some(fields));
    for key in ["updateOnly", "enable_batching", "batch_size"] {
        user.remove(key);
    }
    Value::Object(with_profile(user))
}

/// An event of a user. All its fields are sent, those that say how batches are made among them.
pub(super) fn event(fields: &Value, now: i64) -> Value {
    let mut event = object_of(Some(fields));
    let mut data = object_of(event.get("dataFields"));
    converted(&mut data);
    event.insert("dataFields", Value::Object(data));
    event.insert("createdAt", unix_seconds(fields.get("createdAt"), now));
    Value::Object(event)
}

/// A user's cart.
pub(super) fn cart(fields: &Value) -> Value {
    let mut cart = Object::new();
    cart.insert("user", Value::Object(with_profile(object_of(fields.get("user")))));
    cart.insert("items", items(fields.get("items")));
    Value::Object(cart)
}

/// A purchase of a user.
pub(super) fn purchase(fields: &Value, now: i64) -> Value {
    let mut purchase = object_of(Some(fields));
    let mut data = object_of(fields.get("dataFields"));
    data.remove("products");
    converted(&mut data);
    purchase.insert("user", Value::Object(with_profile(object_of(fields.get("user")))));
    purchase.insert("items", items(fields.get("items")));
    purchase.insert("createdAt", unix_seconds(fields.get("createdAt"), now));
    purchase.insert("dataFields", Value::Object(data));
    Value::Object(purchase)
}

fn object_of(value: Option<&Value>) -> Object {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The phone number is a field of the profile, there only if the payload has it as a field of its own.
fn with_profile(mut user: Object) -> Object {
    let mut profile = object_of(user.get("dataFields"));
    converted(&mut profile);
    match user.remove("phoneNumber") {
        Some(phone) => {
            profile.insert("phoneNumber", phone);
        }
        None => {
            profile.remove("phoneNumber");
        }
    }
    user.insert("dataFields", Value::Object(profile));
    user
}

/// What of an item is not repeated below `dataFields`.
const ITEM_KEYS: [&str; 11] =
    ["product_id", "id", "sku", "name", "price", "quantity", "categories", "category", "url", "image_url", "imageUrl"];

fn items(items: Option<&Value>) -> Value {
    let items = items.and_then(Value::as_array).unwrap_or_default();
    Value::Array(items.iter().map(|item| Value::Object(self::item(object_of(Some(item))))).collect())
}

fn item(mut item: Object) -> Object {
    item.remove("dataFields");
    let category = item.remove("categories").filter(|category| {
        // An empty category is none.
        !matches!(category, Value::Null | Value::Bool(false) | Value::Int(0)) && category.as_str() != Some("")
    });
    let mut data: Object = item
        .iter()
        .filter(|(key, _)| !ITEM_KEYS.contains(key))
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    converted(&mut data);
    // Objects and lists of the item have their dates converted in both places, its own texts only below `dataFields`.
    for (key, value) in data.iter() {
        if matches!(value, Value::Object(_) | Value::Array(_)) {
            item.insert(key, value.clone());
        }
    }
    item.insert("dataFields", Value::Object(data));
    if let Some(category) = category {
        item.insert("categories", Value::Array(vec![category]));
    }
    item
}
