//! `trackEvent`: an event of a contact.

use kit::{DeliveryError, Request, Wire};
use records::{Object, Outcome, Value, object};

use super::contacts::Found;
use super::{Intercom, ORIGIN, text, unix_time};

impl Intercom {
    /// Adds the event to the contact that the fields name.
    pub(super) async fn track(&self, fields: &Value, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let Value::Object(mut event) = fields.clone() else { return Ok(Outcome::rejected("BAD_RECORD", "no fields")) };
        if let Some(time) = event.get_mut("created_at") {
            *time = unix_time(time);
        }
        let by_email =
            text(fields, "email").filter(|_| text(fields, "user_id").is_none() && text(fields, "id").is_none());
        if by_email.is_some() {
            match self.find_contact(fields, wire).await? {
                Found::One(id) => {
                    event.insert("id", id.into());
                }
                Found::Several(count) => {
                    let message =
                        format!("{count} contacts have this email, so none can be meant; map their external id");
                    return Ok(Outcome::rejected("CONTACT_NOT_FOUND", message));
                }
                Found::Nobody | Found::NotAsked => {
                    return Ok(Outcome::rejected("CONTACT_NOT_FOUND", "no contact has this email"));
                }
            }
        }
        set_price(&mut event);
        let answer = self.ask(Request::post(format!("{ORIGIN}/events")).json(&Value::Object(event)), wire).await?;
        if answer.body.trim_ascii().is_empty()
            || answer.json()?.as_object().is_some_and(|said| !said.contains_key("errors"))
        {
            return Ok(Outcome::Delivered);
        }
        Err(DeliveryError::UnexpectedAnswer {
            message: format!("status {} with a body that is not understood", answer.status),
        })
    }
}

/// Revenue goes as the price among the details, in cents.
fn set_price(event: &mut Object) {
    let revenue = event.remove("revenue").and_then(|revenue| match revenue {
        Value::Int(int) => Some(int as f64),
        Value::Float(float) => Some(float),
        Value::Decimal(digits) => digits.parse().ok(),
        _ => None,
    });
    let currency = event.remove("currency").filter(|currency| currency.as_str() != Some(""));
    if let Some(Value::Object(details)) = event.get_mut("metadata") {
        for key in ["email", "revenue", "currency"] {
            details.remove(key);
        }
    }
    let Some(revenue) = revenue else { return };
    let price =
        object! { "amount" => Value::Float(revenue * 100.0), "currency" => currency.unwrap_or_else(|| "USD".into()) };
    match event.get_mut("metadata") {
        Some(Value::Object(details)) => {
            details.insert("price", price);
        }
        _ => {
            event.insert("metadata", object! { "price" => price });
        }
    }
}
