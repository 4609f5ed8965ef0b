//! HubSpot's API as all actions use it: addresses, refusals, and answers that tell of each record of a batch.

use std::collections::HashMap;

use kit::{Answer, DeliveryError, Request, Statuses, Wire};
use records::{Outcome, Value, object};

use super::cache::Cache;
use super::values::{segment, text_of, trimmed};

pub(super) const ORIGIN: &str = "https://api.hubapi.com";
/// Records in one request to a batch endpoint of the CRM, at most.
pub(super) const RECORDS_MAX: usize = 100;

const NOT_FOUND: &str = "OBJECT_NOT_FOUND";

/// A connection, what statuses mean there, and what is known of the account already.
#[derive(Clone, Copy)]
pub(super) struct Api<'a> {
    pub(super) wire: &'a Wire,
    pub(super) statuses: &'a Statuses,
    pub(super) cache: &'a Cache,
}

impl Api<'_> {
    /// Sends a request; any answer is one.
    pub(super) async fn answer(&self, request: Request) -> Result<Answer, DeliveryError> {
        self.wire.send(request).await
    }

    /// The JSON of an answer that took the request.
    pub(super) fn taken(&self, answer: &Answer) -> Result<Value, DeliveryError> {
        match answer.failure(self.statuses) {
            Some(failure) => Err(failure),
            None => answer.json(),
        }
    }

    /// Sends a request that is to be answered with JSON.
    pub(super) async fn json(&self, request: Request) -> Result<Value, DeliveryError> {
        self.taken(&self.answer(request).await?)
    }

    /// Sees that a request without results was taken: HubSpot answers it with nothing, or with an object without
    /// errors.
    pub(super) fn acknowledged(&self, answer: &Answer) -> Result<(), DeliveryError> {
        if let Some(failure) = answer.failure(self.statuses) {
            return Err(failure);
        }
        if answer.status == 207 {
            return Err(unexpected(format!("status 207, taken in part: {}", answer.message())));
        }
        if answer.body.is_empty() {
            return Ok(());
        }
        let json = answer.json()?;
        if json.as_object().is_none() {
            return Err(unexpected(format!("status {} with JSON that is no object", answer.status)));
        }
        let listed = json.get("errors").and_then(Value::as_array).is_some_and(|errors| !errors.is_empty());
        let counted = json.get("numErrors").and_then(Value::as_i64).is_some_and(|count| count > 0);
        let said = json.get("status").and_then(Value::as_str).is_some_and(|said| said.eq_ignore_ascii_case("error"));
        if listed || counted || said {
            return Err(unexpected(format!("status {} with an error: {}", answer.status, answer.message())));
        }
        Ok(())
    }

    /// Calls a batch endpoint of an object type: `read`, `create`, `update`, `upsert`.
    pub(super) async fn batch(&self, object_type: &str, what: &str, body: &Value) -> Result<Batched, DeliveryError> {
        let url = format!("{ORIGIN}/crm/v3/objects/{}/batch/{what}", segment(object_type));
        let request = Request::post(url).json(body);
        let answer = self.answer(if what == "read" { request.reading() } else { request }).await?;
        Batched::of(&self.taken(&answer)?)
    }
}

pub(super) fn unexpected(message: impl Into<String>) -> DeliveryError {
    DeliveryError::UnexpectedAnswer { message: message.into() }
}

/// Up to 100 objects to be read by a property with unique values.
pub(super) fn read_body<'i>(properties: &[&str], id_property: &str, ids: impl IntoIterator<Item = &'i str>) -> Value {
    object! {
        "properties" => properties.iter().copied().map(Value::from).collect::<Vec<_>>(),
        "idProperty" => id_property,
        "inputs" => ids.into_iter().map(|id| object! { "id" => id }).collect::<Vec<_>>(),
    }
}

