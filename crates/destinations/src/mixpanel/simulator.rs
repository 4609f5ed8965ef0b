//! Mixpanel served from memory: events that are checked one by one and kept once, profiles that are set and added to,
//! ids that are joined.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::simulator::{Received, Refusals, Reply, Simulator, whole_seconds};
use serde_json::{Map, Value, json};

/// What one request may carry.
const ENTRIES_MAX: usize = 2000;
const EVENTS_BYTES_MAX: usize = 10 * 1024 * 1024;
const PROPERTIES_MAX: usize = 255;
const INSERT_ID_MAX: usize = 36;
/// 1971 in seconds since 1970.
const TIME_MIN: f64 = 31_536_000.0;

/// What Mixpanel does not take for an id, since it is mostly a mistake.
const PLACEHOLDERS: [&str; 17] = [
    "00000000-0000-0000-0000-000000000000",
    "anon",
    "anonymous",
    "nil",
    "none",
    "null",
    "n/a",
    "na",
    "undefined",
    "unknown",
    "<nil>",
    "0",
    "-1",
    "true",
    "false",
    "[]",
    "{}",
];

/// Served with the project's token and secret as in the settings; what the settings lack is not checked.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let text = |key: &str| settings.get(key).and_then(Value::as_str).map(str::to_owned);
    Box::new(Project { token: text("projectToken"), secret: text("apiSecret"), ..Project::default() })
}

#[derive(Debug, Default)]
struct Project {
    token: Option<String>,
    secret: Option<String>,
    /// By what tells a repeated event.
    events: BTreeMap<String, Value>,
    users: BTreeMap<String, Map<String, Value>>,
    groups: BTreeMap<String, Map<String, Value>>,
    /// The id that another stands for.
    ids: BTreeMap<String, String>,
}

/// How an event came.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// By `/import`, each checked.
    Checked,
    Unchecked,
    /// By `/track`, with the project's token in it.
    Token,
}

/// An entry of a list that was refused.
struct Failure {
    field: &'static str,
    message: String,
}

impl Failure {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

impl Simulator for Project {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        match (request.method.as_str(), request.path().trim_end_matches('/')) {
            ("POST", "/import") => self.import(request, refusals),
            ("POST", "/track") => self.list(request, |project, entry| project.take_event(entry, Way::Token, refusals)),
            ("POST", "/engage") => self.list(request, |project, entry| project.update_user(entry, refusals)),
            ("POST", "/groups") => self.list(request, |project, entry| project.update_group(entry, refusals)),
            ("POST", "/api/app/validate-project-credentials") => {
                let body = request.json();
                let fits = |key: &str, own: &Option<String>| own.is_none() || body[key].as_str() == own.as_deref();
                if fits("api_secret", &self.secret) && fits("project_token", &self.token) {
                    Reply::json(200, &json!({ "status": "ok" }))
                } else {
                    self.unauthorized()
                }
            }
            _ => Reply::json(404, &json!({ "code": 404, "error": "there is no such endpoint", "status": "Not Found" })),
        }
    }

    fn held(&self) -> Value {
        json!({
            "events": self.events.values().collect::<Vec<_>>(),
            "users": self.users,
            "groups": self.groups,
            "ids": self.ids,
        })
    }

    fn rate_limited(&self, after: Option<Duration>) -> Reply {
        let error = "Project exceeded rate limits. Please retry the request with exponential backoff.";
        let reply = Reply::json(429, &json!({ "code": 429, "error": error, "status": "Too Many Requests" }));
        match after {
            Some(after) => reply.with_header("retry-after", &whole_seconds(after).to_string()),
            None => reply,
        }
    }

    fn unauthorized(&self) -> Reply {
        Reply::json(401, &json!({ "code": 401, "error": "Invalid credentials", "status": "Unauthorized" }))
    }
}

impl Project {
    fn import(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        let known = |user: &str| !user.is_empty() && self.secret.as_deref().is_none_or(|secret| secret == user);
        if !request.basic().is_some_and(|(user, _)| known(&user)) {
            return self.unauthorized();
        }
        if request.body.len() > EVENTS_BYTES_MAX {
            return too_large(&format!("request exceeds max limit of {EVENTS_BYTES_MAX} bytes"));
        }
        let Value::Array(events) = request.json() else { return bad_request("the body is not a list of events") };
        if events.len() > ENTRIES_MAX {
            return too_large(&format!("request exceeds max limit of {ENTRIES_MAX} events"));
        }
        let is_strict = request.parameter("strict").as_deref() == Some("1");
        let by = if is_strict { Way::Checked } else { Way::Unchecked };
        let failures = self.take_all(&events, |project, event| project.take_event(event, by, refusals));
        // Without the check, bad events are dropped and nothing is said of them.
        entry_by_entry(&events, if is_strict { failures } else { BTreeMap::new() })
    }

