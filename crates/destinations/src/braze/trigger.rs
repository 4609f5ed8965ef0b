//! Campaigns and Canvases that start for the recipients of a record. Braze answers for all recipients together, and
//! to send again would be to write to them again, so records never share a request.

use kit::{Batch, DeliveryError, Payload, Request, Wire};
use records::{Outcome, Value};

use super::answers::{self, Carried};
use super::{Braze, INVALID, field};

pub(super) async fn deliver(
    braze: &Braze,
    path: &str,
    batch: &Batch,
    wire: &Wire,
) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Vec::with_capacity(batch.records.len());
    for payload in &batch.records {
        let outcome = match body(payload) {
            Err(refusal) => refusal,
            Ok(body) => {
                let sent = wire.send(Request::post(braze.url(path)).json(&body)).await;
                let read = sent.and_then(|answer| answers::outcomes(braze, &answer, &Carried::each(1)));
                match read {
                    Ok(own) => own.into_iter().next().unwrap_or_else(|| Outcome::InDoubt { message: String::new() }),
                    Err(error) if batch.records.len() == 1 => return Err(error),
                    Err(error) => answers::outcome_of(error),
                }
            }
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The payload, with the prioritization moved to each recipient.
fn body(payload: &Payload) -> Result<Value, Outcome> {
    let Value::Object(mut body) = payload.fields.clone() else {
        return Err(Outcome::rejected(INVALID, "the payload is no object"));
    };
    let broadcast = field(payload, "broadcast") == Some(&Value::Bool(true));
    let recipients = field(payload, "recipients").and_then(Value::as_array).unwrap_or_default();
    if !broadcast && recipients.is_empty() {
        return Err(Outcome::rejected(INVALID, "nobody would get it: map `recipients`, or set `broadcast` to true"));
    }
    if broadcast && !recipients.is_empty() {
        let message = "`broadcast` is true and there are `recipients`: leave one of them out";
        return Err(Outcome::rejected(INVALID, message));
    }
    let priorities = field(payload, "prioritization").filter(|value| value.as_object().is_some());
    if let Some(priorities) = priorities.filter(|_| !recipients.is_empty()) {
        let order: Vec<Value> = ["first_priority", "second_priority"]
            .into_iter()
            .filter_map(|key| priorities.get(key))
            .filter(|value| value.as_str().is_some_and(|text| !text.is_empty()))
            .cloned()
            .collect();
        body.remove("prioritization");
        if let (false, Some(Value::Array(recipients))) = (order.is_empty(), body.get_mut("recipients")) {
            for recipient in recipients {
                if let Value::Object(recipient) = recipient {
                    recipient.insert("prioritization", Value::Array(order.clone()));
                }
            }
        }
    }
    Ok(Value::Object(body))
}
