//! Events: what a person did, one at a time or many, and orders with an event for each product.

use http::Method;
use kit::{Batch, DeliveryError, Payload, Wire};
use records::{Object, Outcome, Value, object};

use super::api::{Api, Outcomes, Sent};
use super::profile;

const EVENTS: &str = "/events/";
const MANY: &str = "/event-bulk-create-jobs/";
const PLACES: &str = "/data/attributes/events-bulk-create/data";
/// The tool's limit for one request.
const EVENTS_MAX: usize = 1000;
const IDENTIFIERS: [&str; 4] = ["external_id", "anonymous_id", "email", "phone_number"];

/// Sends the events of a batch.
pub(super) async fn track(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    deliver(api, batch, |record| {
        Ok(vec![event(&record.fields, record.fields.get("metric_name").cloned().unwrap_or_default())?])
    })
    .await
}

/// Sends the orders of a batch, each followed by its products.
pub(super) async fn order(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    deliver(api, batch, |record| {
        let fields = &record.fields;
        let named = |key: &str, other: &str| fields.get(key).cloned().unwrap_or_else(|| other.into());
        let order = event(fields, named("event_name", "Order Completed"))?;
        let mut events = vec![order];
        for (number, product) in fields.get("products").and_then(Value::as_array).unwrap_or_default().iter().enumerate()
        {
            let product =
                product_event(record, number, product, named("product_event_name", "Ordered Product"), api.wire);
            events.push(product);
        }
        Ok(events)
    })
    .await
}

/// The profile that an event is of.
fn profile_of(record: &Payload) -> Result<Object, Outcome> {
    let mut profile = profile::checked(record.fields.get("profile").unwrap_or(&Value::Null), &IDENTIFIERS)?;
    profile.remove("country_code");
    Ok(profile)
}

async fn deliver(
    api: Api<'_>,
    batch: &Batch,
    events: impl Fn(&Payload) -> Result<Vec<Object>, Outcome>,
) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Outcomes::of(batch.records.len());
    let mut ready = Vec::new();
    for (place, record) in batch.records.iter().enumerate() {
        match profile_of(record).and_then(|profile| Ok((place, profile, events(record)?))) {
            Ok(found) => ready.push(found),
            Err(refusal) => outcomes.set(place, refusal),
        }
    }
    if batch.batching {
        return deliver_many(api, ready, outcomes).await;
    }
    for (place, profile, events) in ready {
        outcomes.set(place, deliver_one(api, &profile, events).await?);
    }
    Ok(outcomes.done())
}

/// Sends a record's events one after the other, since a product is of an order that was taken.
async fn deliver_one(api: Api<'_>, profile: &Object, events: Vec<Object>) -> Result<Outcome, DeliveryError> {
    for (number, mut event) in events.into_iter().enumerate() {
        event.push("profile".to_owned(), object! { "data" => of_type("profile", profile.clone()) });
        let body = object! { "data" => of_type("event", event) };
        match api.taken(Method::POST, EVENTS, &body, 202).await {
            Ok(_) => {}
            Err(DeliveryError::Refused { code, message }) if number > 0 => {
                let message = format!("the order was taken, but not its product {number}: {message}");
                return Ok(Outcome::rejected(code, message));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Outcome::Delivered)
}

fn of_type(kind: &str, attributes: Object) -> Value {
    object! { "type" => kind, "attributes" => attributes }
}

async fn deliver_many(
    api: Api<'_>,
    ready: Vec<(usize, Object, Vec<Object>)>,
    mut outcomes: Outcomes,
) -> Result<Vec<Outcome>, DeliveryError> {
    let mut ready = ready.into_iter().peekable();
    while ready.peek().is_some() {
        let (mut places, mut items, mut count) = (Vec::new(), Vec::new(), 0);
        while let Some((place, profile, events)) =
            ready.next_if(|(_, _, events)| items.is_empty() || count + events.len() <= EVENTS_MAX)
        {
            count += events.len();
            places.push(place);
            let events: Vec<_> = events.into_iter().map(|event| of_type("event", event)).collect();
            items.push(object! {
                "type" => "event-bulk-create",
                "attributes" => object! {
                    "profile" => object! { "data" => of_type("profile", profile) },
                    "events" => object! { "data" => events },
                },
            });
        }
        let attributes = object! { "events-bulk-create" => object! { "data" => items } };
        let body = object! { "data" => object! { "type" => "event-bulk-create-job", "attributes" => attributes } };
        match api.send_many(MANY, &body, PLACES, places.len()).await {
            Ok(Sent::Taken(_)) => places.iter().for_each(|place| outcomes.set(*place, Outcome::Delivered)),
            Ok(Sent::Refused(found)) => {
                places.iter().zip(found).for_each(|(place, outcome)| outcomes.set(*place, outcome));
            }
            Err(error) => return outcomes.failed(&places, error),
        }
    }
    Ok(outcomes.done())
}

/// An event's attributes, without the profile.
fn event(fields: &Value, metric: Value) -> Result<Object, Outcome> {
    let mut event = Object::new();
    event.push("properties".to_owned(), fields.get("properties").cloned().unwrap_or_default());
    if let Some(time) = time(fields)? {
        event.push("time".to_owned(), time.into());
    }
    for key in ["value", "unique_id"] {
        if let Some(value) = fields.get(key) {
            event.push(key.to_owned(), value.clone());
        }
    }
    event.push("metric".to_owned(), named(metric));
    Ok(event)
}

fn named(metric: Value) -> Value {
    object! { "data" => object! { "type" => "metric", "attributes" => object! { "name" => metric } } }
}

/// One product of an order as an event of its own: the order's properties with the product's over them.
fn product_event(record: &Payload, number: usize, product: &Value, metric: Value, wire: &Wire) -> Object {
    let mut properties = record.fields.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    properties.remove("products");
    for (key, value) in product.as_object().into_iter().flat_map(Object::iter) {
        properties.insert(key, value.clone());
    }
    let mut event = Object::new();
    event.push("properties".to_owned(), properties.into());
    // The same when the order is sent again, so that Klaviyo drops the second.
    event.push("unique_id".to_owned(), wire.uuid(&format!("{} product {number}", record.message_id)).into());
    event.push("metric".to_owned(), named(metric));
    if let Ok(Some(time)) = time(&record.fields) {
        event.push("time".to_owned(), time.into());
    }
    event
}

/// The time as JavaScript writes it. Digits alone are seconds since 1970, or milliseconds if there are 13.
fn time(fields: &Value) -> Result<Option<String>, Outcome> {
    let millis = match fields.get("time") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Text(text)) if text.is_empty() => return Ok(None),
        Some(Value::Int(0)) => return Ok(None),
        Some(Value::Int(millis)) => Some(*millis),
        #[expect(clippy::cast_possible_truncation, reason = "a time outside the range is refused below")]
        Some(Value::Float(millis)) => Some(*millis as i64),
        Some(Value::Text(text)) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text && text.len() == 13 => Some(number),
            Ok(number) if number.to_string() == *text && text.len() > 8 => number.checked_mul(1000),
            _ => mapping::dayjs_millis(text),
        },
        Some(_) => None,
    };
    // What a date of JavaScript can be.
    let millis = millis.filter(|millis| millis.unsigned_abs() <= 8_640_000_000_000_000);
    match millis {
        Some(millis) => Ok(Some(records::timestamp_text(millis * 1000))),
        None => Err(Outcome::rejected("invalid_time", "`time` is no date that can be read")),
    }
}
