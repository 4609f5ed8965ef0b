//! Customer.io's Track API served from memory: people with devices and events, objects, relationships, and reports.

use std::collections::{BTreeMap, BTreeSet};

use kit::simulator::{Received, Refusals, Reply, Simulator};
use serde_json::{Map, Value, json};

/// Makes the tool. Settings: `siteId` and `apiKey`, which every request must then bring.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let text = |key: &str| settings.get(key).and_then(Value::as_str).map(str::to_owned);
    let credentials = text("siteId").map(|site| (site, text("apiKey").unwrap_or_default()));
    Box::new(Tool { credentials, ..Tool::default() })
}

/// What one entity may weigh.
const ENTITY_BYTES_MAX: usize = 32_000;
/// What a request may weigh.
const BATCH_BYTES_MAX: usize = 500_000;

#[derive(Debug, Default)]
struct Tool {
    credentials: Option<(String, String)>,
    people: BTreeMap<String, Person>,
    objects: BTreeMap<String, Object>,
    suppressed: BTreeSet<String>,
    reports: Vec<Value>,
}

#[derive(Debug, Default)]
struct Person {
    attributes: Map<String, Value>,
    devices: BTreeMap<String, Value>,
    /// By id where they have one, so that none is kept twice.
    events: BTreeMap<String, Value>,
}

#[derive(Debug, Default)]
struct Object {
    attributes: Map<String, Value>,
    people: BTreeSet<String>,
}

/// What is wrong with an entity: reason, field and words.
struct Wrong(&'static str, &'static str, String);

impl Wrong {
    fn required(field: &'static str) -> Self {
        Self("required", field, format!("{field} is required"))
    }

    fn told(&self, place: Option<usize>) -> Value {
        let mut error = json!({ "reason": self.0, "field": self.1, "message": self.2 });
        if let Some(place) = place {
            error["batch_index"] = json!(place);
        }
        error
    }
}

impl Simulator for Tool {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if self.credentials.is_some() && request.basic() != self.credentials {
            return self.unauthorized();
        }
        let body = request.json();
        match (request.method.as_str(), request.path()) {
            ("GET", "/auth") => Reply::json(200, &json!({ "meta": "nice credentials." })),
            ("POST", "/api/v2/entity") => match self.take(&body, refusals) {
                Ok(()) => Reply::json(200, &json!({})),
                Err(wrong) => Reply::json(400, &json!({ "errors": [wrong.told(None)] })),
            },
            ("POST", "/api/v2/batch") => self.batch(request, &body, refusals),
            ("POST", "/api/v1/metrics") => self.report(body, refusals),
            _ => Reply::json(404, &json!({ "meta": { "error": "not found" } })),
        }
    }

    fn held(&self) -> Value {
        let people: Map<String, Value> = self.people.iter().map(|(key, person)| (key.clone(), shown(person))).collect();
        let object = |object: &Object| json!({ "attributes": object.attributes, "people": object.people });
        let objects: Map<String, Value> = self.objects.iter().map(|(key, held)| (key.clone(), object(held))).collect();
        json!({ "people": people, "objects": objects, "suppressed": self.suppressed, "reports": self.reports })
    }

    fn unauthorized(&self) -> Reply {
        Reply::json(401, &json!({ "meta": { "error": "Unauthorized request" } }))
    }
}

fn shown(person: &Person) -> Value {
    let events: Vec<&Value> = person.events.values().collect();
    json!({ "attributes": person.attributes, "devices": person.devices, "events": events })
}

/// `id u1`, `email ada@example.com`; none if nothing names a person.
fn person_key(identifiers: &Value) -> Option<String> {
    let known =
        |key: &str| identifiers[key].as_str().filter(|text| !text.is_empty()).map(|text| format!("{key} {text}"));
    known("id").or_else(|| known("email")).or_else(|| known("cio_id")).or_else(|| known("anonymous_id"))
}

/// `1 acme`: type and id.
fn object_key(identifiers: &Value) -> Option<String> {
    let text = |key: &str| identifiers[key].as_str().filter(|text| !text.is_empty());
    Some(format!("{} {}", text("object_type_id")?, text("object_id")?))
}

fn merge(into: &mut Map<String, Value>, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        // An empty text or null takes an attribute away.
        if value.is_null() || value == "" {
            into.remove(key);
        } else {
            into.insert(key.clone(), value.clone());
        }
    }
}

impl Tool {
    fn batch(&mut self, request: &Received, body: &Value, refusals: &Refusals) -> Reply {
        if request.body.len() > BATCH_BYTES_MAX {
            let wrong = Wrong("too_large", "batch", format!("the request is larger than {BATCH_BYTES_MAX} bytes"));
            return Reply::json(413, &json!({ "errors": [wrong.told(None)] }));
        }
        let Some(items) = body["batch"].as_array().filter(|items| !items.is_empty()) else {
            return Reply::json(400, &json!({ "errors": [Wrong::required("batch").told(None)] }));
        };
        let mut errors = Vec::new();
        for (place, item) in items.iter().enumerate() {
            if let Err(wrong) = self.take(item, refusals) {
                errors.push(wrong.told(Some(place)));
            }
        }
        if errors.is_empty() { Reply::json(200, &json!({})) } else { Reply::json(207, &json!({ "errors": errors })) }
    }

