//! Aliases of users: `users/alias/new` makes them, `users/identify` gives their owners an external ID.

use kit::{Batch, DeliveryError, Payload, Request, Wire};
use records::{Object, Outcome, Value, object};

use super::answers::{self, Carried};
use super::{Braze, INVALID, field, put};

const COUNTED: &str = "aliases_processed";

pub(super) async fn create(braze: &Braze, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
    let alias = |payload: &Payload| {
        let mut alias = Object::new();
        put(&mut alias, "external_id", field(payload, "external_id").filter(|id| !id.is_null()).cloned());
        put(&mut alias, "alias_name", field(payload, "alias_name").cloned());
        put(&mut alias, "alias_label", field(payload, "alias_label").cloned());
        Value::Object(alias)
    };
    let aliases: Vec<Value> = batch.records.iter().map(alias).collect();
    let carried = Carried { counted: Some(COUNTED), of_users: true, ..Carried::each(aliases.len()) };
    let request = Request::post(braze.url("/users/alias/new")).json(&object! { "user_aliases" => aliases });
    answers::outcomes(braze, &wire.send(request).await?, &carried)
}

/// An alias to be identified, and an email address.
fn keys(payload: &Payload) -> (Option<&Value>, Option<&str>) {
    let alias = field(payload, "user_alias").filter(|alias| alias.as_object().is_some());
    let email = field(payload, "email_to_identify").and_then(Value::as_str).filter(|email| !email.is_empty());
    (alias, email)
}

/// One request says for all of its users how they are merged, and it has a list for aliases and one for email
/// addresses; with one of them only, an index in the answer has one meaning.
pub(super) fn group(payload: &Payload) -> String {
    let merge = field(payload, "merge_behavior").and_then(Value::as_str).unwrap_or_default();
    match keys(payload) {
        (Some(_), Some(_)) => format!("{merge} both {}", payload.index),
        (_, Some(_)) => format!("{merge} email"),
        _ => format!("{merge} alias"),
    }
}

pub(super) async fn identify(braze: &Braze, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
    let (mut aliases, mut emails) = (Vec::new(), Vec::new());
    let mut outcomes: Vec<Option<Outcome>> = vec![None; batch.records.len()];
    for (payload, outcome) in batch.records.iter().zip(&mut outcomes) {
        let external_id = field(payload, "external_id");
        let (alias, email) = keys(payload);
        if let Some(alias) = alias {
            aliases.push(object! { "external_id" => external_id, "user_alias" => alias });
        }
        if let Some(email) = email {
            let priority = |key: &str| field(payload, "prioritization").and_then(|both| both.get(key));
            let second =
                priority("second_priority").filter(|second| second.as_str().is_some_and(|text| !text.is_empty()));
            let order =
                std::iter::once(Value::from(priority("first_priority"))).chain(second.cloned()).collect::<Vec<_>>();
            emails.push(object! { "external_id" => external_id, "email" => email, "prioritization" => order });
        }
        if alias.is_none() && email.is_none() {
            let message = "the record names nobody to identify: map `user_alias` or `email_to_identify` to a column that has a value";
            *outcome = Some(Outcome::rejected(INVALID, message));
        }
    }
    let places: Vec<usize> = (0..outcomes.len()).filter(|place| outcomes[*place].is_none()).collect();
    if !places.is_empty() {
        // How many email addresses were taken is not documented to be counted.
        let counted = emails.is_empty().then_some(COUNTED);
        let carried = Carried { counted, of_users: true, ..Carried::each(places.len()) };
        let mut body = Object::new();
        put(
            &mut body,
            "merge_behavior",
            batch.records.first().and_then(|first| field(first, "merge_behavior")).cloned(),
        );
        for (key, list) in [("aliases_to_identify", aliases), ("emails_to_identify", emails)] {
            if !list.is_empty() {
                body.insert(key, Value::Array(list));
            }
        }
        let request = Request::post(braze.url("/users/identify")).json(&Value::Object(body));
        let own = answers::outcomes(braze, &wire.send(request).await?, &carried)?;
        for (place, outcome) in places.into_iter().zip(own) {
            outcomes[place] = Some(outcome);
        }
    }
    let unknown = || Outcome::InDoubt { message: "the answer has no result for this record".to_owned() };
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect())
}
