//! Many updates or creations with one request, each with a trace id by which HubSpot says what became of it.

use std::collections::HashMap;

use kit::DeliveryError;
use records::{Object, Outcome, Value, object};

use super::api::{self, Api, Finder, Said};
use super::values::text_of;

/// The inputs of a batch endpoint, and the records that they are of.
pub(super) struct Writes {
    what: &'static str,
    inputs: Vec<Input>,
    ids: HashMap<String, usize>,
}

struct Input {
    record: usize,
    id: Option<String>,
    trace: String,
    body: Object,
}

impl Writes {
    pub(super) fn updates() -> Self {
        Self { what: "update", inputs: Vec::new(), ids: HashMap::new() }
    }

    pub(super) fn creates() -> Self {
        Self { what: "create", inputs: Vec::new(), ids: HashMap::new() }
    }

    /// Adds the write of a record. An object that another record writes already must wait: the outcome says so.
    pub(super) fn add(
        &mut self,
        record: usize,
        id: Option<String>,
        properties: &Value,
        associations: Option<Value>,
    ) -> Option<Outcome> {
        if let Some(id) = &id {
            if self.ids.contains_key(id) {
                let message = "another record of the batch writes the same object; sent again after it";
                return Some(Outcome::retry("SAME_OBJECT", message));
            }
            self.ids.insert(id.clone(), self.inputs.len());
        }
        let trace = format!("record-{record}");
        let mut body = Object::new();
        if let Some(id) = &id {
            body.insert("id", Value::from(id.as_str()));
        }
        body.insert("properties", properties.clone());
        if let Some(associations) = associations {
            body.insert("associations", Value::Array(vec![associations]));
        }
        body.insert("objectWriteTraceId", Value::from(trace.as_str()));
        self.inputs.push(Input { record, id, trace, body });
        None
    }

    /// Writes all of it and sets the outcomes of its records.
    pub(super) async fn send(
        self,
        api: Api<'_>,
        object_type: &str,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), DeliveryError> {
        if self.inputs.is_empty() {
            return Ok(());
        }
        let bodies = self.inputs.iter().map(|input| Value::Object(input.body.clone())).collect::<Vec<_>>();
        let written = api.batch(object_type, self.what, &object! { "inputs" => bodies }).await?;
        let by_trace = Finder::new(&written.results, |result| result.get("objectWriteTraceId").map(text_of));
        let by_id = Finder::new(&written.results, api::id_of);
        let said = written.said(
            &self.inputs,
            |input| by_trace.place(&input.trace).or_else(|| by_id.place(input.id.as_deref()?)),
            |input| [Some(input.trace.clone()), input.id.clone()].into_iter().flatten().collect(),
        );
        for (input, said) in self.inputs.iter().zip(said) {
            // What is created shows its properties, but not always whose they are.
            outcomes[input.record] = Some(Said::outcome(&said));
        }
        Ok(())
    }
}
