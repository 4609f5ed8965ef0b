//! The objects of a simulated account, and the links between them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kit::simulator::{Refusals, Reply};
use serde_json::{Map, Value, json};

use super::definitions::Definitions;
use super::{batch, collection, inputs, not_found, refused, text};

const BATCH_MAX: usize = 100;

#[derive(Default)]
pub(super) struct Objects {
    /// By object type; the place of an object is its id, less the first.
    of_type: BTreeMap<String, Collection>,
    /// Both ends by type and id, and the kind of link.
    links: BTreeSet<(String, String, String, String, String)>,
}

#[derive(Default)]
struct Collection {
    objects: Vec<Map<String, Value>>,
    /// By property and value, for properties that are looked up.
    index: HashMap<String, HashMap<String, usize>>,
}

const FIRST_ID: usize = 101;

/// A value as HubSpot keeps it.
fn kept(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value as it is compared.
fn compared(value: &str) -> String {
    value.trim().to_lowercase()
}

impl Collection {
    fn place(&mut self, property: &str, value: &str) -> Option<usize> {
        if property == "hs_object_id" {
            let place = value.parse::<usize>().ok()?.checked_sub(FIRST_ID)?;
            return (place < self.objects.len()).then_some(place);
        }
        let objects = &self.objects;
        let index = self.index.entry(property.to_owned()).or_insert_with(|| {
            let held = objects.iter().enumerate();
            held.filter_map(|(place, object)| Some((compared(&kept(object.get(property)?)), place))).collect()
        });
        index.get(&compared(value)).copied()
    }

    fn shown(&self, place: usize) -> Value {
        let id = (place + FIRST_ID).to_string();
        let mut properties = self.objects[place].clone();
        properties.insert("hs_object_id".to_owned(), json!(id));
        json!({ "id": id, "properties": properties, "archived": false })
    }

    fn write(&mut self, place: Option<usize>, properties: &Map<String, Value>) -> usize {
        let place = place.unwrap_or_else(|| {
            self.objects.push(Map::new());
            self.objects.len() - 1
        });
        for (name, value) in properties {
            let value = kept(value);
            let value = if name == "email" { value.to_lowercase() } else { value };
            if let Some(index) = self.index.get_mut(name) {
                if let Some(old) = self.objects[place].get(name) {
                    index.remove(&compared(&kept(old)));
                }
                index.insert(compared(&value), place);
            }
            self.objects[place].insert(name.clone(), json!(value));
        }
        place
    }
}

fn properties(input: &Value) -> Map<String, Value> {
    input["properties"].as_object().cloned().unwrap_or_default()
}

fn failure(category: &str, message: &str, context: &Value) -> Value {
    json!({ "status": "error", "category": category, "message": message, "context": context })
}

impl Objects {
    pub(super) fn held(&self) -> Value {
        let shown = |collection: &Collection| {
            (0..collection.objects.len()).map(|place| collection.shown(place)).collect::<Vec<_>>()
        };
        let objects: BTreeMap<_, _> = self.of_type.iter().map(|(kind, held)| (kind, shown(held))).collect();
        let links = self.links.iter().map(|(from, from_id, to, to_id, kind)| json!([from, from_id, to, to_id, kind]));
        json!({ "records": objects, "links": links.collect::<Vec<_>>() })
    }

    pub(super) fn has(&self, kind: &str, id: &str) -> bool {
        let place = id.parse::<usize>().ok().and_then(|id| id.checked_sub(FIRST_ID));
        let held = self.of_type.get(&collection(kind)).map_or(0, |held| held.objects.len());
        place.is_some_and(|place| place < held)
    }

    pub(super) fn page(&self, kind: &str) -> Reply {
        let held = self.of_type.get(&collection(kind));
        let results: Vec<_> = held
            .map(|held| (0..held.objects.len().min(10)).map(|place| held.shown(place)).collect())
            .unwrap_or_default();
        Reply::json(200, &json!({ "results": results }))
    }

    /// Refuses properties that are not defined, records that the settings refuse, and a contact's email that another
    /// contact has.
    fn check(
        &mut self,
        kind: &str,
        place: Option<usize>,
        properties: &Map<String, Value>,
        definitions: &mut Definitions,
        refusals: &Refusals,
    ) -> Result<(), Reply> {
        definitions.check(kind, properties)?;
        if let Some(why) = refusals.reason_for(&Value::Object(properties.clone())) {
            return Err(refused(400, "VALIDATION_ERROR", &why));
        }
        let unique = properties.iter().filter(|(name, _)| definitions.is_unique(kind, name));
        let looked_up: Vec<_> = unique.map(|(name, value)| (name.clone(), kept(value))).collect();
        let held = self.of_type.entry(kind.to_owned()).or_default();
        for (name, value) in looked_up {
            let known = held.index.contains_key(&name) || (kind == "contacts" && name == "email");
            let other = if known { held.place(&name, &value) } else { None };
            if let Some(other) = other.filter(|other| Some(*other) != place) {
                let message = format!("{name} {value} is taken. Existing ID: {}", other + FIRST_ID);
                return Err(refused(409, "CONFLICT", &message));
            }
        }
        Ok(())
    }

    pub(super) fn create(
        &mut self,
        kind: &str,
        body: &Value,
        definitions: &mut Definitions,
        refusals: &Refusals,
    ) -> Reply {
        let kind = collection(kind);
        match self.write(&kind, None, body, definitions, refusals) {
            Ok(shown) => Reply::json(201, &shown),
            Err(reply) => reply,
        }
    }

    fn write(
        &mut self,
        kind: &str,
        place: Option<usize>,
        input: &Value,
        definitions: &mut Definitions,
        refusals: &Refusals,
    ) -> Result<Value, Reply> {
        let properties = properties(input);
        self.check(kind, place, &properties, definitions, refusals)?;
        let held = self.of_type.entry(kind.to_owned()).or_default();
        let written = held.write(place, &properties);
        let mut shown = held.shown(written);
        if let Some(trace) = input.get("objectWriteTraceId") {
            shown["objectWriteTraceId"] = trace.clone();
        }
        if place.is_none() {
            let id = (written + FIRST_ID).to_string();
            for association in input["associations"].as_array().into_iter().flatten() {
                let to = text(&association["to"], "id").to_owned();
                for link in association["types"].as_array().into_iter().flatten() {
                    self.links.insert((kind.to_owned(), id.clone(), String::new(), to.clone(), link_kind(link)));
                }
            }
        }
        Ok(shown)
    }

    pub(super) fn update(
        &mut self,
        kind: &str,
        id: &str,
        property: Option<&str>,
        body: &Value,
        definitions: &mut Definitions,
        refusals: &Refusals,
    ) -> Reply {
        let kind = collection(kind);
        let property = property.unwrap_or("hs_object_id");
        if let Err(reply) = definitions.check(&kind, &properties(body)) {
            return reply;
        }
        let Some(place) = self.of_type.entry(kind.clone()).or_default().place(property, id) else { return not_found() };
        match self.write(&kind, Some(place), body, definitions, refusals) {
            Ok(shown) => Reply::json(200, &shown),
            Err(reply) => reply,
        }
    }

    pub(super) fn search(&mut self, kind: &str, body: &Value, definitions: &mut Definitions) -> Reply {
        let groups = body["filterGroups"].as_array().cloned().unwrap_or_default();
        if groups.len() > 5 {
            return refused(400, "VALIDATION_ERROR", "at most 5 filterGroups are allowed");
        }
        let kind = collection(kind);
        let filters: Vec<_> = groups.iter().filter_map(|group| group["filters"].as_array()).collect();
        let named =
            filters.iter().copied().flatten().map(|filter| (text(filter, "propertyName").to_owned(), Value::Null));
        if let Err(reply) = definitions.check(&kind, &named.collect()) {
            return reply;
        }
        let held = self.of_type.entry(kind).or_default();
        let fits = |object: &Map<String, Value>, filter: &Value| {
            let has = object.get(text(filter, "propertyName")).map(kept).unwrap_or_default();
            !has.is_empty() && compared(&has) == compared(&kept(&filter["value"]))
        };
        let found = (0..held.objects.len()).filter(|place| {
            filters.iter().any(|filters| filters.iter().all(|filter| fits(&held.objects[*place], filter)))
        });
        let found: Vec<_> = found.map(|place| held.shown(place)).collect();
        Reply::json(200, &json!({ "total": found.len(), "results": found }))
    }

    pub(super) fn batch(
        &mut self,
        kind: &str,
        what: &str,
        body: &Value,
        definitions: &mut Definitions,
        refusals: &Refusals,
    ) -> Reply {
        let inputs = match inputs(body, BATCH_MAX) {
            Ok(inputs) if inputs.is_empty() => {
                return refused(400, "VALIDATION_ERROR", "Invalid input JSON: `inputs` is empty");
            }
            Ok(inputs) => inputs,
            Err(reply) => return reply,
        };
        let kind = collection(kind);
        if what == "read" {
            return self.read(&kind, body, inputs, definitions);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) =
            inputs.iter().filter_map(|input| input["id"].as_str()).find(|id| !seen.insert(compared(id)))
        {
            let message = format!("Duplicate IDs found in batch input: [{twice}]. IDs must be unique");
            return refused(400, "VALIDATION_ERROR", &message);
        }
        // Without a trace id, one bad input is enough for the whole to be refused, before anything is written.
        let mut places = Vec::with_capacity(inputs.len());
        for input in inputs {
            let property = input["idProperty"].as_str().unwrap_or("hs_object_id");
            if what != "create" && !definitions.is_unique(&kind, property) {
                let message = format!("the property {property} has no unique values");
                return refused(400, "VALIDATION_ERROR", &message);
            }
            let place = match what {
                "create" => None,
                _ => self.of_type.entry(kind.clone()).or_default().place(property, text(input, "id")),
            };
            let checked = self.check(&kind, place, &properties(input), definitions, refusals);
            if let (Err(reply), true) = (checked, input["objectWriteTraceId"].is_null()) {
                return reply;
            }
            places.push(place);
        }
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for (input, place) in inputs.iter().zip(places) {
            if what == "update" && place.is_none() {
                let context = json!({ "ids": [text(input, "id")] });
                errors.push(failure("OBJECT_NOT_FOUND", "Could not update some objects", &context));
                continue;
            }
            match self.write(&kind, place, input, definitions, refusals) {
                Ok(mut shown) => {
                    if what == "upsert" {
                        shown["new"] = json!(place.is_none());
                    }
                    results.push(shown);
                }
                Err(reply) => {
                    let context = json!({ "objectWriteTraceId": [input["objectWriteTraceId"]] });
                    errors.push(failure("VALIDATION_ERROR", &said(&reply), &context));
                }
            }
        }
        batch(if what == "create" { 201 } else { 200 }, results, errors)
    }

    fn read(&mut self, kind: &str, body: &Value, inputs: &[Value], definitions: &Definitions) -> Reply {
        let property = body["idProperty"].as_str().unwrap_or("hs_object_id");
        if !definitions.is_unique(kind, property) {
            return refused(400, "VALIDATION_ERROR", &format!("the property {property} has no unique values"));
        }
        let held = self.of_type.entry(kind.to_owned()).or_default();
        let (mut results, mut missing) = (Vec::new(), Vec::new());
        for id in inputs.iter().map(|input| text(input, "id")) {
            match held.place(property, id) {
                Some(place) => results.push(held.shown(place)),
                None => missing.push(id),
            }
        }
        if missing.is_empty() {
            return batch(200, results, Vec::new());
        }
        let message = format!("Could not get some {} objects, they may be deleted or not exist.", kind.to_uppercase());
        batch(200, results, vec![failure("OBJECT_NOT_FOUND", &message, &json!({ "ids": missing }))])
    }

    pub(super) fn link(&mut self, from: &str, to: &str, input: &Value) -> Result<Value, Value> {
        let (from_id, to_id) = (text(&input["from"], "id").to_owned(), text(&input["to"], "id").to_owned());
        if !self.has(from, &from_id) || !self.has(to, &to_id) {
            let context = json!({ "fromObjectId": [from_id], "toObjectId": [to_id] });
            return Err(failure("OBJECT_NOT_FOUND", "one of the objects does not exist", &context));
        }
        for kind in input["types"].as_array().into_iter().flatten() {
            let link = (collection(from), from_id.clone(), collection(to), to_id.clone(), link_kind(kind));
            self.links.insert(link);
        }
        Ok(json!({ "fromObjectId": from_id, "toObjectId": to_id, "labels": [] }))
    }

    pub(super) fn link_many(&mut self, from: &str, to: &str, body: &Value) -> Reply {
        let inputs = match inputs(body, 2000) {
            Ok(inputs) => inputs,
            Err(reply) => return reply,
        };
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for input in inputs {
            match self.link(from, to, input) {
                Ok(linked) => results.push(linked),
                Err(error) => errors.push(error),
            }
        }
        batch(201, results, errors)
    }

    pub(super) fn unlink_many(&mut self, from: &str, to: &str, body: &Value) -> Reply {
        let inputs = match inputs(body, 2000) {
            Ok(inputs) => inputs,
            Err(reply) => return reply,
        };
        for input in inputs {
            let (from_id, to_id) = (text(&input["from"], "id").to_owned(), text(&input["to"], "id").to_owned());
            for kind in input["types"].as_array().into_iter().flatten() {
                let link = (collection(from), from_id.clone(), collection(to), to_id.clone(), link_kind(kind));
                self.links.remove(&link);
            }
        }
        Reply::status(204)
    }
}

/// The message of a refusal.
fn said(reply: &Reply) -> String {
    match reply {
        Reply::Answer { body, .. } => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            text(&body, "message").to_owned()
        }
        _ => String::new(),
    }
}

fn link_kind(kind: &Value) -> String {
    format!("{}:{}", text(kind, "associationCategory"), kept(&kind["associationTypeId"]))
}
