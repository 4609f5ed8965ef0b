//! What Mixpanel's answers say: which entries of a list it refused, and whether it took the rest.

use std::collections::BTreeMap;

use kit::{Answer, DeliveryError, Statuses};
use records::Value;

/// Why entries of a list were refused, by their place in it. All others were taken.
pub(super) type Refused = BTreeMap<usize, String>;

fn unexpected(message: String) -> DeliveryError {
    DeliveryError::UnexpectedAnswer { message }
}

/// Reads the answer to a list of `count` events or updates that were to be checked one by one. Such a list is taken in
/// part: the status is 400, and the entries that failed are named.
pub(super) fn of_list(answer: &Answer, count: usize, statuses: &Statuses) -> Result<Refused, DeliveryError> {
    let said = match answer.failure(statuses) {
        None => answer.json()?,
        Some(failure) if answer.status == 400 => match answer.json() {
            Ok(said) if said.get("failed_records").is_some_and(|list| list.as_array().is_some()) => said,
            _ => return Err(failure),
        },
        Some(failure) => return Err(failure),
    };
    if said.get("status").and_then(Value::as_i64) == Some(0) || said == Value::Int(0) {
        // Nothing of it is valid.
        return Err(refused(&said));
    }
    let refused = failed(&said, count)?;
    let taken = ["num_records_imported", "num_good_events"].iter().find_map(|key| said.get(key)?.as_i64());
    match taken.map(usize::try_from) {
        Some(Ok(taken)) if taken + refused.len() == count => Ok(refused),
        // Sent again by halves until it is plain which are not taken: what is sent twice counts once.
        Some(Ok(taken)) if taken + refused.len() < count => Err(DeliveryError::Refused {
            code: "NOT_TAKEN".to_owned(),
            message: format!("Mixpanel took {taken} of {count} and does not say why not all"),
        }),
        Some(_) => Err(unexpected(format!("more were taken than the {count} that were sent"))),
        None if refused.is_empty() && is_success(&said, count) => Ok(refused),
        None => Err(unexpected(format!("status {} without the number of those that were taken", answer.status))),
    }
}

/// Reads the answer to one event or update that was sent by itself. It is `1` or `0`, or the same below `status`.
pub(super) fn of_one(answer: &Answer, statuses: &Statuses) -> Result<(), DeliveryError> {
    if let Some(failure) = answer.failure(statuses) {
        return Err(failure);
    }
    let said = answer.json()?;
    let status =
        if said.as_object().is_some() { said.get("status").cloned().unwrap_or_default() } else { said.clone() };
    match status {
        Value::Int(1) => Ok(()),
        Value::Int(0) => Err(refused(&said)),
        _ => Err(unexpected(format!("status {} and neither `1` nor `0`", answer.status))),
    }
}

/// Whether the answer says of the whole that it was taken.
fn is_success(said: &Value, count: usize) -> bool {
    let no_error = said.get("error").is_none_or(|error| error.is_null() || error.as_str() == Some(""));
    match said {
        // It would be the same if only some of several were valid.
        Value::Int(1) => count == 1,
        // A list goes out strict: if an entry of it is wrong, the answer is a 400 that names it.
        _ => no_error && said.get("status").and_then(Value::as_i64) == Some(1),
    }
}

fn refused(said: &Value) -> DeliveryError {
    let error = said.get("error").and_then(Value::as_str).filter(|error| !error.is_empty());
    let message = error.unwrap_or("Mixpanel calls it invalid and does not say why").to_owned();
    DeliveryError::Refused { code: "INVALID".to_owned(), message }
}

fn failed(said: &Value, count: usize) -> Result<Refused, DeliveryError> {
    let mut refused = Refused::new();
    for failure in said.get("failed_records").and_then(Value::as_array).unwrap_or_default() {
        let place = failure.get("index").and_then(Value::as_i64).and_then(|place| usize::try_from(place).ok());
        let Some(place) = place.filter(|place| *place < count) else {
            return Err(unexpected("a failure is told of an entry that was not sent".to_owned()));
        };
        let text = |key: &str| failure.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let message = match (text("message"), text("field")) {
            (Some(message), Some(field)) if !message.contains(field) => format!("{field}: {message}"),
            (Some(message), _) => message.to_owned(),
            (None, Some(field)) => format!("{field} is not valid"),
            (None, None) => "Mixpanel does not say why".to_owned(),
        };
        refused.insert(place, message);
    }
    Ok(refused)
}
