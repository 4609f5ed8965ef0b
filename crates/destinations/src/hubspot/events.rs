//! Custom events on their way: one by one, or up to 500 in a request that HubSpot takes or refuses as a whole.

use kit::{DeliveryError, Request};
use records::Value;
use records::object;

use super::api::{Api, ORIGIN};

pub(super) async fn send_one(api: Api<'_>, event: &Value) -> Result<(), DeliveryError> {
    let answer = api.answer(Request::post(format!("{ORIGIN}/events/v3/send")).json(event)).await?;
    api.acknowledged(&answer)
}

/// Sends events, each with an id by which HubSpot's data can be told from what is sent twice.
pub(super) async fn send_many(api: Api<'_>, events: Vec<Value>) -> Result<(), DeliveryError> {
    let request = Request::post(format!("{ORIGIN}/events/v3/send/batch"));
    let answer = api.answer(request.json(&object! { "inputs" => events })).await?;
    api.acknowledged(&answer)
}
