//! What stands among a mapping's fields and is no field: words for whoever runs the mapping, which mappings that are
//! brought over have.

use std::sync::Arc;

use kit::{Action, MappingSettings};
use mapping::SyncMode;
use records::Object;
use serde_json::{Map, Value, json};

pub(crate) const SYNC_MODE: &str = "__segment_internal_sync_mode";
const MATCHING_KEY: &str = "__segment_internal_matching_key";
const DIRECTIVE: &str = "__segment_internal_directive";
const HOOKS: [&str; 2] = ["onMappingSave", "retlOnMappingSave"];

/// All of these words.
const WORDS: [&str; 9] = [
    SYNC_MODE,
    MATCHING_KEY,
    DIRECTIVE,
    HOOKS[0],
    HOOKS[1],
    "enable_batching",
    "batch_size",
    "batch_bytes",
    "batch_keys",
];

/// Hooks that a mapping gives inputs and that have no outputs yet.
pub fn hooks_without_outputs(fields: &Value) -> Vec<&'static str> {
    let has = |saved: &Value, key: &str| saved.get(key).is_some_and(|found| !found.is_null() && *found != json!({}));
    let open = |hook: &&str| fields.get(*hook).is_some_and(|saved| has(saved, "inputs") && !has(saved, "outputs"));
    HOOKS.into_iter().filter(open).collect()
}

pub(crate) fn is_reserved(key: &str) -> bool {
    WORDS.contains(&key)
}

/// What they say.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reserved {
    pub mode: Option<SyncMode>,
    pub batching: Option<bool>,
    pub batch_keys: Vec<String>,
    pub records_max: Option<u64>,
    pub bytes_max: Option<u64>,
    pub settings: Arc<MappingSettings>,
}

impl Reserved {
    /// Reads them from a mapping's fields; what the mapping leaves out is as the action's fields have it.
    ///
    /// # Errors
    /// The key and what is wrong with it, for all of them.
    pub(crate) fn read(fields: &Map<String, Value>, action: &Action) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, must: &str| {
            problems.push((key.to_owned(), format!("it must be {must}, the same for every record")));
        };
        let mut read = Self::default();
        let mut settings = MappingSettings::default();
        let given = |key: &str| fixed(fields.get(key)?);
        let default =
            |key: &str| action.fields.iter().find(|field| field.key == key)?.default.as_ref().map(Value::from);
        if let Some(value) = given(SYNC_MODE) {
            read.mode = value.as_str().and_then(SyncMode::from_name);
            if read.mode.is_none() {
                problem(SYNC_MODE, "one of `add`, `update`, `upsert`, `delete`, `mirror`");
            }
        }
        if let Some(value) = given(MATCHING_KEY) {
            settings.matching_key = value.as_str().map(str::to_owned);
            if settings.matching_key.is_none() {
                problem(MATCHING_KEY, "text");
            }
        }
        if let Some(value) = given("enable_batching") {
            read.batching = as_flag(&value);
            if read.batching.is_none() {
                problem("enable_batching", "`true` or `false`");
            }
        }
        // Where the original knows no other way to say it, no records in a batch mean no batches.
        let no_batches =
            |value: &Value| value.as_f64() == Some(0.0) || value.as_str().is_some_and(|text| text.trim() == "0");
        let batch_size = given("batch_size").or_else(|| default("batch_size"));
        let single = batch_size.as_ref().is_some_and(no_batches);
        if single && read.batching.is_none() {
            read.batching = Some(false);
        }
        for (key, slot) in [("batch_size", &mut read.records_max), ("batch_bytes", &mut read.bytes_max)] {
            if let Some(value) = given(key).filter(|_| key != "batch_size" || !single) {
                *slot = as_count(&value);
                if slot.is_none() {
                    problem(key, "a whole number of at least 1");
                }
            }
        }
        if let Some(value) = given("batch_keys").or_else(|| default("batch_keys")) {
            let list = match &value {
                Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
                Value::String(one) => Some(vec![one.clone()]),
                _ => None,
            };
            match list {
                Some(list) => read.batch_keys = list,
                None => problem("batch_keys", "a list of fields"),
            }
        }
        let mut outputs = Object::new();
        for hook in HOOKS {
            match fields.get(hook) {
                None | Some(Value::Null) => {}
                Some(Value::Object(saved)) => {
                    if let Some(saved) = saved.get("outputs") {
                        outputs.insert(hook, saved.clone().into());
                    }
                }
                Some(_) => problem(hook, "`inputs` and `outputs`"),
            }
        }
        settings.hook_outputs = outputs;
        read.settings = Arc::new(settings);
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }
}

