//! Segment's side of the Tracking API, served from memory: sources, the profiles their calls make, and what is dropped
//! without a word.

use std::collections::{BTreeMap, HashSet};

use kit::simulator::{Received, Refusals, Reply, Simulator};
use serde_json::{Map, Value, json};

const REQUEST_BYTES_MAX: usize = 500_000;
const MESSAGE_BYTES_MAX: usize = 32 * 1024;
const MESSAGES_MAX: usize = 2500;

/// A workspace of Segment. Settings: `write_keys`, names of sources by their keys (without it, every key has a
/// source), and `public_api_token`.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    names: BTreeMap<String, String>,
    token: Option<String>,
    sources: BTreeMap<String, Source>,
    /// Calls that were dropped, by why.
    dropped: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
struct Source {
    calls: BTreeMap<String, u64>,
    users: BTreeMap<String, Map<String, Value>>,
    groups: BTreeMap<String, Map<String, Value>>,
    events: BTreeMap<String, u64>,
    subscriptions: BTreeMap<String, Value>,
    seen: HashSet<String>,
}

impl Workspace {
    pub(crate) fn new(settings: &Value) -> Self {
        let names = settings.get("write_keys").and_then(Value::as_object).into_iter().flatten();
        let names = names.map(|(key, name)| (key.clone(), name.as_str().unwrap_or(key).to_owned()));
        let token = settings.get("public_api_token").and_then(Value::as_str);
        Self { names: names.collect(), token: token.map(str::to_owned), ..Self::default() }
    }

    fn knows(&self, write_key: &str) -> bool {
        self.names.is_empty() || self.names.contains_key(write_key)
    }

    fn batch(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        let Some((write_key, _)) = request.basic() else { return self.unauthorized() };
        if request.body.len() > REQUEST_BYTES_MAX {
            return refused("the request is too large");
        }
        let body = request.json();
        let Some(calls) = body.get("batch").and_then(Value::as_array) else { return refused("malformed JSON") };
        if let Some(reason) = calls.iter().find_map(|call| refusals.reason_for(call)) {
            return refused(&reason);
        }
        let known = self.knows(&write_key);
        let name = self.names.get(&write_key).unwrap_or(&write_key).clone();
        for (place, call) in calls.iter().enumerate() {
            let dropped = match place {
                _ if !known => Some("no source has the write key"),
                MESSAGES_MAX.. => Some("over the limit of a request"),
                _ => self.sources.entry(name.clone()).or_default().take(call),
            };
            if let Some(why) = dropped {
                *self.dropped.entry(why).or_default() += 1;
            }
        }
        Reply::json(200, &json!({ "success": true }))
    }

    /// One page of the Public API's list of sources.
    fn list(&self, request: &Received) -> Reply {
        if self.token.as_deref().is_some_and(|token| request.bearer() != Some(token)) {
            let error =
                json!({ "errors": [{ "type": "unauthenticated", "message": "the token is missing or wrong" }] });
            return Reply::json(401, &error);
        }
        let number = |name: &str| request.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let count = number("pagination[count]").unwrap_or(10).max(1);
        let from = number("pagination[cursor]").unwrap_or(0);
        let source = |(key, name): (&String, &String)| json!({ "name": name, "writeKeys": [key], "metadata": { "slug": "personas-compute" } });
        let sources: Vec<_> = self.names.iter().skip(from).take(count).map(source).collect();
        let mut pagination = json!({ "current": from.to_string(), "totalEntries": self.names.len() });
        if from + count < self.names.len() {
            pagination["next"] = json!((from + count).to_string());
        }
        Reply::json(200, &json!({ "data": { "sources": sources, "pagination": pagination } }))
    }
}

impl Simulator for Workspace {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "batch"]) => self.batch(request, refusals),
            ("GET", ["v1", "projects", key, "settings"]) if self.knows(key) => {
                Reply::json(200, &json!({ "integrations": {} }))
            }
            ("GET", ["sources"]) => self.list(request),
            _ => Reply::json(404, &json!({ "message": "not found" })),
        }
    }

    fn held(&self) -> Value {
        let source = |source: &Source| {
            json!({
                "calls": source.calls,
                "users": source.users,
                "groups": source.groups,
                "events": source.events,
                "subscriptions": source.subscriptions,
            })
        };
        let sources: Map<_, _> = self.sources.iter().map(|(name, held)| (name.clone(), source(held))).collect();
        json!({ "sources": sources, "dropped": self.dropped })
    }
}

impl Source {
    /// Does what a call says, or says why it is dropped.
    fn take(&mut self, call: &Value) -> Option<&'static str> {
        let text = |key: &str| call.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let user = text("userId").or_else(|| text("anonymousId"));
        let subscriptions = call.pointer("/context/messaging_subscriptions").and_then(Value::as_array);
        let Some(kind) = text("type") else { return Some("no type") };
        if call.to_string().len() > MESSAGE_BYTES_MAX {
            return Some("the call is too large");
        }
        if user.is_none() && subscriptions.is_none() {
            return Some("no user");
        }
        if kind == "track" && text("event").is_none() {
            return Some("no event");
        }
        if let Some(id) = text("messageId")
            && !self.seen.insert(id.to_owned())
        {
            return Some("seen before");
        }
        *self.calls.entry(kind.to_owned()).or_default() += 1;
        match (kind, user) {
            ("identify", Some(user)) => set(self.users.entry(user.to_owned()).or_default(), call),
            ("group", _) => set(self.groups.entry(text("groupId").unwrap_or_default().to_owned()).or_default(), call),
            ("track", _) => *self.events.entry(text("event").unwrap_or_default().to_owned()).or_default() += 1,
            _ => {}
        }
        for subscription in subscriptions.into_iter().flatten() {
            let part = |key: &str| subscription.get(key).and_then(Value::as_str).unwrap_or_default();
            self.subscriptions.insert(format!("{} {}", part("type"), part("key")), json!(part("status")));
        }
        None
    }
}

/// Sets the traits of a call.
fn set(held: &mut Map<String, Value>, call: &Value) {
    for (key, value) in call.get("traits").and_then(Value::as_object).into_iter().flatten() {
        held.insert(key.clone(), value.clone());
    }
}

fn refused(message: &str) -> Reply {
    Reply::json(400, &json!({ "success": false, "message": message }))
}
