//! The simulated users: profiles, events, purchases and aliases.

use std::collections::BTreeMap;

use kit::simulator::{Refusals, Reply};
use serde_json::{Map, Value, json};

use super::said;

/// The most objects of a kind in one request to track.
const OBJECTS_MAX: usize = 75;
/// The most aliases or email addresses in one request.
const KEYS_MAX: usize = 50;

/// Profiles by whom they are of: `external_id u1`, `alias crm a`, `email ada@example.com`.
#[derive(Debug, Default)]
pub(super) struct Users {
    profiles: BTreeMap<String, Map<String, Value>>,
    /// Aliases and whose they are.
    aliases: BTreeMap<String, String>,
    events: Vec<Value>,
    purchases: Vec<Value>,
}

impl Users {
    pub(super) fn held(&self) -> Value {
        json!({
            "users": self.profiles, "aliases": self.aliases, "events": self.events, "purchases": self.purchases,
        })
    }

    pub(super) fn track(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        const KINDS: [(&str, &[&str]); 3] = [
            ("attributes", &[]),
            ("events", &["name", "time"]),
            ("purchases", &["product_id", "currency", "price", "time"]),
        ];
        let list = |kind: &str| body[kind].as_array().cloned().unwrap_or_default();
        if KINDS.iter().any(|(kind, _)| list(kind).len() > OBJECTS_MAX) {
            return said(400, "Max Input Length Exceeded");
        }
        let mut results = Results::default();
        for (kind, required) in KINDS.iter().filter(|(kind, _)| body[*kind].is_array()) {
            let mut taken = 0;
            for (index, object) in list(kind).into_iter().enumerate() {
                let missing = required.iter().find(|key| object[**key].is_null());
                let refused = match (self.user(&object), missing) {
                    (None, _) => {
                        Some("'external_id', 'braze_id', 'user_alias', 'email' or 'phone' is required".to_owned())
                    }
                    (_, Some(key)) => Some(format!("'{key}' is not valid")),
                    (Some(_), None) => refusals.reason_for(&object),
                };
                match (refused, self.user(&object)) {
                    (None, Some(user)) => {
                        self.take(kind, user, object);
                        taken += 1;
                    }
                    (why, _) => results.refuse(kind, index, why.unwrap_or_default()),
                }
            }
            results.count(&format!("{kind}_processed"), taken);
        }
        results.reply("Valid data must be provided in the 'attributes', 'events', or 'purchases' fields.")
    }

    /// Whom an object is of, by the name that the user goes by.
    fn user(&self, object: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(id) = text(&object["external_id"]) {
            return Some(format!("external_id {id}"));
        }
        if let Some(alias) = alias(&object["user_alias"]) {
            return Some(self.aliases.get(&alias).cloned().unwrap_or(alias));
        }
        ["braze_id", "email", "phone"].iter().find_map(|key| Some(format!("{key} {}", text(&object[*key])?)))
    }

    fn take(&mut self, kind: &str, user: String, object: Value) {
        let makes = match &object["_update_existing_only"] {
            Value::Bool(only) => !only,
            // Users who have only an alias are not made unless told so.
            _ => !user.starts_with("alias "),
        };
        if !self.profiles.contains_key(&user) && !makes {
            return;
        }
        let profile = self.profiles.entry(user).or_default();
        match kind {
            "events" => self.events.push(object),
            "purchases" => self.purchases.push(object),
            _ => {
                for (key, value) in object.as_object().into_iter().flatten() {
                    match value {
                        _ if matches!(key.as_str(), "_update_existing_only" | "user_alias") => {}
                        Value::Null => drop(profile.remove(key)),
                        value => drop(profile.insert(key.clone(), value.clone())),
                    }
                }
            }
        }
    }