    /// One entry or a list of them, as a form or as JSON.
    fn list(&mut self, request: &Received, take: impl Fn(&mut Self, &Value) -> Result<(), Failure>) -> Reply {
        let data = match request.form_value("data") {
            Some(data) => serde_json::from_str(&data).unwrap_or_default(),
            None => request.json(),
        };
        let entries = match data {
            Value::Array(entries) => entries,
            Value::Object(entry) => vec![Value::Object(entry)],
            _ => Vec::new(),
        };
        if entries.len() > ENTRIES_MAX {
            return too_large(&format!("request exceeds max limit of {ENTRIES_MAX} entries"));
        }
        let failures = self.take_all(&entries, take);
        if request.parameter("strict").as_deref() == Some("1") {
            return entry_by_entry(&entries, failures);
        }
        let status = i32::from(failures.len() < entries.len());
        if request.parameter("verbose").as_deref() == Some("1") {
            let error = failures.values().next().map(|failure| failure.message.clone());
            return Reply::json(200, &json!({ "status": status, "error": if status == 1 { None } else { error } }));
        }
        Reply::typed(200, "text/plain", status.to_string())
    }

    fn take_all(
        &mut self,
        entries: &[Value],
        take: impl Fn(&mut Self, &Value) -> Result<(), Failure>,
    ) -> BTreeMap<usize, Failure> {
        let taken = entries.iter().enumerate().map(|(place, entry)| (place, take(self, entry)));
        taken.filter_map(|(place, result)| Some((place, result.err()?))).collect()
    }

    fn take_event(&mut self, event: &Value, by: Way, refusals: &Refusals) -> Result<(), Failure> {
        let name = event["event"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Failure::new("event", "event is required"))?;
        let properties = event["properties"].as_object();
        let properties = properties.ok_or_else(|| Failure::new("properties", "properties must be an object"))?;
        match by {
            Way::Checked => check_event(properties)?,
            Way::Unchecked => {}
            Way::Token => self.check_token(&event["properties"], "token")?,
        }
        // The time is another in a second attempt where the event has none of its own.
        let mut lasting = properties.clone();
        lasting.remove("time");
        if let Some(why) = refusals.reason_for(&Value::Object(lasting)) {
            return Err(Failure::new("properties", why));
        }
        let id = |key: &str| properties.get(key).and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
        match name {
            "$identify" => {
                let pair = (id("$anon_id"), id("$identified_id"));
                let (Some(anonymous), Some(user)) = pair else {
                    return Err(Failure::new("properties.$anon_id", "both ids are required"));
                };
                self.ids.insert(anonymous, user);
            }
            "$create_alias" => {
                let (Some(alias), Some(user)) = (id("alias"), id("distinct_id")) else {
                    return Err(Failure::new("properties.alias", "both ids are required"));
                };
                if self.ids.get(&alias).is_some_and(|known| *known != user) {
                    return Err(Failure::new("properties.alias", "the alias stands for another id"));
                }
                self.ids.insert(alias, user);
            }
            _ => {
                let part = |key: &str| properties.get(key).map(Value::to_string).unwrap_or_default();
                let key = [name.to_owned(), part("time"), part("distinct_id"), part("$insert_id")].join("\n");
                self.events.insert(key, event.clone());
            }
        }
        Ok(())
    }

    fn update_user(&mut self, update: &Value, refusals: &Refusals) -> Result<(), Failure> {
        self.check_token(update, "$token")?;
        let id = update["$distinct_id"].as_str().filter(|id| !id.is_empty() && !PLACEHOLDERS.contains(id));
        let id = id.ok_or_else(|| Failure::new("$distinct_id", "'$distinct_id' is invalid: must not be missing"))?;
        if let Some(why) = refusals.reason_for(update) {
            return Err(Failure::new("$set", why));
        }
        let id = self.ids.get(id).cloned().unwrap_or_else(|| id.to_owned());
        apply(self.users.entry(id).or_default(), update)
    }