/// The id of the object that an answer shows.
pub(super) fn id_of(object: &Value) -> Option<String> {
    match object.get("id")? {
        Value::Text(id) if !id.is_empty() => Some(id.clone()),
        Value::Int(id) => Some(id.to_string()),
        _ => None,
    }
}

/// The id of the object that an answer must show.
pub(super) fn shown_id(object: &Value) -> Result<String, DeliveryError> {
    id_of(object).ok_or_else(|| unexpected("the answer shows no object with an `id`"))
}

/// A property of an object that an answer shows, as text.
pub(super) fn property(object: &Value, name: &str) -> Option<String> {
    object.at(&["properties", name]).filter(|value| !value.is_null()).map(text_of)
}

/// The answer of a batch endpoint: objects, and what was refused.
#[derive(Debug, Default)]
pub(super) struct Batched {
    pub(super) results: Vec<Value>,
    pub(super) errors: Vec<BatchError>,
    /// As counted by HubSpot, which may list fewer.
    errors_count: usize,
    complete: bool,
}

/// An entry of `errors`.
#[derive(Debug, Clone)]
pub(super) struct BatchError {
    pub(super) category: String,
    pub(super) message: String,
    /// The ids and trace ids it speaks of.
    pub(super) names: Vec<String>,
    /// Those of them that it calls the one side of a link, and the other side.
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
}

impl BatchError {
    fn of(error: &Value) -> Self {
        let text = |key: &str| error.get(key).map(text_of).unwrap_or_default();
        let named = |keys: &[&str]| {
            let named = keys.iter().filter_map(|key| error.at(&["context", key]));
            let names = named.flat_map(|value| match value {
                Value::Array(names) => names.iter().map(text_of).collect(),
                one => vec![text_of(one)],
            });
            names.collect::<Vec<_>>()
        };
        let (from, to) = (named(&["fromObjectId", "fromObjectIds"]), named(&["toObjectId", "toObjectIds"]));
        let mut names = named(&["ids", "id", "objectWriteTraceId"]);
        names.extend(from.iter().chain(&to).cloned());
        names.extend(error.get("id").filter(|id| !id.is_null()).map(text_of));
        Self { category: text("category"), message: text("message"), names, from, to }
    }

    /// Whether it only says that an object does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        self.category == NOT_FOUND
    }

    /// What it means for a record that it names.
    pub(super) fn outcome(&self) -> Outcome {
        let code = if self.category.is_empty() { "REFUSED" } else { &self.category };
        let message = if self.message.is_empty() { "HubSpot gave no reason" } else { &self.message };
        // Of these HubSpot says that the same may be taken later.
        if matches!(code, "RATE_LIMITS" | "RATE_LIMIT" | "INTERNAL_ERROR" | "MIGRATION_IN_PROGRESS") {
            return Outcome::retry(code, message);
        }
        Outcome::rejected(code, message)
    }
}

/// What an answer says of one input.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// It shows this object, the place in `results`.
    Object(usize),
    /// The whole was processed without errors, though no object is recognized as this input's.
    Processed,
    Failed(Outcome),
    /// Nothing.
    Nothing,
}

impl Batched {
    /// # Errors
    /// `UnexpectedAnswer`: there is no list of results.
    pub(super) fn of(answer: &Value) -> Result<Self, DeliveryError> {
        let results = answer.get("results").and_then(Value::as_array);
        let results = results.ok_or_else(|| unexpected("the answer to a batch has no `results`"))?.to_vec();
        let errors = answer.get("errors").and_then(Value::as_array).unwrap_or_default();
        let errors: Vec<_> = errors.iter().map(BatchError::of).collect();
        let counted = answer.get("numErrors").and_then(Value::as_i64).and_then(|count| usize::try_from(count).ok());
        let complete = answer.get("status").and_then(Value::as_str).is_none_or(|status| status == "COMPLETE");
        Ok(Self { results, errors_count: counted.unwrap_or(0).max(errors.len()), errors, complete })
    }

