//! From an answer to one outcome per record. What an answer does not say is never taken for success.

use std::collections::HashMap;

use kit::{Answer, DeliveryError, Meaning, Payload, Statuses};
use records::{Outcome, Value};

use super::options::{Failed, MatchBy, Options, Results};
use super::path::Path;

/// The outcomes of a batch, in its order.
pub(super) fn outcomes(options: &Options, records: &[Payload], answer: &Answer) -> Result<Vec<Outcome>, DeliveryError> {
    if let Some(failure) = answer.failure(&options.statuses) {
        return Err(failure);
    }
    if let Some(results) = &options.results {
        return results.outcomes(&options.statuses, records, &answer.json()?);
    }
    if let Some(failed) = &options.failed {
        return failed.outcomes(records, &answer.json()?);
    }
    // The contract is all or nothing: the status alone decides, unless the body shows that someone else answered.
    if answer.is_html() && !options.html_is_fine {
        return Err(unexpected(format!(
            "status {} with {}; is the URL right? (`html_is_fine: true` takes a page for success)",
            answer.status,
            answer.message()
        )));
    }
    if answer.has_type("application/json") && !answer.body.trim_ascii().is_empty() {
        answer.json()?;
    }
    Ok(vec![Outcome::Delivered; records.len()])
}

fn unexpected(message: String) -> DeliveryError {
    DeliveryError::UnexpectedAnswer { message }
}

impl Results {
    fn outcomes(
        &self,
        statuses: &Statuses,
        records: &[Payload],
        answer: &Value,
    ) -> Result<Vec<Outcome>, DeliveryError> {
        let found = self.path.find(answer).ok_or_else(|| unexpected(format!("no results at `{}`", self.path)))?;
        let list = match found {
            Value::Array(items) => items.as_slice(),
            // One record's result may stand by itself.
            Value::Object(_) if records.len() == 1 => std::slice::from_ref(found),
            other => {
                return Err(unexpected(format!("`{}` is {} where results were expected", self.path, article(other))));
            }
        };
        match (self.match_by, &self.id_path, &self.id_field) {
            (MatchBy::Id, Some(id_path), Some(id_field)) => {
                let places = places(records, id_field);
                let mut outcomes = vec![None; records.len()];
                for result in list {
                    let id = id_path.find(result).map(id_text);
                    let of = id.as_ref().and_then(|id| places.get(id));
                    let of = of.ok_or_else(|| unexpected(foreign(id.as_deref())))?;
                    let outcome = self.outcome(statuses, result);
                    for place in of {
                        // Two results for one id: the worse holds.
                        if outcomes[*place].as_ref().is_none_or(Outcome::is_delivered) {
                            outcomes[*place] = Some(outcome.clone());
                        }
                    }
                }
                let silent = || Outcome::InDoubt { message: "the answer has no result for this record".to_owned() };
                Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(silent)).collect())
            }
            _ if list.len() != records.len() => {
                Err(unexpected(format!("{} results came back for {} records", list.len(), records.len())))
            }
            _ => Ok(list.iter().map(|result| self.outcome(statuses, result)).collect()),
        }
    }

    fn outcome(&self, statuses: &Statuses, result: &Value) -> Outcome {
        let error = self.error_path.as_ref().and_then(|path| path.find(result)).filter(|error| is_said(error));
        let status = self.status_path.as_ref().and_then(|path| path.find(result));
        let word = status.map(id_text);
        let taken = match (status, &self.status_path) {
            (_, None) => Some(Meaning::Delivered),
            (Some(status), _) if self.delivered.iter().any(|known| same(known, status)) => Some(Meaning::Delivered),
            (Some(status), _) if self.retry.iter().any(|known| same(known, status)) => Some(Meaning::Retry),
            (Some(Value::Bool(fine)), _) if self.delivered.is_empty() => {
                Some(if *fine { Meaning::Delivered } else { Meaning::Rejected })
            }
            (Some(Value::Int(number)), _) => u16::try_from(*number).ok().and_then(|status| statuses.meaning(status)),
            (Some(Value::Text(word)), _) if self.delivered.is_empty() && is_good(word) => Some(Meaning::Delivered),
            (Some(_), _) => Some(Meaning::Rejected),
            (None, Some(path)) => {
                return Outcome::InDoubt { message: format!("the record's result has nothing at `{path}`") };
            }
        };
        let code = self.code_path.as_ref().and_then(|path| path.find(result)).map(id_text).or(word);
        let message = self.message_path.as_ref().and_then(|path| path.find(result)).or(error).map(shown);
        let code = code.unwrap_or_else(|| "refused".to_owned());
        let message = message.unwrap_or_else(|| format!("the destination said `{code}` for this record"));
        let later = self.retry.iter().any(|known| known_text(known) == code);
        match taken {
            Some(Meaning::Delivered) if error.is_none() => Outcome::Delivered,
            Some(Meaning::Retry | Meaning::RateLimited) => Outcome::retry(code, message),
            _ if later => Outcome::retry(code, message),
            Some(Meaning::InDoubt) | None => Outcome::InDoubt { message },
            Some(Meaning::Delivered | Meaning::Rejected | Meaning::CredentialsRefused) => {
                Outcome::rejected(code, message)
            }
        }
    }
}

