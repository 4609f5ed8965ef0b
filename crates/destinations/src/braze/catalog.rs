//! Items of a catalog, which a hook chooses or makes when the mapping is saved.

use std::collections::HashMap;

use http::Method;
use kit::{Answer, Batch, DeliveryError, Payload, Request, Wire};
use mapping::SyncMode;
use records::{Object, Outcome, Value, object};

use super::answers::unexpected;
use super::{Braze, INVALID, field};

/// A fault of Braze's own, as it documents.
const ARBITRARY: &str = "arbitrary-error";

/// Letters, digits, `-` and `_`, and at least one of them.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

pub(super) async fn deliver(braze: &Braze, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
    let outputs = batch.settings.hook_outputs.get("onMappingSave");
    let name = outputs.and_then(|outputs| outputs.get("catalog_name")).and_then(Value::as_str).unwrap_or_default();
    if !is_id(name) {
        let message = "the mapping has no catalog: choose or make one with the hook `onMappingSave`".to_owned();
        return Err(DeliveryError::Settings { message });
    }
    let catalog = Catalog { braze, name, deleting: batch.mode == SyncMode::Delete };
    match &batch.records[..] {
        [payload] if !batch.batching => Ok(vec![catalog.single(payload, wire).await?]),
        payloads => catalog.many(payloads, wire).await,
    }
}

struct Catalog<'b> {
    braze: &'b Braze,
    name: &'b str,
    deleting: bool,
}

impl Catalog<'_> {
    fn request(&self, id: &str) -> Request {
        let method = if self.deleting { Method::DELETE } else { Method::PUT };
        Request::new(method, self.braze.url(&format!("/catalogs/{}/items/{id}", self.name)))
    }

    /// The id and the fields of an item.
    fn item<'p>(&self, payload: &'p Payload) -> Result<(&'p str, Object), Outcome> {
        let id = field(payload, "item_id").and_then(Value::as_str).unwrap_or_default();
        if !is_id(id) {
            let message = format!("`item_id` is `{id}`, and may hold letters, digits, `-` and `_` only");
            return Err(Outcome::rejected(INVALID, message));
        }
        let item = field(payload, "item").and_then(Value::as_object).cloned().unwrap_or_default();
        if !self.deleting && item.is_empty() {
            return Err(Outcome::rejected(INVALID, "`item` is empty: map the fields of the item"));
        }
        Ok((id, item))
    }

    async fn single(&self, payload: &Payload, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let (id, item) = match self.item(payload) {
            Ok(item) => item,
            Err(refusal) => return Ok(refusal),
        };
        let request = self.request(id).json(&object! { "items" => vec![Value::Object(item)] });
        let answer = wire.send(request).await?;
        let Some(failure) = self.braze.failure(&answer) else { return taken(&answer).map(|()| Outcome::Delivered) };
        let errors = self.errors(&answer, &failure)?;
        let Some(first) = errors.first() else { return Err(failure) };
        Ok(self.outcome(first))
    }

    async fn many(&self, payloads: &[Payload], wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; payloads.len()];
        let mut places = HashMap::with_capacity(payloads.len());
        let mut items = Vec::with_capacity(payloads.len());
        for (place, payload) in payloads.iter().enumerate() {
            match self.item(payload) {
                Ok((id, _)) if places.contains_key(id) => {
                    // Braze refuses a request that names an item twice, so the later one follows by itself.
                    let message = format!(
                        "another record of the request has the same `item_id` `{id}`; this one is sent after it"
                    );
                    outcomes[place] = Some(Outcome::retry("same_item", message));
                }
                Ok((id, item)) => {
                    let mut item = if self.deleting { Object::new() } else { item };
                    item.insert("id", Value::from(id));
                    items.push(Value::Object(item));
                    places.insert(id, place);
                }
                Err(refusal) => outcomes[place] = Some(refusal),
            }
        }
        if !items.is_empty() {
            let answer = wire.send(self.request("").json(&object! { "items" => items })).await?;
            let others = match self.braze.failure(&answer) {
                None => {
                    taken(&answer)?;
                    Outcome::Delivered
                }
                Some(failure) => {
                    let errors = self.errors(&answer, &failure)?;
                    if let Some(fault) = errors.iter().find(|error| code(error) == Some(ARBITRARY)) {
                        let said = fault.get("message").and_then(Value::as_str).unwrap_or("an error of its own");
                        let message = said.to_owned();
                        return Err(DeliveryError::Failed { code: ARBITRARY.to_owned(), message });
                    }
                    for error in &errors {
                        for place in named(error).filter_map(|id| places.get(id)) {
                            outcomes[*place] = Some(self.outcome(error));
                        }
                    }
                    if places.values().all(|place| outcomes[*place].is_none()) {
                        return Err(failure);
                    }
                    // Braze takes all items of a request or none.
                    Outcome::retry("not_processed", "Braze refused the whole request because of other items")
                }
            };
            for place in places.into_values() {
                outcomes[place].get_or_insert_with(|| others.clone());
            }
        }
        let unknown = || Outcome::InDoubt { message: "the answer has no result for this record".to_owned() };
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect())
    }

    /// What a refused request was refused for; any other failure stays one.
    fn errors(&self, answer: &Answer, failure: &DeliveryError) -> Result<Vec<Value>, DeliveryError> {
        if !matches!(failure, DeliveryError::Refused { .. }) {
            return Err(failure.clone());
        }
        let errors =
            answer.json().ok().and_then(|json| json.get("errors").and_then(Value::as_array).map(<[_]>::to_vec));
        let errors = errors.unwrap_or_default();
        if errors.iter().any(|error| code(error) == Some("catalog-not-found")) {
            return Err(DeliveryError::Settings {
                message: format!("Braze has no catalog `{}`: make it, or choose another for the mapping", self.name),
            });
        }
        Ok(errors)
    }

    fn outcome(&self, error: &Value) -> Outcome {
        let code = code(error).unwrap_or("BAD_REQUEST");
        if self.deleting && code == "item-not-found" {
            // It is gone, which is what was asked for.
            return Outcome::Delivered;
        }
        let message = error.get("message").and_then(Value::as_str).unwrap_or("Braze refused the item");
        match code {
            ARBITRARY => Outcome::retry(code, message),
            _ => Outcome::rejected(code, message),
        }
    }
}

