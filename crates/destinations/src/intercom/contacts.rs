//! `identifyContact`, and the search for a contact that all actions use.

use kit::{DeliveryError, Request, Wire};
use records::{Outcome, Value, object};

use super::{Intercom, ORIGIN, is_id, stored_id, text, unix_time};

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The fields hold nothing to search by.
    NotAsked,
    Nobody,
    One(String),
    /// So many that none can be meant.
    Several(i64),
}

impl Intercom {
    /// Updates the contact with the external id or email of the fields, or creates one.
    pub(super) async fn update_contact(&self, fields: &Value, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let mut contact = fields.clone();
        if let Value::Object(contact) = &mut contact {
            for key in ["signed_up_at", "last_seen_at"] {
                if let Some(time) = contact.get_mut(key) {
                    *time = unix_time(time);
                }
            }
        }
        let found = match self.find_contact(fields, wire).await {
            Err(DeliveryError::Refused { code, message }) if code == CONFLICT => {
                return Ok(Outcome::retry(CONFLICT, message));
            }
            found => found?,
        };
        if let Found::One(id) = found {
            let answer = self.ask(Request::put(format!("{ORIGIN}/contacts/{id}")).json(&contact), wire).await?;
            stored_id(&answer)?;
            return Ok(Outcome::Delivered);
        }
        match self.ask(Request::post(format!("{ORIGIN}/contacts")).json(&contact), wire).await {
            Ok(answer) => stored_id(&answer).map(|_| Outcome::Delivered),
            Err(DeliveryError::Refused { code, message }) if code == CONFLICT => Ok(conflict(&found, &message)),
            Err(error) => Err(error),
        }
    }

    /// The contact with the external id of the fields or, without one, with their email.
    pub(super) async fn find_contact(&self, fields: &Value, wire: &Wire) -> Result<Found, DeliveryError> {
        let Some((field, value)) = ["external_id", "email"].iter().find_map(|key| Some((*key, text(fields, key)?)))
        else {
            return Ok(Found::NotAsked);
        };
        let query = object! { "field" => field, "operator" => "=", "value" => value };
        let request = Request::post(format!("{ORIGIN}/contacts/search")).json(&object! { "query" => query }).reading();
        let answer = self.ask(request, wire).await?.json()?;
        let unexpected =
            |what: &str| DeliveryError::UnexpectedAnswer { message: format!("the search's answer {what}") };
        match answer.get("total_count").and_then(Value::as_i64) {
            Some(0) => Ok(Found::Nobody),
            Some(1) => {
                let first = answer.get("data").and_then(Value::as_array).and_then(|contacts| contacts.first());
                let id = first.and_then(|contact| text(contact, "id")).filter(|id| is_id(id));
                id.map(|id| Found::One(id.to_owned())).ok_or_else(|| unexpected("counts one contact and shows none"))
            }
            Some(several) if several > 1 => Ok(Found::Several(several)),
            _ => Err(unexpected("does not count the contacts")),
        }
    }
}

const CONFLICT: &str = "http_409";

/// A contact is there that the search did not show, since it is new, archived, or one of several.
fn conflict(found: &Found, message: &str) -> Outcome {
    if let Found::Several(count) = found {
        let message = format!("{count} contacts have this email, so none can be meant; map an external id ({message})");
        return Outcome::rejected("AMBIGUOUS_CONTACT", message);
    }
    if message.to_ascii_lowercase().contains("archived") {
        return Outcome::rejected(
            "ARCHIVED_CONTACT",
            format!("{message}; unarchive or delete the contact in Intercom"),
        );
    }
    Outcome::retry(
        "CONFLICT",
        format!("{message}; the search does not show the contact yet, which takes Intercom some minutes"),
    )
}
