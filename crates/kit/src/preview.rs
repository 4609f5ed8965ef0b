//! The requests that a batch would make, without making them.

use crate::load::{call_limits, group, json_bytes};
use crate::{Batch, BatchLimits, DeliveryError, Destination, Exchange, Wire};

/// What would be sent for the batch, divided as the loader would divide it by the action's limits. Credentials are
/// shown as `[secret]`.
///
/// # Errors
/// The batch cannot be made into requests (`Settings`), or what must be looked up for them cannot be.
pub async fn preview_requests(
    destination: &dyn Destination,
    wire: &Wire,
    batch: &Batch,
) -> Result<Vec<Exchange>, DeliveryError> {
    preview_divided(destination, wire, batch, (None, &[])).await
}

/// As [`preview_requests`], divided as well by a mapping's own limits and by the fields that its records must agree in.
///
/// # Errors
/// As [`preview_requests`].
pub async fn preview_divided(
    destination: &dyn Destination,
    wire: &Wire,
    batch: &Batch,
    (own, batch_keys): (Option<BatchLimits>, &[String]),
) -> Result<Vec<Exchange>, DeliveryError> {
    let limits = destination.facts().action(&batch.action).map_or(BatchLimits::default(), |action| action.batch);
    let limits = call_limits(limits, own, batch.batching);
    let mut found = Vec::new();
    for part in divided(destination, batch, limits, batch_keys) {
        let preview = wire.for_preview();
        match destination.deliver(&part, &preview).await {
            // Some records may be refused before anything is sent.
            Ok(_) | Err(DeliveryError::Preview) => {}
            Err(error) => return Err(preview.redact_error(error)),
        }
        found.extend(preview.exchanges().into_iter().map(|exchange| (*exchange).clone()));
    }
    Ok(found)
}

fn divided(destination: &dyn Destination, batch: &Batch, limits: BatchLimits, batch_keys: &[String]) -> Vec<Batch> {
    let mut parts: Vec<(String, usize, Batch)> = Vec::new();
    for record in &batch.records {
        let group = group(destination, &batch.action, record, batch_keys);
        let bytes = json_bytes(&record.fields) + 1;
        let last = parts.iter_mut().rev().find(|(of, ..)| *of == group);
        match last {
            Some((_, held, part)) if part.records.len() < limits.records_max && *held + bytes <= limits.bytes_max => {
                part.records.push(record.clone());
                *held += bytes;
            }
            _ => {
                let part = Batch { records: vec![record.clone()], ..batch.head() };
                parts.push((group, bytes, part));
            }
        }
    }
    parts.into_iter().map(|(_, _, part)| part).collect()
}
