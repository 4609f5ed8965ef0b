//! Iterable served from memory: users with their carts, events and purchases.

use std::collections::BTreeMap;

use kit::simulator::{Received, Refusals, Reply, Simulator};
use serde_json::{Map, Value, json};

/// Makes the tool. Settings: `apiKey`, which every request must then bring; `disallowedEventNames`, a list of events
/// that the project does not take.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let names = settings.get("disallowedEventNames").and_then(Value::as_array).into_iter().flatten();
    Box::new(Tool {
        api_key: settings.get("apiKey").and_then(Value::as_str).map(str::to_owned),
        disallowed: names.filter_map(Value::as_str).map(str::to_owned).collect(),
        ..Tool::default()
    })
}

/// What a request may weigh.
const BODY_BYTES_MAX: usize = 4_000_000;

#[derive(Debug, Default)]
struct Tool {
    api_key: Option<String>,
    disallowed: Vec<String>,
    users: BTreeMap<String, Map<String, Value>>,
    events: BTreeMap<String, Value>,
    purchases: BTreeMap<String, Value>,
}

/// Why a record is not taken: the list that it stands in without its ending, and words.
struct Refused(&'static str, String);

impl Simulator for Tool {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if self.api_key.as_deref().is_some_and(|key| request.header("api-key") != Some(key)) {
            return self.unauthorized();
        }
        if request.body.len() > BODY_BYTES_MAX {
            return said(413, "RequestEntityTooLarge", "the request is too large");
        }
        let body = request.json();
        match (request.method.as_str(), request.path()) {
            ("GET", "/api/webhooks") => Reply::json(200, &json!({ "webhooks": [] })),
            ("POST", "/api/users/update") => single(self.update(&body, false, refusals)),
            ("POST", "/api/events/track") => single(self.track(&body, refusals)),
            ("POST", "/api/commerce/updateCart") => single(self.cart(&body, refusals)),
            ("POST", "/api/commerce/trackPurchase") => single(self.purchase(&body, refusals)),
            ("POST", "/api/users/bulkUpdate") => {
                let only = body["updateOnly"] == true;
                bulk(&body["users"], |user| self.update(user, only, refusals))
            }
            ("POST", "/api/events/trackBulk") => bulk(&body["events"], |event| self.track(event, refusals)),
            _ => said(404, "NotFound", "there is no such endpoint"),
        }
    }

    fn held(&self) -> Value {
        json!({ "users": self.users, "events": self.events, "purchases": self.purchases })
    }

    fn unauthorized(&self) -> Reply {
        said(401, "BadApiKey", "Invalid API key")
    }

    fn rate_limited(&self, after: Option<std::time::Duration>) -> Reply {
        let reply = said(429, "RateLimitExceeded", "too many requests");
        match after {
            Some(after) => reply.with_header("retry-after", &kit::simulator::whole_seconds(after).to_string()),
            None => reply,
        }
    }
}

fn said(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "msg": message, "code": code, "params": null }))
}

fn single(result: Result<(), Refused>) -> Reply {
    match result {
        Ok(()) => said(200, "Success", ""),
        Err(Refused(_, why)) => said(400, "BadParams", &why),
    }
}

/// Takes each record by itself and lists those that were refused, by email or else by user id.
fn bulk(records: &Value, mut take: impl FnMut(&Value) -> Result<(), Refused>) -> Reply {
    let Some(records) = records.as_array() else { return said(400, "BadParams", "a list is missing") };
    let mut failed: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let (mut taken, mut names) = (0, Vec::new());
    for record in records {
        match take(record) {
            Ok(()) => taken += 1,
            Err(Refused("disallowedEventNames", _)) => names.push(record["eventName"].clone()),
            Err(Refused(list, _)) if record["email"].is_string() => {
                failed.entry(format!("{list}Emails")).or_default().push(record["email"].clone());
            }
            Err(Refused(list, _)) => {
                failed.entry(format!("{list}UserIds")).or_default().push(record["userId"].clone());
            }
        }
    }
    let mut answer = json!({ "successCount": taken, "failCount": records.len() - taken, "failedUpdates": failed });
    for list in ["invalidEmails", "invalidUserIds"] {
        answer[list] = failed.get(list).map_or_else(|| json!([]), |listed| json!(listed));
    }
    answer["disallowedEventNames"] = json!(names);
    answer["createdFields"] = json!([]);
    answer["filteredOutFields"] = json!([]);
    Reply::json(200, &answer)
}

