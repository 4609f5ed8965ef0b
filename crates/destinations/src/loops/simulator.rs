//! Loops's API, served from memory: an audience of contacts, their mailing lists, and the events sent for them.

use std::time::Duration;

use kit::simulator::{Received, Refusals, Reply, Simulator, whole_seconds};
use serde_json::{Map, Value, json};

/// The longest name or value that is taken, as JSON.
const TEXT_MAX: usize = 500;

/// Makes the tool, with the settings that the destination has; null for none.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let key = settings.pointer("/apiKey").and_then(Value::as_str);
    Box::new(Team { key: key.map(str::to_owned), ..Team::default() })
}

#[derive(Debug, Default)]
struct Team {
    /// What requests must bring, if anything.
    key: Option<String>,
    contacts: Vec<Map<String, Value>>,
    events: Vec<Value>,
    /// How many contacts were ever made.
    made: u64,
}

/// Why a request is refused.
type Refused = (u16, String);

fn bad(message: &str) -> Refused {
    (400, message.to_owned())
}

impl Team {
    fn find(&self, key: &str, wanted: &Value) -> Option<usize> {
        wanted.as_str()?;
        self.contacts.iter().position(|contact| contact.get(key) == Some(wanted))
    }

    /// Finds the contact by either of its names, or makes it, and sets what the body says of it.
    fn upsert(&mut self, mut properties: Map<String, Value>) -> Result<String, Refused> {
        let [email, user] = ["email", "userId"].map(|key| properties.get(key).cloned().unwrap_or_default());
        if email.is_null() && user.is_null() {
            return Err(bad("Missing required field: email or userId"));
        }
        if email.as_str().is_some_and(|email| !email.contains('@')) {
            return Err(bad("Invalid email address"));
        }
        let lists = properties.remove("mailingLists").unwrap_or_else(|| json!({}));
        let Some(lists) = lists.as_object().filter(|lists| lists.values().all(Value::is_boolean)) else {
            return Err(bad("mailingLists must be an object of booleans"));
        };
        let place = match self.find("userId", &user).or_else(|| self.find("email", &email)) {
            Some(place) => place,
            None if email.is_null() => return Err(bad("Contact not found.")),
            None => {
                self.made += 1;
                let id = format!("clo{:022}", self.made);
                let contact = json!({ "id": id, "source": "API", "subscribed": true, "mailingLists": {} });
                self.contacts.extend(contact.as_object().cloned());
                self.contacts.len() - 1
            }
        };
        let Some(contact) = self.contacts.get_mut(place) else { return Err(bad("Contact not found.")) };
        for (key, value) in properties {
            match value {
                Value::Null => drop(contact.remove(&key)),
                value => drop(contact.insert(key, value)),
            }
        }
        if let Some(member_of) = contact.get_mut("mailingLists").and_then(Value::as_object_mut) {
            for (list, member) in lists {
                match member {
                    Value::Bool(true) => drop(member_of.insert(list.clone(), json!(true))),
                    _ => drop(member_of.remove(list)),
                }
            }
        }
        Ok(contact.get("id").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    fn send(&mut self, mut body: Map<String, Value>) -> Result<Value, Refused> {
        let name = body.remove("eventName").unwrap_or_default();
        if name.as_str().is_none_or(str::is_empty) {
            return Err(bad("Missing required field: eventName"));
        }
        let properties = body.remove("eventProperties").unwrap_or_else(|| json!({}));
        if !properties.is_object() {
            return Err(bad("eventProperties must be an object"));
        }
        let contact = self.upsert(body)?;
        self.events.push(json!({ "eventName": name, "contact": contact, "eventProperties": properties }));
        Ok(json!({ "success": true }))
    }

    fn delete(&mut self, body: &Map<String, Value>) -> Result<Value, Refused> {
        let (key, wanted) = match (body.get("email"), body.get("userId")) {
            (Some(email), None) => ("email", email),
            (None, Some(user)) => ("userId", user),
            _ => return Err(bad("Include only one of email or userId")),
        };
        let Some(place) = self.find(key, wanted) else { return Err((404, "Contact not found.".to_owned())) };
        self.contacts.remove(place);
        Ok(json!({ "success": true, "message": "Contact deleted." }))
    }

    fn take(&mut self, request: &Received, refusals: &Refusals) -> Result<Value, Refused> {
        let method = match request.path() {
            "/api/v1/api-key" => "GET",
            "/api/v1/contacts/update" => "PUT",
            "/api/v1/contacts/delete" | "/api/v1/events/send" => "POST",
            _ => return Err((404, "Not found".to_owned())),
        };
        if request.method != method {
            return Err((405, format!("Method not allowed: use {method}")));
        }
        if method == "GET" {
            return Ok(json!({ "success": true, "teamName": "Simulated team" }));
        }
        let record = request.json();
        let Some(body) = record.as_object() else { return Err(bad("Invalid JSON")) };
        let long = |text: String| text.chars().count() > TEXT_MAX;
        if body.iter().any(|(key, value)| long(key.clone()) || (value.is_string() && long(value.to_string()))) {
            return Err(bad("Some body key or value is longer than allowable"));
        }
        if let Some(reason) = refusals.reason_for(&record) {
            return Err((400, reason));
        }
        match request.path() {
            "/api/v1/contacts/update" => {
                let id = self.upsert(body.clone())?;
                Ok(json!({ "success": true, "id": id }))
            }
            "/api/v1/contacts/delete" => self.delete(body),
            _ => self.send(body.clone()),
        }
    }
}

impl Simulator for Team {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if self.key.is_some() && request.bearer() != self.key.as_deref() {
            return self.unauthorized();
        }
        match self.take(request, refusals) {
            Ok(body) => Reply::json(200, &body),
            Err((status, message)) => Reply::json(status, &json!({ "success": false, "message": message })),
        }
    }

    fn held(&self) -> Value {
        json!({ "contacts": self.contacts, "events": self.events })
    }

    fn rate_limited(&self, after: Option<Duration>) -> Reply {
        let reply = Reply::json(429, &json!({ "success": false, "message": "Too many requests" }))
            .with_header("x-ratelimit-limit", "10")
            .with_header("x-ratelimit-remaining", "0");
        match after {
            Some(after) => reply.with_header("retry-after", &whole_seconds(after).to_string()),
            None => reply,
        }
    }

    fn unauthorized(&self) -> Reply {
        Reply::json(401, &json!({ "success": false, "message": "Invalid API key" }))
    }

    fn failed(&self, status: u16) -> Reply {
        Reply::json(status, &json!({ "success": false, "message": "Internal server error" }))
    }
}