fn code(error: &Value) -> Option<&str> {
    error.get("id").and_then(Value::as_str)
}

/// The ids of the items that an error speaks of.
fn named(error: &Value) -> impl Iterator<Item = &str> {
    let list = |key: &str| error.get(key).and_then(Value::as_array).unwrap_or_default();
    let pairs = list("parameters").len() > 1;
    list("parameter_values")
        .iter()
        .filter_map(move |value| if pairs { value.get("id")?.as_str() } else { value.as_str() })
}

fn taken(answer: &Answer) -> Result<(), DeliveryError> {
    match answer.json()?.get("message").and_then(Value::as_str) {
        Some("success") => Ok(()),
        other => {
            Err(unexpected(format!("its message is `{}` where `success` was expected", other.unwrap_or_default())))
        }
    }
}

/// The hook: takes a catalog that exists, or makes one.
pub(super) async fn choose(braze: &Braze, inputs: &Value, wire: &Wire) -> Result<Value, DeliveryError> {
    let text = |key: &str| inputs.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("operation") == "select" {
        return Ok(object! { "catalog_name" => text("selected_catalog_name") });
    }
    let mut fields = vec![object! { "name" => "id", "type" => "string" }];
    for column in inputs.get("columns").and_then(Value::as_array).unwrap_or_default() {
        if column.get("name").and_then(Value::as_str) != Some("id") {
            let mut field = Object::new();
            for key in ["name", "type"] {
                super::put(&mut field, key, column.get(key).cloned());
            }
            fields.push(Value::Object(field));
        }
    }
    let name = text("created_catalog_name");
    let catalog = object! { "name" => name, "description" => text("description"), "fields" => fields };
    let request = Request::post(braze.url("/catalogs")).json(&object! { "catalogs" => vec![catalog] });
    let answer = wire.send(request).await?;
    match braze.failure(&answer) {
        None => taken(&answer).map(|()| object! { "catalog_name" => name }),
        Some(DeliveryError::Refused { code, message }) => {
            let json = answer.json().ok();
            let first =
                json.as_ref().and_then(|json| json.get("errors")).and_then(Value::as_array).and_then(<[_]>::first);
            let said = |key: &str| first.and_then(|error| error.get(key)).and_then(Value::as_str).map(str::to_owned);
            Err(DeliveryError::Refused {
                code: said("id").unwrap_or(code),
                message: said("message").unwrap_or(message),
            })
        }
        Some(other) => Err(other),
    }
}