    pub(super) fn is_without_errors(&self) -> bool {
        self.complete && self.errors_count == 0
    }

    /// Whether nothing went wrong but what its errors say.
    pub(super) fn tells_all_errors(&self) -> bool {
        self.complete && self.errors_count == self.errors.len()
    }

    /// The error that speaks of an id.
    pub(super) fn error_naming(&self, name: &str) -> Option<&BatchError> {
        self.errors.iter().find(|error| error.names.iter().any(|named| named == name || alike(named) == alike(name)))
    }

    /// What a read says of an id: its object, the place in `results`; none if there is no such object.
    ///
    /// # Errors
    /// The outcome of a record that cannot go on without it.
    pub(super) fn read(&self, finder: &Finder, id: &str) -> Result<Option<usize>, Outcome> {
        if let Some(place) = finder.place(id) {
            return Ok(Some(place));
        }
        match self.error_naming(id) {
            Some(error) if error.is_not_found() => Ok(None),
            Some(error) => Err(error.outcome()),
            None if self.complete && self.errors.iter().all(|error| !error.names.is_empty()) => Ok(None),
            None => Err(Outcome::retry("NOT_READ", format!("HubSpot's answer does not say whether there is `{id}`"))),
        }
    }

    /// What is said of each input of a write. `recognize` finds an input's object among the results; `names` are what
    /// an error may call it.
    pub(super) fn said<'i, I>(
        &self,
        inputs: &'i [I],
        recognize: impl Fn(&'i I) -> Option<usize>,
        names: impl Fn(&'i I) -> Vec<String>,
    ) -> Vec<Said> {
        let mut said: Vec<_> = inputs
            .iter()
            .map(|input| {
                if let Some(place) = recognize(input) {
                    return Said::Object(place);
                }
                let error = names(input).iter().find_map(|name| self.error_naming(name));
                error.map_or(Said::Nothing, |error| Said::Failed(error.outcome()))
            })
            .collect();
        let open = said.iter().filter(|said| **said == Said::Nothing).count();
        let nameless: Vec<_> = self.errors.iter().filter(|error| error.names.is_empty()).collect();
        let of_open = match nameless.first() {
            _ if open == 0 => return said,
            _ if self.is_without_errors() && self.results.len() >= inputs.len() => Said::Processed,
            // As many errors without a name as inputs that nothing is said of: they are the ones.
            Some(first) if nameless.len() == open => Said::Failed(first.outcome()),
            _ => return said,
        };
        for nothing in said.iter_mut().filter(|said| **said == Said::Nothing) {
            *nothing = of_open.clone();
        }
        said
    }
}

impl Said {
    /// The outcome of a record that was nothing but written.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Said::Object(_) | Said::Processed => Outcome::Delivered,
            Said::Failed(outcome) => outcome.clone(),
            Said::Nothing => {
                Outcome::InDoubt { message: "HubSpot's answer to the batch says nothing about this record".to_owned() }
            }
        }
    }
}

/// Finds results by a text: as it stands, else without regard to case and white space at its ends, since HubSpot
/// writes some values in its own way.
#[derive(Debug)]
pub(super) struct Finder {
    exact: HashMap<String, usize>,
    alike: HashMap<String, usize>,
}

impl Finder {
    /// By what `text` gives for each result.
    pub(super) fn new(results: &[Value], text: impl Fn(&Value) -> Option<String>) -> Self {
        let mut finder = Self { exact: HashMap::new(), alike: HashMap::new() };
        for (place, result) in results.iter().enumerate() {
            if let Some(text) = text(result) {
                finder.alike.entry(alike(&text)).or_insert(place);
                finder.exact.entry(text).or_insert(place);
            }
        }
        finder
    }

    pub(super) fn place(&self, text: &str) -> Option<usize> {
        self.exact.get(text).or_else(|| self.alike.get(&alike(text))).copied()
    }
}

fn alike(text: &str) -> String {
    trimmed(text).to_lowercase()
}
