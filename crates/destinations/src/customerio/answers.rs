//! What Customer.io's answers say about each record.

use kit::{Answer, DeliveryError, Statuses};
use records::{Outcome, Value};

/// Code and message of an item of `errors`.
struct Refusal {
    code: String,
    message: String,
}

/// The outcome of a request that carried one record.
pub(super) fn of_one(answer: &Answer, statuses: &Statuses) -> Result<Vec<Outcome>, DeliveryError> {
    of_batch(answer, 1, statuses)
}

/// The outcomes of a batch of that many records: those that `errors` names by their place are refused, and the answer
/// to a batch without errors says that all were taken.
pub(super) fn of_batch(answer: &Answer, count: usize, statuses: &Statuses) -> Result<Vec<Outcome>, DeliveryError> {
    if let Some(failure) = answer.failure(statuses) {
        return Err(failure);
    }
    let json = answer.json()?;
    let unexpected = |message: String| DeliveryError::UnexpectedAnswer { message };
    if json.as_object().is_none() {
        return Err(unexpected(format!(
            "status {} with a {} where an object was expected",
            answer.status,
            json.type_name()
        )));
    }
    // Where other APIs of Customer.io tell errors, whatever the status.
    let said = |value: Option<&Value>| {
        value.is_some_and(|value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()))
    };
    let elsewhere = [json.get("error"), json.at(&["meta", "error"]), json.at(&["meta", "errors"])];
    if json.get("errors").is_none_or(Value::is_null) && elsewhere.into_iter().any(said) {
        return Err(unexpected(format!("status {} with an error: {}", answer.status, answer.message())));
    }
    let errors = match json.get("errors") {
        None | Some(Value::Null) if answer.status == 207 => {
            return Err(unexpected("status 207, which stands for errors, without `errors`".to_owned()));
        }
        Some(Value::Array(errors)) if errors.is_empty() && answer.status == 207 => {
            return Err(unexpected("status 207, which stands for errors, with none in `errors`".to_owned()));
        }
        None | Some(Value::Null) => return Ok(vec![Outcome::Delivered; count]),
        Some(Value::Array(errors)) => errors.as_slice(),
        Some(other) => {
            return Err(unexpected(format!("`errors` is a {} where a list was expected", other.type_name())));
        }
    };
    let mut refused: Vec<Option<Refusal>> = std::iter::repeat_with(|| None).take(count).collect();
    let mut unplaced: Option<Refusal> = None;
    for error in errors {
        let place = error.get("batch_index").and_then(Value::as_i64).and_then(|index| usize::try_from(index).ok());
        // The only record of a request needs no place.
        let place = if count == 1 { Some(0) } else { place };
        match place.and_then(|place| refused.get_mut(place)) {
            Some(slot) => add(slot, refusal(error)),
            None => add(&mut unplaced, refusal(error)),
        }
    }
    // It is not known whom that befell. The next time the named ones are not there; when none is left that is named, the
    // rest is divided until the bad record stands alone.
    if let Some(Refusal { code, message }) = unplaced {
        if refused.iter().all(Option::is_none) {
            return Err(DeliveryError::Refused { code, message });
        }
        return Ok(refused.into_iter().map(|refused| outcome(refused, || Outcome::retry(&code, &message))).collect());
    }
    Ok(refused.into_iter().map(|refused| outcome(refused, || Outcome::Delivered)).collect())
}

fn outcome(refused: Option<Refusal>, otherwise: impl FnOnce() -> Outcome) -> Outcome {
    match refused {
        Some(Refusal { code, message }) => Outcome::Rejected { code, message },
        None => otherwise(),
    }
}

/// Several errors of one record are told together; the first gives the code.
fn add(slot: &mut Option<Refusal>, more: Refusal) {
    match slot {
        Some(refusal) => {
            refusal.message.push_str("; ");
            refusal.message.push_str(&more.message);
        }
        None => *slot = Some(more),
    }
}

fn refusal(error: &Value) -> Refusal {
    let text = |key: &str| error.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let code = text("reason").unwrap_or("refused");
    let said = text("message").unwrap_or(code);
    let message = match text("field") {
        Some(field) => format!("`{field}`: {said}"),
        None => said.to_owned(),
    };
    Refusal { code: code.to_owned(), message }
}
