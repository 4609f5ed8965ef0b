//! HubSpot served from memory: objects with unique ids, definitions of properties and events, links, static lists.

mod definitions;
mod events;
mod lists;
mod objects;

use std::time::Duration;

use kit::simulator::{Received, Refusals, Reply, Simulator, whole_seconds};
use serde_json::{Value, json};

use definitions::Definitions;
use events::Events;
use lists::Lists;
use objects::Objects;

/// Served with the token of the settings; without one there, any token will do. With `strict: true`, properties must
/// be defined before they are used, as in HubSpot; otherwise they come into being when they are.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let token = settings.pointer("/oauth/access_token").and_then(Value::as_str).map(str::to_owned);
    let strict = settings.get("strict").and_then(Value::as_bool).unwrap_or(false);
    let portal = settings.get("portalId").and_then(Value::as_str).unwrap_or("1").to_owned();
    Box::new(Portal {
        token,
        definitions: Definitions::new(strict),
        objects: Objects::default(),
        lists: Lists::default(),
        events: Events::new(portal),
    })
}

struct Portal {
    token: Option<String>,
    definitions: Definitions,
    objects: Objects,
    lists: Lists,
    events: Events,
}

/// The reply to a request that is refused, in HubSpot's form.
fn refused(status: u16, category: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "status": "error", "message": message, "category": category }))
}

fn not_found() -> Reply {
    refused(404, "OBJECT_NOT_FOUND", "resource not found")
}

/// An object type by the name of its collection.
fn collection(object_type: &str) -> String {
    let known = match object_type {
        "contact" | "0-1" => "contacts",
        "company" | "0-2" => "companies",
        "deal" | "0-3" => "deals",
        "ticket" | "0-5" => "tickets",
        "line_item" => "line_items",
        "product" => "products",
        "order" => "orders",
        "quote" => "quotes",
        other => other,
    };
    known.to_owned()
}

/// The inputs of a batch; too many are refused.
fn inputs(body: &Value, most: usize) -> Result<&Vec<Value>, Reply> {
    match body["inputs"].as_array() {
        None => Err(refused(400, "VALIDATION_ERROR", "Invalid input JSON: `inputs` is missing")),
        Some(inputs) if inputs.len() > most => {
            Err(refused(400, "VALIDATION_ERROR", &format!("at most {most} inputs are allowed, not {}", inputs.len())))
        }
        Some(inputs) => Ok(inputs),
    }
}