/// A value that is the same for every record: no directive, or one that says so.
fn fixed(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(object) => match object.get("@literal") {
            Some(literal) => Some(literal.clone()),
            None => Some(value.clone()),
        },
        other => Some(other.clone()),
    }
}

fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn as_count(value: &Value) -> Option<u64> {
    let count = match value {
        Value::Number(number) => {
            number.as_u64().or_else(|| number.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as u64))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    count.filter(|count| *count >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action() -> Action {
        let yaml = "slug: t\nname: T\nactions:\n  - {slug: a, name: A, modes: [upsert], fields: [{key: batch_keys, type: string, multiple: true, default: [list_id]}]}";
        kit::Facts::parse(yaml).unwrap().actions.remove(0)
    }

    fn read(fields: Value) -> Result<Reserved, Vec<(String, String)>> {
        Reserved::read(fields.as_object().unwrap(), &action())
    }

    #[test]
    fn a_mapping_that_is_brought_over_says_how_it_is_batched() {
        let read = read(json!({
            "enable_batching": { "@literal": true },
            "batch_size": 50,
            "batch_bytes": "1000",
            "__segment_internal_sync_mode": "mirror",
            "__segment_internal_matching_key": "email",
            "retlOnMappingSave": { "inputs": { "list_name": "a" }, "outputs": { "id": "7" } },
        }))
        .unwrap();
        assert_eq!((read.batching, read.records_max, read.bytes_max), (Some(true), Some(50), Some(1000)));
        assert_eq!(read.mode, Some(SyncMode::Mirror));
        assert_eq!(read.batch_keys, ["list_id"]);
        assert_eq!(read.settings.matching_key.as_deref(), Some("email"));
        let outputs = read.settings.hook_outputs.get("retlOnMappingSave").unwrap();
        assert_eq!(outputs.to_json(), r#"{"id":"7"}"#);
    }

    #[test]
    fn a_batch_size_of_none_means_single_records() {
        assert_eq!(read(json!({ "batch_size": 0 })).unwrap().batching, Some(false));
        assert_eq!(read(json!({ "batch_size": { "@literal": "0" } })).unwrap().batching, Some(false));
        let both = read(json!({ "batch_size": 0, "enable_batching": true })).unwrap();
        assert_eq!((both.batching, both.records_max), (Some(true), None));
        let yaml = "slug: t\nname: T\nactions:\n  - {slug: a, name: A, modes: [upsert], fields: [{key: batch_size, type: number, default: 0}]}";
        let action = kit::Facts::parse(yaml).unwrap().actions.remove(0);
        let read = |fields: Value| Reserved::read(fields.as_object().unwrap(), &action).unwrap();
        assert_eq!(read(json!({})).batching, Some(false));
        let sized = read(json!({ "batch_size": 50 }));
        assert_eq!((sized.batching, sized.records_max), (None, Some(50)));
    }

    #[test]
    fn what_differs_from_record_to_record_is_refused() {
        let problems = read(json!({
            "enable_batching": { "@path": "$.properties.batching" },
            "batch_size": -1,
            "batch_keys": 1,
            "__segment_internal_sync_mode": "replace",
            "onMappingSave": true,
        }))
        .unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            ["__segment_internal_sync_mode", "enable_batching", "batch_size", "batch_keys", "onMappingSave"]
        );
        assert_eq!(problems[1].1, "it must be `true` or `false`, the same for every record");
    }
}