/// `id u1`, `email ada@example.com`.
fn key_of(user: &Value) -> Result<String, Refused> {
    let text = |key: &str| user[key].as_str().filter(|text| !text.is_empty());
    match (text("email"), text("userId")) {
        (Some(email), _) if !email.contains('@') => Err(Refused("invalid", format!("Invalid email: {email}"))),
        (_, Some(id)) => Ok(format!("id {id}")),
        (Some(email), None) => Ok(format!("email {}", email.to_lowercase())),
        (None, None) => Err(Refused("invalid", "email or userId is required".to_owned())),
    }
}

impl Tool {
    fn update(&mut self, user: &Value, only: bool, refusals: &Refusals) -> Result<(), Refused> {
        let key = key_of(user)?;
        if let Some(reason) = refusals.reason_for(user) {
            return Err(Refused("invalidData", reason));
        }
        if only && !self.users.contains_key(&key) {
            return Err(Refused("notFound", "there is no such user".to_owned()));
        }
        let profile = self.users.entry(key).or_default();
        for id in ["email", "userId"] {
            if user[id].is_string() {
                profile.insert(id.to_owned(), user[id].clone());
            }
        }
        for (field, value) in user["dataFields"].as_object().into_iter().flatten() {
            match (profile.get_mut(field).and_then(Value::as_object_mut), value) {
                (_, Value::Null) => {
                    profile.remove(field);
                }
                (Some(held), Value::Object(new)) if user["mergeNestedObjects"] == true => held.extend(new.clone()),
                _ => {
                    profile.insert(field.clone(), value.clone());
                }
            }
        }
        Ok(())
    }

    fn track(&mut self, event: &Value, refusals: &Refusals) -> Result<(), Refused> {
        let key = key_of(event)?;
        let name = event["eventName"].as_str().unwrap_or_default();
        if self.disallowed.iter().any(|disallowed| disallowed == name) {
            return Err(Refused("disallowedEventNames", format!("the event {name} is not allowed")));
        }
        if !event["createdAt"].is_null() && !event["createdAt"].is_i64() {
            return Err(Refused("invalidData", "createdAt is no number of seconds".to_owned()));
        }
        if let Some(reason) = refusals.reason_for(event) {
            return Err(Refused("invalidData", reason));
        }
        let id = event["id"].as_str().map_or_else(|| format!("{}", self.events.len()), str::to_owned);
        let mut event = event.clone();
        event["user"] = json!(key);
        self.users.entry(key).or_default();
        self.events.insert(id, event);
        Ok(())
    }

    fn cart(&mut self, body: &Value, refusals: &Refusals) -> Result<(), Refused> {
        self.update(&body["user"], false, refusals)?;
        let profile = self.users.entry(key_of(&body["user"])?).or_default();
        profile.insert("shoppingCartItems".to_owned(), body["items"].clone());
        Ok(())
    }

    fn purchase(&mut self, body: &Value, refusals: &Refusals) -> Result<(), Refused> {
        if !body["total"].is_number() {
            return Err(Refused("invalidData", "total is required".to_owned()));
        }
        if let Some(reason) = refusals.reason_for(body) {
            return Err(Refused("invalidData", reason));
        }
        self.update(&body["user"], false, &Refusals::none())?;
        let profile = self.users.entry(key_of(&body["user"])?).or_default();
        profile.remove("shoppingCartItems");
        let id = body["id"].as_str().map_or_else(|| format!("{}", self.purchases.len()), str::to_owned);
        self.purchases.insert(id, body.clone());
        Ok(())
    }
}
