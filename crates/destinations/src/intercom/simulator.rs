//! Intercom served from memory: contacts that are searched, created and updated, companies that hold them, events.

use std::time::Duration;

use kit::simulator::{Received, Refusals, Reply, Simulator, whole_seconds};
use serde_json::{Map, Value, json};

/// Served with the token of the settings; without one there, any token will do.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let token = settings.pointer("/oauth/access_token").and_then(Value::as_str).map(str::to_owned);
    Box::new(Workspace { token, ..Workspace::default() })
}

#[derive(Debug, Default)]
struct Workspace {
    token: Option<String>,
    contacts: Vec<Map<String, Value>>,
    companies: Vec<Map<String, Value>>,
    /// The ids of companies and of the contacts in them.
    attached: Vec<(String, String)>,
    events: Vec<Value>,
}

impl Simulator for Workspace {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        let known = |token: &str| self.token.as_deref().is_none_or(|own| own == token);
        if !request.bearer().is_some_and(known) {
            return self.unauthorized();
        }
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let body = request.json();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["me"]) => {
                let app = json!({ "type": "app", "id_code": "simulated", "name": "Simulated workspace" });
                Reply::json(200, &json!({ "type": "admin", "id": "1", "email": "admin@example.com", "app": app }))
            }
            ("POST", ["contacts", "search"]) => self.search(&body),
            ("POST", ["contacts"]) => self.create_contact(&body, refusals),
            ("PUT", ["contacts", id]) => self.update_contact(id, &body, refusals),
            ("POST", ["contacts", id, "companies"]) => self.attach(id, &body),
            ("POST", ["companies"]) => self.upsert_company(&body, refusals),
            ("POST", ["events"]) => self.take_event(&body, refusals),
            _ => refused(404, "not_found", "The requested resource was not found"),
        }
    }

    fn held(&self) -> Value {
        let companies = self.companies.iter().map(|company| {
            let id = company.get("id").and_then(Value::as_str).unwrap_or_default();
            let own = self.attached.iter().filter(|(company, _)| company == id).map(|(_, contact)| contact);
            let mut shown = company.clone();
            shown.insert("contacts".to_owned(), json!(own.collect::<Vec<_>>()));
            shown
        });
        json!({ "contacts": self.contacts, "companies": companies.collect::<Vec<_>>(), "events": self.events })
    }

    fn rate_limited(&self, after: Option<Duration>) -> Reply {
        let reply =
            refused(429, "rate_limit_exceeded", "Exceeded rate limit").with_header("x-ratelimit-remaining", "0");
        match after {
            Some(after) => reply.with_header("retry-after", &whole_seconds(after).to_string()),
            None => reply,
        }
    }

    fn unauthorized(&self) -> Reply {
        refused(401, "unauthorized", "Access Token Invalid")
    }

    fn failed(&self, status: u16) -> Reply {
        refused(status, "server_error", "Server Error")
    }
}

impl Workspace {
    fn search(&self, body: &Value) -> Reply {
        let query = &body["query"];
        let (Some(field), Some("="), Some(value)) =
            (query["field"].as_str(), query["operator"].as_str(), query["value"].as_str())
        else {
            return refused(400, "parameter_invalid", "the query is not understood");
        };
        let found: Vec<_> = self.contacts.iter().filter(|contact| text(contact, field) == Some(value)).collect();
        Reply::json(200, &json!({ "type": "list", "total_count": found.len(), "data": found }))
    }

    fn create_contact(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        let Value::Object(contact) = body else { return refused(400, "bad_request", "the body is no object") };
        let has_id = text(contact, "email").is_some() || text(contact, "external_id").is_some();
        if !has_id && text(contact, "role") != Some("lead") {
            return refused(400, "parameter_not_found", "email or external_id must be specified for users");
        }
        if let Some(reply) = self.refuse_contact(None, contact, refusals) {
            return reply;
        }
        let id = format!("{:024x}", self.contacts.len() + 1);
        let mut stored = contact.clone();
        stored.insert("type".to_owned(), json!("contact"));
        stored.insert("id".to_owned(), json!(id));
        self.contacts.push(stored.clone());
        Reply::json(200, &Value::Object(stored))
    }

