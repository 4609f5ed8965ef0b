//! What an answer of Salesforce means: its error codes say more than its statuses.

use kit::{Answer, DeliveryError, Statuses};
use records::{Outcome, Value};

/// Codes of faults that pass by themselves, and of limits that are free again later.
const PASSING: [&str; 8] = [
    "UNABLE_TO_LOCK_ROW",
    "SERVER_UNAVAILABLE",
    "REQUEST_RUNNING_TOO_LONG",
    "QUERY_TIMEOUT",
    "APEX_ERROR_TIMEOUT",
    "LIMIT_EXCEEDED",
    "EXCEEDEDQUOTA",
    "ExceededQuota",
];

/// The daily or the concurrent requests are used up.
const LIMIT: &str = "REQUEST_LIMIT_EXCEEDED";

/// Why the request failed; none if it was taken.
pub(super) fn failure(answer: &Answer, statuses: &Statuses) -> Option<DeliveryError> {
    let failure = answer.failure(statuses)?;
    let Some((code, message)) = said(answer).filter(|_| (400..500).contains(&answer.status)) else {
        return Some(failure);
    };
    Some(match failure {
        DeliveryError::RateLimited { .. } => failure,
        _ if code == LIMIT => DeliveryError::RateLimited { after: answer.retry_after() },
        _ if PASSING.contains(&code.as_str()) => DeliveryError::Failed { code, message },
        // What may not be done with this one record is no reason to stop the others.
        DeliveryError::CredentialsRefused { .. } if code.starts_with("INSUFFICIENT_ACCESS") => {
            DeliveryError::Refused { code, message }
        }
        DeliveryError::Refused { .. } => DeliveryError::Refused { code, message },
        other => other,
    })
}

/// Code and message of an error: `[{"errorCode": …, "message": …}]`.
fn said(answer: &Answer) -> Option<(String, String)> {
    let json = answer.json().ok()?;
    let first = json.as_array().and_then(<[Value]>::first).unwrap_or(&json);
    let text = |key: &str| first.get(key).and_then(Value::as_str).map(str::to_owned);
    Some((text("errorCode")?, text("message").unwrap_or_else(|| answer.message())))
}

/// The outcome of a record that Salesforce refused with that code.
pub(super) fn refused(code: &str, message: &str) -> Outcome {
    if PASSING.contains(&code) || code == LIMIT {
        Outcome::retry(code, message)
    } else {
        Outcome::rejected(code, message)
    }
}

/// The error of a request that changes nothing: whether it was heard makes no difference, so nothing is in doubt.
pub(super) fn changes_nothing(error: DeliveryError) -> DeliveryError {
    match error {
        DeliveryError::NoAnswer { message } => DeliveryError::Failed { code: "no_answer".to_owned(), message },
        DeliveryError::UnexpectedAnswer { message } => {
            DeliveryError::Failed { code: "unexpected_answer".to_owned(), message }
        }
        other => other,
    }
}

/// What an error means for one of several records, where others of the call have their outcome already.
pub(super) fn outcome_of(error: &DeliveryError) -> Outcome {
    match error {
        DeliveryError::NoAnswer { .. } | DeliveryError::UnexpectedAnswer { .. } => {
            Outcome::InDoubt { message: error.to_string() }
        }
        DeliveryError::RateLimited { after } => {
            Outcome::Retry { after: *after, code: "rate_limited".to_owned(), message: error.to_string() }
        }
        // Sent again by themselves, they end as the error says.
        _ => Outcome::retry("not_sent", error.to_string()),
    }
}
