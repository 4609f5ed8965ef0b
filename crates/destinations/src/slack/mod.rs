//! Slack: messages through incoming webhooks.

mod simulator;

use std::sync::Arc;

use async_trait::async_trait;
use kit::{Batch, DeliveryError, Destination, Facts, Payload, Request, SettingsError, Wire, WireSettings};
use records::{Object, Outcome, Value};
pub(crate) use simulator::simulator;

#[derive(Debug)]
struct Slack {
    facts: Facts,
    wire: WireSettings,
}

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let wire = kit::wire_settings(&facts, settings)?;
    Ok(Arc::new(Slack { facts, wire }))
}

/// Whether a URL is of a webhook: a host below slack.com over TLS, and a path of letters, digits and slashes. A URL
/// comes from data, so that no other host may be called with it.
fn is_webhook(url: &str) -> bool {
    let Some((host, path)) = url.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else { return false };
    let name = host.strip_suffix(".slack.com").unwrap_or_default();
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'/')
}

impl Slack {
    async fn post(&self, record: &Payload, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let url = record.fields.get("url").and_then(Value::as_str).unwrap_or_default();
        if !is_webhook(url) {
            let message = "`url` is not that of an incoming webhook, such as `https://hooks.slack.com/services/…`";
            return Ok(Outcome::rejected("invalid_url", message));
        }
        // Whoever has the last part of the path can post.
        wire.add_secret(url.trim_end_matches('/').rsplit('/').next().unwrap_or_default());
        let message: Object = ["channel", "text", "username", "icon_url"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), record.fields.get(key)?.clone())))
            .collect();
        let answer = wire.send(Request::post(url).json(&Value::Object(message))).await?;
        match answer.failure(&self.facts.statuses) {
            Some(error) => Err(error),
            None if answer.body.trim_ascii() == b"ok" => Ok(Outcome::Delivered),
            None => Err(DeliveryError::UnexpectedAnswer {
                message: format!("status {} without the word `ok`: {}", answer.status, answer.message()),
            }),
        }
    }
}

#[async_trait]
impl Destination for Slack {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, _wire: &Wire) -> Result<String, DeliveryError> {
        Ok("Slack has no credentials of its own: the webhook stands in each mapping, and only a message shows that it \
            works"
            .to_owned())
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let mut outcomes = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            outcomes.push(self.post(record, wire).await?);
        }
        Ok(outcomes)
    }
}
