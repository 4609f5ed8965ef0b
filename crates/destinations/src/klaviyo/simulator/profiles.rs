//! The profiles of a simulated account: each is one person, told by id, e-mail, phone number or external id.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

const IDENTIFIERS: [&str; 4] = ["email", "phone_number", "external_id", "anonymous_id"];

/// Profiles by id, and by what identifies them.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    by_id: BTreeMap<String, Map<String, Value>>,
    by_identifier: HashMap<(&'static str, String), String>,
}

/// What is wrong with a profile's attributes.
pub(super) fn fault(attributes: &Value) -> Option<String> {
    let text = |key: &str| attributes.get(key).and_then(Value::as_str).unwrap_or_default();
    if IDENTIFIERS.iter().all(|key| text(key).is_empty()) {
        return Some("One of `email`, `phone_number`, `external_id`, or `anonymous_id` must be provided.".to_owned());
    }
    let (email, phone) = (text("email"), text("phone_number"));
    if !email.is_empty() && !email.contains('@') {
        return Some(format!("Invalid email address: {email}"));
    }
    let digits = phone.strip_prefix('+').unwrap_or_default();
    if !phone.is_empty() && (digits.len() < 8 || !digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(format!("Invalid phone number format: {phone}"));
    }
    None
}

fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

impl Profiles {
    /// The profile that has one of the identifiers.
    pub(super) fn id_of(&self, attributes: &Value) -> Option<String> {
        IDENTIFIERS.into_iter().find_map(|key| self.with(key, attributes.get(key)?.as_str()?))
    }

    /// The profile that has that value in an identifying field.
    pub(super) fn with(&self, field: &str, value: &str) -> Option<String> {
        let key = IDENTIFIERS.into_iter().find(|key| *key == field)?;
        self.by_identifier.get(&(key, folded(value))).cloned()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Makes a profile or changes the one that is there; null clears a field, custom properties are merged.
    pub(super) fn upsert(&mut self, attributes: &Value) -> String {
        let id = self.id_of(attributes).unwrap_or_else(|| format!("01SIM{:08}", self.by_id.len() + 1));
        self.change(&id, attributes);
        id
    }

    pub(super) fn change(&mut self, id: &str, attributes: &Value) {
        let profile = self.by_id.entry(id.to_owned()).or_default();
        for (key, value) in attributes.as_object().into_iter().flatten() {
            match (profile.get_mut(key), value) {
                (_, Value::Null) => {
                    profile.remove(key);
                }
                (Some(Value::Object(old)), Value::Object(new)) => {
                    old.extend(new.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
                _ => {
                    profile.insert(key.clone(), value.clone());
                }
            }
        }
        for key in IDENTIFIERS {
            if let Some(value) = profile.get(key).and_then(Value::as_str) {
                self.by_identifier.insert((key, folded(value)), id.to_owned());
            }
        }
    }

    /// A profile as the API shows it.
    pub(super) fn shown(&self, id: &str) -> Value {
        json!({ "type": "profile", "id": id, "attributes": self.by_id.get(id) })
    }

    pub(super) fn held(&self) -> Value {
        let profiles = self.by_id.iter().map(|(id, attributes)| {
            let mut profile = Map::from_iter([("id".to_owned(), json!(id))]);
            profile.extend(attributes.clone());
            Value::Object(profile)
        });
        profiles.collect()
    }
}
