//! Occurrences of behavioral events that were defined in HubSpot beforehand.

use kit::{Batch, DeliveryError, Payload};
use records::{Object, Outcome, Value};

use super::api::Api;
use super::events;
use super::values::{flattened, is_space, is_truthy, text};

pub(super) async fn deliver(api: Api<'_>, batch: &Batch, hub_id: Option<&str>) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Vec::with_capacity(batch.records.len());
    let mut events = Vec::with_capacity(batch.records.len());
    for record in &batch.records {
        match event(record, hub_id) {
            Ok(mut event) => {
                if batch.batching {
                    event.insert("uuid", Value::from(api.wire.uuid(&record.message_id)));
                }
                events.push(Value::Object(event));
                outcomes.push(Outcome::Delivered);
            }
            Err(refusal) => outcomes.push(refusal),
        }
    }
    if batch.batching && !events.is_empty() {
        events::send_many(api, events).await?;
    } else {
        for event in events {
            events::send_one(api, &event).await?;
        }
    }
    Ok(outcomes)
}

/// The event of a record, or why there can be none.
fn event(record: &Payload, hub_id: Option<&str>) -> Result<Object, Outcome> {
    let fields = &record.fields;
    let name = internal_name(text(fields, "eventName").unwrap_or_default());
    let fits = match hub_id.filter(|id| !id.is_empty()) {
        Some(id) => name.starts_with(&format!("pe{id}_")),
        None => {
            let rest = name.strip_prefix("pe").unwrap_or_default();
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            digits > 0 && rest[digits..].starts_with('_')
        }
    };
    if !fits {
        let message = format!(
            "the event name `{name}` does not begin with `pe{}_`; map `eventName` to the internal name that HubSpot shows for the event",
            hub_id.filter(|id| !id.is_empty()).unwrap_or("<Hub ID>"),
        );
        return Err(Outcome::rejected("EVENT_NAME", message));
    }
    if !["utk", "email", "objectId"].iter().any(|key| is_truthy(fields.get(key))) {
        let message = "the event belongs to nobody: map one of `email`, `utk` and `objectId`";
        return Err(Outcome::rejected("NO_RECORD", message));
    }
    let mut event = Object::new();
    event.insert("eventName", Value::from(name));
    for key in ["occurredAt", "utk", "email", "objectId"] {
        if let Some(value) = fields.get(key).filter(|value| !value.is_null()) {
            event.insert(key, value.clone());
        }
    }
    if let Some(properties) = flattened(fields.get("properties")) {
        event.insert("properties", Value::Object(properties));
    }
    Ok(event)
}

/// Runs of white space and points become one `_`, letters become small.
fn internal_name(name: &str) -> String {
    let mut internal = String::with_capacity(name.len());
    let mut in_gap = false;
    for c in name.chars() {
        let gap = c == '.' || is_space(c);
        if !gap {
            internal.push(c);
        } else if !in_gap {
            internal.push('_');
        }
        in_gap = gap;
    }
    internal.to_lowercase()
}
