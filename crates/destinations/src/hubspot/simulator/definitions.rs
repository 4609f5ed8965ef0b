//! Which properties the object types of a simulated account have.

use std::collections::BTreeMap;

use kit::simulator::Reply;
use serde_json::{Map, Value, json};

use super::{batch, collection, inputs, not_found, refused, text};

/// Properties that every account has: object type, name, type, field type.
const STANDARD: [(&str, &str, &str, &str); 30] = [
    ("contacts", "email", "string", "text"),
    ("contacts", "hs_additional_emails", "string", "text"),
    ("contacts", "firstname", "string", "text"),
    ("contacts", "lastname", "string", "text"),
    ("contacts", "phone", "string", "phonenumber"),
    ("contacts", "company", "string", "text"),
    ("contacts", "address", "string", "text"),
    ("contacts", "city", "string", "text"),
    ("contacts", "state", "string", "text"),
    ("contacts", "country", "string", "text"),
    ("contacts", "zip", "string", "text"),
    ("contacts", "website", "string", "text"),
    ("contacts", "lifecyclestage", "enumeration", "radio"),
    ("companies", "name", "string", "text"),
    ("companies", "description", "string", "textarea"),
    ("companies", "address", "string", "text"),
    ("companies", "city", "string", "text"),
    ("companies", "state", "string", "text"),
    ("companies", "zip", "string", "text"),
    ("companies", "domain", "string", "text"),
    ("companies", "phone", "string", "phonenumber"),
    ("companies", "numberofemployees", "number", "number"),
    ("companies", "industry", "enumeration", "select"),
    ("companies", "lifecyclestage", "enumeration", "radio"),
    ("deals", "dealname", "string", "text"),
    ("deals", "amount", "number", "number"),
    ("deals", "dealstage", "enumeration", "radio"),
    ("deals", "pipeline", "enumeration", "select"),
    ("tickets", "subject", "string", "text"),
    ("tickets", "content", "string", "textarea"),
];

pub(super) struct Definitions {
    strict: bool,
    /// By object type and name.
    defined: BTreeMap<(String, String), Value>,
}

fn definition(name: &str, kind: &str, field: &str) -> Value {
    json!({
        "name": name,
        "label": name,
        "type": kind,
        "fieldType": field,
        "groupName": "simulated",
        "hasUniqueValue": false,
        "modificationMetadata": { "readOnlyValue": false },
    })
}

impl Definitions {
    pub(super) fn new(strict: bool) -> Self {
        let standard = STANDARD.iter().map(|(object, name, kind, field)| {
            (((*object).to_owned(), (*name).to_owned()), definition(name, kind, field))
        });
        Self { strict, defined: standard.collect() }
    }

    pub(super) fn all(&self, kind: &str, sensitive: bool) -> Reply {
        let kind = collection(kind);
        let of_kind = self.defined.iter().filter(|((object, _), _)| *object == kind).map(|(_, defined)| defined);
        let fitting = of_kind.filter(|defined| (text(defined, "dataSensitivity") == "sensitive") == sensitive);
        Reply::json(200, &json!({ "results": fitting.collect::<Vec<_>>() }))
    }

    pub(super) fn groups(&self, kind: &str) -> Reply {
        let name = format!("{}information", kind.trim_end_matches('s'));
        Reply::json(200, &json!({ "results": [{ "name": name, "label": "Information", "archived": false }] }))
    }

    pub(super) fn one(&self, kind: &str, name: &str) -> Reply {
        match self.defined.get(&(collection(kind), name.to_owned())) {
            Some(defined) => Reply::json(200, defined),
            None => not_found(),
        }
    }

    pub(super) fn create(&mut self, kind: &str, body: &Value) -> Reply {
        match self.add(kind, body) {
            Ok(defined) => Reply::json(201, &defined),
            Err(reply) => reply,
        }
    }

    pub(super) fn create_many(&mut self, kind: &str, body: &Value) -> Reply {
        let inputs = match inputs(body, 100) {
            Ok(inputs) => inputs,
            Err(reply) => return reply,
        };
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for input in inputs {
            match self.add(kind, input) {
                Ok(defined) => results.push(defined),
                Err(_) => {
                    let name = text(input, "name");
                    let message = format!("A property named '{name}' already exists or is not valid.");
                    let context = json!({ "name": [name] });
                    errors.push(json!({ "status": "error", "category": "OBJECT_ALREADY_EXISTS", "message": message, "context": context }));
                }
            }
        }
        batch(201, results, errors)
    }

    fn add(&mut self, kind: &str, input: &Value) -> Result<Value, Reply> {
        let name = text(input, "name");
        if name.is_empty() || text(input, "type").is_empty() || text(input, "fieldType").is_empty() {
            return Err(refused(400, "VALIDATION_ERROR", "name, type and fieldType are required"));
        }
        let key = (collection(kind), name.to_owned());
        if self.defined.contains_key(&key) {
            let message = format!("A property named '{name}' already exists.");
            return Err(refused(409, "OBJECT_ALREADY_EXISTS", &message));
        }
        let mut defined = definition(name, text(input, "type"), text(input, "fieldType"));
        if let (Value::Object(defined), Value::Object(input)) = (&mut defined, input) {
            defined.extend(input.clone());
        }
        self.defined.insert(key, defined.clone());
        Ok(defined)
    }

    /// Whether a property can tell one object from all others. What is not defined can, unless strict.
    pub(super) fn is_unique(&self, kind: &str, name: &str) -> bool {
        if name == "hs_object_id" || (kind == "contacts" && name == "email") {
            return true;
        }
        match self.defined.get(&(kind.to_owned(), name.to_owned())) {
            Some(defined) => defined["hasUniqueValue"] == true || (!self.strict && defined["simulated"] == true),
            None => !self.strict,
        }
    }

    /// Refuses properties that are not defined, in HubSpot's words; or defines them.
    pub(super) fn check(&mut self, kind: &str, properties: &Map<String, Value>) -> Result<(), Reply> {
        let mut problems = Vec::new();
        for name in properties.keys().filter(|name| *name != "hs_object_id") {
            let key = (kind.to_owned(), name.clone());
            if self.defined.contains_key(&key) {
                continue;
            }
            if self.strict {
                let message = format!("Property \"{name}\" does not exist");
                problems.push(
                    json!({ "isValid": false, "message": message, "error": "PROPERTY_DOESNT_EXIST", "name": name }),
                );
            } else {
                let mut defined = definition(name, "string", "text");
                // Its type is not known, so it is one that any value fits.
                defined["fieldType"] = json!("file");
                defined["simulated"] = json!(true);
                self.defined.insert(key, defined);
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        let message = format!("Property values were not valid: {}", Value::from(problems));
        Err(refused(400, "VALIDATION_ERROR", &message))
    }
}