    pub(super) fn add_aliases(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        let Some(list) = body["user_aliases"].as_array() else { return said(400, "'user_aliases' is required") };
        if list.len() > KEYS_MAX {
            return said(400, "The max number of external_ids and aliases per request was exceeded");
        }
        let mut results = Results::default();
        let mut taken = 0;
        for (index, object) in list.iter().enumerate() {
            let owner = object["external_id"].as_str().map(|id| format!("external_id {id}"));
            let known = owner.as_ref().is_none_or(|owner| self.profiles.contains_key(owner));
            match (alias(object), refusals.reason_for(object)) {
                (None, _) => {
                    results.refuse("user_aliases", index, "'alias_name' and 'alias_label' are required".to_owned())
                }
                (_, Some(why)) => results.refuse("user_aliases", index, why),
                (Some(_), None) if !known => {
                    results.refuse("user_aliases", index, "'external_id' is not known".to_owned());
                }
                (Some(alias), None) => {
                    let owner = owner.unwrap_or_else(|| alias.clone());
                    self.profiles.entry(owner.clone()).or_default();
                    self.aliases.insert(alias, owner);
                    taken += 1;
                }
            }
        }
        results.count("aliases_processed", taken);
        results.reply("No alias can be made")
    }

    pub(super) fn identify(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        let mut results = Results::default();
        for (kind, counted) in
            [("aliases_to_identify", "aliases_processed"), ("emails_to_identify", "emails_processed")]
        {
            let Some(list) = body[kind].as_array() else { continue };
            if list.len() > KEYS_MAX {
                return said(400, "The max number of external_ids and aliases per request was exceeded");
            }
            let mut taken = 0;
            for (index, object) in list.iter().enumerate() {
                let found = match kind {
                    "aliases_to_identify" => alias(&object["user_alias"]),
                    _ => object["email"].as_str().map(|email| format!("email {email}")),
                };
                match (object["external_id"].as_str(), found, refusals.reason_for(object)) {
                    (_, _, Some(why)) => results.refuse(kind, index, why),
                    (Some(id), Some(found), None) => {
                        self.merge(&found, format!("external_id {id}"));
                        taken += 1;
                    }
                    _ => results.refuse(kind, index, "'external_id' and whom to identify are required".to_owned()),
                }
            }
            results.count(counted, taken);
        }
        results.reply("'aliases_to_identify' or 'emails_to_identify' is required")
    }

    /// What one user has and the other lacks goes over to the other. An unknown user is passed over, as documented.
    fn merge(&mut self, from: &str, into: String) {
        let from = self.aliases.get(from).cloned().unwrap_or_else(|| from.to_owned());
        if from == into {
            return;
        }
        let Some(profile) = self.profiles.remove(&from) else { return };
        let other = self.profiles.entry(into.clone()).or_default();
        for (key, value) in profile {
            other.entry(key).or_insert(value);
        }
        self.aliases.values_mut().filter(|owner| **owner == from).for_each(|owner| owner.clone_from(&into));
    }
}

fn alias(object: &Value) -> Option<String> {
    Some(format!("alias {} {}", object["alias_label"].as_str()?, object["alias_name"].as_str()?))
}

/// What was taken and what was not, to be told as Braze does.
#[derive(Debug, Default)]
struct Results {
    counts: Map<String, Value>,
    errors: Vec<Value>,
}

impl Results {
    fn count(&mut self, key: &str, taken: u64) {
        self.counts.insert(key.to_owned(), taken.into());
    }

    fn refuse(&mut self, array: &str, index: usize, why: String) {
        self.errors.push(json!({ "type": why, "input_array": array, "index": index }));
    }

    fn reply(self, nothing: &str) -> Reply {
        let taken = self.counts.values().any(|count| *count != 0);
        let mut body = self.counts;
        if !self.errors.is_empty() {
            body.insert("errors".to_owned(), self.errors.into());
        }
        if !taken {
            body.retain(|key, _| key == "errors");
        }
        body.insert("message".to_owned(), if taken { "success" } else { nothing }.into());
        Reply::json(if taken { 201 } else { 400 }, &Value::Object(body))
    }
}