/// Results and errors of a batch.
fn batch(status: u16, results: Vec<Value>, errors: Vec<Value>) -> Reply {
    if errors.is_empty() {
        return Reply::json(status, &json!({ "status": "COMPLETE", "results": results }));
    }
    let count = errors.len();
    Reply::json(207, &json!({ "status": "COMPLETE", "results": results, "numErrors": count, "errors": errors }))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

impl Simulator for Portal {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let ("POST", ["oauth", "v1", "token"]) = (request.method.as_str(), path.as_slice()) {
            let token = self.token.clone().unwrap_or_else(|| "simulated-token".to_owned());
            let body = json!({ "access_token": token, "refresh_token": "simulated-refresh", "expires_in": 1800 });
            return Reply::json(200, &body);
        }
        let known = |token: &str| self.token.as_deref().is_none_or(|own| own == token);
        if !request.bearer().is_some_and(known) {
            return self.unauthorized();
        }
        let body = request.json();
        match (request.method.as_str(), path.as_slice()) {
            (_, ["crm", "v3", "objects", ..]) | (_, ["crm", "v4", ..]) => self.crm(request, &path, &body, refusals),
            ("GET", ["crm", "v3", "properties", kind]) => {
                self.definitions.all(kind, request.parameter("dataSensitivity").is_some())
            }
            ("GET", ["crm", "v3", "properties", kind, "groups"]) => self.definitions.groups(kind),
            ("GET", ["crm", "v3", "properties", kind, name]) => self.definitions.one(kind, name),
            ("POST", ["crm", "v3", "properties", kind]) => self.definitions.create(kind, &body),
            ("POST", ["crm", "v3", "properties", kind, "batch", "create"]) => self.definitions.create_many(kind, &body),
            ("GET", ["crm", "v3", "schemas"]) => Reply::json(200, &json!({ "results": [] })),
            ("GET", ["crm", "v3", "schemas", kind]) => {
                Reply::json(200, &json!({ "name": kind, "objectTypeId": lists::type_id(kind) }))
            }
            ("POST", ["crm", "v3", "lists"]) => self.lists.create(&body),
            ("POST", ["crm", "v3", "lists", "search"]) => self.lists.search(&body),
            ("GET", ["crm", "v3", "lists", "object-type-id", kind, "name", name]) => self.lists.named(kind, name),
            ("PUT", ["crm", "v3", "lists", id, "memberships", "add-and-remove"]) => {
                self.lists.change(id, &body, &self.objects)
            }
            (_, ["events", "v3", rest @ ..]) => self.events.answer(request, rest, &body, refusals),
            _ => not_found(),
        }
    }

    fn held(&self) -> Value {
        json!({ "objects": self.objects.held(), "lists": self.lists.held(), "events": self.events.held() })
    }

    fn rate_limited(&self, after: Option<Duration>) -> Reply {
        let body = json!({
            "status": "error",
            "message": "You have reached your ten_secondly_rolling limit.",
            "errorType": "RATE_LIMIT",
            "policyName": "TEN_SECONDLY_ROLLING",
        });
        let reply = Reply::json(429, &body);
        match after {
            Some(after) => reply.with_header("retry-after", &whole_seconds(after).to_string()),
            None => reply,
        }
    }

    fn unauthorized(&self) -> Reply {
        refused(401, "INVALID_AUTHENTICATION", "Authentication credentials not found")
    }

    fn failed(&self, status: u16) -> Reply {
        refused(status, "INTERNAL_ERROR", "internal error")
    }
}

impl Portal {
    fn crm(&mut self, request: &Received, path: &[&str], body: &Value, refusals: &Refusals) -> Reply {
        let (objects, definitions) = (&mut self.objects, &mut self.definitions);
        match (request.method.as_str(), path) {
            ("GET", ["crm", "v3", "objects", kind]) => objects.page(kind),
            ("POST", ["crm", "v3", "objects", kind]) => objects.create(kind, body, definitions, refusals),
            ("POST", ["crm", "v3", "objects", kind, "search"]) => objects.search(kind, body, definitions),
            ("POST", ["crm", "v3", "objects", kind, "batch", what]) => {
                objects.batch(kind, what, body, definitions, refusals)
            }
            ("PATCH", ["crm", "v3", "objects", kind, id]) => {
                let property = request.parameter("idProperty");
                objects.update(kind, id, property.as_deref(), body, definitions, refusals)
            }
            ("PUT", ["crm", _, "objects", kind, id, "associations", to_kind, to_id, ..]) => {
                let types = if body.is_array() { body.clone() } else { json!([]) };
                let input = json!({ "from": { "id": id }, "to": { "id": to_id }, "types": types });
                match objects.link(kind, to_kind, &input) {
                    Ok(linked) => Reply::json(200, &linked),
                    Err(_) => not_found(),
                }
            }
            ("POST", ["crm", "v4", "associations", kind, to_kind, "batch", "create"]) => {
                objects.link_many(kind, to_kind, body)
            }
            ("POST", ["crm", "v4", "associations", kind, to_kind, "batch", "labels", "archive"]) => {
                objects.unlink_many(kind, to_kind, body)
            }
            ("GET", ["crm", "v4", "associations", kind, to_kind, "labels"]) => {
                let label = format!("{kind} of {to_kind}");
                let plain = json!({ "category": "HUBSPOT_DEFINED", "typeId": 279, "label": null });
                let own = json!({ "category": "USER_DEFINED", "typeId": 1, "label": label });
                Reply::json(200, &json!({ "results": [plain, own] }))
            }
            _ => not_found(),
        }
    }
}
