//! The custom events of a simulated account: definitions, and what was sent.

use kit::simulator::{Received, Refusals, Reply};
use serde_json::{Value, json};

use super::{inputs, not_found, refused, text};

const PAGE: usize = 20;
const BATCH_MAX: usize = 500;

pub(super) struct Events {
    /// The number of the account, which stands in the names of events.
    portal: String,
    definitions: Vec<Value>,
    sent: Vec<Value>,
}

impl Events {
    pub(super) fn new(portal: String) -> Self {
        Self { portal, definitions: Vec::new(), sent: Vec::new() }
    }

    pub(super) fn held(&self) -> Value {
        json!({ "definitions": self.definitions, "sent": self.sent })
    }

    pub(super) fn answer(&mut self, request: &Received, path: &[&str], body: &Value, refusals: &Refusals) -> Reply {
        match (request.method.as_str(), path) {
            ("GET", ["event-definitions"]) => self.page(request),
            ("GET", ["event-definitions", name]) => match self.place(name) {
                Some(place) => Reply::json(200, &self.definitions[place]),
                None => not_found(),
            },
            ("POST", ["event-definitions"]) => self.define(body),
            ("POST", ["event-definitions", name, "property"]) => self.add_property(name, body),
            ("POST", ["send"]) => self.send(std::slice::from_ref(body), refusals),
            ("POST", ["send", "batch"]) => match inputs(body, BATCH_MAX) {
                Ok(inputs) => self.send(inputs, refusals),
                Err(reply) => reply,
            },
            _ => not_found(),
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        let named =
            |definition: &Value| [text(definition, "name"), text(definition, "fullyQualifiedName")].contains(&name);
        self.definitions.iter().position(named)
    }

    fn page(&self, request: &Received) -> Reply {
        let after = request.parameter("after").and_then(|after| after.parse::<usize>().ok()).unwrap_or(0);
        let limit = request.parameter("limit").and_then(|limit| limit.parse::<usize>().ok()).unwrap_or(PAGE);
        let page: Vec<_> = self.definitions.iter().skip(after).take(limit).collect();
        let next = after + page.len();
        let mut answer = json!({ "total": self.definitions.len(), "results": page });
        if next < self.definitions.len() {
            answer["paging"] = json!({ "next": { "after": next.to_string() } });
        }
        Reply::json(200, &answer)
    }

    fn define(&mut self, body: &Value) -> Reply {
        let name = text(body, "name");
        if name.is_empty() || text(body, "primaryObject").is_empty() {
            return refused(400, "VALIDATION_ERROR", "name and primaryObject are required");
        }
        if self.place(name).is_some() {
            return refused(409, "CONFLICT", &format!("an event named {name} already exists"));
        }
        let definition = json!({
            "name": name,
            "fullyQualifiedName": format!("pe{}_{name}", self.portal),
            "labels": { "singular": text(body, "label") },
            "archived": false,
            "properties": body["propertyDefinitions"].as_array().cloned().unwrap_or_default(),
        });
        self.definitions.push(definition.clone());
        Reply::json(201, &definition)
    }

    fn add_property(&mut self, name: &str, body: &Value) -> Reply {
        let Some(place) = self.place(name) else { return not_found() };
        let Some(properties) = self.definitions[place]["properties"].as_array_mut() else { return not_found() };
        if properties.iter().any(|property| text(property, "name") == text(body, "name")) {
            return refused(409, "CONFLICT", &format!("the property {} already exists", text(body, "name")));
        }
        properties.push(body.clone());
        Reply::json(201, body)
    }

    /// All or none. Events that were not defined in this account are taken if their name is one of it.
    fn send(&mut self, events: &[Value], refusals: &Refusals) -> Reply {
        for event in events {
            let name = text(event, "eventName");
            let digits = name.strip_prefix("pe").and_then(|rest| rest.split_once('_')).map(|(digits, _)| digits);
            if digits.is_none_or(|digits| digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit())) {
                return refused(400, "VALIDATION_ERROR", &format!("there is no event {name}"));
            }
            if ["objectId", "email", "utk"].iter().all(|key| event[key].is_null()) {
                return refused(400, "VALIDATION_ERROR", "one of objectId, email and utk is required");
            }
            // The id of an attempt is no part of the event.
            let mut fields = event.clone();
            fields["uuid"] = Value::Null;
            if let Some(why) = refusals.reason_for(&fields) {
                return refused(400, "VALIDATION_ERROR", &why);
            }
        }
        self.sent.extend(events.iter().cloned());
        Reply::status(204)
    }
}
