//! The recommended ecommerce events of Braze.

use kit::{Batch, Payload};
use mapping::SyncMode;
use records::{Object, Outcome, Value};

use super::{Braze, INVALID, field, filled, profiles, put};

/// The event of a record.
pub(super) fn event(braze: &Braze, batch: &Batch, payload: &Payload) -> Result<Value, Outcome> {
    let refused = |message: String| Outcome::rejected(INVALID, message);
    let alias = field(payload, "user_alias").filter(|alias| alias.as_object().is_some());
    let mut object = Object::new();
    for key in ["external_id", "braze_id", "email", "phone"] {
        put(&mut object, key, filled(payload, key).map(Value::from));
    }
    put(&mut object, "user_alias", alias.cloned());
    if object.is_empty() {
        return Err(refused(
            "the record names no user: map `external_id`, `user_alias`, `braze_id`, `email` or `phone` to a column that has a value"
                .to_owned(),
        ));
    }
    put(&mut object, "app_id", braze.app_id.as_deref().filter(|id| !id.is_empty()).map(Value::from));
    let name = filled(payload, "name").unwrap_or_default();
    object.insert("name", Value::from(name));
    let time = profiles::moment(field(payload, "time")).filter(|time| !time.is_null());
    object.insert("time", time.ok_or_else(|| refused("`time` is no time: map a column that is one".to_owned()))?);
    let mut properties = Object::new();
    for key in ["currency", "source", "metadata"] {
        put(&mut properties, key, field(payload, key).cloned());
    }
    match name {
        "ecommerce.product_viewed" => {
            for (key, value) in field(payload, "product").and_then(Value::as_object).into_iter().flat_map(Object::iter)
            {
                properties.insert(key, value.clone());
            }
        }
        "ecommerce.checkout_started"
        | "ecommerce.order_placed"
        | "ecommerce.order_cancelled"
        | "ecommerce.order_refunded" => {
            let products = field(payload, "products").and_then(Value::as_array).ok_or_else(|| {
                refused(format!("`{name}` is an event of several products: use the action `ecommerce`"))
            })?;
            properties.insert("products", Value::Array(products.iter().map(product).collect()));
            put(&mut properties, "total_value", field(payload, "total_value").cloned());
            of_order(name, payload, &mut properties);
        }
        other => return Err(refused(format!("Braze has no ecommerce event `{other}`"))),
    }
    object.insert("properties", Value::Object(properties));
    let has_alias = alias.is_some_and(|alias| {
        ["alias_label", "alias_name"]
            .iter()
            .all(|key| alias.get(key).and_then(Value::as_str).is_some_and(|part| !part.is_empty()))
    });
    if has_alias || batch.mode == SyncMode::Update {
        object.insert("_update_existing_only", Value::Bool(true));
    }
    Ok(Value::Object(object))
}

/// What the events of carts and orders say beside their products.
fn of_order(name: &str, payload: &Payload, properties: &mut Object) {
    let has_cart = matches!(name, "ecommerce.checkout_started" | "ecommerce.order_placed");
    if name == "ecommerce.checkout_started" {
        put(properties, "checkout_id", field(payload, "checkout_id").cloned());
    } else {
        put(properties, "order_id", field(payload, "order_id").cloned());
        let is_number = |value: &&Value| matches!(value, Value::Int(_) | Value::Float(_) | Value::Decimal(_));
        put(properties, "total_discounts", field(payload, "total_discounts").filter(is_number).cloned());
        put(properties, "discounts", field(payload, "discounts").filter(|value| !value.is_null()).cloned());
    }
    if name == "ecommerce.order_cancelled" {
        put(properties, "cancel_reason", field(payload, "cancel_reason").cloned());
    }
    if has_cart {
        put(properties, "cart_id", filled(payload, "cart_id").map(Value::from));
    }
}

/// A product; keys that Braze does not name go below `metadata`.
fn product(product: &Value) -> Value {
    const NAMED: [&str; 7] =
        ["quantity", "product_id", "product_name", "variant_id", "price", "image_url", "product_url"];
    let mut object = Object::new();
    for key in NAMED {
        put(&mut object, key, product.get(key).cloned());
    }
    let further = product.as_object().into_iter().flat_map(Object::iter).filter(|(key, _)| !NAMED.contains(key));
    let metadata: Object = further.map(|(key, value)| (key.to_owned(), value.clone())).collect();
    if !metadata.is_empty() {
        object.insert("metadata", Value::Object(metadata));
    }
    Value::Object(object)
}
