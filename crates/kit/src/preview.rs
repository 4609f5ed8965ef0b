//! The requests that a batch would make, without making them.

use crate::load::json_bytes;
use crate::{Batch, BatchLimits, DeliveryError, Destination, Exchange, Wire};

/// What would be sent for the batch, divided as the loader would divide it. Credentials are shown as `[secret]`.
///
/// # Errors
/// The batch cannot be made into requests (`Settings`).
pub async fn preview_requests(
    destination: &dyn Destination,
    wire: &Wire,
    batch: &Batch,
) -> Result<Vec<Exchange>, DeliveryError> {
    let limits = destination.facts().action(&batch.action).map_or(BatchLimits::default(), |action| action.batch);
    let limits = if batch.batching { limits } else { BatchLimits { records_max: 1, ..limits } };
    let mut found = Vec::new();
    for part in divided(destination, batch, limits) {
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

fn divided(destination: &dyn Destination, batch: &Batch, limits: BatchLimits) -> Vec<Batch> {
    let mut parts: Vec<(String, usize, Batch)> = Vec::new();
    for record in &batch.records {
        let group = destination.group(&batch.action, record);
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
