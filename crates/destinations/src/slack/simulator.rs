//! Slack's incoming webhooks in memory: whoever posts to one finds the message in its channel.

use std::time::Duration;

use kit::simulator::{Received, Refusals, Reply, Simulator, whole_seconds};
use serde_json::{Value, json};

/// What stands in for a channel that is not named.
const CHANNEL_DEFAULT: &str = "general";

/// A workspace where every path below `/services/` is a webhook.
pub(crate) fn simulator(_settings: &Value) -> Box<dyn Simulator> {
    Box::new(Workspace::default())
}

#[derive(Debug, Default)]
struct Workspace {
    messages: Vec<Value>,
}

fn text(status: u16, said: &str) -> Reply {
    Reply::typed(status, "text/html", said)
}

impl Simulator for Workspace {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if !request.path().starts_with("/services/") {
            return text(404, "no_service");
        }
        if request.method != "POST" {
            return text(405, "method_not_allowed");
        }
        let message = request.json();
        if !message.is_object() {
            return text(400, "invalid_payload");
        }
        if message["text"].as_str().is_none_or(str::is_empty) {
            return text(400, "no_text");
        }
        if let Some(reason) = refusals.reason_for(&message) {
            return text(400, &reason);
        }
        let mut held = message;
        held["webhook"] = json!(request.path());
        if held["channel"].is_null() {
            held["channel"] = json!(CHANNEL_DEFAULT);
        }
        self.messages.push(held);
        text(200, "ok")
    }

    fn held(&self) -> Value {
        json!({ "messages": self.messages })
    }

    fn rate_limited(&self, after: Option<Duration>) -> Reply {
        let reply = text(429, "rate_limited");
        match after {
            Some(after) => reply.with_header("retry-after", &whole_seconds(after).to_string()),
            None => reply,
        }
    }

    fn unauthorized(&self) -> Reply {
        text(403, "invalid_token")
    }

    fn failed(&self, status: u16) -> Reply {
        text(status, "rollup_error")
    }
}
