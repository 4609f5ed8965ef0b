//! What Iterable's answers say about each record.

use std::collections::HashSet;

use kit::{Answer, DeliveryError, Payload, Statuses};
use records::{Outcome, Value};

use super::requests::is_known;

/// What befalls a record that names nobody.
pub(super) fn unknown_user() -> Outcome {
    Outcome::rejected(
        "PAYLOAD_VALIDATION_FAILED",
        "neither email nor user id: Iterable cannot tell whom it is about; map one of them",
    )
}

/// The outcome of a request that carried one record.
pub(super) fn of_one(answer: &Answer, statuses: &Statuses) -> Result<Vec<Outcome>, DeliveryError> {
    if let Some(failure) = answer.failure(statuses) {
        return Err(failure);
    }
    let json = answer.json()?;
    match json.get("code").and_then(Value::as_str) {
        Some("Success") => Ok(vec![Outcome::Delivered]),
        Some(code) => {
            let message = json.get("msg").and_then(Value::as_str).filter(|message| !message.is_empty());
            Ok(vec![Outcome::rejected(code, message.unwrap_or("refused without a reason"))])
        }
        None => Err(DeliveryError::UnexpectedAnswer {
            message: format!("status {} without `code`, which says whether it was taken", answer.status),
        }),
    }
}

/// What an answer says of those that failed.
struct Failures<'a> {
    answer: &'a Value,
}

/// Lists of emails and of user ids below `failedUpdates`, and why a record stands in them.
const REASONS: [(&str, &str, &str); 5] = [
    ("invalidEmails", "invalidUserIds", "the email or user id is not valid"),
    ("notFoundEmails", "notFoundUserIds", "there is no such user, and none is to be created"),
    ("invalidDataEmails", "invalidDataUserIds", "a field has a value of another type than the project's"),
    ("conflictEmails", "conflictUserIds", "email and user id belong to different users"),
    ("forgottenEmails", "forgottenUserIds", "the user was forgotten for privacy and takes no data"),
];

impl Failures<'_> {
    /// Whether a list holds that text.
    fn listed(&self, place: &[&str], text: Option<&str>) -> bool {
        let listed = self.answer.at(place).and_then(Value::as_array).unwrap_or_default();
        // Addresses may come back in lower case; ids that differ in case are different ids.
        let same = |item: &str, text: &str| item == text || (item.contains('@') && item.eq_ignore_ascii_case(text));
        text.is_some_and(|text| listed.iter().filter_map(Value::as_str).any(|item| same(item, text)))
    }

    /// Why a record was refused, if the answer names it.
    fn of(&self, record: &Payload) -> Option<Outcome> {
        let field = |key: &str| record.fields.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (email, user, event) = (field("email"), field("userId"), field("eventName"));
        if self.listed(&["disallowedEventNames"], event) {
            let message = "the project does not allow events of this name";
            return Some(Outcome::rejected("disallowedEventNames", message));
        }
        for (emails, users, why) in REASONS {
            for (list, text) in [(emails, email), (users, user)] {
                // The first two lists stand outside of `failedUpdates` as well.
                if self.listed(&["failedUpdates", list], text) || self.listed(&[list], text) {
                    return Some(Outcome::rejected(list, why));
                }
            }
        }
        None
    }
}

/// What the numbers of an answer count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    Users,
    Events,
}

/// The outcomes of a batch. The answer counts those that were taken and those that failed, and lists the failed by
/// email, user id or event; the others were taken if the counts agree.
pub(super) fn of_batch(
    answer: &Answer,
    records: &[Payload],
    counted: Counted,
    statuses: &Statuses,
) -> Result<Vec<Outcome>, DeliveryError> {
    if let Some(failure) = answer.failure(statuses) {
        return Err(failure);
    }
    let json = answer.json()?;
    let count = |key: &str| json.get(key).and_then(Value::as_i64).and_then(|count| usize::try_from(count).ok());
    let (Some(taken), Some(failed)) = (count("successCount"), count("failCount")) else {
        return Err(DeliveryError::UnexpectedAnswer {
            message: format!("status {} without `successCount` and `failCount`", answer.status),
        });
    };
    let failures = Failures { answer: &json };
    let mut outcomes: Vec<Option<Outcome>> = records.iter().map(|record| failures.of(record)).collect();
    let named = |outcomes: &[Option<Outcome>]| outcomes.iter().flatten().count();
    if failed > named(&outcomes) {
        // Who has neither email nor user id cannot be named.
        for (outcome, record) in outcomes.iter_mut().zip(records) {
            if outcome.is_none() && !is_known(&record.fields) {
                *outcome = Some(unknown_user());
            }
        }
    }
    let unnamed = failed.saturating_sub(named(&outcomes));
    if unnamed > 0 {
        let (code, message) = ("unnamed_failure", "Iterable refused a record and does not say which, nor why");
        // The next time the named ones are not there; when none is left that is named, the rest is divided until the
        // bad record stands alone.
        if named(&outcomes) == 0 {
            return Err(DeliveryError::Refused { code: code.to_owned(), message: message.to_owned() });
        }
        return Ok(outcomes.into_iter().map(|known| known.unwrap_or_else(|| Outcome::retry(code, message))).collect());
    }
    // Several records of one user may count as one; each event counts.
    let text = |record: &Payload, key: &str| record.fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let others = || records.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_none()).map(|(record, _)| record);
    let least = match counted {
        Counted::Users => {
            others().map(|record| (text(record, "email"), text(record, "userId"))).collect::<HashSet<_>>().len()
        }
        Counted::Events => others().count(),
    };
    if taken < least {
        return Err(DeliveryError::UnexpectedAnswer {
            message: format!("{taken} taken and {failed} failed of {} records", records.len()),
        });
    }
    Ok(outcomes.into_iter().map(|known| known.unwrap_or(Outcome::Delivered)).collect())
}