    fn update_contact(&mut self, id: &str, body: &Value, refusals: &Refusals) -> Reply {
        let Value::Object(changes) = body else { return refused(400, "bad_request", "the body is no object") };
        if !self.contacts.iter().any(|contact| text(contact, "id") == Some(id)) {
            return refused(404, "not_found", "User Not Found");
        }
        if let Some(reply) = self.refuse_contact(Some(id), changes, refusals) {
            return reply;
        }
        let Some(contact) = self.contacts.iter_mut().find(|contact| text(contact, "id") == Some(id)) else {
            return refused(404, "not_found", "User Not Found");
        };
        contact.extend(changes.clone());
        contact.insert("id".to_owned(), json!(id));
        Reply::json(200, &Value::Object(contact.clone()))
    }

    /// Users are one for each external id and email; leads may share an email.
    fn refuse_contact(&self, id: Option<&str>, contact: &Map<String, Value>, refusals: &Refusals) -> Option<Reply> {
        if let Some(why) = refusals.reason_for(&Value::Object(contact.clone())) {
            return Some(refused(422, "parameter_invalid", &why));
        }
        let same = |other: &Map<String, Value>, key: &str| {
            text(contact, key).is_some_and(|value| text(other, key) == Some(value))
        };
        let is_user = |contact: &Map<String, Value>| text(contact, "role") != Some("lead");
        let clash =
            self.contacts.iter().filter(|other| text(other, "id") != id).find(|other| {
                same(other, "external_id") || (is_user(contact) && is_user(other) && same(other, "email"))
            })?;
        let other = text(clash, "id").unwrap_or_default();
        let message = format!("A contact matching those details already exists with id={other}");
        Some(refused(409, "conflict", &message))
    }

    fn upsert_company(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        let Value::Object(company) = body else { return refused(400, "bad_request", "the body is no object") };
        let Some(own) = text(company, "company_id") else {
            return refused(400, "parameter_not_found", "company_id or name is required");
        };
        if let Some(why) = refusals.reason_for(body) {
            return refused(422, "parameter_invalid", &why);
        }
        let place = self.companies.iter().position(|known| text(known, "company_id") == Some(own));
        let place = place.unwrap_or_else(|| {
            let id = format!("{:024x}", self.companies.len() + 0x1000);
            self.companies.push(Map::from_iter([("type".to_owned(), json!("company")), ("id".to_owned(), json!(id))]));
            self.companies.len() - 1
        });
        let Some(stored) = self.companies.get_mut(place) else { return self.failed(500) };
        stored.extend(company.clone());
        Reply::json(200, &Value::Object(stored.clone()))
    }

    fn attach(&mut self, contact: &str, body: &Value) -> Reply {
        if !self.contacts.iter().any(|known| text(known, "id") == Some(contact)) {
            return refused(404, "not_found", "User Not Found");
        }
        let company = self.companies.iter().find(|known| known.get("id") == body.get("id"));
        let Some(company) = company else { return refused(404, "company_not_found", "Company Not Found") };
        let pair = (text(company, "id").unwrap_or_default().to_owned(), contact.to_owned());
        if !self.attached.contains(&pair) {
            self.attached.push(pair);
        }
        Reply::json(200, &Value::Object(company.clone()))
    }

    fn take_event(&mut self, event: &Value, refusals: &Refusals) -> Reply {
        let Value::Object(fields) = event else { return refused(400, "bad_request", "the body is no object") };
        if text(fields, "event_name").is_none() {
            return refused(400, "parameter_not_found", "event_name is required");
        }
        let is_time = |time: &Value| time.is_u64() || time.as_str().is_some_and(|text| text.parse::<u64>().is_ok());
        if !fields.get("created_at").is_some_and(is_time) {
            return refused(422, "parameter_invalid", "created_at must be a Unix timestamp");
        }
        if let Some(why) = refusals.reason_for(event) {
            return refused(422, "parameter_invalid", &why);
        }
        let names = [("id", "id"), ("user_id", "external_id"), ("email", "email")];
        let named = names.iter().find_map(|(key, field)| Some((*field, text(fields, key)?)));
        let Some((field, value)) = named else {
            return refused(400, "parameter_not_found", "id, user_id or email is required");
        };
        if !self.contacts.iter().any(|contact| text(contact, field) == Some(value)) {
            return refused(404, "not_found", "User Not Found");
        }
        // An event of the same contact, name and second counts once.
        let same = |known: &Value| {
            ["event_name", "created_at", "id", "user_id", "email"].iter().all(|key| known.get(key) == event.get(key))
        };
        if !self.events.iter().any(same) {
            self.events.push(event.clone());
        }
        Reply::status(202)
    }
}

fn text<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn refused(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "type": "error.list", "errors": [{ "code": code, "message": message }] }))
}