impl Failed {
    fn outcomes(&self, records: &[Payload], answer: &Value) -> Result<Vec<Outcome>, DeliveryError> {
        let mut outcomes = vec![Outcome::Delivered; records.len()];
        let list = match self.path.find(answer) {
            Some(Value::Array(items)) => items.as_slice(),
            None | Some(Value::Null) if self.absent_means_none && answer.as_object().is_some() => return Ok(outcomes),
            None | Some(Value::Null) => return Err(unexpected(format!("no list of failures at `{}`", self.path))),
            Some(other) => {
                return Err(unexpected(format!("`{}` is {} where a list was expected", self.path, article(other))));
            }
        };
        let places = self.id_field.as_ref().map(|field| places(records, field)).unwrap_or_default();
        for failure in list {
            let code = self.code_path.as_ref().and_then(|path| path.find(failure)).map(id_text);
            let message = self.message_path.as_ref().and_then(|path| path.find(failure)).unwrap_or(failure);
            let later = code.as_ref().is_some_and(|code| self.retry.iter().any(|known| known_text(known) == *code));
            let code = code.unwrap_or_else(|| "refused".to_owned());
            let outcome =
                if later { Outcome::retry(code, shown(message)) } else { Outcome::rejected(code, shown(message)) };
            for place in self.meant(failure, &places, records.len())? {
                outcomes[place] = outcome.clone();
            }
        }
        Ok(outcomes)
    }

    /// The records that a failure speaks of. One that cannot be told means that nothing can be.
    fn meant(
        &self,
        failure: &Value,
        places: &HashMap<String, Vec<usize>>,
        count: usize,
    ) -> Result<Vec<usize>, DeliveryError> {
        let at = |path: &Option<Path>| path.as_ref().and_then(|path| path.find(failure));
        if self.match_by == MatchBy::Index {
            let index = match at(&self.index_path) {
                Some(Value::Int(index)) => usize::try_from(*index).ok(),
                Some(Value::Text(text)) => text.parse().ok(),
                _ => None,
            };
            let index = index.filter(|index| *index < count);
            return index.map(|index| vec![index]).ok_or_else(|| unexpected(foreign(None)));
        }
        let ids = match at(&self.id_path) {
            Some(Value::Array(ids)) if !ids.is_empty() => ids.iter().map(id_text).collect(),
            Some(id) if !id.is_null() && id.as_array().is_none() => vec![id_text(id)],
            _ => return Err(unexpected(foreign(None))),
        };
        let mut meant = Vec::new();
        for id in ids {
            meant.extend(places.get(&id).ok_or_else(|| unexpected(foreign(Some(&id))))?);
        }
        Ok(meant)
    }
}

/// Where the records of each id stand.
fn places(records: &[Payload], id_field: &Path) -> HashMap<String, Vec<usize>> {
    let mut places: HashMap<String, Vec<usize>> = HashMap::with_capacity(records.len());
    for (place, record) in records.iter().enumerate() {
        if let Some(id) = record.fields.get("body").and_then(|body| id_field.find(body)) {
            places.entry(id_text(id)).or_default().push(place);
        }
    }
    places
}

fn foreign(id: Option<&str>) -> String {
    match id {
        Some(id) => format!("the answer speaks of the id `{id}`, which no record of the request has"),
        None => "the answer has an entry that does not say which record it is about".to_owned(),
    }
}

fn id_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json(), str::to_owned)
}

fn known_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn same(known: &serde_json::Value, said: &Value) -> bool {
    known_text(known) == id_text(said)
}

/// Null, false, nothing and zero are no errors.
fn is_said(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) | Value::Int(0) => false,
        Value::Text(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    }
}

/// Words that cannot mean anything else, where no list says what does.
fn is_good(word: &str) -> bool {
    ["ok", "success", "succeeded", "created", "updated", "deleted", "accepted"]
        .iter()
        .any(|good| word.eq_ignore_ascii_case(good))
}

fn shown(value: &Value) -> String {
    let text = id_text(value);
    match text.char_indices().nth(500) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn article(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Text(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        _ => "a number",
    }
}
