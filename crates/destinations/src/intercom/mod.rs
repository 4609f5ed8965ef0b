//! Intercom: contacts, companies and events, each record by itself, since the API takes no lists whose entries it
//! answers for one by one.

mod companies;
mod contacts;
mod events;
mod simulator;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::{Answer, Batch, DeliveryError, Destination, Facts, Request, SettingsError, Wire, WireSettings};
use records::{Outcome, Value};
pub(crate) use simulator::simulator;

/// Workspaces in other regions are reached by `connection.endpoint`.
const ORIGIN: &str = "https://api.intercom.io";

#[derive(Debug)]
struct Intercom {
    facts: Facts,
    wire: WireSettings,
}

/// Makes the destination. Settings were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let wire = kit::wire_settings(&facts, settings)?;
    Ok(Arc::new(Intercom { facts, wire }))
}

#[async_trait]
impl Destination for Intercom {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let me = self.ask(Request::get(format!("{ORIGIN}/me")), wire).await?.json()?;
        let name = |path: &[&str]| me.at(path).and_then(Value::as_str).unwrap_or("?").to_owned();
        Ok(format!("signed in as `{}` to the workspace `{}`", name(&["email"]), name(&["app", "name"])))
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let mut outcomes = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            outcomes.push(match batch.action.as_str() {
                "identifyContact" => self.update_contact(&record.fields, wire).await?,
                "groupIdentifyContact" => self.update_company(&record.fields, wire).await?,
                "trackEvent" => self.track(&record.fields, wire).await?,
                other => {
                    return Err(DeliveryError::Settings { message: format!("there is no action `{other}`") });
                }
            });
        }
        Ok(outcomes)
    }
}

impl Intercom {
    /// Sends a request and gives its answer, if it is one of success.
    async fn ask(&self, request: Request, wire: &Wire) -> Result<Answer, DeliveryError> {
        let answer = wire.send(request).await?;
        match answer.failure(&self.facts.statuses) {
            None => Ok(answer),
            Some(DeliveryError::RateLimited { after: None }) => {
                Err(DeliveryError::RateLimited { after: until_reset(&answer) })
            }
            Some(failure) => Err(failure),
        }
    }
}

/// How long until the window ends whose requests are used up; Intercom tells it in a header of its own.
fn until_reset(answer: &Answer) -> Option<Duration> {
    let reset: i64 = answer.header("x-ratelimit-reset")?.trim().parse().ok()?;
    let seconds = reset.saturating_sub(answer.at.as_second());
    u64::try_from(seconds).ok().map(|seconds| Duration::from_secs(seconds.min(120)))
}

/// The id that an answer gives to what was stored.
fn stored_id(answer: &Answer) -> Result<String, DeliveryError> {
    let body = answer.json()?;
    let id = body.get("id").and_then(Value::as_str).filter(|id| is_id(id));
    id.map(str::to_owned).ok_or_else(|| DeliveryError::UnexpectedAnswer {
        message: format!("status {} without the id of what was stored", answer.status),
    })
}

/// Whether it can stand in a path as it is.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// A text that says something.
fn text<'v>(fields: &'v Value, key: &str) -> Option<&'v str> {
    fields.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A date as seconds since 1970, which Intercom wants; digits and numbers are taken for that already, and what is no
/// date stays as it is.
fn unix_time(value: &Value) -> Value {
    let Value::Text(text) = value else { return value.clone() };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.clone();
    }
    mapping::dayjs_millis(text).map_or_else(|| value.clone(), |millis| Value::Int(millis.div_euclid(1000)))
}
