//! Example's API, served from memory.

use kit::simulator::{Received, Refusals, Reply, Simulator};
use serde_json::{Value, json};

/// Makes the tool, with the settings that the destination has; null for none.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let key = settings.pointer("/api_key").and_then(Value::as_str);
    Box::new(Tool { key: key.map(str::to_owned), records: Vec::new() })
}

struct Tool {
    /// What requests must bring, if anything.
    key: Option<String>,
    records: Vec<Value>,
}

impl Simulator for Tool {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if self.key.is_some() && request.bearer() != self.key.as_deref() {
            return self.unauthorized();
        }
        if request.method == "GET" {
            return Reply::json(200, &json!({}));
        }
        let body = request.json();
        let Some(records) = body["records"].as_array() else {
            return Reply::json(400, &json!({ "message": "`records` must be a list" }));
        };
        if let Some(reason) = records.iter().find_map(|record| refusals.reason_for(record)) {
            return Reply::json(422, &json!({ "message": reason }));
        }
        // A real tool finds what it has already: the same records again must not be there twice.
        for record in records {
            if !self.records.contains(record) {
                self.records.push(record.clone());
            }
        }
        Reply::json(200, &json!({ "accepted": records.len() }))
    }

    fn held(&self) -> Value {
        json!({ "records": self.records })
    }
}