    fn update_group(&mut self, update: &Value, refusals: &Refusals) -> Result<(), Failure> {
        self.check_token(update, "$token")?;
        let key = update["$group_key"].as_str().ok_or_else(|| Failure::new("$group_key", "'$group_key' is missing"))?;
        let id = match &update["$group_id"] {
            Value::Null => return Err(Failure::new("$group_id", "'$group_id' is missing")),
            Value::String(id) => id.clone(),
            other => other.to_string(),
        };
        if let Some(why) = refusals.reason_for(update) {
            return Err(Failure::new("$set", why));
        }
        apply(self.groups.entry(format!("{key}/{id}")).or_default(), update)
    }

    fn check_token(&self, entry: &Value, key: &str) -> Result<(), Failure> {
        let given = entry[key].as_str().filter(|token| !token.is_empty());
        match given {
            Some(token) if self.token.as_deref().is_none_or(|own| own == token) => Ok(()),
            _ => Err(Failure::new("$token", "the token is missing or of no project")),
        }
    }
}

fn check_event(properties: &Map<String, Value>) -> Result<(), Failure> {
    let time = properties.get("time").and_then(Value::as_f64);
    let time = time.ok_or_else(|| Failure::new("properties.time", "'properties.time' is invalid: must be a number"))?;
    // Milliseconds are told from seconds by their size.
    let seconds = if time.abs() >= 1e11 { time / 1000.0 } else { time };
    if seconds < TIME_MIN {
        return Err(Failure::new("properties.time", "'properties.time' is invalid: must be after 1971-01-01"));
    }
    let distinct = properties.get("distinct_id").and_then(Value::as_str);
    if distinct.is_none_or(|id| PLACEHOLDERS.contains(&id)) {
        return Err(Failure::new("properties.distinct_id", "'properties.distinct_id' is invalid"));
    }
    let id = properties.get("$insert_id").and_then(Value::as_str).unwrap_or_default();
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if id.is_empty() || id.len() > INSERT_ID_MAX || !is_plain || PLACEHOLDERS.contains(&id) {
        let message = "'$insert_id' is invalid: must only contain alphanumeric or hyphen '-' characters, at most 36";
        return Err(Failure::new("$insert_id", message));
    }
    if properties.len() >= PROPERTIES_MAX {
        return Err(Failure::new("properties", "there must be fewer than 255 properties"));
    }
    Ok(())
}

fn apply(profile: &mut Map<String, Value>, update: &Value) -> Result<(), Failure> {
    let mut is_any = false;
    if let Some(set) = update["$set"].as_object() {
        is_any = true;
        profile.extend(set.clone());
    }
    if let Some(add) = update["$add"].as_object() {
        is_any = true;
        for (key, value) in add {
            let sum = profile.get(key).and_then(Value::as_f64).unwrap_or(0.0) + value.as_f64().unwrap_or(0.0);
            profile.insert(key.clone(), json!(sum));
        }
    }
    if is_any { Ok(()) } else { Err(Failure::new("$set", "the update has no operation")) }
}

/// The answer that names the entries which failed.
fn entry_by_entry(entries: &[Value], failures: BTreeMap<usize, Failure>) -> Reply {
    let count = entries.len();
    if failures.is_empty() {
        return Reply::json(200, &json!({ "code": 200, "num_records_imported": count, "status": "OK" }));
    }
    let id = |place: usize| entries.get(place).map_or(Value::Null, |entry| entry["properties"]["$insert_id"].clone());
    let failed = failures.iter().map(|(place, failure)| {
        json!({ "index": place, "insert_id": id(*place), "field": failure.field, "message": failure.message })
    });
    let body = json!({
        "code": 400,
        "error": "some data points in the request failed validation",
        "failed_records": failed.collect::<Vec<_>>(),
        "num_records_imported": count - failures.len(),
        "status": "Bad Request",
    });
    Reply::json(400, &body)
}

fn too_large(error: &str) -> Reply {
    Reply::json(413, &json!({ "code": 413, "error": error, "status": "Request Entity Too Large" }))
}

fn bad_request(error: &str) -> Reply {
    Reply::json(400, &json!({ "code": 400, "error": error, "status": "Bad Request" }))
}