    fn report(&mut self, body: Value, refusals: &Refusals) -> Reply {
        let reason = if body["delivery_id"].is_string() {
            refusals.reason_for(&body)
        } else {
            Some("unknown delivery".to_owned())
        };
        match reason {
            Some(reason) => Reply::json(400, &json!({ "meta": { "error": reason } })),
            None => {
                self.reports.push(body);
                Reply::json(200, &json!({}))
            }
        }
    }

    fn take(&mut self, entity: &Value, refusals: &Refusals) -> Result<(), Wrong> {
        if entity.to_string().len() > ENTITY_BYTES_MAX {
            return Err(Wrong("too_large", "attributes", format!("larger than {ENTITY_BYTES_MAX} bytes")));
        }
        let (kind, action) =
            (entity["type"].as_str().unwrap_or_default(), entity["action"].as_str().unwrap_or_default());
        if let Some(reason) = refusals.reason_for(entity) {
            return Err(Wrong("invalid", "attributes", reason));
        }
        match (kind, action) {
            ("person", "merge") => self.merge_people(entity),
            ("person", _) => {
                let key = person_key(&entity["identifiers"]).ok_or_else(|| Wrong::required("identifiers"))?;
                self.take_person(key, action, entity)
            }
            ("object", _) => {
                let key = object_key(&entity["identifiers"]).ok_or_else(|| Wrong::required("identifiers.object_id"))?;
                self.take_object(key, action, entity)
            }
            _ => Err(Wrong::required("type")),
        }
    }

    fn take_person(&mut self, key: String, action: &str, entity: &Value) -> Result<(), Wrong> {
        match action {
            "delete" => {
                self.forget(&key);
                return Ok(());
            }
            "suppress" => {
                self.forget(&key);
                self.suppressed.insert(key);
                return Ok(());
            }
            "unsuppress" => {
                self.suppressed.remove(&key);
                return Ok(());
            }
            _ => {}
        }
        if self.suppressed.contains(&key) {
            // Taken and dropped, as the tool does.
            return Ok(());
        }
        for related in entity["cio_relationships"].as_array().into_iter().flatten() {
            let object = object_key(&related["identifiers"]).ok_or_else(|| Wrong::required("cio_relationships"))?;
            self.objects.entry(object).or_default().people.insert(key.clone());
        }
        let token = entity["device"]["token"].as_str();
        let person = self.people.entry(key).or_default();
        match action {
            "identify" => merge(&mut person.attributes, &entity["attributes"]),
            "add_device" => {
                let token = token.ok_or_else(|| Wrong::required("device.token"))?;
                person.devices.insert(token.to_owned(), entity["device"].clone());
            }
            "delete_device" => {
                person.devices.remove(token.ok_or_else(|| Wrong::required("device.token"))?);
            }
            "event" | "page" | "screen" | "viewed_content" | "clicked_content" => {
                let name = entity["name"].as_str().filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| Wrong::required("name"))?;
                let own =
                    entity["id"].as_str().map_or_else(|| format!("{} {name}", person.events.len()), str::to_owned);
                let event = json!({ "kind": action, "name": name, "attributes": entity["attributes"], "timestamp": entity["timestamp"] });
                person.events.insert(own, event);
            }
            other => return Err(Wrong("invalid", "action", format!("`{other}` is no action of a person"))),
        }
        Ok(())
    }

    fn take_object(&mut self, key: String, action: &str, entity: &Value) -> Result<(), Wrong> {
        let related: Vec<_> = entity["cio_relationships"].as_array().into_iter().flatten().collect();
        let people: Vec<_> = related.iter().filter_map(|related| person_key(&related["identifiers"])).collect();
        if people.len() < related.len() {
            return Err(Wrong::required("cio_relationships"));
        }
        match action {
            "identify" | "identify_anonymous" => {
                let object = self.objects.entry(key).or_default();
                merge(&mut object.attributes, &entity["attributes"]);
                object.people.extend(people);
            }
            "delete" => {
                self.objects.remove(&key);
            }
            "delete_relationships" => {
                if let Some(object) = self.objects.get_mut(&key) {
                    object.people.retain(|person| !people.contains(person));
                }
            }
            other => return Err(Wrong("invalid", "action", format!("`{other}` is no action of an object"))),
        }
        Ok(())
    }

    fn merge_people(&mut self, entity: &Value) -> Result<(), Wrong> {
        let primary = person_key(&entity["primary"]).ok_or_else(|| Wrong::required("primary"))?;
        let secondary = person_key(&entity["secondary"]).ok_or_else(|| Wrong::required("secondary"))?;
        let Some(gone) = self.people.remove(&secondary) else { return Ok(()) };
        let person = self.people.entry(primary).or_default();
        for (key, value) in gone.attributes {
            person.attributes.entry(key).or_insert(value);
        }
        person.devices.extend(gone.devices);
        person.events.extend(gone.events);
        Ok(())
    }

    fn forget(&mut self, key: &str) {
        self.people.remove(key);
        self.objects.values_mut().for_each(|object| {
            object.people.remove(key);
        });
    }
}
