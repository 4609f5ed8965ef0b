//! From a mapped record to what Salesforce is to do: which object, which operation, which fields.

use kit::{Batch, Payload};
use mapping::SyncMode;
use records::{Object, Outcome, Value, number_text};

/// What is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Upsert,
    Delete,
}

/// An action: the object it writes, and what a new record of it needs.
#[derive(Debug)]
pub(super) struct Kind {
    /// None: the mapping names it.
    object: Option<&'static str>,
    /// Fields that a new record must have.
    needed: &'static [&'static str],
}

const KINDS: [(&str, Kind); 6] = [
    ("lead", Kind { object: Some("Lead"), needed: &["last_name"] }),
    ("contact", Kind { object: Some("Contact"), needed: &["last_name"] }),
    ("account", Kind { object: Some("Account"), needed: &["name"] }),
    ("opportunity", Kind { object: Some("Opportunity"), needed: &["close_date", "name", "stage_name"] }),
    ("cases", Kind { object: Some("Case"), needed: &[] }),
    ("customObject", Kind { object: None, needed: &[] }),
];

/// Fields of a payload that say how it is sent, and are not sent themselves.
const NOT_SENT: [&str; 11] = [
    "operation",
    "traits",
    "enable_batching",
    "customFields",
    "bulkUpsertExternalId",
    "bulkUpdateRecordId",
    "recordMatcherOperator",
    "customObjectName",
    "batch_size",
    "batch_bytes",
    "batch_keys",
];

impl Kind {
    /// The kind of an action: `lead2` is of the same as `lead`.
    pub(super) fn of(action: &str) -> Option<&'static Self> {
        let name = action.strip_suffix('2').unwrap_or(action);
        KINDS.iter().find(|(of, _)| *of == name).map(|(_, kind)| kind)
    }

    /// The API name of the object that a record belongs to.
    pub(super) fn object<'p>(&self, payload: &'p Payload) -> Result<&'p str, Outcome> {
        if let Some(object) = self.object {
            return Ok(object);
        }
        let named = payload.fields.get("customObjectName").and_then(Value::as_str).unwrap_or_default();
        // It becomes part of URLs and queries.
        if !named.is_empty() && named.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Ok(named);
        }
        let message = format!(
            "`customObjectName` is `{named}`, which is no API name of an object; such names hold letters, digits and `_`"
        );
        Err(Outcome::rejected("INVALID_OBJECT", message))
    }

    /// Whether nothing is mapped that could be set in the object that the mapping names.
    pub(super) fn lacks_custom_fields(&self, operation: Operation, payload: &Payload) -> bool {
        self.object.is_none() && operation != Operation::Delete && payload.fields.get("customFields").is_none()
    }

    /// Why a record cannot be created or upserted: something that Salesforce requires is missing.
    pub(super) fn incomplete(&self, operation: Operation, payload: &Payload) -> Option<Outcome> {
        if self.lacks_custom_fields(operation, payload) {
            return Some(Outcome::rejected("MISSING_FIELDS", "`customFields` is missing; map the fields to set"));
        }
        let creates = matches!(operation, Operation::Create | Operation::Upsert);
        let missing: Vec<_> = self.needed.iter().filter(|key| !is_truthy(payload.fields.get(key))).collect();
        if !creates || missing.is_empty() {
            return None;
        }
        let missing: Vec<_> = missing.iter().map(|key| format!("`{key}`")).collect();
        let message = format!("{} has no value, and a new record must have one", missing.join(", "));
        Some(Outcome::rejected("MISSING_FIELDS", message))
    }
}

/// What is to be done with a record: the mapping says it for the older actions, the sync mode for the newer ones.
pub(super) fn operation(batch: &Batch, payload: &Payload) -> Option<Operation> {
    if batch.action.ends_with('2') {
        return Some(match batch.mode {
            SyncMode::Add => Operation::Create,
            SyncMode::Update => Operation::Update,
            SyncMode::Upsert => Operation::Upsert,
            SyncMode::Delete => Operation::Delete,
            SyncMode::Mirror if payload.operation == records::Operation::Deleted => Operation::Delete,
            SyncMode::Mirror => Operation::Upsert,
        });
    }
    match payload.fields.get("operation").and_then(Value::as_str)? {
        "create" => Some(Operation::Create),
        "update" => Some(Operation::Update),
        "upsert" => Some(Operation::Upsert),
        "delete" => Some(Operation::Delete),
        _ => None,
    }
}

/// The fields to set, each with whether it comes from `customFields`, in the order of the payload.
pub(super) fn set_fields(payload: &Payload) -> impl Iterator<Item = (String, &Value, bool)> {
    let fields = payload.fields.as_object();
    fields.into_iter().flat_map(Object::iter).flat_map(|(key, value)| {
        let custom = if key == "customFields" { value.as_object() } else { None };
        let custom = custom.into_iter().flat_map(Object::iter).map(|(name, value)| (name.to_owned(), value, true));
        let own = (!NOT_SENT.contains(&key)).then(|| (api_name(key), value, false));
        own.into_iter().chain(custom)
    })
}

/// The body of a request for one record. What `customFields` says goes before the other fields.
pub(super) fn body(payload: &Payload) -> Value {
    let mut body = Object::new();
    let mut from_custom = Vec::new();
    for (name, value, custom) in set_fields(payload) {
        if custom {
            from_custom.push((name, value));
        } else {
            body.insert(name, value.clone());
        }
    }
    for (name, value) in from_custom {
        body.insert(name, value.clone());
    }
    Value::Object(body)
}

/// `billing_postal_code` is `BillingPostalCode` in Salesforce.
fn api_name(key: &str) -> String {
    key.split('_')
        .map(|word| {
            let mut chars = word.chars();
            chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
        })
        .collect()
}

/// What JavaScript takes for true.
pub(super) fn is_truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false) | Value::Int(0)) => false,
        Some(Value::Text(text)) => !text.is_empty(),
        Some(Value::Float(float)) => *float != 0.0,
        Some(_) => true,
    }
}

/// A value as text, as JavaScript writes it; none for an object.
pub(super) fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => number_text(*float),
        Value::Decimal(digits) => digits.to_string(),
        Value::Text(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Option<Vec<_>>>()?.join(","),
        Value::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_those_of_salesforce() {
        for (key, name) in [
            ("last_name", "LastName"),
            ("name", "Name"),
            ("billing_postal_code", "BillingPostalCode"),
            ("account_id", "AccountId"),
        ] {
            assert_eq!(api_name(key), name);
        }
    }

    #[test]
    fn every_action_has_a_kind() {
        for action in ["lead", "lead2", "cases2", "customObject", "customObject2", "opportunity", "account2", "contact"]
        {
            assert!(Kind::of(action).is_some(), "{action}");
        }
        assert!(Kind::of("campaign").is_none());
    }
}
