//! A sink for the HTTP destination: it takes whatever comes, and keeps it by method and path.

use std::collections::{BTreeMap, VecDeque};

use kit::simulator::{Received, Refusals, Reply, Simulator};
use serde_json::{Map, Value, json};

/// Of each method and path the last records are kept.
const RECORDS_MAX: usize = 10_000;
const PLACES_MAX: usize = 1000;
const OTHERS: &str = "others";

#[derive(Default)]
struct Sink {
    /// Whether the answer speaks of each record; otherwise a request is taken whole or not at all.
    per_record: bool,
    places: BTreeMap<String, Place>,
}

#[derive(Default)]
struct Place {
    requests: u64,
    records: u64,
    last: VecDeque<Value>,
}

/// A sink that answers as destinations with these settings expect it.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let is_told = |key: &str| settings.get("options").and_then(|options| options.get(key)).is_some();
    Box::new(Sink { per_record: is_told("results") || is_told("failed"), ..Sink::default() })
}

impl Simulator for Sink {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if matches!(request.method.as_str(), "HEAD" | "GET" | "OPTIONS") {
            return Reply::json(200, &json!({ "about": "this sink takes whatever is sent to it" }));
        }
        let records = records(request);
        let reasons: Vec<_> = records.iter().map(|record| refusals.reason_for(record)).collect();
        let results = reasons.iter().enumerate().map(|(index, reason)| match reason {
            None => json!({ "index": index, "status": 200 }),
            Some(reason) => json!({ "index": index, "status": 422, "error": reason }),
        });
        let results: Vec<_> = results.collect();
        let errors: Vec<_> = reasons
            .iter()
            .enumerate()
            .filter_map(|(index, reason)| Some(json!({ "index": index, "message": reason.as_ref()? })))
            .collect();
        if !self.per_record
            && let Some(reason) = reasons.iter().flatten().next()
        {
            return Reply::json(422, &json!({ "message": reason, "errors": errors }));
        }
        let mut name = format!("{} {}", request.method, request.path());
        if self.places.len() >= PLACES_MAX && !self.places.contains_key(&name) {
            name = OTHERS.to_owned();
        }
        let place = self.places.entry(name).or_default();
        place.requests += 1;
        for (record, _) in records.into_iter().zip(&reasons).filter(|(_, reason)| reason.is_none()) {
            place.records += 1;
            if place.last.len() == RECORDS_MAX {
                place.last.pop_front();
            }
            place.last.push_back(record);
        }
        Reply::json(200, &json!({ "results": results, "errors": errors }))
    }

    fn held(&self) -> Value {
        let places = self.places.iter().map(|(name, place)| {
            let held = json!({ "requests": place.requests, "records": place.records, "last": place.last });
            (name.clone(), held)
        });
        Value::Object(places.collect())
    }
}

/// The records of a request: the items of a list, of a list in an object of its own, the lines of ndjson, or the body.
fn records(request: &Received) -> Vec<Value> {
    if request.body.is_empty() {
        return Vec::new();
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Array(items)) => return items,
        Ok(Value::Object(map)) => return wrapped(map),
        Ok(other) => return vec![other],
        Err(_) => {}
    }
    if request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        let pairs = request.form().into_iter().map(|(key, value)| (key, Value::String(value)));
        return vec![Value::Object(pairs.collect())];
    }
    let text = request.text();
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    lines.unwrap_or_else(|_| vec![json!({ "text": text })])
}

fn wrapped(map: Map<String, Value>) -> Vec<Value> {
    match map.values().next() {
        Some(Value::Array(items)) if map.len() == 1 && items.iter().all(Value::is_object) => items.clone(),
        _ => vec![Value::Object(map)],
    }
}
