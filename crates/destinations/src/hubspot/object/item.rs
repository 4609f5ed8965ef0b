//! The records of a batch as they are to be written: one item for each id, values made fit for HubSpot.

use std::collections::HashMap;

use kit::Batch;
use mapping::SyncMode;
use records::{Object, Outcome, Value};

use super::Outcomes;
use crate::hubspot::values::{property_name, text_of, trimmed};

/// One object of HubSpot.
pub(super) struct Item {
    /// The records that ask for it, places in the batch.
    pub(super) records: Vec<usize>,
    pub(super) id: String,
    pub(super) properties: Object,
    pub(super) sensitive: Object,
    pub(super) associations: Vec<Association>,
    pub(super) dissociations: Vec<Association>,
    /// Whether it belongs in the list, if a list is meant.
    pub(super) in_list: Option<bool>,
}

/// A link that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Association {
    pub(super) object_type: String,
    pub(super) label: String,
    pub(super) id_property: String,
    pub(super) id: String,
}

/// What is mapped, before it is made fit.
struct Mapped {
    records: Vec<usize>,
    id: String,
    properties: Object,
    sensitive: Object,
    associations: Vec<Association>,
    dissociations: Vec<Association>,
    in_list: Option<bool>,
    /// Milliseconds since 1970.
    time: i64,
}

/// The items of a batch. In the modes that update, records with the same id are one item, of which the later values
/// win. Records that cannot be written are refused.
pub(super) fn items(batch: &Batch, outcomes: &mut Outcomes, now: i64) -> Vec<Item> {
    let merges = batch.mode != SyncMode::Add;
    let mut mapped: Vec<Mapped> = Vec::with_capacity(batch.records.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    for (record, payload) in batch.records.iter().enumerate() {
        let fields = &payload.fields;
        let blank =
            ["object_type", "id_field_name", "id_field_value"].into_iter().find(|key| detail(fields, key).is_empty());
        if let Some(key) = blank {
            let message = format!("`object_details.{key}` is empty; map it to a value");
            outcomes.0[record] = Some(Outcome::rejected("NO_ID", message));
            continue;
        }
        let incoming = Mapped::of(record, fields, now);
        match places.get(&incoming.id) {
            Some(&place) if merges => mapped[place].merge(incoming),
            _ => {
                places.insert(incoming.id.clone(), mapped.len());
                mapped.push(incoming);
            }
        }
    }
    let mut items = Vec::with_capacity(mapped.len());
    for mapped in mapped {
        let clean = clean(mapped.properties).and_then(|properties| Ok((properties, clean(mapped.sensitive)?)));
        match clean {
            Ok((properties, sensitive)) => items.push(Item {
                records: mapped.records,
                id: mapped.id,
                properties,
                sensitive,
                associations: mapped.associations,
                dissociations: mapped.dissociations,
                in_list: mapped.in_list,
            }),
            Err(message) => {
                for record in mapped.records {
                    outcomes.0[record] = Some(Outcome::rejected("PROPERTY_NAME", message.clone()));
                }
            }
        }
    }
    items
}

fn detail<'f>(fields: &'f Value, key: &str) -> &'f str {
    fields.at(&["object_details", key]).and_then(Value::as_str).unwrap_or_default()
}

impl Mapped {
    fn of(record: usize, fields: &Value, now: i64) -> Self {
        let object = |key: &str| fields.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        Self {
            records: vec![record],
            id: detail(fields, "id_field_value").to_owned(),
            properties: object("properties"),
            sensitive: object("sensitive_properties"),
            associations: associations(fields, "associations"),
            dissociations: associations(fields, "dissociations"),
            in_list: super::lists::wish(fields).map(|list| list.belongs),
            time: fields.get("timestamp").and_then(time).unwrap_or(now),
        }
    }

    /// Takes in a later record of the batch with the same id.
    fn merge(&mut self, incoming: Self) {
        let newer = incoming.time >= self.time;
        for (own, others) in [(&mut self.properties, incoming.properties), (&mut self.sensitive, incoming.sensitive)] {
            for (name, value) in others {
                if newer || !own.contains_key(&name) {
                    own.insert(name, value);
                }
            }
        }
        for (own, others) in
            [(&mut self.associations, incoming.associations), (&mut self.dissociations, incoming.dissociations)]
        {
            for other in others {
                if !own.contains(&other) {
                    own.push(other);
                }
            }
        }
        if newer {
            self.in_list = incoming.in_list;
            self.time = incoming.time;
        }
        self.records.extend(incoming.records);
    }
}

fn time(value: &Value) -> Option<i64> {
    match value {
        Value::Text(text) => mapping::date_millis(text),
        Value::Int(millis) => Some(*millis),
        _ => None,
    }
}

/// The links that are asked for in full; others are left out.
fn associations(fields: &Value, key: &str) -> Vec<Association> {
    let asked = fields.get(key).and_then(Value::as_array).unwrap_or_default();
    let whole = asked.iter().filter_map(|asked| {
        let part =
            |key: &str| asked.get(key).filter(|part| !part.is_null()).map(text_of).filter(|part| !part.is_empty());
        Some(Association {
            object_type: part("object_type")?,
            label: part("association_label")?,
            id_property: part("id_field_name")?,
            id: part("id_field_value")?,
        })
    });
    whole.collect()
}

/// Names made fit for HubSpot; texts trimmed, those that say true or false made that; lists and objects as JSON; nulls
/// left out.
fn clean(properties: Object) -> Result<Object, String> {
    let mut clean = Object::with_capacity(properties.len());
    for (name, value) in properties {
        let name = property_name(&name)?;
        let value = match value {
            Value::Null => {
                clean.remove(&name);
                continue;
            }
            Value::Text(text) => match trimmed(&text.to_lowercase()) {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::from(trimmed(&text)),
            },
            Value::Array(_) | Value::Object(_) => Value::from(value.to_json()),
            plain => plain,
        };
        clean.insert(name, value);
    }
    Ok(clean)
}
