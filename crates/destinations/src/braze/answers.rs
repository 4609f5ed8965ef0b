//! What an answer of Braze says of each record: a count of what was taken, and the refused ones by their index.

use std::collections::BTreeSet;

use kit::{Answer, DeliveryError};
use records::{Outcome, Value};

use super::Braze;

/// What a request carried.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// How many records.
    pub records: usize,
    /// For each object of the request, in its order, the place of its record.
    pub owners: Vec<usize>,
    /// For each object the user it is of, where Braze counts users and not objects. Else empty.
    pub users: Vec<String>,
    /// Where the answer says how many were taken, if it does for such requests.
    pub counted: Option<&'static str>,
    /// Users that Braze does not know are passed over, and not counted.
    pub existing_only: bool,
    /// It went to an address below `/users`, which only another instance of Braze can lack.
    pub of_users: bool,
}

impl Carried {
    /// One object for each record.
    pub(super) fn each(records: usize) -> Self {
        Self { records, owners: (0..records).collect(), ..Self::default() }
    }

    /// The least count that an answer can have if it took all objects but the refused ones.
    fn least(&self, refused: &BTreeSet<usize>) -> i64 {
        let taken = (0..self.owners.len()).filter(|object| !refused.contains(object));
        let count = if self.users.is_empty() {
            taken.count()
        } else {
            taken.filter_map(|object| self.users.get(object)).collect::<BTreeSet<_>>().len()
        };
        i64::try_from(count).unwrap_or(i64::MAX)
    }
}

/// What an answer says was refused.
#[derive(Debug, Default)]
struct Refusals {
    /// Objects and why.
    placed: Vec<(usize, String)>,
    /// What was said of no object in particular.
    loose: Vec<String>,
}

impl Refusals {
    fn read(answer: &Value, carried: &Carried) -> Self {
        let mut refusals = Self::default();
        for error in answer.get("errors").and_then(Value::as_array).unwrap_or_default() {
            let index = error.get("index").and_then(Value::as_i64).and_then(|index| usize::try_from(index).ok());
            match index.filter(|index| *index < carried.owners.len()) {
                Some(index) => refusals.placed.push((index, said(error))),
                // There is only one whom it can mean.
                None if carried.records == 1 => refusals.placed.push((0, said(error))),
                None => refusals.loose.push(said(error)),
            }
        }
        refusals
    }

    /// The outcomes of the records that were named. A record is refused if one of its objects is.
    fn outcomes(&self, carried: &Carried) -> Vec<Option<Outcome>> {
        let mut outcomes = vec![None; carried.records];
        for (object, why) in &self.placed {
            let Some(owner) = carried.owners.get(*object).copied() else { continue };
            let own: Vec<usize> = (0..carried.owners.len()).filter(|other| carried.owners[*other] == owner).collect();
            let message = match own.iter().position(|other| other == object) {
                Some(place) if own.len() > 1 => {
                    format!(
                        "product {} of {} was refused: {why}; what was not refused is recorded",
                        place + 1,
                        own.len()
                    )
                }
                _ => why.clone(),
            };
            if let Some(slot @ None) = outcomes.get_mut(owner) {
                *slot = Some(Outcome::rejected("BAD_REQUEST", message));
            }
        }
        outcomes
    }
}

fn said(error: &Value) -> String {
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
    let plain = || error.as_str().map(str::to_owned);
    text("type").or_else(|| text("message")).or_else(plain).unwrap_or_else(|| error.to_json())
}

/// The outcomes of the records of a request.
pub(super) fn outcomes(braze: &Braze, answer: &Answer, carried: &Carried) -> Result<Vec<Outcome>, DeliveryError> {
    match braze.failure(answer) {
        Some(DeliveryError::Refused { message, .. }) if answer.status == 404 && carried.of_users => {
            let message = format!("status 404: {message}; are `api_key` and `endpoint` of the same instance?");
            Err(DeliveryError::CredentialsRefused { message })
        }
        Some(refused @ DeliveryError::Refused { .. }) => of_refused(answer, carried).ok_or(refused),
        Some(other) => Err(other),
        None => of_taken(&answer.json()?, carried),
    }
}

/// Nothing of a refused request was taken. If it says because of which records, the others need not be tried one by
/// one.
fn of_refused(answer: &Answer, carried: &Carried) -> Option<Vec<Outcome>> {
    let refusals = Refusals::read(&answer.json().ok()?, carried);
    if refusals.placed.is_empty() {
        return None;
    }
    let others = || Outcome::retry("not_processed", "Braze refused the whole request because of other records");
    Some(refusals.outcomes(carried).into_iter().map(|outcome| outcome.unwrap_or_else(others)).collect())
}

fn of_taken(answer: &Value, carried: &Carried) -> Result<Vec<Outcome>, DeliveryError> {
    match answer.get("message").and_then(Value::as_str) {
        Some("success") => {}
        Some(other) => return Err(unexpected(format!("its message is `{other}` where `success` was expected"))),
        None => return Err(unexpected("it has no `message`".to_owned())),
    }
    let refusals = Refusals::read(answer, carried);
    if let Some(why) = refusals.loose.first() {
        // It cannot be told whom it means, until the record stands alone.
        return Err(DeliveryError::Refused { code: "unplaced_error".to_owned(), message: why.clone() });
    }
    let refused: BTreeSet<usize> = refusals.placed.iter().map(|(object, _)| *object).collect();
    let least = carried.least(&refused);
    let count = carried.counted.and_then(|key| answer.get(key)).and_then(Value::as_i64);
    let complete = match count {
        Some(count) => count >= least,
        // A plain success is one for all; one that names refusals counts the others, as documented.
        None => refused.is_empty(),
    };
    let told = || match count {
        Some(count) => format!("Braze counts {count} of {least} as taken and does not say which"),
        None => "Braze names refusals and does not count what it took".to_owned(),
    };
    if !complete && refused.is_empty() {
        return Err(match (carried.records, carried.existing_only) {
            (1, true) => {
                let message = "Braze passed it over: it knows no such user, and only known users are updated";
                return Ok(vec![Outcome::rejected("not_processed", message)]);
            }
            (1, false) => unexpected(told()),
            _ => DeliveryError::Refused { code: "not_processed".to_owned(), message: told() },
        });
    }
    let others = || if complete { Outcome::Delivered } else { Outcome::InDoubt { message: told() } };
    Ok(refusals.outcomes(carried).into_iter().map(|outcome| outcome.unwrap_or_else(others)).collect())
}

/// An answer that is not what Braze documents.
pub(super) fn unexpected(what: String) -> DeliveryError {
    DeliveryError::UnexpectedAnswer { message: what }
}

/// What is known of the records of a request that failed as a whole, where another request of the same call did not.
pub(super) fn outcome_of(error: DeliveryError) -> Outcome {
    let text = error.to_string();
    match error {
        DeliveryError::RateLimited { after } => {
            Outcome::Retry { after, code: "rate_limited".to_owned(), message: text }
        }
        DeliveryError::Refused { code, message } | DeliveryError::Failed { code, message } => {
            Outcome::retry(code, message)
        }
        DeliveryError::CredentialsRefused { message } => Outcome::retry("credentials_refused", message),
        DeliveryError::NoAnswer { .. } | DeliveryError::UnexpectedAnswer { .. } => Outcome::InDoubt { message: text },
        DeliveryError::Unreachable { .. } | DeliveryError::Settings { .. } | DeliveryError::Preview => {
            Outcome::retry("not_sent", text)
        }
    }
}
