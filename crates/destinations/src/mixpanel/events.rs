//! Events as Mixpanel takes them, made from the fields of `trackEvent` and `trackPurchase`.

use kit::{Payload, Wire};
use records::{Object, Value};

use super::browser::browser;
use super::{Account, is_truthy};

/// The fields that are sent as they are, each with the property that it becomes.
const COPIED: [(&str, &str); 36] = [
    ("ip", "ip"),
    ("distinct_id", "id"),
    ("anonymous_id", "$anon_id"),
    ("app_build", "$app_build_number"),
    ("app_version", "$app_version_string"),
    ("app_namespace", "$app_namespace"),
    ("app_name", "$app_name"),
    ("bluetooth", "$bluetooth_enabled"),
    ("cellular", "$cellular_enabled"),
    ("carrier", "$carrier"),
    ("url", "$current_url"),
    ("device_name", "$device"),
    ("anonymous_id", "$device_id"),
    ("device_type", "$device_type"),
    ("device_name", "$device_name"),
    ("group_id", "$group_id"),
    ("user_id", "$identified_id"),
    ("idfa", "$ios_ifa"),
    ("library_version", "$lib_version"),
    ("language", "$locale"),
    ("device_manufacturer", "$manufacturer"),
    ("device_model", "$model"),
    ("os_name", "$os"),
    ("os_version", "$os_version"),
    ("referrer", "$referrer"),
    ("screen_height", "$screen_height"),
    ("screen_width", "$screen_width"),
    ("screen_density", "$screen_density"),
    ("user_id", "$user_id"),
    ("wifi", "$wifi_enabled"),
    ("country", "mp_country_code"),
    ("advertising_id", "advertising_id"),
    ("ad_tracking_enabled", "ad_tracking_enabled"),
    ("timezone", "timezone"),
    ("app_platform", "app_platform"),
    ("name", "event_original_name"),
];

/// Keys of objects that are sent as properties of the event.
const CAMPAIGN: [&str; 5] = ["utm_campaign", "utm_content", "utm_medium", "utm_source", "utm_term"];
const HINTS: [&str; 6] = ["mobile", "platform", "bitness", "platformVersion", "uaFullVersion", "wow64"];

/// Event properties that do not go before what the fields say.
const RESERVED: [&str; 7] = ["time", "id", "$anon_id", "distinct_id", "$group_id", "$insert_id", "$user_id"];

/// Properties of an order that its products do not have.
const OF_ORDERS: [&str; 11] = [
    "affiliation",
    "subtotal",
    "total",
    "revenue",
    "shipping",
    "tax",
    "discount",
    "coupon",
    "currency",
    "order_number",
    "products",
];

/// The event of a record.
pub(super) fn tracked(account: &Account, record: &Payload, wire: &Wire) -> Value {
    let name = record.fields.get("event").cloned().unwrap_or_default();
    records::object! { "event" => name, "properties" => properties(account, record, wire) }
}

/// The event of an order, and one for each of its products if they are wanted.
pub(super) fn purchased(account: &Account, record: &Payload, wire: &Wire) -> Vec<Value> {
    let order = properties(account, record, wire);
    let wanted = record.fields.get("generatePurchaseEventPerProduct").is_some_and(is_truthy);
    let products = record.fields.get("products").and_then(Value::as_array).filter(|_| wanted).unwrap_or_default();
    let mut events = Vec::with_capacity(products.len() + 1);
    let name = record.fields.get("event").cloned().unwrap_or_default();
    let time = time(record, wire);
    let shared: Object = order
        .iter()
        .filter(|(key, _)| !OF_ORDERS.contains(key))
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    events.push(records::object! { "event" => name, "properties" => order });
    // Each a millisecond before the one in front of it, so that they have an order.
    for ((count, product), earlier) in products.iter().enumerate().zip(1..) {
        let id = match record.fields.get("insert_id") {
            Some(given) => format!("{count}{}", insert_id(given, record)),
            None => wire.uuid(&format!("{}/{count}", record.message_id)),
        };
        let mut properties = shared.clone();
        properties.insert("$insert_id", id.into());
        properties.insert("time", time.saturating_sub(earlier).into());
        for (key, value) in product.as_object().into_iter().flat_map(Object::iter) {
            properties.insert(key, value.clone());
        }
        events.push(records::object! { "event" => "Product Purchased", "properties" => properties });
    }
    events
}

fn properties(account: &Account, record: &Payload, wire: &Wire) -> Object {
    let fields = &record.fields;
    let mut properties = Object::with_capacity(64);
    let mut put = |key: String, value: Value| {
        properties.insert(key, value);
    };
    put("time".to_owned(), time(record, wire).into());
    for (field, property) in COPIED {
        if let Some(value) = fields.get(field) {
            put(property.to_owned(), value.clone());
        }
    }
    put("distinct_id".to_owned(), fields.get("distinct_id").cloned().unwrap_or_else(|| "".into()));
    let id = match fields.get("insert_id") {
        Some(given) => insert_id(given, record),
        None => wire.uuid(&record.message_id),
    };
    put("$insert_id".to_owned(), id.into());
    if let Some(agent) = fields.get("userAgent").and_then(Value::as_str).filter(|agent| !agent.is_empty()) {
        let (name, version) = browser(agent);
        put("$browser".to_owned(), name.into());
        if let Some(version) = version {
            put("$browser_version".to_owned(), version.into());
        }
    }
    let through = fields.at(&["context", "integration", "name"]).and_then(Value::as_str);
    put("$source".to_owned(), if through == Some("Iterable") { "Iterable" } else { "segment" }.into());
    if let Some(library) = fields.get("library_name").and_then(Value::as_str) {
        let named = if library.is_empty() { String::new() } else { format!("Segment Actions: {library}") };
        put("mp_lib".to_owned(), named.into());
    }
    if let Some(source) = &account.source_name {
        put("segment_source_name".to_owned(), source.as_str().into());
    }
    for key in CAMPAIGN {
        if let Some(value) = fields.at(&["utm_properties", key]) {
            put(key.to_owned(), value.clone());
        }
    }
    for key in HINTS {
        if let Some(value) = fields.at(&["userAgentData", key]) {
            put(format!("${key}"), value.clone());
        }
    }
    for (key, value) in fields.get("event_properties").and_then(Value::as_object).into_iter().flat_map(Object::iter) {
        if !RESERVED.contains(&key) {
            put(key.to_owned(), value.clone());
        }
    }
    properties
}

/// When it happened, in milliseconds: as the record says, if that is a time; else now.
fn time(record: &Payload, wire: &Wire) -> i64 {
    const MILLIS_MAX: f64 = 8.64e15;
    let given = match record.fields.get("time") {
        Some(Value::Text(text)) if !text.is_empty() => mapping::dayjs_millis(text),
        Some(Value::Int(millis)) if *millis != 0 => Some(*millis),
        Some(Value::Float(millis)) if *millis != 0.0 && millis.abs() <= MILLIS_MAX => Some(*millis as i64),
        _ => None,
    };
    given.unwrap_or_else(|| wire.now().as_millisecond())
}

/// The insert id as given. Mixpanel takes letters, digits and `-`, at most 36 of them, so the id of a change, which
/// the field holds unless it is mapped otherwise, goes without what stands in front of its digits: that leaves room
/// for the number of a product.
fn insert_id(given: &Value, record: &Payload) -> String {
    let text = given.as_str().map_or_else(|| given.to_json(), str::to_owned);
    match text.strip_prefix("msg_") {
        Some(digits) if text == record.message_id => digits.to_owned(),
        _ => text,
    }
}
